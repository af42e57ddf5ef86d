"""Ten thousand bodies that are wrong, each in a way of its own, among five hundred good ones, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx
import pytest
from endpoint import BATCH, STRUCTURED, binary, event
from test_intake_on_kafka import member, read_records

from benchmarks.processes import service
from demo.kafka import EmbeddedKafka
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

BAD, GOOD = 10_000, 500
CONNECTIONS = 8
ANSWERED_SECONDS_MAX = 5.0
PATIENCE_SECONDS = 500
SEED = 2026


class Wrong(NamedTuple):
    """A request that must be refused, and what the answer must say."""

    body: bytes
    statuses: tuple[int, ...]
    headers: Mapping[str, str | bytes] = STRUCTURED
    pointer: str | None = None
    """Of the field that must be named; else the detail says what is wrong."""


TYPES = {
    "first_name": [7, None, True, [], {}, "", "  ", "x" * 61],
    "email": [7, None, [], "nowhere", "a@", "@b.org", "a b@example.org", "x" * 250 + "@example.org"],
    "birth_year": ["1991", 1991.5, True, None, [1991], 1899, 2101, 2025, -1],
    "place": [7, None, [], "Hackney", {}],
    "interests": ["chess", [], None, {}, 7, ["chess"] * 31, ["!!"]],
    "openness": [4, [], None, {"shares": 4}, {"shares": "4", "listens": 5, "goes_first": 4, "depth": 3}],
    "consent": [True, "yes", None, [], {"introductions": True}],
    "community": [7, None, "paris", "London", ""],
    "languages": ["en", [], ["english"], [7]],
    "locale": ["en", 7, "en_GB"],
    "travel_km": ["5", True, 0, 101, []],
    "life_topics": ["grief", 7, ["x"] * 9, [7]],
    "available": ["weekends", ["once in a blue moon"], [7], 7],
    "looking_for": ["friend", [], ["love"], ["friend", "group", "friend"]],
    "own_words": [7, None, "x" * 281],
    "schemaVersion": [0, 3, "2", True, 1.5, None],
    "unknown_field": [1, "x", None],
}


def encoded(of: Any) -> bytes:
    return json.dumps(of).encode()


def placed(name: str, field: str, literal: str) -> bytes:
    """A good event, with something in place of a field's value that need not be JSON."""
    changed = event(name)
    changed["data"][field] = "@@"
    return encoded(changed).replace(b'"@@"', literal.encode("utf-8", "surrogatepass"))


def cut_off(draws: random.Random, name: str) -> Wrong:
    whole = encoded(event(name))
    return Wrong(whole[: draws.randrange(len(whole))], (400,))


def of_a_wrong_type(draws: random.Random, name: str) -> Wrong:
    field = draws.choice(sorted(TYPES))
    changed = event(name)
    changed["data"][field] = draws.choice(TYPES[field])
    return Wrong(encoded(changed), (422,), pointer=f"/data/{field}")


def without_a_field(draws: random.Random, name: str) -> Wrong:
    changed = event(name)
    field = draws.choice(["first_name", "email", "birth_year", "place", "interests", "openness", "consent"])
    del changed["data"][field]
    return Wrong(encoded(changed), (422,), pointer=f"/data/{field}")


def deep(draws: random.Random, name: str) -> Wrong:
    levels = draws.choice([250, 1_000, 20_000])
    opening, closing = draws.choice([("[", "]"), ('{"a":', "}")])
    body = placed(name, "own_words", opening * levels + "1" + closing * levels * draws.randrange(2))
    return Wrong(body, (400, 422))


def not_utf_8(draws: random.Random, name: str) -> Wrong:
    bad = draws.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80"])
    return Wrong(encoded(event(name)).replace(b"Amara", b"Am" + bad + b"ara"), (400,))


def told_twice(draws: random.Random, name: str) -> Wrong:
    """Of two values of one name the last counts, as everywhere."""
    field, last = draws.choice([("birth_year", '"1991"'), ("email", "7"), ("consent", "true"), ("place", "{}")])
    good = json.dumps(event(name)["data"][field])
    return Wrong(placed(name, field, f'{good}, "{field}": {last}'), (422,), pointer=f"/data/{field}")


def huge(draws: random.Random, name: str) -> Wrong:
    field = draws.choice(["birth_year", "travel_km", "schemaVersion"])
    number = draws.choice(["1" + "0" * 40, "-" + "9" * 400, "1e999", "-1e308", "1" * 4_000, "1e-400"])
    return Wrong(placed(name, field, number), (400, 422))


def no_number(draws: random.Random, name: str) -> Wrong:
    field = draws.choice(["birth_year", "travel_km", "first_name"])
    return Wrong(placed(name, field, draws.choice(["NaN", "Infinity", "-Infinity", "0x10", "01", "+1"])), (400, 422))


def half_a_character(draws: random.Random, name: str) -> Wrong:
    field = draws.choice(["first_name", "own_words", "email"])
    return Wrong(placed(name, field, draws.choice(['"\\ud800"', '"a\\udfff b"', '"\\ud83d\\u0041"'])), (400,))


def of_another_kind(draws: random.Random, name: str) -> Wrong:
    types = ["text/plain", "application/xml", "application/json", "", "application/cloudevents+json; charset=latin-1"]
    return Wrong(encoded(event(name)), (415,), {"content-type": draws.choice(types)})


def attributes(draws: random.Random, name: str) -> Wrong:
    field, value = draws.choice(
        [
            ("specversion", "0.3"), ("specversion", 1.0), ("id", ""), ("id", "x" * 201), ("id", 7), ("subject", ""),
            ("subject", None), ("type", "com.example.some"), ("type", 7), ("time", "yesterday"), ("time", 1795400000),
            ("time", "2026-11-22T10:00:00"), ("datacontenttype", 7), ("data", None), ("data", "text"),
        ]
    )  # fmt: skip
    pointer = "" if field == "type" else f"/{field}"
    return Wrong(encoded(event(name) | {field: value}), (422,), pointer=pointer)


def of_somebody_else(draws: random.Random, name: str) -> Wrong:
    return Wrong(encoded(event(name, source=draws.choice(["chess-app", "BOOK-APP", "book-app "]))), (403,))


def batches(draws: random.Random, name: str) -> Wrong:
    whole = encoded([event(name)])
    body = draws.choice([b"{}", b"null", b'"x"', b"7", whole[:-1], whole + b"]", encoded(event(name))])
    return Wrong(body, (400, 422), BATCH)


def headers_of_binary_mode(draws: random.Random, name: str) -> Wrong:
    of = event(name)
    headers: dict[str, str | bytes] = {**binary(of)}
    field = draws.choice(["ce-id", "ce-source", "ce-type", "ce-subject"])
    if draws.randrange(2):
        headers[field] = draws.choice(["%FF%FE", "%C3%28"])
    else:
        del headers[field]
    return Wrong(encoded(of["data"]), (422,), headers)


def base64(draws: random.Random, name: str) -> Wrong:
    changed = {key: value for key, value in event(name).items() if key != "data"}
    changed["data_base64"] = draws.choice(["!", "e30", 7, None, "bm90IGpzb24="])
    return Wrong(encoded(changed), (422,), pointer="/data_base64")


def noise(draws: random.Random, name: str) -> Wrong:
    return Wrong(b"\x00" + draws.randbytes(draws.randrange(300)), (400,), draws.choice([STRUCTURED, BATCH]))


def too_large(draws: random.Random, name: str) -> Wrong:
    return Wrong(encoded(event(name))[:-1] + b" " * draws.choice([1_000_000, 2_500_000]) + b"}", (413,))


WAYS: dict[Callable[[random.Random, str], Wrong], int] = {
    cut_off: 10, of_a_wrong_type: 30, without_a_field: 6, deep: 5, not_utf_8: 6, told_twice: 6, huge: 6, no_number: 6,
    half_a_character: 6, of_another_kind: 5, attributes: 10, of_somebody_else: 3, batches: 5,
    headers_of_binary_mode: 5, base64: 4, noise: 6,
}  # fmt: skip
"""How often, in proportion; and `too_large`, which takes long, a few times."""
TOO_LARGE = 40


class Told(NamedTuple):
    way: str
    wrong: Wrong
    answer: httpx.Response


def judge(told: Told) -> str | None:
    """What is wrong with an answer, if anything is."""
    answer, wrong = told.answer, told.wrong
    if answer.status_code not in wrong.statuses:
        return f"{answer.status_code}"
    problem = answer.json()
    if answer.headers["content-type"] != "application/problem+json" or problem["status"] != answer.status_code:
        return "is no problem"
    pointers = [error["pointer"] for error in problem.get("errors", [])]
    if wrong.pointer is not None and not any(pointer.startswith(wrong.pointer) for pointer in pointers):
        return f"does not name {wrong.pointer}, but {pointers}"
    if not problem.get("detail") and not all(error["detail"] for error in problem.get("errors") or [{"detail": ""}]):
        return "says nothing"
    return None


def requests(draws: random.Random) -> list[tuple[str, Wrong | None]]:
    """All of them, shuffled: what is wrong, and the names of the good ones."""
    kinds = draws.choices([*WAYS], [*WAYS.values()], k=BAD - TOO_LARGE) + [too_large] * TOO_LARGE
    bad: list[tuple[str, Wrong | None]] = [
        (kind.__name__, kind(draws, f"bad-{number}")) for number, kind in enumerate(kinds)
    ]
    mixed = bad + [(f"good-{number}", None) for number in range(GOOD)]
    draws.shuffle(mixed)
    return mixed


@pytest.mark.timeout(600)
async def test_each_good_one_is_stored_once_and_each_bad_one_is_told_why(fresh_kafka: EmbeddedKafka) -> None:
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    await ensure_topics(kafka)
    todo = iter(requests(random.Random(SEED)))
    told: list[Told] = []
    seconds: list[float] = []

    async def send(client: httpx.AsyncClient, url: str) -> None:
        key = {"authorization": "Bearer sesame"}
        for name, wrong in todo:
            if wrong is not None:
                headers = {**wrong.headers, **key}
                told.append(Told(name, wrong, await client.post(url, content=wrong.body, headers=headers)))
                continue
            began = time.monotonic()
            answer = await client.post(url, content=encoded(event(name)), headers=STRUCTURED | key)
            seconds.append(time.monotonic() - began)
            assert answer.status_code == 202, answer.text

    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
        "INTAKE_API_KEYS": json.dumps({"book-app": "sesame"}),
        "INTAKE_EVENTS_PER_SECOND_MAX": "1000000",
    }
    with service("intake", environment) as intake:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(*(send(client, f"{intake.url}/v1/events") for _ in range(CONNECTIONS)))
        stored = {
            topic: Counter((record.key or b"").decode() for record in await read_records(kafka, topic))
            for topic in ("profiles", "contacts")
        }
    print(dict(Counter(one.way for one in told)), f"slowest good one {max(seconds):.2f} s")
    found = [(one.way, fault, one.wrong.body[:200], one.answer.text[:300]) for one in told if (fault := judge(one))]
    assert found == []
    assert (len(told), len(seconds)) == (BAD, GOOD)
    assert {one.way for one in told} == {way.__name__ for way in (*WAYS, too_large)}
    for counts in stored.values():
        assert counts == Counter(member(f"good-{number}") for number in range(GOOD))
    assert max(seconds) < ANSWERED_SECONDS_MAX
