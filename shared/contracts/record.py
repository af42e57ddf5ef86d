"""What every value on one of our own topics has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value on a topic, keyed by `key` and placed by `community`.

    Unknown fields are ignored on reading, so that an older service can read what a
    newer one wrote during a rolling update. An error never holds what was read: that may be
    personal, or a key.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    community: str
    """Which community it belongs to: decides the partition (`shared.topics.partition_of`)."""

    @property
    def key(self) -> str:
        """The key on the topic: two values with one key are two states of one thing."""
        raise TypeError(f"{type(self).__name__} must say what its key is")

    def to_bytes(self) -> bytes:
        """The value as it stands on the topic: compact JSON, UTF-8."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)
