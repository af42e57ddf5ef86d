"""Another partner's members: every endpoint and every event refuses, and answers as if there were no such member.

The endpoints are taken from the OpenAPI document, and the types from the contract: one that is
added fails here until somebody has said whether it names members.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from endpoint import BATCH, STRUCTURED, InMemory, binary, event
from pydantic import SecretStr
from test_accept import COMMUNITIES, NOW_MS, PLACES

from services.intake.accept import Desk
from services.intake.app import build_app
from services.intake.gazetteer import Gazetteer
from services.intake.problems import Problem
from services.intake.settings import IntakeSettings
from shared.contracts import EventType, PartnerPreference
from shared.ids import member_id
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings

OURS, THEIRS = "book-app", "chess-app"
KEY_OF = {OURS: "sesame", THEIRS: "mellon"}
THERE, ERASED, NOT_THERE = "is-there", "was-erased", "never-was"
"""Subjects of the foreign partner's: the answers must not tell which is which."""
NAMES_MEMBERS = {("post", "/v1/events")}
NAMES_NOBODY = {("get", "/v1/vocabulary"), ("get", "/livez"), ("get", "/readyz"), ("get", "/metrics"),
                ("get", "/asyncapi"), ("get", "/asyncapi.json"),
                ("get", "/problems"), ("get", "/problems/{kind}")}  # fmt: skip
SIGN_UPS = {EventType.SIGNED_UP, EventType.UPDATED}


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> InMemory:
    """An intake that both partners use; the foreign one has a member, and had one who was erased."""
    erased = {member_id("london", THEIRS, ERASED)}
    desk = Desk(
        COMMUNITIES, {"london": Gazetteer(COMMUNITIES["london"], PLACES)}, frozenset(KEY_OF), erased.__contains__
    )
    monkeypatch.setattr("endpoint.DESK", desk)
    secrets = {source: SecretStr(key) for source, key in KEY_OF.items()}
    intake = InMemory(keys=KEY_OF, settings=IntakeSettings(api_keys=secrets))
    theirs = intake.post(event(THERE, source=THEIRS), key=KEY_OF[THEIRS])
    assert theirs.status_code == 202
    intake.published.clear()
    return intake


def about(kind: EventType, subject: str, source: str = THEIRS, **data: Any) -> dict[str, Any]:
    """An event of each type. The id tells nothing of the subject."""
    found = event(subject, source=source, type=kind.value, id="one")
    if kind not in SIGN_UPS:
        blocked = {"blocked": "somebody"} if kind is EventType.BLOCKED else {}
        found["data"] = {"community": "london", **blocked}
    found["data"].update(data)
    return found


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """All that the sender can see but for the clock."""
    headers = {name: value for name, value in answer.headers.items() if not re.search("date|ratelimit|retry", name)}
    return answer.status_code, answer.content, headers


def test_every_endpoint_is_known_to_name_members_or_nobody() -> None:
    app = build_app(IntakeSettings(api_keys={OURS: SecretStr("sesame")}), KafkaSettings(), Lifeline())
    endpoints = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert endpoints >= NAMES_MEMBERS
    assert endpoints - NAMES_MEMBERS - NAMES_NOBODY == set(), "say here whether it names members, and test it if so"


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
@pytest.mark.parametrize("kind", EventType)
def test_the_answer_is_the_same_whether_the_member_exists_or_not(
    intake: InMemory, kind: EventType, mode: str, query: str
) -> None:
    answers = set()
    for subject in (THERE, ERASED, NOT_THERE):
        of = about(kind, subject)
        if mode == "structured":
            answer = intake.post(of, STRUCTURED, query=query)
        elif mode == "binary":
            answer = intake.post(json.dumps(of["data"]).encode(), binary(of), query=query)
        else:
            answer = intake.post([of, about(kind, "our-own", OURS)], BATCH, query=query)
            results = answer.json()["results"]
            assert results[0]["status"] == 403
        if mode != "batch":
            assert answer.status_code == 403
            assert answer.json()["type"].endswith("foreign-source")
        status, content, headers = told(answer)
        assert subject not in content.decode()
        assert member_id("london", THEIRS, subject) not in content.decode()
        answers.add((status, content, json.dumps(headers, sort_keys=True)) if mode != "batch" else
                    (status, json.dumps(answer.json()["results"][0]), ""))  # fmt: skip
    assert len(answers) == 1
    foreign = {member_id("london", THEIRS, subject) for subject in (THERE, ERASED, NOT_THERE)}
    assert not any(record.key.partition("/")[0] in foreign for record in intake.published)


@pytest.mark.parametrize("kind", EventType)
def test_an_idempotency_key_and_an_event_id_of_another_partner_open_nothing(intake: InMemory, kind: EventType) -> None:
    theirs = about(kind, THERE)
    headers = {**STRUCTURED, "Idempotency-Key": "their-key"}
    assert intake.post(theirs, headers, key=KEY_OF[THEIRS]).status_code == 202
    taken = told(intake.post(theirs, headers))
    free = told(intake.post(theirs, {**STRUCTURED, "Idempotency-Key": "nobodys-key"}))
    assert taken == free, "their answer is not given to us, and neither is that there is one"
    mine = intake.post(about(kind, THERE, OURS), headers)
    assert mine.status_code == 202, "the same id, key and subject are ours when we use them"
    assert mine.json()["member"] == member_id("london", OURS, THERE)


@pytest.mark.parametrize("subject", [THERE, ERASED, NOT_THERE])
def test_a_block_can_name_ones_own_members_alone(intake: InMemory, subject: str) -> None:
    answer = intake.post(about(EventType.BLOCKED, "our-own", OURS, blocked=subject))
    assert answer.status_code == 202
    block = PartnerPreference.model_validate_json(intake.published[-1].value or b"")
    assert block.about == member_id("london", OURS, subject)
    assert block.about != member_id("london", THEIRS, subject)


@pytest.mark.parametrize("kind", EventType)
def test_no_more_work_is_done_for_a_member_who_exists(intake: InMemory, kind: EventType) -> None:
    """Timing follows from work: the desk refuses before it looks at who is erased, and nothing reaches the ledger."""
    before = len(intake.published)
    asked: list[str] = []
    desk = Desk(COMMUNITIES, {}, frozenset(KEY_OF), lambda member: bool(asked.append(member)))
    for subject in (THERE, ERASED, NOT_THERE):
        decision = desk.accept(about(kind, subject), partner=OURS, now_ms=NOW_MS)
        assert isinstance(decision, Problem)
        assert decision.status == 403
        assert intake.post(about(kind, subject)).status_code == 403
    assert asked == []
    assert len(intake.published) == before


@pytest.mark.parametrize("kind", EventType)
def test_at_the_kafka_door_a_source_that_is_not_known_is_refused_whoever_the_subject_is(kind: EventType) -> None:
    """There the topic's access rules say who may write; what a partner claims must be a source that there is."""
    desk = Desk(COMMUNITIES, {}, frozenset({OURS}), lambda member: True)
    problems = {desk.accept(about(kind, subject), partner=None, now_ms=NOW_MS) for subject in (THERE, NOT_THERE)}
    assert {problem.kind for problem in problems if isinstance(problem, Problem)} == {"unknown-source"}
    assert len(problems) == 1


def test_without_a_key_the_answer_is_the_same_for_all(intake: InMemory) -> None:
    answers = {told(intake.post(about(EventType.LEFT, subject), key=None))[:2] for subject in (THERE, NOT_THERE)}
    assert {status for status, _ in answers} == {401}
    assert len(answers) == 1
