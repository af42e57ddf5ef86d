"""Writes the rights of `shared.acls` down at a broker."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from shared.acls import Right, rights
from shared.kafka.connection import client_options
from shared.settings import KafkaSettings

_ALLOW = 3
_ANY_HOST = "*"


class RightsError(RuntimeError):
    """The broker would not take a right down."""


async def grant_rights(settings: KafkaSettings) -> int:
    """Add every right; those that are there already change nothing. How many there are.

    Takes none away. Raises `RightsError` if the broker has no authorizer, or this user may not.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        wanted = rights()
        answers = await asyncio.gather(*(admin._send_request(_request(right)) for right in wanted))
        for right, answer in zip(wanted, answers, strict=True):
            code, why = answer.creation_responses[0]
            if code:
                raise RightsError(f"Kafka would not let {right.principal} {right.operation.name} {right.name}: "
                                  f"{why or for_code(code).__name__}")  # fmt: skip
        return len(wanted)
    finally:
        await admin.close()


def _request(right: Right) -> CreateAclsRequest:
    return CreateAclsRequest(
        int(right.resource), right.name, int(right.pattern), f"User:{right.principal}", _ANY_HOST,
        int(right.operation), _ALLOW,
    )  # fmt: skip
