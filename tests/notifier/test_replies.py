"""What a server says or does at each step, and the right reaction to it: against a server that follows a script."""

from __future__ import annotations

import logging

import pytest
from scripted_server import HALF, HANG_UP, SILENCE, send, serving

from services.notifier.breaker import Scope
from services.notifier.replies import (
    RULES,
    Outcome,
    Refused,
    Retry,
    Sent,
    Stage,
    Stopped,
    Unknown,
    is_about_recipient,
    outcome_of,
)

DOMAIN, EVERYTHING = Scope.DOMAIN, Scope.EVERYTHING

REPLIES: list[tuple[str, str, Outcome]] = [
    # Before anybody is named: it is about us.
    ("GREETING", "421 4.3.2 too busy", Retry("4.3.2", 421)),
    ("GREETING", "554 no SMTP service here", Stopped("554", EVERYTHING, 554)),
    ("GREETING", "521 does not accept mail", Stopped("521", EVERYTHING, 521)),
    ("GREETING", HANG_UP, Retry("server-unreachable")),
    ("GREETING", SILENCE, Retry("server-unreachable")),
    ("GREETING", "HTTP/1.1 400 Bad Request", Retry("unexpected-reply", -1)),
    ("EHLO", "550 5.7.1 your address is on a list", Stopped("5.7.1", EVERYTHING, 550)),
    ("EHLO", "421 4.7.0 try later", Retry("4.7.0", 421)),
    ("EHLO", HANG_UP, Retry("server-unreachable")),
    ("AUTH", "535 5.7.8 bad credentials", Stopped("5.7.8", EVERYTHING, 535)),
    ("AUTH", "534 5.7.9 mechanism too weak", Stopped("5.7.9", EVERYTHING, 534)),
    ("AUTH", "454 4.7.0 temporary failure", Retry("4.7.0", 454)),
    ("AUTH", SILENCE, Retry("server-unreachable")),
    # MAIL FROM: about our sender.
    ("MAIL", "530 5.7.0 must issue STARTTLS first", Stopped("5.7.0", EVERYTHING, 530)),
    ("MAIL", "550 5.7.1 sender not allowed", Stopped("5.7.1", EVERYTHING, 550)),
    ("MAIL", "553 5.1.8 sender's domain does not exist", Stopped("5.1.8", EVERYTHING, 553)),
    ("MAIL", "553 sender refused", Stopped("553", EVERYTHING, 553)),
    ("MAIL", "451 4.3.0 later", Retry("4.3.0", 451)),
    ("MAIL", "452 4.3.1 out of space", Retry("4.3.1", 452)),
    ("MAIL", "503 5.5.1 out of step", Retry("5.5.1", 503)),
    ("MAIL", "552 5.3.4 too big", Refused(552, "5.3.4")),
    # RCPT TO: about the recipient, or their domain's opinion of us.
    ("RCPT", "550 5.1.1 <amara@example.org> no such user", Refused(550, "5.1.1", address_fault=True)),
    ("RCPT", "550-5.1.1 The account that you tried to\r\n550 5.1.1 reach is none.", Refused(550, "5.1.1", True)),
    ("RCPT", "556 5.1.10 null MX", Refused(556, "5.1.10", address_fault=True)),
    ("RCPT", "550 5.1.2 no such domain", Refused(550, "5.1.2", address_fault=True)),
    ("RCPT", "501 5.1.3 bad syntax", Refused(501, "5.1.3", address_fault=True)),
    ("RCPT", "551 user not local", Refused(551, "551", address_fault=True)),
    ("RCPT", "553 mailbox name not allowed", Refused(553, "553", address_fault=True)),
    ("RCPT", "550 5.2.1 mailbox disabled", Refused(550, "5.2.1", address_fault=True)),
    ("RCPT", "550 5.4.1 recipient rejected: access denied", Refused(550, "5.4.1", address_fault=True)),
    ("RCPT", "550 amara@example.org: unavailable", Refused(550, "550")),
    ("RCPT", "450 mailbox busy", Retry("450", 450)),
    ("RCPT", "451 4.7.1 greylisted", Retry("4.7.1", 451)),
    ("RCPT", "452 4.2.2 amara@example.org is full", Retry("4.2.2", 452)),
    ("RCPT", "552 mailbox full", Retry("552", 552)),
    ("RCPT", "552 5.2.2 over quota", Retry("5.2.2", 552)),
    ("RCPT", "554 5.7.1 relay access denied", Stopped("5.7.1", DOMAIN, 554)),
    ("RCPT", "554 not from your address", Stopped("554", DOMAIN, 554)),
    ("RCPT", "550 5.7.26 unauthenticated", Stopped("5.7.26", DOMAIN, 550)),
    ("RCPT", "550 5.7.17 the mailbox has another owner", Refused(550, "5.7.17", address_fault=True)),
    ("RCPT", "421 4.3.2 going down", Retry("4.3.2", 421)),
    ("RCPT", "\xff\x00 what is this", Retry("unexpected-reply", -1)),
    ("RCPT", HANG_UP, Retry("connection-lost")),
    ("RCPT", SILENCE, Retry("connection-lost")),
    ("RCPT", HALF, Retry("connection-lost")),
    # DATA, before the content: certainly not taken.
    ("DATA", "503 no valid recipients", Retry("503", 503)),
    ("DATA", "554 5.7.0 no", Stopped("5.7.0", DOMAIN, 554)),
    ("DATA", "250 ok?", Retry("unexpected-reply", 250)),
    ("DATA", HANG_UP, Retry("connection-lost")),
    ("DATA", SILENCE, Retry("connection-lost")),
    # After the content: the answer that counts.
    ("END", "451 4.3.0 disk full", Retry("4.3.0", 451)),
    ("END", "550 5.7.1 looks like spam", Stopped("5.7.1", DOMAIN, 550)),
    ("END", "554 transaction failed", Refused(554, "554")),
    ("END", "552 5.3.4 too big", Refused(552, "5.3.4")),
    ("END", "554 5.6.0 content refused", Refused(554, "5.6.0")),
    ("END", "500 line too long", Refused(500, "500")),
    ("END", "251 taken and forwarded", Sent()),
    ("END", "250-taken\r\n250-and\r\n250 2.0.0 kept", Sent()),
    ("END", "okay!", Unknown()),
    ("END", HANG_UP, Unknown()),
    ("END", HALF, Unknown()),
    ("END", SILENCE, Unknown()),
]


@pytest.mark.parametrize(("stage", "says", "outcome"), REPLIES)
async def test_every_reply_has_its_reaction(
    stage: str, says: str, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = {"username": "us", "password": "a secret"} if stage == "AUTH" else {}
    async with serving(timeout_seconds=0.3 if says == SILENCE else 5, **login) as (server, transport):
        server.says = {stage: [says]}
        got = await send(transport)
        assert got == outcome
        assert "amara" not in repr(got)
        assert "amara" not in caplog.text
        server.says = {}
        assert await send(transport) == Sent(), "the next email is none the worse for it"


@pytest.mark.parametrize(("stage", "says", "outcome"), REPLIES)
async def test_the_same_on_a_connection_that_was_used_before(stage: str, says: str, outcome: Outcome) -> None:
    if stage not in ("RCPT", "DATA", "END"):
        return  # Before MAIL FROM nothing is said on a used connection; and MAIL FROM itself is tried on a new one.
    async with serving(timeout_seconds=0.3 if says == SILENCE else 5) as (server, transport):
        assert await send(transport) == Sent()
        server.says = {stage: [says]}
        assert await send(transport) == outcome
        server.says = {}
        assert await send(transport) == Sent()


def test_there_are_at_least_thirty() -> None:
    assert len({(stage, says) for stage, says, _ in REPLIES}) >= 30


def test_every_rule_is_the_first_to_fit_somewhere() -> None:
    """A row that can never count would be a mistake in the order of the table."""
    enhanced = ["", *(f"{a}.{b}.{c}" for a in (4, 5) for b in range(8) for c in (*range(11), 17, 26, 310))]
    first = {
        next(rule for rule in RULES if rule.fits(stage, code, status))
        for stage in Stage
        for code in range(400, 600)
        for status in enhanced
    }
    assert [rule for rule in RULES if rule not in first] == []


def test_every_code_at_every_stage_has_an_outcome() -> None:
    for stage in Stage:
        for code in range(-1, 1000):
            for text in ("", "5.1.1 x", "4.9.9 x", "9.9.9"):
                outcome = outcome_of(code, text, stage)
                if 400 <= code <= 499:
                    assert isinstance(outcome, Retry), "nothing temporary is final"
                if isinstance(outcome, Refused) and outcome.address_fault:
                    assert 500 <= code <= 599


@pytest.mark.parametrize(
    ("reason", "is_theirs"),
    [("4.2.2", True), ("5.2.2", True), ("552", True), ("550", True), ("5.1.1", True), ("5.7.1", False),
     ("4.3.0", False), ("connection-lost", False), ("server-unreachable", False), ("421", False), ("554", False)],
)  # fmt: skip
def test_whose_fault_a_failure_is(reason: str, is_theirs: bool) -> None:
    assert is_about_recipient(reason) is is_theirs
