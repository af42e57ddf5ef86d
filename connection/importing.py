"""Imports a file of people: each row becomes a sign-up, and intake decides about it.

A CSV or JSON Lines file, and a mapping that says which column is which field
(`connection.mapping`; `docs/importing.md` is the guide). Rows that cannot be used are
reported with their line, the field and the reason, and the rest goes on. References and
ids are derived from the rows, so importing the same file again signs nobody up twice.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from connection.mapping import Mapping, MappingError, Row, RowError, load_mapping

BATCH_ROWS = 100
_BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
_ATTEMPTS_MAX = 8
_BACKOFF_SECONDS, _BACKOFF_SECONDS_MAX = 0.25, 8.0
_REQUEST_SECONDS_MAX = 30.0
_RETRIED = frozenset({409, 429, 500, 502, 503, 504})
_REJECTIONS_KEPT_MAX = 10_000


class ImportFailedError(RuntimeError):
    """The import cannot go on. Says why and what to do; the report so far is in `report`."""

    def __init__(self, advice: str, report: ImportReport) -> None:
        super().__init__(advice)
        self.report = report


class Rejected(NamedTuple):
    """A row that was not signed up."""

    line: int
    """In the file, from 1; of a row over several lines, the first."""
    field: str
    """Of the sign-up, as in the mapping; or "row" where the row itself is unreadable."""
    reason: str
    """Why, without what the row holds."""


@dataclass
class ImportReport:
    """What became of the rows."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    rejections: list[Rejected] = field(default_factory=list)
    """The first 10,000."""

    def reject(self, line: int, where: str, reason: str) -> None:
        """Note a row that was not taken."""
        self.rejected += 1
        if len(self.rejections) < _REJECTIONS_KEPT_MAX:
            self.rejections.append(Rejected(line, where, reason))


def import_file(
    file: Path,
    mapping: Mapping,
    *,
    url: str,
    api_key: str,
    seed: int = 1,
    batch_rows: int = BATCH_ROWS,
    rows_max: int | None = None,
    console: Console | None = None,
    on_accepted: Callable[[str], None] | None = None,
    client: httpx.Client | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> ImportReport:
    """Sign the people of a file up.

    Parameters
    ----------
    url
        of intake, such as "http://localhost:8001".
    seed
        of what the mapping draws.
    rows_max
        stop after so many rows.
    console
        where a progress bar is shown; none without one.
    on_accepted
        is told the member id of every sign-up that intake acknowledged.
    client, sleep
        for tests.

    Raises
    ------
    MappingError
        if the file is neither CSV nor JSON Lines, or lacks columns that the mapping names.
    ImportFailedError
        if intake refuses the key or does not answer after several tries. What was
        accepted until then stays; the same import may be started again.
    """
    report = ImportReport()
    with (
        file.open("rb") as stream,
        _progress(console) as progress,
        nullcontext(client) if client else httpx.Client(timeout=_REQUEST_SECONDS_MAX) as http,
    ):
        task = progress.add_task(file.name, total=file.stat().st_size, accepted=0, rejected=0) if progress else None
        events = _events(islice(_rows(file, stream, mapping), rows_max), mapping, seed, report)
        door = _Door(http, url, api_key, report, sleep)
        while batch := list(islice(events, batch_rows)):
            for (line, _), result in zip(batch, door.post([event for _, event in batch]), strict=True):
                _note(report, line, result, on_accepted)
            if progress and task is not None:
                progress.update(task, completed=stream.tell(), accepted=report.accepted, rejected=report.rejected)
        if progress and task is not None:
            progress.update(task, completed=file.stat().st_size, accepted=report.accepted, rejected=report.rejected)
    return report


def _events(
    rows: Iterator[tuple[int, Row | str]], mapping: Mapping, seed: int, report: ImportReport
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line and the event of each usable row; the others are reported."""
    for line, row in rows:
        report.rows += 1
        if isinstance(row, str):
            report.reject(line, "row", row)
            continue
        try:
            yield line, mapping.event(row, report.rows, seed=seed)
        except RowError as error:
            report.reject(line, error.field, error.reason)


def _rows(file: Path, stream: BinaryIO, mapping: Mapping) -> Iterator[tuple[int, Row | str]]:
    """The line of each row with its values, or with what is wrong with it."""
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _csv_rows(stream, mapping, "\t" if suffix == ".tsv" else ",")
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows(stream)
    raise MappingError(f"{file.name}: give a file that ends in .csv, .tsv, .jsonl or .ndjson")


def _csv_rows(stream: BinaryIO, mapping: Mapping, delimiter: str) -> Iterator[tuple[int, Row | str]]:
    # Line by line by hand: a TextIOWrapper would hide how far into the file we are.
    lines = (line.decode("utf-8-sig" if first else "utf-8", "replace") for first, line in _marked_first(stream))
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    missing = sorted(mapping.columns - set(header))
    if missing:
        raise MappingError(
            f"the file has no column {', '.join(repr(name) for name in missing[:5])}, which the mapping names; "
            f"its columns begin with {', '.join(repr(name) for name in header[:5])}"
        )
    at = reader.line_num + 1
    for values in reader:
        if values:
            if len(values) == len(header):
                yield at, dict(zip(header, values, strict=True))
            else:
                yield at, f"has {len(values)} columns where the header has {len(header)}"
        at = reader.line_num + 1


def _json_rows(stream: BinaryIO) -> Iterator[tuple[int, Row | str]]:
    for at, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            yield at, "is not valid JSON"
            continue
        yield at, dict(_flattened(value)) if isinstance(value, dict) else "is not a JSON object"


def _flattened(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flattened(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def _marked_first(stream: BinaryIO) -> Iterator[tuple[bool, bytes]]:
    for number, line in enumerate(iter(stream.readline, b"")):
        yield number == 0, line


class _Door:
    """Intake's HTTP door: posts batches, and tries again what is worth trying again."""

    def __init__(
        self, http: httpx.Client, url: str, api_key: str, report: ImportReport, sleep: Callable[[float], None]
    ) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/v1/events"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": _BATCH_MEDIA_TYPE}
        self._report = report
        self._sleep = sleep

    def post(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The result of each event. Sending the same again is harmless, so every doubt means again."""
        body, said = orjson.dumps(events), ""
        for attempt in range(_ATTEMPTS_MAX):
            wait = min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_SECONDS_MAX)
            try:
                answer = self._http.post(self._url, content=body, headers=self._headers)
            except httpx.TransportError as error:
                said = f"intake at {self._url} does not answer ({type(error).__name__})"
            else:
                if answer.status_code in (202, 207):
                    results: list[dict[str, Any]] = answer.json()["results"]
                    return results
                said = f"intake answered {answer.status_code}: {_title(answer)}"
                if answer.status_code not in _RETRIED:
                    raise ImportFailedError(said, self._report)
                wait = max(wait, _retry_after(answer))
            self._sleep(wait)
        raise ImportFailedError(f"{said}, {_ATTEMPTS_MAX} times; start the same import again later", self._report)


def _note(report: ImportReport, line: int, result: dict[str, Any], on_accepted: Callable[[str], None] | None) -> None:
    if result.get("withdrawn"):
        report.reject(line, "consent.introductions", "without it nobody is signed up, and who was has left")
        return
    if result["status"] == 202:
        report.accepted += 1
        if on_accepted:
            on_accepted(result["member"])
        return
    problem = result.get("problem", {})
    errors = problem.get("errors") or [{"pointer": "", "detail": problem.get("title", "refused")}]
    pointer = errors[0].get("pointer", "").removeprefix("/data/").strip("/").replace("/", ".")
    report.reject(line, pointer or "row", errors[0].get("detail", "refused"))


def _title(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem.get('title', '')} {problem.get('detail', '')}".strip()
    except ValueError:
        return "not the answer of an intake; is the address right?"


def _retry_after(answer: httpx.Response) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _BACKOFF_SECONDS_MAX) if asked.isdecimal() else 0.0


def _progress(console: Console | None) -> Any:
    if console is None:
        return nullcontext(None)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[accepted]} signed up, {task.fields[rejected]} rejected"),
        TimeElapsedColumn(),
        console=console,
    )


def import_command(file: Path, mapping: Path, *, url: str, api_key: str, limit: int | None = None) -> int:
    """`connection import`: everything for a person's eyes on stderr; the exit status.

    0: all rows are signed up. 1: some were rejected, and are listed. 2: it could not go on.
    """
    console = Console(stderr=True)
    try:
        report = import_file(file, load_mapping(mapping), url=url, api_key=api_key, rows_max=limit, console=console)
    except MappingError as error:
        console.print(f"import: {error}", style="red", markup=False)
        return 2
    except ImportFailedError as error:
        print_report(error.report, console)
        console.print(f"import: {error}", style="red", markup=False)
        return 2
    print_report(report, console)
    return 1 if report.rejected else 0


def print_report(report: ImportReport, console: Console) -> None:
    """The rejected rows, a line each, and the sums."""
    for rejected in sorted(report.rejections):
        console.print(f"line {rejected.line}: {rejected.field}: {rejected.reason}", markup=False, highlight=False)
    hidden = report.rejected - len(report.rejections)
    if hidden:
        console.print(f"... and {hidden} more")
    console.print(f"{report.rows} rows: {report.accepted} signed up, {report.rejected} rejected")
