"""The links in emails: who they are for, what they do and until when, signed, and nothing looked up.

A link is opaque and short. It holds the member, the introduction, the community, what it
is for and when it ends, in 45 bytes or so, and a signature that only we can make: so any
instance can serve the page behind it without knowing anybody.

Base64url of: version and purpose (1 byte each), which date it is about (1), expiry (4 bytes,
seconds since the epoch), member (16), introduction (16), community (the rest); then a dot
and 144 bits of signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from itsdangerous import BadSignature, Signer

_VERSION = 2
_HEAD = struct.Struct(">BcBI16s16s")
_TOKEN_LENGTH_MAX = 300


class LinkPurpose(StrEnum):
    """What a link does when its button is pressed; the letter is in the token."""

    YES = "y"
    NO = "n"
    CHECK_IN = "c"
    OPEN = "o"
    LEAVE = "l"
    PAUSE = "p"
    UNSUBSCRIBE = "u"
    SETTINGS = "s"
    BLOCK = "b"
    LOOK_FOR = "w"
    DATA = "d"
    ERASE = "e"


_PATHS = {purpose: purpose.value for purpose in LinkPurpose} | {LinkPurpose.YES: "i", LinkPurpose.NO: "i"}


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine link says."""

    purpose: LinkPurpose
    community: str
    member: str
    introduction: str
    expires_at_ms: int
    occasion: int = 0
    """Which date of the introduction it is about; 0 for none."""


class LinkError(ValueError):
    """A link that cannot be used. Its message says what the person can do next."""


class ForgedLinkError(LinkError):
    """Not one of ours, or cut off, or for another page."""

    def __init__(self) -> None:
        super().__init__("this is not a complete link of ours: open it again from the email itself")


class ExpiredLinkError(LinkError):
    """Genuine, and its time is over."""

    def __init__(self, link: Link) -> None:
        super().__init__("this link has expired: use one from a more recent email of ours")
        self.link = link


class Links:
    """Makes and reads links. Knows no clock: the expiry is in the link, the present is an argument."""

    def __init__(self, secret: str, public_url: str) -> None:
        if len(secret) < 16:
            raise ValueError("the link secret must have 16 characters or more: set NOTIFIER_LINK_SECRET")
        self._url = public_url.rstrip("/")
        salt = b"london-connection.link"
        key = Signer(secret.encode(), salt=salt, key_derivation="hmac", digest_method=_blake2b_144).derive_key()
        # The key is derived once, and not anew for each of an email's links.
        self._signer = Signer(key, salt=salt, key_derivation="none", digest_method=_blake2b_144)

    def sign(
        self,
        purpose: LinkPurpose,
        *,
        community: str,
        member: str,
        introduction: str,
        expires_at_ms: int,
        occasion: int = 0,
    ) -> str:
        """The whole URL. Expiry is kept in seconds, rounded up; ids must be derived ones (`shared.ids`)."""
        payload = _HEAD.pack(
            _VERSION,
            purpose.value.encode(),
            occasion,
            -(-expires_at_ms // 1000),
            _id_to_bytes(member, "m_"),
            _id_to_bytes(introduction, "s_"),
        )
        encoded = base64.urlsafe_b64encode(payload + community.encode()).rstrip(b"=")
        return f"{self._url}/{_PATHS[purpose]}/{self._signer.sign(encoded).decode()}"

    def also(self, link: Link, purpose: LinkPurpose) -> str:
        """A link for another purpose, for the same member, introduction and time."""
        return self.sign(
            purpose,
            community=link.community,
            member=link.member,
            introduction=link.introduction,
            expires_at_ms=link.expires_at_ms,
            occasion=link.occasion,
        )

    def handle(self, member: str, other: str) -> str:
        """What stands for `other` in a form for `member`: nobody else can make it, or make anything of it."""
        return self._signer.get_signature(f"{member}/{other}").decode()

    def read(self, token: str, purposes: Collection[LinkPurpose], now_ms: int) -> Link:
        """What the last part of a URL says.

        Raises
        ------
        ForgedLinkError
            if it is not one of ours, or not for one of `purposes`.
        ExpiredLinkError
            if it was, and its time is over.
        """
        if len(token) > _TOKEN_LENGTH_MAX:
            raise ForgedLinkError
        try:
            encoded = self._signer.unsign(token.encode())
            payload = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
            version, letter, occasion, expires_at_s, member, introduction = _HEAD.unpack_from(payload)
            purpose = LinkPurpose(letter.decode())
            community = payload[_HEAD.size :].decode()
        except (BadSignature, binascii.Error, struct.error, ValueError):
            raise ForgedLinkError from None
        if version != _VERSION or purpose not in purposes:
            raise ForgedLinkError
        link = Link(
            purpose,
            community,
            _bytes_to_id(member, "m_"),
            _bytes_to_id(introduction, "s_"),
            expires_at_s * 1000,
            occasion,
        )
        if now_ms >= link.expires_at_ms:
            raise ExpiredLinkError(link)
        return link


def _blake2b_144(data: bytes = b"") -> hashlib.blake2b:
    """Short, so that links are not folded; 18 bytes fill 24 characters whole, so a signature has one spelling only."""
    return hashlib.blake2b(data, digest_size=18)


@lru_cache(maxsize=1024)
def _id_to_bytes(identifier: str, letter: str) -> bytes:
    text = identifier.removeprefix(letter).upper()
    if not identifier.startswith(letter) or len(text) != 26:
        raise ValueError(f"links are made for derived ids ({letter}...) only")
    return base64.b32decode(text + "=" * 6)


def _bytes_to_id(raw: bytes, letter: str) -> str:
    return letter + base64.b32encode(raw).decode().rstrip("=").lower()
