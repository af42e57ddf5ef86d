"""`connection export` on a real Kafka: every byte that a member sent, encrypted on the way, and nobody else's."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from test_accept import EVENT
from typer.testing import CliRunner

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared import ids, topics
from shared.contracts import Email, EmailKind, Preference, PreferenceKind
from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.outgoing import Outgoing, outgoing
from shared.settings import KafkaSettings

HEADERS = {"Authorization": "Bearer sesame", "Content-Type": "application/cloudevents+json"}
MASTER = base64.b64encode(os.urandom(32)).decode()


def sign_up(subject: str, name: str) -> dict[str, Any]:
    mine = {
        "first_name": name, "email": f"{name.lower()}@inbox.example", "own_words": f"canary words of {name}",
        "interests": [f"canary {name} collecting", "running"], "birth_year": 1973, "languages": ["en", "cy"],
        "travel_km": 7.5, "locale": "en-GB", "available": ["wed-morning"], "looking_for": ["group"],
        "life_topics": ["new parent"], "openness": {"shares": 1, "listens": 5, "goes_first": 2, "depth": 4},
        "place": {"name": "Notting Hill"},
        "consent": {"introductions": True, "life_topics": True, "wording": f"canary-{name}",
                    "given_at": "2026-11-22T10:00:00Z"},
    }  # fmt: skip
    return {**EVENT, "subject": subject, "id": subject, "data": {"community": "london", **mine}}


def put(settings: KafkaSettings, *records: Outgoing) -> None:
    async def send() -> None:
        producer = new_producer(settings)
        await producer.start()
        try:
            await publish(producer, records, partitions=settings.partitions)
        finally:
            await producer.stop()

    asyncio.run(send())


def exported(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(cli, ["export", *arguments])
    assert answer.exit_code == 0, answer.output
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


@pytest.mark.timeout(300)
def test_every_word_of_a_member_is_in_their_export_and_nobody_elses(
    fresh_kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    unset = CliRunner().invoke(cli, ["export", "m_x"])
    assert (unset.exit_code, "NOTIFIER_LINK_SECRET" in unset.output) == (2, True)
    monkeypatch.setenv("NOTIFIER_LINK_SECRET", "a secret of the tests")
    settings = IntakeSettings(api_keys={"book-app": SecretStr("sesame")}, contacts_keys={"k1": SecretStr(MASTER)})
    with TestClient(build_app(settings, kafka, Lifeline())) as intake:
        for subject, name in (("one", "Zebedee"), ("two", "Dougal")):
            assert intake.post("/v1/events", json=sign_up(subject, name), headers=HEADERS).status_code == 202
    me, other = (ids.member_id("london", "book-app", subject) for subject in ("one", "two"))
    pause = Preference(community="london", member=me, kind=PreferenceKind.PAUSE, chosen_at_ms=1, until_ms=2)
    report = Preference(community="london", member=other, kind=PreferenceKind.REPORT, chosen_at_ms=1, about=me)
    email = Email(
        community="london", email="e_mine", introduction="s_1", member=me, kind=EmailKind.INVITATION, planned_at_ms=1
    )
    put(
        kafka, outgoing(topics.PREFERENCES, pause), outgoing(topics.PREFERENCES, report), outgoing(topics.OUTBOX, email)
    )

    closed = CliRunner().invoke(cli, ["export", me])
    assert closed.exit_code == 1, "half an export would be worse than none"
    assert "CONTACTS_KEYS" in closed.output
    monkeypatch.setenv("CONTACTS_KEYS", json.dumps({"k1": MASTER}))

    document = exported("--partner", "book-app", "--reference", "one", "--community", "london")
    assert document == {**exported(me), "about_this_file": document["about_this_file"]}, "found by id just the same"
    text = json.dumps(document)
    for word in (
        "Zebedee", "zebedee@inbox.example", "canary words of Zebedee", "canary zebedee collecting", "canary-Zebedee",
        "1973", "cy", "7.5", "en-GB", "wed-morning", "group", "new parent", "Notting Hill", "book-app", "e_mine",
    ):  # fmt: skip
        assert word.lower() in text.lower(), word
    (profile,) = document["what_matching_knows"]["entries"]
    assert profile["openness"] == {"shares": 1, "listens": 5, "goes_first": 2, "depth": 4}
    assert [one["kind"] for one in document["what_you_told_us"]["entries"]] == ["pause"]
    assert not re.search(f'dougal|report"|{other}', text, re.IGNORECASE)
    assert "_ms" not in text, "times are dates that a person can read"

    wish = Preference(community="london", member=me, kind=PreferenceKind.ERASE, chosen_at_ms=1)
    put(kafka, outgoing(topics.PREFERENCES, wish))
    after = exported(me)
    assert after["erased"] is True
    assert "zebedee" not in json.dumps(after).lower()


@pytest.mark.parametrize("arguments", [[], ["m_x", "--partner", "a"], ["--partner", "a"], ["amara@example.org"]])
def test_a_question_without_sense_says_what_would_have_some(arguments: list[str]) -> None:
    answer = CliRunner().invoke(cli, ["export", *arguments])
    assert answer.exit_code == 2
    assert "--reference" in answer.output
