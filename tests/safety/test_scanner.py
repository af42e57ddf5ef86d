"""The scanner finds what it is there for, and nothing else: else its silence would mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from scanner import HOLD_PEOPLE, Scanner

from benchmarks.processes import ROOT
from services.matcher.state import READS
from shared.contracts.claim import Entry, Step, Way, to_bytes
from shared.topics import CLAIMS, CONTACTS, PROFILES


def found(data: str) -> list[str]:
    scanner = Scanner()
    scanner.look(data.encode(), "here")
    assert scanner.bytes_seen == len(data.encode())
    return list(scanner.findings)


@pytest.mark.parametrize(
    "data",
    [
        '{"email":"someone@inbox.example"}', "to=<a.b+tag@mail.example.org>", '{"first_name":"Amara"}', "hello Amara,",
        'own_words="I still eat lunch alone."',
    ],
)  # fmt: skip
def test_it_finds(data: str) -> None:
    assert len(found(data)) == 1
    assert "someone" not in found(data)[0], "and does not repeat it"


@pytest.mark.parametrize(
    "data",
    [
        '{"place":"Chelsea"}', "m_amaraxyz234", "hello@london-connection.example", "<0f3a@london-connection.example>",
        "profiles@17 suggestions@3", "Amaranth",
    ],
)  # fmt: skip
def test_it_leaves_alone(data: str) -> None:
    assert found(data) == []


def test_everything_that_the_matcher_reads_is_looked_through() -> None:
    assert not {topic.name for topic in READS} & HOLD_PEOPLE


def _segment(folder: Path, topic: str, value: bytes, *, compression: int = 0, cut: int = 0) -> None:
    place = folder / "log" / f"{topic}-3"
    place.mkdir(parents=True)
    batch = DefaultRecordBatchBuilder(
        magic=2, compression_type=compression, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=100_000,
    )  # fmt: skip
    for offset in range(2):
        batch.append(offset, 0, b"key", value, [("header", b"of it")])
    segment = bytes(batch.build())
    (place / "00000000000000000000.log").write_bytes(segment[: len(segment) - cut])


def _found_in_segments(folder: Path) -> list[str]:
    scanner = Scanner()
    scanner.broker(cast(Any, SimpleNamespace(data_dir=folder)))
    return list(scanner.findings)


def test_segments_of_topics_without_people_are_looked_through_and_others_are_not(tmp_path: Path) -> None:
    _segment(tmp_path, CONTACTS.name, b"someone@inbox.example")
    scanner, broker = Scanner(), cast(Any, SimpleNamespace(data_dir=tmp_path))
    scanner.broker(broker)
    assert scanner.findings == {}
    _segment(tmp_path, PROFILES.name, b"someone@inbox.example")
    scanner.broker(broker)
    (finding,) = scanner.findings
    assert "topic profiles, segment profiles-3/" in finding
    assert finding in scanner.verdict()


def test_a_compressed_segment_is_said_not_to_have_been_looked_through(tmp_path: Path) -> None:
    _segment(tmp_path, PROFILES.name, b"nothing that can be read" * 9, compression=1)
    (finding,) = _found_in_segments(tmp_path)
    assert "is compressed" in finding


def test_what_a_killed_broker_has_written_half_is_looked_through(tmp_path: Path) -> None:
    _segment(tmp_path, PROFILES.name, b"someone@inbox.example", cut=5)
    assert len(_found_in_segments(tmp_path)) == 1


def test_hashes_that_look_like_a_name_are_none_where_there_is_room_for_hashes_alone(tmp_path: Path) -> None:
    hashes = b"\x00Amara\x00a@b.uk\x00\x00\x00"
    page = to_bytes(b"instance", Way.HTTP, 1, [Entry(Step.CLAIMED, hashes, hashes, hashes, 0)])
    _segment(tmp_path, CLAIMS.name, page)
    assert _found_in_segments(tmp_path) == []
    _segment(tmp_path / "other", PROFILES.name, page)
    assert len(_found_in_segments(tmp_path / "other")) == 2
    _segment(tmp_path / "no page", CLAIMS.name, page + b"1")
    assert len(_found_in_segments(tmp_path / "no page")) == 2


def test_a_finding_fails_a_run_and_stands_in_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "test_that_passes.py").write_text(
        "import conftest\n\ndef test_it():\n    conftest.SCANNER.look(b'Amara', 'here')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    run = subprocess.run(
        [*command, "--rootdir", str(ROOT), "-p", "conftest", str(tmp_path)],
        cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "here: a name, Ama" in run.stdout
    assert "1 passed, 1 error" in run.stdout.splitlines()[-1]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
