"""The scenarios of the public CloudEvents conformance suite, put to a running intake on a real Kafka.

cloudevents/conformance has them for any implementation (`http-protocol-binding.feature`,
`kafka-protocol-binding.feature`): an event in each content mode, with and without a
character set, whose attributes and data must be understood. Ours tell what was understood
by a dry run, and by what is on the topics; events are of our own types, about a member
each. Of the batch format, which the suite does not cover, it is the cases that the
specifications of the HTTP binding (3.3) and of the JSON format (4) name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from test_cloudevents import ATTRIBUTES, DATA
from test_intake_on_kafka import letters, member, read, until, write

from benchmarks.processes import service
from demo.kafka import EmbeddedKafka
from shared.settings import KafkaSettings

JSON = ["application/json", "application/json; charset=utf-8"]
STRUCTURED = ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
BATCH = ["application/cloudevents-batch+json", "application/cloudevents-batch+json; charset=utf-8"]


def attributes(subject: str, **changes: str) -> dict[str, str]:
    return ATTRIBUTES | {"subject": subject, "id": f"1234 {subject}"} | changes


@pytest.fixture(scope="module")
def kafka_settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)


@pytest.fixture(scope="module")
def intake(kafka_settings: KafkaSettings) -> Iterator[httpx.Client]:
    """As it is run: a process of its own."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
        "INTAKE_API_KEYS": json.dumps({"book-app": "sesame"}),
    }
    with service("intake", environment) as running:
        address = f"http://127.0.0.1:{running.port}"
        with httpx.Client(base_url=address, headers={"Authorization": "Bearer sesame"}, timeout=60) as client:
            yield client


def post(intake: httpx.Client, body: Any, headers: dict[str, str], *, dry: bool = False) -> httpx.Response:
    return intake.post("/v1/events", params={"dry_run": dry}, content=json.dumps(body), headers=headers)


def stored(settings: KafkaSettings, subject: str) -> dict[str, Any]:
    """What is on `contacts` of a member, once."""
    values = read(settings, "contacts").get(member(subject), [])
    assert len(values) == 1, values
    contact: dict[str, Any] = json.loads(values[0] or b"{}")
    return contact


@pytest.mark.parametrize("content_type", JSON)
def test_http_binary_content_mode(intake: httpx.Client, kafka_settings: KafkaSettings, content_type: str) -> None:
    subject = f"binary {content_type}"
    sent = attributes(subject)
    headers = {f"Ce-{name.title()}": value for name, value in sent.items()} | {"Content-Type": content_type}
    told = post(intake, DATA, headers, dry=True).json()
    assert told["event"] == sent | {"datacontenttype": content_type}
    assert post(intake, DATA, headers).status_code == 202
    contact = stored(kafka_settings, subject)
    assert (contact["email"], contact["first_name"]) == (DATA["email"], DATA["first_name"])


@pytest.mark.parametrize("content_type", STRUCTURED)
def test_http_structured_content_mode(intake: httpx.Client, kafka_settings: KafkaSettings, content_type: str) -> None:
    subject = f"structured {content_type}"
    sent = attributes(subject, datacontenttype="application/json")
    headers = {"Content-Type": content_type}
    told = post(intake, sent | {"data": DATA}, headers, dry=True).json()
    assert told["event"] == sent
    assert post(intake, sent | {"data": DATA}, headers).status_code == 202
    assert stored(kafka_settings, subject)["email"] == DATA["email"]


@pytest.mark.parametrize("content_type", BATCH)
def test_http_batch_content_mode(intake: httpx.Client, kafka_settings: KafkaSettings, content_type: str) -> None:
    names = [f"batch {number} {content_type}" for number in range(3)]
    batch: list[Any] = [attributes(name) | {"data": DATA} for name in names]
    headers = {"Content-Type": content_type}
    assert post(intake, [], headers).json() == {"results": []}, "an empty batch is a batch"
    answer = post(intake, [batch[0]], headers)
    assert (answer.status_code, len(answer.json()["results"])) == (202, 1), "one may come alone"
    mixed = [batch[1], {"specversion": "1.0"}, batch[2] | {"comexampleextension": "may be there"}]
    answer = post(intake, mixed, headers)
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == [202, 422, 202], "each stands for itself"
    assert [stored(kafka_settings, name)["email"] for name in names] == [DATA["email"]] * 3
    assert post(intake, batch[0], headers).status_code == 422, "a single event is no batch"
    single = post(intake, batch, {"Content-Type": STRUCTURED[0]})
    assert single.status_code == 422, "a batch is no single event"


@pytest.mark.parametrize("content_type", JSON)
def test_kafka_binary_content_mode(intake: httpx.Client, kafka_settings: KafkaSettings, content_type: str) -> None:
    subject = f"kafka binary {content_type}"
    headers = {f"ce_{name}": value.encode() for name, value in attributes(subject).items()}
    message = {
        "key": b"any",
        "value": json.dumps(DATA).encode(),
        "headers": list((headers | {"content-type": content_type.encode()}).items()),
    }
    write(kafka_settings, [message])
    until(lambda: member(subject) in read(kafka_settings, "profiles"))
    assert stored(kafka_settings, subject)["first_name"] == DATA["first_name"]
    assert letters(kafka_settings) == []


@pytest.mark.parametrize("content_type", STRUCTURED)
def test_kafka_structured_content_mode(intake: httpx.Client, kafka_settings: KafkaSettings, content_type: str) -> None:
    subject = f"kafka structured {content_type}"
    body = attributes(subject, datacontenttype="application/json") | {"data": DATA}
    message = {"value": json.dumps(body).encode(), "headers": [("content-type", content_type.encode())]}
    write(kafka_settings, [message])
    until(lambda: member(subject) in read(kafka_settings, "profiles"))
    assert stored(kafka_settings, subject)["email"] == DATA["email"]
    assert letters(kafka_settings) == []
