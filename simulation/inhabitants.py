"""The members' side: they sign up, read their emails in their own time, press buttons, go to meetings, and leave.

They learn of nothing but by email, and act by nothing but the links in it, and by their
partner's app. What they decide is `simulation.behaviour`'s; when it happens is kept here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from demo.london import Temper, synthesize
from services.notifier.links import LinkPurpose
from shared.contracts import ChoiceKind, Email, EmailKind, EventType, Introduction, IntroductionState
from simulation.behaviour import DAY_MS, HOUR_MS, Answer, Behaviour, Person
from simulation.world import World

_MONTH_MS = 30 * DAY_MS
_WEEK_MS = 7 * DAY_MS
_THINKS_IT_OVER_MS = 3 * HOUR_MS
"""How long after a meeting somebody blocks somebody."""
_PURPOSE_OF = {Answer.YES: LinkPurpose.YES, Answer.NO: LinkPurpose.NO, Answer.PAUSE: LinkPurpose.PAUSE}
_ABOUT_A_DATE = frozenset({EmailKind.INTRODUCTION, EmailKind.NEW_DATE, EmailKind.AGAIN})
_DISAPPOINTS = frozenset({EmailKind.CLOSING, EmailKind.PARTING})


@dataclass(frozen=True, slots=True)
class Gathering:
    """A date that came, and who was there: two or more, or it did not take place."""

    introduction: str
    occasion: int
    at_ms: int
    came: tuple[str, ...]
    deeper: bool
    standing: bool
    number: int
    """The how manieth meeting of theirs it was to be."""

    @property
    def took_place(self) -> bool:
        return len(self.came) > 1


class Inhabitants:
    """Everybody. `due` says when somebody next does something, `happen` lets them."""

    def __init__(
        self,
        world: World,
        behaviour: Behaviour,
        *,
        members: int,
        days: int,
        seed: int,
        on_gone: Callable[[str, int], None] = lambda member, now_ms: None,
    ) -> None:
        self.people: dict[str, Person] = {}
        self.gatherings: list[Gathering] = []
        self._world = world
        self._behaviour = behaviour
        self._on_gone = on_gone
        self._plans: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0
        self._met: dict[tuple[str, int], Gathering] = {}
        self._dates: set[tuple[str, int]] = set()
        self._signed_up: dict[str, dict[str, Any]] = {}
        temper = Temper(opener=behaviour.assumed.joining.share_of_openers)
        for number, event in enumerate(synthesize(members, seed, temper=temper)):
            at_ms = behaviour.joins_at_ms(number, members, world.now_ms, days)
            self._plan(at_ms, self._join, event)
        world.on_sent = self._receive

    @property
    def due_ms(self) -> int | None:
        """When the next thing happens that somebody means to do."""
        return self._plans[0][0] if self._plans else None

    def happen(self) -> None:
        """Whatever is due by now, in the order of its time."""
        while self._plans and self._plans[0][0] <= self._world.now_ms:
            _, _, act, what = heapq.heappop(self._plans)
            act(*what)

    def _plan(self, at_ms: int, act: Callable[..., None], *what: Any) -> None:
        self._planned += 1
        heapq.heappush(self._plans, (at_ms, self._planned, act, what))

    # Coming and going

    def _join(self, event: dict[str, Any]) -> None:
        member = self._world.hand_in(event)
        profile = self._world.matcher.communities[self._world.community.community].profiles[member]
        now_ms = self._world.now_ms
        self.people[member] = Person(
            member=member,
            openness=profile.openness,
            looking_for=profile.looking_for,
            joined_at_ms=now_ms,
            readiness=self._behaviour.readiness(member),
            waits_since_ms=now_ms,
        )
        self._signed_up[member] = event
        self._plan_month(self.people[member], 0)

    def _plan_month(self, person: Person, month: int) -> None:
        """What may happen to anybody in a month, whatever they are invited to."""
        if person.gone:
            return
        joining, draws = self._behaviour.assumed.joining, self._behaviour.draws
        starts_ms = person.joined_at_ms + month * _MONTH_MS
        for share, act in (
            (joining.leaves_per_month, self._leave),
            (joining.unsubscribes_per_month, self._unsubscribe),
            (joining.erases_per_month, self._erase),
            (joining.pauses_per_month, self._pause),
        ):
            if draws.says(share, act.__name__, person.member, month):
                at_ms = starts_ms + round(draws.uniform("when", act.__name__, person.member, month) * _MONTH_MS)
                self._plan(at_ms, act, person)
        self._plan(starts_ms + _MONTH_MS, self._plan_month, person, month + 1)

    def _goes(self, person: Person) -> None:
        person.gone = True
        self._on_gone(person.member, self._world.now_ms)

    def _leave(self, person: Person) -> None:
        if not person.gone:
            self._goes(person)
            of = self._signed_up[person.member]
            event = {
                **of,
                "id": f"{of['id']}-left",
                "type": EventType.LEFT,
                "data": {"community": self._world.community.community},
            }
            self._world.hand_in(event)

    def _unsubscribe(self, person: Person) -> None:
        if not person.gone:
            self._goes(person)
            self._world.press(LinkPurpose.UNSUBSCRIBE, person.member, "")

    def _erase(self, person: Person) -> None:
        if not person.gone:
            self._goes(person)
            self._world.press(LinkPurpose.ERASE, person.member, "")

    def _pause(self, person: Person) -> None:
        if not person.gone:
            self._press_pause(person, "")

    def _press_pause(self, person: Person, introduction: str) -> None:
        until_ms = self._world.now_ms + self._behaviour.assumed.joining.pause_days * DAY_MS
        day = datetime.fromtimestamp(until_ms / 1000, UTC).date().isoformat()
        self._world.press(LinkPurpose.PAUSE, person.member, introduction, fields={"until": (day,)})

    # Reading

    def _receive(self, email: Email, introduction: Introduction) -> None:
        """An email has arrived; a date in it stands in the calendar, whoever reads it when."""
        if email.kind in _ABOUT_A_DATE:
            self._plan_date(introduction)
        elif email.kind is EmailKind.STANDING:
            self._plan_standing_date(introduction, 0)
        at_ms = self._behaviour.reads_at_ms(email.email, self._world.now_ms, self._world.community.time_zone)
        if at_ms is not None:
            self._plan(at_ms, self._read, email, introduction)

    def _read(self, email: Email, introduction: Introduction) -> None:
        person = self.people[email.member]
        if person.gone:
            return
        item, score, now_ms = email.introduction, introduction.suggestion.score.total, self._world.now_ms
        if email.kind is EmailKind.INVITATION:
            self._answer(person, item, self._behaviour.answers(person, item, score, now_ms))
        elif email.kind is EmailKind.REMINDER:
            self._answer(person, item, self._behaviour.thinks_again(person, item, score, now_ms))
        elif email.kind is EmailKind.SEAT:
            self._answer(person, item, self._behaviour.would_have(person, item))
        elif email.kind is EmailKind.INTRODUCTION:
            person.waits_since_ms = now_ms
            if introduction.opener != person.member and self._behaviour.offers_to_open(person, item):
                self._world.press(LinkPurpose.OPEN, person.member, item)
        elif email.kind is EmailKind.CHECK_IN:
            self._tell(person, email, introduction)
        elif email.kind in _DISAPPOINTS:
            person.disappointments += 1
            if self._behaviour.gives_up(person):
                self._leave(person)

    def _answer(self, person: Person, introduction: str, answer: Answer) -> None:
        if answer is Answer.PAUSE:
            self._press_pause(person, introduction)
        elif answer is not Answer.SILENCE:
            self._world.press(_PURPOSE_OF[answer], person.member, introduction)

    def _tell(self, person: Person, email: Email, introduction: Introduction) -> None:
        """Three taps, or none."""
        item, occasion = email.introduction, email.occasion
        meeting = introduction.meeting
        if meeting is None or not self._behaviour.tells(person, item, occasion):
            return
        gathering = self._met.get((item, occasion))
        score = introduction.suggestion.score.total
        # Who was not there has one tap: the page asks them nothing more.
        says = [ChoiceKind.NOT_MET]
        if gathering is not None and gathering.took_place and person.member in gathering.came:
            again = self._behaviour.wants_again(
                person, item, occasion, meeting=meeting.number, deeper=gathering.deeper, score=score
            )
            says = [
                ChoiceKind.MET,
                ChoiceKind.AGAIN if again else ChoiceKind.NOT_AGAIN,
                ChoiceKind.DEEPER if gathering.deeper else ChoiceKind.SHALLOW,
            ]
        for kind in says:
            self._world.press(
                LinkPurpose.CHECK_IN, person.member, item, occasion=occasion, fields={"answer": (kind.value,)}
            )

    # Meeting

    def _plan_date(self, introduction: Introduction) -> None:
        meeting = introduction.meeting
        assert meeting is not None, "an email about a date tells of one"
        date = (introduction.introduction, meeting.occasion)
        if date not in self._dates:
            self._dates.add(date)
            self._plan(meeting.starts_at_ms, self._meet, *date)

    def _meet(self, item: str, occasion: int) -> None:
        now = self._world.notifier.introduction(item)
        meeting = None if now is None else now.meeting
        if now is None or meeting is None or now.state is not IntroductionState.INTRODUCED:
            return
        if meeting.occasion != occasion:
            return
        came = [
            person
            for person in self._those_in(now.present)
            if self._behaviour.goes(person, item, occasion, meeting=meeting.number)
        ]
        deeper = len(came) > 1 and self._behaviour.gets_past_small_talk(
            came, item, occasion, meeting=meeting.number, opener_came=now.opener in {one.member for one in came}
        )
        gathering = Gathering(
            item, occasion, self._world.now_ms, tuple(one.member for one in came), deeper, False, meeting.number
        )
        self._met[item, occasion] = gathering
        self.gatherings.append(gathering)
        self._block_some(came if gathering.took_place else [], item, occasion)

    def _plan_standing_date(self, introduction: Introduction, date: int) -> None:
        meeting = introduction.meeting
        assert meeting is not None, "a standing group has a date that comes back"
        name = (introduction.introduction, -1 - date)
        if name not in self._dates:
            self._dates.add(name)
            every_ms = self._world.community.meetings.standing_every_weeks * _WEEK_MS
            at_ms = meeting.starts_at_ms + date * every_ms
            self._plan(at_ms, self._meet_as_ever, introduction, date)

    def _meet_as_ever(self, introduction: Introduction, date: int) -> None:
        """One of a standing group's dates; nobody is asked about it, but some find that it was their last one."""
        item = introduction.introduction
        now = self._world.notifier.introduction(item)
        if now is None or now.state is not IntroductionState.STANDING:
            return
        number = now.meeting.number + date if now.meeting is not None else date
        people = self._those_in(now.present)
        came = [one for one in people if self._behaviour.goes(one, item, number, meeting=number, standing=True)]
        self.gatherings.append(
            Gathering(item, number, self._world.now_ms, tuple(one.member for one in came), False, True, number)
        )
        for person in people:
            if self._behaviour.leaves_the_group(person, item, date):
                self._world.press(LinkPurpose.LEAVE, person.member, item)
        self._block_some(came if len(came) > 1 else [], item, number)
        self._plan_standing_date(introduction, date + 1)

    def _block_some(self, came: Sequence[Person], item: str, occasion: int) -> None:
        for person in came:
            others = [other.member for other in came if other is not person]
            blocked = self._behaviour.blocks(person, others, item, occasion)
            if blocked is not None:
                self._plan(self._world.now_ms + _THINKS_IT_OVER_MS, self._block, person, item, *blocked)

    def _block(self, person: Person, item: str, about: str, reports: bool) -> None:
        if not person.gone:
            fields = {"person": ("1",), "action": ("report" if reports else "block",)}
            self._world.press(LinkPurpose.BLOCK, person.member, item, fields=fields, people={"1": about})

    def _those_in(self, members: Sequence[str]) -> list[Person]:
        return [self.people[member] for member in members if not self.people[member].gone]
