"""Ids as members, partners, calendars and mail servers see them.

Inside, an id is a hash of what it stands for, so that every service finds the same one
(`shared.ids`); so whoever guesses how a partner numbers its users could work out the ids of
two of them, and of an introduction of these two. Outside, each is therefore another one,
which needs a key. The secret is the one that lasts (`NOTIFIER_ID_SECRET`): a calendar
knows a date again by its id, for years.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from services.notifier.keys import derive

_INNER = re.compile(r"[mse]_[a-z2-7]{26}")
_OUTER = {"m": "p", "s": "i", "e": "l"}
"""A person, an introduction, a letter: so nobody takes one for an id that commands know."""


class ShownIds:
    """Makes them. The same input gives the same id at any instance and after any restart."""

    def __init__(self, secret: str) -> None:
        self._key = derive(secret, "shown ids", 64)

    def calendar(self, introduction: str, number: int, domain: str) -> str:
        """The UID of a calendar entry: the same for everybody and for every change of it; 0 for the recurring one."""
        return f"{self._derive('d', 'calendar', introduction, str(number))}@{domain}"

    def boundary(self, email: str) -> str:
        """What keeps the parts of an email apart."""
        return self._derive("b", "boundary", email)

    def for_member(self, member: str, told: Any) -> Any:
        """Plain values for JSON, with every id in them as this member is to see it.

        Another for each reader: two who compare what they were told cannot see that they
        were proposed to each other.
        """
        match told:
            case dict():
                return {name: self.for_member(member, value) for name, value in told.items()}
            case list() | tuple():
                return [self.for_member(member, value) for value in told]
            case str() if _INNER.fullmatch(told):
                return self._derive(_OUTER[told[0]], "member", member, told)
            case _:
                return told

    def _derive(self, letter: str, use: str, *parts: str) -> str:
        text = "\x1f".join(f"{len(part)}:{part}" for part in parts)
        digest = hashlib.blake2b(text.encode(), digest_size=16, key=self._key, person=use.encode()).digest()
        return f"{letter}_{base64.b32encode(digest).decode().rstrip('=').lower()}"
