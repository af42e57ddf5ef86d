"""Newcomers between rounds: how quickly the best free partner is found, how good, and what serving at once costs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter, thread_time

from benchmarks.city import LONDON, NOW_MS, people
from benchmarks.figures import Figure, Findings, percentile, spread
from services.matcher.arrivals import Arrivals, Partner
from services.matcher.policy import Policy
from services.matcher.round import propose, warm_up
from services.matcher.snapshot import Snapshot
from shared.contracts import Profile, RoundReference

MILLISECONDS_MAX = 5.0
_NO_REFERENCE = RoundReference(round="", seed=0, engine="", offsets={})
_SHARES = (0, 90, 95, 98)
"""Percent of the best that anybody would be worth, from which a newcomer is served at once."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many members, how many newcomers, and how long the town is watched."""

    members: int = 100_000
    newcomers: int = 1_000
    rounds: int = 3
    town_members: int = 4_000
    town_rounds: int = 8
    town_newcomers: int = 250


QUICK = Bounds(members=3_000, newcomers=50, rounds=1, town_members=400, town_rounds=2, town_newcomers=40)


@dataclass(slots=True)
class _Found:
    milliseconds: list[float]
    partners: list[Partner]


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Ask two indexes the same, one of which looks at everybody in reach; then watch a town, served in several ways."""
    warm_up()
    figures = [
        *_search_figures(bounds, 1, tell),
        *_search_figures(bounds, 20, tell),
        *_town_figures(bounds, tell),
    ]
    return Findings(
        "arrivals",
        f"a newcomer among {bounds.members:,} members gets the best free partner, from an index kept up to date",
        tuple(figures),
        (
            "Ours: taking the newcomer in and looking for the partner, and for the best of all members beside; "
            "processor time, so that neighbours on the machine do not count. "
            f"Needed: p99 below {MILLISECONDS_MAX:g} ms. Building the index is not counted, and happens once for many.",
            "Bare: the same compiled comparison with everybody in reach, no index by interest.",
            "Town: pairs only; so many newcomers come between rounds. Score: the mean of all pairs there were, rounds' "
            "and arrivals', over that of rounds alone; suggested: how many members were, likewise.",
        ),
    )


def _search_figures(bounds: Bounds, one_free_of: int, tell: Callable[[str], None]) -> list[Figure]:
    everybody = people(bounds.members + bounds.newcomers)
    members, newcomers = everybody[: bounds.members], everybody[bounds.members :]
    free = {each.member for each in members[::one_free_of]}
    snapshot = _snapshot(members)
    began = perf_counter()
    ours = Arrivals(snapshot, members, free, Policy())
    tell(f"built in {perf_counter() - began:.1f} s")
    bare = Arrivals(snapshot, members, free, Policy(scanned_members_max=bounds.members))
    gc.collect()
    gc.freeze()  # as every service does
    asked = [each for each in newcomers if "friend" in each.looking_for]
    medians, p99s, bare_medians, bare_p99s = [], [], [], []
    totals, bare_totals = [], []
    for number in range(bounds.rounds):
        part = asked[number :: bounds.rounds]
        one, other = _serve(ours, part), _serve(bare, part)
        medians.append(median(one.milliseconds))
        p99s.append(percentile(one.milliseconds, 0.99))
        bare_medians.append(median(other.milliseconds))
        bare_p99s.append(percentile(other.milliseconds, 0.99))
        totals.append(sum(each.total for each in one.partners))
        bare_totals.append(sum(each.total for each in other.partners))
        tell(f"one in {one_free_of} free: median {medians[-1]:.2f} ms, p99 {p99s[-1]:.2f} ms")
    which = "all free" if one_free_of == 1 else f"one in {one_free_of} free"
    return [
        Figure(f"{which}: median", "ms", spread(medians), spread(bare_medians)),
        Figure(f"{which}: p99", "ms", spread(p99s), spread(bare_p99s), at_most=MILLISECONDS_MAX),
        Figure(f"{which}: score of the partners", "sum", spread(totals), spread(bare_totals), needed=0.98),
    ]


def _serve(index: Arrivals, newcomers: Sequence[Profile]) -> _Found:
    found = _Found([], [])
    for each in newcomers:
        began = thread_time()
        index.release(each, 0)
        partner = index.best_partner(each.member)
        found.milliseconds.append((thread_time() - began) * 1000)
        found.partners.append(partner)
        index.engage(each.member)
    return found


def _town_figures(bounds: Bounds, tell: Callable[[str], None]) -> list[Figure]:
    count = bounds.town_members + bounds.town_rounds * bounds.town_newcomers
    pairs = [each.model_copy(update={"looking_for": ("friend",)}) for each in people(count, interests=400, seed=9)]
    rounds_alone = _town(bounds, pairs, None)
    figures = []
    for share in _SHARES:
        served = _town(bounds, pairs, share)
        tell(f"from {share} %: {served}")
        figures += [
            Figure(f"town, served from {share} %: at once", "share", spread([served.at_once])),
            Figure(f"town, served from {share} %: score", "mean", spread([served.score]), spread([rounds_alone.score])),
            Figure(
                f"town, served from {share} %: suggested",
                "members",
                spread([served.suggested]),
                spread([rounds_alone.suggested]),
            ),
        ]
    return figures


@dataclass(frozen=True, slots=True)
class _Served:
    at_once: float
    """Share of the newcomers who were suggested to somebody as soon as they came."""
    score: float
    suggested: int


def _town(bounds: Bounds, pairs: Sequence[Profile], share: int | None) -> _Served:
    """A town over some rounds, with newcomers between them, served at once from a share of the best; or never."""
    policy = Policy(arrival_worth_percent=share or 0)
    known = list(pairs[: bounds.town_members])
    coming = iter(pairs[bounds.town_members :])
    waiting = {each.member: (each, 0) for each in known}
    scores: list[float] = []
    at_once = 0
    for number in range(bounds.town_rounds + 1):
        free = [each for each, _ in waiting.values()]
        waited = {member: rounds for member, (_, rounds) in waiting.items()}
        found = propose(_snapshot(free, waited), policy)
        for made in found.suggestions(LONDON, now_ms=NOW_MS, reference=_NO_REFERENCE):
            scores.append(made.score.total)
            for member in made.members:
                del waiting[member]
        if number == bounds.town_rounds:
            break
        waiting = {member: (each, rounds + 1) for member, (each, rounds) in waiting.items()}
        index = Arrivals(_snapshot(known), known, set(), policy) if share is not None else None
        if index is not None:
            for each, rounds in waiting.values():
                index.release(each, rounds)
        for each in [each for _, each in zip(range(bounds.town_newcomers), coming, strict=False)]:
            known.append(each)
            waiting[each.member] = (each, 0)
            if index is None:
                continue
            index.release(each, 0)
            partner = index.best_partner(each.member)
            if partner.member is not None and partner.is_good_enough(policy):
                scores.append(partner.total)
                at_once += 1
                for member in (each.member, partner.member):
                    index.engage(member)
                    del waiting[member]
    return _Served(at_once / (bounds.town_rounds * bounds.town_newcomers), mean(scores), 2 * len(scores))


def _snapshot(members: Sequence[Profile], waited: dict[str, int] | None = None) -> Snapshot:
    return Snapshot.of(LONDON, members, now_ms=NOW_MS, waited_rounds=waited or {}, opener_load={})
