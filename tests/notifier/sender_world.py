"""A relay, a ledger and a clock that outlive the sender: in memory, with a crash wherever one is wanted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from email.message import EmailMessage

from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NOW, PAIR, choice, contact

from services.notifier.gate import may_send
from services.notifier.relay import RelayLookup
from services.notifier.replies import Outcome, Sent, Unknown
from services.notifier.sender import Letter, Sender, SendingBounds
from services.notifier.state import PartitionState
from services.notifier.traffic import Traffic
from shared.contracts import ChoiceKind, Delivery, DeliveryState, Email, Suggestion

A, B = PAIR.members
BOUNDS = SendingBounds(attempts_max=3, backoff_first_ms=1000, backoff_max_ms=1500, concurrent_max=4)


class CrashError(BaseException):
    """The process stops here."""


class World:
    """A relay, a durable ledger and a clock that outlive the sender; and a crash, if one is wanted, at step n."""

    def __init__(self, crash_at: int | None = None) -> None:
        self.now_ms = NOW
        self.ledger: list[Delivery] = []
        self.mailbox: list[str] = []
        self.replies: dict[str, list[Outcome]] = {}
        """What the server says to an email, one after the other; then it takes it."""
        self.takes_without_answering: set[str] = set()
        self.breaks_after_taking: set[str] = set()
        self.not_composable: set[str] = set()
        self.process: Process | None = None
        self.steps = 0
        self.crash_at = crash_at

    def sender(self, lookup: RelayLookup | None = None, traffic: Traffic | None = None) -> Sender:
        """A new process; the one before it is no more."""
        self.process = process = Process(self)
        return Sender(
            process,
            lookup or process,
            process,
            process,
            may_send,
            lambda: self.now_ms,
            random.Random(1),
            BOUNDS,
            traffic,
        )

    def last(self, email: Email) -> Delivery:
        return [one for one in self.ledger if one.email == email.email][-1]


class Process:
    """What a sender has of the world: after a crash it reaches nothing any more."""

    def __init__(self, world: World) -> None:
        self.world = world

    def step(self) -> None:
        if self.world.process is not self:
            raise CrashError
        self.world.steps += 1
        if self.world.steps == self.world.crash_at:
            self.world.process = None
            raise CrashError

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        self.step()
        self.world.ledger.extend(deliveries)
        self.step()

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        world, email = self.world, str(message["Message-ID"])
        assert any(one.message_id == email and one.state is DeliveryState.SENDING for one in world.ledger), (
            "the ledger knows of it before the server does"
        )
        self.step()
        if world.replies.get(email):
            outcome = world.replies[email].pop(0)
            if isinstance(outcome, Unknown) and email in world.takes_without_answering:
                world.mailbox.append(email)
            return outcome
        world.mailbox.append(email)
        self.step()
        if email in world.breaks_after_taking:
            world.breaks_after_taking.remove(email)
            raise UnicodeError("an address that must not be logged")
        return Sent()

    async def was_accepted(self, message_id: str) -> bool | None:
        self.step()
        return message_id in self.world.mailbox

    def message_id(self, email: Email) -> str:
        return message_id(email)

    def compose(self, email: Email, state: PartitionState, now_ms: int) -> Letter:
        if email.email in self.world.not_composable:
            raise KeyError("a name that must not be logged")
        message = EmailMessage()
        message["Message-ID"] = message_id(email)
        return Letter(message, "from@example.org", "to@example.org")


def message_id(email: Email) -> str:
    return f"<{email.email}@test>"


def a_state(suggestion: Suggestion = PAIR, *, everybody_said_yes: bool = False) -> PartitionState:
    state = PartitionState()
    for member in MEMBERS:
        state.apply("contacts", member, contact(member))
    state.apply("suggestions", suggestion.key, suggestion)
    for step in range(2):
        if step and everybody_said_yes:
            for member in suggestion.members:
                state.apply("choices", member, choice(member, suggestion.suggestion, ChoiceKind.YES))
        for transition in state.reconcile(NOW, COMMUNITIES, limit=10):
            state.apply("introductions", transition.introduction.key, transition.introduction)
            for email in transition.emails:
                state.apply("outbox", email.key, email)
    return state


def introduced_group() -> PartitionState:
    return a_state(GROUP, everybody_said_yes=True)


def restarted(world: World, build: Callable[[], PartitionState]) -> PartitionState:
    state = build()
    for delivery in world.ledger:
        state.apply("deliveries", delivery.key, delivery)
    return state
