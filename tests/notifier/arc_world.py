"""A small world for the arc: the partition's state, a mail server that takes everything, members who react, a clock.

Everything in it is what the notifier runs on (fold, reconcile, gate, renderer); only Kafka
and SMTP are lists here. Whatever is committed or pressed is in `logs`, so the state can be
folded again at any moment. Whatever a mail program would show is in `inbox`.
"""

from __future__ import annotations

import email
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from notifier_samples import COMMUNITIES, LONDON, MEMBERS, NAMES, NOW, contact, suggestion

import services.notifier
from services.notifier.gate import may_send
from services.notifier.introductions import Transition
from services.notifier.links import Links
from services.notifier.render import Renderer
from services.notifier.state import PartitionState
from services.notifier.wording import load_words
from shared import topics
from shared.community import Community
from shared.contracts import (
    Choice,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Introduction,
    PartnerRequest,
    Preference,
    Record,
    Suggestion,
)

WORDS = load_words(Path(services.notifier.__file__).parent / "words")
LINKS = Links("a secret of the tests", "https://london-connection.example")
RENDERER = Renderer(WORDS, COMMUNITIES, LINKS, "another secret of the tests")
TOPIC_OF: dict[type[Record], str] = {
    Contact: topics.CONTACTS.name,
    PartnerRequest: topics.PARTNER_REQUESTS.name,
    Suggestion: topics.SUGGESTIONS.name,
    Introduction: topics.INTRODUCTIONS.name,
    Choice: topics.CHOICES.name,
    Preference: topics.PREFERENCES.name,
    Email: topics.OUTBOX.name,
    Delivery: topics.DELIVERIES.name,
}
_NAME = {member: re.compile(rf"\b{name}\b|\b{name.lower()}@") for member, name in zip(MEMBERS, NAMES, strict=True)}


@dataclass(frozen=True)
class Received:
    """An email in somebody's inbox."""

    at_ms: int
    email: Email
    raw: bytes

    @cached_property
    def text(self) -> str:
        """Everything that can be read in it: headers, both parts, the calendar."""
        message = email.message_from_bytes(self.raw)
        bodies = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        return "\n".join([*message.values(), *(body.decode() for body in bodies if isinstance(body, bytes))])

    def names(self) -> set[str]:
        """The members whose name or address is in it."""
        text = self.text
        return {member for member, pattern in _NAME.items() if pattern.search(text)}


class World:
    def __init__(self, communities: Mapping[str, Community] | None = None) -> None:
        self.communities = communities or COMMUNITIES
        self.renderer = Renderer(WORDS, self.communities, LINKS, "another secret of the tests")
        self.now_ms = NOW
        self.logs: dict[str, list[tuple[str, Record | None]]] = defaultdict(list)
        self.state = PartitionState()
        self.inbox: list[Received] = []
        self.withheld: list[Delivery] = []
        self.on_received: Callable[[Received], None] = lambda received: None
        self.tell(*(contact(member, at_ms=NOW - 1000, own_words=f"Own words of {member}") for member in MEMBERS))

    def tell(self, *records: Record) -> None:
        for record in records:
            self.put(TOPIC_OF[type(record)], record.key, record)

    def put(self, topic: str, key: str, record: Record | None) -> None:
        self.logs[topic].append((key, record))
        self.state.apply(topic, key, record)

    def erased(self, member: str) -> None:
        """What intake does about an erasure."""
        self.put(topics.CONTACTS.name, member, None)

    def introductions(self) -> dict[str, Introduction]:
        """By id, as last committed."""
        return {key: record for key, record in self.logs["introductions"] if isinstance(record, Introduction)}

    def reconcile(self, *, limit: int = 100) -> list[Transition]:
        """Work out what is due and commit it, until nothing is."""
        done: list[Transition] = []
        while transitions := self.state.reconcile(self.now_ms, self.communities, limit=limit):
            for transition in transitions:
                self.tell(transition.introduction, *transition.emails)
            done += transitions
            self.fill_seats()
        return done

    def send(self, limit: int = 1000) -> None:
        """Send what waits, through the gate, one after the other."""
        for one in self.state.unsent(limit):
            reason = may_send(one, self.state, self.now_ms)
            if reason is not None:
                self._record(one, DeliveryState.WITHHELD, 0, reason)
                continue
            letter = self.renderer.compose(one, self.state, self.now_ms)
            self._record(one, DeliveryState.SENDING, 1)
            self._record(one, DeliveryState.SENT, 1)
            received = Received(self.now_ms, one, letter.message.as_bytes())
            self.inbox.append(received)
            self.on_received(received)

    def work(self) -> None:
        while self.reconcile() or self.state.unsent_count:
            self.send()

    def fill_seats(self) -> None:
        """A matcher of few words: whoever has no part in anything may have a free seat."""
        open_now = [one for one in self.introductions().values() if one.is_open]
        busy = {member for one in open_now for member in one.everybody}
        asked = {one.suggestion.joins for one in open_now}
        for group in open_now:
            due = group.seat_from_ms is not None and group.seat_from_ms <= self.now_ms
            if not (group.wants_newcomer and due) or group.introduction in asked:
                continue
            known = {m for one in self.introductions().values() if one.suggestion.joins == group.introduction
                     for m in one.members}  # fmt: skip
            free = [m for m in MEMBERS if m not in busy | known and self.state.members.contact(m) is not None]
            if free and not self.state.members.is_away(free[0], self.now_ms):
                of = suggestion(*group.present, free[0], at_ms=self.now_ms, joins=group.introduction, newcomer=free[0])
                self.tell(of.model_copy(update={"slot": group.suggestion.slot}))

    def restart(self, seed: int) -> None:
        """Fold again from what is in the topics, read in some order that keeps the order within each."""
        draws = random.Random(seed)
        places = [topic for topic, log in self.logs.items() for _ in log]
        draws.shuffle(places)
        heads = {topic: iter(log) for topic, log in self.logs.items()}
        self.state = PartitionState()
        for topic in places:
            key, record = next(heads[topic])
            self.state.apply(topic, key, record)

    def twin(self) -> World:
        """Another world with the same past, and nobody in it who reacts yet."""
        twin = World(self.communities)
        twin.logs = defaultdict(list, {topic: list(log) for topic, log in self.logs.items()})
        twin.now_ms = self.now_ms
        twin.restart(0)
        return twin

    def run_until(self, end_ms: int, agenda: Agenda | None = None) -> None:
        """Let time pass, from one thing that is due to the next."""
        self.work()
        while True:
            due = [self.state.next_alarm_ms(), agenda.next_ms() if agenda else None]
            times = [at_ms for at_ms in due if at_ms is not None and at_ms <= end_ms]
            if not times:
                break
            self.now_ms = max(self.now_ms, min(times))
            if agenda:
                agenda.happen(self.now_ms)
            self.work()
        self.now_ms = max(self.now_ms, end_ms)
        self.work()

    def _record(self, one: Email, outcome: DeliveryState, attempts: int, reason: str = "") -> None:
        delivery = Delivery(
            community=one.community, email=one.email, introduction=one.introduction, member=one.member,
            kind=one.kind, occasion=one.occasion, state=outcome, attempts=attempts, message_id="<x@y>",
            recorded_at_ms=self.now_ms, reason=reason,
        )  # fmt: skip
        self.tell(delivery)
        if outcome is DeliveryState.WITHHELD:
            self.withheld.append(delivery)


class Watch:
    """Looks at every email that arrives: whether its reader may have it, and may know what is in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.gone: set[str] = set()
        """Who has been erased or unsubscribed."""
        self.left: set[tuple[str, str]] = set()
        """Who has left which introduction."""
        self.apart: set[frozenset[str]] = set()
        """Of whom one has blocked or reported the other."""
        self.seen = 0
        world.on_received = self.check

    def check(self, received: Received) -> None:
        self.seen += 1
        member, introductions = received.email.member, self._world.introductions()
        introduction = introductions[received.email.introduction]
        assert member not in self.gone, "no email after an erasure or an unsubscribe"
        acquainted = [{*one.introduced, *one.joined} for one in introductions.values()]
        known = {other for some in acquainted if member in some for other in some}
        named = received.names() - {member}
        assert named <= known, "no name and no address before everybody, or a quorum, has said yes"
        assert not named or received.email.kind.names_others
        assert not named & self.gone, "who is gone is not named any more"
        assert not any(frozenset((member, other)) in self.apart for other in named), "a block acts at once, both ways"
        if "for you alone" in received.text.lower():
            assert introduction.opener == member, "the opener's note reaches the opener alone"
        elif received.email.kind is EmailKind.INTRODUCTION:
            assert introduction.opener != member, "and it does reach them"


class Agenda:
    """What members are going to do, and when."""

    def __init__(self) -> None:
        self._plans: list[tuple[int, int, Callable[[], None]]] = []

    def at(self, at_ms: int, act: Callable[[], None]) -> None:
        self._plans.append((at_ms, len(self._plans), act))

    def next_ms(self) -> int | None:
        return min((at_ms for at_ms, _, _ in self._plans), default=None)

    def happen(self, now_ms: int) -> None:
        due = sorted(plan for plan in self._plans if plan[0] <= now_ms)
        self._plans = [plan for plan in self._plans if plan[0] > now_ms]
        for _, _, act in due:
            act()


def kinds(received: Iterable[Received]) -> list[EmailKind]:
    return [one.email.kind for one in received]


__all__ = ["LONDON", "Agenda", "Received", "World", "kinds"]
