"""Standard Webhooks 1.0.0: a signature that says who wrote a message, and that it is not an old one sent again.

Symmetric ("v1"): HMAC-SHA256 under a secret that both sides know. Several signatures, and
several secrets, while one takes over from another. Pure: the time is passed in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, and none itself
TOLERANCE_SECONDS = 300
"""How far the sender's clock may be from ours."""
SIGNATURES_MAX = 10


class BadSignature(ValueError):
    """A message that is not signed as it must be. Its text says what would be right."""


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`; `timestamp` in seconds. Raises `BadSignature` on a bad secret."""
    return f"v1,{base64.b64encode(_digest(secret, message_id, str(timestamp), body)).decode()}"


def verify(
    secrets: Iterable[str], *, message_id: str, timestamp: str, signatures: str, body: bytes, now_seconds: float
) -> None:
    """Return if one of the signatures is by one of the secrets, and the time is about now; else `BadSignature`."""
    if not (message_id and timestamp and signatures):
        raise BadSignature("webhook-id, webhook-timestamp and webhook-signature must be there")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature("webhook-timestamp must be seconds since 1970")
    if abs(int(timestamp) - now_seconds) > TOLERANCE_SECONDS:
        raise BadSignature(f"webhook-timestamp must be within {TOLERANCE_SECONDS} seconds of now")
    given = [one.partition(",") for one in signatures.split()[:SIGNATURES_MAX]]
    candidates = [signature.encode() for version, _, signature in given if version == "v1"]
    good = False
    for secret in secrets:
        wanted = base64.b64encode(_digest(secret, message_id, timestamp, body))
        for candidate in candidates:
            good |= hmac.compare_digest(wanted, candidate)
    if not good:
        raise BadSignature("no signature in webhook-signature is by a secret of yours")


def _digest(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    try:
        encoded = secret.removeprefix(SECRET_PREFIX)
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise BadSignature(f"a secret is {SECRET_PREFIX} and base64")
    return hmac.new(key, b".".join((message_id.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
