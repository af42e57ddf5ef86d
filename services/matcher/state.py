"""What the matcher knows of the communities in one partition: a fold over the topics, and nothing else.

The order in which topics are read plays no part: what follows from two of them
together (who is free, who has met whom) is worked out from maps that each topic
fills by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from services.matcher.wishes import Wishes
from shared import topics
from shared.contracts import (
    ClosingReason,
    Introduction,
    IntroductionState,
    PartnerRequest,
    Profile,
    Record,
    Suggestion,
)

Members = tuple[str, ...]

READS = (
    topics.PROFILES,
    topics.PARTNER_REQUESTS,
    topics.SUGGESTIONS,
    topics.INTRODUCTIONS,
    topics.PREFERENCES,
    topics.PARTNER_PREFERENCES,
    topics.REVIEW_ORDERS,
    topics.UNREACHABLE,
    topics.ERASURE_ORDERS,
    topics.ERASURES,
)
_OF_ERASURES = frozenset({topics.ERASURE_ORDERS.name, topics.ERASURES.name})
_WISHES = (topics.PREFERENCES, topics.PARTNER_PREFERENCES, topics.REVIEW_ORDERS, topics.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class FreeSeat:
    """A standing group that somebody may join."""

    group: Introduction
    profiles: tuple[Profile, ...]
    """Of those who are in it."""


@dataclass(slots=True)
class RoundInput:
    """What a round needs to know of a community, taken at one moment."""

    profiles: list[Profile]
    """Of those who are free."""
    waiting_since_ms: dict[str, int]
    times_together: dict[Members, int]
    """Who was suggested together before, how often; at least one of them is free now."""
    opener_load: dict[str, int]
    blocked: list[tuple[str, str]] = field(default_factory=list)
    """Sorted pairs, at least one of them free, to be kept apart for ever: one has blocked or reported the other."""
    seats: list[FreeSeat] = field(default_factory=list)
    """Free seats in standing groups, the one that is free for longest first."""


@dataclass(slots=True)
class CommunityState:
    """One community. `free` holds exactly the members with a profile whom nothing engages."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)
    suggested: dict[str, Members] = field(default_factory=dict)
    """Suggestions by id, whether or not they have become introductions."""
    decided: set[str] = field(default_factory=set)
    """Suggestions that the notifier has made introductions of: these say whom they engage."""
    engaged_by: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By member: the suggestions and introductions that keep them from others."""
    together: defaultdict[str, set[Members]] = field(default_factory=lambda: defaultdict(set))
    times: defaultdict[Members, set[str]] = field(default_factory=lambda: defaultdict(set))
    opener_of: dict[str, str] = field(default_factory=dict)
    """By suggestion: who is, was, or would be asked to go first."""
    openings: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By opener: when each of their suggestions was made, milliseconds."""
    waits_anew_ms: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By member and introduction: since when they wait again, after one that was not for them or has run its course.

    What an introduction says last counts, so that reading all of it and reading what compaction left come to the same.
    """
    seats: dict[str, Introduction] = field(default_factory=dict)
    """Standing groups with a free seat."""
    seats_asked: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By standing group: suggestions for its seat that are not decided."""
    ahead: set[str] = field(default_factory=set)
    """Suggestions that we have committed, and that have not come back from the topic yet."""
    newcomers: set[str] = field(default_factory=set)
    """Members whose first profile has come, and whom nobody has looked at by themselves yet."""
    touched: set[str] = field(default_factory=set)
    """Members of whom something has changed since somebody took note: who they are, or whether they are free."""
    changes: int = 0
    """How much has happened since the last round that may make another one worth while."""


class MatcherState:
    """The fold for one partition: its communities."""

    def __init__(self) -> None:
        self.communities: defaultdict[str, CommunityState] = defaultdict(CommunityState)
        self._community_of: dict[str, str] = {}
        self._left_at_ms: dict[str, int] = {}
        self.wishes = Wishes()
        self.erased = self.wishes.erased
        self._sent_looking_for: dict[str, tuple[str, ...]] = {}
        """What members look for according to their partner app, for who has told us otherwise themselves."""
        self._apply: dict[str, Callable[[str, Record | None], None]] = {
            topics.PROFILES.name: self._profile,
            topics.PARTNER_REQUESTS.name: self._partner_request,
            topics.SUGGESTIONS.name: self._suggestion,
            topics.INTRODUCTIONS.name: self._introduction,
            **{topic.name: partial(self._wish, topic.name) for topic in _WISHES},
        }

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Take in one record; `None` is a tombstone. In O(members of the record)."""
        if self.erased.apply(topic, key, record):
            self._profile(key.partition("/")[0], None)
        if topic not in _OF_ERASURES:
            self._apply[topic](key, record)

    def apply_ahead(self, suggestion: Suggestion) -> None:
        """Take in what we have just committed, before it comes back from the topic: nobody may be suggested twice.

        Until it has come back, the state is ahead of the offsets that it has reached, and no round
        could be run again from them.
        """
        state = self.communities[suggestion.community]
        if suggestion.key not in state.suggested:  # unless it has come back already
            self._suggestion(suggestion.key, suggestion)
            state.ahead.add(suggestion.key)

    def is_free(self, community: str, member: str, now_ms: int) -> bool:
        """Whether a member could be suggested now."""
        return member in self.communities[community].free and not self.wishes.is_away(member, now_ms)

    def round_input(
        self, community: str, now_ms: int, *, opener_window_ms: int, members: Iterable[str] | None = None
    ) -> RoundInput:
        """All that a round sees of a community, in O(free members + what they had before).

        Of some members, whether they are free or not, if they are named.
        """
        state = self.communities[community]
        free = [member for member in state.free if not self.wishes.is_away(member, now_ms)]
        if members is not None:
            free = [member for member in members if member in state.profiles]
        since = now_ms - opener_window_ms
        together = {members for member in free for members in state.together.get(member, ())}
        return RoundInput(
            profiles=[state.profiles[member] for member in free],
            waiting_since_ms={member: self._waiting_since_ms(state, member) for member in free},
            times_together={members: len(state.times[members]) for members in together},
            opener_load={
                member: sum(at >= since for at in state.openings[member].values())
                for member in free
                if member in state.openings
            },
            blocked=sorted({_pair(member, other) for member in free for other in self.wishes.apart.others(member)}),
            seats=self._free_seats(state, now_ms),
        )

    def never_again(self, community: str, member: str) -> set[str]:
        """Whom a member is not suggested to: they were suggested to each other before, or are to be kept apart."""
        together = self.communities[community].together.get(member, ())
        return {other for members in together for other in members if other != member} | set(
            self.wishes.apart.others(member)
        )

    # One topic each

    def _profile(self, member: str, record: Record | None) -> None:
        if record is None:
            community = self._community_of.pop(member, None)
            if community is not None:
                state = self.communities[community]
                state.profiles.pop(member, None)
                state.free.discard(member)
                state.newcomers.discard(member)
                state.touched.add(member)
            self._sent_looking_for.pop(member, None)
            return
        assert isinstance(record, Profile)
        if self.wishes.is_erased(member):
            return  # For good: what a partner sends of them after it is not theirs to send.
        self._community_of[member] = record.community
        state = self.communities[record.community]
        known = state.profiles.get(member)
        if known is None:
            state.newcomers.add(member)
        else:
            # An update does not start the waiting over; only what has happened since does.
            record = record.model_copy(update={"accepted_at_ms": min(known.accepted_at_ms, record.accepted_at_ms)})
        self._sent_looking_for[member] = record.looking_for
        state.profiles[member] = self._as_they_told_us(record)
        state.changes += 1
        self._settle_freedom(state, member)

    def _partner_request(self, member: str, record: Record | None) -> None:
        if "/" in member:
            return  # An erasure.
        if record is None:
            self._left_at_ms.pop(member, None)
        else:
            assert isinstance(record, PartnerRequest)
            self._left_at_ms[member] = record.requested_at_ms
        community = self._community_of.get(member)
        if community is not None:
            self._settle_freedom(self.communities[community], member)

    def _suggestion(self, key: str, record: Record | None) -> None:
        if record is None:
            return
        assert isinstance(record, Suggestion)
        state = self.communities[record.community]
        state.ahead.discard(key)
        if key in state.suggested:
            return
        self._remember(state, record)
        if key not in state.decided:
            if record.joins is not None:
                state.seats_asked[record.joins].add(key)
            for member in record.engages:
                state.engaged_by[member].add(key)
                self._settle_freedom(state, member)

    def _introduction(self, key: str, record: Record | None) -> None:
        if record is None:
            return
        assert isinstance(record, Introduction)
        state = self.communities[record.community]
        state.decided.add(key)
        if key not in state.suggested:
            self._remember(state, record.suggestion)
        self._note_opening(state, record.suggestion, self._who_opens(record))
        self._notice_seats(state, key, record)
        # Of a seat the newcomer alone: the others have their group, whatever becomes of it.
        for member in (*record.suggestion.engages, *record.joined):
            state.waits_anew_ms[member].pop(key, None)
            if record.engages(member):
                state.engaged_by[member].add(key)
            else:
                state.engaged_by[member].discard(key)
                state.changes += 1
                self._start_waiting_anew(state, member, record)
            self._settle_freedom(state, member)
        if record.joined:
            # They know everybody in it by now, and are never suggested to them again, nor these to them.
            everybody = tuple(sorted({*record.members, *record.joined}))
            for member in everybody:
                state.together[member].add(everybody)

    def _wish(self, topic: str, key: str, record: Record | None) -> None:
        for member in self.wishes.apply(topic, key, record):
            community = self._community_of.get(member)
            if community is not None:
                state = self.communities[community]
                state.touched.add(member)
                state.changes += 1
                self._look_again(state, member)

    # What follows

    def _as_they_told_us(self, profile: Profile) -> Profile:
        """What a member told us themselves outlives what their partner app sends."""
        sent = self._sent_looking_for.get(profile.member, profile.looking_for)
        wanted = self.wishes.looks_for(profile.member) or sent
        return profile if profile.looking_for == wanted else profile.model_copy(update={"looking_for": wanted})

    def _look_again(self, state: CommunityState, member: str) -> None:
        profile = state.profiles.get(member)
        if profile is not None:
            state.profiles[member] = self._as_they_told_us(profile)

    @staticmethod
    def _notice_seats(state: CommunityState, key: str, record: Introduction) -> None:
        if record.wants_newcomer:
            state.seats[key] = record
        else:
            state.seats.pop(key, None)
        if record.suggestion.joins is not None:
            asked = state.seats_asked[record.suggestion.joins]
            (asked.add if record.is_open else asked.discard)(key)

    def _free_seats(self, state: CommunityState, now_ms: int) -> list[FreeSeat]:
        waiting = [
            group
            for key, group in state.seats.items()
            if group.seat_from_ms is not None and group.seat_from_ms <= now_ms and not state.seats_asked.get(key)
        ]
        return [
            FreeSeat(group, profiles)
            for group in sorted(waiting, key=lambda group: (group.seat_from_ms, group.introduction))
            # Who is held for review gets to know nobody new, not by way of their group either.
            if not any(map(self.wishes.reviews.is_held, group.present))
            and len(profiles := tuple(self._profiles_of(state, group.present))) == len(group.present)
        ]

    @staticmethod
    def _profiles_of(state: CommunityState, members: Iterable[str]) -> Iterable[Profile]:
        return (state.profiles[member] for member in members if member in state.profiles)

    def _remember(self, state: CommunityState, suggestion: Suggestion) -> None:
        state.suggested[suggestion.suggestion] = suggestion.members
        state.times[suggestion.members].add(suggestion.suggestion)
        for member in suggestion.members:
            state.together[member].add(suggestion.members)
        self._note_opening(state, suggestion, suggestion.opener)

    @staticmethod
    def _who_opens(introduction: Introduction) -> str | None:
        """Who was asked to go first. Whoever left it later, or did not want to meet again, was asked all the same."""
        named = introduction.suggestion.opener
        if introduction.state is IntroductionState.PROPOSED:
            return named
        return introduction.opener or (named if named in introduction.introduced else None)

    @staticmethod
    def _note_opening(state: CommunityState, suggestion: Suggestion, opener: str | None) -> None:
        """Who is asked to go first; nobody is, and nobody is worn out, where it fell through."""
        before = state.opener_of.pop(suggestion.suggestion, None)
        if before is not None:
            state.openings[before].pop(suggestion.suggestion, None)
        if opener is not None:
            state.opener_of[suggestion.suggestion] = opener
            state.openings[opener][suggestion.suggestion] = suggestion.suggested_at_ms

    @staticmethod
    def _start_waiting_anew(state: CommunityState, member: str, introduction: Introduction) -> None:
        """Who said yes to something that fell through, or was never asked, keeps the time they waited."""
        fell_through = introduction.closing_reason not in (None, ClosingReason.SETTLED, ClosingReason.SEATED)
        never_asked = introduction.closing_reason in (ClosingReason.LEFT, ClosingReason.UNREACHABLE)
        willing = member in introduction.said_yes or (never_asked and member not in introduction.said_no)
        # Who said yes and was held for review meanwhile is told that it fell through, whatever the others made of it.
        was_set_aside = member in introduction.set_aside
        if not (fell_through and willing) and not was_set_aside:
            at_ms = (
                introduction.closed_at_ms
                or introduction.standing_since_ms
                or introduction.introduced_at_ms
                or introduction.proposed_at_ms
            )
            # Who is out of it waits on: what the others make of it later has nothing to do with them.
            if member in introduction.said_no:
                at_ms = introduction.proposed_at_ms
            elif introduction.introduced_at_ms is not None and member not in introduction.present:
                at_ms = introduction.introduced_at_ms
            state.waits_anew_ms[member][introduction.introduction] = at_ms

    def _settle_freedom(self, state: CommunityState, member: str) -> None:
        state.touched.add(member)
        profile = state.profiles.get(member)
        has_left = profile is not None and self._left_at_ms.get(member, -1) >= profile.accepted_at_ms
        if profile is not None and not has_left and not state.engaged_by.get(member):
            state.free.add(member)
        else:
            state.free.discard(member)

    @staticmethod
    def _waiting_since_ms(state: CommunityState, member: str) -> int:
        return max((state.profiles[member].accepted_at_ms, *state.waits_anew_ms.get(member, {}).values()))


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
