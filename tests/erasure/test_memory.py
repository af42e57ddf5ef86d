"""What the services hold in memory of somebody who was erased: no word of theirs, wherever in the state one looks.

Every object that the state leads to is looked at, as the collector of garbage would; what the
test of a hundred canaries cannot see from outside the processes is seen here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from pydantic import BaseModel

from services.intake.erasures import Erasures
from services.matcher.state import MatcherState
from services.notifier.state import PartitionState
from shared import ids, topics
from shared.contracts import (
    Contact,
    ErasureOrder,
    Openness,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Profile,
    Record,
)
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings
from shared.slots import SLOTS

MEMBER = ids.member_id("london", "app", "canary")
WORDS = ("Zqcanary", "zqaddress@inbox.example", "zqwords I eat lunch alone", "zqinterest weaving")
CONTACT = Contact(
    community="london", member=MEMBER, first_name=WORDS[0], email=WORDS[1], locale="en-GB", own_words=WORDS[2],
    consent_wording="2026-11", accepted_at_ms=1,
)  # fmt: skip
PROFILE = Profile(
    community="london", member=MEMBER, partner="app", birth_year=1990, languages=("en",), place="Soho",
    latitude=51.5, longitude=-0.1, travel_km=5, interests=(WORDS[3],), available=SLOTS, looking_for=("friend",),
    openness=Openness(shares=3, listens=3, goes_first=3, depth=3), accepted_at_ms=1,
)  # fmt: skip
ASKED = {
    "by the member": (
        topics.PREFERENCES,
        Preference(community="london", member=MEMBER, kind=PreferenceKind.ERASE, chosen_at_ms=2),
    ),
    "by their app": (
        topics.PARTNER_REQUESTS,
        PartnerRequest(community="london", member=MEMBER, kind=PartnerRequestKind.ERASED, requested_at_ms=2),
    ),
    "by an operator": (topics.ERASURE_ORDERS, ErasureOrder(community="london", member=MEMBER, ordered_at_ms=2)),
}
_NOT_STATE = (type, ModuleType, FunctionType, BuiltinFunctionType)

by_whomever = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())


def held(state: object) -> Iterator[str]:
    """Every text that a state leads to. O(all that it holds)."""
    seen: set[int] = set()
    to_look_at: list[Any] = [state]
    while to_look_at:
        one = to_look_at.pop()
        if id(one) in seen or isinstance(one, _NOT_STATE):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            yield one if isinstance(one, str) else one.decode(errors="replace")
        elif isinstance(one, BaseModel):
            to_look_at.append(vars(one))
        else:
            # A bound method leads to the object that it is bound to.
            to_look_at += [*gc.get_referents(one), *([one.__self__] if hasattr(one, "__self__") else [])]


def known_of(state: object) -> set[str]:
    texts = list(held(state))
    return {word for word in WORDS if any(word in text for text in texts)}


@by_whomever
@pytest.mark.parametrize("tombstones_first", [False, True])
def test_the_notifier_and_the_matcher_hold_no_word(
    asked: tuple[topics.TopicSpec, Record], tombstones_first: bool
) -> None:
    for state, topic, record in (
        (PartitionState(), topics.CONTACTS, CONTACT),
        (MatcherState(), topics.PROFILES, PROFILE),
    ):
        state.apply(topic.name, record.key, record)
        assert known_of(state) == {word for word in WORDS if word in str(record)}, "one sees what is there"

        def forgotten(state: Any = state, topic: topics.TopicSpec = topic) -> None:
            state.apply(topic.name, MEMBER, None)

        def ask(state: Any = state) -> None:
            state.apply(asked[0].name, asked[1].key, asked[1])

        steps: list[Callable[[], None]] = [forgotten, ask] if tombstones_first else [ask, forgotten]
        steps[0]()
        assert known_of(state) == set(), "from the first that is heard of it"
        steps[1]()
        state.apply(topic.name, record.key, record)
        assert known_of(state) == set(), "and not again, whatever their app sends"


@by_whomever
async def test_intake_holds_no_word_of_what_it_drops(asked: tuple[topics.TopicSpec, Record]) -> None:
    published: list[Outgoing] = []

    async def publish(records: Any) -> None:
        published.extend(records)

    erasures = Erasures(KafkaSettings(), publish, lambda: 5)
    topic, record = asked
    erasures.take_in([_as_read(topic, record)])
    values = [Outgoing(topics.CONTACTS.name, "london", MEMBER, CONTACT.to_bytes())]
    assert known_of(values) == set(WORDS[:3])
    assert erasures.without_erased(values) == []
    await erasures.forget()
    assert {one.topic for one in published if one.value is None} == {"profiles", "contacts"}
    del values
    assert known_of(erasures) == set()


def _as_read(topic: topics.TopicSpec, record: Record) -> ConsumerRecord[bytes | None, bytes | None]:
    value = record.to_bytes()
    return ConsumerRecord(
        topic=topic.name, partition=0, offset=0, timestamp=2, timestamp_type=0, key=record.key.encode(), value=value,
        checksum=None, serialized_key_size=0, serialized_value_size=len(value), headers=(),
    )  # fmt: skip
