"""The two services' folds side by side, connected in memory: records pass between them as topics would carry them.

    partner ──▶ intake's desk ──profiles──▶ MatcherState ──round──▶ suggestions ──┐
                     └────────contacts────▶ PartitionState ◀──────────────────────┘
                                                │ reconcile ──▶ introductions, outbox ──▶ both folds
    members ◀── emails that pass the gate ──────┘

Every decision is the services' own. What is left out is what carries them: Kafka, SMTP,
the words of the emails. An email counts as delivered at the moment at which it is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from services.intake.accept import Accepted, Desk
from services.intake.gazetteer import load_gazetteers
from services.matcher.replay import reference_for, run
from services.matcher.round import Round
from services.matcher.settings import MatcherSettings
from services.matcher.state import READS, MatcherState, RoundInput
from services.notifier.decisions import Fields, decide
from services.notifier.gate import may_send
from services.notifier.links import Link, LinkPurpose
from services.notifier.quiet_hours import quiet_until_ms
from services.notifier.state import PartitionState
from services.notifier.traffic import AT_ONCE
from shared import topics
from shared.community import Community
from shared.contracts import (
    Choice,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    Introduction,
    PartnerRequest,
    Preference,
    PreferenceKind,
    Profile,
    Record,
    Suggestion,
)

_DAY_MS = 24 * 3600 * 1000
_TRANSITIONS_MAX = 500
_EMAILS_MAX = 100_000
_ROUND_MEMBERS_MIN = 2
_LINK_DAYS = 400
"""Expiry is the pages' business; nobody here follows an old link."""

_TOPIC_OF: dict[type[Record], str] = {
    Profile: topics.PROFILES.name,
    Contact: topics.CONTACTS.name,
    PartnerRequest: topics.PARTNER_REQUESTS.name,
    Suggestion: topics.SUGGESTIONS.name,
    Introduction: topics.INTRODUCTIONS.name,
    Choice: topics.CHOICES.name,
    Preference: topics.PREFERENCES.name,
    Email: topics.OUTBOX.name,
    Delivery: topics.DELIVERIES.name,
}
_RECORD_OF = {topic: record for record, topic in _TOPIC_OF.items()}
_MATCHER_READS = frozenset(topic.name for topic in READS)
_NOTIFIER_READS = frozenset(_RECORD_OF) - {topics.PROFILES.name}


class Watcher(Protocol):
    """Is told of everything that happens, as it happens."""

    def record(self, topic: str, key: str, record: Record | None, now_ms: int) -> None:
        """A record, before the folds have it; None is a tombstone."""

    def sent(self, email: Email, introduction: Introduction, now_ms: int) -> None:
        """An email that has gone."""

    def round(self, seen: RoundInput, round_: Round | None, suggestions: tuple[Suggestion, ...], now_ms: int) -> None:
        """A round, before its suggestions are recorded; None if too few were free for one."""


class World:
    """One community, at one moment. `now_ms` is set by whoever runs it."""

    def __init__(self, community: Community, *, partner: str, seed: int, now_ms: int) -> None:
        self.community = community
        self.now_ms = now_ms
        self.matcher = MatcherState()
        self.notifier = PartitionState()
        # As they come, whatever the environment of this machine says: a year must not depend on it.
        self.settings = MatcherSettings.model_construct(seed=seed)
        self.policy = self.settings.policy
        self.watchers: list[Watcher] = []
        self.on_sent: Callable[[Email, Introduction], None] = lambda email, introduction: None
        self.offsets: Counter[str] = Counter()
        self._communities = MappingProxyType({community.community: community})
        self._partner = partner
        self._erased: set[str] = set()
        self._desk = Desk(
            self._communities,
            load_gazetteers(self._communities),
            frozenset({partner}),
            is_erased=self._erased.__contains__,
        )

    # What comes from outside

    def hand_in(self, event: dict[str, Any]) -> str:
        """A partner's event, through intake's desk; gives the member. Raises `ValueError` if it is refused."""
        decision = self._desk.accept(event, partner=self._partner, now_ms=self.now_ms)
        if not isinstance(decision, Accepted):
            raise ValueError(f"intake refuses a simulated event: {decision}")
        for out in decision.records:
            record = None if out.value is None else _RECORD_OF[out.topic].model_validate_json(out.value)
            self._put(out.topic, out.key, record)
        return decision.member

    def press(
        self,
        purpose: LinkPurpose,
        member: str,
        introduction: str,
        *,
        occasion: int = 0,
        fields: Fields | None = None,
        people: Mapping[str, str] | None = None,
    ) -> None:
        """A button on a page of the notifier's."""
        link = Link(
            purpose, self.community.community, member, introduction, self.now_ms + _LINK_DAYS * _DAY_MS, occasion
        )
        decision = decide(link, fields or {}, self.community, self.now_ms, people=people)
        if decision.record is not None:
            self.put(decision.record)
        if isinstance(decision.record, Preference) and decision.record.kind is PreferenceKind.ERASE:
            # What intake does about it.
            self._erased.add(member)
            self._put(topics.PROFILES.name, member, None)
            self._put(topics.CONTACTS.name, member, None)

    # What the services do about it

    def settle(self) -> None:
        """The notifier works until nothing is left to do: introductions move on, emails go that need not wait."""
        while True:
            transitions = self.notifier.reconcile(self.now_ms, self._communities, limit=_TRANSITIONS_MAX)
            for transition in transitions:
                self.put(transition.introduction, *transition.emails)
            if not self._send() and not transitions:
                return

    @property
    def due_ms(self) -> int | None:
        """When time alone next gives the notifier something to do."""
        times = (self.notifier.next_alarm_ms(), self._morning_ms() if self.notifier.unsent_count else None)
        return min((at_ms for at_ms in times if at_ms is not None), default=None)

    def run_round(self) -> None:
        """The matcher looks at everybody who is free, if anything has changed."""
        state = self.matcher.communities[self.community.community]
        state.changes = 0
        seen = self.matcher.round_input(
            self.community.community,
            self.now_ms,
            opener_window_ms=self.settings.opener_window_ms,
        )
        round_: Round | None = None
        suggestions: tuple[Suggestion, ...] = ()
        if len(seen.profiles) >= (1 if seen.seats else _ROUND_MEMBERS_MIN):
            reference = reference_for(
                self.community,
                self.policy,
                offsets=self.offsets,
                seed=self.settings.seed,
                now_ms=self.now_ms,
                waiting_round_seconds=self.settings.waiting_round_seconds,
                opener_window_ms=self.settings.opener_window_ms,
            )
            round_, suggestions = run(self.community, seen, self.policy, reference)
        for watcher in self.watchers:
            watcher.round(seen, round_, suggestions, self.now_ms)
        self.put(*suggestions)

    @property
    def changes(self) -> int:
        """How much has happened since the last round that may make another one worth while."""
        return self.matcher.communities[self.community.community].changes

    def put(self, *records: Record) -> None:
        """Record something on its topic."""
        for record in records:
            self._put(_TOPIC_OF[type(record)], record.key, record)

    def _put(self, topic: str, key: str, record: Record | None) -> None:
        self.offsets[topic] += 1
        for watcher in self.watchers:
            watcher.record(topic, key, record, self.now_ms)
        if topic in _MATCHER_READS:
            self.matcher.apply(topic, key, record)
        if topic in _NOTIFIER_READS:
            self.notifier.apply(topic, key, record)

    def _morning_ms(self) -> int | None:
        """The end of the quiet hours, if it is night. Everybody lives where the community is."""
        return quiet_until_ms(self.community.quiet_hours, self.community.time_zone, self.now_ms)

    def _send(self) -> int:
        """Send what waits; gives how many have come to an end. At night only what must not wait goes."""
        emails = self.notifier.unsent(_EMAILS_MAX)
        if self._morning_ms() is not None:
            emails = [email for email in emails if email.kind in AT_ONCE]
        for email in emails:
            if may_send(email, self.notifier, self.now_ms) is not None:
                self.put(self._delivery(email, DeliveryState.WITHHELD, 0))
                continue
            introduction = self.notifier.introduction(email.introduction)
            assert introduction is not None, "the gate lets nothing pass whose introduction is not known"
            self.put(self._delivery(email, DeliveryState.SENDING, 1), self._delivery(email, DeliveryState.SENT, 1))
            for watcher in self.watchers:
                watcher.sent(email, introduction, self.now_ms)
            self.on_sent(email, introduction)
        return len(emails)

    def _delivery(self, email: Email, state: DeliveryState, attempts: int) -> Delivery:
        return Delivery(
            community=email.community,
            email=email.email,
            introduction=email.introduction,
            member=email.member,
            kind=email.kind,
            state=state,
            attempts=attempts,
            message_id=f"<{email.email}@simulation.example>",
            recorded_at_ms=self.now_ms,
            occasion=email.occasion,
        )
