"""What happened: by suggestion, by member, by free seat. Counts nothing yet; `simulation.report` does."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from services.matcher.leftover import LeftOver
from services.matcher.round import Round
from services.matcher.state import RoundInput
from shared.contracts import (
    Choice,
    ChoiceKind,
    ClosingReason,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    Profile,
    Record,
    Suggestion,
    SuggestionKind,
)


@dataclass(slots=True)
class Case:
    """What became of a suggestion."""

    suggestion: Suggestion
    opener: str | None
    """Who is to go first: whom the suggestion names, or who has offered since."""
    invited: int = 0
    said_yes: int = 0
    accepted: bool = False
    """Enough said yes."""
    introduced: bool = False
    """They were told each other's names."""
    standing: bool = False
    closed: ClosingReason | None = None

    @property
    def kind(self) -> SuggestionKind:
        return self.suggestion.kind


@dataclass(slots=True)
class Seat:
    """A seat in a standing group, from when it fell free until somebody took it or the group ended."""

    introduction: str
    from_ms: int
    until_ms: int | None = None
    filled: bool = False
    offers: int = 0


@dataclass(slots=True)
class Life:
    """What a member was part of. None for what never came."""

    profile: Profile
    signed_up_at_ms: int
    suggested_at_ms: int | None = None
    introduced_at_ms: int | None = None
    gone_at_ms: int | None = None
    free_since_ms: int | None = None
    """While they are free: since when, as rounds have seen it."""
    waits_ms: list[int] = field(default_factory=list)
    """How long they were free, each time until they were suggested to somebody."""
    invitations: int = 0
    emails: int = 0
    why_not: LeftOver | None = None
    """Why the last round that saw them free found nobody."""


class Tally:
    """Watches a `World`."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.lives: dict[str, Life] = {}
        self.seats: list[Seat] = []
        self.emails: Counter[EmailKind] = Counter()
        self.choices: Counter[ChoiceKind] = Counter()
        self.rounds = 0
        self.free_in_rounds = 0
        self.standing_now: dict[str, tuple[str, ...]] = {}
        """Standing groups and pairs, and who is in them."""
        self.standing_by_day: list[tuple[int, int, int]] = []
        """At the end of each day: standing pairs, standing groups, and free seats in these."""
        self._seat_of: dict[str, Seat] = {}
        self._yes: defaultdict[str, set[str]] = defaultdict(set)

    def record(self, topic: str, key: str, record: Record | None, now_ms: int) -> None:
        match record:
            case Profile():
                self.lives.setdefault(record.member, Life(record, now_ms))
            case Suggestion():
                self._suggestion(record, now_ms)
            case Introduction():
                self._introduction(record, now_ms)
            case Choice():
                self.choices[record.kind] += 1
                case = self.cases[record.introduction]
                if record.kind is ChoiceKind.YES and record.member in case.suggestion.engages:
                    self._yes[record.introduction].add(record.member)
                    case.said_yes = len(self._yes[record.introduction])
            case _:
                pass

    def sent(self, email: Email, introduction: Introduction, now_ms: int) -> None:
        self.emails[email.kind] += 1
        self.lives[email.member].emails += 1
        self.lives[email.member].invitations += email.kind is EmailKind.INVITATION
        case = self.cases[email.introduction]
        if email.kind is EmailKind.INVITATION:
            case.invited += 1
        elif email.kind is EmailKind.INTRODUCTION:
            case.introduced = True
            life = self.lives[email.member]
            life.introduced_at_ms = life.introduced_at_ms or now_ms
        elif email.kind is EmailKind.WELCOME:
            life = self.lives[email.member]
            life.introduced_at_ms = life.introduced_at_ms or now_ms

    def round(self, seen: RoundInput, round_: Round | None, suggestions: tuple[Suggestion, ...], now_ms: int) -> None:
        self.rounds += 1
        self.free_in_rounds += len(seen.profiles)
        free = {profile.member for profile in seen.profiles}
        for member, life in self.lives.items():
            if member not in free:
                life.free_since_ms = None
            elif life.free_since_ms is None:
                life.free_since_ms = now_ms if life.suggested_at_ms is not None else life.signed_up_at_ms
        if round_ is not None:
            for member, reason in round_.left_over.items():
                self.lives[member].why_not = reason

    def day_is_over(self) -> None:
        pairs = sum(self.cases[item].kind is SuggestionKind.PAIR for item in self.standing_now)
        self.standing_by_day.append((pairs, len(self.standing_now) - pairs, len(self._seat_of)))

    def goes(self, member: str, now_ms: int) -> None:
        """Somebody left, unsubscribed, or was erased."""
        self.lives[member].gone_at_ms = now_ms

    def _suggestion(self, suggestion: Suggestion, now_ms: int) -> None:
        self.cases[suggestion.suggestion] = Case(suggestion, suggestion.opener)
        for member in suggestion.engages:
            life = self.lives[member]
            life.suggested_at_ms = life.suggested_at_ms or now_ms
            if life.free_since_ms is not None:
                life.waits_ms.append(now_ms - life.free_since_ms)
                life.free_since_ms = None
        if suggestion.joins is not None and suggestion.joins in self._seat_of:
            self._seat_of[suggestion.joins].offers += 1

    def _introduction(self, introduction: Introduction, now_ms: int) -> None:
        item = introduction.introduction
        case = self.cases[item]
        case.accepted |= introduction.state is IntroductionState.INTRODUCED or (
            introduction.closing_reason is ClosingReason.SEATED
        )
        case.opener = introduction.opener or case.opener
        case.standing |= introduction.state is IntroductionState.STANDING
        case.closed = introduction.closing_reason
        if introduction.state is IntroductionState.STANDING:
            self.standing_now[item] = introduction.present
        else:
            self.standing_now.pop(item, None)
        self._seat(introduction, now_ms)

    def _seat(self, introduction: Introduction, now_ms: int) -> None:
        item = introduction.introduction
        known = self._seat_of.get(item)
        joined = introduction.joined
        if known is not None and len(joined) > self._joined_before(item):
            known.until_ms, known.filled = now_ms, True
            del self._seat_of[item]
        elif known is not None and not introduction.wants_newcomer:
            known.until_ms = now_ms
            del self._seat_of[item]
        if introduction.wants_newcomer and item not in self._seat_of:
            seat = Seat(item, introduction.seat_from_ms or now_ms)
            self._seat_of[item] = seat
            self.seats.append(seat)

    def _joined_before(self, item: str) -> int:
        return sum(seat.filled for seat in self.seats if seat.introduction == item)
