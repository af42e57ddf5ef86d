"""Whether an event that comes in is signed as its partner's events must be."""

from __future__ import annotations

from collections.abc import Mapping

from services.intake.problems import Problem
from shared.contracts import Partner
from shared.signatures import BadSignature, verify


def signature_problem(partner: Partner, headers: Mapping[bytes, bytes], body: bytes, now_ms: int) -> Problem | None:
    """What is wrong with a signature (Standard Webhooks 1.0.0), or `None`. One that is there must be a good one."""

    def text(name: bytes) -> str:
        return headers.get(name, b"").decode("latin-1")

    try:
        verify(
            partner.signing_secrets,
            message_id=text(b"webhook-id"),
            timestamp=text(b"webhook-timestamp"),
            signatures=text(b"webhook-signature"),
            body=body,
            now_seconds=now_ms / 1000,
        )
    except BadSignature as error:
        return Problem("bad-signature", 401, "The signature is not a good one.", str(error))
    return None
