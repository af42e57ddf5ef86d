"""Runs rounds: when one is due, on what it sees, and how it is committed.

Propose, evaluate, commit, each on its own:

=========  ======================================================================
snapshot   on the event loop, at once: who is free, and the offsets seen so far
propose    in a thread: a pure function of the snapshot, the policy and a seed,
           all of which go on record with the suggestions (`services.matcher.replay`)
evaluate   on the event loop: drop what has ceased to be right while we computed
commit     one Kafka transaction as master of the partition; fenced if we are not
=========  ======================================================================
"""

from __future__ import annotations

import asyncio
from collections import Counter
from time import perf_counter

import numpy as np

from services.matcher.arrival_runner import ArrivalRunner
from services.matcher.leftover import LeftOver
from services.matcher.postconditions import RoundInvariantError
from services.matcher.replay import reference_for, run
from services.matcher.round import Round
from services.matcher.settings import MatcherSettings
from services.matcher.state import MatcherState, RoundInput
from shared import topics
from shared.clock import Clock
from shared.community import Communities, Community
from shared.contracts import Suggestion, SuggestionKind
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.transactions import MastershipLost
from shared.logs import logger
from shared.metrics import WAITED_SHARES, MatcherMetrics
from shared.outgoing import outgoing
from shared.topics import partition_of

log = logger(__name__)

ROUND_MEMBERS_MIN = 2


class RoundRunner:
    """Looks after the communities of the partitions that this instance is master of."""

    def __init__(
        self,
        mastership: Mastership[MatcherState],
        communities: Communities,
        settings: MatcherSettings,
        metrics: MatcherMetrics,
        clock: Clock,
        *,
        partitions: int,
    ) -> None:
        self._mastership = mastership
        self._communities = communities
        self._settings = settings
        self._policy = settings.policy
        self._metrics = metrics
        self._clock = clock
        self._partitions = partitions
        self._arrivals = ArrivalRunner(mastership, settings, metrics, clock)
        self._begun_at_ms: dict[str, int] = {}

    async def run(self) -> None:
        """Run rounds for ever, one at a time: each uses all cores by itself."""
        pause_seconds = min(0.05, self._settings.round_interval_seconds / 10)
        while True:
            for partition in self._mastership.masters():
                await self._acknowledge_erasures(partition)
                for community in self._communities.values():
                    if partition_of(community.community, self._partitions) == partition.number:
                        await self._run_if_due(partition, community)
                        await self._arrivals.serve(partition, community)
            await asyncio.sleep(pause_seconds)

    async def _acknowledge_erasures(self, partition: MasteredPartition[MatcherState]) -> None:
        """Say who is forgotten: here no round is running, so none that still knows them is."""
        erased = partition.state.erased
        now_ms = self._clock()
        done = [erased.acknowledgement(community, member, now_ms) for community, member in erased.unacknowledged()]
        if not done or not partition.is_master:
            return
        try:
            await self._mastership.commit(
                partition, topics.SUGGESTIONS.name, [outgoing(topics.ERASURES, one) for one in done]
            )
        except MastershipLost as lost:
            log.warning("erasures_not_acknowledged", partition=partition.number, reason=str(lost))
            return
        for one in done:
            partition.state.apply(topics.ERASURES.name, one.key, one)
        log.info("members_erased", members=len(done))

    async def _run_if_due(self, partition: MasteredPartition[MatcherState], community: Community) -> None:
        state = partition.state.communities[community.community]
        since_ms = self._clock() - self._begun_at_ms.get(community.community, 0)
        interval_over = since_ms >= self._settings.round_interval_seconds * 1000
        wait_has_grown = since_ms >= self._settings.waiting_round_seconds * 1000
        due = (
            wait_has_grown or (interval_over and state.changes > 0) or state.changes >= self._settings.round_changes_max
        )
        # What we committed last must have come back from the topic: only then do the offsets on record
        # tell the whole state, so that the round can be run again from them. It takes milliseconds.
        if not due or not partition.is_master or state.ahead:
            return
        self._begun_at_ms[community.community] = self._clock()
        state.changes = 0
        try:
            await self._round(partition, community)
        except MastershipLost as lost:
            self._metrics.rounds.labels("lost").inc()
            log.warning("round_lost", community=community.community, reason=str(lost))
        except RoundInvariantError as error:
            # Better no suggestion than a wrong one. The next snapshot is another one; if that
            # goes on, `matcher_rounds{outcome="failed"}` says so.
            self._metrics.rounds.labels("failed").inc()
            log.error("round_refused", community=community.community, reason=str(error))

    async def _round(self, partition: MasteredPartition[MatcherState], community: Community) -> None:
        now_ms = self._clock()
        with self._metrics.round_seconds.labels("snapshot").time():
            seen = partition.state.round_input(
                community.community, now_ms, opener_window_ms=self._settings.opener_window_ms
            )
        known = partition.state.communities[community.community]
        known.newcomers.clear()  # the round looks at them
        self._metrics.members.labels(community.community).set(len(known.profiles))
        self._metrics.waiting.labels(community.community).set(len(seen.profiles))
        # Who was never suggested anything is free, or away: nothing else could have engaged them.
        never = sum(profile.member not in known.together for profile in seen.profiles)
        self._metrics.never_suggested.labels(community.community).set(never / max(1, len(known.profiles)))
        if len(seen.profiles) < (1 if seen.seats else ROUND_MEMBERS_MIN):
            self._metrics.rounds.labels("empty").inc()
            return
        reference = reference_for(
            community,
            self._policy,
            offsets=partition.applied,
            seed=self._settings.seed,
            now_ms=now_ms,
            waiting_round_seconds=self._settings.waiting_round_seconds,
            opener_window_ms=self._settings.opener_window_ms,
        )
        began = perf_counter()
        round_, suggestions = await asyncio.to_thread(run, community, seen, self._policy, reference)
        self._metrics.round_seconds.labels("propose").observe(perf_counter() - began)
        standing = self._evaluate(partition.state, suggestions)
        self._report(community, round_)
        if not standing:
            self._metrics.rounds.labels("empty").inc()
            return
        with self._metrics.round_seconds.labels("commit").time():
            await self._mastership.commit(
                partition, topics.SUGGESTIONS.name, [outgoing(topics.SUGGESTIONS, item) for item in standing]
            )
        for suggestion in standing:
            partition.state.apply_ahead(suggestion)
        self._count(standing, seen, now_ms)
        log.info(
            "round_committed",
            community=community.community,
            round=reference.round,
            free=len(seen.profiles),
            suggestions=len(standing),
            dropped=len(suggestions) - len(standing),
            milliseconds=round((perf_counter() - began) * 1000),
        )

    def _evaluate(self, state: MatcherState, suggestions: tuple[Suggestion, ...]) -> list[Suggestion]:
        """Keep what still stands: while the round was computed, a member may have left or paused."""
        now_ms = self._clock()
        return [
            suggestion
            for suggestion in suggestions
            if all(state.is_free(suggestion.community, member, now_ms) for member in suggestion.engages)
        ]

    def _report(self, community: Community, round_: Round) -> None:
        left_over = Counter(round_.left_over.values())
        for reason in LeftOver:
            self._metrics.left_over.labels(community.community, reason).set(left_over[reason])
        waited = round_.snapshot.members["waited_rounds"]
        for share in WAITED_SHARES:
            rounds = float(np.quantile(waited, share, method="nearest"))
            self._metrics.waited_rounds.labels(community.community, f"{share:g}").set(rounds)
        if round_.upper_bound > 0:
            self._metrics.quality.labels(community.community).set(round_.weight / round_.upper_bound)

    def _count(self, standing: list[Suggestion], seen: RoundInput, now_ms: int) -> None:
        self._metrics.rounds.labels("committed").inc()
        for suggestion in standing:
            self._metrics.suggestions.labels(suggestion.kind).inc()
            if suggestion.kind is SuggestionKind.GROUP and suggestion.opener is None:
                self._metrics.without_opener.inc()
            for member in suggestion.engages:
                self._metrics.waited_seconds.observe((now_ms - seen.waiting_since_ms[member]) / 1000)
