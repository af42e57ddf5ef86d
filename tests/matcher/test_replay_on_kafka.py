"""Rounds of a real matcher on a real Kafka, run again from the topics: the same, or told how they differ."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from matcher_on_kafka import OPENER_WINDOW_MS, connection, files, matcher, people, suggestions, until, write

from connection.rounds import read_rounds, run_recorded
from demo.kafka import EmbeddedKafka
from services.matcher.policy import Policy
from services.matcher.replay import reference_for, run
from services.matcher.settings import MatcherSettings
from services.matcher.state import MatcherState
from shared import topics
from shared.clock import system_clock
from shared.contracts import (
    ClosingReason,
    Introduction,
    IntroductionState,
    Preference,
    PreferenceKind,
    Suggestion,
)
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import client_options, new_reader
from shared.settings import KafkaSettings
from shared.topics import TopicSpec, partition_of


@pytest.fixture
async def settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(found)
    return found


@pytest.mark.timeout(300)
async def test_every_round_of_a_town_is_the_same_when_it_is_run_again(settings: KafkaSettings, tmp_path: Path) -> None:
    # Two communities in one partition: their suggestions lie among each other.
    one = "town-1"
    other = next(
        name for n in range(2, 99) if partition_of(name := f"town-{n}", 8) == partition_of(one, settings.partitions)
    )
    folder = files(tmp_path, one, other)
    async with matcher(settings, folder):
        for wave in range(4):
            known = await suggestions(settings, one)
            await write(settings, topics.PROFILES, people(30, wave, one))
            await write(settings, topics.PROFILES, people(12, wave, other))
            if known:
                await write(settings, topics.INTRODUCTIONS, [declined(each) for each in known[:4]])
                await write(settings, topics.PREFERENCES, [pause(each.members[0]) for each in known[2:6]])
            await until(lambda found, known=known: len(found) > len(known) + 3, settings, one)
        await until(lambda found: len(found) > 3, settings, other)
    rounds = [*await read_rounds(settings, one), *await read_rounds(settings, other)]
    assert len(await read_rounds(settings, one)) >= 4
    newest = (await read_rounds(settings, one))[-1]
    for recorded in rounds:
        london = MatcherSettings(COMMUNITIES_DIR=folder).communities()[recorded.community]  # type: ignore[call-arg]
        again = await run_recorded(settings, recorded, london)
        assert again.comparison.is_same, again.comparison
        assert len(again.comparison.same) == len(recorded.suggestions)

    answer = await asyncio.to_thread(connection, settings, folder, "replay", newest.reference.round)
    assert (answer.returncode, "The same." in answer.stdout) == (0, True), answer.stdout + answer.stderr
    suggestion = next(iter(newest.suggestions.values()))
    answer = await asyncio.to_thread(connection, settings, folder, "explain", suggestion.key, "--json")
    told = json.loads(answer.stdout)
    assert [each["member"] for each in told["members"]] == list(suggestion.members)
    assert told["suggestion"] == suggestion.model_dump(mode="json")
    answer = await asyncio.to_thread(connection, settings, folder, "explain", suggestion.key)
    assert (answer.returncode, suggestion.members[0] in answer.stdout) == (0, True), answer.stdout + answer.stderr

    # The file of the community is edited: what it said then is on record.
    (folder / f"{one}.yaml").write_text(
        (folder / f"{one}.yaml").read_text() + "\nage_gap_years_max: 1\nadults_from_age: 40\n"
    )
    answer = await asyncio.to_thread(connection, settings, folder, "replay", "--community", one, "--json")
    assert (answer.returncode, json.loads(answer.stdout)["outcome"]) == (0, "the same"), answer.stdout + answer.stderr

    # One suggestion is not what the round suggested.
    first = next(iter(newest.suggestions.values()))
    tampered = first.model_copy(update={"opener": None, "slot": "mon-morning"})
    await write(settings, topics.SUGGESTIONS, [tampered])
    answer = await asyncio.to_thread(connection, settings, folder, "replay", newest.reference.round)
    assert answer.returncode == 1
    assert f"{first.key} differs" in answer.stdout
    assert "slot" in answer.stdout

    # Half of the profiles are gone, as after compaction: that is told from a round that differs.
    await forget(settings, topics.PROFILES, partition_of(one, settings.partitions), 60)
    last = newest.reference.round
    answer = await asyncio.to_thread(connection, settings, folder, "replay", last)
    assert (answer.returncode, "do not hold any more" in answer.stderr) == (1, True), answer.stdout + answer.stderr


def declined(suggestion: Suggestion) -> Introduction:
    return Introduction(
        community=suggestion.community,
        introduction=suggestion.suggestion,
        suggestion=suggestion,
        state=IntroductionState.CLOSED,
        said_no=suggestion.members[:1],
        proposed_at_ms=suggestion.suggested_at_ms,
        answer_by_ms=suggestion.suggested_at_ms + 1,
        closed_at_ms=system_clock(),
        closing_reason=ClosingReason.DECLINED,
    )


def pause(member: str, community: str = "town-1", until_ms: int | None = None) -> Preference:
    return Preference(
        community=community,
        member=member,
        kind=PreferenceKind.PAUSE,
        chosen_at_ms=system_clock(),
        until_ms=until_ms or system_clock() + 2_000,
    )


async def forget(settings: KafkaSettings, topic: TopicSpec, partition: int, before: int) -> None:
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    # Kafka deletes up to an offset only where a topic is not compacted.
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, {"cleanup.policy": "delete"})])
    await admin.delete_records({TopicPartition(topic.name, partition): RecordsToDelete(before_offset=before)})
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, {"cleanup.policy": "compact"})])
    await admin.close()


async def test_what_was_dropped_because_somebody_had_gone_is_no_difference(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    town = "town-77"
    folder = files(tmp_path, town)
    london = MatcherSettings(COMMUNITIES_DIR=folder).communities()[town]  # type: ignore[call-arg]
    crowd_ = people(40, 9, town)
    await write(settings, topics.PROFILES, crowd_)
    state = MatcherState()
    for person in crowd_:
        state.apply(topics.PROFILES.name, person.key, person)
    reference = reference_for(
        london, Policy(), offsets=await ends(settings, town), seed=0, now_ms=system_clock(),
        waiting_round_seconds=60, opener_window_ms=OPENER_WINDOW_MS,
    )  # fmt: skip
    seen = state.round_input(town, reference.now_ms, opener_window_ms=OPENER_WINDOW_MS)
    _, found = run(london, seen, Policy(), reference)
    gone, lost, *rest = found
    await write(settings, topics.PREFERENCES, [pause(gone.members[1], town)])
    await write(settings, topics.SUGGESTIONS, [lost, *rest])
    answer = await asyncio.to_thread(connection, settings, folder, "replay", "--community", town)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "1 were dropped" in answer.stdout
    assert gone.suggestion in answer.stdout


async def ends(settings: KafkaSettings, community: str) -> dict[str, int]:
    reader = new_reader(settings)
    await reader.start()
    partition = partition_of(community, settings.partitions)
    places = [TopicPartition(topic.name, partition) for topic in (topics.PROFILES, topics.PREFERENCES)]
    found: dict[TopicPartition, int] = await reader.end_offsets(places)
    await reader.stop()
    return {place.topic: end for place, end in found.items()}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "--community"),
        (("r_nobody",), 1, "no suggestion of round r_nobody"),
        (("--community", "atlantis"), 1, "no suggestion of any round of atlantis"),
    ],
)
async def test_a_question_that_makes_no_sense_is_answered_plainly(
    arguments: tuple[str, ...], status: int, message: str, settings: KafkaSettings, tmp_path: Path
) -> None:
    answer = await asyncio.to_thread(connection, settings, files(tmp_path, "town-1"), "replay", *arguments)
    assert answer.returncode == status
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
