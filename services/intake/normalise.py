"""Words as people write them, brought to one spelling, so that "Book club" and "book-club " meet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from types import MappingProxyType

_NOT_A_WORD = re.compile(r"[^\w&+#']+")

SYNONYMS = MappingProxyType(
    {
        "footie": "football",
        "soccer": "football",
        "jogging": "running",
        "bookclub": "book club",
        "book clubs": "book club",
        "movies": "film",
        "films": "film",
        "cinema": "film",
        "theater": "theatre",
        "photos": "photography",
        "hikes": "hiking",
        "walks": "walking",
        "board game": "board games",
        "boardgames": "board games",
        "bicycling": "cycling",
        "bike rides": "cycling",
        "veg growing": "gardening",
    }
)
"""What people write, and the word that it is kept under."""


@lru_cache(maxsize=65_536)
def normal_word(word: str) -> str:
    """One interest or topic in its normal spelling: composed Unicode, lower case, single spaces, known synonyms.

    >>> normal_word("  Book-Club ")
    'book club'
    >>> normal_word("Footie")
    'football'
    """
    text = unicodedata.normalize("NFKC", word).casefold()
    text = " ".join(_NOT_A_WORD.sub(" ", text).split())
    return SYNONYMS.get(text, text)


def normal_words(words: Iterable[str]) -> tuple[str, ...]:
    """Several, in their order, each once; those of which nothing is left are dropped."""
    return tuple(dict.fromkeys(normal for word in words if (normal := normal_word(word))))
