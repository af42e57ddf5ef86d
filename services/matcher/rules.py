"""The rules that nothing relaxes: who may be suggested to whom at all."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.snapshot import AgeRule, Barred

AGE_BAND_WIDENS_FROM_YEARS = 40
AGE_BAND_WIDENS_EVERY_YEARS = 10


@compiled
def similar_age(birth_year: int, other_birth_year: int, rule: AgeRule) -> bool:
    older = min(birth_year, other_birth_year)
    gap = max(birth_year, other_birth_year) - older
    past = rule.year - older - 1 - AGE_BAND_WIDENS_FROM_YEARS
    return gap <= rule.gap_years_max + max(0, past) // AGE_BAND_WIDENS_EVERY_YEARS


@compiled
def of_similar_age(members: NDArray[Any], a: int, b: int, rule: AgeRule) -> bool:
    return similar_age(members[a].birth_year, members[b].birth_year, rule)


@compiled
def why_barred(barred: Barred, a: int, b: int) -> int:
    """0, or why these two are never matched: MET or BLOCKED."""
    low, high = barred.start[a], barred.start[a + 1]
    while low < high:
        middle = (low + high) // 2
        if barred.other[middle] < b:
            low = middle + 1
        else:
            high = middle
    if low < barred.start[a + 1] and barred.other[low] == b:
        return barred.why[low]  # type: ignore[no-any-return]
    return 0


@compiled
def may_meet(members: NDArray[Any], a: int, b: int, barred: Barred, rule: AgeRule) -> bool:
    """Never relaxed: adults of a similar age with a language and a slot in common, neither blocked nor met before.

    Who may not be matched at all looks for nothing, which is tested with what both look for.
    """
    return (
        members[a].slots & members[b].slots != 0
        and members[a].languages & members[b].languages != 0
        and of_similar_age(members, a, b, rule)
        and why_barred(barred, a, b) == 0
    )
