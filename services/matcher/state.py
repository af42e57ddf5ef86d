"""What the matcher knows of the communities in one partition: a fold over the topics, and nothing else.

The order in which topics are read plays no part: what follows from two of them
together (who is free, who has met whom) is worked out from maps that each topic
fills by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from shared import topics
from shared.contracts import (
    ClosingReason,
    Introduction,
    PartnerRequest,
    Preference,
    Profile,
    Record,
    Suggestion,
    Unreachable,
)

Members = tuple[str, ...]

READS = (
    topics.PROFILES,
    topics.PARTNER_REQUESTS,
    topics.SUGGESTIONS,
    topics.INTRODUCTIONS,
    topics.PREFERENCES,
    topics.UNREACHABLE,
)


@dataclass(slots=True)
class RoundInput:
    """What a round needs to know of a community, taken at one moment."""

    profiles: list[Profile]
    """Of those who are free."""
    waiting_since_ms: dict[str, int]
    times_together: dict[Members, int]
    """Who was suggested together before, how often; at least one of them is free now."""
    opener_load: dict[str, int]


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
    openings: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """By opener: when each of their suggestions was made, milliseconds."""
    waits_anew_ms: dict[str, int] = field(default_factory=dict)
    """By member: since when they wait again, after an introduction that was not for them or has run its course."""
    changes: int = 0
    """How much has happened since the last round that may make another one worth while."""


class MatcherState:
    """The fold for one partition: its communities."""

    def __init__(self) -> None:
        self.communities: defaultdict[str, CommunityState] = defaultdict(CommunityState)
        self._community_of: dict[str, str] = {}
        self._left_at_ms: dict[str, int] = {}
        self._away: dict[str, dict[str, Preference]] = defaultdict(dict)
        self._unreachable: set[str] = set()
        self._apply: dict[str, Callable[[str, Record | None], None]] = {
            topics.PROFILES.name: self._profile,
            topics.PARTNER_REQUESTS.name: self._partner_request,
            topics.SUGGESTIONS.name: self._suggestion,
            topics.INTRODUCTIONS.name: self._introduction,
            topics.PREFERENCES.name: self._preference,
            topics.UNREACHABLE.name: self._reachability,
        }

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Take in one record; `None` is a tombstone. In O(members of the record)."""
        self._apply[topic](key, record)

    def is_free(self, community: str, member: str, now_ms: int) -> bool:
        """Whether a member could be suggested now."""
        return member in self.communities[community].free and not self._is_away(member, now_ms)

    def round_input(self, community: str, now_ms: int, *, opener_window_ms: int) -> RoundInput:
        """All that a round sees of a community, in O(free members + what they had before)."""
        state = self.communities[community]
        free = [member for member in state.free if not self._is_away(member, now_ms)]
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
        )

    # One topic each

    def _profile(self, member: str, record: Record | None) -> None:
        if record is None:
            community = self._community_of.pop(member, None)
            if community is not None:
                state = self.communities[community]
                state.profiles.pop(member, None)
                state.free.discard(member)
            return
        assert isinstance(record, Profile)
        self._community_of[member] = record.community
        state = self.communities[record.community]
        known = state.profiles.get(member)
        if known is not None:
            # An update does not start the waiting over; only what has happened since does.
            record = record.model_copy(update={"accepted_at_ms": min(known.accepted_at_ms, record.accepted_at_ms)})
        state.profiles[member] = record
        state.changes += 1
        self._settle_freedom(state, member)

    def _partner_request(self, member: str, record: Record | None) -> None:
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
        if key in state.suggested:
            return
        self._remember(state, record)
        if key not in state.decided:
            for member in record.members:
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
        for member in record.members:
            if record.engages(member):
                state.engaged_by[member].add(key)
            else:
                state.engaged_by[member].discard(key)
                state.changes += 1
                self._start_waiting_anew(state, member, record)
            self._settle_freedom(state, member)

    def _preference(self, key: str, record: Record | None) -> None:
        member, _, kind = key.partition("/")
        if record is None:
            self._away[member].pop(kind, None)
        else:
            assert isinstance(record, Preference)
            self._away[member][kind] = record

    def _reachability(self, member: str, record: Record | None) -> None:
        assert record is None or isinstance(record, Unreachable)
        if record is None:
            self._unreachable.discard(member)
        else:
            self._unreachable.add(member)

    # What follows

    def _remember(self, state: CommunityState, suggestion: Suggestion) -> None:
        state.suggested[suggestion.suggestion] = suggestion.members
        state.times[suggestion.members].add(suggestion.suggestion)
        for member in suggestion.members:
            state.together[member].add(suggestion.members)
        if suggestion.opener is not None:
            state.openings[suggestion.opener][suggestion.suggestion] = suggestion.suggested_at_ms

    @staticmethod
    def _start_waiting_anew(state: CommunityState, member: str, introduction: Introduction) -> None:
        """Who said yes to something that fell through, or was never asked, keeps the time they waited."""
        fell_through = introduction.closing_reason not in (None, ClosingReason.SETTLED)
        never_asked = introduction.closing_reason in (ClosingReason.LEFT, ClosingReason.UNREACHABLE)
        willing = member in introduction.said_yes or (never_asked and member not in introduction.said_no)
        if not (fell_through and willing):
            at_ms = introduction.closed_at_ms or introduction.proposed_at_ms
            state.waits_anew_ms[member] = max(at_ms, state.waits_anew_ms.get(member, 0))

    def _settle_freedom(self, state: CommunityState, member: str) -> None:
        profile = state.profiles.get(member)
        has_left = profile is not None and self._left_at_ms.get(member, -1) >= profile.accepted_at_ms
        if profile is not None and not has_left and not state.engaged_by.get(member):
            state.free.add(member)
        else:
            state.free.discard(member)

    def _is_away(self, member: str, now_ms: int) -> bool:
        return member in self._unreachable or any(
            preference.holds_at(now_ms) for preference in self._away.get(member, {}).values()
        )

    @staticmethod
    def _waiting_since_ms(state: CommunityState, member: str) -> int:
        return max(state.profiles[member].accepted_at_ms, state.waits_anew_ms.get(member, 0))
