"""Each event once: what claims get, whatever the order and whoever is gone; and what a sender is told."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import httpx
import pytest
from endpoint import BATCH, STRUCTURED, InMemory, event
from hypothesis import given
from hypothesis import strategies as st

from services.intake.accept import Accepted
from services.intake.claims import Claims, Verdict
from services.intake.ledger import claim_of
from services.intake.stored import Wanted
from shared.contracts import EventType
from shared.contracts.claim import ENTRY_BYTES, NOBODY, Entry, Step, Way, from_bytes, to_bytes
from shared.outgoing import Outgoing

HOUR_MS = 3_600_000
LEASE_MS = 20_000
ME, OTHER = b"instance", b"another1"


def test_what_is_claimed_does_not_change_from_release_to_release() -> None:
    # For a day it is compared with what earlier releases wrote: another digest would be another body.
    records = (
        Outgoing("contacts", "london", "m_1", b'{"a":1,"accepted_at_ms":5}'),
        Outgoing("references", "london", "m_1", b'{"b":1,"accepted_at_ms":5}'),
        Outgoing("profiles", "london", "m_1", None),
    )
    event = Accepted(EventType.SIGNED_UP, "e-1", "book-app", "m_h4rntvyzihbeivxx6qa4fosqve", records, 7)
    assert claim_of(event, 9) == (
        Step.CLAIMED,
        bytes.fromhex("17373f517420026c6da768e82d3575eb"),
        bytes.fromhex("6f925f6ed64862d564f5dde917ee5c49"),
        b"h4rntvyzihbeivxx",
        7,
    )
    assert claim_of(event, 5).time_ms == 5, "what comes from the future came now"
    assert claim_of(event._replace(time_ms=None), 9).time_ms == 9


def claims() -> Claims:
    return Claims(remembered_ms=24 * HOUR_MS, lease_ms=LEASE_MS)


def entry(event: str, *, says: str = "a", member: str = "m", time_ms: int = 5, step: Step = Step.CLAIMED) -> Entry:
    return Entry(step, event.encode().ljust(16), says.encode().ljust(16), member.encode().ljust(16), time_ms)


def put(to: Claims, *entries: Entry, by: bytes = ME, at_ms: int = 0, way: Way = Way.HTTP) -> list[Verdict]:
    page = from_bytes(to_bytes(by, way, 1, entries))
    assert page is not None
    return to.apply(page, at_ms)


def test_the_first_has_it_and_the_others_wait_until_it_is_done() -> None:
    known = claims()
    assert put(known, entry("e"), entry("e")) == [Verdict.WON, Verdict.BUSY]
    assert put(known, entry("e"), by=OTHER) == [Verdict.BUSY]
    put(known, entry("e", step=Step.DONE))
    assert put(known, entry("e"), by=OTHER) == [Verdict.SEEN]
    assert put(known, entry("e", says="b")) == [Verdict.OTHER_BODY]


def test_nobody_ends_what_another_has_in_hand() -> None:
    known = claims()
    put(known, entry("e"))
    put(known, entry("e", step=Step.DONE), by=OTHER)
    assert put(known, entry("e")) == [Verdict.BUSY]


def test_what_was_given_up_or_left_lying_is_taken_over_by_one() -> None:
    known = claims()
    put(known, entry("given up"), entry("left", member="n"))
    put(known, entry("given up", step=Step.RELEASED))
    assert put(known, entry("given up", says="b"), entry("given up", says="b")) == [Verdict.WON_AGAIN, Verdict.BUSY]
    assert put(known, entry("left", member="n"), by=OTHER, at_ms=LEASE_MS - 1) == [Verdict.BUSY]
    assert put(known, entry("left", member="n"), by=OTHER, at_ms=LEASE_MS) == [Verdict.WON_AGAIN]
    assert put(known, entry("left", member="n"), at_ms=LEASE_MS) == [Verdict.BUSY]
    assert known.since_ms(entry("left").event) == 0


def test_who_reads_the_topic_now_is_the_heir_of_who_read_it_before() -> None:
    known = claims()
    put(known, entry("e"), way=Way.TOPIC)
    assert put(known, entry("e"), by=OTHER, way=Way.HTTP) == [Verdict.BUSY]
    assert put(known, entry("e"), by=OTHER, way=Way.TOPIC) == [Verdict.WON_AGAIN]


def test_of_two_events_about_a_member_the_newer_counts_whichever_comes_first() -> None:
    known = claims()
    assert put(known, entry("new", time_ms=9), entry("old", time_ms=8)) == [Verdict.WON, Verdict.STALE]
    assert put(known, entry("old", time_ms=8)) == [Verdict.STALE]
    assert put(known, entry("old", time_ms=8, says="b")) == [Verdict.OTHER_BODY]
    assert put(known, entry("newest", time_ms=9)) == [Verdict.WON]
    assert put(known, entry("of another", time_ms=1, member="n")) == [Verdict.WON]


def test_two_instances_keep_the_order_of_a_members_events() -> None:
    known = claims()
    put(known, entry("one", time_ms=1))
    assert put(known, entry("two", time_ms=2), by=OTHER) == [Verdict.BUSY]
    assert put(known, entry("two", time_ms=2)) == [Verdict.WON]
    put(known, entry("two", step=Step.DONE))
    assert put(known, entry("three", time_ms=3), by=OTHER) == [Verdict.WON]


def test_it_forgets_after_the_time_that_is_stated_and_not_before() -> None:
    known = claims()
    put(known, entry("e"), entry("k", member=""))
    put(known, entry("e", step=Step.DONE))
    assert put(known, entry("e"), at_ms=24 * HOUR_MS) == [Verdict.SEEN]
    assert put(known, entry("e", says="b"), at_ms=24 * HOUR_MS + 1) == [Verdict.WON]
    assert len(known) == 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from([ME, OTHER, b"the 3rd."]),
        st.sampled_from(["e1", "e2", "e3"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 3),
        st.sampled_from(Step),
        st.integers(0, LEASE_MS // 2),
    ),
    max_size=60,
)


class _TheLongWay(Claims):
    """Looks closely at each claim."""

    def _is_plainly_next(self, member: bytes, time_ms: int, instance: bytes) -> bool:
        return False


@given(STEPS, st.lists(st.sampled_from("mn"), min_size=60, max_size=60))
def test_the_short_way_for_most_claims_leads_where_the_long_one_does(
    steps: list[tuple[bytes, str, str, int, Step, int]], members: list[str]
) -> None:
    short, long = claims(), _TheLongWay(remembered_ms=24 * HOUR_MS, lease_ms=LEASE_MS)
    at_ms = 0
    for (by, name, says, time_ms, step, later_ms), member in zip(steps, members, strict=False):
        at_ms += later_ms
        one = entry(name, says=says, member=member, time_ms=time_ms, step=step)
        assert put(short, one, by=by, at_ms=at_ms) == put(long, one, by=by, at_ms=at_ms)


@given(STEPS)
def test_at_no_time_have_two_the_same_event_in_hand(steps: list[tuple[bytes, str, str, int, Step, int]]) -> None:
    known, twin = claims(), claims()
    at_ms = 0
    holder: dict[str, tuple[bytes, int]] = {}
    done: set[str] = set()
    for by, name, says, time_ms, step, later_ms in steps:
        at_ms += later_ms
        one = entry(name, says=says, time_ms=time_ms, step=step)
        verdicts = put(known, one, by=by, at_ms=at_ms)
        assert verdicts == put(twin, one, by=by, at_ms=at_ms), "every instance judges alike"
        if step is not Step.CLAIMED:
            if name in holder and holder[name][0] == by:
                del holder[name]
                if step is Step.DONE:
                    done.add(name)
        elif verdicts[0] in (Verdict.WON, Verdict.WON_AGAIN):
            assert name not in done
            assert name not in holder or at_ms - holder[name][1] >= LEASE_MS
            holder[name] = (by, at_ms)


@pytest.mark.parametrize(
    "value", [b"", b"c1", b"c2" + bytes(13), b"c1" + bytes(14), b"c1" + bytes(13 + ENTRY_BYTES - 1)]
)
def test_bytes_that_are_no_page(value: bytes) -> None:
    assert from_bytes(value) is None


# What was stored


def test_of_what_others_wrote_nothing_but_the_key_is_looked_at() -> None:
    looked_at: list[str] = []

    def opened(key: str, value: bytes | None) -> bytes | None:
        looked_at.append(key)
        return value and value.removeprefix(b"sealed ")

    records = [
        Outgoing("contacts", "london", "m_mine", b'{"a":1,"accepted_at_ms":5}'),
        Outgoing("profiles", "london", "m_mine", b'{"b":1,"accepted_at_ms":5}'),
    ]
    wanted = Wanted(records, opened)
    assert wanted.number_of("contacts", "m_somebody", b'sealed {"a":1,"accepted_at_ms":7}') is None
    assert looked_at == []
    assert wanted.number_of("contacts", "m_mine", b'sealed {"a":1,"accepted_at_ms":7}') == 0
    assert wanted.number_of("contacts", "m_mine", b'sealed {"a":2,"accepted_at_ms":7}') is None
    assert wanted.number_of("contacts", "m_mine", None) is None
    assert wanted.number_of("profiles", "m_mine", b'{"b":1,"accepted_at_ms":7}') == 1
    assert looked_at == ["m_mine"] * 3, "profiles are never sealed"
    forgotten = Wanted([Outgoing("contacts", "london", "m_mine", None)])
    assert forgotten.number_of("contacts", "m_mine", None) == 0


# What a sender is told


def test_the_same_again_gets_the_same_answer_and_is_stored_once() -> None:
    intake = InMemory()
    answers = [intake.post(event("a")) for _ in range(3)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    in_a_batch = intake.post([event("a")], BATCH)
    assert in_a_batch.json()["results"][0] == {"status": 202, **answers[0].json()}
    assert len(intake.published) == 2


def test_the_same_id_for_something_else_is_refused() -> None:
    intake = InMemory()
    intake.post(event("a"))
    changed = copy.deepcopy(event("a"))
    changed["data"]["travel_km"] = 9
    assert intake.post(changed).status_code == 422
    assert intake.post(event("b", id="event of a")).json()["type"].endswith("/other-body")
    assert intake.post([changed, event("c")], BATCH).status_code == 207
    assert len(intake.published) == 4


def test_an_id_is_its_partners_own() -> None:
    intake = InMemory()
    intake.post(event("a"))
    assert intake.post(event("b", id="event of a", source="chess-app"), key="mellon").status_code == 202


def test_an_idempotency_key_stands_for_one_body() -> None:
    intake = InMemory()
    headers = STRUCTURED | {"idempotency-key": "k-1"}
    first = intake.post(event("a"), headers)
    assert (first.status_code, intake.post(event("a"), headers).content) == (202, first.content)
    assert intake.post(event("b"), headers).status_code == 422
    assert intake.post(event("b", source="chess-app"), headers, key="mellon").status_code == 202
    for bad in ("", "x" * 201):
        assert intake.post(event("c"), STRUCTURED | {"idempotency-key": bad}).status_code == 422


def test_a_key_whose_event_was_refused_may_be_used_again() -> None:
    intake = InMemory()
    headers = STRUCTURED | {"idempotency-key": "k-1"}
    wrong: dict[str, Any] = event("a", specversion="0.3")
    assert intake.post(wrong, headers).status_code == 422
    assert intake.post(event("a"), headers).status_code == 202


def test_an_older_update_changes_nothing_and_says_so() -> None:
    intake = InMemory()
    intake.post(event("a", id="2", time="2026-11-22T10:00:01Z"))
    late = intake.post(event("a", id="1", time="2026-11-22T10:00:00Z"))
    assert (late.status_code, late.json()["superseded"]) == (202, True)
    assert intake.post(event("a", id="1", time="2026-11-22T10:00:00Z")).content == late.content
    assert len(intake.published) == 2


def test_a_time_in_the_future_counts_as_now() -> None:
    intake = InMemory()
    intake.post(event("a", id="1", time="2036-11-22T10:00:00Z"))
    intake.now_ms += 1
    assert "superseded" not in intake.post(event("a", id="2")).json()


def test_what_was_given_up_half_stored_is_stored_to_the_end() -> None:
    intake = InMemory()
    publish = intake.ledger._publish

    async def half(records: Any) -> None:
        intake.published.append(records[0])
        raise TimeoutError

    intake.ledger._publish = half
    assert intake.post(event("a")).status_code == 503
    intake.ledger._publish = publish
    intake.now_ms += 1_000
    assert intake.post(event("a")).status_code == 202
    assert [record.topic for record in intake.published] == ["contacts", "profiles"]


def test_pages_that_are_not_acknowledged_fail_those_who_wait_and_no_others() -> None:
    intake = InMemory()
    send = intake.ledger.send

    async def failing(*_: Any) -> None:
        raise TimeoutError

    intake.ledger.send = failing  # type: ignore[method-assign]
    assert intake.post(event("a")).status_code == 503
    intake.ledger.send = send  # type: ignore[method-assign]
    assert intake.post(event("a")).status_code == 202


def test_fifty_at_once_are_one() -> None:
    intake = InMemory()

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=intake.app), base_url="http://intake") as client:
            headers = STRUCTURED | {"authorization": "Bearer sesame"}
            asked = [client.post("/v1/events", json=event("a"), headers=headers) for _ in range(50)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    statuses = asyncio.run(ask())
    assert 202 in statuses
    assert set(statuses) <= {202, 409}
    assert len(intake.published) == 2


def test_a_claim_about_nobody_is_never_too_old() -> None:
    known = claims()
    keys = [Entry(Step.CLAIMED, name * 16, b"d" * 16, NOBODY, 0) for name in (b"a", b"b")]
    assert put(known, *keys) == [Verdict.WON, Verdict.WON]
