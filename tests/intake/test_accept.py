"""What intake makes of an event: records, or a problem that points at the field and repeats nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.accept import Accepted, Desk
from services.intake.gazetteer import Gazetteer, Place
from services.intake.problems import Problem
from shared import topics
from shared.community import load_communities
from shared.contracts import Contact, PartnerRequest, Profile
from shared.ids import member_id
from shared.slots import SLOTS

NOW_MS = 1_795_400_000_000  # November 2026
COMMUNITIES = load_communities(Path(__file__).parents[2] / "communities")
PLACES = [
    (Place("Notting Hill", 51.5115, -0.20587), 21_000, ["Нотинг Хил"]),
    (Place("Hackney", 51.55, -0.05), 200_000, []),
]
DESK = Desk(COMMUNITIES, {"london": Gazetteer(COMMUNITIES["london"], PLACES)}, frozenset({"book-app"}))

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "book-app",
    "type": "connection.member.signed_up",
    "subject": "user-17",
    "data": {
        "community": "london",
        "first_name": "Amara",
        "email": "amara@example.org",
        "birth_year": 1991,
        "place": {"name": "notting hill"},
        "interests": ["Book-Club", "running", "book club", "Ghanaian cooking"],
        "life_topics": ["new parent"],
        "openness": {"shares": 4, "listens": 5, "goes_first": 4, "depth": 3},
        "consent": {"introductions": True, "wording": "2026-11", "given_at": "2026-11-22T10:00:00Z"},
        "own_words": "I still eat lunch alone.",
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The event, but for one field; a value of ... takes it away."""
    event = copy.deepcopy(EVENT)
    *parents, last = path.split(".")
    target = event
    for parent in parents:
        target = target[parent]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return event


def accept(event: Any) -> Accepted | Problem:
    return DESK.accept(json.dumps(event).encode(), partner="book-app", now_ms=NOW_MS)


def accepted(event: Any) -> tuple[Contact, Profile]:
    decision = accept(event)
    assert isinstance(decision, Accepted), decision
    assert [record.topic for record in decision.records] == ["contacts", "profiles"]
    contact, profile = (record.value for record in decision.records)
    return Contact.model_validate_json(contact or b""), Profile.model_validate_json(profile or b"")


def test_a_sign_up_becomes_a_contact_and_a_profile_that_knows_no_name() -> None:
    contact, profile = accepted(EVENT)
    assert contact.first_name == "Amara"
    assert contact.email == "amara@example.org"
    assert profile.member == contact.member == member_id("london", "book-app", "user-17")
    assert profile.interests == ("book club", "running", "ghanaian cooking")
    assert profile.place == "Notting Hill"
    assert (profile.latitude, profile.longitude) == (51.51, -0.21), "no finer than 500 m"
    assert profile.available == SLOTS, "who names no slot is free in all of them"
    text = profile.to_bytes().decode()
    assert "Amara" not in text
    assert "example.org" not in text
    assert "lunch" not in text
    assert "user-17" not in text


def test_life_topics_are_kept_only_with_their_own_consent() -> None:
    assert accepted(EVENT)[1].life_topics == ()
    assert accepted(changed("data.consent.life_topics", True))[1].life_topics == ("new parent",)


def test_with_coordinates_the_profile_tells_the_neighbourhood_and_not_the_street() -> None:
    place = {"name": "12 Portobello Road", "latitude": 51.5127, "longitude": -0.2049}
    profile = accepted(changed("data.place", place))[1]
    assert (profile.place, profile.latitude, profile.longitude) == ("Notting Hill", 51.515, -0.2)


def test_the_same_event_gives_the_same_keys() -> None:
    first, second = accept(EVENT), accept(EVENT)
    assert first == second


def test_bytes_and_decoded_json_are_judged_alike() -> None:
    assert DESK.accept(EVENT, partner="book-app", now_ms=NOW_MS) == accept(EVENT)


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        ("data.email", "amara-at-home", "/data/email"),
        ("data.email", ..., "/data/email"),
        ("data.first_name", "  ", "/data/first_name"),
        ("data.birth_year", 2008, "/data/birth_year"),
        ("data.birth_year", 1850, "/data/birth_year"),
        ("data.place", {}, "/data/place"),
        ("data.place", {"name": "Noting Hil"}, "/data/place/name"),
        ("data.place", {"latitude": 48.85, "longitude": 2.35}, "/data/place"),
        ("data.interests", [], "/data/interests"),
        ("data.interests", ["!!"], "/data/interests"),
        ("data.interests", ["x"] * 31, "/data/interests"),
        ("data.openness.depth", 6, "/data/openness/depth"),
        ("data.openness.courage", 5, "/data/openness/courage"),
        ("data.consent.introductions", ..., "/data/consent/introductions"),
        ("data.consent.given_at", "yesterday", "/data/consent/given_at"),
        ("data.community", "paris", "/data/community"),
        ("data.available", ["weekends", "once in a blue moon"], "/data/available/1"),
        ("specversion", "0.3", "/specversion"),
        ("subject", ..., "/subject"),
        ("subject", "", "/subject"),
    ],
)
def test_a_wrong_field_is_pointed_at(path: str, value: Any, pointer: str) -> None:
    decision = accept(changed(path, value))
    assert isinstance(decision, Problem)
    assert decision.status == 422
    assert pointer in [error.pointer for error in decision.errors]
    assert all(error.detail for error in decision.errors)


def test_a_misspelt_place_is_answered_with_what_may_have_been_meant() -> None:
    decision = accept(changed("data.place", {"name": "Noting Hil"}))
    assert isinstance(decision, Problem)
    assert "Notting Hill" in decision.errors[0].detail


def test_what_was_agreed_to_is_kept_with_its_wording_and_time() -> None:
    contact = Contact.model_validate_json(accept(EVENT).records[0].value or b"")
    assert (contact.consent_wording, contact.consent_given_at_ms) == ("2026-11", 1_795_341_600_000)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b'{"type": "connection.member.signed_up"}']
)
def test_whatever_is_no_event_is_a_problem(body: bytes) -> None:
    assert isinstance(DESK.accept(body, partner="book-app", now_ms=NOW_MS), Problem)


def test_an_unknown_type_is_named_with_those_that_are_known() -> None:
    decision = accept(changed("type", "connection.member.exploded"))
    assert isinstance(decision, Problem)
    assert "connection.member.left" in decision.errors[0].detail


def test_nobody_signs_up_members_of_another_partner() -> None:
    decision = DESK.accept(EVENT, partner="chess-app", now_ms=NOW_MS)
    assert isinstance(decision, Problem)
    assert decision.status == 403


def test_on_the_topic_only_known_partners_are_taken() -> None:
    assert isinstance(DESK.accept(EVENT, partner=None, now_ms=NOW_MS), Accepted)
    assert isinstance(DESK.accept(changed("source", "stranger"), partner=None, now_ms=NOW_MS), Problem)


def test_leaving_forgets_the_profile_and_the_contact() -> None:
    event = {**EVENT, "type": "connection.member.left", "data": {"community": "london"}}
    decision = accept(event)
    assert isinstance(decision, Accepted)
    request, *tombstones = decision.records
    assert PartnerRequest.model_validate_json(request.value or b"").requested_at_ms == NOW_MS
    assert [(record.topic, record.value) for record in tombstones] == [
        (topics.PROFILES.name, None),
        (topics.CONTACTS.name, None),
    ]
    assert {record.key for record in decision.records} == {member_id("london", "book-app", "user-17")}


PRIVATE = "zanzibar-secret-7"


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(
        [
            "data.first_name",
            "data.email",
            "data.own_words",
            "data.place",
            "data.interests",
            "data.openness",
            "data.birth_year",
        ]
    ),
    value=st.one_of(
        st.just(PRIVATE * 30),
        st.just([PRIVATE]),
        st.just({PRIVATE: PRIVATE}),
        st.just({"name": PRIVATE}),
        st.just(f"{PRIVATE}@"),
        st.just(f"{PRIVATE}@-.org"),
        st.integers(),
        st.none(),
    ),
)
def test_no_problem_repeats_what_a_person_wrote(path: str, value: Any) -> None:
    decision = accept(changed(path, value))
    if isinstance(decision, Problem):
        # A key that is no field is named, since that is the engineer's and not the member's; a value never.
        told = json.dumps([error.detail for error in decision.errors]) + decision.detail
        assert PRIVATE not in told


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise(body: bytes) -> None:
    assert isinstance(DESK.accept(body, partner="book-app", now_ms=NOW_MS), Problem)
