"""Claims: who takes which event in hand. A page of them is the value on the topic `claims`, in bytes.

A page is a head and entries, all of one size, since every sign-up leaves two of them
and every instance of intake reads all:

======= ======================================= =========================================
head    2 s, 8 s, B, I                          "c1", instance, way, number of the page
entry   B, 16 s, 16 s, 16 s, q                  step, event, digest, member, time (ms)
======= ======================================= =========================================

Little-endian, no padding. Event and digest are BLAKE2b-128, member is a part of the member's id; no personal data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

_MAGIC = b"c1"
_HEAD = struct.Struct("<2s8sBI")
_ENTRY = struct.Struct("<B16s16s16sq")
ENTRY_BYTES = _ENTRY.size
NOBODY = bytes(16)
"""In place of a member, where a claim is about none."""


class Step(IntEnum):
    CLAIMED = 1
    """I take it in hand, if nobody has."""
    DONE = 2
    """All its records are acknowledged."""
    RELEASED = 3
    """I gave up: some of its records may have been stored."""


class Way(IntEnum):
    HTTP = 1
    TOPIC = 2


class Entry(NamedTuple):
    """One step of one event."""

    step: int
    event: bytes
    """Which event: of its source and id."""
    digest: bytes
    """What it says: the same event said twice has the same."""
    member: bytes
    time_ms: int
    """When it happened, at the partner's."""


Fields = tuple[int, bytes, bytes, bytes, int]
"""An `Entry`, or its fields without their names: there are two for each sign-up, and names take time."""


class Page(NamedTuple):
    """What one instance wrote at once."""

    instance: bytes
    way: int
    number: int
    entries: Iterable[Fields]
    """To be gone through once."""


def to_bytes(instance: bytes, way: Way, number: int, entries: Iterable[Fields]) -> bytes:
    """A page as it stands on the topic."""
    return _HEAD.pack(_MAGIC, instance, way, number) + b"".join([_ENTRY.pack(*entry) for entry in entries])


def from_bytes(value: bytes) -> Page | None:
    """A page; `None` if these bytes are none that this release can read."""
    if len(value) < _HEAD.size or (len(value) - _HEAD.size) % _ENTRY.size or value[:2] != _MAGIC:
        return None
    _, instance, way, number = _HEAD.unpack_from(value)
    return Page(instance, way, number, _ENTRY.iter_unpack(memoryview(value)[_HEAD.size :]))
