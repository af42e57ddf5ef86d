"""What the terminal shows: a live status while it runs, and a summary at the end. All of it on stderr."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Coroutine

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.audit import Auditor, Summary
from demo.play import Play
from shared.contracts import Introduction, SuggestionKind

_LIVE_EVERY_SECONDS = 0.5
_LINE_EVERY_SECONDS = 3.0
_FUNNEL = (
    ("signed_up", "signed up"),
    ("suggested", "suggested to somebody"),
    ("invited", "invited"),
    ("accepted", "said yes"),
    ("introduced", "introduced"),
    ("met", "met"),
    ("met_again", "going to meet again"),
    ("standing", "in a standing group"),
)
_DAYS = {
    "mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip


@contextlib.asynccontextmanager
async def showing(play: Play, console: Console) -> AsyncIterator[None]:
    """Show what goes on for as long as it does: live in a terminal, a line now and then elsewhere."""
    if console.is_terminal:
        with Live(_status(play), console=console, auto_refresh=False) as live:

            async def refresh() -> None:
                while True:
                    await asyncio.sleep(_LIVE_EVERY_SECONDS)
                    live.update(_status(play), refresh=True)

            async with _beside(refresh()):
                yield
    else:
        async with _beside(_lines(play, console)):
            yield


def print_summary(summary: Summary, auditor: Auditor, play: Play, seconds: float, console: Console) -> None:
    """What it came to."""
    kinds = Counter(
        introduction.suggestion.kind for introduction in auditor.introductions.values() if introduction.introduced
    )
    people = Counter(
        kind
        for kind in kinds
        for introduction in auditor.introductions.values()
        if introduction.suggestion.kind is kind
        for _ in introduction.introduced
    )
    table = Table(title="What became of everybody", show_header=False, title_justify="left")
    for name, label in _FUNNEL:
        table.add_row(label, str(getattr(summary, name)))
    table.add_row(
        "introductions",
        f"{kinds[SuggestionKind.PAIR]} pairs ({people[SuggestionKind.PAIR]} people), "
        f"{kinds[SuggestionKind.GROUP]} groups ({people[SuggestionKind.GROUP]} people)",
    )
    table.add_row("emails", str(summary.emails))
    for name in ("lost", "duplicated"):
        value = getattr(summary, name)
        table.add_row(name, Text(str(value), style="red" if value else "green"))
    table.add_row("dead letters", str(play.dead_letters))
    pace = play.scene.pace(0)
    if pace["first_email_p50_seconds"] is not None:
        table.add_row(
            "sign-up to first email",
            f"p50 {pace['first_email_p50_seconds']:.1f} s, p99 {pace['first_email_p99_seconds']:.1f} s",
        )
    for reason, count in play.refusals.most_common():
        table.add_row("rejected", f"{count}: {reason}")
    table.add_row("seconds", f"{seconds:.1f}")
    console.print(table)


def print_examples(auditor: Auditor, count: int, console: Console) -> None:
    """Some introductions with their reasons: groups and pairs in turn, best first. Nobody is named."""
    made = [introduction for introduction in auditor.introductions.values() if introduction.introduced]
    made.sort(key=lambda introduction: (-introduction.suggestion.score.total, introduction.introduction))
    groups = [introduction for introduction in made if introduction.suggestion.kind is SuggestionKind.GROUP]
    pairs = [introduction for introduction in made if introduction.suggestion.kind is SuggestionKind.PAIR]
    for _ in range(count):
        if not groups and not pairs:
            return
        _print_example((groups or pairs).pop(0), console)
        groups, pairs = pairs, groups


def _print_example(introduction: Introduction, console: Console) -> None:
    suggestion = introduction.suggestion
    day, part = suggestion.slot.split("-")
    who = "two people" if len(introduction.introduced) == 2 else f"{len(introduction.introduced)} people"
    around = f" around {suggestion.anchor.word}" if suggestion.anchor.kind == "interest" else ""
    opener = "one of them happy to go first" if suggestion.opener in introduction.introduced else "no opener"
    console.print(
        f"\n{suggestion.kind.value.capitalize()}: {who}{around}, {suggestion.place.name}, "
        f"{_DAYS[day]} {part}, {opener}; score {suggestion.score.total:.2f}",
        style="bold",
        markup=False,
    )
    for reason in suggestion.reasons:
        console.print(f"  - {reason}", markup=False)


def _status(play: Play) -> Group:
    status = play.status()
    funnel, pace = status["funnel"], status["pace"]
    total = max(1, funnel["signed_up"])
    table = Table.grid(padding=(0, 2))
    for name, label in _FUNNEL:
        table.add_row(label, ProgressBar(total=total, completed=funnel[name], width=36), str(funnel[name]))
    line = (
        f"{pace['sign_ups_per_second']:.0f} sign-ups/s, {pace['emails_per_second']:.0f} emails/s, "
        f"{funnel['emails']} emails"
    )
    if pace["first_email_p50_seconds"] is not None:
        line += f", sign-up to first email p50 {pace['first_email_p50_seconds']:.1f} s"
    return Group(Text(status["phase"], style="bold"), table, Text(line, style="dim"))


async def _lines(play: Play, console: Console) -> None:
    said = ""
    while True:
        await asyncio.sleep(_LINE_EVERY_SECONDS)
        funnel = play.status()["funnel"]
        line = ", ".join(f"{funnel[name]} {label}" for name, label in _FUNNEL) + f", {funnel['emails']} emails"
        if line != said:
            console.print(line)
            said = line


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
