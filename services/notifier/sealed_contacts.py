"""Contacts that came sealed: opened as soon as both they and their key have been read, whichever comes first.

The two lie on two topics, and nobody promises an order between those. A contact whose
key has not come waits; a later contact of the same member takes its place, and so does its
tombstone.
"""

from __future__ import annotations

from shared.contracts import Contact, ContactKey, SealedContact
from shared.sealing import DataKeys, MasterKeys, SealError


class SealedContacts:
    """The fold of `contact-keys` and of what is sealed on `contacts`. Without `master` nothing opens."""

    def __init__(self, master: MasterKeys | None = None) -> None:
        self._master = master
        self._keys = DataKeys()
        self._waiting: dict[str, SealedContact] = {}

    def on_contact(self, sealed: SealedContact) -> Contact | None:
        """The contact, if its key is here; otherwise it waits for it. Raises `SealError` if it does not open."""
        if self._master is None:
            raise SealError("the contact is sealed, and CONTACTS_KEYS is not set")
        self._waiting.pop(sealed.member, None)
        key = self._keys.get(sealed.member, sealed.data_key)
        if key is None:
            self._waiting[sealed.member] = sealed
            return None
        return self._master.open(key, sealed)

    def on_key(self, key: ContactKey) -> Contact | None:
        """The contact that waited for this key, if one did. Raises `SealError` if it does not open."""
        self._keys.add(key)
        waiting = self._waiting.get(key.member)
        if waiting is None or waiting.data_key != key.data_key or self._master is None:
            return None
        del self._waiting[key.member]
        return self._master.open(key, waiting)

    def forget_key(self, record_key: str) -> None:
        """Take in a key's tombstone."""
        self._keys.remove(record_key)

    def replaced(self, member: str) -> None:
        """Something newer than what waits has come: a contact in the clear, or a tombstone."""
        self._waiting.pop(member, None)

    @property
    def waiting(self) -> int:
        """How many contacts wait for their key: more than none for long means that keys were lost."""
        return len(self._waiting)
