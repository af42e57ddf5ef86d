"""What people wrote among their interests, told apart: what they love to do, and what they are going through.

Somebody who writes "grief" or "sober 6 months" among their interests has told a life topic,
and whether that may be used is not asked by the field that it stands in: it is asked by the
consent to life topics. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from services.intake.asides import is_comment, is_of_oneself
from services.intake.spelling import key_of, plain
from services.intake.vocabulary import Vocabulary

_SEPARATORS = (
    re.compile(r"[,;|>→~\n]|[.!?:]+ |\.\.+|…|\s[-–—]+\s"),
    re.compile(r"[/&+()\[\]]|\b(?:and|n|but|after|since)\b", re.IGNORECASE),
)
"""Of the entries of a list, and of what is told in one breath."""
_PARTS_MAX = 10
_REMEMBERED = 65_536


class ToldApart(NamedTuple):
    """What one entry, or several, are kept as."""

    interests: tuple[str, ...]
    life_topics: tuple[str, ...]
    """To be used only with a consent of their own."""


_INTERESTS, _LIFE_TOPICS = attrgetter("interests"), attrgetter("life_topics")


class Interests:
    """Tells interests from life topics by the two vocabularies; what is in neither is an interest in own words."""

    def __init__(self, interests: Vocabulary, life_topics: Vocabulary) -> None:
        self._interests = interests
        self._life_topics = life_topics
        self.of_entry = lru_cache(maxsize=_REMEMBERED)(self._of_entry)

    def of(self, written: Iterable[str]) -> ToldApart:
        """Of several entries, in their order, each word once."""
        return _together(map(self.of_entry, written))

    def _of_entry(self, entry: str, separators: tuple[re.Pattern[str], ...] = _SEPARATORS) -> ToldApart:
        understood = self._interests.understand(entry)
        topic = self._life_topics.understand(entry)
        # "New in town" is a life topic as it stands, and an interest only to who takes half of it off.
        # What is both as it stands ("making friends") is taken for what they were asked for.
        if self._life_topics.has(entry) and not self._interests.has(entry):
            return ToldApart((), topic.kept)
        if understood.known and not understood.in_passing:
            return ToldApart(understood.kept, ())
        if topic.known and not topic.in_passing:
            return ToldApart((), topic.kept)
        if separators:
            separator, *finer = separators
            parts = [part for part in separator.split(entry) if plain(part)][:_PARTS_MAX]
            told = _together([self._of_part(part, tuple(finer)) for part in parts])
            if told.life_topics:
                return told
        if topic.known and (is_of_oneself(key_of(entry)) or len(topic.kept) > 1):
            # A life topic is heard in it: "just got my ADHD diagnosis at 51". An interest too: "yoga since my divorce".
            return ToldApart(self._beside_topics(entry) if understood.known else (), topic.kept)
        # No life topic is in it: then it is kept as the vocabulary keeps it, and not in our parts.
        return ToldApart(understood.kept, ())

    def _beside_topics(self, entry: str) -> tuple[str, ...]:
        """The interests heard in a sentence, less what is part of a life topic: "left the church I grew up in"."""
        topics = [(first, end) for first, end, _ in self._life_topics.heard_at(entry)]
        return tuple(
            dict.fromkeys(
                word
                for first, end, word in self._interests.heard_at(entry)
                if all(end <= topic[0] or first >= topic[1] for topic in topics)
            )
        )

    def _of_part(self, part: str, separators: tuple[re.Pattern[str], ...]) -> ToldApart:
        """As much of a part, less what only comments on another: "our dog died. I know it's only a dog"."""
        told = self._of_entry(part, separators)
        if told.interests and not told.life_topics and is_comment(key_of(part)):
            understood = self._interests.understand(part)
            if not understood.known or understood.in_passing:
                return ToldApart((), ())
        return told


def _together(parts: Iterable[ToldApart]) -> ToldApart:
    told = list(parts)
    return ToldApart(_each_once(map(_INTERESTS, told)), _each_once(map(_LIFE_TOPICS, told)))


def _each_once(words: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(words)))
