"""Contacts that can be read only with a key that can be forgotten: envelope encryption, one data key a member.

==================  ====================================================================
master key          256 bits, an operator's (`CONTACTS_KEYS`); wraps data keys, and nothing else
data key            256 random bits, one for each member, on the topic `contact-keys`, wrapped
sealed contact      on `contacts`: the member's data key over the contact's JSON
==================  ====================================================================

AES-256-GCM with random nonces of 96 bits. Of one key NIST SP 800-38D allows 2**32 such
messages, so that two nonces are alike with a probability below 2**-32: a master key
serves four thousand million members, and a data key as many updates of one member.

What a ciphertext belongs to (topic, community, member, key) is authenticated with it: put
anywhere else, it does not open. Its length is a multiple of `PAD_BYTES`, so that it
tells little about a name. Pure but for the randomness, which is an argument.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from shared import topics
from shared.contracts import Contact, ContactKey, SealedContact

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
PAD_BYTES = 128
_DATA_KEY_ID_BYTES = 8

Draw = Callable[[int], bytes]
"""So many bytes that nobody can guess, such as `os.urandom`."""
Seal = Callable[[bytes], bytes]
"""From a contact's JSON to the value for `contacts` in its place."""


class SealError(ValueError):
    """Something sealed cannot be opened. Its text says why, and holds nothing of what was sealed, nor of a key."""


class MasterKeys:
    """The master keys by their ids, newest first: the first one wraps, all of them unwrap."""

    def __init__(self, keys: Mapping[str, bytes], draw: Draw) -> None:
        """Raises `ValueError` if there is none, or one of them is not 256 bits long."""
        if not keys:
            raise ValueError("at least one master key is needed")
        for name, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"the master key {name!r} must be {KEY_BYTES} bytes long, and has {len(key)}")
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._newest = next(iter(keys))
        self._draw = draw

    def new_data_key(self, community: str, member: str) -> ContactKey:
        """A fresh data key for a member, wrapped."""
        name = self._draw(_DATA_KEY_ID_BYTES).hex()
        nonce, key = self._draw(NONCE_BYTES), self._draw(KEY_BYTES)
        whose = _belongs(topics.CONTACT_KEYS, community, member, name)
        wrapped = self._ciphers[self._newest].encrypt(nonce, key, whose)
        return ContactKey(
            community=community,
            member=member,
            data_key=name,
            master_key=self._newest,
            wrapped=base64.b64encode(nonce + wrapped).decode(),
        )

    def sealing(self, key: ContactKey) -> Seal:
        """What seals this member's contacts. Raises `SealError` if the data key does not unwrap."""
        cipher = self._unwrap(key)
        whose = _belongs(topics.CONTACTS, key.community, key.member, key.data_key)

        def seal(contact: bytes) -> bytes:
            padded = contact + b" " * (-len(contact) % PAD_BYTES)  # JSON does not mind spaces behind it
            nonce = self._draw(NONCE_BYTES)
            return SealedContact(
                community=key.community,
                member=key.member,
                data_key=key.data_key,
                sealed=base64.b64encode(nonce + cipher.encrypt(nonce, padded, whose)).decode(),
            ).to_bytes()

        return seal

    def seal(self, key: ContactKey, contact: bytes) -> bytes:
        """The value for `contacts` in place of a contact's JSON. Raises `SealError` if the key cannot be used."""
        return self.sealing(key)(contact)

    def open_bytes(self, key: ContactKey, sealed: SealedContact) -> bytes:
        """The contact's JSON as it was sealed, with its padding. Raises `SealError`."""
        whose = _belongs(topics.CONTACTS, sealed.community, sealed.member, sealed.data_key)
        try:
            return _decrypt(self._unwrap(key), sealed.sealed, whose)
        except InvalidTag:
            raise SealError("the contact does not open: it was altered, or is not this member's") from None

    def open(self, key: ContactKey, sealed: SealedContact) -> Contact:
        """The contact. Raises `SealError`."""
        try:
            contact = Contact.model_validate_json(self.open_bytes(key, sealed))
        except ValidationError:
            raise SealError("what was sealed is not a contact") from None
        if (contact.community, contact.member) != (sealed.community, sealed.member):
            raise SealError("what was sealed is another member's contact")
        return contact

    def _unwrap(self, key: ContactKey) -> AESGCM:
        cipher = self._ciphers.get(key.master_key)
        if cipher is None:
            raise SealError(f"the master key {key.master_key[:40]!r} is not among CONTACTS_KEYS")
        try:
            whose = _belongs(topics.CONTACT_KEYS, key.community, key.member, key.data_key)
            return AESGCM(_decrypt(cipher, key.wrapped, whose))
        except (InvalidTag, ValueError):
            raise SealError(
                "the data key does not unwrap: it was altered, is another member's, or the master key is another one"
            ) from None


class DataKeys:
    """The fold of `contact-keys`: the wrapped keys of each member. About 500 bytes of memory a member."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, ContactKey]] = {}

    def add(self, key: ContactKey) -> None:
        self._of.setdefault(key.member, {})[key.data_key] = key

    def remove(self, record_key: str) -> None:
        """Take in a tombstone, by its record's key."""
        member, _, name = record_key.partition("/")
        known = self._of.get(member)
        if known is not None:
            known.pop(name, None)
            if not known:
                del self._of[member]

    def get(self, member: str, name: str) -> ContactKey | None:
        return self._of.get(member, {}).get(name)

    def of_member(self, member: str) -> Iterable[ContactKey]:
        """All that a member has: one as a rule."""
        return tuple(self._of.get(member, {}).values())

    def __len__(self) -> int:
        """How many members have one."""
        return len(self._of)


def _belongs(topic: topics.TopicSpec, community: str, member: str, key: str) -> bytes:
    # The length of each part goes in, so that no two lists of parts can look alike.
    return "".join(f"{len(part)}:{part}" for part in (topic.name, community, member, key)).encode()


def _decrypt(cipher: AESGCM, text: str, whose: bytes) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidTag from None
    if len(raw) < NONCE_BYTES + TAG_BYTES:
        raise InvalidTag
    # b64decode does not mind spare bits in the last letter: one text for one ciphertext.
    if base64.b64encode(raw).decode() != text:
        raise InvalidTag
    return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], whose)
