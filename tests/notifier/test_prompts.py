"""Choosing prompts: about what people share, as far as all of them can bear, never the same twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import services.notifier
from services.notifier.catalogue import load_catalogue
from services.notifier.encouragement import Condition, Occasion
from services.notifier.ladder import STEPS, Prompt, Step
from services.notifier.prompts import PROMPTS_PER_MEETING, prompts_for, shared_themes, steps_for

CATALOGUE, ENCOURAGEMENT = load_catalogue(Path(services.notifier.__file__).parent / "words" / "en-GB")
LIFE_TOPIC_THEMES = {theme.name for theme in CATALOGUE.themes.values() if theme.audience == "life topics"}
FOR_EVERYBODY = {theme.name for theme in CATALOGUE.themes.values() if theme.audience == "everybody"}
paces, meetings = st.integers(1, 5), st.integers(1, 12)
said = st.sampled_from(
    ["books", "running", "bereavement", "new parent", "job worries", "tea", "caring for my mum", "moths", ""]
) | st.text(max_size=20)


def steps(prompts: tuple[Prompt, ...]) -> list[Step]:
    return [prompt.step for prompt in prompts]


@given(st.text(max_size=12), st.lists(said, max_size=5), said, paces, meetings)
def test_nobody_is_led_further_than_one_step_beyond_the_least_open(
    introduction: str, interests: list[str], life_topic: str, pace: int, meeting: int
) -> None:
    at = {"life_topic": life_topic, "pace": pace, "meeting": meeting, "seen": frozenset[str]()}
    chosen = prompts_for(introduction, interests, CATALOGUE, **at)
    places = [STEPS.index(step) for step in steps(chosen)]
    assert len(chosen) == PROMPTS_PER_MEETING
    assert places == sorted(places)
    assert places[-1] == min(pace, len(STEPS) - 1), "depth 1 can bear the first step: one more is the second"
    assert chosen == prompts_for(introduction, list(interests), CATALOGUE, **at)


@given(st.text(max_size=12), st.lists(said, max_size=5))
def test_a_life_topic_is_never_inferred_from_an_interest(introduction: str, interests: list[str]) -> None:
    for meeting in (1, 2, 3):
        chosen = prompts_for(introduction, interests, CATALOGUE, pace=5, meeting=meeting)
        assert not {prompt.theme for prompt in chosen} & LIFE_TOPIC_THEMES


@pytest.mark.parametrize(
    ("life_topic", "theme"),
    [
        ("bereavement", "bereavement"),
        ("new parent", "new-parents"),
        ("new to London", "new-in-town"),
        ("job worries", "job-worries"),
        ("caring for a parent", "caring"),
    ],
)
def test_a_life_topic_is_met_by_its_own_theme_and_no_other(life_topic: str, theme: str) -> None:
    for pace in range(1, 6):
        chosen = prompts_for("i_1", [], CATALOGUE, life_topic=life_topic, pace=pace)
        themes = [prompt.theme for prompt in chosen]
        assert themes[0] == themes[2] == theme
        assert set(themes) <= {theme, *FOR_EVERYBODY}
    assert shared_themes(CATALOGUE, ["books"], life_topic) == ("books", theme) or theme < "books"
    assert shared_themes(CATALOGUE, [life_topic]) == ()


def test_an_interest_is_not_met_by_a_life_topic() -> None:
    assert shared_themes(CATALOGUE, [], "books") == ()


def test_the_first_and_the_last_are_about_what_they_share() -> None:
    for number in range(20):
        chosen = prompts_for(f"i_{number}", ["running", "book club"], CATALOGUE, pace=4)
        assert chosen[0].theme in ("sport", "books")
        assert chosen[1].theme in FOR_EVERYBODY
        assert chosen[2].theme in ("sport", "books")
        nothing_shared = prompts_for(f"i_{number}", [], CATALOGUE, pace=4)
        assert {prompt.theme for prompt in nothing_shared} <= FOR_EVERYBODY


def test_other_introductions_take_other_prompts() -> None:
    several = {prompts_for(f"i_{number}", [], CATALOGUE) for number in range(100)}
    assert len(several) > 80
    drawn = {prompt.name for prompts in several for prompt in prompts if prompt.step == "easy"}
    assert drawn == {p.name for p in CATALOGUE.pool(FOR_EVERYBODY, "easy")}, "each has its turn"


@pytest.mark.parametrize(
    ("pace", "meeting", "expected"),
    [
        (1, 1, ["easy", "easy", "personal"]),
        (2, 1, ["easy", "personal", "real"]),
        (3, 1, ["easy", "personal", "hard"]),
        (4, 1, ["easy", "real", "deep"]),
        (5, 1, ["easy", "real", "deep"]),
        (1, 2, ["personal", "personal", "personal"]),
        (2, 2, ["personal", "personal", "real"]),
        (3, 2, ["personal", "real", "hard"]),
        (3, 3, ["real", "real", "hard"]),
        (5, 3, ["real", "hard", "deep"]),
        (5, 30, ["real", "hard", "deep"]),
    ],
)
def test_each_further_meeting_starts_higher_up(pace: int, meeting: int, expected: list[Step]) -> None:
    assert list(steps_for(pace, meeting)) == expected


@pytest.mark.parametrize(("pace", "meeting"), [(0, 1), (6, 1), (3, 0)])
def test_what_is_out_of_range_is_said(pace: int, meeting: int) -> None:
    with pytest.raises(ValueError, match=r"must be 1 to 5|counted from 1"):
        steps_for(pace, meeting)


@given(st.text(max_size=12), st.lists(said, max_size=3), said, paces)
def test_never_the_same_twice_until_there_is_nothing_left(
    introduction: str, interests: list[str], life_topic: str, pace: int
) -> None:
    seen: set[str] = set()
    for meeting in range(1, 400):
        chosen = prompts_for(
            introduction, interests, CATALOGUE, life_topic=life_topic, pace=pace, meeting=meeting, seen=seen
        )
        names = [prompt.name for prompt in chosen]
        assert len(set(names)) == len(names)
        assert not seen & set(names)
        assert all(STEPS.index(prompt.step) <= pace for prompt in chosen)
        assert [STEPS.index(step) for step in steps(chosen)] == sorted(STEPS.index(step) for step in steps(chosen))
        if len(chosen) < PROMPTS_PER_MEETING:
            break
        seen |= set(names)
    bearable = STEPS[: pace + 1]
    themes = {*FOR_EVERYBODY, *shared_themes(CATALOGUE, interests, life_topic)}
    assert {*seen, *names} == {p.name for step in bearable for p in CATALOGUE.pool(themes, step)}, "all were used"
    assert meeting > 12


@given(st.text(max_size=12), st.lists(said, max_size=3), paces)
def test_what_nobody_kept_is_worked_out_anew(introduction: str, interests: list[str], pace: int) -> None:
    seen: set[str] = set()
    for meeting in range(1, 8):
        kept = prompts_for(introduction, interests, CATALOGUE, pace=pace, meeting=meeting, seen=seen)
        assert kept == prompts_for(introduction, interests, CATALOGUE, pace=pace, meeting=meeting)
        seen |= {prompt.name for prompt in kept}


def test_prompts_are_found_again_by_their_names() -> None:
    chosen = prompts_for("i_1", ["books"], CATALOGUE)
    assert CATALOGUE.named(prompt.name for prompt in chosen) == chosen
    assert CATALOGUE.named(["taken-out-since"]) == ()


def test_each_set_has_a_reminder_that_passing_is_fine() -> None:
    reminders = {ENCOURAGEMENT.reminder(f"i_{number}", meeting) for number in range(30) for meeting in (1, 2)}
    assert len(reminders) > 2
    assert all("pass" in reminder.lower() for reminder in ENCOURAGEMENT.passing)
    assert ENCOURAGEMENT.reminder("i_1") == ENCOURAGEMENT.reminder("i_1")


EVERY_OCCASION = [
    Occasion(people, meeting, steps_for(pace, meeting), opener)
    for people in (2, 3, 6)
    for meeting in (1, 2, 3)
    for pace in range(1, 6)
    for opener in (False, True)
]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("first meeting", lambda at: at.meeting == 1),
        ("further meeting", lambda at: at.meeting in (2, 3)),
        ("pair", lambda at: at.people == 2),
        ("group", lambda at: at.people in (3, 6)),
        ("beyond small talk", lambda at: bool({"real", "hard", "deep"} & set(at.steps))),
        ("climbs", lambda at: STEPS.index(max(at.steps, key=STEPS.index)) - STEPS.index(at.steps[0]) > 1),
        ("opener", lambda at: at.opener),
    ],
)
def test_a_fact_is_stated_only_where_it_is_true(condition: Condition, holds) -> None:  # type: ignore[no-untyped-def]
    concerned = [fact for fact in ENCOURAGEMENT.facts.values() if condition in fact.only_if]
    assert concerned
    for occasion in EVERY_OCCASION:
        stated = ENCOURAGEMENT.facts_true_of(occasion)
        if not holds(occasion):
            assert not set(stated) & set(concerned)
    assert all(any(fact in ENCOURAGEMENT.facts_true_of(at) for at in EVERY_OCCASION) for fact in concerned)


def test_what_was_found_out_about_small_talk_is_not_claimed_for_small_talk() -> None:
    awkward = ENCOURAGEMENT.facts["less-awkward-than-expected"]
    assert not awkward.is_true_of(Occasion(2, 1, steps_for(1)))
    assert awkward.is_true_of(Occasion(2, 1, steps_for(2)))
    assert not awkward.is_true_of(Occasion(3, 1, steps_for(2))), "it was found in pairs"


def test_a_fact_is_drawn_by_the_introduction() -> None:
    pair = Occasion(2, 1, steps_for(2))
    drawn = {fact.says for number in range(50) if (fact := ENCOURAGEMENT.fact(f"i_{number}", pair))}
    assert drawn == {fact.says for fact in ENCOURAGEMENT.facts_true_of(pair)}
    assert ENCOURAGEMENT.fact("i_1", pair) == ENCOURAGEMENT.fact("i_1", pair)
    assert all(ENCOURAGEMENT.fact("i_1", at) for at in EVERY_OCCASION), "there is one for every occasion"
    opener = ENCOURAGEMENT.fact("i_1", Occasion(2, 1, steps_for(2), opener=True))
    assert opener is not None
    assert "opener" in opener.only_if
