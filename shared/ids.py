"""Ids are derived, never drawn: the same input twice gives the same id, so every consumer can drop what it has done.

Each id is a letter that says what it is, and 128 bits of BLAKE2b in base 32: with a
billion of them, two would collide with a probability below 2e-21.

They are for us alone: who guesses what goes in can work them out. What members, calendars
and mail servers see in their place is keyed (`services.notifier.shown_ids`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

_SEPARATOR = "\x1f"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# Three letters at a time: four times as quick as the standard library, which is written in Python too.
_TRIPLES = tuple(first + second + third for first in _BASE32 for second in _BASE32 for third in _BASE32)
_SHIFTS = tuple(range(120, -1, -15))
_LETTERS = 26
"""Of 128 bits, five a letter."""


def _derive(letter: str, parts: Iterable[str]) -> str:
    # The length of each part goes in, so that no two lists of parts can look alike.
    text = _SEPARATOR.join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=16, person=letter.encode()).digest()
    return f"{letter}_{_base32(digest)}"


def _base32(digest: bytes) -> str:
    number = int.from_bytes(digest, "big") << 7
    return "".join([_TRIPLES[number >> shift & 32_767] for shift in _SHIFTS])[:_LETTERS]


def member_id(community: str, partner: str, reference: str) -> str:
    """A member: the partner's own reference, within the partner and the community."""
    # As `_derive` has it. A partner sends many: what all of theirs have in common is hashed once.
    hashed = _members_of(community, partner).copy()
    hashed.update(f"{len(reference)}:{reference}".encode())
    return f"m_{_base32(hashed.digest())}"


@lru_cache(maxsize=1024)
def _members_of(community: str, partner: str) -> hashlib.blake2b:
    text = f"{len(community)}:{community}{_SEPARATOR}{len(partner)}:{partner}{_SEPARATOR}"
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"m")


def suggestion_id(members: Iterable[str], times_together_before: int) -> str:
    """A suggestion: its members, in any order, and how often just these were suggested before."""
    return _derive("s", (*sorted(members), str(times_together_before)))


def email_id(introduction: str, member: str, kind: str, occasion: int = 0) -> str:
    """An email: at most one of a kind for one recipient in one introduction, or on one occasion of it."""
    return _derive("e", (introduction, member, kind, *((str(occasion),) if occasion else ())))


def seat_id(introduction: str, newcomer: str) -> str:
    """A suggestion of a newcomer for a seat in a group: at most one for each of the two."""
    return _derive("s", (introduction, "seat", newcomer))


def round_id(community: str, offsets: Iterable[tuple[str, int]], seed: int) -> str:
    """A round: what its snapshot had seen, and its seed."""
    seen = (f"{topic}@{offset}" for topic, offset in sorted(offsets))
    return _derive("r", (community, str(seed), *seen))


def address_id(address: str, secret: str) -> str:
    """An email address, told from every other without being told: a keyed hash, upper and lower case alike.

    This is all that suppression keeps of an address, and what stays of it after an erasure.
    """
    digest = hashlib.blake2b(
        address.strip().lower().encode(), digest_size=16, key=secret.encode()[:64], person=b"address"
    ).digest()
    return f"a_{_base32(digest)}"


def message_id(email: str, secret: str, domain: str) -> str:
    """The Message-ID header: the same on every try, and telling nothing about the recipient.

    Keyed, so that nobody who sees the header can check a guess at who was written to.
    """
    digest = hashlib.blake2b(email.encode(), digest_size=16, key=secret.encode()[:64]).hexdigest()
    return f"<{digest}@{domain}>"
