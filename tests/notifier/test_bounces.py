"""Bounces of every kind: what they say, and that only a genuine return path makes them count."""

from __future__ import annotations

import random

import pytest
from bounce_samples import BOUNCES, ORIGINAL, feedback
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.bounces import Hint, Report, read_report
from services.notifier.verp import BASE_LETTERS_MAX, Returned, ReturnPaths
from shared import ids
from shared.contracts import BounceKind

PATHS = ReturnPaths("bounces@london-connection.example", "a secret for the tests only")
COMMUNITIES = ("leeds", "london")
EMAIL = ids.email_id("s_1", "m_1", "invitation")
PATH = PATHS.for_email(EMAIL, "london")
WHO = "amara@example.org"
OURS = Returned("london", EMAIL)


def raw(name: str, path: str = PATH) -> bytes:
    return BOUNCES[name][0].replace("{path}", path).replace("{who}", WHO).replace("\n", "\r\n").encode()


def read(message: bytes, *recipients: str) -> Report:
    return read_report(message, recipients, PATHS, COMMUNITIES)


@pytest.mark.parametrize("name", BOUNCES)
def test_every_kind_is_told_apart_and_attributed(name: str) -> None:
    _, kind, status = BOUNCES[name]
    report = read(raw(name), PATH)
    assert (report.kind, report.status, report.about) == (kind, status, OURS)
    bounce = report.as_bounce(1)
    assert (bounce is None) == isinstance(kind, Hint)
    assert WHO not in repr(report), "nothing of the text is kept"


@pytest.mark.parametrize("name", BOUNCES)
def test_it_is_attributed_without_the_envelope_too(name: str) -> None:
    """An MTA's pipe may not tell it; the report was addressed to the path, or encloses it."""
    assert read(raw(name)).about == OURS


def test_there_are_at_least_twenty_kinds() -> None:
    assert len(BOUNCES) >= 20


@pytest.mark.parametrize("name", BOUNCES)
def test_a_forged_or_altered_tag_changes_nothing(name: str) -> None:
    draws = random.Random(name)
    local, _, domain = PATH.partition("@")
    for _ in range(20):
        place = draws.randrange(local.index("+") + 1, len(local))
        other = draws.choice([letter for letter in "abcdefghijklmnopqrstuvwxyz234567" if letter != local[place]])
        forged = f"{local[:place]}{other}{local[place + 1 :]}@{domain}"
        report = read(raw(name, forged), forged)
        assert report.about is None
        assert report.as_bounce(1) is None


def test_a_tag_of_another_community_or_secret_is_none_of_ours() -> None:
    assert PATHS.read(PATH, ("leeds",)) is None
    others = ReturnPaths("bounces@london-connection.example", "another secret for the tests")
    assert PATHS.read(others.for_email(EMAIL, "london"), COMMUNITIES) is None


# As they were made before the id in them was encrypted: mail with these is under way, or comes back late.
OPEN_PATH = "bounces+ribxmzkhcajbzevf32tfgcxjxque42u26iveyoerk4@london-connection.example"


def test_mail_that_left_before_tags_were_encrypted_or_with_a_former_secret_is_known_when_it_comes_back() -> None:
    rotated = ReturnPaths(
        "bounces@london-connection.example", "a newer secret for the tests", ["a secret for the tests only"]
    )
    for paths in (PATHS, rotated):
        for path in (OPEN_PATH, PATH):
            assert paths.read(path, COMMUNITIES) == OURS
        assert paths.read(OPEN_PATH.replace("+", "+a", 1)[:-1], COMMUNITIES) is None
        assert paths.read(OPEN_PATH, ("leeds",)) is None
    assert rotated.for_email(EMAIL, "london") != PATH
    assert PATHS.read(rotated.for_email(EMAIL, "london"), COMMUNITIES) is None
    assert EMAIL.removeprefix("e_") not in PATH


def test_a_tag_survives_what_mail_systems_do_to_a_local_part() -> None:
    assert PATHS.read(PATH.upper(), COMMUNITIES) == OURS
    assert PATHS.read(f"<{PATH}>", COMMUNITIES) == OURS
    assert len(PATH.partition("@")[0]) <= 64


def test_what_is_ours_to_read() -> None:
    assert PATHS.is_ours("bounces@London-Connection.example")
    assert PATHS.is_ours(PATH)
    assert not PATHS.is_ours("bounces@elsewhere.example")
    assert not PATHS.is_ours("hello+x@london-connection.example")


def test_a_name_that_leaves_no_room_for_the_tag_is_refused() -> None:
    ReturnPaths("b" * BASE_LETTERS_MAX + "@example.org", "x" * 16)
    with pytest.raises(ValueError, match="1 to 21"):
        ReturnPaths("b" * (BASE_LETTERS_MAX + 1) + "@example.org", "x" * 16)


def test_the_original_that_is_enclosed_does_not_speak_for_the_mail_system() -> None:
    """A member's words, quoted in full, must not turn one bounce into another."""
    assert "550 5.7.1" in ORIGINAL
    assert "mailbox full" in ORIGINAL
    assert read(raw("exim: unrouteable"), PATH).kind is BounceKind.ADDRESS


def test_who_complains_about_another_email_of_theirs_cannot_name_it_in_prose() -> None:
    message = feedback("abuse", original="Subject: x\n\n.").replace("{path}", "nobody@example.org").encode()
    assert read(message, "bounces@london-connection.example").about is None


@given(st.binary(max_size=2000))
def test_garbage_is_no_report_and_raises_nothing(garbage: bytes) -> None:
    assert isinstance(read(garbage, PATH).kind, BounceKind | Hint)


@given(st.sampled_from(sorted(BOUNCES)), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), max_size=20))
def test_a_damaged_report_raises_nothing(name: str, damages: list[tuple[int, bytes]]) -> None:
    message = bytearray(raw(name))
    for place, junk in damages:
        message[place % len(message) : place % len(message) + 1] = junk
    assert isinstance(read(bytes(message), PATH).kind, BounceKind | Hint)


def test_parts_within_parts_without_end_are_no_report() -> None:
    deep = b"".join(
        b'Content-Type: multipart/report; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(3000)
    )
    assert read(b"Return-Path: <>\r\n" + deep, PATH).kind is Hint.UNRECOGNISED


def test_a_very_long_one_is_read_in_bounded_time() -> None:
    message = b"Return-Path: <>\r\nSubject: failure notice\r\n\r\n" + b"mailbox <" * 400_000
    assert read(message, PATH).kind is Hint.UNRECOGNISED
