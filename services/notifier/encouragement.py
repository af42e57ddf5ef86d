"""What goes with a set of prompts: that passing is always fine, and a fact that makes it easier to begin.

A fact is stated only where it is true: each names the conditions under which it was
found, and all of them must hold for the people who read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.notifier.ladder import STEPS, Step

Condition = Literal["first meeting", "further meeting", "pair", "group", "beyond small talk", "climbs", "opener"]


@dataclass(frozen=True, slots=True)
class Occasion:
    """For whom, and before what, something is said."""

    people: int
    """How many meet."""
    meeting: int = 1
    """The how manieth time that they meet, from 1."""
    steps: Sequence[Step] = ()
    """The steps of the prompts that go with it."""
    opener: bool = False
    """Whether only the opener reads it."""


_HOLDS: Mapping[Condition, Callable[[Occasion], bool]] = MappingProxyType(
    {
        "first meeting": lambda at: at.meeting == 1,
        "further meeting": lambda at: at.meeting > 1,
        "pair": lambda at: at.people == 2,
        "group": lambda at: at.people > 2,
        "beyond small talk": lambda at: any(STEPS.index(step) >= STEPS.index("real") for step in at.steps),
        "climbs": lambda at: bool(at.steps) and STEPS.index(at.steps[-1]) - STEPS.index(at.steps[0]) >= 2,
        "opener": lambda at: at.opener,
    }
)


class Fact(BaseModel):
    """Something that was found out, where it was published, and when it may be said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\.$")]
    source: Annotated[str, Field(min_length=20, pattern=r"\(\d{4}")]
    """Authors, year, title, journal: for those who edit the words, not for members."""
    only_if: Annotated[tuple[Condition, ...], Field(min_length=1)]

    def is_true_of(self, occasion: Occasion) -> bool:
        return all(_HOLDS[condition](occasion) for condition in self.only_if)


class Encouragement(BaseModel):
    """One locale's reminders and facts, as `encouragement.yaml` has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passing: Annotated[tuple[str, ...], Field(min_length=1)]
    """Each says that nobody has to answer."""
    facts: Mapping[str, Fact]

    def reminder(self, introduction: str, meeting: int = 1) -> str:
        """That passing is always fine, in one of several ways; the same for all in one introduction."""
        return min(self.passing, key=lambda text: draw(introduction, str(meeting), text))

    def facts_true_of(self, occasion: Occasion) -> tuple[Fact, ...]:
        """Every fact that may be stated there, in the order of the file."""
        return tuple(fact for fact in self.facts.values() if fact.is_true_of(occasion))

    def fact(self, introduction: str, occasion: Occasion) -> Fact | None:
        """One fact that may be stated there, or None if none is known to be true.

        What is meant for the opener alone goes before what everybody may be told. Drawn by
        the introduction's id and the meeting.
        """
        true = self.facts_true_of(occasion)
        for_opener = [fact for fact in true if "opener" in fact.only_if]
        key = introduction, str(occasion.meeting)
        return min(for_opener or true, key=lambda fact: draw(*key, fact.says), default=None)


def draw(*parts: str) -> bytes:
    """Chance that is the same every time: what sorts first by it is drawn."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
