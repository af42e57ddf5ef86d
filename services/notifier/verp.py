"""Return paths that say which email came back: a variable envelope return path (VERP), signed.

`bounces@example.org` becomes `bounces+TAG@example.org`, another for every email. TAG is the
email's id and 80 bits of a keyed hash of it and its community, in letters that survive
whatever mail systems do to a local part. Bounces are easily forged; a tag is not: what does
not carry a genuine one changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

_ID_LETTERS, _MAC_BYTES, _MAC_LETTERS = 26, 10, 16
_TAG = re.compile(rf"[a-z2-7]{{{_ID_LETTERS + _MAC_LETTERS}}}")
_LOCAL_PART_MAX = 64
BASE_LETTERS_MAX = _LOCAL_PART_MAX - _ID_LETTERS - _MAC_LETTERS - 1
"""So long may the part before the plus be (RFC 5321, 4.5.3.1.1)."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Whose email it was that came back."""

    community: str
    email: str


class ReturnPaths:
    """Makes and reads return paths. `address` is where bounces come, such as bounces@example.org."""

    def __init__(self, address: str, secret: str) -> None:
        local, _, domain = address.rpartition("@")
        if not local or len(local) > BASE_LETTERS_MAX:
            raise ValueError(f"the part before the @ must have 1 to {BASE_LETTERS_MAX} characters")
        self._local, self._domain = local.lower(), domain.lower()
        self._key = secret.encode()[:64]

    def for_email(self, email: str, community: str) -> str:
        """The return path of an email; `email` is a derived id (`shared.ids.email_id`)."""
        letters = email.removeprefix("e_")
        if len(letters) != _ID_LETTERS:
            raise ValueError("return paths are made for derived ids (e_...) only")
        return f"{self._local}+{letters}{self._mac(letters, community)}@{self._domain}"

    def is_ours(self, address: str) -> bool:
        """Whether mail to an address is for us to read: the address itself, or one with a tag, genuine or not."""
        local, _, domain = address.strip().lower().rpartition("@")
        return domain == self._domain and local.partition("+")[0] == self._local

    def read(self, address: str, communities: Iterable[str]) -> Returned | None:
        """Which email a return path belongs to; None if it is not a genuine one of these communities.

        The community is not in the tag, for want of room, but under its hash: O(communities).
        """
        local, _, domain = address.strip().strip("<>").lower().rpartition("@")
        base, _, tag = local.partition("+")
        if base != self._local or domain != self._domain or _TAG.fullmatch(tag) is None:
            return None
        letters, mac = tag[:_ID_LETTERS], tag[_ID_LETTERS:]
        for community in communities:
            if hmac.compare_digest(mac, self._mac(letters, community)):
                return Returned(community, f"e_{letters}")
        return None

    def find(self, text: str, communities: Iterable[str]) -> Returned | None:
        """The first genuine return path in a text."""
        known = tuple(communities)
        pattern = rf"{re.escape(self._local)}\+[a-z2-7]{{{_ID_LETTERS + _MAC_LETTERS}}}@{re.escape(self._domain)}"
        found = (self.read(candidate, known) for candidate in re.findall(pattern, text.lower()))
        return next((one for one in found if one is not None), None)

    def _mac(self, letters: str, community: str) -> str:
        digest = hashlib.blake2b(
            f"{letters}:{community}".encode(), digest_size=_MAC_BYTES, key=self._key, person=b"verp"
        ).digest()
        return base64.b32encode(digest).decode().lower()
