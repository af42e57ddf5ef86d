"""A contact that cannot be read without two keys, and the one of them that is the member's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.record import Record


class ContactKey(Record):
    """The data key of one member, wrapped by a master key. To forget it is to forget all that it sealed.

    The record's key names the member and the data key, so that no data key ever overwrites
    another: where two instances of intake met the same newcomer at the same moment there are
    two, and whatever either of them sealed can be read.
    """

    member: str
    data_key: str
    """Which of the member's keys it is: what the contact that it seals calls it by."""
    master_key: str
    """The id of the master key that wraps it."""
    wrapped: Annotated[str, Field(repr=False)]
    """Base64 of a nonce of 12 bytes, and the 32 bytes of the key with their tag of 16."""

    @property
    def key(self) -> str:
        return f"{self.member}/{self.data_key}"


class SealedContact(Record):
    """What lies on `contacts` in place of a `Contact` where contacts are encrypted."""

    member: str
    data_key: str
    sealed: str
    """Base64 of a nonce of 12 bytes, and the contact's JSON, padded, with a tag of 16."""

    @property
    def key(self) -> str:
        return self.member
