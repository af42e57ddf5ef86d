"""The links in emails: who they are for, what they do and until when, encrypted, and nothing looked up.

A link is opaque and short. It holds the member, the introduction, the community, what it
is for and when it ends, under a key that only we have: so any instance can serve the page
behind it without knowing anybody, nobody else can make one, and whoever sees one learns
nothing but the page that it leads to. Not even an id: those can be worked out by who
guesses references (`services.notifier.shown_ids`).

Base64url of AES-SIV (RFC 5297) over: purpose (1 byte), which date it is about (1), expiry
(4 bytes, seconds since the epoch), member (16), introduction (16), community (the rest).
Its 16 bytes of authentication are worked out from all of that, and no nonce is needed: the
same link twice is the same text.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from itsdangerous import BadSignature, Signer

from services.notifier.keys import SECRET_LETTERS_MIN, derive

_VERSION = [b"3"]
"""Authenticated with a link and not in it: the key and this say how to read it."""
_HEAD = struct.Struct(">cBI16s16s")
_HANDLE_BYTES = 18
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
    """Makes and reads links. Knows no clock: the expiry is in the link, the present is an argument.

    What was made with one of the `former` secrets is read as well.
    """

    def __init__(self, secret: str, public_url: str, former: Sequence[str] = ()) -> None:
        if any(len(one) < SECRET_LETTERS_MIN for one in (secret, *former)):
            raise ValueError(
                f"a link secret must have {SECRET_LETTERS_MIN} characters or more: "
                "set NOTIFIER_LINK_SECRET, and NOTIFIER_FORMER_LINK_SECRETS"
            )
        self._url = public_url.rstrip("/")
        # Keys are derived once, and not anew for each of an email's links.
        self._ciphers = [AESSIV(derive(one, "link", 64)) for one in (secret, *former)]
        self._signed = [_SignedLinks(one) for one in (secret, *former)]
        self._handle_key = derive(secret, "form handle", 64)

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
        head = _HEAD.pack(
            purpose.value.encode(),
            occasion,
            -(-expires_at_ms // 1000),
            _id_to_bytes(member, "m_"),
            _id_to_bytes(introduction, "s_"),
        )
        sealed = self._ciphers[0].encrypt(head + community.encode(), _VERSION)
        return f"{self._url}/{_PATHS[purpose]}/{_encoded(sealed)}"

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
        text = f"{member}/{other}".encode()
        return _encoded(hashlib.blake2b(text, digest_size=_HANDLE_BYTES, key=self._handle_key).digest())

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
            link = _link_of(self._signed_payload(token) if "." in token else self._opened(token))
        except (struct.error, ValueError):
            raise ForgedLinkError from None
        if link.purpose not in purposes:
            raise ForgedLinkError
        if now_ms >= link.expires_at_ms:
            raise ExpiredLinkError(link)
        return link

    def _opened(self, token: str) -> bytes:
        sealed = _decoded(token)
        # Letters that say nothing could be changed without anybody's noticing: a link has one spelling.
        if _encoded(sealed) != token:
            raise ForgedLinkError
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, _VERSION)
            except InvalidTag:
                continue
        raise ForgedLinkError

    def _signed_payload(self, token: str) -> bytes:
        return next((found for each in self._signed if (found := each.payload(token)) is not None), b"")


class _SignedLinks:
    """Links of version 2, as they were sent before December 2026: signed, and in the clear but for base 64.

    The last of them ends 400 days after it was sent: from 2028 on this can go.
    """

    _VERSION = b"\x02"

    def __init__(self, secret: str) -> None:
        salt = b"london-connection.link"
        key = Signer(secret.encode(), salt=salt, key_derivation="hmac", digest_method=_blake2b_144).derive_key()
        self._signer = Signer(key, salt=salt, key_derivation="none", digest_method=_blake2b_144)

    def payload(self, token: str) -> bytes | None:
        """The same bytes as are encrypted since; None if it is not genuine."""
        try:
            payload = _decoded(self._signer.unsign(token.encode()).decode())
        except (BadSignature, ValueError):
            return None
        return payload.removeprefix(self._VERSION) if payload.startswith(self._VERSION) else None


def _link_of(payload: bytes) -> Link:
    """Raises `struct.error` or `ValueError`."""
    letter, occasion, expires_at_s, member, introduction = _HEAD.unpack_from(payload)
    return Link(
        LinkPurpose(letter.decode()),
        payload[_HEAD.size :].decode(),
        _bytes_to_id(member, "m_"),
        _bytes_to_id(introduction, "s_"),
        expires_at_s * 1000,
        occasion,
    )


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))


def _blake2b_144(data: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=18)


@lru_cache(maxsize=1024)
def _id_to_bytes(identifier: str, letter: str) -> bytes:
    text = identifier.removeprefix(letter).upper()
    if not identifier.startswith(letter) or len(text) != 26:
        raise ValueError(f"links are made for derived ids ({letter}...) only")
    return base64.b32decode(text + "=" * 6)


def _bytes_to_id(raw: bytes, letter: str) -> str:
    return letter + base64.b32encode(raw).decode().rstrip("=").lower()
