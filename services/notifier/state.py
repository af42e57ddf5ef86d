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

from collections import defaultdict
from collections.abc import Container, Mapping
from types import MappingProxyType

from services.notifier.answers import Answers
from services.notifier.introductions import (
    Proposed,
    TimePassed,
    Transition,
    advance,
    never_proposed,
)
from services.notifier.mailbag import Mailbag, Settled
from services.notifier.members import Members
from services.notifier.news import Facts, news_of
from services.notifier.past import Past
from services.notifier.register import Register
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
        self._register = Register(self.mailbag)
        self._contact_grace_ms = contact_grace_ms
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        """By introduction: whose invitation came to nothing."""
        self._facts = Facts(
            self.members,
            self.answers,
            self.mailbag,
            self._refused,
            self._register.seated,
            self.suppressions.is_unreachable,
        )

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Lay down one record of `topic`; None is a tombstone. Unknown topics are an error of the caller's.

        Raises `SealError` for a contact that is sealed and does not open; nothing is changed then.
        """
        if self.members.hear_of_erasure(topic, key, record):
            self.suppressions.forget_member(key.partition("/")[0])
            self.sealed.replaced(key.partition("/")[0])
            self._register.touch_member(key.partition("/")[0])
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
                    self._register.touch_member(member)
            case SealedContact():
                self._apply_opened(self.sealed.on_contact(record))
            case ContactKey():
                self._apply_opened(self.sealed.on_key(record))
            case Suggestion():
                self._register.add_suggestion(record)
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
                    self._register.touch_member(member)
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
        self._register.agenda.wake(now_ms)
        decided: dict[str, Transition] = {}
        resting: list[tuple[int, str]] = []
        while len(decided) < limit and (taken := self._register.agenda.take()) is not None:
            since_ms, item = taken
            transition = self._what_is_due(item, now_ms, communities, decided)
            if transition is not None:
                decided[item] = transition
                resting.append((since_ms, item))
        for since_ms, item in resting:
            self._register.agenda.touch(since_ms, item)
        return list(decided.values())

    def let_go_of_what_is_over(self, now_ms: int) -> None:
        """Closed introductions whose emails have all come to an end: little is kept of them.

        Not as they are read, since their emails may not have been read yet.
        """
        self._register.let_go_of_what_is_over(now_ms)

    def next_alarm_ms(self) -> int | None:
        """When time alone next makes `reconcile` worth calling; None if it never does."""
        return self._register.agenda.next_alarm_ms()

    def follows_from_reports(self, now_ms: int) -> list[Change]:
        """What bounces, complaints and refusals lead to; to be committed, and then applied."""
        return self.suppressions.due(now_ms, self.delivery, self.members.has_unsubscribed)

    def introduction(self, introduction: str) -> Introduction | None:
        """One that is open, or whose last emails are on their way."""
        return self._register.get(introduction)

    def introductions_of(self, member: str) -> list[Introduction]:
        """The open introductions that a member has a part in, oldest first."""
        return self._register.of_member(member)

    def acquaintances(self, member: str) -> list[str]:
        """Everybody whose name a member was ever told, in the order of the introductions."""
        return self._register.acquaintances(member)

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
    def past(self) -> Past:
        """What is kept of introductions that are over."""
        return self._register.past

    @property
    def unsent_count(self) -> int:
        return len(self.mailbag)

    @property
    def introduction_counts(self) -> Mapping[IntroductionState, int]:
        """How many introductions are in each state."""
        return MappingProxyType(self._register.counts)

    @property
    def held(self) -> int:
        """How many introductions are held whole."""
        return len(self._register)

    # What follows from the facts

    def _what_is_due(
        self, item: str, now_ms: int, communities: Mapping[str, Community], decided: Mapping[str, Transition]
    ) -> Transition | None:
        introduction = self._register.get(item)
        if introduction is None:
            suggestion = self._register.pending(item)
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
            group=self._register.get(introduction.suggestion.joins or ""),
            engaged_elsewhere=lambda member: self._register.engaged_elsewhere(member, item, decided),
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
        if any(self._register.engaged_elsewhere(member, suggestion.suggestion, decided) for member in asked):
            # The matcher should never do it; if it does, nobody gets two invitations at once.
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if suggestion.joins is not None and not self._register.has_seat(suggestion, suggestion.joins, decided):
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if any(self.members.contact(member) is None for member in asked):
            wait_until_ms = suggestion.suggested_at_ms + self._contact_grace_ms
            if now_ms >= wait_until_ms:
                return never_proposed(suggestion, ClosingReason.UNREACHABLE, now_ms)
            self._register.agenda.at(wait_until_ms, suggestion.suggested_at_ms, suggestion.suggestion)
            return None
        return advance(None, Proposed(suggestion), community=community, now_ms=now_ms)

    # Laying down

    def _apply_opened(self, contact: Contact | None) -> None:
        if contact is not None:
            self.apply(topics.CONTACTS.name, contact.key, contact)

    def _apply_introduction(self, introduction: Introduction) -> None:
        if self._register.put(introduction):
            self.answers.forget_what_is_decided(introduction)
            if introduction.state is not IntroductionState.PROPOSED:
                self._refused.pop(introduction.introduction, None)

    def _apply_choice(self, choice: Choice) -> None:
        if choice.introduction in self._register.past:
            return
        if self.answers.add(choice, self._register.get(choice.introduction)):
            self._register.touch(choice.introduction)

    def _apply_delivery(self, delivery: Delivery) -> None:
        if not self.mailbag.record(delivery):
            return
        self.suppressions.delivery(delivery)
        self._register.heard_of_mail(delivery.introduction)
        introduction = self._register.get(delivery.introduction)
        came_to_nothing = delivery.state in (DeliveryState.FAILED, DeliveryState.BOUNCED)
        if delivery.kind is EmailKind.INVITATION and came_to_nothing:
            if introduction is None or introduction.state is IntroductionState.PROPOSED:
                self._refused[delivery.introduction].add(delivery.member)
                self._register.touch(delivery.introduction)
        elif delivery.kind is EmailKind.INTRODUCTION and delivery.state is DeliveryState.WITHHELD:
            self._register.touch(delivery.introduction)

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
                    self._register.touch_member(member)
            case topics.SUPPRESSIONS.name | topics.UNREACHABLE.name | topics.MAIL_ORDERS.name:
                for member in self.suppressions.remove(topic, key):
                    self._register.touch_member(member)
            case topics.INTRODUCTIONS.name:
                self._register.remove(key)
            case topics.DELIVERIES.name | topics.OUTBOX.name:
                self.mailbag.forget(key)
                self._register.heard_of_mail()
            case topics.ERASURE_ORDERS.name | topics.ERASURES.name:
                pass  # A word that is taken back is of no use: it was for good.
            case topics.SUGGESTIONS.name | topics.CHOICES.name | topics.BOUNCES.name:
                pass  # Not compacted: a tombstone there means nothing.
            case _:
                raise ValueError(f"the notifier does not read {topic}")
