"""Plain sign-ups are read quickly, and just as the models read them; whatever is not plain is left to the models."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ValidationError
from test_accept import DESK, EVENT, NOW_MS, changed

from demo.london import synthesize
from services.intake import plain_signups
from services.intake.events import READER, SignUpEvent
from services.intake.plain_signups import PlainData, PlainSignUp, is_plain, plain_sign_up, plain_sign_ups
from services.intake.reading import read_batch
from shared.contracts import Consent, Openness, PlaceInput, SignUp

FULL = copy.deepcopy(EVENT) | {"time": "2026-11-22T10:00:00.123456+01:00", "datacontenttype": "application/json"}
FULL["data"] |= {
    "place": {"latitude": 51.5, "longitude": -0.125},
    "languages": ["en", "tw"],
    "locale": "en-GB",
    "travel_km": 7.5,
    "available": ["tue-evening", "weekends"],
    "looking_for": ["group"],
    "schemaVersion": 2,
}
ODD: list[Any] = [
    None, True, False, 0, 1, 3, 5, 6, -1, 4.0, 4.5, 1e2, 1e400, -0.0, 10**30, 1899, 1900, 2100, 2101, 0.5, 100, 100.01,
    90.0, -90, 180.0000001, "", " ", "a", "A", " a", "a ", "a\n", "\u00a0a", "a\u2028", "a\x1f", "\x00", "a\x00", "İ",
    "x" * 60, "x" * 61, "x" * 120, "x" * 121, "x" * 200, "x" * 201, "x" * 254, "x" * 280, "x" * 281, "london", "London",
    "london\n", "en", "EN", "e", "eng", "en-GB", "en-gb", "en_GB", "en-GB\n", "friend", "group", "1", "2", "1.0",
    "a@b.example", "A@B.example", "amara@Example.org", "amara@exämple.org", "amara@example..org", "amara @example.org",
    "amara@example.org ", "amara@localhost", "a.b.c@example.org", "amara@example.org\n", "@example.org", "amara",
    "connection.member.signed_up", "connection.member.updated", "connection.member.left", "connection.member.paused",
    "2026-11-22T10:00:00Z", "2026-11-22t10:00:00z", "2026-11-22 10:00:00Z", "2026-11-22T10:00Z", "2026-11-22T10:00:00",
    "2026-11-22T10:00:00.1Z", "2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00.9999999Z", "2026-11-22T24:00:00Z",
    "2026-11-22T10:00:60Z", "2026-11-22T10:00:00+01:00", "2026-11-22T10:00:00+0100", "2026-11-22T10:00:00-23:59",
    "2026-11-22T10:00:00+24:00", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "2026-11-22", "1795341600", [], ["a"], ["a", "a"], ["a"] * 8, ["a"] * 9, ["a"] * 21, ["a"] * 22,
    ["a"] * 30, ["a"] * 31, ["en"] * 8, [1], [None], ["friend"], ["friend", "group"], ["group"] * 3, {}, {"name": None},
    {"latitude": 91, "longitude": 0}, {"latitude": 51, "longitude": -0.1}, {"name": "Hackney", "zone": 2},
]  # fmt: skip


def as_bytes(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def told(read: Any) -> Any:
    """What was read, without saying how."""
    if isinstance(read, BaseModel):
        return {name: told(getattr(read, name)) for name in type(read).model_fields}
    if isinstance(read, msgspec.Struct):
        return {name: told(getattr(read, name)) for name in read.__struct_fields__}
    if isinstance(read, datetime):
        return ("moment", read.timestamp(), read.utcoffset())
    if isinstance(read, tuple):
        return tuple(map(told, read))
    return (type(read) if not isinstance(read, str) else str, read)


def check(body: bytes) -> bool:
    """Whether it is read as a plain one; then the model must read the same."""
    plain = plain_sign_up(body)
    if plain is None:
        return False
    try:
        model = READER.validate_json(body)
    except ValidationError as error:
        raise AssertionError(f"the model refuses what was read: {body!r}") from error
    assert told(plain) == told(model), body
    return True


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an event."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*path, key))


def test_everybody_of_the_synthetic_london_is_read_as_a_plain_one_and_alike() -> None:
    assert all(check(as_bytes(event)) for event in synthesize(500, 1))
    assert check(as_bytes(EVENT))
    assert check(as_bytes(FULL))


@pytest.mark.parametrize("base", [EVENT, FULL], ids=["bare", "full"])
def test_whatever_stands_in_whatever_place(base: dict[str, Any]) -> None:
    """Each value of a list of odd ones in each place, and each field away, twice, and beside one of another name."""
    count = 0
    for path in list(paths(base))[1:]:
        for value in ODD:
            event = copy.deepcopy(base)
            reduce(lambda inner, key: inner[key], path[:-1], event)[path[-1]] = value
            count += check(as_bytes(event))
        event = copy.deepcopy(base)
        within = reduce(lambda inner, key: inner[key], path[:-1], event)
        value = within.pop(path[-1])
        count += check(as_bytes(event))
        if isinstance(within, dict):
            within["extra"] = value
            assert not check(as_bytes(event)), "attributes of the sender's own are the models' to judge"
    assert count > 200, "some must be plain, or this shows nothing"


def test_bytes_that_are_changed_at_random() -> None:
    rng = random.Random(6)
    pieces = [
        b'"',
        b"\\",
        b"\\u0041",
        b"\\ud800",
        b"\xff",
        b"\x00",
        b"\t",
        b" ",
        b"0",
        b"1",
        b"9",
        b".",
        b"-",
        b"e",
        b"E",
    ]
    pieces += [
        b",",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"true",
        b"A",
        b"a",
        b"\xc3\xa9",
        b"\xef\xbb\xbf",
        b"\x0c",
        b"\xa0",
    ]
    bodies = [as_bytes(event) for event in (EVENT, FULL, *synthesize(20, 2))]
    count = 0
    for _ in range(30_000):
        body = bytearray(rng.choice(bodies))
        for _ in range(rng.choice((1, 1, 1, 2))):
            at = rng.randrange(len(body) + 1)
            body[at : at + rng.choice((0, 0, 1, 1, 4))] = rng.choice(pieces)
        count += check(bytes(body))
    assert count > 3_000


def test_a_field_that_stands_there_twice_is_read_alike() -> None:
    for twice in (b'"community":"london","community":"paris",', b'"community":1,"community":"london",'):
        check(as_bytes(EVENT).replace(b'"community": "london",', twice))


def test_the_fields_and_what_is_meant_where_none_is_told_are_those_of_the_models() -> None:
    pairs: list[tuple[type[msgspec.Struct], type[BaseModel]]] = [
        (PlainSignUp, SignUpEvent),
        (PlainData, SignUp),
        (plain_signups.PlainPlace, PlaceInput),
        (plain_signups.PlainConsent, Consent),
        (plain_signups.PlainOpenness, Openness),
    ]
    for plain, model in pairs:
        defaults = {field.name: field.default for field in msgspec.structs.fields(plain) if not field.required}
        assert set(plain.__struct_fields__) == set(model.model_fields)
        expected = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
        assert defaults == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.first_name", " Amara"),
        ("data.own_words", "I still eat lunch alone.\n"),
        ("data.email", "amara@Example.org"),
        ("data.place", {"name": "notting hill "}),
        ("data.available", ["weekends "]),
        ("data.birth_year", 1991.0),
        ("time", "2026-11-22T10:00:00.9999999Z"),
    ],
)
def test_what_is_good_and_not_plain_is_accepted_by_the_models(path: str, value: Any) -> None:
    event = changed(path, value)
    assert plain_sign_up(as_bytes(event)) is None
    body = as_bytes(event)
    assert DESK.accept(body, partner="book-app", now_ms=NOW_MS) == DESK.accept(event, partner="book-app", now_ms=NOW_MS)


def test_a_batch_with_some_that_are_not_plain_is_read_as_one_by_one() -> None:
    events = [EVENT, changed("data.first_name", " Amara "), FULL, changed("data.email", "amara@EXAMPLE.org")]
    body = as_bytes(events)
    sign_ups = plain_sign_ups(body)
    assert sign_ups is not None
    assert [is_plain(sign_up) for sign_up in sign_ups] == [True, False, True, False]
    read = read_batch(body)
    assert read is not None
    assert [told(one) for one in read] == [told(READER.validate_json(as_bytes(event))) for event in events]
    assert DESK.accept_batch(body, partner="book-app", now_ms=NOW_MS) == [
        DESK.accept(as_bytes(event), partner="book-app", now_ms=NOW_MS) for event in events
    ]


def test_a_batch_with_one_that_is_wrong_is_left_to_be_taken_apart() -> None:
    assert read_batch(as_bytes([EVENT, changed("data.first_name", "  ")])) is None
    assert read_batch(as_bytes([EVENT, changed("data.birth_year", 1)])) is None
    assert read_batch(b"[") is None
