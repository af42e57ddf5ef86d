"""`connection review`: members whom several others have reported, and what an operator decides about them.

Shows ids, and never who reported anybody: not even which introduction a report came from,
which in a pair would say it. The one writer of the topic `review-orders`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from connection.terminal import ask, console, give_up, kafka
from shared import topics
from shared.clock import system_clock
from shared.contracts import (
    ErasureOrder,
    Introduction,
    PartnerRequest,
    Preference,
    PreferenceKind,
    Record,
    ReviewOrder,
    ReviewOrderKind,
    asks_for_erasure,
)
from shared.erased import ASKED_IN
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.safety import Reviews

review = typer.Typer(no_args_is_help=True, help="Members whom several others have reported: look, and decide.")

_READS = (topics.REVIEW_ORDERS, topics.INTRODUCTIONS, *ASKED_IN)

Member = Annotated[str, typer.Argument(help="The member's id (m_...), as `connection review list` shows it.")]


@dataclass
class Desk:
    """What lies before an operator: pure, from the latest record of each key."""

    reviews: Reviews = field(default_factory=Reviews)
    community_of: dict[str, str] = field(default_factory=dict)
    """By member, of those who were ever reported or decided about."""
    introductions_of: defaultdict[str, list[Introduction]] = field(default_factory=lambda: defaultdict(list))
    """By member: those in which they came to know somebody, the oldest first."""
    erased: set[str] = field(default_factory=set)
    removed_at_ms: dict[str, int] = field(default_factory=dict)

    def take_in(self, record: Record) -> None:
        match record:
            case Preference(kind=PreferenceKind.REPORT, about=str() as about):
                self.reviews.add(record)
                self.community_of[about] = record.community
            case Preference() | PartnerRequest() | ErasureOrder() if asks_for_erasure(record):
                self.erased.add(record.member)
            case ReviewOrder():
                self.reviews.order(record)
                self.community_of[record.member] = record.community
                if record.kind is ReviewOrderKind.REMOVE:
                    self.removed_at_ms[record.member] = record.given_at_ms
            case Introduction():
                for member in {*record.introduced, *record.joined}:
                    self.introductions_of[member].append(record)

    def held(self) -> list[dict[str, Any]]:
        """Who waits for a decision, for longest first. No reporter, and nothing that leads to one."""
        waiting = sorted(self.reviews.held(), key=lambda one: (one.since_ms, one.member))
        return [
            {
                "member": one.member,
                "community": one.community,
                "held_since": _time(one.since_ms),
                "reports": one.reports,
                "introductions": [
                    {
                        "introduction": introduction.introduction,
                        "kind": introduction.suggestion.kind.value,
                        "state": introduction.state.value,
                        "proposed_at": _time(introduction.proposed_at_ms),
                    }
                    for introduction in sorted(
                        self.introductions_of[one.member], key=lambda each: (each.proposed_at_ms, each.introduction)
                    )
                ],
            }
            for one in waiting
            if one.member not in self.erased
        ]

    def removed(self) -> list[dict[str, Any]]:
        """Who is out by an operator's decision."""
        return [
            {"member": member, "community": self.community_of[member], "removed_at": _time(at_ms)}
            for member, at_ms in sorted(self.removed_at_ms.items(), key=lambda item: (item[1], item[0]))
            if member not in self.erased
        ]

    def order(self, member: str, kind: ReviewOrderKind, now_ms: int) -> ReviewOrder:
        """The decision about a member; raises `KeyError` for one whom nobody has reported."""
        return ReviewOrder(
            community=self.community_of[member],
            member=member,
            kind=kind,
            reports_until_ms=self.reviews.last_report_ms(member),
            given_at_ms=now_ms,
        )


@review.command(name="list")
def list_held(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Show who is held for review, and who is out. Never who reported them."""
    desk = ask(_look())
    held, removed = desk.held(), desk.removed()
    if as_json:
        typer.echo(json.dumps({"held": held, "removed": removed}))
        return
    if held:
        table = Table("member", "community", "held since (UTC)", "reports", "introductions (all that they were in)")
        for one in held:
            told = "\n".join(
                f"{each['introduction']} {each['kind']}, {each['state']}, {each['proposed_at']}"
                for each in one["introductions"]
            )
            table.add_row(one["member"], one["community"], one["held_since"], str(one["reports"]), told)
        console().print(table)
    if removed:
        table = Table("member", "community", "removed at (UTC)")
        for one in removed:
            table.add_row(one["member"], one["community"], one["removed_at"])
        console().print(table)
    typer.echo(f"{len(held)} held for review, {len(removed)} removed.")


@review.command()
def clear(member: Member) -> None:
    """Let a member be introduced again: the reports so far count no more, later ones do. Takes back a removal."""
    ask(_decide(member, ReviewOrderKind.CLEAR))
    typer.echo(f"Cleared: {member}. Whoever reported them stays kept apart from them.")


@review.command()
def remove(member: Member) -> None:
    """Take a member out: suggested to nobody, out of all introductions, written to no more, until cleared."""
    ask(_decide(member, ReviewOrderKind.REMOVE))
    typer.echo(f"Removed: {member}. `connection review clear` takes it back.")


async def _look() -> Desk:
    settings = await kafka()
    await ensure_topics(settings, list(_READS))
    await kafka(*_READS)
    desk = Desk()
    for topic in _READS:
        for record in (await read_latest(settings, topic)).values():
            desk.take_in(record)
    return desk


async def _decide(member: str, kind: ReviewOrderKind) -> None:
    desk = await _look()
    if member not in desk.community_of:
        give_up(f"Nobody has reported {member!r}; `connection review list` shows who is held.", 1)
    settings = await kafka()
    producer = new_producer(settings, client_id="connection-review")
    await producer.start()
    try:
        order = desk.order(member, kind, system_clock())
        await publish(producer, [outgoing(topics.REVIEW_ORDERS, order)], partitions=settings.partitions)
    finally:
        await producer.stop()


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="minutes")
