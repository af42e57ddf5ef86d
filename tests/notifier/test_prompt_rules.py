"""Every check, on a prompt that is made up to fail it and on one that is as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import services.notifier
from services.notifier.ladder import Prompt, PromptCatalogue, Step, Theme
from services.notifier.prompt_rules import Rules, faults, gaps, near_duplicates, reading_age

WORDS = Path(services.notifier.__file__).parent / "words" / "en-GB"
RULES = Rules.model_validate(yaml.safe_load((WORDS / "prompt-rules.yaml").read_text(encoding="utf-8")))


def prompt(text: str, name: str = "made-up", step: str = "easy", theme: str = "books") -> Prompt:
    return Prompt(name, text, step, theme)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "What did you do lately that you would happily do again?",
        "What do you do in the hour before friends come round, cook, do the dishes or panic?",
        "When have you stood at the edge of a group, and what did you do?",
        "Tell us about the last thing you mended.",
        "What was your worst Saturday job? How did I'd-rather-not become I'd-love-to?",
        "What has a health visitor said, in earnest, to make you laugh?",
    ],
)
def test_a_good_prompt_passes(text: str) -> None:
    assert list(faults(prompt(text), RULES)) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no text"),
        ("   ", "no text"),
        ("What " + "is " * 45 + "it?", "143 characters are too long"),
        ("What is it? Where is it? When is it?", "3 sentences are too many"),
        ("Which epistemological considerations predominate habitually?", "reads as for somebody of"),
        ("Do you like reading?", '"do ..." can be answered with yes or no'),
        ("Isn't it lovely to read?", 'begins with "Isn\'t"'),
        ("If you could, would you read all day?", '"would you ..." can be answered with yes or no'),
        ("What did you read, and was it any good?", '"and was it ..." can be answered with yes or no'),
        ("What did you read? Did you like it?", "can be answered with yes or no"),
        ("Books are lovely.", 'begins with "Books"'),
        ("Why are you single?", 'begins with "Why"'),
        ("What are you reading", "without a question mark"),
        ("What are you reading.", "without a question mark"),
        ("Tell us about the last thing you read?", "without a full stop"),
        ("What would you lend to Amara?", '"Amara" looks like a name'),
        ("What did you do in Hackney’s parks?", '"Hackney’s" looks like a name'),
        ("What has healed you?", '"healed" is therapy talk'),
        ("Which of your boundaries do you keep?", "therapy talk"),
        ("How do you show that you are vulnerable?", "therapy talk"),
        ("What do you do for self-care?", '"self care" is therapy talk'),
        ("What is your salary?", "about money"),
        ("What would you do with £100?", "about money"),
        ("How do you afford to live here?", "about money"),
        ("Where were you first kissed?", "about sex"),
        ("What is your address?", "about where somebody lives"),
        ("When are you home alone?", "about where somebody lives"),
        ("What was your first pet's name, and your password?", "what identity is stolen with"),
        ("Which way did you vote at the last election?", "politics of the day"),
        ("When did you last pray?", "about belief"),
        ("When did you last get drunk?", "about drink"),
        ("How old are you?", "about age"),
        ("Where are you really from?", "about age, health and origin"),
    ],
)
def test_a_bad_prompt_is_found_and_told_what_would_be_right(text: str, wrong: str) -> None:
    found = list(faults(prompt(text), RULES))
    assert any(wrong in fault.wrong for fault in found), found
    assert all(fault.right for fault in found)


@pytest.mark.parametrize("name", ["Made up", "made_up", "-made", "", "m" * 41, "x" * 60])
def test_a_name_that_cannot_be_kept_is_found(name: str) -> None:
    assert [fault.wrong for fault in faults(prompt("What is it?", name=name), RULES)] == ["its name is not usable"]


def test_an_unknown_step_is_found() -> None:
    assert [f.wrong for f in faults(prompt("What is it?", step="esay"), RULES)] == ["'esay' is not a step"]


def test_near_duplicates_are_found_and_mere_likeness_is_not() -> None:
    first = prompt("What do you wish somebody had noticed?", "first")
    again = prompt("What do you wish that somebody had noticed?", "again")
    other = prompt("What do you find hard to ask other people for?", "other")
    like = prompt("What do you need that you find hard to claim?", "like")
    assert list(near_duplicates([first, other, again, like])) == [(first, again)]


def test_gaps_are_found() -> None:
    themes = {"books": Theme("books", "interests", ("book",)), "everybody": Theme("everybody", "everybody")}
    steps: list[Step] = ["easy", "personal", "real", "hard"]
    prompts = {step: prompt("What is it?", step, step) for step in steps}
    found = [(theme, fault.wrong) for theme, fault in gaps(PromptCatalogue(themes, prompts), RULES)]
    assert ("", "4 prompts are too few") in found
    assert ("books", "0 prompts of step 'deep'") in found
    assert ("books", "0 prompts of step 'easy'") not in found
    assert ("", "0 prompts of step 'easy' for everybody") in found


@pytest.mark.parametrize(
    ("text", "age"),
    [
        # By hand: words, syllables. 0.39 * words + 11.8 * syllables / words - 15.59, plus 5.
        ("What made you laugh?", 5.0),  # 4, 4: below the first grade
        ("What is the loveliest walk you know, and where does it end?", 0.39 * 12 + 11.8 * 14 / 12 - 15.59 + 5),
        ("Which little table wanted noticed boxes?", 0.39 * 6 + 11.8 * 11 / 6 - 15.59 + 5),
    ],
)
def test_the_reading_age_is_that_of_the_formula(text: str, age: float) -> None:
    assert reading_age(text) == pytest.approx(age)
