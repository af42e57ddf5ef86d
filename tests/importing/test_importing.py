"""An import: batches, retries, and a report by line and field; a bad row never stops the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from connection.importing import ImportFailedError, ImportReport, Rejected, import_command, import_file
from connection.mapping import Mapping, MappingError

MAPPING = Mapping.model_validate(
    {
        "source": "app",
        "reference": "{Number}",
        "fields": {"first_name": {"column": "Name"}, "birth_year": {"column": "Age", "subtract_from": 2025}},
    }
)
Answer = Callable[[list[dict[str, Any]]], httpx.Response]


def taking_all(events: list[dict[str, Any]]) -> httpx.Response:
    return httpx.Response(
        202, json={"results": [{"status": 202, "member": f"m-{event['subject']}"} for event in events]}
    )


class Intake:
    """Answers as intake does, one answer after the other; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers or (taking_all,)
        self.batches: list[list[dict[str, Any]]] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer secret"
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        self.batches.append(json.loads(request.content))
        return self._answers[min(len(self.batches), len(self._answers)) - 1](self.batches[-1])

    def run(self, file: Path, **more: Any) -> ImportReport:
        with httpx.Client(transport=httpx.MockTransport(self)) as client:
            return import_file(
                file, MAPPING, url="http://intake", api_key="secret", client=client, sleep=self.slept.append, **more
            )


@pytest.fixture
def csv_file(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    def write(text: str) -> Path:
        file = tmp_path / "people.csv"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_rows_go_in_batches_and_everybody_is_told_of(csv_file: Callable[[str], Path]) -> None:
    file = csv_file("﻿Number,Name,Age\n" + "".join(f"{n},Zoë,30\n" for n in range(25)))
    intake, members = Intake(), []
    report = intake.run(file, batch_rows=10, on_accepted=members.append, console=Console(quiet=True))
    assert [len(batch) for batch in intake.batches] == [10, 10, 5]
    assert (report.rows, report.accepted, report.rejected) == (25, 25, 0)
    assert members[0] == "m-0"
    assert intake.batches[0][0]["data"] == {"first_name": "Zoë", "birth_year": 1995}


def test_rejected_rows_have_their_line_their_field_and_the_reason(csv_file: Callable[[str], Path]) -> None:
    def choosy(events: list[dict[str, Any]]) -> httpx.Response:
        problem = {"title": "x", "errors": [{"pointer": "/data/birth_year", "detail": "must be 2007 or earlier"}]}
        results: list[dict[str, Any]] = [
            {"status": 422, "problem": problem}
            if event["data"]["birth_year"] > 2007
            else {"status": 202, "member": "m"}
            for event in events
        ]
        return httpx.Response(207, json={"results": results})

    file = csv_file('Number,Name,Age\n1,"Two\nlines",30\n2,Kofi,17\n3,,40\n\n4,Amara,50,x\n5,Ines,many\n6,Leila,44\n')
    report = Intake(choosy).run(file)
    assert (report.rows, report.accepted, report.rejected) == (6, 2, 4)
    assert sorted(report.rejections) == [
        Rejected(4, "birth_year", "must be 2007 or earlier"),
        Rejected(5, "first_name", "column 'Name' is empty"),
        Rejected(7, "row", "has 4 columns where the header has 3"),
        Rejected(8, "birth_year", "column 'Age' is not of the kind that the mapping expects"),
    ]


def test_who_said_no_is_not_counted_as_signed_up(csv_file: Callable[[str], Path]) -> None:
    def one_no(events: list[dict[str, Any]]) -> httpx.Response:
        results = [{"status": 202, "member": f"m-{event['subject']}"} for event in events]
        results[1]["withdrawn"] = True
        return httpx.Response(202, json={"results": results})

    report = Intake(one_no).run(csv_file("Number,Name,Age\n1,Amara,30\n2,Kofi,31\n"))
    assert (report.accepted, report.rejected) == (1, 1)
    assert (report.rejections[0].line, report.rejections[0].field) == (3, "consent.introductions")


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text('{"Number": 1, "Name": "Amara", "Age": 30}\n\nnonsense\n[1]\n{"Number": 2, "Name": "Kofi"}\n')
    report = Intake().run(file)
    assert report.accepted == 1
    assert report.rejections == [
        Rejected(3, "row", "is not valid JSON"),
        Rejected(4, "row", "is not a JSON object"),
        Rejected(5, "birth_year", "column 'Age' is empty"),
    ]


def test_what_may_pass_is_tried_again(csv_file: Callable[[str], Path]) -> None:
    def unreachable(events: list[dict[str, Any]]) -> httpx.Response:
        raise httpx.ConnectError("refused")

    def busy(events: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "3"}, json={"title": "slow down"})

    intake = Intake(unreachable, busy, lambda events: httpx.Response(503), taking_all)
    report = intake.run(csv_file("Number,Name,Age\n1,Amara,30\n"))
    assert report.accepted == 1
    assert intake.slept == [0.25, 3.0, 1.0]
    assert all(batch == intake.batches[0] for batch in intake.batches)


def test_what_will_not_pass_ends_it_with_the_report_so_far(csv_file: Callable[[str], Path]) -> None:
    file = csv_file("Number,Name,Age\n1,Amara,30\n2,Kofi,30\n")
    intake = Intake(taking_all, lambda events: httpx.Response(401, json={"title": "Send your API key."}))
    with pytest.raises(ImportFailedError, match="401: Send your API key") as failed:
        intake.run(file, batch_rows=1)
    assert failed.value.report.accepted == 1
    always_down = Intake(lambda events: httpx.Response(503, json={"title": "no"}))
    with pytest.raises(ImportFailedError, match="8 times"):
        always_down.run(file)
    assert len(always_down.batches) == 8


def test_a_mapping_that_does_not_fit_the_file_is_said_before_anything_is_sent(csv_file: Callable[[str], Path]) -> None:
    intake = Intake()
    with pytest.raises(MappingError, match="no column 'Age', 'Number'"):
        intake.run(csv_file("Name,Years\nAmara,30\n"))
    with pytest.raises(MappingError, match="ends in"):
        intake.run(csv_file("x").rename(csv_file("x").with_suffix(".xls")))
    assert intake.batches == []


def test_only_so_many_rows(csv_file: Callable[[str], Path]) -> None:
    file = csv_file("Number,Name,Age\n" + "".join(f"{n},Zoë,30\n" for n in range(25)))
    assert Intake().run(file, rows_max=7).rows == 7


def test_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("Name\n")
    missing = tmp_path / "mapping.yaml"
    assert import_command(tmp_path / "people.csv", missing, url="http://127.0.0.1:1", api_key="x") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot be read" in " ".join(captured.err.split())
