"""When a round begins, and what operators are told of it: without Kafka, the topics being lists."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from matcher_people import LONDON, NOW_MS, crowd
from prometheus_client import CollectorRegistry

from services.matcher.replay import run_again
from services.matcher.runner import RoundRunner
from services.matcher.settings import MatcherSettings
from services.matcher.state import MatcherState
from shared import topics
from shared.contracts import Profile, Suggestion
from shared.kafka.mastership import MasteredPartition
from shared.metrics import MatcherMetrics
from shared.outgoing import Outgoing
from shared.topics import partition_of

PARTITIONS = 8


class OnePartition:
    """A mastership of one partition. What is committed comes back from the topic when `deliver` is called."""

    def __init__(self) -> None:
        self.partition: MasteredPartition[MatcherState] = MasteredPartition(
            number=partition_of("london", PARTITIONS), state=MatcherState(), producers={},
            applied={"profiles": 0, "suggestions": 0}, ends={}, reported={}, since_ms=0, restored=True,
        )  # fmt: skip
        self.log: list[tuple[str, Profile | Suggestion]] = []
        """What lies on the topics."""

    def masters(self) -> list[MasteredPartition[MatcherState]]:
        return [self.partition]

    async def commit(self, _partition: Any, _role: str, records: Sequence[Outgoing]) -> None:
        for record in records:
            assert record.value is not None
            self.log.append((record.topic, Suggestion.model_validate_json(record.value)))

    def sign_up(self, people: Sequence[Profile]) -> None:
        self.log += [(topics.PROFILES.name, each) for each in people]
        self.deliver(topics.PROFILES.name)

    def deliver(self, topic: str) -> None:
        records = [record for where, record in self.log if where == topic]
        for record in records[self.partition.applied[topic] :]:
            self.partition.state.apply(topic, record.key, record)
        self.partition.applied[topic] = len(records)

    def committed(self) -> list[Suggestion]:
        return [record for _, record in self.log if isinstance(record, Suggestion)]


class Ticking:
    """A clock that moves on by half a second whenever somebody looks at it."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return NOW_MS + 500 * self.looks


async def some_turns(runner: RoundRunner, clock: Ticking) -> None:
    """Long enough for a round that is due to begin and to end: the runner looks at the clock in between."""
    running = asyncio.create_task(runner.run())
    seen = clock.looks
    async with asyncio.timeout(60):
        while clock.looks < seen + 12:
            await asyncio.sleep(0.01)
    running.cancel()


def runner_of(mastership: OnePartition, metrics: MatcherMetrics, clock: Ticking, **changes: Any) -> RoundRunner:
    settings = MatcherSettings(round_interval_seconds=0.1, **changes)
    communities = MappingProxyType({"london": LONDON})
    return RoundRunner(mastership, communities, settings, metrics, clock, partitions=PARTITIONS)  # type: ignore[arg-type]


async def test_a_round_waits_for_what_was_committed_last_so_that_it_can_be_run_again() -> None:
    mastership, clock = OnePartition(), Ticking()
    runner = runner_of(mastership, MatcherMetrics(CollectorRegistry()), clock)
    mastership.sign_up(crowd(60))
    await some_turns(runner, clock)
    first = mastership.committed()
    assert len(first) > 5

    mastership.sign_up(crowd(90)[60:])
    await some_turns(runner, clock)
    assert mastership.committed() == first, "the offsets do not tell yet who is engaged"

    mastership.deliver(topics.SUGGESTIONS.name)
    await some_turns(runner, clock)
    second = mastership.committed()[len(first) :]
    assert second
    reference = second[0].round
    state = MatcherState()
    for topic, seen in reference.offsets.items():
        for record in [record for where, record in mastership.log if where == topic][:seen]:
            state.apply(topic, record.key, record)
    _, again = run_again(state, LONDON, reference)
    assert list(again) == [each for each in second if each.round.round == reference.round]


async def test_who_waits_and_who_was_never_suggested_anything_is_told() -> None:
    registry = CollectorRegistry()
    mastership, clock = OnePartition(), Ticking()
    lonely = crowd(1)[0].model_copy(
        update={
            "member": "m_lonely",
            "latitude": 51.3,
            "longitude": 0.2,
            "travel_km": 1.0,
            "accepted_at_ms": NOW_MS - 35_000,
        }
    )
    mastership.sign_up([*crowd(30, seed=4), lonely])
    runner = runner_of(mastership, MatcherMetrics(registry), clock, waiting_round_seconds=10)
    for _ in range(3):
        await some_turns(runner, clock)
        mastership.deliver(topics.SUGGESTIONS.name)

    state = mastership.partition.state.communities["london"]
    assert "m_lonely" in state.free
    never = state.profiles.keys() - {member for each in mastership.committed() for member in each.members}
    share = registry.get_sample_value("matcher_never_suggested_share", {"community": "london"})
    assert share == len(never) / len(state.profiles)
    waited = [
        registry.get_sample_value("matcher_waited_rounds", {"community": "london", "share": share})
        for share in ("0.5", "0.9", "0.99", "1")
    ]
    assert waited == sorted(waited)
    assert waited[-1] >= 3
