"""Return paths that say which email came back: a variable envelope return path (VERP), signed.

`bounces@example.org` becomes `bounces+TAG@example.org`, another for every email. TAG is the
email's id, encrypted, and 80 bits of a keyed hash of that and its community, in letters that
survive whatever mail systems do to a local part. Bounces are easily forged; a tag is not: what
does not carry a genuine one changes nothing. And mail systems on the way learn nothing of who
was written to about whom: ids can be worked out by who guesses (`services.notifier.shown_ids`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from services.notifier.keys import derive

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
    """Makes and reads return paths. `address` is where bounces come, such as bounces@example.org.

    Mail that left with one of the `former` secrets is known when it comes back, too.
    """

    def __init__(self, address: str, secret: str, former: Sequence[str] = ()) -> None:
        local, _, domain = address.rpartition("@")
        if not local or len(local) > BASE_LETTERS_MAX:
            raise ValueError(f"the part before the @ must have 1 to {BASE_LETTERS_MAX} characters")
        self._local, self._domain = local.lower(), domain.lower()
        self._tags = _SealedTags(secret)
        every = (secret, *former)
        self._readable: tuple[_Tags, ...] = (*map(_SealedTags, every), *map(_OpenTags, every))

    def for_email(self, email: str, community: str) -> str:
        """The return path of an email; `email` is a derived id (`shared.ids.email_id`)."""
        letters = email.removeprefix("e_")
        if len(letters) != _ID_LETTERS:
            raise ValueError("return paths are made for derived ids (e_...) only")
        return f"{self._local}+{self._tags.tag(letters, community)}@{self._domain}"

    def is_ours(self, address: str) -> bool:
        """Whether mail to an address is for us to read: the address itself, or one with a tag, genuine or not."""
        local, _, domain = address.strip().lower().rpartition("@")
        return domain == self._domain and local.partition("+")[0] == self._local

    def read(self, address: str, communities: Iterable[str]) -> Returned | None:
        """Which email a return path belongs to; None if it is not a genuine one of these communities.

        The community is not in the tag, for want of room, but under its hash: O(communities x secrets).
        """
        local, _, domain = address.strip().strip("<>").lower().rpartition("@")
        base, _, tag = local.partition("+")
        if base != self._local or domain != self._domain or _TAG.fullmatch(tag) is None:
            return None
        known = tuple(communities)
        for tags in self._readable:
            for community in known:
                letters = tags.read(tag, community)
                if letters is not None:
                    return Returned(community, f"e_{letters}")
        return None

    def find(self, text: str, communities: Iterable[str]) -> Returned | None:
        """The first genuine return path in a text."""
        known = tuple(communities)
        pattern = rf"{re.escape(self._local)}\+[a-z2-7]{{{_ID_LETTERS + _MAC_LETTERS}}}@{re.escape(self._domain)}"
        found = (self.read(candidate, known) for candidate in re.findall(pattern, text.lower()))
        return next((one for one in found if one is not None), None)


class _Tags(Protocol):
    """How the letters of an email's id become a tag, under one secret."""

    def read(self, tag: str, community: str) -> str | None:
        """The letters of the id; None if the tag is not genuine."""
        ...


class _SealedTags:
    """An id is 16 bytes, one block of AES: so it is as long encrypted as in the clear, and no mode is needed."""

    def __init__(self, secret: str) -> None:
        self._cipher = Cipher(AES(derive(secret, "return path", 32)), ECB())  # noqa: S305  # never more than a block
        self._mac_key = derive(secret, "return path, authenticated", 64)

    def tag(self, letters: str, community: str) -> str:
        sealed = _letters(self._cipher.encryptor().update(base64.b32decode(letters.upper() + "======")))
        return sealed + _mac(sealed, community, self._mac_key)

    def read(self, tag: str, community: str) -> str | None:
        sealed = tag[:_ID_LETTERS]
        if not hmac.compare_digest(tag[_ID_LETTERS:], _mac(sealed, community, self._mac_key)):
            return None
        return _letters(self._cipher.decryptor().update(base64.b32decode(sealed.upper() + "======")))


class _OpenTags:
    """Tags as they were before December 2026, with the id in the clear: that mail has come back by 2027."""

    def __init__(self, secret: str) -> None:
        self._mac_key = secret.encode()[:64]

    def read(self, tag: str, community: str) -> str | None:
        letters = tag[:_ID_LETTERS]
        return letters if hmac.compare_digest(tag[_ID_LETTERS:], _mac(letters, community, self._mac_key)) else None


def _mac(letters: str, community: str, key: bytes) -> str:
    text = f"{letters}:{community}".encode()
    return _letters(hashlib.blake2b(text, digest_size=_MAC_BYTES, key=key, person=b"verp").digest())


def _letters(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()
