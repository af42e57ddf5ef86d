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
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType

from services.notifier.agenda import Agenda
from services.notifier.introductions import (
    Answered,
    Event,
    Proposed,
    TimePassed,
    Transition,
    Withdrawn,
    advance,
    never_proposed,
    next_due_ms,
)
from services.notifier.mailbag import Mailbag
from services.notifier.members import Members
from services.notifier.suppression import Change, Orders, Suppressions
from shared import topics
from shared.community import Community
from shared.contracts import (
    Bounce,
    Choice,
    ChoiceKind,
    ClosingReason,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    MailOrder,
    PartnerRequest,
    Preference,
    Record,
    Suggestion,
    Suppression,
    Unreachable,
)

CONTACT_GRACE_MS = 60_000
"""How long a suggestion waits for a contact that has not arrived, in milliseconds since it was made."""


class PartitionState:
    """The notifier's knowledge of one partition. Pure: no broker, no clock.

    Applying a record again changes nothing, and neither does applying an older echo of
    what was applied here first. Memory grows with members, and with introductions ever
    made (closed ones are kept: their suggestions may be read again).
    """

    def __init__(self, *, contact_grace_ms: int = CONTACT_GRACE_MS, address_secret: str = "") -> None:
        self.members = Members()
        self.orders = Orders()
        self.suppressions = Suppressions(self.orders, address_secret)
        self._contact_grace_ms = contact_grace_ms
        self._mailbag = Mailbag()
        self._introductions: dict[str, Introduction] = {}
        self._pending: dict[str, Suggestion] = {}
        """Suggestions without an introduction."""
        self._involved: defaultdict[str, set[str]] = defaultdict(set)
        """By member: what is pending, and what is open."""
        self._choices: defaultdict[str, dict[str, Choice]] = defaultdict(dict)
        """By introduction, then by member: the last answer. Let go when the introduction is decided."""
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        """By introduction: whose invitation was refused for good."""
        self._counts: Counter[IntroductionState] = Counter()
        self._agenda = Agenda()

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Lay down one record of `topic`; None is a tombstone. Unknown topics are an error of the caller's."""
        match record:
            case None:
                self._remove(topic, key)
            case Contact() | Preference() | PartnerRequest():
                self.members.apply(record)
                if isinstance(record, Contact):
                    self.suppressions.contact(record)
                self._touch_member(record.member)
            case Suggestion():
                self._apply_suggestion(record)
            case Introduction():
                self._apply_introduction(record)
            case Choice():
                self._apply_choice(record)
            case Email():
                self._mailbag.plan(record)
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

    def next_alarm_ms(self) -> int | None:
        """When time alone next makes `reconcile` worth calling; None if it never does."""
        return self._agenda.next_alarm_ms()

    def follows_from_reports(self, now_ms: int) -> list[Change]:
        """What bounces, complaints and refusals lead to; to be committed, and then applied."""
        return self.suppressions.due(now_ms, self.delivery, self.members.has_unsubscribed)

    def introduction(self, introduction: str) -> Introduction | None:
        return self._introductions.get(introduction)

    def unsent(self, limit: int, in_flight: Container[str] = ()) -> list[Email]:
        """Emails that are to be sent and are not among `in_flight`, in the order of planning."""
        return self._mailbag.unsent(limit, in_flight)

    def interrupted(self, in_flight: Container[str] = ()) -> list[Delivery]:
        """Emails in the ledger as `sending` that are not among `in_flight`: a process stopped half-way."""
        return self._mailbag.interrupted(in_flight)

    def delivery(self, email: str) -> Delivery | None:
        return self._mailbag.delivery(email)

    def first_email_for(self, member: str) -> bool:
        """Whether no email to this member was ever taken by a server."""
        return not self._mailbag.was_written_to(member)

    @property
    def unsent_count(self) -> int:
        return len(self._mailbag)

    @property
    def introduction_counts(self) -> Mapping[IntroductionState, int]:
        """How many introductions are in each state."""
        return MappingProxyType(self._counts)

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
        for event in (*self._news(introduction, now_ms, decided), TimePassed()):
            transition = advance(now, event, community=community, now_ms=now_ms)
            now, emails = transition.introduction, emails + transition.emails
        return None if now is introduction else Transition(now, emails)

    def _open(
        self, suggestion: Suggestion, now_ms: int, community: Community, decided: Mapping[str, Transition]
    ) -> Transition | None:
        if any(self.members.is_away(member, now_ms) for member in suggestion.members):
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if any(self.suppressions.is_unreachable(member) for member in suggestion.members):
            return never_proposed(suggestion, ClosingReason.UNREACHABLE, now_ms)
        if any(self._engaged_elsewhere(member, suggestion.suggestion, decided) for member in suggestion.members):
            # The matcher should never do it; if it does, nobody gets two invitations at once.
            return never_proposed(suggestion, ClosingReason.LEFT, now_ms)
        if any(self.members.contact(member) is None for member in suggestion.members):
            wait_until_ms = suggestion.suggested_at_ms + self._contact_grace_ms
            if now_ms >= wait_until_ms:
                return never_proposed(suggestion, ClosingReason.UNREACHABLE, now_ms)
            self._agenda.at(wait_until_ms, suggestion.suggested_at_ms, suggestion.suggestion)
            return None
        return advance(None, Proposed(suggestion), community=community, now_ms=now_ms)

    def _news(self, introduction: Introduction, now_ms: int, decided: Mapping[str, Transition]) -> Iterable[Event]:
        """What members have done, that the introduction does not show yet."""
        if introduction.state is not IntroductionState.PROPOSED:
            return
        choices = self._choices.get(introduction.introduction, {})
        for member in introduction.members:
            choice = choices.get(member)
            if self._is_out(introduction, member, choice, now_ms):
                if member not in introduction.said_no:
                    yield Withdrawn(member)
            elif choice is None:
                continue
            elif choice.kind is ChoiceKind.NO:
                if member not in introduction.said_no:
                    yield Answered(member, ChoiceKind.NO)
            elif member not in introduction.said_yes and not (
                # Free since their no, and perhaps taken since: then it is too late to come back.
                member in introduction.said_no and self._engaged_elsewhere(member, introduction.introduction, decided)
            ):
                yield Answered(member, ChoiceKind.YES)

    def _is_out(self, introduction: Introduction, member: str, choice: Choice | None, now_ms: int) -> bool:
        if self.members.is_gone(member) or self.members.contact(member) is None:
            return True
        if self.suppressions.is_unreachable(member):
            return True
        if member in self._refused.get(introduction.introduction, ()):
            return True
        pause = self.members.pause(member)
        if pause is None or (choice is not None and choice.chosen_at_ms > pause.chosen_at_ms):
            return False  # The last thing a member said counts, and a yes after a pause is a yes.
        # A pause since the invitation stays a no to it, even after the pause is over.
        return pause.holds_at(now_ms) or pause.chosen_at_ms >= introduction.proposed_at_ms

    def _engaged_elsewhere(self, member: str, here: str, decided: Mapping[str, Transition]) -> bool:
        for item in self._involved.get(member, ()):
            if item != here:
                other = decided[item].introduction if item in decided else self._introductions.get(item)
                if other is not None and other.engages(member):
                    return True
        return False

    # Laying down

    def _apply_suggestion(self, suggestion: Suggestion) -> None:
        if suggestion.suggestion in self._introductions or suggestion.suggestion in self._pending:
            return
        self._pending[suggestion.suggestion] = suggestion
        for member in suggestion.members:
            self._involved[member].add(suggestion.suggestion)
        self._agenda.touch(suggestion.suggested_at_ms, suggestion.suggestion)

    def _apply_introduction(self, introduction: Introduction) -> None:
        item = introduction.introduction
        known = self._introductions.get(item)
        if known is not None and _progress(introduction) < _progress(known):
            return  # An echo of an earlier state of ours.
        self._pending.pop(item, None)
        if known is not None:
            self._counts[known.state] -= 1
        self._counts[introduction.state] += 1
        self._introductions[item] = introduction
        if introduction.state is not IntroductionState.PROPOSED:
            self._choices.pop(item, None)
            self._refused.pop(item, None)
        for member in introduction.members:
            if introduction.is_open:
                self._involved[member].add(item)
            else:
                self._let_go(member, item)
        due_ms = next_due_ms(introduction)
        if due_ms is None:
            self._agenda.cancel(item)
            return
        since_ms = introduction.suggestion.suggested_at_ms
        self._agenda.at(due_ms, since_ms, item)
        self._agenda.touch(since_ms, item)

    def _apply_choice(self, choice: Choice) -> None:
        introduction = self._introductions.get(choice.introduction)
        if introduction is None or introduction.state is IntroductionState.PROPOSED:
            self._choices[choice.introduction][choice.member] = choice
            self._touch(choice.introduction)

    def _apply_delivery(self, delivery: Delivery) -> None:
        if not self._mailbag.record(delivery):
            return
        self.suppressions.delivery(delivery)
        came_to_nothing = delivery.state in (DeliveryState.FAILED, DeliveryState.BOUNCED)
        if delivery.kind is EmailKind.INVITATION and came_to_nothing:
            introduction = self._introductions.get(delivery.introduction)
            if introduction is None or introduction.state is IntroductionState.PROPOSED:
                self._refused[delivery.introduction].add(delivery.member)
                self._touch(delivery.introduction)

    def _remove(self, topic: str, key: str) -> None:
        match topic:
            case topics.CONTACTS.name | topics.PREFERENCES.name | topics.PARTNER_REQUESTS.name:
                if topic == topics.CONTACTS.name:
                    self.suppressions.forget_member(key)
                self._touch_member(self.members.remove(topic, key))
            case topics.SUPPRESSIONS.name | topics.UNREACHABLE.name | topics.MAIL_ORDERS.name:
                for member in self.suppressions.remove(topic, key):
                    self._touch_member(member)
            case topics.INTRODUCTIONS.name:
                gone = self._introductions.pop(key, None)
                if gone is not None:
                    self._counts[gone.state] -= 1
                    self._agenda.cancel(key)
                    for member in gone.members:
                        self._let_go(member, key)
            case topics.DELIVERIES.name | topics.OUTBOX.name:
                self._mailbag.forget(key)
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


_ORDER = {IntroductionState.PROPOSED: 0, IntroductionState.INTRODUCED: 1, IntroductionState.CLOSED: 2}


def _progress(introduction: Introduction) -> tuple[int, int]:
    """Never falls in the life of an introduction: nobody who has answered becomes one who has not."""
    return _ORDER[introduction.state], len(introduction.said_yes) + len(introduction.said_no)
