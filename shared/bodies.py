"""The body of a request: read up to a limit, and listened to for a while when it goes on beyond it.

Most clients read an answer only when they have sent everything. If we hung up in the
middle, what they still send would be answered by a reset, and with it the answer would
be lost before they have read it. So what comes after it is taken, thrown away, and only
then, or when it is too much or takes too long, we hang up.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive

LINGER_BYTES_MAX = 64_000_000
"""So much more is taken, and thrown away, after the answer."""


class TooLarge(NamedTuple):
    """A body beyond the limit."""

    is_over: bool
    """Whether all of it has come."""


async def read_body(receive: Receive, declared: bytes, bytes_max: int) -> bytes | TooLarge:
    """The body, refused as soon as it is known to be too large: before it is read, if it says so itself.

    Raises `ClientDisconnect` if the sender goes away.
    """
    if declared.isdigit() and int(declared) > bytes_max:
        return TooLarge(is_over=False)
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) + len(chunk) > bytes_max:
            return TooLarge(is_over=not more)
        body = body + chunk if body else chunk
    return body


async def throw_away(receive: Receive) -> None:
    """Take what still comes, until it is over, too much, or the sender has gone."""
    taken, more = 0, True
    while more and taken < LINGER_BYTES_MAX:
        message = await receive()
        taken += len(message.get("body", b""))
        more = message.get("more_body", False)
