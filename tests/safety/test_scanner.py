"""The scanner finds what it is there for, and nothing else: else its silence would mean nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scanner import HOLD_PEOPLE, Scanner

from services.matcher.state import READS
from shared.topics import CONTACTS, PROFILES


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


def _segment(folder: Path, topic: str, value: bytes, attributes: int = 0) -> None:
    place = folder / "log" / f"{topic}-3"
    place.mkdir(parents=True)
    head = bytes(8) + (61 - 12 + len(value)).to_bytes(4, "big") + bytes(4) + b"\x02" + bytes(4)
    batch = head + attributes.to_bytes(2, "big")
    (place / "00000000000000000000.log").write_bytes(batch + bytes(61 - len(batch)) + value)


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
    _segment(tmp_path, PROFILES.name, b"nothing that can be read", attributes=2)
    scanner = Scanner()
    scanner.broker(cast(Any, SimpleNamespace(data_dir=tmp_path)))
    assert "is compressed" in scanner.verdict()
