"""The contracts on the topics: what is written can be read, ids are derived, partitions are agreed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.community import CommunityFileError, load_communities
from shared.contracts import Openness, Record
from shared.ids import email_id, member_id, message_id, suggestion_id
from shared.kafka.codec import MODELS, BadMessage, decode
from shared.slots import ALL_SLOTS_MASK, SLOTS, mask_of, slots_in
from shared.topics import CLAIMS, DEAD_LETTERS, PARTNERS, SIGNUPS, TOPICS, partition_of

word = st.text(min_size=1, max_size=20)
rating = st.integers(1, 5)
st.register_type_strategy(Openness, st.builds(Openness, shares=rating, listens=rating, goes_first=rating, depth=rating))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def test_every_topic_of_ours_has_a_model_and_every_model_a_topic() -> None:
    assert MODELS.keys() == TOPICS.keys() - {SIGNUPS.name, DEAD_LETTERS.name, PARTNERS.name, CLAIMS.name}


@pytest.mark.parametrize("topic", sorted(MODELS))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_to_a_topic_can_be_read_from_it(topic: str, data: st.DataObject) -> None:
    record: Record = data.draw(st.from_type(MODELS[topic]).filter(lambda found: bool(found.key)))
    key, found = decode(topic, record.key.encode(), record.to_bytes())
    assert key == record.key
    assert found == record


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, b"{}", "key is missing"),
        (b"", b"{}", "key is missing"),
        (b"\xff", b"{}", "not UTF-8"),
        (b"k", b"{", "json_invalid"),
        (b"k", b'{"community": "london", "first_name": "Amara"}', "member: missing"),
    ],
)
def test_what_cannot_be_read_says_why_and_nothing_of_what_it_held(key: bytes | None, value: bytes, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason) as caught:
        decode("profiles", key, value)
    assert "Amara" not in str(caught.value)


def test_a_value_under_the_key_of_another_is_bad() -> None:
    value = {"community": "london", "member": "m_a", "kind": "left", "requested_at_ms": 1}
    assert decode("partner-requests", b"m_a", json.dumps(value).encode())[0] == "m_a"
    with pytest.raises(BadMessage, match="not the one"):
        decode("partner-requests", b"m_b", json.dumps(value).encode())


def test_a_newer_writer_may_add_fields() -> None:
    value = {"community": "london", "member": "m_a", "kind": "left", "requested_at_ms": 1, "why": "moved"}
    assert decode("partner-requests", b"m_a", json.dumps(value).encode())[1] is not None


@given(st.tuples(word, word, word), st.tuples(word, word, word))
def test_ids_of_members_differ_exactly_when_what_they_come_from_does(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (member_id(*one) == member_id(*other)) == (one == other)


@given(st.lists(word, min_size=2, max_size=6, unique=True), st.integers(0, 5))
def test_the_id_of_a_suggestion_does_not_depend_on_the_order_of_its_members(members: list[str], before: int) -> None:
    assert suggestion_id(members, before) == suggestion_id(reversed(members), before)
    assert suggestion_id(members, before) != suggestion_id(members, before + 1)


def test_ids_do_not_change_from_release_to_release() -> None:
    # What lies on the topics refers to them: these values are for ever.
    assert member_id("london", "book-app", "user-17") == "m_h4rntvyzihbeivxx6qa4fosqve"
    assert partition_of("london", 8) == 3
    assert email_id("s_1", "m_1", "invitation")[:2] == "e_"


def test_a_message_id_tells_nothing_without_the_secret() -> None:
    email = email_id("s_1", "m_1", "invitation")
    assert message_id(email, "one secret", "example.org") != message_id(email, "another", "example.org")
    assert message_id(email, "one secret", "example.org") == message_id(email, "one secret", "example.org")
    assert email not in message_id(email, "one secret", "example.org")


@given(st.integers(0, ALL_SLOTS_MASK))
def test_slots_and_their_masks_are_one_and_the_same(mask: int) -> None:
    assert mask_of(slots_in(mask)) == mask
    assert list(slots_in(mask)) == [slot for slot in SLOTS if slot in slots_in(mask)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("time_zone: Europe/Londn", "Europe/Londn"),
        ("groups: {smallest: 5, wanted: 4, largest: 6, quorum: 3}", "smallest <= wanted"),
        ("groups: {smallest: 3, wanted: 4, largest: 6, quorum: 4}", "quorum"),
        ("adults_from_age: 16", "adults_from_age"),
        ("colour: blue", "colour"),
        ("radius_km: [", "not valid YAML"),
    ],
)
def test_a_community_file_that_is_wrong_is_named_with_its_field(tmp_path: Path, change: str, told: str) -> None:
    original = (Path(__file__).parents[2] / "communities" / "london.yaml").read_text()
    field = change.split(":")[0]
    kept = "\n".join(line for line in original.splitlines() if not line.startswith(f"{field}:"))
    (tmp_path / "paris.yaml").write_text(f"{kept}\n{change}\n")
    with pytest.raises(CommunityFileError, match=r"paris\.yaml") as caught:
        load_communities(tmp_path)
    assert told in str(caught.value)


def test_no_community_at_all_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CommunityFileError, match="COMMUNITIES_DIR"):
        load_communities(tmp_path)
