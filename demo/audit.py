"""The auditor: nobody lost, nothing twice. It is told what happened and says what should not have.

It is fed three kinds of facts, from three places that do not know of each other:

- `signed_up`: a sign-up that intake answered with 202;
- `observe`: every record of the topics, in the order of their offsets;
- `received`: every message in the mailboxes, each copy by itself.

A sign-up, an introduction and an email must be found in all places where they belong.
Pure: no broker, no socket, no clock. What it holds of members are their ids and, to see
that an email reached its own recipient and nobody else, their addresses; neither
summaries nor violations ever hold an address.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations

from shared.contracts import (
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    Profile,
    Record,
    Suggestion,
)
from shared.ids import email_id


class Breach(StrEnum):
    """What should not have happened."""

    NO_PROFILE = "an accepted sign-up has no profile"
    NO_CONTACT = "an accepted sign-up has no contact"
    NOT_PROPOSED = "a suggestion has no introduction"
    NOT_PLANNED = "an introduction lacks an email that its state calls for"
    NOT_FINAL = "an email in the outbox never reached a final state"
    FAILED = "an email was given up"
    NOT_IN_MAILBOX = "an email is recorded as sent, or may have been, and no mailbox has it"
    NOT_RECORDED = "a message is in a mailbox and in no ledger"
    MISDIRECTED = "a message is in the mailbox of somebody whom it is not for"
    SENT_TWICE = "a mailbox has a message twice"
    ENGAGED_TWICE = "a member was in two open introductions at once"
    SUGGESTED_TWICE = "two members were suggested to each other more than once"


DUPLICATES = frozenset({Breach.SENT_TWICE, Breach.ENGAGED_TWICE, Breach.SUGGESTED_TWICE})
"""Counted as duplicated; every other breach counts as lost."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach. `ids` are pseudonymous."""

    breach: Breach
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.breach}: {' '.join(self.ids)}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The funnel, in people; the emails, in messages; and what went wrong.

    Each of the first five counts people who got at least so far, once each.
    """

    signed_up: int
    suggested: int
    invited: int
    """Have an invitation in their mailbox."""
    accepted: int
    """Said yes to an invitation at least once."""
    introduced: int
    emails: int
    """Messages in mailboxes, every copy counted."""
    lost: int
    duplicated: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What is still on its way. An audit makes sense once nothing is."""

    members: int
    """Accepted sign-ups whose profile or contact has not been seen."""
    suggestions: int
    """Suggestions that have not become introductions."""
    proposals: int
    """Introductions that wait for answers."""
    emails: int
    """Emails without a final delivery, or sent and not yet seen in a mailbox."""

    @property
    def is_settled(self) -> bool:
        return not (self.members or self.suggestions or self.proposals or self.emails)


class Auditor:
    """Collects facts and judges them. Every method that takes a fact is O(members in it)."""

    def __init__(self) -> None:
        self._accepted: set[str] = set()
        self._profiles: set[str] = set()
        self._addresses: defaultdict[str, set[str]] = defaultdict(set)
        self._suggestions: dict[str, Suggestion] = {}
        self._introductions: dict[str, Introduction] = {}
        self._engaged: defaultdict[str, set[str]] = defaultdict(set)  # member -> the open introductions with them
        self._emails: dict[str, Email] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._email_of_message: dict[str, str] = {}
        self._received: defaultdict[str, list[str]] = defaultdict(list)  # Message-ID -> recipients
        self._messages = 0
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._said_yes: set[str] = set()
        self._introduced: set[str] = set()
        self._engaged_twice: set[tuple[str, ...]] = set()

    def signed_up(self, member: str) -> None:
        """Intake answered 202 for this member."""
        self._accepted.add(member)

    def observe(self, record: Record) -> None:
        """A value on a topic. Within a topic, in the order of the offsets; topics may be mixed in any way.

        Tombstones are left out: who was seen and then left is not lost. The same value again changes nothing.
        """
        match record:
            case Profile():
                self._profiles.add(record.member)
            case Contact():
                self._addresses[record.member].add(record.email.casefold())
            case Suggestion():
                self._observe_suggestion(record)
            case Introduction():
                self._observe_introduction(record)
            case Email():
                self._emails[record.email] = record
            case Delivery():
                self._observe_delivery(record)
            case _:
                pass

    def received(self, message_id: str, recipient: str) -> None:
        """A message in a mailbox: call once for each copy. Angle brackets do not matter."""
        self._received[_bare(message_id)].append(recipient.casefold())
        self._messages += 1

    @property
    def suggestions(self) -> dict[str, Suggestion]:
        """By id, in the order in which they came."""
        return self._suggestions

    @property
    def introductions(self) -> dict[str, Introduction]:
        """By id, each in its latest state."""
        return self._introductions

    def delivery_of(self, message_id: str) -> Delivery | None:
        """The ledger's entry for a message in a mailbox."""
        return self._deliveries.get(self._email_of_message.get(_bare(message_id), ""))

    def unsettled(self) -> Unsettled:
        """What is still under way."""
        return Unsettled(
            members=sum(member not in self._profiles or member not in self._addresses for member in self._accepted),
            suggestions=len(self._suggestions.keys() - self._introductions.keys()),
            proposals=sum(
                introduction.state is IntroductionState.PROPOSED for introduction in self._introductions.values()
            ),
            emails=sum(not self._is_settled(email) for email in self._emails)
            + sum(1 for introduction in self._introductions.values() for _ in self._unplanned(introduction)),
        )

    def summary(self) -> Summary:
        """The counts. `lost` and `duplicated` mean something once nothing is unsettled."""
        breaches = Counter(violation.breach in DUPLICATES for violation in self.violations())
        return Summary(
            signed_up=len(self._accepted),
            suggested=len({member for suggestion in self._suggestions.values() for member in suggestion.members}),
            invited=len(
                {
                    delivery.member
                    for delivery in self._deliveries.values()
                    if delivery.kind is EmailKind.INVITATION and _bare(delivery.message_id) in self._received
                }
            ),
            accepted=len(self._said_yes),
            introduced=len(self._introduced),
            emails=self._messages,
            lost=breaches[False],
            duplicated=breaches[True],
        )

    def violations(self) -> list[Violation]:
        """Everything that should not have happened, in a fixed order. O(all facts)."""
        found = [*self._lost_members(), *self._lost_introductions(), *self._lost_emails(), *self._duplicates()]
        return sorted(found, key=lambda violation: (violation.breach, violation.ids))

    # --- taking facts in ---

    def _observe_suggestion(self, suggestion: Suggestion) -> None:
        if suggestion.suggestion not in self._suggestions:
            self._suggestions[suggestion.suggestion] = suggestion
            self._pairs.update(combinations(sorted(suggestion.members), 2))

    def _observe_introduction(self, introduction: Introduction) -> None:
        id_ = introduction.introduction
        self._introductions[id_] = introduction
        self._said_yes.update(introduction.said_yes)
        self._introduced.update(introduction.introduced)
        for member in introduction.members:
            engaged = self._engaged[member]
            if introduction.engages(member):
                engaged.add(id_)
                if len(engaged) > 1:
                    self._engaged_twice.add((member, *sorted(engaged)))
            else:
                engaged.discard(id_)

    def _observe_delivery(self, delivery: Delivery) -> None:
        known = self._deliveries.get(delivery.email)
        if known is None or delivery.state.is_final or not known.state.is_final:
            self._deliveries[delivery.email] = delivery
            self._email_of_message[_bare(delivery.message_id)] = delivery.email

    # --- judging them ---

    def _lost_members(self) -> Iterator[Violation]:
        for member in self._accepted:
            if member not in self._profiles:
                yield Violation(Breach.NO_PROFILE, (member,))
            if member not in self._addresses:
                yield Violation(Breach.NO_CONTACT, (member,))

    def _lost_introductions(self) -> Iterator[Violation]:
        for id_ in self._suggestions.keys() - self._introductions.keys():
            yield Violation(Breach.NOT_PROPOSED, (id_,))
        for introduction in self._introductions.values():
            for member in self._unplanned(introduction):
                yield Violation(Breach.NOT_PLANNED, (introduction.introduction, member))

    def _unplanned(self, introduction: Introduction) -> Iterator[str]:
        """Members of an introduction for whom no email was planned that its state calls for."""
        called_for = [(member, EmailKind.INTRODUCTION) for member in introduction.introduced]
        if introduction.closed_at_ms != introduction.proposed_at_ms:  # closed from the start: nobody was written to
            called_for += [(member, EmailKind.INVITATION) for member in introduction.members]
        for member, kind in called_for:
            if email_id(introduction.introduction, member, kind) not in self._emails:
                yield member

    def _lost_emails(self) -> Iterator[Violation]:
        for id_ in self._emails:
            delivery = self._deliveries.get(id_)
            if delivery is None or not delivery.state.is_final:
                yield Violation(Breach.NOT_FINAL, (id_,))
        for id_, delivery in self._deliveries.items():
            recipients = self._received.get(_bare(delivery.message_id), [])
            if delivery.state is DeliveryState.FAILED:
                yield Violation(Breach.FAILED, (id_,))
            elif delivery.state in (DeliveryState.SENT, DeliveryState.AMBIGUOUS) and not recipients:
                yield Violation(Breach.NOT_IN_MAILBOX, (id_,))
            if any(recipient not in self._addresses[delivery.member] for recipient in recipients):
                yield Violation(Breach.MISDIRECTED, (id_,))
        for message in self._received.keys() - self._email_of_message.keys():
            yield Violation(Breach.NOT_RECORDED, (message,))

    def _duplicates(self) -> Iterator[Violation]:
        for message, recipients in self._received.items():
            if len(recipients) > 1:
                yield Violation(Breach.SENT_TWICE, (self._email_of_message.get(message, message),))
        for ids in self._engaged_twice:
            yield Violation(Breach.ENGAGED_TWICE, ids)
        for pair, times in self._pairs.items():
            if times > 1:
                yield Violation(Breach.SUGGESTED_TWICE, pair)

    def _is_settled(self, email: str) -> bool:
        delivery = self._deliveries.get(email)
        if delivery is None or not delivery.state.is_final:
            return False
        return delivery.state is not DeliveryState.SENT or _bare(delivery.message_id) in self._received


def _bare(message_id: str) -> str:
    return message_id.strip().strip("<>")
