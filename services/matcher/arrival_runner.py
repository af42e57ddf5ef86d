"""Serves newcomers between rounds: takes note of who came, asks the index, commits like a round.

=========  ======================================================================
take note  on the event loop: who came, who became free or engaged since last time
search     in a thread: each newcomer's best free partner, one after the other
evaluate   on the event loop: who is still free is written down, and checked anew
commit     all of them in one transaction as master of the partition
=========  ======================================================================

Whoever is not served is not asked about again: they are part of the next round.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from services.matcher.arrivals import ENGINE, Arrivals, newcomers_first
from services.matcher.policy import Policy
from services.matcher.postconditions import RoundInvariantError
from services.matcher.replay import digest_of, reference_for, snapshot_for
from services.matcher.settings import MatcherSettings
from services.matcher.state import CommunityState, MatcherState
from shared import topics
from shared.clock import Clock
from shared.community import Community
from shared.contracts import RoundReference, Suggestion
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.transactions import MastershipLost
from shared.logs import logger
from shared.metrics import MatcherMetrics
from shared.outgoing import outgoing

log = logger(__name__)


@dataclass(slots=True)
class _Kept:
    """The index of a community, and the moment at which it was built."""

    arrivals: Arrivals
    partition: MasteredPartition[MatcherState]
    community: str
    built: RoundReference


class ArrivalRunner:
    """Looks after newcomers in the communities of our partitions, if the settings say so."""

    def __init__(
        self,
        mastership: Mastership[MatcherState],
        settings: MatcherSettings,
        metrics: MatcherMetrics,
        clock: Clock,
    ) -> None:
        self._mastership = mastership
        self._settings = settings
        self._policy: Policy = settings.policy
        self._metrics = metrics
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def serve(self, partition: MasteredPartition[MatcherState], community: Community) -> None:
        """Serve those who came since the last time, as many at once as the settings allow."""
        state = partition.state.communities[community.community]
        if not self._settings.arrivals_at_once_max:
            state.newcomers.clear()
            state.touched.clear()
            return
        if not state.newcomers or state.ahead or not partition.is_master:
            return
        try:
            kept = await self._index(partition, community, state)
            pairs = await self._search(partition.state, community, state, kept)
            await self._commit(partition, community, state, kept, pairs)
        except MastershipLost as lost:
            self._kept.pop(community.community, None)
            log.warning("arrivals_lost", community=community.community, reason=str(lost))

    async def _index(
        self, partition: MasteredPartition[MatcherState], community: Community, state: CommunityState
    ) -> _Kept:
        """The index, up to date; built anew where there is none, or no room in it."""
        kept = self._kept.get(community.community)
        if kept is not None and kept.partition is partition and self._bring_up_to_date(partition.state, kept, state):
            return kept
        now_ms = self._clock()
        seen = partition.state.round_input(
            community.community, now_ms, opener_window_ms=self._opener_window_ms, members=list(state.profiles)
        )
        free = {member for member in state.free if partition.state.is_free(community.community, member, now_ms)}
        state.touched = state.free - free  # who is paused may be back without a word
        built = self._reference(partition, community, now_ms)
        began = perf_counter()
        arrivals = await asyncio.to_thread(
            lambda: Arrivals(snapshot_for(community, seen, built), seen.profiles, free, self._policy)
        )
        log.info(
            "arrivals_indexed",
            community=community.community,
            members=len(seen.profiles),
            milliseconds=round((perf_counter() - began) * 1000),
        )
        kept = self._kept[community.community] = _Kept(arrivals, partition, community.community, built)
        self._bring_up_to_date(partition.state, kept, state)
        return kept

    def _bring_up_to_date(self, state: MatcherState, kept: _Kept, community: CommunityState) -> bool:
        """Take in what has changed; false if there is no room for it."""
        name, now_ms = kept.community, self._clock()
        free = [member for member in community.touched if state.is_free(name, member, now_ms)]
        for member in community.touched.difference(free):
            kept.arrivals.engage(member)
        seen = state.round_input(name, now_ms, opener_window_ms=0, members=free)
        round_ms = kept.built.waiting_round_seconds * 1000
        for profile in seen.profiles:
            waited_ms = max(0, kept.built.now_ms - seen.waiting_since_ms[profile.member])
            if not kept.arrivals.release(profile, int(waited_ms // round_ms)):
                return False
        # Who is paused is free again without a word when the time comes, so they are looked at again.
        community.touched = {member for member in community.touched.difference(free) if member in community.free}
        return True

    async def _search(
        self, state: MatcherState, community: Community, known: CommunityState, kept: _Kept
    ) -> list[tuple[str, str]]:
        newcomers = newcomers_first(
            known.profiles, [member for member in known.newcomers if kept.arrivals.is_free(member)]
        )
        known.newcomers.clear()
        served, crowd = newcomers[: self._settings.arrivals_at_once_max], len(newcomers)
        self._metrics.arrivals.labels("crowd").inc(max(0, crowd - len(served)))
        never = {member: state.never_again(community.community, member) for member in served}

        def look() -> list[tuple[str, str]]:
            pairs = []
            for member in served:
                if not kept.arrivals.is_free(member):
                    continue  # an earlier one's partner
                began = perf_counter()
                partner = kept.arrivals.best_partner(member, never[member])
                self._metrics.arrival_seconds.observe(perf_counter() - began)
                if partner.member is not None and partner.is_good_enough(self._policy):
                    pairs.append((member, partner.member))
                    kept.arrivals.engage(member)
                    kept.arrivals.engage(partner.member)
                else:
                    self._metrics.arrivals.labels("waits").inc()
            return pairs

        return await asyncio.to_thread(look)

    async def _commit(
        self,
        partition: MasteredPartition[MatcherState],
        community: Community,
        known: CommunityState,
        kept: _Kept,
        pairs: list[tuple[str, str]],
    ) -> None:
        made = []
        for one, other in pairs:
            # Whatever comes of it, the index looks at them again.
            known.touched.update((one, other))
            suggestion = self._suggestion(partition, community, known, kept, one, other)
            if suggestion is not None:
                made.append(suggestion)
        if not made:
            return
        await self._mastership.commit(
            partition, topics.SUGGESTIONS.name, [outgoing(topics.SUGGESTIONS, each) for each in made]
        )
        for each in made:
            partition.state.apply_ahead(each)
            self._metrics.suggestions.labels(each.kind).inc()
            self._metrics.arrivals.labels("served").inc()
            self._metrics.waited_seconds.observe(each.waited_ms / 1000)
        log.info("arrivals_served", community=community.community, suggestions=len(made))

    def _suggestion(
        self,
        partition: MasteredPartition[MatcherState],
        community: Community,
        known: CommunityState,
        kept: _Kept,
        one: str,
        other: str,
    ) -> Suggestion | None:
        """What is suggested to two; `None` if that is not right any more."""
        now_ms, state, name = self._clock(), partition.state, community.community
        if not (state.is_free(name, one, now_ms) and state.is_free(name, other, now_ms)):
            self._metrics.arrivals.labels("gone").inc()
            return None
        three = {one, other, kept.arrivals.between(one, other)} & known.profiles.keys()
        seen = state.round_input(name, now_ms, opener_window_ms=self._opener_window_ms, members=sorted(three))
        reference = self._reference(partition, community, now_ms)
        pair = snapshot_for(community, seen, reference)
        try:
            return kept.arrivals.suggestion(
                pair, one, other, reference.model_copy(update={"snapshot": digest_of(pair)})
            )
        except RoundInvariantError as error:
            self._metrics.arrivals.labels("failed").inc()
            log.error("arrival_refused", community=name, reason=str(error))
            return None

    def _reference(
        self, partition: MasteredPartition[MatcherState], community: Community, now_ms: int
    ) -> RoundReference:
        return reference_for(
            community,
            self._policy,
            offsets=partition.applied,
            seed=self._settings.seed,
            now_ms=now_ms,
            waiting_round_seconds=self._settings.waiting_round_seconds,
            opener_window_ms=self._opener_window_ms,
            engine=ENGINE,
        )

    @property
    def _opener_window_ms(self) -> int:
        return self._settings.opener_window_ms
