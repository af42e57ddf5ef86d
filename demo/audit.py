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

    Each of the first eight counts people who got at least so far, once each.
    """

    signed_up: int
    suggested: int
    invited: int
    """Have an invitation in their mailbox."""
    accepted: int
    """Said yes to an invitation at least once."""
    introduced: int
    met: int
    """Told us of a date that took place."""
    met_again: int
    """Had a second date planned, since enough wanted it."""
    standing: int
    """Were in a standing group."""
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
    dates: int = 0
    """Introductions that have a date before them: counted only where dates come soon."""

    @property
    def is_settled(self) -> bool:
        return not (self.members or self.suggestions or self.proposals or self.emails or self.dates)


class Auditor:
    """Collects facts and judges them.

    Taking a fact, `unsettled` and `funnel` are O(members in one introduction): they can
    be asked as often as one likes. `violations` and `summary` go through all facts.
    """

    def __init__(self, *, dates_come_soon: bool = False) -> None:
        self._dates_come_soon = dates_come_soon
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
        # What is still to come: kept as facts come in, since it is asked for all the time.
        self._incomplete: set[str] = set()  # accepted members
        self._unproposed: set[str] = set()  # suggestions
        self._proposed: set[str] = set()  # introductions that wait for answers
        self._uncalled: dict[str, tuple[str, str]] = {}  # email -> introduction and member that call for it
        self._on_the_way: set[str] = set()  # emails
        # What was ever so.
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._suggested: set[str] = set()
        self._invited: set[str] = set()
        self._said_yes: set[str] = set()
        self._introduced: set[str] = set()
        self._met: set[str] = set()
        self._met_again: set[str] = set()
        self._standing: set[str] = set()
        self._dated: set[str] = set()  # introductions with a date before them
        self._engaged_twice: set[tuple[str, ...]] = set()

    def signed_up(self, member: str) -> None:
        """Intake answered 202 for this member."""
        self._accepted.add(member)
        self._incomplete.add(member)
        self._complete(member)

    def observe(self, record: Record) -> None:
        """A value on a topic. Within a topic, in the order of the offsets; topics may be mixed in any way.

        Tombstones are left out: who was seen and then left is not lost. The same value again changes nothing.
        """
        match record:
            case Profile():
                self._profiles.add(record.member)
                self._complete(record.member)
            case Contact():
                self._addresses[record.member].add(record.email.casefold())
                self._complete(record.member)
            case Suggestion():
                self._observe_suggestion(record)
            case Introduction():
                self._observe_introduction(record)
            case Email():
                self._emails[record.email] = record
                self._uncalled.pop(record.email, None)
                self._on_the_way.add(record.email)
                self._settle(record.email)
            case Delivery():
                self._observe_delivery(record)
            case _:
                pass

    def received(self, message_id: str, recipient: str) -> None:
        """A message in a mailbox: call once for each copy. Angle brackets do not matter."""
        message = _bare(message_id)
        self._received[message].append(recipient.casefold())
        self._messages += 1
        self._settle(self._email_of_message.get(message, ""))

    @property
    def suggestions(self) -> dict[str, Suggestion]:
        """By id, in the order in which they came."""
        return self._suggestions

    @property
    def introductions(self) -> dict[str, Introduction]:
        """By id, each in its latest state."""
        return self._introductions

    def unsettled(self) -> Unsettled:
        """What is still under way."""
        return Unsettled(
            members=len(self._incomplete),
            suggestions=len(self._unproposed),
            proposals=len(self._proposed),
            emails=len(self._on_the_way) + len(self._uncalled),
            dates=len(self._dated) if self._dates_come_soon else 0,
        )

    def funnel(self) -> dict[str, int]:
        """The counts of a `Summary` without its verdict: for while things are under way."""
        return {
            "signed_up": len(self._accepted),
            "suggested": len(self._suggested),
            "invited": len(self._invited),
            "accepted": len(self._said_yes),
            "introduced": len(self._introduced),
            "met": len(self._met),
            "met_again": len(self._met_again),
            "standing": len(self._standing),
            "emails": self._messages,
        }

    def summary(self) -> Summary:
        """The counts. `lost` and `duplicated` mean something once nothing is unsettled."""
        breaches = Counter(violation.breach in DUPLICATES for violation in self.violations())
        return Summary(**self.funnel(), lost=breaches[False], duplicated=breaches[True])

    def duplicated(self) -> int:
        """How often something happened twice until now: never to be more than 0, at any time."""
        return sum(1 for _ in self._duplicates())

    def violations(self) -> list[Violation]:
        """Everything that should not have happened, in a fixed order. O(all facts)."""
        found = [*self._lost_members(), *self._lost_introductions(), *self._lost_emails(), *self._duplicates()]
        return sorted(found, key=lambda violation: (violation.breach, violation.ids))

    # --- taking facts in ---

    def _complete(self, member: str) -> None:
        if member in self._profiles and member in self._addresses:
            self._incomplete.discard(member)

    def _observe_suggestion(self, suggestion: Suggestion) -> None:
        id_ = suggestion.suggestion
        if id_ not in self._suggestions:
            self._suggestions[id_] = suggestion
            self._suggested.update(suggestion.engages)
            pairs = combinations(sorted(suggestion.members), 2)
            # Of a seat, the newcomer and each of the group: they know each other already.
            self._pairs.update(pair for pair in pairs if suggestion.newcomer is None or suggestion.newcomer in pair)
            if id_ not in self._introductions:
                self._unproposed.add(id_)

    def _observe_introduction(self, introduction: Introduction) -> None:
        id_ = introduction.introduction
        self._introductions[id_] = introduction
        self._unproposed.discard(id_)
        (self._proposed.add if introduction.state is IntroductionState.PROPOSED else self._proposed.discard)(id_)
        (self._dated.add if introduction.state is IntroductionState.INTRODUCED else self._dated.discard)(id_)
        self._said_yes.update(introduction.said_yes)
        self._introduced.update(introduction.introduced, introduction.joined)
        if introduction.meeting is not None:
            self._met.update(introduction.meeting.met)
            if introduction.meeting.number > 1:
                self._met_again.update(introduction.meeting.invited)
        if introduction.state is IntroductionState.STANDING:
            self._standing.update(introduction.present)
        for member, kind, occasion in _called_for(introduction):
            email = email_id(id_, member, kind, occasion)
            if email not in self._emails:
                self._uncalled[email] = (id_, member)
        for member in introduction.everybody:
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
            self._settle(delivery.email)

    def _settle(self, email: str) -> None:
        """An email is settled when its delivery is final, and, if it was sent, it is in a mailbox."""
        delivery = self._deliveries.get(email)
        if delivery is None:
            return
        has_arrived = _bare(delivery.message_id) in self._received
        if has_arrived and delivery.kind is EmailKind.INVITATION:
            self._invited.add(delivery.member)
        if delivery.state.is_final and (has_arrived or delivery.state is not DeliveryState.SENT):
            self._on_the_way.discard(email)

    # --- judging them ---

    def _lost_members(self) -> Iterator[Violation]:
        for member in self._accepted:
            if member not in self._profiles:
                yield Violation(Breach.NO_PROFILE, (member,))
            if member not in self._addresses:
                yield Violation(Breach.NO_CONTACT, (member,))

    def _lost_introductions(self) -> Iterator[Violation]:
        for id_ in self._unproposed:
            yield Violation(Breach.NOT_PROPOSED, (id_,))
        for ids in self._uncalled.values():
            yield Violation(Breach.NOT_PLANNED, ids)

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


def _called_for(introduction: Introduction) -> Iterator[tuple[str, EmailKind, int]]:
    """The emails that an introduction's state calls for: to whom, of which kind, about which date."""
    if introduction.closed_at_ms != introduction.proposed_at_ms:  # closed from the start: nobody was written to
        for member in introduction.members:
            yield member, EmailKind.INVITATION if member in introduction.suggestion.engages else EmailKind.SEAT, 0
    for member in introduction.introduced:
        yield member, EmailKind.INTRODUCTION, 0
    for place, member in enumerate(introduction.joined, 1):
        yield member, EmailKind.WELCOME, place
    meeting = introduction.meeting
    if meeting is None:
        return
    if meeting.decide_at_ms is not None and introduction.state is IntroductionState.INTRODUCED:
        for member in introduction.present:
            yield member, EmailKind.CHECK_IN, meeting.occasion
    if introduction.standing_since_ms is not None:
        kind = EmailKind.STANDING
    elif meeting.attempt > 1:
        kind = EmailKind.NEW_DATE
    else:
        kind = EmailKind.AGAIN
    for member in meeting.invited if meeting.occasion > 1 else ():
        yield member, kind, meeting.occasion


def _bare(message_id: str) -> str:
    return message_id.strip().strip("<>")
