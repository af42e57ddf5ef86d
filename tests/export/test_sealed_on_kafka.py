"""Encrypted contacts on a real Kafka: nothing in the segments, and nothing in old copies once the key is gone."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from test_accept import EVENT

from demo.kafka import EmbeddedKafka
from services.intake.app import build_app as build_intake
from services.intake.settings import IntakeSettings
from services.notifier.sealed_contacts import SealedContacts
from shared import ids, topics
from shared.contracts import Contact, ContactKey, Preference, PreferenceKind, Record, SealedContact
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.outgoing import Outgoing, outgoing
from shared.settings import KafkaSettings

HEADERS = {"Authorization": "Bearer sesame", "Content-Type": "application/cloudevents+json"}
PERSONAL = (b"Zebedee", b"zebedee@inbox.example", b"a line of my own")
PATIENCE_SECONDS = 150
MASTER_KEY = base64.b64encode(os.urandom(32)).decode()


def event(subject: str, number: int = 1, **data: Any) -> dict[str, Any]:
    mine = {"first_name": "Zebedee", "email": "zebedee@inbox.example", "own_words": "a line of my own", **data}
    return {**EVENT, "subject": subject, "id": f"{subject} {number}", "data": {**EVENT["data"], **mine}}


def member(subject: str) -> str:
    return ids.member_id("london", "book-app", subject)


@pytest.fixture
def kafka_settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, compaction_lag_ms_max=10_000)


@pytest.fixture
def settings() -> IntakeSettings:
    return IntakeSettings(api_keys={"book-app": SecretStr("sesame")}, contacts_keys={"k1": SecretStr(MASTER_KEY)})


@pytest.fixture
def intake(kafka_settings: KafkaSettings, settings: IntakeSettings) -> Iterator[TestClient]:
    with TestClient(build_intake(settings, kafka_settings, Lifeline())) as client:
        yield client


def latest(settings: KafkaSettings, topic: topics.TopicSpec) -> dict[str, Record]:
    return {key: record for (_, key), record in asyncio.run(read_latest(settings, topic)).items()}


def put(settings: KafkaSettings, *records: Outgoing) -> None:
    async def send() -> None:
        producer = new_producer(settings)
        await producer.start()
        try:
            await publish(producer, records, partitions=settings.partitions)
        finally:
            await producer.stop()

    asyncio.run(send())


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.2)


def segments(folder: Path, topic: str) -> bytes:
    """All bytes of a topic's segments: live ones, and those on their way to be deleted."""
    found = [file for place in folder.rglob(f"{topic}-[0-9]*") if place.is_dir() for file in place.rglob("*.log*")]
    assert found, "the segments are looked for where they are"
    return b"".join(file.read_bytes() for file in found)


def opened(settings: IntakeSettings, kafka: KafkaSettings) -> dict[str, Contact]:
    reader = SealedContacts(settings.master_keys())
    for key in latest(kafka, topics.CONTACT_KEYS).values():
        assert isinstance(key, ContactKey)
        reader.on_key(key)
    found = {}
    for name, record in latest(kafka, topics.CONTACTS).items():
        contact = reader.on_contact(record) if isinstance(record, SealedContact) else record
        if isinstance(contact, Contact):
            found[name] = contact
    return found


@pytest.mark.timeout(400)
def test_segments_hold_nothing_of_a_contact_and_copies_of_them_nothing_once_the_key_is_gone(
    intake: TestClient, settings: IntakeSettings, kafka_settings: KafkaSettings, fresh_kafka: EmbeddedKafka,
    tmp_path: Path,
) -> None:  # fmt: skip
    assert intake.post("/v1/events", json=event("stays"), headers=HEADERS).status_code == 202
    assert intake.post("/v1/events", json=event("goes"), headers=HEADERS).status_code == 202
    later = event("goes", 2, own_words="a line of my own, changed")
    assert intake.post("/v1/events", json=later, headers=HEADERS).status_code == 202
    again = intake.post("/v1/events", json=later, headers=HEADERS)
    assert again.status_code == 202, "the same event twice is once, sealed or not"

    found = opened(settings, kafka_settings)
    assert {name: one.own_words for name, one in found.items()} == {
        member("stays"): "a line of my own",
        member("goes"): "a line of my own, changed",
    }
    keys = latest(kafka_settings, topics.CONTACT_KEYS)
    assert len(keys) == 2, "an update has no key of its own"
    folder = fresh_kafka._log_dir
    raw = segments(folder, "contacts")
    assert member("goes").encode() in raw
    assert not [word for word in PERSONAL if word in raw]
    (of_the_one_who_goes,) = [
        key for key in keys.values() if isinstance(key, ContactKey) and key.member == member("goes")
    ]

    shutil.copytree(folder, tmp_path / "backup")
    wish = Preference(
        community="london", member=member("goes"), kind=PreferenceKind.ERASE, chosen_at_ms=1_790_000_000_000
    )
    put(kafka_settings, outgoing(topics.PREFERENCES, wish))
    until(lambda: of_the_one_who_goes.key not in latest(kafka_settings, topics.CONTACT_KEYS))

    def gone() -> bool:
        # A segment is only rolled when something is written to it.
        other = event("somebody else", time.monotonic_ns())
        put(kafka_settings, outgoing(topics.CONTACT_KEYS, _key_of_nobody(settings)))
        assert intake.post("/v1/events", json=other, headers=HEADERS).status_code == 202
        return of_the_one_who_goes.wrapped.encode() not in segments(folder, "contact-keys")

    until(gone)
    # The backup of `contacts` still has the sealed contact; the keys that are left open it no more.
    backup = segments(tmp_path / "backup", "contacts")
    start = backup.rindex(b'{"community":"london","member":"' + member("goes").encode())
    sealed = SealedContact.model_validate_json(backup[start : backup.index(b"}", start) + 1])
    master = settings.master_keys()
    assert master is not None
    assert master.open(of_the_one_who_goes, sealed).own_words == "a line of my own, changed", "with it, they would"
    reader = SealedContacts(master)
    for key in latest(kafka_settings, topics.CONTACT_KEYS).values():
        assert isinstance(key, ContactKey)
        assert key.member != member("goes")
        reader.on_key(key)
    assert reader.on_contact(sealed) is None
    assert reader.waiting == 1
    assert member("stays") in opened(settings, kafka_settings)


def _key_of_nobody(settings: IntakeSettings) -> ContactKey:
    master = settings.master_keys()
    assert master is not None
    return master.new_data_key("london", ids.member_id("london", "book-app", "nobody"))


def test_turned_on_over_contacts_in_the_clear_both_are_read_and_a_leave_forgets_the_key(
    intake: TestClient, settings: IntakeSettings, kafka_settings: KafkaSettings
) -> None:
    plain = Contact(
        community="london", member=member("plain"), first_name="Dora", email="dora@inbox.example", locale="en-GB",
        consent_wording="2026-11", accepted_at_ms=1,
    )  # fmt: skip
    put(kafka_settings, outgoing(topics.CONTACTS, plain))
    assert intake.post("/v1/events", json=event("sealed"), headers=HEADERS).status_code == 202
    assert {member("plain"), member("sealed")} <= opened(settings, kafka_settings).keys()
    # Another instance, that finds the keys on the topic, and is the one to hear of the leave.
    with TestClient(build_intake(settings, kafka_settings, Lifeline())) as another:
        until(lambda: another.get("/readyz").status_code == 200)
        left = {**event("sealed", 2), "type": "connection.member.left", "data": {"community": "london"}}
        assert another.post("/v1/events", json=left, headers=HEADERS).status_code == 202
    assert not [key for key in latest(kafka_settings, topics.CONTACT_KEYS) if key.startswith(member("sealed"))]
    assert member("sealed") not in opened(settings, kafka_settings)
