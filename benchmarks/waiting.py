"""Who waits: sixty rounds of a community that people join and come back to, and how long they waited in vain.

Not a picture of real people: everybody says yes to six of ten suggestions by lot, and is back three
weeks after a yes from all. What it shows is whom the engine leaves waiting, all else being equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.city import LONDON, NOW_MS, people
from benchmarks.figures import Figure, Findings, percentile, spread
from services.matcher.policy import Policy
from services.matcher.round import propose
from services.matcher.snapshot import Snapshot
from shared.contracts import Profile

Tell = Callable[[str], None]

DAY_MS = 86_400_000
YES_SHARE = 0.6
PEACE_ROUNDS = 21
OPENER_WINDOW_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Bounds:
    at_first: int = 2_000
    joining_a_round: int = 40
    rounds: int = 60


QUICK = Bounds(at_first=200, joining_a_round=10, rounds=8)


@dataclass(slots=True)
class _Community:
    """Who is there, and what they have been through."""

    waited: dict[str, int] = field(default_factory=dict)
    """In vain, since they joined or were last suggested something."""
    back_in_round: dict[str, int] = field(default_factory=dict)
    suggested: set[str] = field(default_factory=set)
    history: Counter[tuple[str, ...]] = field(default_factory=Counter)
    opened_in_round: dict[str, list[int]] = field(default_factory=dict)
    waits: list[int] = field(default_factory=list)
    """Rounds waited, for every suggestion and member."""
    loads: Counter[int] = field(default_factory=Counter)


def run(bounds: Bounds, tell: Tell) -> Findings:
    everybody = people(bounds.at_first + bounds.joining_a_round * bounds.rounds, seed=11)
    here, joining = everybody[: bounds.at_first], everybody[bounds.at_first :]
    draw = np.random.default_rng(3)
    community = _Community()
    openerless = groups = 0
    for number in range(bounds.rounds):
        tell(f"round {number + 1} of {bounds.rounds}, {len(here):,} people")
        made, without = _round(community, here, number, draw)
        groups, openerless = groups + made, openerless + without
        here = here + joining[: bounds.joining_a_round]
        joining = joining[bounds.joining_a_round :]
    # Those who joined last have had no chance yet.
    old_enough = [profile.member for profile in here if community.waited.get(profile.member) is not None]
    never = [member for member in old_enough if member not in community.suggested]
    long_enough = [member for member in never if community.waited[member] >= LONDON.relaxation.size_after_rounds]
    waiting_now = Counter(community.waited[member] for member in old_enough)
    return Findings(
        "waiting",
        f"{bounds.rounds} rounds of a community that grows from {bounds.at_first:,} to {len(old_enough):,}",
        (
            Figure(
                "rounds waited in vain before a suggestion: mean", "rounds", spread([float(np.mean(community.waits))])
            ),
            Figure("– p50", "rounds", spread([percentile(community.waits, 0.5)])),
            Figure("– p99", "rounds", spread([percentile(community.waits, 0.99)])),
            Figure("– longest", "rounds", spread([max(community.waits)])),
            Figure("never suggested anything", "share", spread([len(never) / len(old_enough)])),
            Figure("– of those who waited until all is eased", "share", spread([len(long_enough) / len(old_enough)])),
            Figure("groups without an opener, since nobody rested was there", "share", spread([openerless / groups])),
            Figure("most often asked to open within 30 rounds", "times", spread([max(community.loads)])),
        ),
        (
            f"Everybody says yes to {YES_SHARE:.0%} of suggestions by lot; after a yes from all they are away for "
            f"{PEACE_ROUNDS} rounds.",
            "By rounds waited: " + ", ".join(f"{n}: {c:,}" for n, c in sorted(Counter(community.waits).items())),
        ),
        {
            "suggested_after": dict(sorted((str(n), c) for n, c in Counter(community.waits).items())),
            "still_waiting": dict(sorted((str(n), c) for n, c in waiting_now.items())),
        },
    )


def _round(community: _Community, here: list[Profile], number: int, draw: np.random.Generator) -> tuple[int, int]:
    free = [profile for profile in here if community.back_in_round.get(profile.member, 0) <= number]
    window = number - OPENER_WINDOW_ROUNDS
    load = {member: sum(opened > window for opened in rounds) for member, rounds in community.opened_in_round.items()}
    snapshot = Snapshot.of(
        LONDON, free, now_ms=NOW_MS + number * DAY_MS, waited_rounds=community.waited,
        history=community.history, opener_load=load,
    )  # fmt: skip
    found = propose(snapshot, Policy(), seed=number)
    for match in found.matches:
        members = tuple(snapshot.ids[row] for row in match.members)
        community.history[members] += 1
        together = bool((draw.random(len(members)) < YES_SHARE).all())
        for member in members:
            community.waits.append(community.waited.get(member, 0))
            community.suggested.add(member)
            community.waited[member] = 0
            if together:
                community.back_in_round[member] = number + PEACE_ROUNDS
        # Who was only going to be asked was not worn out.
        if match.opener is not None and together:
            opener = snapshot.ids[match.opener]
            community.opened_in_round.setdefault(opener, []).append(number)
            community.loads[load.get(opener, 0) + 1] += 1
    for member in found.left_over:
        community.waited[member] = community.waited.get(member, 0) + 1
    return found.counts.groups, found.counts.groups_without_opener
