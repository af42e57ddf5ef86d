"""Nothing is taken for what it is not: what is no `true` is no consent, and what is a text is no number."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from endpoint import BATCH, InMemory, binary, event
from test_accept import COMMUNITIES, DESK, EVENT, accept, accepted, changed

from services.intake.accept import Accepted, Desk
from services.intake.problems import Problem

NO_YES = ["true", "yes", "on", 1, 1.0, "1", None, [], {}, [True]]
NO_NUMBERS = ["4", "4.0", " 4", 4.5, True, None, [4], "four", "٤"]
WHOLE = [
    "data.birth_year",
    "data.openness.shares",
    "data.openness.listens",
    "data.openness.goes_first",
    "data.openness.depth",
    "data.schemaVersion",
]
NO_TIMES = [1_795_341_600, "1795341600", "1795341600000", "2026-11-22", "2026-11-22T10:00:00", "yesterday", True, ""]


def refused(path: str, value: Any) -> str:
    """What is said of the field."""
    problem = accept(changed(path, value))
    assert isinstance(problem, Problem), f"{path} = {value!r} was taken"
    [error] = problem.errors
    assert error.pointer == "/" + path.replace(".", "/")
    return error.detail


@pytest.mark.parametrize("value", NO_YES)
@pytest.mark.parametrize("consent", ["introductions", "life_topics"])
def test_only_true_is_consent(consent: str, value: Any) -> None:
    assert "true or false" in refused(f"data.consent.{consent}", value)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("path", WHOLE)
def test_only_a_whole_number_is_one(path: str, value: Any) -> None:
    assert "whole number" in refused(path, value)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """To JSON Schema 4.0 is an integer, and some languages write none without a point."""
    said = changed("data.openness", {"shares": 4.0, "listens": 5, "goes_first": 2e0, "depth": 3})
    said["data"] |= {"birth_year": 1991.0, "schemaVersion": 2.0}
    profile = accepted(said)[1]
    assert (profile.birth_year, profile.openness.shares, profile.openness.goes_first) == (1991, 4, 2)
    assert b"4.0" not in profile.to_bytes()


@pytest.mark.parametrize(("path", "value"), [("data.birth_year", 1899), ("data.openness.depth", 6)])
def test_a_whole_number_has_its_bounds(path: str, value: int) -> None:
    assert "equal to" in refused(path, value)


@pytest.mark.parametrize("value", ["5", "5.0", True, "far", [5]])
@pytest.mark.parametrize("path", ["data.travel_km", "data.place.latitude", "data.place.longitude"])
def test_only_a_number_is_one(path: str, value: Any) -> None:
    assert "must be a number" in refused(path, value)
    assert accepted(changed("data.travel_km", 7))[1].travel_km == 7.0


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("path", ["data.travel_km", "data.place.latitude"])
def test_what_is_not_finite_is_no_number(path: str, word: str) -> None:
    body = json.dumps(changed(path, "@")).replace('"@"', word).encode()
    problem = DESK.accept(body, partner="book-app", now_ms=0)
    assert isinstance(problem, Problem)
    assert problem.errors[0].pointer == "/" + path.replace(".", "/")


@pytest.mark.parametrize("value", NO_TIMES)
@pytest.mark.parametrize("path", ["data.consent.given_at", "time"])
def test_only_a_time_with_its_offset_is_one(path: str, value: Any) -> None:
    assert "RFC 3339" in refused(path, value)


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.25+01:00", "2026-11-22t10:00:00z"])
def test_a_time_may_be_written_in_each_way_of_rfc_3339(text: str) -> None:
    assert isinstance(accept(changed("time", text)), Accepted)


@pytest.mark.parametrize("value", [7, True, None, ["Amara"], {"name": "Amara"}])
@pytest.mark.parametrize("path", ["data.first_name", "data.email", "data.own_words", "id", "subject"])
def test_only_a_text_is_one(path: str, value: Any) -> None:
    assert refused(path, value)


def test_every_way_in_is_as_strict_as_the_others() -> None:
    """What was decoded on its way (binary, base64, one of a batch that is taken apart) is judged as JSON is."""
    wrong = event("a")
    wrong["data"]["consent"]["introductions"] = 1
    wrong["data"]["birth_year"] = "1991"
    packed = {name: value for name, value in wrong.items() if name != "data"}
    packed["data_base64"] = base64.b64encode(json.dumps(wrong["data"]).encode()).decode()
    intake = InMemory()
    answers = [
        intake.post(wrong).json(),
        intake.post(wrong["data"], binary(wrong)).json(),
        intake.post(packed).json(),
        intake.post([wrong, event("b")], BATCH).json()["results"][0]["problem"],
    ]
    for answer in answers:
        assert [one["pointer"] for one in answer["errors"]] == ["/data/birth_year", "/data/consent/introductions"]
    assert [record.topic for record in intake.published] == ["contacts", "profiles"], "of the good one of the batch"


def test_what_is_decoded_and_too_deep_is_a_problem() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    answer = InMemory().post({"community": "london", "first_name": deep}, binary(event("a")))
    assert answer.status_code == 422
    assert "deep" in answer.json()["title"]


@pytest.mark.parametrize(
    ("zone", "at_ms", "born", "is_adult"),
    [
        ("Europe/London", 1_798_761_599_000, 2008, False),  # 23:59:59 on 31 December 2026
        ("Europe/London", 1_798_761_600_000, 2008, True),
        ("Pacific/Auckland", 1_798_714_799_000, 2008, False),  # the same in New Zealand, thirteen hours earlier
        ("Pacific/Auckland", 1_798_714_800_000, 2008, True),
        ("America/Los_Angeles", 1_798_761_600_000, 2008, False),  # New Year in London, an afternoon there
        ("America/Los_Angeles", 1_798_790_400_000, 2008, True),
    ],
)
def test_somebody_is_an_adult_by_the_calendar_of_their_community(
    zone: str, at_ms: int, born: int, is_adult: bool
) -> None:
    london = COMMUNITIES["london"]
    there = london.model_copy(update={"time_zone": zone})
    desk = Desk({"london": there}, DESK._gazetteers, frozenset({"book-app"}))  # type: ignore[arg-type]
    decision = desk.accept(changed("data.birth_year", born), partner="book-app", now_ms=at_ms)
    assert isinstance(decision, Accepted) == is_adult, decision
    if isinstance(decision, Problem):
        assert decision.errors[0].pointer == "/data/birth_year"


def test_the_event_that_all_of_this_is_a_change_of_is_a_good_one() -> None:
    assert isinstance(accept(EVENT), Accepted)
