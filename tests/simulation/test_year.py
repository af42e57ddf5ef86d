"""Two months of a small, eager community: the same seed gives the same, every promise is kept, and it can be restarted.

Eager, so that within two months there are standing groups, free seats, blocks and goodbyes of
every kind: the more happens, the more could go wrong.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from io import StringIO
from itertools import combinations
from random import Random
from typing import Any

import orjson
import pytest
from rich.console import Console

from services.matcher.round import Round
from services.matcher.state import READS, MatcherState, RoundInput
from services.notifier.state import PartitionState
from shared import topics
from shared.community import load_communities
from shared.contracts import ChoiceKind, Email, EmailKind, Introduction, Record, Suggestion
from simulation.assumptions import Assumptions, load_assumptions
from simulation.behaviour import DAY_MS
from simulation.command import COMMUNITIES
from simulation.report import CAVEAT, FARTHEST, STAGES, report_of
from simulation.run import Year, simulate
from simulation.table import show

MEMBERS, DAYS = 300, 75
LONDON = load_communities(COMMUNITIES)["london"]
EAGER = {
    "joining": {
        "there_at_the_start": 0.7, "leaves_per_month": 0.04, "unsubscribes_per_month": 0.03, "erases_per_month": 0.03,
        "pauses_per_month": 0.1, "pause_days": 10,
    },
    "reading": {"hours_median": 2, "never_reads": 0.02},
    "answering": {"says_yes": 0.85},
    "meeting": {"goes": 0.95, "goes_again": 0.98, "tells": 0.97, "again": 0.9, "blocks": 0.02, "offers_to_open": 0.2},
    "standing": {"leaves_per_date": 0.2},
    "running": {"hours_between_rounds": 96},
}  # fmt: skip


class Recorder:
    """Keeps what goes over the topics, in its order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, Record | None]] = []

    def record(self, topic: str, key: str, record: Record | None, now_ms: int) -> None:
        self.log.append((topic, key, record))

    def sent(self, email: Email, introduction: Introduction, now_ms: int) -> None: ...

    def round(
        self, seen: RoundInput, round_: Round | None, suggestions: tuple[Suggestion, ...], now_ms: int
    ) -> None: ...


def eager() -> Assumptions:
    values = load_assumptions().assumptions.model_dump()
    for section, changed in EAGER.items():
        values[section] |= changed
    return Assumptions.model_validate(values)


@pytest.fixture(scope="module")
def lived() -> tuple[Year, Recorder]:
    recorder = Recorder()
    return simulate(LONDON, eager(), members=MEMBERS, days=DAYS, seed=3, watchers=[recorder]), recorder


@pytest.fixture(scope="module")
def report(lived: tuple[Year, Recorder]) -> dict[str, Any]:
    return report_of(lived[0])


def test_every_promise_is_kept(lived: tuple[Year, Recorder]) -> None:
    year, _ = lived
    assert year.promises.breaches == []
    assert year.promises.checks > 5_000


def test_everything_happens_that_the_promises_are_about(lived: tuple[Year, Recorder], report: dict[str, Any]) -> None:
    """Else a promise would be kept for want of an occasion."""
    year, recorder = lived
    kinds = {record.kind for topic, _, record in recorder.log if topic == "preferences"}  # type: ignore[union-attr]
    assert {"pause", "unsubscribe", "block", "erase"} <= {str(kind) for kind in kinds}
    assert any(topic == "partner-requests" for topic, _, _ in recorder.log)
    assert year.tally.emails.keys() == set(EmailKind)
    assert year.tally.choices.keys() == set(ChoiceKind)
    assert report["standing"]["groups_at_the_end"] > 0
    assert report["seats"]["filled"] > 0


def test_the_same_seed_gives_the_same_and_another_one_does_not(report: dict[str, Any]) -> None:
    again = report_of(simulate(LONDON, eager(), members=MEMBERS, days=DAYS, seed=3))
    assert orjson.dumps(again) == orjson.dumps(report)
    other = report_of(simulate(LONDON, eager(), members=MEMBERS, days=DAYS, seed=4))
    assert other["funnel"] != report["funnel"]


def test_the_figures_fit_together(lived: tuple[Year, Recorder], report: dict[str, Any]) -> None:
    year, _ = lived
    for funnel in report["funnel"].values():
        total = funnel["total"]
        by_stage = [total[stage] for stage in STAGES]
        assert by_stage == sorted(by_stage, reverse=True)
        assert total == {stage: sum(m[stage] for m in funnel["by_month"].values()) for stage in STAGES}
    for wish in ("all", "pairs only", "groups only", "both"):
        assert sum(report["left_out"][wish][name] for name in FARTHEST) == report["left_out"][wish]["members"]
    assert sum(report["openers"]["by_times_asked"].values()) == report["openers"]["members_who_can"]
    assert max(map(int, report["openers"]["by_most_within_window"])) <= report["openers"]["cap"]
    seats = report["seats"]
    assert seats["fell_free"] == seats["filled"] + seats["ended_with_the_group"] + seats["still_free"]
    assert sum(report["emails"].values()) == sum(year.tally.emails.values())
    assert report["caveat"] == CAVEAT
    assert json.loads(orjson.dumps(report))["assumptions"]["answering"]["says_yes"] == 0.85


def test_the_tables_begin_with_what_they_are_not(report: dict[str, Any]) -> None:
    console = Console(file=StringIO(), width=200)
    show(report, console)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert shown.index("no evidence") < shown.index("What became of suggested pairs")
    assert f"{report['funnel']['pairs']['total']['suggested']:,}" in shown
    assert "Every promise was kept" in shown


@pytest.mark.parametrize("compacted", [False, True], ids=["all-records", "compacted"])
def test_the_matcher_could_be_restarted_at_the_end(lived: tuple[Year, Recorder], compacted: bool) -> None:
    year, recorder = lived
    wanted = [topic.name for topic in READS]
    log = _compact(recorder.log, year.ended_at_ms) if compacted else recorder.log
    again = MatcherState()
    for topic, key, record in _interleaved([one for one in log if one[0] in wanted], seed=5):
        again.apply(topic, key, record)
    assert _seen(again, year) == _seen(year.world.matcher, year)


@pytest.mark.parametrize("compacted", [False, True], ids=["all-records", "compacted"])
def test_the_notifier_could_be_restarted_at_the_end(lived: tuple[Year, Recorder], compacted: bool) -> None:
    year, recorder = lived
    log = _compact(recorder.log, year.ended_at_ms) if compacted else recorder.log
    again = PartitionState()
    for topic, key, record in _interleaved([one for one in log if one[0] != topics.PROFILES.name], seed=6):
        again.apply(topic, key, record)
    communities = {LONDON.community: LONDON}
    due_at_ms = year.world.now_ms + 5 * DAY_MS
    assert again.reconcile(year.world.now_ms, communities, limit=500) == []
    unsent, expected_unsent = again.unsent(10_000), year.world.notifier.unsent(10_000)
    assert {one.email for one in unsent} == {one.email for one in expected_unsent}, "those that wait for the morning"
    due = [one.introduction for one in again.reconcile(due_at_ms, communities, limit=10_000)]
    expected = [one.introduction for one in year.world.notifier.reconcile(due_at_ms, communities, limit=10_000)]
    assert sorted(due, key=lambda one: one.key) == sorted(expected, key=lambda one: one.key)
    assert expected


def _seen(state: MatcherState, year: Year) -> dict[str, Any]:
    seen = state.round_input(LONDON.community, year.ended_at_ms, opener_window_ms=30 * DAY_MS)
    return {
        "free": sorted(profile.member for profile in seen.profiles),
        "waiting": seen.waiting_since_ms,
        "together": {pair for members in seen.times_together for pair in combinations(sorted(members), 2)},
        "times together": {members: times for members, times in seen.times_together.items() if times},
        "load": {member: load for member, load in seen.opener_load.items() if load},
        "blocked": seen.blocked,
        "seats": [seat.group.introduction for seat in seen.seats],
    }


def _compact(log: list[tuple[str, str, Record | None]], now_ms: int) -> list[tuple[str, str, Record | None]]:
    """What the topics still hold: the last of each key, or what is younger than their retention."""
    last = {(topic, key): place for place, (topic, key, _) in enumerate(log)}
    return [
        (topic, key, record)
        for place, (topic, key, record) in enumerate(log)
        if (
            last[topic, key] == place
            if topics.TOPICS[topic].cleanup == "compact"
            else _at_ms(record) > now_ms - (topics.TOPICS[topic].retention_ms or 0)
        )
    ]


def _at_ms(record: Record | None) -> int:
    times = ("suggested_at_ms", "chosen_at_ms", "planned_at_ms")
    return next(getattr(record, name) for name in times if hasattr(record, name))


def _interleaved(log: list[tuple[str, str, Record | None]], seed: int) -> Iterator[tuple[str, str, Record | None]]:
    """In some order that keeps the order within each topic, as a restart reads them."""
    of: dict[str, list[tuple[str, str, Record | None]]] = defaultdict(list)
    for one in log:
        of[one[0]].append(one)
    order = [topic for topic, _, _ in log]
    Random(seed).shuffle(order)
    heads = {topic: iter(records) for topic, records in of.items()}
    return (next(heads[topic]) for topic in order)
