"""What the notifier knows of one partition: a fold over its topics, and what follows from it.

Nothing that happens is acted upon as it arrives. The facts are laid down (`apply`), and
what must happen is worked out from them (`reconcile`): whichever of two topics was read
first, and whatever was lost half-way in a crash, the same facts lead to the same steps.

    suggestions, contacts, choices,        apply        ┌────────────────┐  reconcile
    preferences, partner-requests,  ──────────────────▶ │ PartitionState │ ──────────▶ transitions
    introductions, outbox, deliveries                   └────────────────┘     │  (introductions + outbox,
                 ▲                                                              ▼   one transaction)
                 └────────────────────────── committed ─────────────────────────┘
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from types import MappingProxyType

from services.notifier.agenda import Agenda
from services.notifier.answers import Answers
from services.notifier.introductions import (
    Proposed,
    TimePassed,
    Transition,
    advance,
    never_proposed,
    next_due_ms,
)
from services.notifier.mailbag import Mailbag, Settled
from services.notifier.members import Members
from services.notifier.news import Facts, news_of
from services.notifier.past import Past, acquainted_in
from services.notifier.sealed_contacts import SealedContacts
from services.notifier.suppression import Change, Orders, Suppressions
from shared import topics
from shared.community import Community
from shared.contracts import (
    Bounce,
    Choice,
    ClosingReason,
    Contact,
    ContactKey,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Erasure,
    ErasureOrder,
    Introduction,
    IntroductionState,
    MailOrder,
    PartnerPreference,
    PartnerRequest,
    Preference,
    Record,
    ReviewOrder,
    SealedContact,
    Suggestion,
    Suppression,
    Unreachable,
)
from shared.sealing import MasterKeys

CONTACT_GRACE_MS = 60_000
"""How long a suggestion waits for a contact that has not arrived, in milliseconds since it was made."""


class PartitionState:
    """The notifier's knowledge of one partition. Pure: no broker, no clock.

    Applying a record again changes nothing, and neither does applying an older echo of
    what was applied here first. Memory grows with members and with open introductions;
    of closed ones little is kept (`services.notifier.past`).
    """

    def __init__(
        self,
        *,
        contact_grace_ms: int = CONTACT_GRACE_MS,
        address_secret: str = "",
        master_keys: MasterKeys | None = None,
    ) -> None:
        self.members = Members()
        self.sealed = SealedContacts(master_keys)
        self.orders = Orders()
        self.suppressions = Suppressions(self.orders, address_secret)
        self.answers = Answers()
        self.mailbag = Mailbag()
        self.past = Past()
        self._contact_grace_ms = contact_grace_ms
        self._introductions: dict[str, Introduction] = {}
        """The open ones, and those whose last emails are on their way."""
        self._pending: dict[str, Suggestion] = {}
        """Suggestions without an introduction."""
        self._involved: defaultdict[str, set[str]] = defaultdict(set)
        """By member: what is pending, and what is open."""
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        self._seated: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._seats: defaultdict[str, set[str]] = defaultdict(set)
        """By standing group: suggestions for its free seat that are pending or open."""
        self._facts = Facts(
            self.members, self.answers, self.mailbag, self._refused, self._seated, self.suppressions.is_unreachable
        )
        self._counts: Counter[IntroductionState] = Counter()
        self._over: set[str] = set()
        """Closed, and not yet let go of."""
        self._perhaps_over: set[str] = set()
        """Those of them of which something has been heard since we last looked."""
        self._agenda = Agenda()

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Lay down one record of `topic`; None is a tombstone. Unknown topics are an error of the caller's.

        Raises `SealError` for a contact that is sealed and does not open; nothing is changed then.
        """
        if self.members.hear_of_erasure(topic, key, record):
            self.suppressions.forget_member(key.partition("/")[0])
            self.sealed.replaced(key.partition("/")[0])
            self._touch_member(key.partition("/")[0])
        match record:
            case Erasure() | ErasureOrder():
                pass
            case None:
                self._remove(topic, key)
            case Contact() | Preference() | PartnerPreference() | PartnerRequest() | ReviewOrder():
                if isinstance(record, Contact):
                    self.sealed.replaced(record.member)
                    if not self.members.is_erased(record.member):
                        self.suppressions.contact(record)
                for member in self.members.apply(record):
                    self._touch_member(member)
            case SealedContact():
                self._apply_opened(self.sealed.on_contact(record))
            case ContactKey():
                self._apply_opened(self.sealed.on_key(record))
            case Suggestion():
                self._apply_suggestion(record)
            case Introduction():
                self._apply_introduction(record)
            case Choice():
                self._apply_choice(record)
            case Email():
                self.mailbag.plan(record)
            case Delivery():
                self._apply_delivery(record)
            case Bounce() | Suppression() | Unreachable() | MailOrder():
                for member in self.suppressions.apply(record):
                    self._touch_member(member)
            case _:
                raise ValueError(f"the notifier does not read {topic}")

    def reconcile(self, now_ms: int, communities: Mapping[str, Community], *, limit: int) -> list[Transition]:
        """At most `limit` transitions that the facts demand by `now_ms`, for different introductions, oldest first.

        Commit their introductions and emails in one transaction, then `apply` each of them.
        Until then this gives the same again, so a failed commit needs no undoing. What
        belongs to a community that is not in `communities` rests until something new is
        heard of it. O(log n) for each thing that changed.
        """
        self.let_go_of_what_is_over(now_ms)
        self._agenda.wake(now_ms)
        decided: dict[str, Transition] = {}
        resting: list[tuple[int, str]] = []
        while len(decided) < limit and (taken := self._agenda.take()) is not None:
            since_ms, item = taken
            transition = self._what_is_due(item, now_ms, communities, decided)
            if transition is not None:
                decided[item] = transition
                resting.append((since_ms, item))
        for since_ms, item in resting:
            self._agenda.touch(since_ms, item)
        return list(decided.values())

    def let_go_of_what_is_over(self, now_ms: int) -> None:
        """Closed introductions whose emails have all come to an end: little is kept of them.

        Not as they are read, since their emails may not have been read yet.
        """
        for item in self._perhaps_over & self._over:
            if self.mailbag.is_done_with(item):
                self._over.discard(item)
                self.past.keep(self._introductions.pop(item))
                self.mailbag.settle(item)
        self._perhaps_over.clear()
        self.past.let_go(now_ms)

    def next_alarm_ms(self) -> int | None:
        """When time alone next makes `reconcile` worth calling; None if it never does."""
        return self._agenda.next_alarm_ms()

    def follows_from_reports(self, now_ms: int) -> list[Change]:
        """What bounces, complaints and refusals lead to; to be committed, and then applied."""
        return self.suppressions.due(now_ms, self.delivery, self.members.has_unsubscribed)

    def introduction(self, introduction: str) -> Introduction | None:
        """One that is open, or whose last emails are on their way."""
        return self._introductions.get(introduction)

    def introductions_of(self, member: str) -> list[Introduction]:
        """The open introductions that a member has a part in, oldest first."""
        found = [self._introductions[item] for item in self._involved.get(member, ()) if item in self._introductions]
        return sorted(found, key=lambda introduction: (introduction.proposed_at_ms, introduction.introduction))

    def acquaintances(self, member: str) -> list[str]:
        """Everybody whose name a member was ever told, in the order of the introductions."""
        met: dict[str, None] = {}
        for past in self.past.of_member(member):
            met |= dict.fromkeys(past.acquainted)
        for introduction in self.introductions_of(member):
            acquainted = acquainted_in(introduction)
            if member in acquainted:
                met |= dict.fromkeys(acquainted)
        met.pop(member, None)
        return list(met)

    def unsent(self, limit: int, in_flight: Container[str] = ()) -> list[Email]:
        """Emails that are to be sent and are not among `in_flight`, in the order of planning."""
        return self.mailbag.unsent(limit, in_flight)

    def interrupted(self, in_flight: Container[str] = ()) -> list[Delivery]:
        """Emails in the ledger as `sending` that are not among `in_flight`: a process stopped half-way."""
        return self.mailbag.interrupted(in_flight)

    def delivery(self, email: str) -> Delivery | Settled | None:
        return self.mailbag.delivery(email)

    def first_email_for(self, member: str) -> bool:
        """Whether no email to this member was ever taken by a server."""
        return not self.mailbag.was_written_to(member)

    @property
    def unsent_count(self) -> int:
        return len(self.mailbag)

    @property
    def introduction_counts(self) -> Mapping[IntroductionState, int]:
        """How many introductions are in each state."""
        return MappingProxyType(self._counts)

    @property
    def held(self) -> int:
        """How many introductions are held whole."""
        return len(self._introductions)

    # What follows from the facts

    def _what_is_due(
        self, item: str, now_ms: int, communities: Mapping[str, Community], decided: Mapping[str, Transition]
    ) -> Transition | None:
        introduction = self._introductions.get(item)
        if introduction is None:
            suggestion = self._pending.get(item)
            if suggestion is None or suggestion.community not in communities:
                return None
            return self._open(suggestion, now_ms, communities[suggestion.community], decided)
        if not introduction.is_open or introduction.community not in communities:
            return None
        community = communities[introduction.community]
        emails: tuple[Email, ...] = ()
        now = introduction
        news = news_of(
            introduction,
            self._facts,
            now_ms,
            group=self._introductions.get(introduction.suggestion.joins or ""),
            engaged_elsewhere=lambda member: self._engaged_elsewhere(member, item, decided),
        )
        for event in (*news, TimePassed()):
            transition = advance(now, event, community=community, now_ms=now_ms)
            now, emails = transition.introduction, emails + transition.emails
        return None if now is introduction else Transition(now, emails)

    def _open(
        self, suggestion: Suggestion, now_ms: int, community: Community, decided: Mapping[str, Transition]
    ) -> Transition | None:
        asked = suggestion.engages
        if any(self.members.is_away(member, now_ms) for member in asked) or self.members.any_apart(suggestion.members):
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if self.members.any_held(suggestion.members):
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if any(self.suppressions.is_unreachable(member) for member in asked):
            return never_proposed(suggestion, ClosingReason.UNREACHABLE, now_ms)
        if any(self._engaged_elsewhere(member, suggestion.suggestion, decided) for member in asked):
            # The matcher should never do it; if it does, nobody gets two invitations at once.
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if suggestion.joins is not None and not self._has_the_seat(suggestion, suggestion.joins, now_ms, decided):
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if any(self.members.contact(member) is None for member in asked):
            wait_until_ms = suggestion.suggested_at_ms + self._contact_grace_ms
            if now_ms >= wait_until_ms:
                return never_proposed(suggestion, ClosingReason.UNREACHABLE, now_ms)
            self._agenda.at(wait_until_ms, suggestion.suggested_at_ms, suggestion.suggestion)
            return None
        return advance(None, Proposed(suggestion), community=community, now_ms=now_ms)

    def _has_the_seat(self, suggestion: Suggestion, joins: str, now_ms: int, decided: Mapping[str, Transition]) -> bool:
        """Whether the group still is as it was suggested, has a free seat, and nobody else is asked about it."""
        group = decided[joins].introduction if joins in decided else self._introductions.get(joins)
        others = self._seats.get(joins, set()) - {suggestion.suggestion}
        being_asked = any(other in self._introductions or other in decided for other in others)
        return (
            group is not None
            and group.wants_newcomer
            and not being_asked
            and not self._seated.get(joins)
            and suggestion.newcomer not in group.everybody
            and {*group.present, suggestion.newcomer} == set(suggestion.members)
        )

    def _engaged_elsewhere(self, member: str, here: str, decided: Mapping[str, Transition]) -> bool:
        for item in self._involved.get(member, ()):
            if item != here:
                other = decided[item].introduction if item in decided else self._introductions.get(item)
                if other is not None and other.engages(member):
                    return True
        return False

    # Laying down

    def _apply_opened(self, contact: Contact | None) -> None:
        if contact is not None:
            self.apply(topics.CONTACTS.name, contact.key, contact)

    def _apply_suggestion(self, suggestion: Suggestion) -> None:
        item = suggestion.suggestion
        if item in self._introductions or item in self._pending or item in self.past:
            return
        self._pending[item] = suggestion
        for member in suggestion.members:
            self._involved[member].add(item)
        if suggestion.joins is not None:
            self._seats[suggestion.joins].add(item)
        self._agenda.touch(suggestion.suggested_at_ms, item)

    def _apply_introduction(self, introduction: Introduction) -> None:
        item = introduction.introduction
        known = self._introductions.get(item)
        if item in self.past or (known is not None and introduction.revision < known.revision):
            return  # An echo of an earlier state of ours.
        self._pending.pop(item, None)
        if known is not None:
            self._counts[known.state] -= 1
        self._counts[introduction.state] += 1
        self._introductions[item] = introduction
        self.answers.forget_what_is_decided(introduction)
        if introduction.state is not IntroductionState.PROPOSED:
            self._refused.pop(item, None)
        for member in introduction.everybody:
            if introduction.is_open:
                self._involved[member].add(item)
            else:
                self._let_go(member, item)
        self._apply_seat(introduction)
        if not introduction.is_open:
            self._over.add(item)
            self._perhaps_over.add(item)
        since_ms = introduction.suggestion.suggested_at_ms
        due_ms = next_due_ms(introduction)
        if due_ms is None:
            self._agenda.cancel(item)
        else:
            self._agenda.at(due_ms, since_ms, item)
        if introduction.is_open:
            self._agenda.touch(since_ms, item)

    def _apply_seat(self, introduction: Introduction) -> None:
        """What an introduction means for another one: that a seat is asked about, is filled, or is there no more."""
        item, joins = introduction.introduction, introduction.suggestion.joins
        if joins is not None and introduction.suggestion.newcomer is not None:
            if introduction.is_open:
                self._seats[joins].add(item)
            else:
                self._seats[joins].discard(item)
            if introduction.closing_reason is ClosingReason.SEATED:
                self._seated[joins][item] = introduction.suggestion.newcomer
                self._touch(joins)
        if joins is None:
            if seated := self._seated.get(item):
                taken = [seat for seat, newcomer in seated.items() if newcomer in introduction.joined]
                for seat in list(seated) if not introduction.is_open else taken:
                    del seated[seat]
            for seat in self._seats.get(item, ()):
                self._touch(seat)

    def _apply_choice(self, choice: Choice) -> None:
        if choice.introduction in self.past:
            return
        if self.answers.add(choice, self._introductions.get(choice.introduction)):
            self._touch(choice.introduction)

    def _apply_delivery(self, delivery: Delivery) -> None:
        if not self.mailbag.record(delivery):
            return
        self.suppressions.delivery(delivery)
        self._perhaps_over.add(delivery.introduction)
        introduction = self._introductions.get(delivery.introduction)
        came_to_nothing = delivery.state in (DeliveryState.FAILED, DeliveryState.BOUNCED)
        if delivery.kind is EmailKind.INVITATION and came_to_nothing:
            if introduction is None or introduction.state is IntroductionState.PROPOSED:
                self._refused[delivery.introduction].add(delivery.member)
                self._touch(delivery.introduction)
        elif delivery.kind is EmailKind.INTRODUCTION and delivery.state is DeliveryState.WITHHELD:
            self._touch(delivery.introduction)

    def _remove(self, topic: str, key: str) -> None:
        match topic:
            case topics.CONTACT_KEYS.name:
                self.sealed.forget_key(key)
            case (
                topics.CONTACTS.name
                | topics.PREFERENCES.name
                | topics.PARTNER_PREFERENCES.name
                | topics.PARTNER_REQUESTS.name
                | topics.REVIEW_ORDERS.name
            ):
                if topic == topics.CONTACTS.name:
                    self.sealed.replaced(key)
                    self.suppressions.forget_member(key)
                for member in self.members.remove(topic, key):
                    self._touch_member(member)
            case topics.SUPPRESSIONS.name | topics.UNREACHABLE.name | topics.MAIL_ORDERS.name:
                for member in self.suppressions.remove(topic, key):
                    self._touch_member(member)
            case topics.INTRODUCTIONS.name:
                gone = self._introductions.pop(key, None)
                self._over.discard(key)
                self.past.forget(key)
                if gone is not None:
                    self._counts[gone.state] -= 1
                    self._agenda.cancel(key)
                    for member in gone.everybody:
                        self._let_go(member, key)
            case topics.DELIVERIES.name | topics.OUTBOX.name:
                self.mailbag.forget(key)
                self._perhaps_over |= self._over
            case topics.ERASURE_ORDERS.name | topics.ERASURES.name:
                pass  # A word that is taken back is of no use: it was for good.
            case topics.SUGGESTIONS.name | topics.CHOICES.name | topics.BOUNCES.name:
                pass  # Not compacted: a tombstone there means nothing.
            case _:
                raise ValueError(f"the notifier does not read {topic}")

    def _let_go(self, member: str, item: str) -> None:
        involved = self._involved.get(member)
        if involved is not None:
            involved.discard(item)
            if not involved:
                del self._involved[member]

    def _touch_member(self, member: str) -> None:
        for item in self._involved.get(member, ()):
            self._touch(item)

    def _touch(self, item: str) -> None:
        introduction = self._introductions.get(item)
        suggestion = introduction.suggestion if introduction is not None else self._pending.get(item)
        if suggestion is not None:
            self._agenda.touch(suggestion.suggested_at_ms, item)
