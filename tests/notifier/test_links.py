"""Links: what was signed is read again, for its purpose and until its end, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifier_samples import MEMBERS, NOW, PAIR

from services.notifier.links import ExpiredLinkError, ForgedLinkError, LinkPurpose, Links
from shared import ids

LINKS = Links("a secret of the tests", "https://london-connection.example/")
END = NOW + 60_000


def url(purpose: LinkPurpose = LinkPurpose.YES) -> str:
    return LINKS.sign(purpose, community="london", member=MEMBERS[0], introduction=PAIR.suggestion, expires_at_ms=END)


def token(purpose: LinkPurpose = LinkPurpose.YES) -> str:
    return url(purpose).rpartition("/")[2]


@given(st.text(), st.sampled_from(LinkPurpose), st.integers(NOW, NOW + 10**11))
def test_what_is_signed_is_read_again(reference: str, purpose: LinkPurpose, expires_at_ms: int) -> None:
    member, introduction = ids.member_id("london", "club", reference), ids.suggestion_id([reference], 0)
    signed = LINKS.sign(
        purpose, community="london", member=member, introduction=introduction, expires_at_ms=expires_at_ms
    )
    link = LINKS.read(signed.rpartition("/")[2], {purpose}, NOW - 1)
    assert (link.purpose, link.community, link.member, link.introduction) == (
        purpose, "london", member, introduction,
    )  # fmt: skip
    assert 0 <= link.expires_at_ms - expires_at_ms < 1000


def test_links_are_short_and_say_where_they_lead() -> None:
    assert url().startswith("https://london-connection.example/i/")
    assert url(LinkPurpose.UNSUBSCRIBE).startswith("https://london-connection.example/u/")
    assert len(token()) <= 86


def test_a_link_ends_and_says_what_to_do_then() -> None:
    with pytest.raises(ExpiredLinkError, match="more recent email") as raised:
        LINKS.read(token(), {LinkPurpose.YES}, END)
    assert raised.value.link.member == MEMBERS[0]


def test_a_link_is_good_for_its_purpose_alone() -> None:
    with pytest.raises(ForgedLinkError):
        LINKS.read(token(LinkPurpose.YES), {LinkPurpose.PAUSE}, NOW)


@pytest.mark.parametrize("broken", ["", ".", "abc", "a.b.c", "ä", "x" * 5000, token()[:-1], token() + "A"])
def test_what_is_not_ours_is_told_kindly(broken: str) -> None:
    with pytest.raises(ForgedLinkError, match="open it again from the email"):
        LINKS.read(broken, set(LinkPurpose), NOW)


@given(st.integers(0, 85), st.sampled_from("ABCxyz019-_."))
def test_no_character_can_be_changed(place: int, other: str) -> None:
    genuine = token()
    forged = genuine[: place % len(genuine)] + other + genuine[place % len(genuine) + 1 :]
    if forged != genuine:
        with pytest.raises(ForgedLinkError):
            LINKS.read(forged, set(LinkPurpose), NOW)


def test_another_secret_makes_other_links() -> None:
    with pytest.raises(ForgedLinkError):
        Links("another secret of the tests", "https://x").read(token(), {LinkPurpose.YES}, NOW)


def test_ids_must_be_derived_and_the_secret_long() -> None:
    with pytest.raises(ValueError, match="derived ids"):
        LINKS.sign(LinkPurpose.NO, community="london", member="amara", introduction="x", expires_at_ms=END)
    with pytest.raises(ValueError, match="NOTIFIER_LINK_SECRET"):
        Links("short", "https://x")
