"""CloudEvents 1.0 over HTTP and Kafka.

The scenarios are those of the public conformance suite (cloudevents/conformance: its
HTTP and its Kafka protocol binding), put to our own types of events, and the cases that
the specification of the batch format names. Those against a real Kafka are in
`test_intake_on_kafka.py`.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import kafka as sdk_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from endpoint import BATCH, InMemory, binary, event
from test_accept import DESK, NOW_MS

from services.intake.accept import Accepted
from services.intake.envelopes import from_kafka
from services.intake.problems import Problem
from shared.contracts import PartnerPreference, PartnerPreferenceKind
from shared.ids import member_id

CORPUS = Path(__file__).parent / "corpus"
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "1234-1234-1234",
    "source": "book-app",
    "type": "connection.member.signed_up",
    "subject": "user-17",
    "time": "2026-04-05T03:56:24Z",
}
DATA = event("user-17")["data"]


def understood(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["would_store"][0]["value"]["email"] == DATA["email"]
    attributes: dict[str, Any] = answer.json()["event"]
    return attributes


# HTTP protocol binding


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_binary_content_mode(content_type: str) -> None:
    headers = binary(ATTRIBUTES) | {"content-type": content_type}
    answer = InMemory().post(DATA, headers, query="?dry_run=true")
    assert understood(answer) == ATTRIBUTES | {"datacontenttype": content_type}


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_structured_content_mode(content_type: str) -> None:
    sent = ATTRIBUTES | {"datacontenttype": "application/json", "data": DATA}
    answer = InMemory().post(sent, {"content-type": content_type}, query="?dry_run=true")
    assert understood(answer) == ATTRIBUTES | {"datacontenttype": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 415),
        ({"content-type": "text/plain", "ce-specversion": "1.0"}, 415),
        ({"content-type": "application/cloudevents+json; charset=utf-16"}, 415),
        (binary(ATTRIBUTES, specversion="0.3"), 422),
        (binary(ATTRIBUTES, subject="%FF"), 422),
        ({}, 415),
    ],
)
def test_what_is_no_cloud_event_is_refused(headers: dict[str, str], status: int) -> None:
    answer = InMemory().post(DATA, headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_attributes_in_headers_are_decoded() -> None:
    for written in ("caf%C3%A9 17", '"caf%C3%A9 17"'):
        answer = InMemory().post(DATA, binary(ATTRIBUTES, subject=written))
        assert answer.json()["member"] == member_id("london", "book-app", "café 17")


def test_data_in_base64_is_read() -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    sent = ATTRIBUTES | {"data_base64": encoded}
    assert InMemory().post(sent).status_code == 202
    assert InMemory().post([sent], BATCH).status_code == 202
    assert InMemory().post(ATTRIBUTES | {"data_base64": "!"}).status_code == 422
    assert InMemory().post([ATTRIBUTES | {"data_base64": 7}], BATCH).json()["results"][0]["status"] == 422


def test_what_the_specifications_own_library_writes_is_read() -> None:
    time = datetime.fromisoformat(ATTRIBUTES["time"])
    sdk = SdkEvent(ATTRIBUTES | {"time": time, "datacontenttype": "application/json"}, DATA)
    for message in (sdk_http.to_binary(sdk, JSONFormat()), sdk_http.to_structured(sdk, JSONFormat())):
        answer = InMemory().post(bytes(message.body), message.headers)
        assert answer.json() == {"id": ATTRIBUTES["id"], "member": member_id("london", "book-app", "user-17")}
    for record in (sdk_kafka.to_binary(sdk, JSONFormat()), sdk_kafka.to_structured(sdk, JSONFormat())):
        read = from_kafka(list(record.headers.items()), record.value)
        assert isinstance(accepted(read), Accepted)


# Batches


def test_a_batch_of_several() -> None:
    intake = InMemory()
    answer = intake.post([event("a"), event("b")], BATCH)
    assert (answer.status_code, [one["status"] for one in answer.json()["results"]]) == (202, [202, 202])
    assert len(intake.published) == 4


def test_an_empty_batch_is_a_batch() -> None:
    answer = InMemory().post([], BATCH)
    assert (answer.status_code, answer.json()) == (202, {"results": []})


@pytest.mark.parametrize("body", [b"{}", b"null", b'"x"', b"7"])
def test_whatever_is_no_array_is_no_batch(body: bytes) -> None:
    assert InMemory().post(body, BATCH).status_code == 422


def test_in_a_batch_each_has_its_own_result_in_their_order() -> None:
    foreign, wrong, other_type = event("c", source="chess-app"), event("d"), {**event("e"), "type": "com.example.some"}
    wrong["data"]["email"] = "nowhere"
    answer = InMemory().post([event("a"), foreign, wrong, 7, other_type, event("b")], BATCH)
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [202, 403, 422, 422, 422, 202]
    assert [one["id"] for one in results] == [f"event of {name}" for name in "acd"] + [None, "event of e", "event of b"]
    assert results[2]["problem"]["errors"][0]["pointer"] == "/data/email"


def test_a_dry_run_of_a_batch_stores_nothing() -> None:
    intake = InMemory()
    answer = intake.post([event("a"), 7], BATCH, query="?dry_run=true")
    assert [one["status"] for one in answer.json()["results"]] == [200, 422]
    assert intake.published == []


# Kafka protocol binding


def accepted(read: Any) -> Accepted | Problem:
    return read if isinstance(read, Problem) else DESK.accept(read, partner=None, now_ms=NOW_MS)


def kafka_headers(**changes: bytes | None) -> list[tuple[str, bytes | None]]:
    attributes = {f"ce_{name}": value.encode() for name, value in ATTRIBUTES.items()}
    return list((attributes | {"content-type": b"application/json"} | changes).items())


def test_binary_content_mode_on_kafka() -> None:
    decision = accepted(from_kafka(kafka_headers(), json.dumps(DATA).encode()))
    assert isinstance(decision, Accepted), decision
    assert (decision.event_id, decision.event_type) == (ATTRIBUTES["id"], ATTRIBUTES["type"])
    assert decision.time_ms == 1775361384000
    assert decision.member == member_id("london", "book-app", "user-17")


@pytest.mark.parametrize(
    "content_type", [b"application/cloudevents+json", b"application/cloudevents+json; charset=utf-8", None]
)
def test_structured_content_mode_on_kafka(content_type: bytes | None) -> None:
    headers = [("content-type", content_type)] if content_type else []
    body = ATTRIBUTES | {"datacontenttype": "application/json", "data": DATA}
    decision = accepted(from_kafka(headers, json.dumps(body).encode()))
    assert isinstance(decision, Accepted), decision
    assert (decision.event_id, decision.time_ms) == (ATTRIBUTES["id"], 1775361384000)


@pytest.mark.parametrize(
    ("changes", "value", "kind"),
    [
        ({"ce_subject": None}, b"{}", "bad-envelope"),
        ({"ce_subject": b"\xff"}, b"{}", "bad-envelope"),
        ({"content-type": None}, b"{}", "bad-envelope"),
        ({"content-type": b"text/plain"}, b"{}", "media-type"),
        ({"content-type": b"application/json; charset=latin-1"}, b"{}", "media-type"),
        ({}, b"{", "not-json"),
        ({}, None, "not-json"),
        ({}, b"{}", "invalid-event"),
    ],
)
def test_a_bad_message_is_told_why(changes: dict[str, bytes | None], value: bytes | None, kind: str) -> None:
    problem = accepted(from_kafka(kafka_headers(**changes), value))
    assert isinstance(problem, Problem)
    assert problem.kind == kind
    assert problem.summary()


# Types and versions


def test_every_type_of_event_is_taken() -> None:
    intake = InMemory()
    of = {"community": "london"}
    member, other = (member_id("london", "book-app", name) for name in ("user-17", "user-18"))
    sent = [
        {"type": "connection.member.updated", "data": DATA},
        {"type": "connection.member.left", "data": of},
        {"type": "connection.member.erased", "data": of},
        {"type": "connection.member.paused", "data": of | {"until": "2026-12-24T18:00:00+01:00"}},
        {"type": "connection.member.blocked", "data": of | {"blocked": "user-18"}},
    ]
    for number, one in enumerate(sent):
        assert intake.post(event("user-17", id=str(number), **one)).json()["member"] == member
    by_topic = [record.topic for record in intake.published]
    gone = ["partner-requests", "profiles", "contacts"]
    assert by_topic == ["contacts", "profiles", *gone, *gone, "partner-preferences", "partner-preferences"]
    pause, block = (PartnerPreference.model_validate_json(record.value or b"") for record in intake.published[-2:])
    assert (pause.kind, pause.until_ms) == (PartnerPreferenceKind.PAUSE, 1798131600000)
    assert (block.kind, block.about, block.key) == (PartnerPreferenceKind.BLOCK, other, f"{member}/block/{other}")


def test_nobody_blocks_themselves() -> None:
    data = {"community": "london", "blocked": "user-17"}
    answer = InMemory().post(event("user-17", type="connection.member.blocked", data=data))
    assert answer.json()["errors"][0]["pointer"] == "/data/blocked"


RELEASED = sorted(CORPUS.glob("*/*.json"))


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_was_ever_released_is_read_as_it_was_then(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    intake = InMemory()
    answer = intake.post(case["event"])
    assert answer.status_code == 202, answer.text
    assert len(intake.published) == len(case["stored"])
    for record, (topic, key, value) in zip(intake.published, case["stored"], strict=True):
        assert (record.topic, record.key) == (topic, key)
        now = json.loads(record.value) if record.value else None
        # What was kept of it then is kept of it now; more may be.
        assert now == (value if value is None else (now or {}) | value)


def test_the_corpus_holds_every_version() -> None:
    assert {file.parent.name for file in RELEASED} == {"v1", "v2"}


def test_an_unknown_version_is_told_which_are_known() -> None:
    answer = InMemory().post(event("a", data=DATA | {"schemaVersion": 3}))
    assert answer.json()["errors"] == [{"pointer": "/data/schemaVersion", "detail": "Input should be 1 or 2"}]
