"""The OpenAPI document says what is so: keys, statuses, named schemas, and examples that work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint import BATCH, STRUCTURED, InMemory, binary
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from test_problem_pages import kinds_in_the_code

from services.intake import examples
from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared.contracts import EventType
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
EVENTS = DOCUMENT["paths"]["/v1/events"]["post"]


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that is sent or answered, with where it stands."""
    for method, path, operation in OPERATIONS:
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} {media_type}", content
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                yield f"{method} {path} {status} {media_type}", content


def shown(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [one["value"] for one in content.get("examples", {}).values()]


def test_the_kept_copy_is_what_intake_gives_out() -> None:
    check = subprocess.run([sys.executable, "docs/openapi.py", "--check"], cwd=ROOT, check=False)
    assert check.returncode == 0, "run: python docs/openapi.py"


def test_whatever_asks_for_a_key_says_so_and_nothing_else_does() -> None:
    assert set(DOCUMENT["components"]["securitySchemes"]) == {
        "apiKey",
        "webhookId",
        "webhookTimestamp",
        "webhookSignature",
    }
    app = build_app(IntakeSettings(), KafkaSettings(), Lifeline())
    client = TestClient(app, raise_server_exceptions=False)  # not started: Kafka is not asked for
    asks_for_a_key = {"/v1/events"}
    assert InMemory().post(b"{}", key=None).status_code == 401
    for method, path, operation in OPERATIONS:
        names = {name for one in operation.get("security", []) for name in one}
        assert ("apiKey" in names) == (path in asks_for_a_key), path
        if path not in asks_for_a_key:
            assert client.request(method, path.replace("{kind}", "erased")).status_code != 401, path
    assert [set(one) for one in EVENTS["security"]] == [
        {"apiKey"},
        {"apiKey", "webhookId", "webhookTimestamp", "webhookSignature"},
    ]


def test_every_schema_has_a_name() -> None:
    for place, content in contents():
        schema = content["schema"]
        assert set(schema) == {"$ref"} or schema == {"type": "string"}, place
    schemas = DOCUMENT["components"]["schemas"]
    assert not [name for name in schemas if name.startswith("Body_") or "__" in name]

    def anonymous(schema: Any, depth: int = 0) -> bool:
        if isinstance(schema, dict):
            is_one = depth > 0 and schema.get("type") == "object" and "properties" in schema
            return is_one or any(anonymous(inner, depth + 1) for inner in schema.values())
        return isinstance(schema, list) and any(anonymous(inner, depth + 1) for inner in schema)

    assert [name for name, schema in schemas.items() if anonymous(schema)] == []


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() for name in names), names


def test_every_example_is_as_its_schema_says() -> None:
    count = 0
    for place, content in contents():
        if content["schema"] == {"type": "string"}:
            continue
        values = shown(content)
        assert values, f"{place} has no example"
        validator = Draft202012Validator(content["schema"] | {"components": DOCUMENT["components"]})
        for value in values:
            assert [error.message for error in validator.iter_errors(value)] == [], place
            count += 1
    assert count > 40


@pytest.mark.parametrize("kind", EventType)
def test_every_example_of_an_event_is_accepted_in_every_way(kind: EventType) -> None:
    name = kind.rpartition(".")[2]
    content = EVENTS["requestBody"]["content"]
    event = content[STRUCTURED["content-type"]]["examples"][name]["value"]
    data = content["application/json"]["examples"][name]["value"]
    for body, headers in ((event, STRUCTURED), (data, binary(event)), ([event], BATCH)):
        answer = InMemory(keys={examples.SOURCE: "sesame"}).post(body, headers)
        assert answer.status_code == 202, answer.text
        told = answer.json()
        member = told["results"][0]["member"] if "results" in told else told["member"]
        assert member == examples.accepted()["one"]["value"]["member"]


def test_the_statuses_are_those_that_are_answered() -> None:
    documented = {int(status) for status in EVENTS["responses"]}
    not_on_this_way = {("unknown-source", 403), ("internal-server-error", 500)}  # the topic's; our own fault
    in_the_code = {status for _, status in set(kinds_in_the_code()) - not_on_this_way}
    assert documented == in_the_code | {200, 202, 207}
    told = {
        (value["type"].rpartition("/")[2], int(status))
        for status, answer in EVENTS["responses"].items()
        for media_type, content in answer["content"].items()
        if media_type == "application/problem+json"
        for value in shown(content)
    }
    assert told == set(kinds_in_the_code()) - not_on_this_way


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_answers_are_as_their_schemas_say(query: str) -> None:
    signed_up, batch = examples.event_of(EventType.SIGNED_UP), [examples.event_of(kind) for kind in EventType]
    withdrawn = json.loads(json.dumps(signed_up))
    withdrawn["data"]["consent"]["introductions"] = False
    wrong = {**signed_up, "subject": 7}
    for body, headers in (
        (signed_up, STRUCTURED),
        (withdrawn, STRUCTURED),
        (wrong, STRUCTURED),
        (batch[:3], BATCH),
        ([wrong, 7, signed_up], BATCH),
        (b"{", STRUCTURED),
    ):
        answer = InMemory(keys={examples.SOURCE: "sesame"}).post(body, headers, query=query)
        [(media_type, content)] = EVENTS["responses"][str(answer.status_code)]["content"].items()
        assert answer.headers["content-type"] == media_type
        validator = Draft202012Validator(content["schema"] | {"components": DOCUMENT["components"]})
        assert [error.message for error in validator.iter_errors(answer.json())] == []
        for name in EVENTS["responses"][str(answer.status_code)].get("headers", {}):
            assert name in answer.headers or name == "Retry-After"
