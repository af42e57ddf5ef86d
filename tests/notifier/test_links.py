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
    assert len(token()) == 80


def test_a_link_ends_and_says_what_to_do_then() -> None:
    with pytest.raises(ExpiredLinkError, match="more recent email") as raised:
        LINKS.read(token(), {LinkPurpose.YES}, END)
    assert raised.value.link.member == MEMBERS[0]


def test_a_link_is_good_for_its_purpose_alone() -> None:
    with pytest.raises(ForgedLinkError):
        LINKS.read(token(LinkPurpose.YES), {LinkPurpose.PAUSE}, NOW)


@pytest.mark.parametrize(
    "broken", ["", ".", "abc", "a.b.c", "ä", "x" * 5000, token()[:-1], token() + "A", "ä" * 80, "\ud800" * 80]
)
def test_what_is_not_ours_is_told_kindly(broken: str) -> None:
    with pytest.raises(ForgedLinkError, match="open it again from the email"):
        LINKS.read(broken, set(LinkPurpose), NOW)


@given(st.integers(0, 79), st.sampled_from("ABCxyz019-_."))
def test_no_character_can_be_changed(place: int, other: str) -> None:
    genuine = token()
    forged = genuine[: place % len(genuine)] + other + genuine[place % len(genuine) + 1 :]
    if forged != genuine:
        with pytest.raises(ForgedLinkError):
            LINKS.read(forged, set(LinkPurpose), NOW)


@given(st.text("abcdefgh-", min_size=1, max_size=40))
def test_a_link_has_one_spelling(community: str) -> None:
    """The last letter of base 64 can have bits that say nothing."""
    signed = LINKS.sign(
        LinkPurpose.NO, community=community, member=MEMBERS[0], introduction=PAIR.suggestion, expires_at_ms=END
    )
    genuine = signed.rpartition("/")[2]
    assert LINKS.read(genuine, {LinkPurpose.NO}, NOW).community == community
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".replace(genuine[-1], ""):
        with pytest.raises(ForgedLinkError):
            LINKS.read(genuine[:-1] + last, {LinkPurpose.NO}, NOW)
    with pytest.raises(ForgedLinkError):
        LINKS.read(f"{genuine[:9]}!{genuine[9:]}", {LinkPurpose.NO}, NOW)


def test_the_same_link_twice_is_the_same_text() -> None:
    assert token() == token()
    assert Links("a secret of the tests", "https://x").read(token(), {LinkPurpose.YES}, NOW).member == MEMBERS[0]


# As it was sent before links were encrypted: its text may never change.
SIGNED_ONLY = "AnkDarE7vDZGGJQNEUhNuVnCyRKiqUGIqH3HO3h4V2wlONDc7D9FbG9uZG9u.tSA0537kRYqYH3hQknMwtQQk"


def test_links_that_were_sent_before_they_were_encrypted_still_work() -> None:
    rotated = Links("a newer secret of the tests", "https://x", ["a secret of the tests"])
    for links in (LINKS, rotated):
        link = links.read(SIGNED_ONLY, {LinkPurpose.YES}, NOW)
        assert (link.purpose, link.community, link.member, link.introduction, link.expires_at_ms, link.occasion) == (
            LinkPurpose.YES, "london", MEMBERS[0], PAIR.suggestion, END, 3,
        )  # fmt: skip
    with pytest.raises(ForgedLinkError):
        LINKS.read(SIGNED_ONLY.replace("Ank", "Amk"), set(LinkPurpose), NOW)
    with pytest.raises(ForgedLinkError):
        LINKS.read(SIGNED_ONLY, {LinkPurpose.NO}, NOW)
    with pytest.raises(ExpiredLinkError):
        LINKS.read(SIGNED_ONLY, {LinkPurpose.YES}, END)
    with pytest.raises(ForgedLinkError):
        Links("another secret of the tests", "https://x").read(SIGNED_ONLY, {LinkPurpose.YES}, NOW)


def test_links_of_a_former_secret_work_and_new_ones_need_the_new() -> None:
    rotated = Links("a newer secret of the tests", "https://x", ["one in between of them", "a secret of the tests"])
    assert rotated.read(token(), {LinkPurpose.YES}, NOW).member == MEMBERS[0]
    newer = rotated.also(rotated.read(token(), {LinkPurpose.YES}, NOW), LinkPurpose.NO).rpartition("/")[2]
    with pytest.raises(ForgedLinkError):
        LINKS.read(newer, {LinkPurpose.NO}, NOW)
    assert rotated.handle(*MEMBERS[:2]) != LINKS.handle(*MEMBERS[:2]), "whoever knows the former can make nothing new"


def test_another_secret_makes_other_links() -> None:
    with pytest.raises(ForgedLinkError):
        Links("another secret of the tests", "https://x").read(token(), {LinkPurpose.YES}, NOW)


def test_ids_must_be_derived_and_the_secret_long() -> None:
    with pytest.raises(ValueError, match="derived ids"):
        LINKS.sign(LinkPurpose.NO, community="london", member="amara", introduction="x", expires_at_ms=END)
    with pytest.raises(ValueError, match="NOTIFIER_LINK_SECRET"):
        Links("short", "https://x")
    with pytest.raises(ValueError, match="NOTIFIER_FORMER_LINK_SECRETS"):
        Links("a secret of the tests", "https://x", ["short"])
