"""What a mail server's answer means for an email: it went, try again, never, or nobody knows.

Codes are those of RFC 5321, enhanced codes those of RFC 3463. The server's own text is
never kept: it may quote the recipient's address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection broke between DATA and the server's answer: it may have been taken."""


Outcome = Sent | Retry | Refused | Unknown

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_FULL_MAILBOX = {"5.2.2", "4.2.2"}


def outcome_of(code: int, text: str) -> Retry | Refused:
    """What a reply means that is not the success which was hoped for.

    4xx is worth another try, and so is a full mailbox, which some servers announce with
    5xx; every other 5xx is final (5.1.1 and 5.1.10: the address; 5.7.x: a policy against
    us). What is no SMTP reply at all comes from a server in trouble: try again.

    >>> outcome_of(451, "4.3.0 try later")
    Retry(reason='4.3.0', code=451)
    >>> outcome_of(550, "5.1.1 no such user")
    Refused(code=550, reason='5.1.1')
    """
    found = _ENHANCED.match(text)
    enhanced = found.group(1) if found else None
    reason = enhanced or str(code)
    if 500 <= code <= 599:
        if enhanced in _FULL_MAILBOX or (code == 552 and enhanced is None):
            return Retry(reason, code)
        return Refused(code, reason)
    if 400 <= code <= 499:
        return Retry(reason, code)
    return Retry("unexpected-reply", code)
