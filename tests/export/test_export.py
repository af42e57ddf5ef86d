"""What a member is given when they ask for everything: all that is theirs, and nothing that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.notifier.export import NOT_EXPORTED, SECTIONS, Found, export
from services.notifier.export_reading import READS
from shared import ids, topics
from shared.contracts import (
    Anchor,
    Choice,
    ChoiceKind,
    ClosingReason,
    Introduction,
    IntroductionState,
    Meeting,
    MeetingPlace,
    Preference,
    PreferenceKind,
    Record,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)

NOW = 1_790_000_000_000
ME, OTHER, THIRD = (ids.member_id("london", "club", name) for name in ("amara", "ben", "chidi"))


def a_suggestion() -> Suggestion:
    members = tuple(sorted((ME, OTHER)))
    return Suggestion(
        community="london", suggestion=ids.suggestion_id(members, 0), kind=SuggestionKind.PAIR, members=members,
        opener=OTHER, anchor=Anchor(kind="interest", word="books"), shared_interests=("books", "running"),
        place=MeetingPlace(name="Notting Hill", latitude=51.51, longitude=-0.2, farthest_km=3.2), slot="tue-evening",
        score=ScoreParts(interests=0.5, openness=0.7, practical=0.9, total=0.6), weights={}, reasons=("Secret.",),
        waited_ms=1000, suggested_at_ms=NOW, round=RoundReference(round="r_1", seed=1, engine="t", offsets={}),
    )  # fmt: skip


def an_introduction(**more: Any) -> Introduction:
    return Introduction(
        community="london", introduction=a_suggestion().suggestion, suggestion=a_suggestion(), proposed_at_ms=NOW,
        answer_by_ms=NOW + 1000, **{"state": IntroductionState.PROPOSED, **more},
    )  # fmt: skip


def preference(member: str, kind: PreferenceKind, about: str | None = None) -> Preference:
    return Preference(community="london", member=member, kind=kind, chosen_at_ms=NOW, about=about)


def told(topic: topics.TopicSpec, *records: Record, now_ms: int = NOW) -> list[dict[str, Any]]:
    document = export(ME, [Found(topic.name, record) for record in records], now_ms)
    json.dumps(document)
    (name,) = [section.name for section in SECTIONS if section.topic is topic]
    entries: list[dict[str, Any]] = document[name]["entries"]
    return entries


def test_no_topic_is_forgotten() -> None:
    exported = [section.topic.name for section in SECTIONS]
    assert len(set(exported)) == len(exported)
    assert not set(exported) & NOT_EXPORTED.keys()
    assert {*exported, *NOT_EXPORTED} == topics.TOPICS.keys(), (
        "a topic must have a section in services/notifier/export.py, or a reason in NOT_EXPORTED why it has none"
    )
    assert {*exported} <= {topic.name for topic in READS}
    assert all("notifier" in topic.readers for topic in READS), "whoever serves the link must be allowed to read it"


def test_others_blocks_and_answers_are_not_told_and_ones_own_are_without_an_id() -> None:
    found = told(
        topics.PREFERENCES,
        preference(OTHER, PreferenceKind.REPORT, ME),
        preference(ME, PreferenceKind.BLOCK, OTHER),
    )
    assert [(one["kind"], one["about"]) for one in found] == [("block", "somebody you were introduced to")]
    answers = [
        Choice(community="london", member=who, introduction="s_1", kind=kind, chosen_at_ms=NOW)
        for who, kind in ((ME, ChoiceKind.YES), (OTHER, ChoiceKind.NO))
    ]
    assert [one["kind"] for one in told(topics.CHOICES, *answers)] == ["yes"]


def test_a_suggestion_tells_what_is_shared_and_not_who_they_are() -> None:
    (one,) = told(topics.SUGGESTIONS, a_suggestion())
    assert one["because_you_all_share"] == ["books", "running"]
    assert one["you_would_be_asked_to_go_first"] is False
    assert OTHER not in json.dumps(one)


@pytest.mark.parametrize(
    "said",
    [
        {"said_no": (OTHER,), "closing_reason": ClosingReason.DECLINED},
        {"said_no": (), "closing_reason": ClosingReason.EXPIRED},
    ],
)
def test_a_no_looks_like_silence(said: dict[str, Any]) -> None:
    closed = an_introduction(
        state=IntroductionState.CLOSED, said_yes=(ME,), closed_at_ms=NOW + 10, revision=len(said["said_no"]), **said
    )
    open_ = an_introduction(said_yes=(ME,))
    assert told(topics.INTRODUCTIONS, closed) == told(topics.INTRODUCTIONS, open_), "until the time is over"
    (after,) = told(topics.INTRODUCTIONS, closed, now_ms=NOW + 2000)
    assert (after["state"], after["your_answer"]) == ("did not come together", "yes")
    assert after == told(topics.INTRODUCTIONS, an_introduction(said_yes=(ME,)), now_ms=NOW + 2000)[0]


def test_of_a_date_one_is_told_what_one_said_oneself() -> None:
    meeting = Meeting(
        occasion=1, number=1, starts_at_ms=NOW, ends_at_ms=NOW + 1, invited=(ME, OTHER), check_in_at_ms=NOW,
        met=(ME, OTHER), again=(ME,), not_again=(OTHER,),
    )  # fmt: skip
    (one,) = told(
        topics.INTRODUCTIONS,
        an_introduction(
            state=IntroductionState.INTRODUCED, said_yes=(ME, OTHER), introduced=(ME, OTHER), present=(ME, OTHER),
            introduced_at_ms=NOW, meeting=meeting,
        ),
    )  # fmt: skip
    assert one["date"]["what_you_told_us_about_it"] == ["met", "again"]
    assert OTHER not in json.dumps(one)
    assert "not-again" not in json.dumps(one)


def test_an_introduction_of_others_is_not_told() -> None:
    others = a_suggestion().model_copy(update={"members": (OTHER, THIRD)})
    assert told(topics.SUGGESTIONS, others) == []
    assert (
        told(topics.INTRODUCTIONS, an_introduction(said_yes=(OTHER,)).model_copy(update={"suggestion": others})) == []
    )


def test_who_was_erased_is_told_that_and_nothing_else() -> None:
    found = [
        Found(topics.PREFERENCES.name, preference(ME, PreferenceKind.ERASE)),
        Found(topics.SUGGESTIONS.name, a_suggestion()),
    ]
    document = export(ME, found, NOW)
    assert document.keys() == {"about_this_file", "erased", "what_that_means", "asked_at"}
    assert document["erased"] is True
    assert export(OTHER, found, NOW)["erased"] is False
