"""Seals contacts on their way to the topic, each with its member's own key; and forgets that key with the contact.

A member keeps one key for as long as they are a member. Were there a new one with every
update, contact and key would be two records that must match and cannot be written as one:
a crash in between would lose a contact. So every instance knows all keys (it reads
`contact-keys` to its end before it serves), draws one only for somebody who has none, and
has it acknowledged before anything that it seals is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aiokafka import ConsumerRecord

from shared import topics
from shared.contracts import ContactKey, SealedContact
from shared.kafka.codec import BadMessage, decode
from shared.logs import logger
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.sealing import DataKeys, MasterKeys, Seal, SealError

log = logger(__name__)

Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Returns once Kafka has acknowledged."""


class Sealer:
    """What stands between those who publish and the topics, where contacts are encrypted."""

    def __init__(self, master: MasterKeys, publish: Publish, is_erased: Callable[[str], bool]) -> None:
        self._master = master
        self._publish = publish
        self._is_erased = is_erased
        self._keys = DataKeys()
        self._forgotten: set[str] = set()
        """Keys whose tombstones are on their way: nothing is sealed with them any more."""
        self._left_over: list[Outgoing] = []

    def on_record(self, record: ConsumerRecord) -> None:
        """A record of `contact-keys`, in its order."""
        try:
            key, value = decode(topics.CONTACT_KEYS.name, record.key, record.value)
        except BadMessage:
            log.error("contact_key_unreadable", partition=record.partition, offset=record.offset)
            return
        if value is None:
            self._keys.remove(key)
            self._forgotten.discard(key)
        elif isinstance(value, ContactKey):
            self._keys.add(value)
            if self._is_erased(value.member):
                # Another instance was just signing them up when they asked to be forgotten.
                self._left_over.append(tombstone(topics.CONTACT_KEYS, value.community, key))

    async def seal(self, records: Sequence[Outgoing]) -> list[Outgoing]:
        """The same records, the contacts among them sealed; with a contact that is forgotten go its keys.

        The keys that this needs are acknowledged when it returns. Raises what publishing
        raises. A key that does not unwrap is not used: its member is given a new one.
        """
        seals: dict[str, Seal] = {}
        new: dict[str, ContactKey] = {}
        for record in records:
            if _is_contact(record) and record.value is not None and record.key not in seals:
                known = self._seal_of(record.key)
                if known is None:
                    new[record.key] = self._master.new_data_key(record.community, record.key)
                    known = self._master.sealing(new[record.key])
                seals[record.key] = known
        if new:
            await self._publish([outgoing(topics.CONTACT_KEYS, key) for key in new.values()])
            for key in new.values():
                self._keys.add(key)
        sealed: list[Outgoing] = []
        for record in records:
            if not _is_contact(record):
                sealed.append(record)
            elif record.value is None:
                sealed.append(record)
                # They are known until their tombstones have been read back: should writing those fail, whoever
                # asks again forgets them too.
                for key in self._keys.of_member(record.key):
                    sealed.append(tombstone(topics.CONTACT_KEYS, key.community, key.key))
                    self._forgotten.add(key.key)
            else:
                sealed.append(record._replace(value=seals[record.key](record.value)))
        left_over, self._left_over = self._left_over, []
        return sealed + left_over

    def opened(self, record_key: str, value: bytes | None) -> bytes | None:
        """What a value on `contacts` was before it was sealed; as it is, if it was not, or does not open."""
        if value is None:
            return None
        try:
            _, record = decode(topics.CONTACTS.name, record_key.encode(), value)
        except BadMessage:
            return value
        if not isinstance(record, SealedContact):
            return value
        key = self._keys.get(record.member, record.data_key)
        try:
            return value if key is None else self._master.open_bytes(key, record)
        except ValueError:
            return value

    def _seal_of(self, member: str) -> Seal | None:
        # With the same key on every instance, where there happen to be two.
        for key in sorted(self._keys.of_member(member), key=lambda key: key.data_key):
            if key.key not in self._forgotten:
                with suppress(SealError):
                    return self._master.sealing(key)
        return None


def _is_contact(record: Outgoing) -> bool:
    return record.topic == topics.CONTACTS.name
