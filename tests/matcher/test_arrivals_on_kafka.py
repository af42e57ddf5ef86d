"""Newcomers are served between rounds by a real matcher on a real Kafka, and nobody else is touched."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from matcher_on_kafka import connection, files, matcher, people, suggestions, until, write

from demo.kafka import EmbeddedKafka
from services.matcher.arrivals import ENGINE
from services.matcher.policy import Policy
from shared import topics
from shared.clock import system_clock
from shared.contracts import PartnerRequest, PartnerRequestKind, Preference, PreferenceKind
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

TOWN = "town-1"
HOUR_SECONDS = 3600.0
SERVES = Policy(arrival_worth_percent=60, arrival_candidates_min=1)


@pytest.fixture
async def settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(found)
    return found


@pytest.mark.timeout(300)
async def test_newcomers_are_served_before_the_next_round_and_nobody_twice(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    folder = files(tmp_path, TOWN)
    await write(settings, topics.PROFILES, people(60, 0, TOWN))
    # The first round is at once, the next one in an hour.
    slow = {"round_interval_seconds": HOUR_SECONDS, "waiting_round_seconds": HOUR_SECONDS, "policy": SERVES}
    async with matcher(settings, folder, arrivals_at_once_max=100, **slow):
        await until(lambda found: len(found) > 5, settings, TOWN)
        by_round = await suggestions(settings, TOWN)
        assert {each.round.engine for each in by_round} != {ENGINE}
        taken = {member for each in by_round for member in each.members}

        away = [each.member for each in people(60, 0, TOWN) if each.member not in taken][:3]
        now_ms = system_clock()
        pause, left = away[:2], away[2:]
        pausing = [
            Preference(community=TOWN, member=member, kind=PreferenceKind.PAUSE, chosen_at_ms=now_ms)
            for member in pause
        ]
        await write(settings, topics.PREFERENCES, pausing)
        leaving = [
            PartnerRequest(community=TOWN, member=member, kind=PartnerRequestKind.LEFT, requested_at_ms=now_ms)
            for member in left
        ]
        await write(settings, topics.PARTNER_REQUESTS, leaving)
        for wave in range(1, 5):
            known = len(await suggestions(settings, TOWN))
            await write(settings, topics.PROFILES, people(25, wave, TOWN))
            await until(lambda found, known=known: len(found) > known + 2, settings, TOWN)
    everything = await suggestions(settings, TOWN)
    served = [each for each in everything if each.round.engine == ENGINE]
    assert len(served) == len(everything) - len(by_round)
    count = Counter(member for each in everything for member in each.members)
    assert set(count.values()) == {1}
    assert not set(away) & set(count)
    newcomers = {each.member for wave in range(1, 5) for each in people(25, wave, TOWN)}
    assert all(newcomers & set(each.members) for each in served)
    assert all(each.round.can_be_run_again and len(each.members) == 2 for each in served)

    answer = await asyncio.to_thread(connection, settings, folder, "explain", served[0].suggestion)
    assert answer.returncode == 1
    assert served[0].members[0] in answer.stdout
    assert "is no round" in answer.stderr


@pytest.mark.timeout(300)
async def test_none_are_served_unless_told(settings: KafkaSettings, tmp_path: Path) -> None:
    town = "town-2"
    folder = files(tmp_path, town)
    await write(settings, topics.PROFILES, people(40, 0, town))
    slow = {"round_interval_seconds": HOUR_SECONDS, "waiting_round_seconds": HOUR_SECONDS, "policy": SERVES}
    async with matcher(settings, folder, **slow):
        await until(lambda found: len(found) > 3, settings, town)
        known = len(await suggestions(settings, town))
        await write(settings, topics.PROFILES, people(40, 1, town))
        with pytest.raises(TimeoutError):
            await until(lambda found: len(found) > known, settings, town, within_seconds=3)
