"""The export: everything of the member's, nothing of anybody else's, and no topic forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from arc_samples import at
from fastapi.testclient import TestClient
from notifier_samples import GROUP, MEMBERS, NAMES, NOW, PAIR, block, choice, contact, erase
from pydantic import SecretStr
from test_accept import EVENT
from typer.testing import CliRunner

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from services.intake.app import build_app as build_intake
from services.intake.settings import IntakeSettings
from services.notifier.export import NOT_EXPORTED, SECTIONS, Found, export
from services.notifier.shown_ids import ShownIds
from shared.acls import readers
from shared.contracts import (
    ChoiceKind,
    EmailKind,
    ErasureOrder,
    IntroductionState,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Record,
)
from shared.ids import member_id
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings
from shared.topics import TOPICS

ME, OTHER = MEMBERS[:2]
SECRET = "a secret of the tests"  # noqa: S105
SHOWN_IDS = ShownIds(SECRET)


def found(**records: Record | list[Any]) -> list[Found]:
    """Records by topic, with - in its name written _."""
    return [
        Found(topic.replace("_", "-"), record)
        for topic, some in records.items()
        for record in (some if isinstance(some, list) else [some])
    ]


def text(*about: Found, now_ms: int = NOW) -> str:
    return json.dumps(export(ME, about, now_ms, SHOWN_IDS))


def test_every_topic_is_exported_or_says_why_not() -> None:
    told = [section.topic.name for section in SECTIONS]
    assert sorted([*told, *NOT_EXPORTED]) == sorted(TOPICS)
    assert all(reason.endswith(".") for reason in NOT_EXPORTED.values())
    assert [one.topic.name for one in SECTIONS if "notifier" not in readers(one.topic)] == [], (
        "or a link cannot show it"
    )


def test_of_others_it_tells_nothing_they_did_not_tell() -> None:
    introduction, emails = at(GROUP, EmailKind.INTRODUCTION)
    report = Preference(community="london", member=OTHER, kind=PreferenceKind.REPORT, chosen_at_ms=NOW, about=ME)
    document = text(
        *found(
            contacts=[contact(ME, own_words="I still eat lunch alone."), contact(OTHER)],
            preferences=[block(OTHER, ME), report, block(ME, OTHER)],
            suggestions=GROUP,
            introductions=introduction,
            choices=[choice(ME, GROUP.suggestion, ChoiceKind.YES), choice(OTHER, GROUP.suggestion, ChoiceKind.NO)],
            outbox=list(emails),
        )
    )
    assert "I still eat lunch alone." in document
    assert NAMES[0] in document
    for member, name in zip(MEMBERS[1:], NAMES[1:], strict=True):
        assert member not in document
        assert name not in document
    assert "report" not in json.dumps(json.loads(document)["what_you_told_us"])
    assert document.count("somebody you were introduced to") == 1, "whom they blocked, by no name"


def test_a_no_looks_like_silence() -> None:
    introduction, _ = at(PAIR, EmailKind.INVITATION)
    declined = introduction.model_copy(
        update={"said_yes": (ME,), "said_no": (OTHER,), "state": IntroductionState.CLOSED, "closed_at_ms": NOW + 1}
    )
    silent = introduction.model_copy(update={"said_yes": (ME,)})
    for now_ms in (NOW + 5, introduction.answer_by_ms + 5):
        one, other = (text(*found(introductions=each), now_ms=now_ms) for each in (declined, silent))
        assert one == other


@pytest.mark.parametrize(
    "asked",
    [
        erase(ME),
        ErasureOrder(community="london", member=ME, ordered_at_ms=NOW),
        PartnerRequest(community="london", member=ME, kind=PartnerRequestKind.ERASED, requested_at_ms=NOW),
    ],
)
def test_who_is_erased_is_told_so_and_nothing_else(asked: Record) -> None:
    document = export(ME, found(contacts=contact(ME), preferences=asked), NOW, SHOWN_IDS)
    assert document["erased"] is True
    assert NAMES[0] not in json.dumps(document)
    assert export(OTHER, found(contacts=contact(OTHER), preferences=asked), NOW, SHOWN_IDS)["erased"] is False


@pytest.mark.parametrize("encrypted", [False, True])
def test_everything_that_was_sent_is_in_it(
    fresh_kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    subject = f"export-{encrypted}"
    monkeypatch.setenv("NOTIFIER_LINK_SECRET", SECRET)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    keys = {"k1": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    if encrypted:
        monkeypatch.setenv("CONTACTS_KEYS", json.dumps(keys))
    data: dict[str, Any] = EVENT["data"] | {
        "first_name": "Zebedee",
        "email": "zebedee@inbox.example",
        "own_words": "a line of my own",
        "interests": ["zither", "orreries"],
        "life_topics": ["new parent"],
        "consent": {
            "introductions": True,
            "life_topics": True,
            "wording": "2026-11",
            "given_at": "2026-11-22T10:00:00Z",
        },
    }
    settings = IntakeSettings(api_keys={"book-app": SecretStr("sesame")})
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    headers = {"Authorization": "Bearer sesame", "Content-Type": "application/cloudevents+json"}
    with TestClient(build_intake(settings, kafka, Lifeline())) as intake:
        for who, changes in ((subject, data), ("somebody-else", EVENT["data"] | {"first_name": "Ophelia"})):
            sent = {**EVENT, "subject": who, "id": f"{who} 1", "data": changes}
            assert intake.post("/v1/events", json=sent, headers=headers).status_code == 202
        pause = {
            **EVENT,
            "subject": subject,
            "id": f"pause of {subject}",
            "type": "connection.member.paused",
            "data": {"community": "london"},
        }
        assert intake.post("/v1/events", json=pause, headers=headers).status_code == 202
    runner = CliRunner()
    asked = ["export", "--partner", "book-app", "--reference", subject, "--community", "london"]
    result = runner.invoke(cli, asked)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["about_this_file"]["you_are_known_as"].startswith("p_")
    assert member_id("london", "book-app", subject) not in result.stdout
    for canary in (
        "Zebedee",
        "zebedee@inbox.example",
        "a line of my own",
        "zither",
        "orreries",
        "new parent",
        "2026-11",
    ):
        assert canary in result.stdout, canary
    assert document["what_you_told_your_app"]["entries"][0]["kind"] == "pause"
    assert "Ophelia" not in result.stdout
    assert runner.invoke(cli, ["export", member_id("london", "book-app", subject)]).stdout.count("Zebedee") == 1
    assert runner.invoke(cli, ["export"]).exit_code == 2
    if encrypted:
        monkeypatch.delenv("CONTACTS_KEYS")
        refused = runner.invoke(cli, asked)
        assert (refused.exit_code, "CONTACTS_KEYS" in refused.stderr) == (1, True)
