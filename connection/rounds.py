"""Finding a round on the topics, and running it again: what `connection replay` and `connection explain` share."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import NoReturn

import typer
from aiokafka import ConsumerRecord

from connection.terminal import ask, kafka
from services.matcher.replay import Comparison, compare, run_again
from services.matcher.round import Round
from services.matcher.state import READS, MatcherState
from shared import topics
from shared.community import Community, CommunityFileError
from shared.contracts import RoundReference, Suggestion
from shared.kafka.codec import BadMessage, decode
from shared.kafka.reading import read_from_the_start, reading
from shared.settings import KafkaSettings, ServiceSettings
from shared.topics import partition_of

_CLOCKS_APART_MS_MAX = 5_000
"""Records are stamped by whoever writes them; their clocks may differ by so much."""
_GOES_AWAY_BY = {
    topics.PROFILES.name,
    topics.PARTNER_REQUESTS.name,
    topics.PREFERENCES.name,
    topics.PARTNER_PREFERENCES.name,
    topics.REVIEW_ORDERS.name,
    topics.ERASURE_ORDERS.name,
}


@dataclass(slots=True)
class RecordedRound:
    """A round as it stands on the topic."""

    community: str
    reference: RoundReference
    committed_at_ms: int
    suggestions: dict[str, Suggestion] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    """The bytes of each suggestion, as they are on the topic now."""


@dataclass(frozen=True, slots=True)
class RunAgain:
    """A round that was run again, beside what stands on the topic."""

    recorded: RecordedRound
    state: MatcherState
    """As the round saw it."""
    community: Community
    round: Round
    suggestions: tuple[Suggestion, ...]
    comparison: Comparison


async def read_rounds(settings: KafkaSettings, community: str | None = None) -> list[RecordedRound]:
    """All rounds that suggested somebody, whole, in the order in which they were committed.

    Reads the suggestions of one community's partition, or of all partitions.
    """
    numbers = range(settings.partitions) if community is None else [partition_of(community, settings.partitions)]
    rounds: dict[str, RecordedRound] = {}
    async with reading(settings) as reader:
        for number in numbers:
            async for record in read_from_the_start(reader, topics.SUGGESTIONS.name, number):
                suggestion = _suggestion(record)
                if suggestion is None or community not in (None, suggestion.community):
                    continue
                round_ = rounds.setdefault(
                    suggestion.round.round,
                    RecordedRound(suggestion.community, suggestion.round, record.timestamp),
                )
                round_.suggestions[suggestion.key] = suggestion
                round_.values[suggestion.key] = record.value
    return sorted(rounds.values(), key=lambda round_: round_.committed_at_ms)


def rounds_on_the_topic(community: str | None = None) -> tuple[KafkaSettings, list[RecordedRound]]:
    """The same, and how Kafka was reached; ends the command if it cannot be, or if what a replay reads may not be."""

    async def read() -> tuple[KafkaSettings, list[RecordedRound]]:
        settings = await kafka(topics.SUGGESTIONS, *READS)
        return settings, await read_rounds(settings, community)

    return ask(read())


async def run_recorded(settings: KafkaSettings, recorded: RecordedRound, community: Community) -> RunAgain:
    """Fold the topics up to where the round had read them, run it again, and compare.

    Raises `ReplayError` if it cannot be run again.
    """
    state, gone = await _fold(settings, recorded)
    round_, suggestions = run_again(state, community, recorded.reference)
    comparison = compare(recorded.values, suggestions, gone)
    return RunAgain(recorded, state, community, round_, suggestions, comparison)


async def _fold(settings: KafkaSettings, recorded: RecordedRound) -> tuple[MatcherState, set[str]]:
    """The state that the round saw, and who went away between that and its commit."""
    state, gone = MatcherState(), set[str]()
    partition = partition_of(recorded.community, settings.partitions)
    async with reading(settings) as reader:
        for topic in READS:
            seen = recorded.reference.offsets.get(topic.name, 0)
            async for record in read_from_the_start(reader, topic.name, partition):
                try:
                    key, value = decode(record.topic, record.key, record.value)
                except BadMessage:
                    continue  # the matcher passed it over too
                if record.offset < seen:
                    state.apply(topic.name, key, value)
                elif record.timestamp > recorded.committed_at_ms + _CLOCKS_APART_MS_MAX:
                    break
                elif topic.name in _GOES_AWAY_BY and (value is None or topic is not topics.PROFILES):
                    # Who it is from, and whom it is about: a report can be the one that holds somebody for review.
                    gone.update(part for part in key.split("/") if part.startswith("m_"))
    return state, gone


def _suggestion(record: ConsumerRecord) -> Suggestion | None:
    try:
        _, value = decode(record.topic, record.key, record.value)
    except BadMessage:
        return None
    return value if isinstance(value, Suggestion) else None


def stop(reason: object, status: int = 1) -> NoReturn:
    """End the command with a reason on standard error."""
    typer.echo(str(reason), err=True)
    sys.exit(status)


def community_called(name: str) -> Community:
    """A community by its id, from COMMUNITIES_DIR; ends the command if there is none."""
    try:
        communities = ServiceSettings().communities()
    except CommunityFileError as error:
        stop(error, 2)
    if name not in communities:
        stop(f"there is no community {name}; COMMUNITIES_DIR has: {', '.join(sorted(communities))}", 2)
    return communities[name]
