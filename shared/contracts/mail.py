"""What comes back of the mail, and what operators order: bounces, suppressions, who cannot be reached, a stop.

No address is in any of them. Where one must be told apart from another it is by a keyed
hash (`shared.ids.address_id`), which nobody without the key can check a guess against.
"""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record

EVERYWHERE = "*"
"""Instead of a community: an order for all of them. It is written to every partition."""


class BounceKind(StrEnum):
    """What a report about an email says, as far as anything follows from it."""

    ADDRESS = "address"
    """There is no such mailbox (any more): nobody is to be written to there."""
    FAILED = "failed"
    """Given up after trying: full, or not to be reached. The address may be good."""
    POLICY = "policy"
    """They do not want mail from us. Not the address's fault."""
    MESSAGE = "message"
    """They did not take this one email: too big, or in a form that they do not know."""
    COMPLAINT = "complaint"
    """The member said "this is spam". It counts as unsubscribing."""


class Bounce(Record):
    """A genuine report about one email, as some instance took it in."""

    email: str
    kind: BounceKind
    status: str = ""
    """The enhanced status code (RFC 3463), where the report had one."""
    received_at_ms: int

    @property
    def key(self) -> str:
        return self.email


class SuppressionReason(StrEnum):
    NO_SUCH_ADDRESS = "no-such-address"
    """A mail server said so, at once or in a bounce."""
    KEEPS_FAILING = "keeps-failing"
    """Several emails in a row could not be delivered."""
    COMPLAINT = "complaint"
    """The member said "this is spam"."""


class Suppression(Record):
    """An address to which nothing is sent in this community, until an operator lifts it."""

    address: str
    """Its keyed hash."""
    reason: SuppressionReason
    status: str = ""
    """The reply code or enhanced status code that brought it about."""
    email: str
    """The email that brought it about."""
    since_ms: int

    @property
    def key(self) -> str:
        return self.address


class Unreachable(Record):
    """A member whose present address is suppressed: not to be suggested. A tombstone when that is over."""

    member: str
    since_ms: int

    @property
    def key(self) -> str:
        return self.member


class OrderKind(StrEnum):
    STOP = "stop"
    """No email leaves until `START`. Nothing is lost: emails wait."""
    START = "start"
    LIFT = "lift"
    """A suppression from before this order does not hold any more."""


class MailOrder(Record):
    """What an operator ordered (`connection mail ...`): the latest word on one thing."""

    kind: OrderKind
    address: str = ""
    """The keyed hash, to lift its suppression."""
    note: str = ""
    """Why, in the operator's words, for other operators."""
    given_at_ms: int

    @property
    def key(self) -> str:
        return f"lift/{self.address}" if self.kind is OrderKind.LIFT else f"stop/{self.community}"
