"""What a prompt must and must not be, as checks. Each says what is wrong and what would be right.

The rules themselves (words, lengths, numbers) lie beside the prompts, one file a locale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from services.notifier.ladder import AUDIENCES, STEPS, Prompt, PromptCatalogue, any_of, plain

ALIKE_FROM = 0.5
"""Two prompts are near duplicates from this share of common letter sequences on (Jaccard, 0..1)."""
_SEQUENCE_LETTERS = 5
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME_CHARACTERS_MAX = 40

Words = tuple[str, ...]
Count = Annotated[int, Field(ge=0)]


class AtLeast(BaseModel):
    """How many prompts there must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    altogether: Count
    each_step_for_everybody: Count
    each_step_of_a_theme: Count


class Rules(BaseModel):
    """The rules of one locale, as `prompt-rules.yaml` has them."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    length_max: Annotated[int, Field(gt=0)]
    """Characters."""
    sentences_max: Annotated[int, Field(gt=0)]
    reading_age_max: float | None = None
    """Years. The formula is made for English; None where it does not apply."""
    at_least: AtLeast
    question_words: Words
    invitations: Words
    yes_or_no_words: Words
    capitals: Words
    therapy_talk: Words
    unsafe: Mapping[str, Words]


class Fault(NamedTuple):
    wrong: str
    right: str


def faults(prompt: Prompt, rules: Rules) -> Iterator[Fault]:
    """All that is wrong with one prompt by itself."""
    if not _NAME.fullmatch(prompt.name) or len(prompt.name) > _NAME_CHARACTERS_MAX:
        yield Fault(
            "its name is not usable", f"small letters and hyphens, at most {_NAME_CHARACTERS_MAX}: lunch-on-your-own"
        )
    if prompt.step not in STEPS:
        yield Fault(f"{prompt.step!r} is not a step", f"one of {', '.join(STEPS)}")
    if not prompt.text.strip():
        yield Fault("it has no text", "a question, after the colon")
        return
    for check in (_length, _sentences, _reading_age, _opening, _yes_or_no, _names, _therapy_talk, _unsafe):
        yield from check(prompt.text, rules)


def _length(text: str, rules: Rules) -> Iterator[Fault]:
    if len(text) > rules.length_max:
        yield Fault(f"{len(text)} characters are too long to remember", f"at most {rules.length_max}")


def _sentences(text: str, rules: Rules) -> Iterator[Fault]:
    if (count := len(_sentences_of(text))) > rules.sentences_max:
        yield Fault(f"{count} sentences are too many", f"at most {rules.sentences_max}")


def _reading_age(text: str, rules: Rules) -> Iterator[Fault]:
    if rules.reading_age_max is not None and (age := reading_age(text)) > rules.reading_age_max:
        yield Fault(
            f"it reads as for somebody of {age:.1f}",
            f"shorter words and sentences, for an age of {rules.reading_age_max:g}",
        )


def _opening(text: str, rules: Rules) -> Iterator[Fault]:
    first = _first_word(text)
    question = first in {word.casefold() for word in rules.question_words}
    invitation = first in {word.casefold() for word in rules.invitations}
    if not question and not invitation:
        openings = ", ".join((*rules.question_words, *rules.invitations))
        yield Fault(f'it begins with "{text.split()[0]}"', f"begin so that it opens a story: {openings}")
    elif question and not text.endswith("?"):
        yield Fault("a question without a question mark", "put ? at its very end")
    elif invitation and not text.endswith("."):
        yield Fault("an invitation without a full stop", "put . at its very end")


def _yes_or_no(text: str, rules: Rules) -> Iterator[Fault]:
    closed = "|".join(map(re.escape, rules.yes_or_no_words))
    asks = rf"(?:^|[.!?] |, (?:and |or |but )?)((?:{closed})(?:n['’]t)?) (?!not\b)"
    # After a comma such a word may also just go on ("cook, do the dishes"): then no subject follows it.
    subject = r"(?:you|your|it|they|their|he|she|we|there|this|that|any\w+|some\w+|every\w+)\b"
    found = re.match(rf"(?:{closed})\b", _first_word(text)) or re.search(asks + subject, text, re.IGNORECASE)
    if found:
        yield Fault(
            f'"{found[0].strip(" ,")} ..." can be answered with yes or no',
            f"ask for a story: {', '.join(rules.question_words)}",
        )


def _names(text: str, rules: Rules) -> Iterator[Fault]:
    allowed = {word.replace("’", "'") for word in rules.capitals}
    for sentence in _sentences_of(text):
        for word in re.findall(r"[\w'’]+", sentence)[1:]:
            bare = word.strip("'").replace("’", "'").removesuffix("'s")
            if bare[:1].isupper() and bare not in allowed:
                yield Fault(f'"{word}" looks like a name', "no names; other words with a capital go into `capitals`")


def _therapy_talk(text: str, rules: Rules) -> Iterator[Fault]:
    if found := any_of(rules.therapy_talk).search(plain(text)):
        yield Fault(f'"{found[0]}" is therapy talk', "say it as a friend would, in plain words")


def _unsafe(text: str, rules: Rules) -> Iterator[Fault]:
    for about, words in rules.unsafe.items():
        if found := any_of(words).search(plain(text)):
            yield Fault(f'"{found[0]}" is about {about}', "ask for nothing that a stranger should not know")


def near_duplicates(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, Prompt]]:
    """Pairs that ask the same in nearly the same words, the earlier one first. O(n²) in the number of prompts."""
    sequences = [_sequences(prompt.text) for prompt in prompts]
    for later, mine in enumerate(sequences):
        for earlier in range(later):
            others = sequences[earlier]
            common = len(mine & others)
            if common >= ALIKE_FROM * (len(mine) + len(others) - common):
                yield prompts[earlier], prompts[later]


def gaps(catalogue: PromptCatalogue, rules: Rules) -> Iterator[tuple[str, Fault]]:
    """Where there are too few: the theme (or an empty string for the whole catalogue), and what is missing."""
    least = rules.at_least
    if len(catalogue.prompts) < least.altogether:
        yield "", Fault(f"{len(catalogue.prompts)} prompts are too few", f"at least {least.altogether}")
    for theme in catalogue.themes.values():
        if theme.audience not in AUDIENCES:
            continue
        for step in STEPS:
            count = len(catalogue.pool([theme.name], step))
            if count < least.each_step_of_a_theme:
                yield theme.name, Fault(f"{count} prompts of step {step!r}", f"at least {least.each_step_of_a_theme}")
    everybody = [theme.name for theme in catalogue.themes.values() if theme.audience == "everybody"]
    for step in STEPS:
        count = len(catalogue.pool(everybody, step))
        if count < least.each_step_for_everybody:
            yield (
                "",
                Fault(f"{count} prompts of step {step!r} for everybody", f"at least {least.each_step_for_everybody}"),
            )


def reading_age(text: str) -> float:
    """The age, in years, from which an English text can be read with ease: Flesch-Kincaid grade plus five.

    References
    ----------
    Kincaid, Fishburne, Rogers and Chissom (1975), Derivation of new readability formulas
    for Navy enlisted personnel. Syllables are counted by groups of vowels, which is right
    for about nine words in ten.

    >>> reading_age("What made you laugh?") < 8 < 16 < reading_age("Which epistemological considerations predominate?")
    True
    """
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text)
    if not words:
        return 0.0
    sentences = max(1, len(_sentences_of(text)))
    grade = 0.39 * len(words) / sentences + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59
    return max(0.0, grade) + 5.0


def _syllables(word: str) -> int:
    letters = word.casefold().split("'")[0].split("’")[0]
    # A silent e at the end, also before s and d: "made", "likes", "noticed"; not "wanted", "boxes", "table".
    spoken = re.sub(r"(?<![aeiouy])(?<![^aeiouy]l)e$|(?<=[^aeioutdsxz])es$|(?<=[^aeioutd])ed$", "", letters)
    return max(1, len(re.findall(r"[aeiouy]+", spoken)))


def _sentences_of(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])[\"'”’)]*\s+", text.strip()) if sentence]


def _first_word(text: str) -> str:
    return re.split(r"[^\w'’]", text.strip(), maxsplit=1)[0].casefold()


def _sequences(text: str) -> frozenset[str]:
    letters = plain(text)
    return frozenset(letters[at : at + _SEQUENCE_LETTERS] for at in range(max(1, len(letters) - _SEQUENCE_LETTERS + 1)))
