"""Interests and life topics: what people write, understood as words that others use too.

The words lie in `words/interests.yaml` and `words/life_topics.yaml`, for anybody to
edit. What is not among them is kept as it was written: nobody's love is corrected away.
Where it looks like a slip of the pen, the known word is suggested back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import yaml

from services.intake.spelling import NearMisses, inflections, key_of, plain, signs_in_words, without_frame

_ALWAYS_APART = re.compile(r"[,;|]")
_PERHAPS_APART = re.compile(r"[/&+]|\b(?:and|n)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[(\[](.*?)[)\]]")
_CLAUSE = re.compile(
    r" (?:(?:w|with) (?:the|my|our|other|friends|mates|colleagues)|(?:at|in) (?:the|my|our)|who|whose|since|every|"
    r"to work|\d+ (?:days?|weeks?|months?|years?))\b.*"
)
"""Where, with whom or since when: it says more about the person than about the thing, and hides a known word."""
_PARTS_MAX = 10
_REMEMBERED = 65_536


class VocabularyError(ValueError):
    """A vocabulary file that cannot be used: says which file, which words, and what would be right."""


class Understood(NamedTuple):
    """What one entry was understood as."""

    kept: tuple[str, ...]
    """The words that are stored; none if nothing was left, several if it held several."""
    known: bool
    """Whether all of it is in the vocabulary; otherwise it is kept in the person's own words."""
    did_you_mean: tuple[str, ...] = ()
    """Known words that it looks like, if it is not known."""


_KEPT = attrgetter("kept")
_NOTHING = Understood((), known=False)


class Vocabulary:
    """Words in groups, by every way to write them."""

    def __init__(
        self,
        groups: Mapping[str, Mapping[str, Iterable[str]]],
        *,
        front: Iterable[str] = (),
        behind: Iterable[str] = (),
        file: str = "the vocabulary",
    ) -> None:
        """`groups` are other ways to write each word, by word, by group. Raises `VocabularyError` on a clash."""
        self.groups = {group: tuple(words) for group, words in groups.items()}
        self._by_key: dict[str, str] = {}
        for words in groups.values():
            for word, others in words.items():
                for written in (word, *others):
                    self._add(key_of(written), word, file)
        for key, word in list(self._by_key.items()):
            self._by_key.setdefault(key.replace(" ", ""), word)
        self._front = sorted(map(key_of, front), key=len, reverse=True)
        self._behind = sorted(map(key_of, behind), key=len, reverse=True)
        self._near = NearMisses(self._by_key)
        self.understand = lru_cache(maxsize=_REMEMBERED)(self._understand)

    def words(self, written: Iterable[str]) -> tuple[str, ...]:
        """What several entries are kept as, in their order, each word once."""
        return tuple(dict.fromkeys(chain.from_iterable(map(_KEPT, map(self.understand, written)))))

    def _add(self, key: str, word: str, file: str) -> None:
        already = self._by_key.setdefault(key, word)
        if already != word:
            raise VocabularyError(f"{file}: {key!r} is under both {already!r} and {word!r}; leave it under one of them")

    def _understand(self, entry: str) -> Understood:
        known = self._known(entry)
        if known is not None:
            return Understood((known,), known=True)
        for inside in _IN_BRACKETS.findall(entry):
            # The more precise of the two: "painting (watercolour)".
            if (known := self._known(inside)) is not None:
                return Understood((known,), known=True)
        parts = [part for part in _ALWAYS_APART.split(entry) if plain(part)][:_PARTS_MAX]
        if len(parts) > 1:
            return _together([self._understand(part) for part in parts])
        several = [self._known(part) for part in _PERHAPS_APART.split(entry)[:_PARTS_MAX]]
        words = tuple(word for word in several if word is not None)
        if len(words) == len(several) > 1:
            return Understood(tuple(dict.fromkeys(words)), known=True)
        kept = plain(entry)
        if not kept:
            drawn = [word for sign in signs_in_words(entry).split(", ") if (word := self._known(sign)) is not None]
            return Understood(tuple(dict.fromkeys(drawn)), known=True) if drawn else _NOTHING
        near = dict.fromkeys(self._by_key[key] for key in self._near.of(key_of(entry)))
        return Understood((kept,), known=False, did_you_mean=tuple(near))

    def _known(self, entry: str) -> str | None:
        key = key_of(entry)
        for whole in dict.fromkeys((key, _CLAUSE.sub("", key))):
            for bare in (whole, *without_frame(whole, self._front, self._behind)):
                for form in inflections(bare):
                    if form in self._by_key:
                        return self._by_key[form]
        return None


def _together(parts: list[Understood]) -> Understood:
    return Understood(
        tuple(dict.fromkeys(word for part in parts for word in part.kept)),
        known=all(part.known for part in parts),
        did_you_mean=tuple(dict.fromkeys(word for part in parts for word in part.did_you_mean)),
    )


def read_words(file: str) -> Any:
    """One of the data files of `words/`, every value as text: to YAML a plain `no` would be false."""
    text = resources.files("services.intake").joinpath("words", file).read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - the base loader makes text, lists and mappings only


@cache
def interests() -> Vocabulary:
    """What people love to do."""
    return _load("interests.yaml")


@cache
def life_topics() -> Vocabulary:
    """What people may be going through."""
    return _load("life_topics.yaml")


def _load(file: str) -> Vocabulary:
    content = read_words(file)
    front, behind = content.pop("In front"), content.pop("Behind")
    return Vocabulary(content, front=front, behind=behind, file=file)
