"""Instances come and go: every community always has one master, and never two."""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from town import SESSION_TIMEOUT_MS, Town, town, until

from demo.london import synthesize
from shared.clock import system_clock
from shared.topics import partition_of

COMMUNITIES = tuple(f"town-{number}" for number in (1, 2, 3, 4, 5, 6, 10, 17))
MEMBERS_EACH = 30


def masterships(running: Town, service: str) -> dict[int, list[tuple[int, str, str]]]:
    """By partition: (at_ms, "begins" or "ends", instance), in the order of time, as the instances logged it."""
    found: dict[int, list[tuple[int, str, str]]] = {}
    for event, what in (("partition_mastered", "begins"), ("partition_released", "ends"), ("partition_let_go", "ends")):
        for line in running.log_lines(service, event):
            found.setdefault(line["partition"], []).append((line["at_ms"], what, line["instance"]))
    return {
        partition: sorted(changes, key=lambda change: (change[0], change[1] == "begins"))
        for partition, changes in found.items()
    }


def check_masterships(running: Town, service: str) -> None:
    """Never two masters at a time, and never none for longer than the session time-out."""
    for partition, changes in masterships(running, service).items():
        master: str | None = None
        without_since_ms: int | None = None
        for at_ms, what, instance in changes:
            if what == "begins":
                assert master is None, f"{service}/{partition}: {instance} while {master} was master"
                if without_since_ms is not None:
                    gap_ms = at_ms - without_since_ms
                    assert gap_ms <= SESSION_TIMEOUT_MS, f"{service}/{partition}: {gap_ms} ms without a master"
                master = instance
            elif master == instance:
                master, without_since_ms = None, at_ms
        assert master is not None, f"{service}/{partition} has no master in the end"


def in_communities(count_each: int, seed: int) -> list[dict[str, Any]]:
    events = synthesize(count_each * len(COMMUNITIES), seed)
    for number, event in enumerate(events):
        event["data"]["community"] = COMMUNITIES[number % len(COMMUNITIES)]
    return events


@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_a_third_instance_joins_and_one_is_stopped(tmp_path: Path) -> None:
    assert {partition_of(name, 8) for name in COMMUNITIES} == set(range(8)), "each community a partition of its own"
    async with (
        town(tmp_path, communities=COMMUNITIES, instances=2) as running,
        httpx.AsyncClient(timeout=20) as partner,
    ):
        events = in_communities(MEMBERS_EACH, seed=3)
        signing_up = asyncio.create_task(running.sign_up(events, partner, pause_seconds=2.0))
        for service in ("matcher", "notifier", "intake"):
            await running.add(service)
        for name in ("matcher-1", "notifier-2", "intake-2"):
            await running.services[name].stop()
        await signing_up
        await running.settled()
        await running.observer.caught_up(within_seconds=60)

        assert running.auditor.violations() == []
        assert running.auditor.summary().signed_up == len(events)
        assert {introduction.community for introduction in running.auditor.introductions.values()} == set(COMMUNITIES)
        for service in ("matcher", "notifier"):
            check_masterships(running, service)


@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_a_matcher_that_slept_past_its_session_commits_nothing(tmp_path: Path) -> None:
    def mastered(instance: str, after_ms: int = 0) -> list[dict[str, Any]]:
        lines = running.log_lines("matcher", "partition_mastered")
        return [line for line in lines if line["instance"] == instance and line["at_ms"] > after_ms]

    async with (
        town(tmp_path, communities=COMMUNITIES) as running,
        httpx.AsyncClient(timeout=20) as partner,
    ):
        await running.add("matcher")
        await until(lambda: len(mastered("matcher-2")) >= len(COMMUNITIES) // 2)
        sleeper = running.services["matcher-1"]
        await running.sign_up(in_communities(MEMBERS_EACH, seed=4), partner, pause_seconds=0.1)
        sleeper.send(signal.SIGSTOP)
        asleep_ms = system_clock()
        # More people arrive in its communities, so that it has something to commit the moment it wakes.
        await running.sign_up(in_communities(MEMBERS_EACH, seed=5), partner, pause_seconds=0.1)
        await until(lambda: {line["partition"] for line in mastered("matcher-2", asleep_ms)} == set(range(8)))
        await running.settled()

        sleeper.send(signal.SIGCONT)
        awake_ms = system_clock()
        await until(lambda: len(mastered("matcher-1", awake_ms)) > 0)
        again_ms = min(line["at_ms"] for line in mastered("matcher-1", awake_ms))
        committed = [
            line
            for line in running.log_lines("matcher", "round_committed")
            if line["instance"] == "matcher-1" and awake_ms <= _at_ms(line) < again_ms
        ]
        assert committed == []
        await running.settled()
        await running.observer.caught_up(within_seconds=60)
        assert running.auditor.violations() == []


def _at_ms(line: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000)
