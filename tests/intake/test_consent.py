"""What a member did not agree to is not done: no introductions, and no life topics, wherever they are told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from endpoint import BATCH, InMemory, event
from test_accept import DESK, NOW_MS, accept, accepted, changed

from services.intake.accept import Accepted
from services.intake.problems import Problem
from services.intake.told_apart import Interests
from services.intake.vocabulary import interests, life_topics
from shared.contracts import PartnerRequest, PartnerRequestKind

SAYS_NO = {"introductions": False, "wording": "2026-11", "given_at": "2026-11-22T10:00:00Z"}


def no_from(subject: str, **changes: Any) -> dict[str, Any]:
    """A sign-up by somebody who does not agree."""
    said = event(subject, id=f"no of {subject}", **changes)
    said["data"]["consent"] = SAYS_NO
    return said


@pytest.mark.parametrize("kind", ["signed_up", "updated"])
@pytest.mark.parametrize("place", [{"name": "Hackney"}, {"name": "nowhere that is known"}])
def test_whoever_says_no_leaves_whatever_else_is_said(kind: str, place: dict[str, str]) -> None:
    said = changed("type", f"connection.member.{kind}")
    said["data"] |= {"consent": SAYS_NO, "place": place, "birth_year": 2020, "available": ["some day"]}
    decision = accept(said)
    assert isinstance(decision, Accepted)
    request, *forgotten = decision.records
    assert PartnerRequest.model_validate_json(request.value or b"").kind is PartnerRequestKind.LEFT
    assert [(record.topic, record.value) for record in forgotten] == [("profiles", None), ("contacts", None)]
    left = accept({**said, "type": "connection.member.left", "data": {"community": "london"}})
    assert isinstance(left, Accepted)
    assert decision.records == left.records, "as if their partner had said that they left"


def test_the_answer_does_not_tell_whether_there_was_such_a_member() -> None:
    intake = InMemory()
    assert intake.post(event("known")).status_code == 202
    intake.published.clear()
    told = []
    for subject in ("known", "unknown"):
        answer = intake.post(no_from(subject))
        shape = {name: type(value) for name, value in answer.json().items()}
        told.append((answer.status_code, shape, answer.json()["withdrawn"], answer.headers["content-length"]))
        stored = b"".join(record.value or b"" for record in intake.published)
        assert b"Amara" not in stored
        assert b"book club" not in stored
    assert told[0][:3] == told[1][:3]
    assert told[0][2] is True
    assert [record.topic for record in intake.published] == ["partner-requests", "profiles", "contacts"] * 2


def test_in_a_batch_and_a_dry_run_it_is_told_too() -> None:
    intake = InMemory()
    batch = intake.post([event("a"), no_from("b")], BATCH)
    assert batch.status_code == 202
    assert [one.get("withdrawn") for one in batch.json()["results"]] == [None, True]
    lost = no_from("c")
    lost["data"]["place"] = {"name": "nowhere that is known"}
    dry = intake.post(lost, query="?dry_run=true")
    assert dry.status_code == 200
    assert dry.json()["withdrawn"] is True
    assert "understood" not in dry.json()
    assert [one["value"] for one in dry.json()["would_store"]][1:] == [None, None]


def test_who_comes_back_with_a_consent_is_signed_up() -> None:
    intake = InMemory()
    for said in (event("a"), no_from("a"), event("a", id="again")):
        assert intake.post(said).status_code == 202
    topics = [record.topic for record in intake.published]
    assert topics == ["contacts", "profiles", "partner-requests", "profiles", "contacts", "contacts", "profiles"]


# Life topics among the interests

BOTH = {
    *("learning english", "starting a business", "freelancing", "money", "finances", "homelessness", "pots"),
    *("making friends", "looking for friends", "want friends", "want more friends", "want to make friends"),
    *("need friends", "need to meet people"),
}
"""Ways to write an interest and a life topic: the field that it stands in tells which. What somebody is, is none."""
WRITTEN = [
    ("bereavement", (), ("bereavement",)),
    ("Grief", (), ("bereavement",)),
    ("sober 6 months", (), ("sobriety",)),
    ("I'm a new mum", (), ("new parent",)),
    ("recently divorced", (), ("starting over after a break-up",)),
    ("running, grief", ("running",), ("bereavement",)),
    ("painting and grief", ("painting",), ("bereavement",)),
    ("ADHD (diagnosed at 40)", (), ("neurodiversity",)),
    ("queer", (), ("lgbtq+ life",)),
    ("new in town", (), ("new to london",)),
    ("making friends", ("meeting people",), ()),
    ("walking / living with cancer", ("walking",), ("cancer",)),
    ("footie", ("football",), ()),
    ("running", ("running",), ()),
    ("Ghanaian cooking", ("ghanaian cooking",), ()),
    ("rock and roll, grief", ("rock music",), ("bereavement",)),
    ("knights and dragons", ("knights and dragons",), ()),
    ("student theatre", ("student theatre",), ()),
    ("lost my cat", (), ("loss of a pet",)),
    ("miscarriage", (), ("pregnancy or baby loss",)),
    ("lost my brother to suicide", (), ("bereavement by suicide",)),
    ("leaving an abusive relationship", (), ("an abusive relationship",)),
    ("I'm shy", (), ("shyness",)),
    ("abortion", (), ("after an abortion",)),
    ("eating disorder recovery", (), ("mental health",)),
    ("living with my parents", (), ("living with parents",)),
    ("friendship breakup", (), ("end of a friendship",)),
    ("insomnia", (), ("poor sleep",)),
    ("carer", (), ("caring for somebody",)),
    ("freelancer", (), ("being self-employed",)),
    ("looking for friends", ("meeting people",), ()),
    ("pots", ("pottery",), ()),
    ("the strokes", ("rock music",), ()),
    ("finances", ("economics",), ()),
    ("smoking", ("smoking",), ()),
    ("alcohol", ("alcohol",), ()),
    ("migration", ("migration",), ()),
    ("transition", ("transition",), ()),
    ("panic at the disco", ("panic at the disco",), ()),
    ("just got my ADHD diagnosis at 51", (), ("neurodiversity",)),
    ("walking helps my depression", ("walking",), ("depression",)),
    ("our dog died. I know it's only a dog", (), ("loss of a pet",)),
    ("books about grief", ("reading",), ()),
    ("left the church I grew up in", (), ("leaving a religion",)),
    ("running for cancer research", ("running for cancer research",), ()),
]


@pytest.mark.parametrize(("entry", "loved", "gone_through"), WRITTEN)
def test_interests_and_life_topics_are_told_apart(
    entry: str, loved: tuple[str, ...], gone_through: tuple[str, ...]
) -> None:
    said = changed("data.interests", ["chess", entry])
    said["data"].pop("life_topics")
    assert accepted(said)[1].interests == ("chess", *loved)
    assert accepted(said)[1].life_topics == ()
    said["data"]["consent"] = said["data"]["consent"] | {"life_topics": True}
    assert accepted(said)[1].interests == ("chess", *loved)
    assert accepted(said)[1].life_topics == gone_through


def test_every_life_topic_in_every_way_to_write_it_is_told_from_an_interest() -> None:
    told = Interests(interests(), life_topics())
    both = {written for written in life_topics()._by_key if interests().has(written)}
    assert both == BOTH | {written.replace(" ", "") for written in BOTH}
    for written, word in life_topics()._by_key.items():
        if written not in both:
            assert told.of_entry(written) == ((), (word,)), written
    for written, word in interests()._by_key.items():
        assert told.of_entry(written) == ((word,), ()), written


def test_what_is_told_in_both_fields_is_kept_once() -> None:
    said = changed("data.interests", ["grief", "chess", "new parents"])
    said["data"]["consent"] = said["data"]["consent"] | {"life_topics": True}
    assert accepted(said)[1].life_topics == ("new parent", "bereavement")


def test_who_tells_nothing_but_life_topics_is_asked_for_an_interest() -> None:
    for consent in (True, False):
        said = changed("data.interests", ["grief", "sober"])
        said["data"]["consent"] = said["data"]["consent"] | {"life_topics": consent}
        problem = accept(said)
        assert isinstance(problem, Problem)
        assert problem.errors[0].pointer == "/data/interests"
        assert "life topics are no interests" in problem.errors[0].detail


@pytest.mark.parametrize("consent", [True, False])
def test_a_dry_run_says_so_plainly(consent: bool) -> None:
    said = changed("data.interests", ["Footie", "sober 6 months", "painting and grief"])
    said["data"]["consent"] = said["data"]["consent"] | {"life_topics": consent}
    explained = DESK.explain(copy.deepcopy(said), partner="book-app", now_ms=NOW_MS)
    assert not isinstance(explained, Problem)
    football, sober, painting = explained["understood"]["interests"]
    assert football == {"given": "Footie", "kept": ("football",), "known": True}
    assert (sober["kept"], sober["life_topics"]) == ((), ("sobriety",))
    assert (painting["kept"], painting["life_topics"]) == (("painting",), ("bereavement",))
    assert ("set aside" in sober["note"]) is not consent
    stored = json.dumps(explained["would_store"])
    assert ("sobriety" in stored) is consent
    assert "sober 6" not in stored
