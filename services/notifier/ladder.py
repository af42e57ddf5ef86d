"""The conversation ladder: prompts in five steps, from easy to deep, each about a theme."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

Step = Literal["easy", "personal", "real", "hard", "deep"]
"""The ladder, from the first rung up."""
STEPS: tuple[Step, ...] = get_args(Step)

Audience = Literal["everybody", "interests", "life topics"]
"""Who a theme is for: everybody, those who share such an interest, those who declared such a life topic."""
AUDIENCES: tuple[Audience, ...] = get_args(Audience)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question, or an invitation to tell."""

    name: str
    """Stays when the text is polished or translated: it says what these people have had already."""
    text: str
    step: Step
    theme: str


@dataclass(frozen=True)
class Theme:
    """What a prompt is about, and how those whom it is for are known."""

    name: str
    audience: Audience
    words: tuple[str, ...] = ()
    """By one of these an interest or a life topic belongs to the theme; a star stands for any ending."""

    def is_meant_by(self, said: str) -> bool:
        """Whether an interest or a life topic, as a member said it, belongs here. Whole words count.

        >>> sport = Theme("sport", "interests", ("run*", "five a side"))
        >>> [sport.is_meant_by(said) for said in ("Running", "five-a-side football", "brunch")]
        [True, True, False]
        """
        return bool(self.words) and bool(self._pattern.search(plain(said)))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return any_of(self.words)


@dataclass(frozen=True)
class PromptCatalogue:
    """Every prompt of one locale, checked. `catalogue.load_catalogue` reads it."""

    themes: Mapping[str, Theme]
    prompts: Mapping[str, Prompt]
    """By name."""

    def pool(self, themes: Iterable[str], step: Step) -> tuple[Prompt, ...]:
        """The prompts of one step about any of some themes, in the order of the files."""
        wanted = frozenset(themes)
        return tuple(p for p in self._by_step[step] if p.theme in wanted)

    def named(self, names: Iterable[str]) -> tuple[Prompt, ...]:
        """Prompts by name, in that order. One that has been taken out since is left out."""
        return tuple(self.prompts[name] for name in names if name in self.prompts)

    @cached_property
    def _by_step(self) -> dict[Step, tuple[Prompt, ...]]:
        return {step: tuple(p for p in self.prompts.values() if p.step == step) for step in STEPS}


def plain(text: str) -> str:
    """Text as lists of words see it: lower case, hyphens and other marks as spaces, apostrophes straight.

    >>> plain("Dog-walking, don’t you?")
    "dog walking don't you"
    """
    return " ".join(re.sub(r"[^\w'£€$*]+", " ", text.casefold().replace("’", "'")).split())


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Finds, in plain text, any of some words or phrases; a star in one stands for any ending.

    >>> [bool(any_of(["run*", "new to *"]).search(text)) for text in ("running", "a run", "brunch", "new to london")]
    [True, True, False, True]
    """
    choices = "|".join(re.escape(plain(word)).replace(r"\*", r"\w*") for word in words)
    return re.compile(rf"(?<![\w'])(?:{choices})(?!\w)" if choices else r"(?!)")
