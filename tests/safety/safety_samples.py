"""Reports, blocks, pauses and decisions, for the tests of both services."""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts import (
    PartnerPreference,
    PartnerPreferenceKind,
    Preference,
    PreferenceKind,
    ReviewOrder,
    ReviewOrderKind,
)

NOW = 1_790_000_000_000


def report(member: str, about: str, at_ms: int = NOW) -> Preference:
    return Preference(community="london", member=member, kind=PreferenceKind.REPORT, chosen_at_ms=at_ms, about=about)


def reports(reporters: Iterable[str], about: str, at_ms: int = NOW) -> list[Preference]:
    return [report(reporter, about, at_ms + number) for number, reporter in enumerate(reporters)]


def order(member: str, kind: ReviewOrderKind, *, until_ms: int = NOW + 1000) -> ReviewOrder:
    return ReviewOrder(community="london", member=member, kind=kind, reports_until_ms=until_ms, given_at_ms=NOW + 5000)


def clear(member: str, *, until_ms: int = NOW + 1000) -> ReviewOrder:
    return order(member, ReviewOrderKind.CLEAR, until_ms=until_ms)


def remove(member: str) -> ReviewOrder:
    return order(member, ReviewOrderKind.REMOVE)


def partner_pause(member: str, at_ms: int = NOW, until_ms: int | None = None) -> PartnerPreference:
    return PartnerPreference(
        community="london", member=member, kind=PartnerPreferenceKind.PAUSE, chosen_at_ms=at_ms, until_ms=until_ms
    )


def partner_block(member: str, about: str, at_ms: int = NOW) -> PartnerPreference:
    return PartnerPreference(
        community="london", member=member, kind=PartnerPreferenceKind.BLOCK, chosen_at_ms=at_ms, about=about
    )
