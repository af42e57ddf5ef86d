"""Which topics a user may not read, or are not there: asked, since what may not be read looks like an empty topic."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings

_BEYOND_THE_END = 2**62
"""An offset that no topic reaches: the broker judges what may be read before it looks for it, and sends nothing."""
_BYTES_MAX = 1
_READ_COMMITTED = 1


async def why_not_readable(settings: KafkaSettings, topics: Iterable[str]) -> str | None:
    """One line for operators that names each topic which cannot be read, and says why; `None` if all can be.

    Reads nothing. Raises `KafkaError` if the broker does not answer.
    """
    wanted = sorted(set(topics))
    if not wanted:
        return None
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        asked = [(topic, [(0, _BEYOND_THE_END, _BYTES_MAX)]) for topic in wanted]
        answer = await admin._send_request(FetchRequest(0, 0, _BYTES_MAX, _READ_COMMITTED, asked))
    finally:
        await admin.close()
    codes = {topic: partitions[0][1] for topic, partitions in answer.topics}
    refused = [topic for topic in wanted if codes.get(topic) == TopicAuthorizationFailedError.errno]
    missing = [topic for topic in wanted if codes.get(topic) == UnknownTopicOrPartitionError.errno]
    return said(settings.sasl_username, refused, missing)


def said(user: str | None, refused: list[str], missing: list[str]) -> str | None:
    """The line for it. Pure."""
    parts = []
    if refused:
        who = f"this Kafka user ({user})" if user else "this Kafka user (nobody logs in)"
        parts.append(f"{who} may not read {_topics(refused)}: `connection topics rights` shows who may")
    if missing:
        are = "is" if len(missing) == 1 else "are"
        parts.append(f"{_topics(missing)} {are} not there: `connection topics create` makes what is missing")
    return "; ".join(parts) or None


def _topics(names: list[str]) -> str:
    return f"topic{'s' if len(names) > 1 else ''} {', '.join(names)}"
