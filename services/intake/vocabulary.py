"""Interests and life topics: what people write, understood as words that others use too.

The words lie in `words/interests.yaml` and `words/life_topics.yaml`, for anybody to
edit. What is not among them is kept as it was written: nobody's love is corrected away.
Where it looks like a slip of the pen, the known word is suggested back.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from itertools import chain, product
from operator import attrgetter
from typing import Any, NamedTuple

import yaml

from services.intake.asides import heard, heard_at, is_comment, is_told
from services.intake.spelling import NearMisses, inflections, key_of, plain, signs_in_words, without_frame

_ALWAYS_APART = re.compile(r"[,;|•·\n>→~]|[.!?:]+ |\s/\s|\.\.+|…|\s[-–—]+\s")
_PERHAPS_APART = re.compile(r"[/&+]|\b(?:and|n|plus|or|also|as well as|then|followed by)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[(\[](.*?)[)\]]")
_ASIDE = re.compile(r"\s*(?:i|i'm|i've|my|we|but|not|mostly|mainly|usually|when|if|only|no)\b", re.IGNORECASE)
"""In brackets: what only comments on the word before it."""
_CLAUSE = re.compile(
    r" (?:(?:w|with) (?:the|my|our|other|others|friends|mates|colleagues|family|kids|people|somebody|strangers)|"
    r"(?:at|in|for|by|down|round|around|near|over) (?:the|my|our)|at an?|"
    r"(?:on|by) the (?:thames|river|canal|sea|water|side)|"
    r"(?:in|with|w) \w+$|(?:along|from|about|through|across) .+|"
    r"(?:round|level|grade|stage|week|month|part|cycle) \d+|"
    r"out to|near|who|whose|since|every|because|cos|when|while|whenever|but|"
    r"if|though|to (?:work|relax|unwind|keep|stay|get|help|music)|(?:after|before) work|(?:once|twice|few times) an?|"
    r"(?:at|on) (?:work|home|weekends?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)|last (?:week|month|year)|"
    r"\d+ ?(?:km?s?|miles?)$|\d+ ?(?:days?|weeks?|wks?|months?|mths?|years?|yrs?|times?|kids|children))\b.*"
)
"""Where, with whom, when or why: it says more about the person than about the thing, and hides a known word."""
_NEAR_LETTERS_MAX = 16
_NEAR_PHRASE_LETTERS_MAX = 11
"""Near misses are looked for among words and phrases up to these lengths; in longer phrases, word by word."""
_NEAR_WORD_LETTERS_MIN = 5
_NEAR_WORDS_MAX = 5
_NEAR_WORDS_ODD_MAX = 2
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
    in_passing: bool = False
    """Whether it was only heard beside something else, that is left out."""


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
        of_no_meaning: Iterable[str] = (),
        only_alone: Iterable[str] = (),
        no_answer: Iterable[str] = (),
        file: str = "the vocabulary",
    ) -> None:
        """`groups` are other ways to write each word, by word, by group. Raises `VocabularyError` on a clash."""
        self.groups = {group: tuple(words) for group, words in groups.items()}
        self._by_key: dict[str, str] = {}
        for words in groups.values():
            for word, others in words.items():
                for written in (word, *others):
                    self._add(key_of(written), word, file)
        short = [key for key in self._by_key if " " not in key or len(key) <= _NEAR_PHRASE_LETTERS_MAX]
        self._near = NearMisses(short, letters_max=_NEAR_LETTERS_MAX)
        self._in_phrases = frozenset(word for key in self._by_key for word in key.split())
        self._near_in_phrases = NearMisses(
            (word for word in self._in_phrases if word not in self._by_key and len(word) >= _NEAR_WORD_LETTERS_MIN),
            letters_max=_NEAR_LETTERS_MAX,
        )
        for key, word in list(self._by_key.items()):
            self._by_key.setdefault(key.replace(" ", ""), word)
        self._front = frozenset(map(key_of, front))
        self._behind = frozenset(map(key_of, behind))
        self._of_no_meaning = frozenset(map(key_of, of_no_meaning))
        self._only_alone = frozenset(map(key_of, only_alone))
        self._no_answer = frozenset(map(key_of, no_answer))
        self._light = frozenset(word for frame in (*self._front, *self._behind) for word in frame.split())
        self._group_of = {word: group for group, words in self.groups.items() for word in words}
        self.understand = lru_cache(maxsize=_REMEMBERED)(self._understand)

    def has(self, entry: str) -> bool:
        """Whether just this is among the ways to write a word, with nothing to be taken off or thought of."""
        return key_of(entry) in self._by_key

    def words(self, written: Iterable[str]) -> tuple[str, ...]:
        """What several entries are kept as, in their order, each word once."""
        return tuple(dict.fromkeys(chain.from_iterable(map(_KEPT, map(self.understand, written)))))

    def _add(self, key: str, word: str, file: str) -> None:
        already = self._by_key.setdefault(key, word)
        if already != word:
            raise VocabularyError(f"{file}: {key!r} is under both {already!r} and {word!r}; leave it under one of them")

    def _understand(self, entry: str) -> Understood:
        if (exact := self._by_key.get(key_of(entry))) is not None:
            return Understood((exact,), known=True)
        if (words := self._in_and_around_brackets(entry)) is not None:
            return words
        parts = [part for part in _ALWAYS_APART.split(entry) if plain(part)][:_PARTS_MAX]
        if len(parts) > 1:
            # Of "painting, etc." the second says nothing; where all say nothing they are kept, as somebody's own words.
            telling = [part for part in parts if key_of(part) not in self._of_no_meaning] or parts
            left = self._without_comments(telling)
            together = _together(left)
            return together if len(left) == len(telling) else together._replace(in_passing=True)
        if (known := self._known(entry)) is not None:
            return Understood((known,), known=True)
        if (words := self._all_known(entry) or self._each_nearly_known(entry) or self._heard(entry)) is not None:
            return words
        kept = plain(entry)
        if not kept:
            drawn = [word for sign in signs_in_words(entry).split(", ") if (word := self._known(sign)) is not None]
            return Understood(tuple(dict.fromkeys(drawn)), known=True) if drawn else _NOTHING
        if key_of(entry) in self._no_answer:
            return _NOTHING
        return Understood((kept,), known=False, did_you_mean=self._nearest(key_of(entry)))

    def _without_comments(self, parts: Sequence[str]) -> list[Understood]:
        """Each part, less what only comments on another: "chess, the loud ones"; not "chess, straw bale houses"."""
        parts = [part for part in parts if not self._is_frame(key_of(part))] or parts
        understood = [self._understand(part) for part in parts]
        if not any(one.known or one.did_you_mean for one in understood):
            return understood
        return [
            one
            for part, one in zip(parts, understood, strict=True)
            if one.known or one.did_you_mean or not is_comment(key_of(part), self._light)
        ]

    def _is_frame(self, key: str) -> bool:
        """Whether it is no more than what stands around a word: "stand up - watching"."""
        return (key in self._front or key in self._behind) and key not in self._by_key

    def _heard(self, entry: str) -> Understood | None:
        """The known words within a sentence: "had a go at an open mic once"."""
        key = key_of(entry)
        if not is_told(key):
            return None
        words = tuple(dict.fromkeys(heard(key, self._meaning, self._light)))
        return Understood(words, known=True, in_passing=True) if words else None

    def heard_at(self, entry: str) -> list[tuple[int, int, str]]:
        """The first word and the one behind the last of what is heard within a sentence, and what it means."""
        key = key_of(entry)
        return list(heard_at(key, self._meaning, self._light)) if is_told(key) else []

    def _meaning(self, phrase: str) -> str | None:
        if phrase in self._only_alone:
            return None
        return next((self._by_key[form] for form in inflections(phrase) if form in self._by_key), None)

    def _in_and_around_brackets(self, entry: str) -> Understood | None:
        """The more precise of the two, "painting (watercolour)"; or what is only commented on, "yoga (not hot)"."""
        inside = _IN_BRACKETS.findall(entry)
        if not inside:
            return None
        precise = [text for text in inside if not _ASIDE.match(text)]
        around = _IN_BRACKETS.sub(" ", entry)
        before = self._all_known(around)
        for text in precise:
            if (words := self._all_known(text)) is not None:
                # Of one group the second is the more precise: "painting (watercolour)". Of two they are two things.
                both = before is not None and {self._group_of[one] for one in before.kept}.isdisjoint(
                    self._group_of[one] for one in words.kept
                )
                return _together([before, words]) if before is not None and both else words
        return before or self._in_brackets_no_more_than(around, inside)

    def _in_brackets_no_more_than(self, around: str, inside: Sequence[str]) -> Understood | None:
        """What stands before brackets that are not understood, if it is: "tarot, crystals (scorpio sun)"."""
        understood = self._understand(around) if plain(around) else _NOTHING
        if not (understood.known or understood.did_you_mean):
            return None
        return understood

    def _all_known(self, entry: str) -> Understood | None:
        """Several words joined in one entry, if each is known: "cooking & baking", and not "Netflix & chill"."""
        parts = [part for part in _PERHAPS_APART.split(entry)[:_PARTS_MAX] if key_of(part) not in self._of_no_meaning]
        if (known := self._known(entry)) is not None:
            return Understood((known,), known=True)
        words = [self._known(part) for part in parts if plain(part)]
        if not words or None in words:
            return None
        return Understood(tuple(dict.fromkeys(word for word in words if word is not None)), known=True)

    def _each_nearly_known(self, entry: str) -> Understood | None:
        """As much for "gardning & cooking", where what is not known is a slip of the pen."""
        parts = [part for part in _PERHAPS_APART.split(entry)[:_PARTS_MAX] if plain(part)]
        if len(parts) < 2 or not all(self._known(part) or self._nearest(key_of(part)) for part in parts):
            return None
        return _together([self._understand(part) for part in parts])

    def _nearest(self, key: str) -> tuple[str, ...]:
        """The known words that it looks like, also when they stand in a frame: "playing badmington"."""
        wholes = [key, *(one for one in (_CLAUSE.sub("", key),) if one != key and not is_comment(one))]
        for bare in chain.from_iterable((one, *without_frame(one, self._front, self._behind)) for one in wholes):
            if near := self._near.of(bare) or self._nearest_phrase(bare):
                return tuple(dict.fromkeys(self._by_key[one] for one in near))
        return ()

    def _nearest_phrase(self, key: str) -> tuple[str, ...]:
        """The known phrase that it is but for the words that are in none: "creative writting"."""
        words = key.split()
        odd = [place for place, word in enumerate(words) if word not in self._in_phrases]
        if not 0 < len(odd) < len(words) <= _NEAR_WORDS_MAX or len(odd) > _NEAR_WORDS_ODD_MAX:
            return ()
        meant = ((*self._near.of(words[place]), *self._near_in_phrases.of(words[place])) for place in odd)
        for choice in product(*meant):
            for place, word in zip(odd, choice, strict=True):
                words[place] = word
            if (phrase := " ".join(words)) in self._by_key:
                return (phrase,)
        return ()

    def _known(self, entry: str) -> str | None:
        key = key_of(entry)
        if (word := self._by_key.get(key)) is not None:
            return word
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
        in_passing=any(part.in_passing for part in parts),
    )


def read_words(file: str) -> Any:
    """One of the data files of `words/`, every value as text: to YAML a plain `no` would be false."""
    text = resources.files("services.intake").joinpath("words", file).read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 - the base loader makes text, lists and mappings only


@cache
def interests() -> Vocabulary:
    """What people love to do."""
    return _load("interests.yaml")


@cache
def life_topics() -> Vocabulary:
    """What people may be going through."""
    return _load("life_topics.yaml")


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Garbage is not looked for: all that is made here stays, and half of the time would be spent on it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_nothing_collected()
def _load(file: str) -> Vocabulary:
    content = read_words(file)
    front, behind, nothing = (content.pop(part) for part in ("In front", "Behind", "Of no meaning"))
    only_alone, no_answer = (content.pop(part, ()) for part in ("Only alone", "No answer"))
    return Vocabulary(
        content,
        front=front,
        behind=behind,
        of_no_meaning=nothing,
        only_alone=only_alone,
        no_answer=no_answer,
        file=file,
    )
