"""From what happened to figures: the funnel, the waiting, the openers' load, who was left out. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.contracts import SuggestionKind
from simulation.behaviour import DAY_MS
from simulation.promises import PROMISES
from simulation.run import Year
from simulation.tally import Case, Life, Seat

CAVEAT = (
    "A simulation: what its people do is assumed (simulation/assumptions.yaml), and none of it was measured. "
    "These figures are no evidence of anything that people do."
)
STAGES = ("suggested", "accepted", "introduced", "met", "met again", "third meeting", "standing")
LEFT_OUT_AFTER_DAYS = 60
"""Who has been here for less than that is not counted as left out yet."""
WORST_OFF = 5

Distribution = dict[str, float | int | None]
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Arrival:
    """A member's way to something: how many days it took, or for how long it had not come when we stopped looking."""

    days: float
    came: bool


def report_of(year: Year) -> dict[str, Any]:
    """All figures as plain values for JSON: the same year gives the same, to the last digit."""
    months = _months(year)
    cases = list(year.tally.cases.values())
    stage_of = _stages(year)
    kinds = {"pairs": SuggestionKind.PAIR, "groups": SuggestionKind.GROUP}
    return {
        "caveat": CAVEAT,
        "members": year.members,
        "days": year.days,
        "seed": year.seed,
        "community": year.community.community,
        "assumptions": year.assumptions.model_dump(),
        "promises": {
            "checks": year.promises.checks,
            "broken": year.promises.broken,
            "breaches": [
                {"promise": one.promise, "says": PROMISES[one.promise], "at": _iso(one.at_ms), "what": one.what}
                for one in year.promises.breaches
            ],
        },
        "funnel": {
            name: {
                "total": _funnel(cases, kind, stage_of),
                "by_month": {
                    month: _funnel(
                        (c for c in cases if _month(c.suggestion.suggested_at_ms, year) == month), kind, stage_of
                    )
                    for month in months
                },
            }
            for name, kind in kinds.items()
        },
        "group_sizes": _group_sizes(cases),
        "answers": _answers(cases, kinds),
        "seats": {
            **_seats(year.tally.seats, year.ended_at_ms),
            "by_month": {
                month: sum(seat.filled and _month(seat.until_ms or 0, year) == month for seat in year.tally.seats)
                for month in months
            },
        },
        "standing": _standing(year),
        "waiting_days": _waiting(year),
        "openers": _openers(year),
        "left_out": _left_out(year),
        "emails": dict(sorted((kind.value, count) for kind, count in year.tally.emails.items())),
        "a_month": _a_month(year),
        "rounds": year.tally.rounds,
        "free_in_a_round_mean": _share(year.tally.free_in_rounds, year.tally.rounds),
    }


# The funnel


def _stages(year: Year) -> dict[str, set[str]]:
    """By suggestion: which stages it reached beyond those that a `Case` tells."""
    reached: defaultdict[str, set[str]] = defaultdict(set)
    name = {1: "met", 2: "met again", 3: "third meeting"}
    for gathering in year.inhabitants.gatherings:
        if gathering.took_place and not gathering.standing and gathering.number in name:
            reached[gathering.introduction].add(name[gathering.number])
    return reached


def _funnel(cases: Iterable[Case], kind: SuggestionKind, reached: Mapping[str, set[str]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for case in cases:
        if case.kind is kind:
            counts["suggested"] += 1
            counts["accepted"] += case.accepted
            counts["introduced"] += case.introduced
            counts["standing"] += case.standing
            counts.update(reached.get(case.suggestion.suggestion, ()))
    return {stage: counts[stage] for stage in STAGES}


def _group_sizes(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """By how many were suggested to each other: how many such groups there were, and how far they came."""
    groups = [case for case in cases if case.kind is SuggestionKind.GROUP]
    found: dict[str, dict[str, int]] = {}
    for size in sorted({len(case.suggestion.members) for case in groups}):
        some = [case for case in groups if len(case.suggestion.members) == size]
        found[str(size)] = {
            "suggested": len(some),
            "introduced": sum(case.introduced for case in some),
            "standing": sum(case.standing for case in some),
        }
    return found


def _answers(cases: Sequence[Case], kinds: Mapping[str, SuggestionKind]) -> dict[str, Any]:
    """Of the invitations that went out, how many were answered with yes."""
    found = {}
    for name, kind in kinds.items():
        invited = sum(case.invited for case in cases if case.kind is kind)
        yes = sum(case.said_yes for case in cases if case.kind is kind)
        found[name] = {"invitations": invited, "yes": yes, "yes_share": _share(yes, invited)}
    return found


def _seats(seats: Sequence[Seat], end_ms: int) -> dict[str, Any]:
    days = [((seat.until_ms or end_ms) - seat.from_ms) / DAY_MS for seat in seats if seat.filled]
    free = [(end_ms - seat.from_ms) / DAY_MS for seat in seats if seat.until_ms is None]
    return {
        "fell_free": len(seats),
        "offers": sum(seat.offers for seat in seats),
        "filled": len(days),
        "ended_with_the_group": sum(seat.until_ms is not None and not seat.filled for seat in seats),
        "still_free": len(free),
        "days_until_filled": distribution(days),
        "days_still_free": distribution(free),
    }


def _standing(year: Year) -> dict[str, Any]:
    now = year.tally.standing_now
    groups = {item: who for item, who in now.items() if year.tally.cases[item].kind is SuggestionKind.GROUP}
    sizes = Counter(len(present) for present in groups.values())
    dates = [one for one in year.inhabitants.gatherings if one.standing]
    return {
        "pairs_at_the_end": len(now) - len(groups),
        "groups_at_the_end": len(groups),
        "groups_by_size": {str(size): sizes[size] for size in sorted(sizes)},
        "dates": len(dates),
        "dates_that_took_place": sum(one.took_place for one in dates),
        "members_in_one": len({member for present in now.values() for member in present}),
        "by_day": year.tally.standing_by_day,
    }


# Waiting


def _waiting(year: Year) -> dict[str, Any]:
    """From sign-up to the first of each, by what members look for; and every single wait of those who were free."""
    first_met = _first_met(year)
    moments: dict[str, Callable[[Life], int | None]] = {
        "until_suggested": lambda life: life.suggested_at_ms,
        "until_introduced": lambda life: life.introduced_at_ms,
        "until_met": lambda life: first_met.get(life.profile.member),
    }
    lives = list(year.tally.lives.values())
    found: dict[str, Any] = {}
    for name, moment in moments.items():
        found[name] = {}
        for whom, some in _by_wish(lives).items():
            curve = share_by_day([_arrival(life, moment(life), year.ended_at_ms) for life in some])
            found[name][whom] = {"median": _reaches(curve, 0.5), "p90": _reaches(curve, 0.9), "curve": curve}
    found["each_wait"] = distribution([wait / DAY_MS for life in lives for wait in life.waits_ms])
    open_waits = [
        ((year.ended_at_ms - life.free_since_ms) / DAY_MS, life) for life in lives if life.free_since_ms is not None
    ]
    found["still_waiting"] = distribution([days for days, _ in open_waits])
    found["still_waiting_why"] = dict(
        sorted(Counter(str(life.why_not) for days, life in open_waits if days >= 28).items())
    )
    ended = [(wait / DAY_MS, life) for life in lives for wait in life.waits_ms]
    worst = sorted([*((d, life, False) for d, life in ended), *((d, life, True) for d, life in open_waits)],
                   key=lambda one: (-one[0], one[1].profile.member))[:WORST_OFF]  # fmt: skip
    found["worst_off"] = [
        {
            "days": round(days, 1),
            "still": still,
            "looks_for": list(life.profile.looking_for),
            "birth_year": life.profile.birth_year,
            "travel_km": life.profile.travel_km,
            "slots": len(life.profile.available),
            "interests": len(life.profile.interests),
            "why_not": None if life.why_not is None else str(life.why_not),
        }
        for days, life, still in worst
    ]
    return found


def _arrival(life: Life, at_ms: int | None, end_ms: int) -> Arrival:
    until_ms = at_ms or life.gone_at_ms or end_ms
    return Arrival((until_ms - life.signed_up_at_ms) / DAY_MS, at_ms is not None)


def share_by_day(arrivals: Sequence[Arrival]) -> Curve:
    """The share to whom it has come, by days since sign-up; those who left or are too new count for as long as seen.

    The estimator of Kaplan and Meier (1958): steps at the days on which it came to somebody.

    >>> share_by_day([Arrival(1, True), Arrival(2, False), Arrival(3, True)])
    [(0.0, 0.0), (1, 0.333333), (3, 1.0)]
    """
    came = Counter(one.days for one in arrivals if one.came)
    seen = Counter(one.days for one in arrivals)
    at_risk, not_yet = len(arrivals), 1.0
    curve: Curve = [(0.0, 0.0)]
    for days in sorted(seen):
        if came[days]:
            not_yet *= 1 - came[days] / at_risk
            curve.append((days, round(1 - not_yet, 6)))
        at_risk -= seen[days]
    return curve


def _reaches(curve: Curve, share: float) -> float | None:
    return next((round(days, 2) for days, reached in curve if reached >= share), None)


def _first_met(year: Year) -> dict[str, int]:
    met: dict[str, int] = {}
    for gathering in year.inhabitants.gatherings:
        if gathering.took_place:
            for member in gathering.came:
                met.setdefault(member, gathering.at_ms)
    return met


# Openers, and who is left out


def _openers(year: Year) -> dict[str, Any]:
    """How often members were asked to go first, of what came about; who offered to of their own accord aside."""
    policy, window_days = year.world.policy, year.world.settings.opener_window_days
    cases = list(year.tally.cases.values())
    asked: dict[str, list[int]] = {
        member: []
        for member, life in year.tally.lives.items()
        if life.profile.openness.goes_first >= policy.goes_first_min
    }
    suggested = [case for case in cases if case.suggestion.opener is not None]
    offered = sum(case.introduced and case.opener != case.suggestion.opener for case in cases)
    for case in suggested:
        if case.introduced and case.suggestion.opener is not None and case.opener == case.suggestion.opener:
            asked[case.suggestion.opener].append(case.suggestion.suggested_at_ms)
    most = Counter(_most_within(times, window_days * DAY_MS) for times in asked.values())
    times_asked = Counter(map(len, asked.values()))
    by_kind = {
        name: [case for case in cases if case.kind is kind]
        for name, kind in (("pairs", SuggestionKind.PAIR), ("groups", SuggestionKind.GROUP))
    }
    return {
        "members_who_can": len(asked),
        "cap": policy.opener_load_max,
        "window_days": window_days,
        "came_about_share": _share(sum(case.introduced for case in suggested), len(suggested)),
        "offered": offered,
        "asked": distribution([len(times) for times in asked.values()]),
        "by_times_asked": {str(number): times_asked[number] for number in range(max(times_asked, default=0) + 1)},
        "by_most_within_window": {str(number): most[number] for number in range(max(most, default=0) + 1)},
        "suggestions_with_one": {
            name: _share(sum(case.suggestion.opener is not None for case in some), len(some))
            for name, some in by_kind.items()
        },
    }


def _most_within(times_ms: Sequence[int], window_ms: int) -> int:
    """The most of some ascending times that lie within any window."""
    most = first = 0
    for last, at_ms in enumerate(times_ms):
        while times_ms[first] < at_ms - window_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


def _left_out(year: Year) -> dict[str, Any]:
    """How far members came who were here for `LEFT_OUT_AFTER_DAYS` days: each counted once, at the farthest."""
    met = _first_met(year)
    staying = [
        life
        for life in year.tally.lives.values()
        if (life.gone_at_ms or year.ended_at_ms) - life.signed_up_at_ms >= LEFT_OUT_AFTER_DAYS * DAY_MS
    ]
    found: dict[str, Any] = {"counted_after_days": LEFT_OUT_AFTER_DAYS}
    for whom, lives in _by_wish(staying).items():
        counts: Counter[str] = Counter()
        for life in lives:
            if life.profile.member in met:
                counts["met somebody"] += 1
            elif life.introduced_at_ms is not None:
                counts["introduced, never met"] += 1
            elif life.suggested_at_ms is not None:
                counts["suggested, never introduced"] += 1
            else:
                counts["never suggested"] += 1
        found[whom] = {
            "members": len(lives),
            **{name: counts[name] for name in FARTHEST},
            "never_suggested_share": _share(counts["never suggested"], len(lives)),
            "never_met_share": _share(len(lives) - counts["met somebody"], len(lives)),
        }
    return found


FARTHEST = ("never suggested", "suggested, never introduced", "introduced, never met", "met somebody")
WISHES = ("all", "pairs only", "groups only", "both")


def _by_wish(lives: Iterable[Life]) -> dict[str, list[Life]]:
    found: dict[str, list[Life]] = {wish: [] for wish in WISHES}
    for life in lives:
        wish = "both" if len(life.profile.looking_for) > 1 else "pairs only"
        found["groups only" if life.profile.looking_for == ("group",) else wish].append(life)
        found["all"].append(life)
    return found


def _a_month(year: Year) -> dict[str, Distribution]:
    """What members got in thirty days, of those who were here for as long."""
    found: dict[str, list[float]] = {"invitations": [], "emails": []}
    for life in year.tally.lives.values():
        days = ((life.gone_at_ms or year.ended_at_ms) - life.signed_up_at_ms) / DAY_MS
        if days >= 30:
            found["invitations"].append(life.invitations * 30 / days)
            found["emails"].append(life.emails * 30 / days)
    return {name: distribution(values) for name, values in found.items()}


# Small print


def distribution(values: Sequence[float]) -> Distribution:
    """How some values are spread: nearest ranks, no interpolation."""
    ordered = sorted(values)

    def rank(share: float) -> float | None:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None

    return {"count": len(ordered), "median": rank(0.5), "p90": rank(0.9), "p99": rank(0.99), "most": rank(1.0)}


def _share(part: float, of: float) -> float | None:
    return round(part / of, 4) if of else None


def _months(year: Year) -> list[str]:
    return sorted({_month(year.began_at_ms + day * DAY_MS, year) for day in range(year.days)})


def _month(at_ms: int, year: Year) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(year.community.time_zone)):%Y-%m}"


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
