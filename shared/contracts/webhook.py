"""Outgoing webhooks: what partner apps are told about their own members, and what became of telling them."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record


class WebhookEvent(StrEnum):
    """The CloudEvents types that partners receive."""

    SUGGESTED = "connection.member.suggested"
    """A member of theirs is in a suggestion."""
    INTRODUCED = "connection.member.introduced"
    MET = "connection.member.met"
    """A meeting took place, as far as those who were there say."""
    LEFT = "connection.member.left"
    """On a page of ours, or by an operator: the partner did not ask for it, and so does not know."""
    REJECTED = "connection.event.rejected"
    """An event of theirs that came over Kafka could not be used."""
    TEST = "connection.webhook.test"


class Reference(Record):
    """By which reference a partner knows a member: ids are derived one way, so it has to be kept to be told again."""

    member: str
    source: str
    subject: str
    accepted_at_ms: int

    @property
    def key(self) -> str:
        return self.member


class WebhookState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up. It can be replayed."""


class WebhookOutcome(StrEnum):
    """What became of one try."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Any status but 2xx that no other outcome names."""
    REDIRECTED = "redirected"
    """Not followed: it could lead anywhere."""
    BUSY = "busy"
    """429 or 503."""
    GONE = "gone"
    """410: nothing more is sent to that webhook until it is set anew."""
    SLOW = "slow"
    """No answer in time."""
    UNREACHABLE = "unreachable"
    """No connection, or it broke, or its certificate is not good."""
    FORBIDDEN = "forbidden"
    """It leads to an address that is not public, or is not https."""
    STOPPED = "stopped"
    """Not tried: the webhook said 410 before."""


class WebhookDelivery(Record):
    """One event for one partner, and how far it has come. Its key is the `webhook-id`, and the id of the event."""

    event: str
    type: WebhookEvent
    source: str
    """The partner."""
    member: str | None = None
    about: str | None = None
    """The introduction; for our own book-keeping, never sent."""
    subject: str | None = None
    """The partner's reference, only where it is forgotten already: the last word on somebody who was erased. It goes
    with the delivery's end, whatever that is."""
    data: dict[str, str | int | list[str]]
    """What is told: no personal data, and nothing of anybody else."""
    occurred_at_ms: int
    queued_at_ms: int
    """When it was first (or, replayed, last) put in the queue: what is given up is given up by this."""
    state: WebhookState = WebhookState.PENDING
    attempts: int = 0
    next_at_ms: int = 0
    outcome: WebhookOutcome | None = None
    """Of the last try."""
    status: int | None = None
    """The HTTP status of the last answer."""
    finished_at_ms: int | None = None
    revision: int = 0
    """Grows with every change: of two records of one delivery the later one counts."""

    @property
    def key(self) -> str:
        return self.event


class WebhookOrderKind(StrEnum):
    REPLAY = "replay"
    TEST = "test"


class WebhookOrder(Record):
    """What an operator ordered (`connection partner replay | webhook --test`). A replay lies in every partition."""

    kind: WebhookOrderKind
    source: str
    ordered_at_ms: int
    since_ms: int = 0
    """Replay what occurred since then."""
    event: str | None = None
    """Replay this one alone, whatever became of it."""
    everything: bool = False
    """Also what was delivered; otherwise what was given up."""

    @property
    def key(self) -> str:
        return f"{self.source}/{self.kind}/{self.ordered_at_ms}"
