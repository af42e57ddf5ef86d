"""Encrypted contacts, without a broker: what opens, what does not, and in which order keys and contacts may come."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from services.intake.sealer import Sealer
from services.notifier.state import PartitionState
from shared import ids, topics
from shared.contracts import Contact, ContactKey, SealedContact
from shared.kafka.codec import decode
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.sealing import PAD_BYTES, MasterKeys, SealError
from shared.settings import ContactsSettings

AMARA, BEN = (ids.member_id("london", "club", name) for name in ("amara", "ben"))
FIRST, SECOND = os.urandom(32), os.urandom(32)


def keys(**named: bytes) -> MasterKeys:
    return MasterKeys(named or {"first": FIRST}, os.urandom)


def contact(member: str = AMARA, name: str = "Amara", at_ms: int = 1) -> Contact:
    return Contact(
        community="london", member=member, first_name=name, email=f"{name.lower()}@inbox.example", locale="en-GB",
        own_words='I said "sealed": and meant it', consent_wording="2026-11", accepted_at_ms=at_ms,
    )  # fmt: skip


def sealed_by(master: MasterKeys, key: ContactKey, person: Contact) -> SealedContact:
    _, record = decode(topics.CONTACTS.name, person.key.encode(), master.seal(key, person.to_bytes()))
    assert isinstance(record, SealedContact)
    return record


def test_what_was_sealed_opens_and_nothing_of_it_can_be_seen() -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    value = master.seal(key, contact().to_bytes())
    assert not any(word in value for word in (b"Amara", b"inbox.example", b"meant", b"2026-11"))
    sealed = sealed_by(master, key, contact())
    assert master.open(key, sealed) == contact()
    assert len(base64.b64decode(sealed.sealed)) % PAD_BYTES == 12 + 16


def test_words_that_look_like_a_sealed_contact_are_a_contact() -> None:
    _, record = decode(topics.CONTACTS.name, AMARA.encode(), contact().to_bytes())
    assert record == contact()


@pytest.mark.parametrize("which", ["sealed", "wrapped"])
def test_altered_in_any_byte_it_does_not_open(which: str) -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    sealed = sealed_by(master, key, contact())
    raw = base64.b64decode(sealed.sealed if which == "sealed" else key.wrapped)
    for place in range(len(raw)):
        text = base64.b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]).decode()
        of = (key, sealed.model_copy(update={"sealed": text}))
        if which != "sealed":
            of = (key.model_copy(update={"wrapped": text}), sealed)
        with pytest.raises(SealError) as refused:
            master.open(*of)
        assert "Amara" not in str(refused.value)


@given(st.text(max_size=200))
def test_nonsense_in_its_place_is_refused_and_no_more(text: str) -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    with pytest.raises(SealError):
        master.open(key, SealedContact(community="london", member=AMARA, data_key=key.data_key, sealed=text))
    with pytest.raises(SealError):
        master.seal(key.model_copy(update={"wrapped": text}), b"{}")


def test_it_cannot_be_moved_to_another_member_community_or_key() -> None:
    master = keys()
    amaras, bens = master.new_data_key("london", AMARA), master.new_data_key("london", BEN)
    sealed = sealed_by(master, amaras, contact())
    for moved in ({"member": BEN}, {"community": "paris"}, {"data_key": bens.data_key}):
        with pytest.raises(SealError):
            master.open(amaras, sealed.model_copy(update=moved))
    with pytest.raises(SealError):
        master.open(bens, sealed)
    with pytest.raises(SealError):
        master.open(amaras.model_copy(update={"member": BEN}), sealed)


def test_a_new_master_key_wraps_and_the_old_one_still_unwraps() -> None:
    old, both, new = keys(first=FIRST), keys(second=SECOND, first=FIRST), keys(second=SECOND)
    before = old.new_data_key("london", AMARA)
    after = both.new_data_key("london", BEN)
    assert after.master_key == "second"
    assert both.open(before, sealed_by(old, before, contact())) == contact()
    assert new.open(after, sealed_by(both, after, contact(BEN))) == contact(BEN)
    with pytest.raises(SealError, match="'first' is not among CONTACTS_KEYS"):
        new.open(before, sealed_by(old, before, contact()))


def test_no_nonce_and_no_key_comes_twice() -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    nonces = {base64.b64decode(sealed_by(master, key, contact()).sealed)[:12] for _ in range(2_000)}
    drawn = [master.new_data_key("london", AMARA) for _ in range(2_000)]
    nonces |= {base64.b64decode(one.wrapped)[:12] for one in drawn}
    assert len(nonces) == 4_000
    assert len({one.data_key for one in drawn}) == 2_000


# In which order they are read


def laid_down(state: PartitionState, *records: Contact | SealedContact | ContactKey) -> None:
    for record in records:
        topic = topics.CONTACT_KEYS if isinstance(record, ContactKey) else topics.CONTACTS
        state.apply(topic.name, record.key, record)


def test_the_contact_may_come_before_its_key_or_after() -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    sealed = sealed_by(master, key, contact())
    for order in ((key, sealed), (sealed, key)):
        state = PartitionState(master_keys=master)
        laid_down(state, order[0])
        assert state.members.contact(AMARA) is None
        laid_down(state, order[1])
        assert state.members.contact(AMARA) == contact()
        assert state.sealed.waiting == 0


def test_of_what_waits_the_latest_counts_and_a_tombstone_ends_it() -> None:
    master = keys()
    key, other = master.new_data_key("london", AMARA), master.new_data_key("london", AMARA)
    older, newer = sealed_by(master, key, contact()), sealed_by(master, other, contact(at_ms=2))
    state = PartitionState(master_keys=master)
    laid_down(state, older, newer, key)
    assert (state.members.contact(AMARA), state.sealed.waiting) == (None, 1)
    laid_down(state, other)
    assert state.members.contact(AMARA) == contact(at_ms=2)
    laid_down(state, older.model_copy(update={"data_key": "00"}), contact(at_ms=3))
    assert (state.members.contact(AMARA), state.sealed.waiting) == (contact(at_ms=3), 0), "in the clear, and newer"
    laid_down(state, older.model_copy(update={"data_key": "00"}))
    state.apply(topics.CONTACTS.name, AMARA, None)
    assert (state.members.contact(AMARA), state.sealed.waiting) == (None, 0)


def test_without_its_keys_the_notifier_says_which_setting_is_missing() -> None:
    master = keys()
    key = master.new_data_key("london", AMARA)
    with pytest.raises(SealError, match="CONTACTS_KEYS is not set"):
        laid_down(PartitionState(), key, sealed_by(master, key, contact()))


# Intake's side


class Topic:
    """`contact-keys`, and how the instances of intake read it."""

    def __init__(self) -> None:
        self.log: list[Outgoing] = []
        self.erased: set[str] = set()
        self.fails = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.fails:
            raise ConnectionError
        self.log += records

    def instance(self) -> Sealer:
        return Sealer(keys(), self.publish, self.erased.__contains__)

    def read_by(self, *sealers: Sealer) -> None:
        for number, one in enumerate(self.log):
            record: ConsumerRecord = ConsumerRecord(
                topic=one.topic, partition=0, offset=number, timestamp=0, timestamp_type=0, key=one.key.encode(),
                value=one.value, checksum=None, serialized_key_size=0, serialized_value_size=0, headers=(),
            )  # fmt: skip
            for sealer in sealers:
                sealer.on_record(record)


def seal(sealer: Sealer, *records: Outgoing) -> list[Outgoing]:
    return asyncio.run(sealer.seal(records))


def data_key_of(record: Outgoing) -> str:
    assert record.value is not None
    return str(json.loads(record.value)["data_key"])


def test_a_member_keeps_their_key_on_all_instances_and_gets_another_one_after_a_leave() -> None:
    topic = Topic()
    one, other = topic.instance(), topic.instance()
    (first,) = seal(one, outgoing(topics.CONTACTS, contact()))
    assert [record.key for record in topic.log] == [f"{AMARA}/{data_key_of(first)}"]
    topic.read_by(one, other)
    (again,) = seal(other, outgoing(topics.CONTACTS, contact(at_ms=2)))
    assert data_key_of(again) == data_key_of(first)
    assert len(topic.log) == 1, "no key is written with an update"

    gone = tombstone(topics.CONTACTS, "london", AMARA)
    left = seal(one, gone)
    assert left == [gone, tombstone(topics.CONTACT_KEYS, "london", topic.log[0].key)]
    topic.read_by(one)  # once more what was there before the leave, as a reader that lags would
    (back,) = seal(one, outgoing(topics.CONTACTS, contact(at_ms=3)))
    assert data_key_of(back) != data_key_of(first)


def test_when_forgetting_fails_who_asks_again_forgets_all_the_same() -> None:
    topic = Topic()
    sealer = topic.instance()
    seal(sealer, outgoing(topics.CONTACTS, contact()))
    gone = tombstone(topics.CONTACTS, "london", AMARA)
    first = seal(sealer, gone)  # and publishing it fails
    assert seal(sealer, gone) == first


def test_a_key_that_is_not_acknowledged_seals_nothing() -> None:
    topic = Topic()
    topic.fails = True
    sealer = topic.instance()
    with pytest.raises(ConnectionError):
        seal(sealer, outgoing(topics.CONTACTS, contact()))
    topic.fails = False
    seal(sealer, outgoing(topics.CONTACTS, contact()))
    assert len(topic.log) == 1


def test_a_key_that_was_drawn_while_they_asked_to_be_forgotten_goes_too() -> None:
    topic = Topic()
    one, other = topic.instance(), topic.instance()
    seal(one, outgoing(topics.CONTACTS, contact()))
    topic.erased.add(AMARA)
    topic.read_by(other)
    assert seal(other) == [tombstone(topics.CONTACT_KEYS, "london", topic.log[0].key)]


def test_a_key_that_does_not_unwrap_is_not_used_and_its_member_gets_a_new_one() -> None:
    topic = Topic()
    seal(topic.instance(), outgoing(topics.CONTACTS, contact()))
    other = Sealer(keys(second=SECOND), topic.publish, topic.erased.__contains__)
    topic.read_by(other)
    (sealed,) = seal(other, outgoing(topics.CONTACTS, contact()))
    assert len(topic.log) == 2
    assert topic.log[1].key == f"{AMARA}/{data_key_of(sealed)}"


def test_what_was_stored_can_be_known_again() -> None:
    topic = Topic()
    sealer = topic.instance()
    plain = outgoing(topics.CONTACTS, contact())
    (sealed,) = seal(sealer, plain)
    opened = sealer.opened(sealed.key, sealed.value)
    assert opened is not None
    assert opened.rstrip() == plain.value
    assert sealer.opened(plain.key, plain.value) == plain.value
    assert sealer.opened(sealed.key, None) is None


# The setting


def test_the_keys_come_from_the_environment_or_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = json.dumps({"2026-11": base64.b64encode(FIRST).decode()})
    assert ContactsSettings().master_keys() is None
    monkeypatch.setenv("CONTACTS_KEYS", text)
    settings = ContactsSettings()
    assert settings.master_keys() is not None
    assert base64.b64encode(FIRST).decode() not in repr(settings)
    (tmp_path / "keys.json").write_text(text)
    monkeypatch.setenv("CONTACTS_KEYS_FILE", str(tmp_path / "keys.json"))
    with pytest.raises(ValidationError, match="not both"):
        ContactsSettings()
    monkeypatch.delenv("CONTACTS_KEYS")
    assert ContactsSettings().master_keys() is not None


@pytest.mark.parametrize("bad", ["not base64", base64.b64encode(b"too short").decode()])
def test_what_is_no_key_is_named_and_not_told(bad: str) -> None:
    with pytest.raises(ValueError, match="'mine' must be 32 bytes"):
        ContactsSettings(contacts_keys={"mine": SecretStr(bad)}).master_keys()
