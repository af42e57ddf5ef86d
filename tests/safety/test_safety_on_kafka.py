"""Held, removed and cleared on a real Kafka, by the operator's own commands; and no reporter anywhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from matcher_on_kafka import connection, files, matcher, people, suggestions, until, write
from pydantic import SecretStr

from demo.kafka import EmbeddedKafka
from services.notifier.app import build_app
from services.notifier.settings import NotifierSettings
from shared import topics
from shared.clock import system_clock
from shared.contracts import (
    ClosingReason,
    Introduction,
    IntroductionState,
    PartnerPreference,
    PartnerPreferenceKind,
    Preference,
    PreferenceKind,
)
from shared.ids import member_id
from shared.kafka.admin import ensure_topics
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings

TOWN = "town-1"
PATIENCE_SECONDS = 60


@pytest.fixture
async def settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(found)
    return found


@pytest.mark.timeout(300)
async def test_who_is_reported_or_paused_is_suggested_to_nobody_until_an_operator_or_the_partner_says_so(
    settings: KafkaSettings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = files(tmp_path, TOWN)
    crowd = people(40, 0, TOWN)
    held, removed, paused, *others = (each.member for each in crowd)
    reporters = [each.member for each in people(6, 9, TOWN)]
    now_ms = system_clock()
    reports = [
        Preference(community=TOWN, member=who, kind=PreferenceKind.REPORT, chosen_at_ms=now_ms + at, about=about)
        for about, some in ((held, reporters[:3]), (removed, reporters[3:]))
        for at, who in enumerate(some)
    ]
    pause = PartnerPreference(community=TOWN, member=paused, kind=PartnerPreferenceKind.PAUSE, chosen_at_ms=now_ms)
    blocks = [
        PartnerPreference(community=TOWN, member=others[0], kind=PartnerPreferenceKind.BLOCK, chosen_at_ms=now_ms,
                          about=other)
        for other in others[1:]
    ]  # fmt: skip
    await write(settings, topics.PREFERENCES, reports)
    await write(settings, topics.PARTNER_PREFERENCES, [pause, *blocks])
    assert await _ordered(settings, folder, "remove", removed) == 0
    await write(settings, topics.PROFILES, crowd)
    said = ""
    async with matcher(settings, folder):
        await until(lambda found: len(found) > 3, settings, TOWN)
        taken = {member for each in await suggestions(settings, TOWN) for member in each.members}
        assert not taken & {held, removed, paused, others[0]}, "others[0] has blocked everybody there was"

        known = await suggestions(settings, TOWN)
        pair = next(each for each in known if len(each.members) == 2)
        once = Introduction(
            community=TOWN, introduction=pair.suggestion, suggestion=pair.model_copy(update={"members": (held,)}),
            state=IntroductionState.CLOSED, introduced=(held, reporters[0]), proposed_at_ms=now_ms,
            answer_by_ms=now_ms, closed_at_ms=now_ms, closing_reason=ClosingReason.SETTLED,
        )  # fmt: skip
        await write(settings, topics.INTRODUCTIONS, [once])
        async with _notifier(settings, folder) as metrics:
            await _reaches(metrics, 1.0)
            answer = await asyncio.to_thread(connection, settings, folder, "review", "list", "--json")
            told = json.loads(answer.stdout)
            assert [(one["member"], one["reports"]) for one in told["held"]] == [(held, 3)]
            assert [one["introduction"] for one in told["held"][0]["introductions"]] == [pair.suggestion]
            assert [one["member"] for one in told["removed"]] == [removed]
            table = await asyncio.to_thread(connection, settings, folder, "review", "list")
            assert held in table.stdout
            said += answer.stdout + answer.stderr + table.stdout + table.stderr
            assert await _ordered(settings, folder, "clear", held) == 0
            await _reaches(metrics, 0.0)
            said += await metrics()
        ended = pause.model_copy(update={"until_ms": now_ms - 1, "chosen_at_ms": system_clock()})
        await write(settings, topics.PARTNER_PREFERENCES, [ended])
        # People just like the two of them, so that there is somebody for them.
        alike = [
            one.model_copy(update={"member": member_id(TOWN, "alike", f"{one.member}-{number}")})
            for one in (crowd[0], crowd[2])
            for number in range(5)
        ]
        await write(settings, topics.PROFILES, [*people(20, 1, TOWN), *alike])
        await until(lambda found: {held, paused} <= {m for each in found for m in each.members}, settings, TOWN)
        assert removed not in {member for each in await suggestions(settings, TOWN) for member in each.members}
    out, err = capfd.readouterr()
    assert not any(reporter in said + out + err for reporter in reporters), "lists, metrics, logs: no reporter"


@pytest.mark.timeout(120)
async def test_a_command_that_makes_no_sense_says_what_would(settings: KafkaSettings, tmp_path: Path) -> None:
    answer = await asyncio.to_thread(connection, settings, files(tmp_path, TOWN), "review", "clear", "m_nobody")
    assert answer.returncode == 1
    assert "connection review list" in answer.stderr
    assert "Traceback" not in answer.stderr


async def _ordered(settings: KafkaSettings, folder: Path, *order: str) -> int:
    return (await asyncio.to_thread(connection, settings, folder, "review", *order)).returncode


class _notifier:  # noqa: N801  # read as a context manager
    """A notifier without a mail server; gives its metrics."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        facts = NotifierSettings(link_secret=SecretStr("a secret for the tests only"), COMMUNITIES_DIR=folder)
        self._app = build_app(facts, settings, Lifeline())
        self._running = self._app.router.lifespan_context(self._app)

    async def __aenter__(self) -> _notifier:
        await self._running.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._running.__aexit__(*error)

    async def __call__(self) -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://notifier") as client:
            return (await client.get("/metrics")).text


async def _reaches(metrics: _notifier, value: float) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while f"notifier_members_held {value}" not in await metrics():
            await asyncio.sleep(0.1)
