"""Finds ids that anybody could work out in whatever we send, however they are spelt there.

An unkeyed id is a hash of what somebody may guess. So it must not be seen: not as it
stands, nor its 16 bytes as they are, in hexadecimal, base 32 or base 64, alone or in the
middle of something longer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import cache

_URLSAFE = re.compile(rb"[A-Za-z0-9_-]{20,}")
_STANDARD = re.compile(rb"[A-Za-z0-9+/]{20,}")
_BASE32 = re.compile(rb"[A-Za-z2-7]{24,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")


@cache
def digest(identifier: str) -> bytes:
    """The 16 bytes of an id such as `m_...`; what follows an @ is no part of it."""
    letters = _letters(identifier).upper()
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def found_in(data: bytes, ids: Iterable[str]) -> set[str]:
    """Which of the ids are to be seen in it."""
    lower, readings = data.lower(), b"\x00".join((data, *_decoded(data)))
    return {one for one in ids if _letters(one).encode() in lower or digest(one) in readings}


def _letters(identifier: str) -> str:
    return identifier.partition("@")[0].partition("_")[2]


def _decoded(data: bytes) -> Iterator[bytes]:
    """Whatever could be encoded, read from each place at which a group of letters could begin."""
    for pattern in (_URLSAFE, _STANDARD):
        for run in pattern.findall(data):
            for start in range(4):
                piece = run[start:].replace(b"-", b"+").replace(b"_", b"/")
                piece = piece[:-1] if len(piece) % 4 == 1 else piece
                yield base64.b64decode(piece + b"=" * (-len(piece) % 4))
    for run in _BASE32.findall(data):
        for start in range(8):
            piece = run[start:].upper()
            piece = piece[:-1] if len(piece) % 8 in (1, 3, 6) else piece
            yield base64.b32decode(piece + b"=" * (-len(piece) % 8))
    for run in _HEX.findall(data):
        for start in range(2):
            piece = run[start:]
            yield bytes.fromhex(piece[: len(piece) // 2 * 2].decode())
