"""What must hold on every day of the year, checked from what goes over the topics, and not by the code that is checked.

Each promise has a name and a sentence. A breach is noted with its moment and the ids, and the
year goes on, so that one run shows all there is to see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations

from services.intake.gazetteer import distance_km
from services.matcher.round import Round
from services.matcher.state import RoundInput
from shared import topics
from shared.contracts import (
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    PartnerRequest,
    Preference,
    PreferenceKind,
    Profile,
    Record,
    Suggestion,
    SuggestionKind,
)
from shared.safety import REPORTS_UNTIL_REVIEW
from simulation.world import World

BREACHES_KEPT_MAX = 100
PROMISES = {
    "one-at-a-time": "Nobody is kept by two open introductions at once.",
    "opener-where-there-is-one": "No suggestion goes without an opener that has somebody in it who can go first.",
    "openers-rest": "Nobody is suggested as an opener more often within the window than the policy allows.",
    "never-twice": "Nobody is suggested to somebody whom they were suggested to, or have a group with.",
    "kept-apart": "Nobody is suggested to somebody when either has blocked or reported the other.",
    "nobody-is-written-to-after-goodbye": "No email goes to who has left, unsubscribed or been erased.",
    "no-invitation-in-a-pause": "No invitation goes to who is on a pause.",
    "seats-are-offered": "A free seat is offered in the first round in which somebody fits who is in no such group.",
    "nothing-lies-about": "No introduction stands still after its time has come.",
    "free-is-free": "Whom nothing keeps, and few have reported, is free for the matcher; nobody else is.",
    "waits-count": "Nobody's wait starts anew while nothing keeps them, and they have no group.",
    "names-after-yes": "Nobody reads the others' names unless they said yes.",
}
_INVITES = frozenset({EmailKind.INVITATION, EmailKind.REMINDER, EmailKind.SEAT})
_ROUNDING_KM = 0.05
"""The matcher measures along the chord, and we along the ground."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept."""

    promise: str
    at_ms: int
    what: str


class Promises:
    """Watches a `World`. Everything in it is told by records; the services' folds are only asked by `check_folds`."""

    def __init__(self, world: World) -> None:
        self.breaches: list[Breach] = []
        self.broken = 0
        self.checks = 0
        self._world = world
        self._profiles: dict[str, Profile] = {}
        self._kept_by: defaultdict[str, set[str]] = defaultdict(set)
        self._introductions: dict[str, Introduction] = {}
        self._waiting: dict[str, Suggestion] = {}
        """Suggestions that have not become introductions."""
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        """By member: whom they were suggested to, or came to know."""
        self._apart: defaultdict[str, set[str]] = defaultdict(set)
        self._reporters: defaultdict[str, set[str]] = defaultdict(set)
        self._gone: set[str] = set()
        self._paused_until_ms: dict[str, int] = {}
        self._waits_since_ms: dict[str, int] = {}
        """By member whom nothing has kept since: since when they wait, as the last round had it."""
        self._openings: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By member: when they were suggested as an opener, by suggestion."""
        self._fell_through: set[str] = set()

    def record(self, topic: str, key: str, record: Record | None, now_ms: int) -> None:
        match record:
            case Profile():
                self._profiles[key] = record
            case PartnerRequest():
                self._gone.add(record.member)
            case Preference():
                self._preference(record)
            case Suggestion():
                self._suggestion(record, now_ms)
            case Introduction():
                self._introduction(record, now_ms)
            case None if topic == topics.PROFILES.name:
                self._profiles.pop(key, None)
            case _:
                pass

    def sent(self, email: Email, introduction: Introduction, now_ms: int) -> None:
        gone = email.member in self._gone
        self._check(not gone, "nobody-is-written-to-after-goodbye", now_ms, f"{email.kind} to {email.member}")
        if email.kind in _INVITES:
            paused = self._paused_until_ms.get(email.member, 0) > now_ms
            self._check(not paused, "no-invitation-in-a-pause", now_ms, f"{email.kind} to {email.member}")
        if email.kind.names_others:
            consents = email.member in introduction.said_yes or email.member in introduction.joined
            self._check(consents, "names-after-yes", now_ms, f"{email.kind} to {email.member}")

    def round(self, seen: RoundInput, round_: Round | None, suggestions: tuple[Suggestion, ...], now_ms: int) -> None:
        """Every free seat that nobody was suggested for: is there really nobody? And every wait: does it count?"""
        for member, since_ms in seen.waiting_since_ms.items():
            before_ms = self._waits_since_ms.get(member, since_ms)
            what = f"{member} waits {(since_ms - before_ms) / 3_600_000:.0f} hours less than before"
            self._check(since_ms <= before_ms, "waits-count", now_ms, what)
            self._waits_since_ms[member] = since_ms
        offered = {suggestion.joins for suggestion in suggestions}
        taken = {suggestion.newcomer for suggestion in suggestions if suggestion.newcomer is not None}
        # Who is in a group that looks for somebody itself is not offered another group's seat, as things are.
        taken |= {profile.member for seat in seen.seats for profile in seat.profiles}
        for seat in seen.seats:
            if seat.group.introduction in offered:
                continue
            fitting = [
                one.member
                for one in seen.profiles
                if one.member not in taken and self._fits(one, seat.group, seat.profiles, now_ms)
            ]
            what = f"{seat.group.introduction} was not offered to {fitting[:1]}"
            self._check(not fitting, "seats-are-offered", now_ms, what)

    def check_folds(self) -> None:
        """Whether the services' own view is what the records say; worth doing once a day."""
        now_ms, community = self._world.now_ms, self._world.community.community
        overdue_ms = now_ms - 60_000
        for item, introduction in self._introductions.items():
            due_ms = _due_ms(introduction)
            late = introduction.is_open and due_ms is not None and due_ms < overdue_ms
            self._check(not late, "nothing-lies-about", now_ms, f"{item} is {introduction.state}")
        for item in self._waiting:
            self._check(False, "nothing-lies-about", now_ms, f"{item} was not taken up")
        for member in self._profiles:
            away = member in self._gone or self._paused_until_ms.get(member, 0) > now_ms
            away |= len(self._reporters.get(member, ())) >= REPORTS_UNTIL_REVIEW
            is_free = self._world.matcher.is_free(community, member, now_ms)
            expected = not away and not self._kept_by.get(member)
            what = f"{member} is {'free' if is_free else 'not free'}"
            self._check(is_free == expected, "free-is-free", now_ms, what)

    def _preference(self, preference: Preference) -> None:
        match preference.kind:
            case PreferenceKind.PAUSE:
                self._paused_until_ms[preference.member] = preference.until_ms or 2**62
            case PreferenceKind.UNSUBSCRIBE | PreferenceKind.ERASE:
                self._gone.add(preference.member)
            case PreferenceKind.BLOCK | PreferenceKind.REPORT if preference.about is not None:
                self._apart[preference.member].add(preference.about)
                self._apart[preference.about].add(preference.member)
                if preference.kind is PreferenceKind.REPORT:
                    self._reporters[preference.about].add(preference.member)
            case _:
                pass

    def _suggestion(self, suggestion: Suggestion, now_ms: int) -> None:
        item, members = suggestion.suggestion, suggestion.members
        self._waiting[item] = suggestion
        asked = [
            (one, other)
            for one, other in combinations(members, 2)
            if suggestion.newcomer is None or suggestion.newcomer in (one, other)
        ]
        for one, other in asked:
            self._check(
                other not in self._known[one], "never-twice", now_ms, f"{suggestion.kind} {item}: {one} and {other}"
            )
            self._check(other not in self._apart[one], "kept-apart", now_ms, f"{item}: {one} and {other}")
        for member in suggestion.engages:
            kept = self._kept_by.get(member)
            self._check(not kept, "one-at-a-time", now_ms, f"{item}: {member} is kept by {sorted(kept or ())}")
            self._kept_by[member].add(item)
            self._waits_since_ms.pop(member, None)
        self._acquaint(members)
        self._opener(suggestion, now_ms)

    def _opener(self, suggestion: Suggestion, now_ms: int) -> None:
        if suggestion.kind is SuggestionKind.SEAT:
            return
        policy = self._world.policy
        since_ms = now_ms - self._world.settings.opener_window_days * 24 * 3600 * 1000
        in_pair = suggestion.kind is SuggestionKind.PAIR
        most = policy.opener_load_of_pairs_max if in_pair else policy.opener_load_max
        rested = []
        for member in suggestion.members:
            openings = {item: at_ms for item, at_ms in self._openings[member].items() if at_ms >= since_ms}
            self._openings[member] = openings
            happy = self._profiles[member].openness.goes_first >= policy.goes_first_min
            # Those that fell through may count or not: who is rested here is so in any case.
            if happy and len(openings) < most:
                rested.append(member)
        item, opener = suggestion.suggestion, suggestion.opener
        if opener is None:
            self._check(not rested, "opener-where-there-is-one", now_ms, f"{item}: {rested} could go first")
            return
        came_about = len(self._openings[opener].keys() - self._fell_through)
        happy = self._profiles[opener].openness.goes_first >= policy.goes_first_min
        self._check(
            happy and came_about < most, "openers-rest", now_ms, f"{item}: {opener} for the {came_about + 1}. time"
        )
        self._openings[opener][item] = now_ms

    def _introduction(self, introduction: Introduction, now_ms: int) -> None:
        item = introduction.introduction
        self._waiting.pop(item, None)
        if introduction.is_open:
            self._introductions[item] = introduction
        else:
            self._introductions.pop(item, None)
            if not introduction.introduced:
                self._fell_through.add(item)
        if introduction.introduced and introduction.suggestion.opener not in introduction.introduced:
            self._fell_through.add(item)  # for the opener, whom the others went ahead without
        opener = introduction.suggestion.opener
        if introduction.opener not in (None, opener):
            # Somebody offered, and whoever was asked before is relieved.
            at_ms = self._openings[opener].pop(item, now_ms) if opener is not None else now_ms
            self._openings[introduction.opener or ""].setdefault(item, at_ms)
        if introduction.joined:
            self._acquaint(introduction.everybody)
        for member in introduction.everybody:
            kept = self._kept_by[member]
            if introduction.engages(member):
                kept.add(item)
                self._waits_since_ms.pop(member, None)
                self._check(len(kept) == 1, "one-at-a-time", now_ms, f"{member} is kept by {sorted(kept)}")
            else:
                kept.discard(item)
            if member in introduction.present:
                self._waits_since_ms.pop(member, None)  # Who had a group until now begins anew when it ends.

    def _acquaint(self, members: Collection[str]) -> None:
        for member in members:
            self._known[member].update(other for other in members if other != member)

    def _fits(self, one: Profile, group: Introduction, profiles: Iterable[Profile], now_ms: int) -> bool:
        """Whether a free member clearly might join: in doubt, not."""
        suggestion, community = group.suggestion, self._world.community
        shares = {"interest": one.interests, "life_topic": one.life_topics}.get(suggestion.anchor.kind, ())
        way_km = distance_km(one.latitude, one.longitude, suggestion.place.latitude, suggestion.place.longitude)
        return (
            "group" in one.looking_for
            and suggestion.slot in one.available
            and suggestion.anchor.word in shares
            and one.member not in group.everybody
            and way_km < one.travel_km - _ROUNDING_KM
            and all(
                abs(one.birth_year - other.birth_year) <= community.age_gap_years_max
                and set(one.languages) & set(other.languages)
                and other.member not in self._known[one.member]
                and other.member not in self._apart[one.member]
                for other in profiles
            )
        )

    def _check(self, holds: bool, promise: str, now_ms: int, what: str) -> None:
        assert promise in PROMISES
        self.checks += 1
        if not holds:
            self.broken += 1
            if len(self.breaches) < BREACHES_KEPT_MAX:
                self.breaches.append(Breach(promise, now_ms, what))


def _due_ms(introduction: Introduction) -> int | None:
    """When the next thing is due that time alone brings about, read off the record."""
    meeting = introduction.meeting
    if introduction.state is IntroductionState.PROPOSED:
        return introduction.answer_by_ms
    if introduction.state is IntroductionState.STANDING:
        return introduction.settles_at_ms
    assert meeting is not None, "who is introduced has a date"
    return meeting.check_in_at_ms if meeting.decide_at_ms is None else meeting.decide_at_ms
