"""A round: everybody who is free, looked at together, and the pairs and groups that come of it.

A pure function of a snapshot, a policy and a seed: the same in, the same out, bit for
bit, in whatever order profiles were read. `propose` searches, `Round.suggestions` writes
down, `check` is called before anything is committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.matcher.arrivals import warm_up_arrivals
from services.matcher.candidates import best_candidates
from services.matcher.compatibility import graph_of
from services.matcher.graph import CompatibilityGraph
from services.matcher.grouping import Group, group, seat_those_left
from services.matcher.interests import InterestSpace
from services.matcher.leftover import LeftOver, why_left_over
from services.matcher.pairing import Pairing, pair
from services.matcher.policy import Policy
from services.matcher.postconditions import RoundInvariantError, check_suggestions
from services.matcher.reasons import Match, choose_opener, pair_anchors, suggestions_of
from services.matcher.snapshot import LOOKS_FOR_PAIR, Ints, Snapshot
from shared.community import Community
from shared.contracts import Openness, Profile, RoundReference, Suggestion, SuggestionKind
from shared.slots import SLOTS

__all__ = ["ENGINE", "LeftOver", "Match", "Round", "RoundCounts", "RoundInvariantError", "check", "propose", "warm_up"]

ENGINE = "city/3"
"""Name and version of the engine, as it stands in every suggestion's round reference."""


Tell = Callable[[str], None]
"""Is told what a round does next: one of `PHASES`."""
PHASES = ("interests", "candidates", "graph", "groups", "pairs", "seats", "left over")


@dataclass(frozen=True, slots=True)
class RoundCounts:
    """What a round did, for metrics."""

    members: int
    edges: int
    """Of the compatibility graph of those who look for a friend."""
    pairs: int
    groups: int
    members_in_pairs: int
    members_in_groups: int
    groups_without_opener: int
    openers: int
    """Members who are happy to go first and rested."""
    left_over: int
    waited_rounds_max: int
    """Of those left over: what to keep an eye on."""
    openers_short: int
    """So many more openers among those who look for a group would have given every group one."""


@dataclass(frozen=True)
class Round:
    """What a round proposes, and what it could not do."""

    snapshot: Snapshot
    policy: Policy
    seed: int
    space: InterestSpace
    graph: CompatibilityGraph
    """Of those who look for a friend: rows of the snapshot are its nodes."""
    matches: tuple[Match, ...]
    """Disjoint, sorted by their members."""
    left_over: Mapping[str, LeftOver]
    """Why not, for every member who is in no match."""
    weight: int
    """Of the pairing along the graph, before those whom it left looked again and any pair was made a trio."""
    upper_bound: int
    """No pairing along the graph of those whom groups left weighs more."""
    counts: RoundCounts
    waited: Mapping[int, int]
    """How many members had waited so many rounds in vain, before this one."""
    waited_left_over: Mapping[int, int]
    """The same of those who are left over: they wait once more."""

    def suggestions(self, community: Community, *, now_ms: int, reference: RoundReference) -> tuple[Suggestion, ...]:
        """The records of this round, in the order of `matches`."""
        return suggestions_of(
            self.matches,
            self.snapshot,
            self.space,
            self.policy,
            community=community,
            now_ms=now_ms,
            reference=reference,
        )


def propose(snapshot: Snapshot, policy: Policy, *, seed: int = 0, tell: Tell | None = None) -> Round:
    """Find pairs and groups for the members of a snapshot, each in at most one.

    Groups come first, since they are harder to bring about; a member who looks for both goes to one
    only where it is worth nearly what their best pair would be (`Policy.group_worth_percent`).
    Those who look for a friend and are left are paired for the greatest weight; those whose candidates
    were all better off with others then look at each other (`Policy.second_looks_max`). Whoever remains
    and looks for a group may take a free seat, or make a pair a trio.

    Takes time about linear in the members; holds the interpreter's lock only in parts (see
    `pairing.pair`), so call it in a thread. `seed` decides between equals.
    """
    tell = tell or _nobody
    tell("interests")
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    tell("candidates")
    candidates = best_candidates(snapshot, space, policy)
    tell("graph")
    graph = graph_of(candidates, snapshot, space, policy)
    tell("groups")
    groups = group(graph, snapshot, policy, seed=seed, space=space)
    tell("pairs")
    taken = np.zeros(snapshot.size, np.bool_)
    taken[[row for each in groups for row in each.members]] = True
    pairing = _paired(graph.without(taken), policy, seed)
    mate = _look_again(pairing.mate, taken, snapshot, space, policy, seed)
    tell("seats")
    groups, mate = seat_those_left(groups, mate, snapshot, policy, space=space)
    tell("left over")

    can_open = snapshot.openers(policy.goes_first_min, policy.opener_load_max)
    matches = _matches(groups, mate, snapshot, space, policy)
    left = np.ones(snapshot.size, np.bool_)
    left[[row for match in matches for row in match.members]] = False
    rows = np.flatnonzero(left).astype(np.int32)
    why = why_left_over(snapshot, rows, policy)
    return Round(
        snapshot=snapshot,
        policy=policy,
        seed=seed,
        space=space,
        graph=graph,
        matches=matches,
        left_over=MappingProxyType({snapshot.ids[row]: reason for row, reason in zip(rows.tolist(), why, strict=True)}),
        weight=pairing.weight,
        upper_bound=pairing.upper_bound,
        counts=_counts(snapshot, graph, matches, rows, can_open),
        waited=_distribution(snapshot.members["waited_rounds"]),
        waited_left_over=_distribution(snapshot.members["waited_rounds"][rows]),
    )


def check(round_or_suggestions: Round | Sequence[Suggestion], snapshot: Snapshot, policy: Policy | None = None) -> None:
    """Raise `RoundInvariantError` unless a round, or the suggestions made of it, may be committed.

    Give the policy that the round was proposed with; a `Round` brings its own.
    """
    if isinstance(round_or_suggestions, Round):
        found = round_or_suggestions
        nobody = RoundReference(round="", seed=found.seed, engine=ENGINE, offsets={})
        records = found.suggestions(snapshot.community, now_ms=snapshot.now_ms, reference=nobody)
        in_matches = {row for match in found.matches for row in match.members}
        if {snapshot.ids[row] for row in in_matches} ^ set(snapshot.ids) != set(found.left_over):
            raise RoundInvariantError("every member must be in a match or be told why not")
        check_suggestions(records, snapshot, found.policy)
    else:
        check_suggestions(round_or_suggestions, snapshot, policy or Policy())


def warm_up(tell: Tell | None = None) -> None:
    """Compile everything a round needs on a made-up community, so that the first real round is quick.

    Takes a minute or so once, and a second when it is in the cache (`services.matcher.compiled`).
    `tell` hears what is compiled next.
    """
    tell = tell or _nobody
    community = Community(
        community="warm-up", name="Warm-up", time_zone="UTC", latitude=0, longitude=0, country="GB",
        sender="nobody@example.org", sender_name="Nobody", agreement=(),
    )  # fmt: skip
    people = [
        Profile(
            community="warm-up", member=f"m_{number:02d}", partner="", birth_year=1990, languages=("en",), place="",
            latitude=0, longitude=0, travel_km=5, interests=("a", "b") if number % 2 else ("a",), life_topics=(),
            openness=Openness(shares=3, listens=3, goes_first=5 if number % 5 == 0 else 1, depth=3),
            available=SLOTS, looking_for=("friend",) if number % 3 else ("friend", "group"), accepted_at_ms=0,
        )
        for number in range(21)
    ]  # fmt: skip
    snapshot = Snapshot.of(community, people, now_ms=1_700_000_000_000, waited_rounds={}, opener_load={})
    for policy in (Policy(), Policy(exact_component_members_max=0)):
        found = propose(snapshot, policy, tell=tell)
        tell("reasons")
        check(found, snapshot)
        why_left_over(snapshot, np.arange(snapshot.size, dtype=np.int32), policy)
        mate = np.full(snapshot.size, -1, np.int32)
        mate[[0, 3]] = 3, 0  # a pair who both look for a group too, and somebody left to join them
        seat_those_left((), mate, snapshot, policy, space=found.space)
    tell("arrivals")
    warm_up_arrivals(people, snapshot)


def _paired(graph: CompatibilityGraph, policy: Policy, seed: int) -> Pairing:
    return pair(
        graph,
        seed=seed,
        exact_component_members_max=policy.exact_component_members_max,
        improvement_rounds_max=policy.improvement_rounds_max,
    )


def _look_again(
    mate: Ints, taken: NDArray[np.bool_], snapshot: Snapshot, space: InterestSpace, policy: Policy, seed: int
) -> Ints:
    """Pair those who are neither in a group nor paired among each other, as long as anybody is.

    In a big city the same few are among the best of many: whoever is among nobody's can lose all of
    theirs to others, although hundreds live near by who would be glad of them.
    """
    mate = mate.copy()
    for _ in range(policy.second_looks_max):
        alone = (mate < 0) & ~taken & (snapshot.members["looks_for"] & LOOKS_FOR_PAIR != 0)
        rows = np.flatnonzero(alone).astype(np.int32)
        found = np.full((snapshot.size, policy.candidates_per_member), -1, np.int32)
        if len(rows) > 1:
            found[rows] = best_candidates(snapshot, space, policy, among=rows)
        if not (found >= 0).any():
            break
        more = _paired(graph_of(found, snapshot, space, policy), policy, seed).mate
        mate[rows] = more[rows]
    return mate


def _matches(
    groups: tuple[Group, ...], mate: Ints, snapshot: Snapshot, space: InterestSpace, policy: Policy
) -> tuple[Match, ...]:
    can_open = snapshot.openers(policy.goes_first_min, policy.opener_load_max)
    can_open_pairs = snapshot.openers(policy.goes_first_min, policy.opener_load_of_pairs_max)
    matches = [
        Match(
            each.members,
            SuggestionKind.GROUP,
            choose_opener(snapshot, can_open, each.members),
            each.anchor_kind,
            each.anchor,
        )
        for each in groups
    ]
    one = np.flatnonzero(mate > np.arange(len(mate))).astype(np.int32)
    pairs = np.stack([one, mate[one]], axis=1)
    anchors = pair_anchors(snapshot, space.holders, pairs)
    for rows, anchor in zip(pairs.tolist(), anchors, strict=True):
        opener = choose_opener(snapshot, can_open_pairs, rows)
        matches.append(Match(tuple(rows), SuggestionKind.PAIR, opener, *anchor))
    return tuple(sorted(matches, key=lambda match: match.members))


def _nobody(_phase: str) -> None:
    return None


def _distribution(values: NDArray[np.int32]) -> Mapping[int, int]:
    kind, number = np.unique(values, return_counts=True)
    return MappingProxyType(dict(zip(kind.tolist(), number.tolist(), strict=True)))


def _counts(
    snapshot: Snapshot,
    graph: CompatibilityGraph,
    matches: tuple[Match, ...],
    left: Ints,
    can_open: NDArray[np.bool_],
) -> RoundCounts:
    number = Counter(match.kind for match in matches)
    in_groups = sum(len(match.members) for match in matches if match.kind is SuggestionKind.GROUP)
    openerless = sum(match.kind is SuggestionKind.GROUP and match.opener is None for match in matches)
    return RoundCounts(
        members=snapshot.size,
        edges=graph.number_of_edges(),
        pairs=number[SuggestionKind.PAIR],
        groups=number[SuggestionKind.GROUP],
        members_in_pairs=2 * number[SuggestionKind.PAIR],
        members_in_groups=in_groups,
        groups_without_opener=openerless,
        openers=int(can_open.sum()),
        left_over=len(left),
        waited_rounds_max=int(snapshot.members["waited_rounds"][left].max(initial=0)),
        openers_short=openerless,
    )
