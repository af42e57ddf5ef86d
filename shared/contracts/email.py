"""An email that is to be sent, and what became of it. Ids only: words are put in at send time."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record


class EmailKind(StrEnum):
    INVITATION = "invitation"
    REMINDER = "reminder"
    """Of an invitation, to who has not answered it."""
    INTRODUCTION = "introduction"
    CLOSING = "closing"
    """It did not come together."""
    GO_FIRST = "go-first"
    """To a new opener alone: how to go first."""
    RELIEVED = "relieved"
    """To the former opener alone: somebody offered."""
    CHECK_IN = "check-in"
    """How was it?"""
    NEW_DATE = "new-date"
    """They did not meet: one more date."""
    AGAIN = "again"
    """Enough want to meet again: the next date."""
    PARTING = "parting"
    """It stays at what it was."""
    STANDING = "standing"
    """A date that comes back."""
    SEAT = "seat"
    """To a standing group: may somebody join?"""
    NEWCOMER = "newcomer"
    """To a standing group: this is who joins."""
    WELCOME = "welcome"
    """To the newcomer: this is the group."""

    @property
    def names_others(self) -> bool:
        """Whether it tells its reader who the others are."""
        return self in _NAMES_OTHERS


_NAMES_OTHERS = frozenset(
    {
        EmailKind.INTRODUCTION, EmailKind.NEW_DATE, EmailKind.AGAIN, EmailKind.STANDING, EmailKind.NEWCOMER,
        EmailKind.WELCOME,
    }
)  # fmt: skip


class Email(Record):
    """One email to one member about one introduction; one of a kind for each date."""

    email: str
    introduction: str
    member: str
    kind: EmailKind
    planned_at_ms: int
    occasion: int = 0
    """Which date of the introduction it is about (`Meeting.occasion`); 0 where it is about none."""

    @property
    def key(self) -> str:
        return self.email


class DeliveryState(StrEnum):
    PLANNED = "planned"
    """To be sent, and certainly not taken yet: put off by the server, or kept back at the last moment."""
    SENDING = "sending"
    """Durably recorded before the first byte goes to the server."""
    SENT = "sent"
    """The server took it (250)."""
    FAILED = "failed"
    """The server refused it for good, or the retries ran out."""
    AMBIGUOUS = "ambiguous"
    """We stopped between the server's answer and our record, and nobody can tell us. Not sent again."""
    WITHHELD = "withheld"
    """The gate at send time said no: paused, unsubscribed, left, or the introduction is over."""

    BOUNCED = "bounced"
    """The server took it, and it came back: `reason` is the status that the report gave."""

    @property
    def is_final(self) -> bool:
        return self not in (DeliveryState.PLANNED, DeliveryState.SENDING)


class Fault(StrEnum):
    """Why an email came to nothing, as far as it says something about the address."""

    ADDRESS = "address"
    """There is no such address: nothing is sent there again."""
    RECIPIENT = "recipient"
    """Full, busy, not to be reached: when it happens again and again, nothing is sent there any more."""


class Delivery(Record):
    """What became of an email: the sender's ledger."""

    email: str
    introduction: str
    member: str
    kind: EmailKind
    state: DeliveryState
    attempts: int
    message_id: str
    recorded_at_ms: int
    occasion: int = 0
    """The email's."""
    reply_code: int | None = None
    """The SMTP server's reply code, for `failed`."""
    reason: str = ""
    """Why it was withheld or failed; an enhanced status code or a word of ours, never the server's text."""
    address: str = ""
    """The keyed hash (`shared.ids.address_id`) of the address that it was to go to."""
    fault: Fault | None = None
    """For `failed` and `bounced`: whether the recipient's address is why."""

    @property
    def key(self) -> str:
        return self.email

    @property
    def has_set_out(self) -> bool:
        """Whether its recipient may have it, now or before long."""
        return self.state not in (DeliveryState.PLANNED, DeliveryState.WITHHELD)

    def as_email(self) -> Email:
        """The email that this is about, as far as it matters for sending it again."""
        return Email(
            community=self.community,
            email=self.email,
            introduction=self.introduction,
            member=self.member,
            kind=self.kind,
            occasion=self.occasion,
            planned_at_ms=self.recorded_at_ms,
        )
