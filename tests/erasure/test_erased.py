"""Who is to be forgotten, whoever asked and in whichever order it is read; and what the proof sees."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from connection.erase_proof import Finding, Needles, in_segments
from services.matcher.state import MatcherState
from shared.contracts import (
    Erasure,
    ErasureOrder,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Record,
    Service,
)
from shared.erased import ErasedMembers

M = "m_a"
GZIP = 1
WAYS: tuple[tuple[str, Record], ...] = (
    ("preferences", Preference(community="london", member=M, kind=PreferenceKind.ERASE, chosen_at_ms=1)),
    (
        "partner-requests",
        PartnerRequest(community="london", member=M, kind=PartnerRequestKind.ERASED, requested_at_ms=1),
    ),
    ("erasure-orders", ErasureOrder(community="london", member=M, ordered_at_ms=1)),
)
LEFT = (
    "partner-requests",
    PartnerRequest(community="london", member=M, kind=PartnerRequestKind.LEFT, requested_at_ms=2),
)
SAID = ("erasures", Erasure(community="london", member=M, service=Service.MATCHER, forgotten_at_ms=3))


@pytest.mark.parametrize("way", WAYS, ids=[topic for topic, _ in WAYS])
def test_every_way_is_said_once_whatever_is_read_first(way: tuple[str, Record]) -> None:
    for records in permutations([way, LEFT, SAID]):
        erased = ErasedMembers(Service.MATCHER)
        for topic, record in records:
            erased.apply(topic, record.key, record)
        assert M in erased
        assert erased.unacknowledged() == [], "what was said before a restart is not said again"
    unsaid = ErasedMembers(Service.INTAKE)
    for topic, record in (way, LEFT, SAID):
        unsaid.apply(topic, record.key, record)
    assert unsaid.unacknowledged() == [("london", M)], "another service's word is not ours"


@pytest.mark.parametrize("way", WAYS, ids=[topic for topic, _ in WAYS])
def test_the_matcher_knows_of_all_ways(way: tuple[str, Record]) -> None:
    state = MatcherState()
    state.apply(way[0], way[1].key, way[1])
    assert M in state.erased
    state.apply("erasures", SAID[1].key, SAID[1])
    assert state.erased.unacknowledged() == []


def test_a_leave_does_not_take_the_place_of_an_erasure() -> None:
    assert WAYS[1][1].key != LEFT[1].key


@pytest.mark.parametrize("compression", [0, GZIP])
def test_the_proof_sees_into_batches_of_every_kind(tmp_path: Path, compression: int) -> None:
    folder = tmp_path / "contacts-0"
    folder.mkdir()
    batch = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 100_000)
    filler = "x" * 2_000
    batch.append(0, 0, b"m_a", f'{{"first_name":"Zoë","own":"{filler}"}}'.encode(), [])
    segment = folder / "00000000000000000000.log.deleted"
    segment.write_bytes(bytes(batch.build()))
    assert list(in_segments(tmp_path, Needles(["nobody", "ZOË".lower()]))) == [
        Finding("segment", "contacts-0/00000000000000000000.log.deleted", 0, 2)
    ]
    segment.unlink()
    assert list(in_segments(tmp_path, Needles(["zoë"]))) == []


def test_the_proof_knows_json_and_case() -> None:
    needles = Needles(["Zoë Quill", "zq@inbox.example"])
    assert [what for what, _ in needles.found_in(b'{"a": "Zo\\u00eb Quill <ZQ@INBOX.example>"}')] == [1, 2]
    assert list(needles.found_in(b"unrelated")) == []


@pytest.mark.parametrize("lines", [[], [" "], ["a name", "ab"]])
def test_what_would_be_found_everywhere_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"nothing to look for|line 2"):
        Needles(lines)
