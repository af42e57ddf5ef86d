"""The year: the clock goes from one thing that is due to the next, and the same seed gives the same year."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.london import SOURCE
from shared.community import Community
from simulation.assumptions import Assumptions
from simulation.behaviour import DAY_MS, HOUR_MS, Behaviour, Draws
from simulation.inhabitants import Inhabitants
from simulation.promises import Promises
from simulation.tally import Tally
from simulation.world import Watcher, World

BEGINS_AT_MS = 1_798_761_600_000
"""Friday, 1 January 2027, 00:00 UTC."""
_PROGRESS_MS = DAY_MS


@dataclass(frozen=True)
class Year:
    """What there is when it is over."""

    members: int
    days: int
    seed: int
    began_at_ms: int
    ended_at_ms: int
    community: Community
    assumptions: Assumptions
    world: World
    tally: Tally
    promises: Promises
    inhabitants: Inhabitants


def simulate(
    community: Community,
    assumptions: Assumptions,
    *,
    members: int,
    days: int,
    seed: int,
    on_day: Callable[[int], None] = lambda day: None,
    watchers: Sequence[Watcher] = (),
) -> Year:
    """Live through `days` days with `members` members. Deterministic.

    `on_day` is told of each day that is over, `watchers` of everything. Takes about a minute for a year of 2,000.
    """
    world = World(community, partner=SOURCE, seed=seed, now_ms=BEGINS_AT_MS)
    tally, promises = Tally(), Promises(world)
    world.watchers += [tally, promises, *watchers]
    inhabitants = Inhabitants(
        world, Behaviour(assumptions, Draws(seed)), members=members, days=days, seed=seed, on_gone=tally.goes
    )
    ends_at_ms = BEGINS_AT_MS + days * DAY_MS
    every_ms = round(assumptions.running.hours_between_rounds * HOUR_MS)
    # The first round sees those who are there at the start.
    round_at_ms, day_at_ms, looked_at_ms = BEGINS_AT_MS + every_ms, BEGINS_AT_MS + DAY_MS, BEGINS_AT_MS
    while True:
        due = (inhabitants.due_ms, world.due_ms, round_at_ms, day_at_ms)
        world.now_ms = max(world.now_ms, min(at_ms for at_ms in due if at_ms is not None))
        if world.now_ms > ends_at_ms:
            break
        inhabitants.happen()
        world.settle()
        if world.now_ms >= round_at_ms:
            round_at_ms += every_ms
            # As the matcher's runner has it: if anything has changed, or a wait has grown by a round.
            if world.changes or world.now_ms - looked_at_ms >= world.settings.waiting_round_seconds * 1000:
                looked_at_ms = world.now_ms
                world.run_round()
                world.settle()
        if world.now_ms >= day_at_ms:
            day_at_ms += _PROGRESS_MS
            tally.day_is_over()
            promises.check_folds()
            on_day((world.now_ms - BEGINS_AT_MS) // DAY_MS)
    world.now_ms = ends_at_ms
    return Year(
        members, days, seed, BEGINS_AT_MS, ends_at_ms, community, assumptions, world, tally, promises, inhabitants
    )
