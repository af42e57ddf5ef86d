"""What a mail server's answer means for an email: it went, try again, never, stop everything, or nobody knows.

Reply codes are those of RFC 5321, enhanced codes those of RFC 3463 and the IANA registry.
Everything is decided by one table, read from the top: the first row that fits counts. The
server's own text is never kept, since it may quote the recipient's address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import assert_never

from services.notifier.breaker import Scope


class Stage(StrEnum):
    """How far the dialogue had got when the answer came."""

    CONNECT = "connect"
    """The greeting, EHLO, STARTTLS."""
    LOGIN = "login"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """Before the content."""
    END = "end"
    """After it: the answer that counts."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took it (250): from here on it is the server's to deliver."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Certainly not taken, and worth another try later."""

    reason: str
    code: int | None = None
    """The server's reply code, if it replied."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not taken, and asking again would change nothing."""

    code: int
    reason: str
    address_fault: bool = False
    """There is no such address: it is to be suppressed."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Certainly not taken, since they do not want mail from us: stop sending, and tell an operator."""

    reason: str
    scope: Scope
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection broke between the content and the server's answer: it may have been taken."""


Outcome = Sent | Retry | Refused | Stopped | Unknown


class Reaction(StrEnum):
    """What is done about a reply."""

    RETRY = "try again later"
    ADDRESS = "suppress the address"
    MESSAGE = "give this email up"
    STOP_DOMAIN = "stop sending to the domain"
    STOP_ALL = "stop sending at all"


_US = frozenset({Stage.CONNECT, Stage.LOGIN, Stage.MAIL})
"""Where nobody has been named yet: what is refused there is us."""
_ANY = frozenset(Stage)
_NONE = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: it fits if stage, code and enhanced code all do. `?` is any digit; `*` any enhanced code or none."""

    code: str
    enhanced: str
    reaction: Reaction
    why: str
    stages: frozenset[Stage] = _ANY

    def fits(self, stage: Stage, code: int, enhanced: str) -> bool:
        return stage in self.stages and fnmatchcase(str(code), self.code) and fnmatchcase(enhanced, self.enhanced)


_AT_RCPT = frozenset({Stage.RCPT})
_BEFORE_END = _ANY - {Stage.END}

RULES = (
    Rule("4??", "*", Reaction.RETRY, "They say themselves that it will pass: busy, greylisted, full, out of space."),
    Rule("???", "4.2.2", Reaction.RETRY, "A full mailbox is emptied some day, whatever the reply code says."),
    Rule("5??", "5.2.2", Reaction.RETRY, "A full mailbox."),
    # Our own doing: nobody was named yet, or it is named as ours.
    Rule("5??", "*", Reaction.STOP_ALL, "Login refused: every email would be.", frozenset({Stage.LOGIN})),
    Rule("53[0458]", "*", Reaction.STOP_ALL, "Login or TLS wanted, and not given: our configuration."),
    Rule("5??", "*", Reaction.STOP_ALL, "Not even a greeting: they take no mail from us.", frozenset({Stage.CONNECT})),
    Rule("5??", "5.7.*", Reaction.STOP_ALL, "Policy against our sender.", _US),
    Rule("5??", "5.1.[78]", Reaction.STOP_ALL, "Our sender's address is refused.", _US),
    Rule("5??", "5.1.[78]", Reaction.STOP_DOMAIN, "Our sender's address is refused there."),
    # The address.
    Rule("5??", "5.7.17", Reaction.ADDRESS, "The mailbox has another owner now (RFC 7293)."),
    Rule(
        "5??", "5.7.*", Reaction.STOP_DOMAIN, "Policy: not welcome, not authorised, on a block list. Not the address."
    ),
    Rule("5??", "5.1.[12346]", Reaction.ADDRESS, "No such mailbox or domain, bad syntax, ambiguous, moved away."),
    Rule("5??", "5.1.10", Reaction.ADDRESS, "The domain says that it takes no mail (null MX, RFC 7505)."),
    Rule("5??", "5.1.0", Reaction.ADDRESS, "Something is wrong with the address.", _AT_RCPT),
    Rule("5??", "5.2.1", Reaction.ADDRESS, "The mailbox is disabled."),
    Rule("5??", "5.4.4", Reaction.ADDRESS, "There is no way to that domain."),
    Rule("5??", "5.4.1", Reaction.ADDRESS, "Exchange's word for: no such recipient.", _AT_RCPT),
    Rule("5??", "5.4.310", Reaction.ADDRESS, "Exchange's word for: the domain does not exist.", _AT_RCPT),
    Rule(
        "55[136]", _NONE, Reaction.ADDRESS, "Not a mailbox here; not a mailbox name; a domain without mail.", _AT_RCPT
    ),
    # This email.
    Rule("5??", "5.3.4", Reaction.MESSAGE, "Too big for their system."),
    Rule("5??", "5.2.3", Reaction.MESSAGE, "Too big for that mailbox."),
    Rule("5??", "5.6.*", Reaction.MESSAGE, "They cannot take what is in it, or the address needs SMTPUTF8."),
    Rule("552", _NONE, Reaction.RETRY, "Without an enhanced code: a full mailbox, more often than a big email."),
    # The dialogue.
    Rule("50[0-4]", "*", Reaction.RETRY, "The dialogue got out of step: again, on a new connection.", _BEFORE_END),
    Rule("5??", "5.5.*", Reaction.RETRY, "The dialogue got out of step: again, on a new connection.", _BEFORE_END),
    # Bare codes, which say little.
    Rule("5??", _NONE, Reaction.STOP_ALL, "Our sender's address is refused.", frozenset({Stage.MAIL})),
    Rule("554", _NONE, Reaction.STOP_DOMAIN, "Relaying denied, or a block list, in old words.", _AT_RCPT),
    Rule(
        "5??", "*", Reaction.MESSAGE, "Final, and no reason to think that the address is bad: it may be policy (550)."
    ),
)
"""Every refusal by a mail server, what follows, and why. What is no refusal at all: see `outcome_of`."""

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b", re.MULTILINE)


def outcome_of(code: int, text: str, stage: Stage = Stage.RCPT) -> Outcome:
    """What a reply means that is not the one which was hoped for.

    What is no SMTP reply at all comes from a server in trouble: try again. After the
    content, though, it may just as well mean that the email was taken.

    >>> outcome_of(451, "4.3.0 try later")
    Retry(reason='4.3.0', code=451)
    >>> outcome_of(550, "5.1.1 no such user")
    Refused(code=550, reason='5.1.1', address_fault=True)
    """
    if not 400 <= code <= 599:
        if stage is Stage.END:
            return Sent() if 200 <= code <= 299 else Unknown()
        return Retry("unexpected-reply", code)
    found = _ENHANCED.search(text)
    enhanced = found.group(1) if found else _NONE
    reason = enhanced or str(code)
    rule = next(rule for rule in RULES if rule.fits(stage, code, enhanced))
    match rule.reaction:
        case Reaction.RETRY:
            return Retry(reason, code)
        case Reaction.ADDRESS:
            return Refused(code, reason, address_fault=True)
        case Reaction.MESSAGE:
            return Refused(code, reason)
        case Reaction.STOP_DOMAIN:
            return Stopped(reason, Scope.DOMAIN, code)
        case Reaction.STOP_ALL:
            return Stopped(reason, Scope.EVERYTHING, code)
        case _:
            assert_never(rule.reaction)


_ABOUT_RECIPIENT = re.compile(r"[45]\.[12]\.\d{1,3}|450|452|550|552")


def is_about_recipient(reason: str) -> bool:
    """Whether a failure's reason is one of this recipient's: several in a row, and the address is given up."""
    return _ABOUT_RECIPIENT.fullmatch(reason) is not None
