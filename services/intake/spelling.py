"""How words are written: brought to one spelling, and the near misses of words that are known.

Pure, and quick enough for the accept path: what is looked for among a thousand words
takes some ten microseconds, however odd it is, and not the ten milliseconds of comparing
it with each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

_NOT_A_WORD = re.compile(r"[^\w&+#']+|_+")
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
_NEAR_LETTERS_MAX = 30
_NEAR_MAX = 3


_ONE_SPELLING = {
    "saint": "st", "thru": "through", "wiv": "with", "ur": "your", "luv": "love", "b4": "before", "abt": "about"
}  # fmt: skip
"""Words with two spellings, the second of which is looked up."""


def plain(text: str) -> str:
    """Composed Unicode, lower case, single spaces, no signs but & + # and apostrophes.

    >>> plain("  Book-Club 📚 ")
    'book club'
    """
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    return " ".join(_NOT_A_WORD.sub(" ", text).split()).lstrip("#&+' ").rstrip("&' ")


def key_of(text: str) -> str:
    """What two ways of writing one name have in common: no accents, no apostrophes, "and" for "&", "st" for "saint".

    >>> key_of("Café & Crêpes"), key_of("Saint John’s Wood")
    ('cafe and crepes', 'st johns wood')
    """
    text = plain(text)
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    words = text.replace("'", "").replace("&", " and ").split()
    return " ".join([_ONE_SPELLING.get(word, word) for word in words])


def signs_in_words(text: str) -> str:
    """Signs such as emoji by the names that Unicode gives them; letters stay as they are.

    >>> signs_in_words("🏀 🎸")
    'basketball and hoop, guitar'
    """
    signs = [letter for letter in text if unicodedata.category(letter) == "So"]
    return ", ".join(dict.fromkeys(unicodedata.name(sign, "").lower() for sign in signs))


_NO_SINGULAR = frozenset({"new"})
"""Words that say something else with an s behind them."""


def inflections(key: str) -> Iterator[str]:
    """A key, then without its spaces, then in the singular and the plural."""
    yield key
    yield key.replace(" ", "")
    if key.endswith("ies"):
        yield key[:-3] + "y"
    if key.endswith(("ses", "xes", "zes", "ches", "shes")):
        yield key[:-2]
    if key.endswith("s"):
        yield key[:-1]
    elif key not in _NO_SINGULAR:
        yield key + "s"
    if key.endswith("y"):
        yield key[:-1] + "ies"


def without_frame(
    key: str, front: Collection[str], behind: Collection[str], *, steps_max: int = 5, words_max: int = 5
) -> Iterator[str]:
    """A key with what stands in front or behind taken off, the longest first, step by step; never down to nothing.

    What stands around is looked up by its words, up to `words_max`, so that it costs the
    same however much is known. `front` and `behind` should be sets.
    """
    words = key.split()
    for _ in range(steps_max):
        lengths = range(min(words_max, len(words) - 1), 0, -1)
        ahead = next((count for count in lengths if " ".join(words[:count]) in front), 0)
        after = next((count for count in lengths if " ".join(words[-count:]) in behind), 0)
        if not ahead and not after:
            return
        if after:
            # First without it alone: what stands in front may belong to the word, as in "live music nights".
            yield " ".join(words[:-after])
        if ahead:
            yield " ".join(words[ahead:])
            if ahead + after < len(words):
                words = words[ahead:]
            elif after:
                ahead = 0
        if after:
            words = words[:-after]
            if ahead:
                yield " ".join(words)


class NearMisses:
    """Finds known keys that differ from a given one by a letter or two (after Garbe's SymSpell).

    Two words that are `n` slips apart become alike when up to `n` letters are left out of
    each. All such leavings of the known words are kept; those of the one that is looked for
    are looked up. Memory: some 60 entries a word.
    """

    def __init__(self, keys: Iterable[str], *, letters_max: int = _NEAR_LETTERS_MAX) -> None:
        """Keys longer than `letters_max` are left out: they have the most leavings."""
        self._letters_max = letters_max
        self._by_leaving: dict[str, tuple[str, ...]] = {}
        for key in dict.fromkeys(keys):
            if 4 <= len(key) <= letters_max:
                alone = (key,)  # nearly all leavings are of one key alone: one tuple for all of them
                for leaving in set(_leavings(key, _slips_max(key))):
                    others = self._by_leaving.get(leaving)
                    self._by_leaving[leaving] = alone if others is None else others + alone

    def of(self, key: str) -> tuple[str, ...]:
        """The nearest keys, at most three, the nearest first; ties in the order of the alphabet."""
        slips_max = _slips_max(key)
        if slips_max == 0 or len(key) > self._letters_max + slips_max:
            return ()
        candidates = {known for leaving in _leavings(key, slips_max) for known in self._by_leaving.get(leaving, ())}
        found = sorted((slips(key, known), known) for known in candidates)
        return tuple(known for count, known in found if count <= slips_max)[:_NEAR_MAX]


def slips(one: str, other: str) -> int:
    """Letters wrong, missing, too many, or swapped with their neighbour (optimal string alignment)."""
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, against in enumerate(other, 1):
            count = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                count = min(count, before_last[column - 2] + 1)
            current.append(count)
        before_last, last = last, current
    return last[-1]


def _slips_max(key: str) -> int:
    return 0 if len(key) < 4 else 1 if len(key) < 8 else 2


def _leavings(key: str, leave_out_max: int) -> Iterator[str]:
    """A key, and what is left of it without one or two letters. Slices, since tens of thousands are made at a start."""
    yield key
    if leave_out_max:
        for place in range(len(key)):
            left = key[:place] + key[place + 1 :]
            yield left
            if leave_out_max > 1:
                for second in range(place, len(left)):
                    yield left[:second] + left[second + 1 :]
