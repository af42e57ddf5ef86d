"""The figures on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from simulation.report import FARTHEST, STAGES, WISHES

_WAITS = {
    "until_suggested": "a suggestion",
    "until_introduced": "an introduction",
    "until_met": "met somebody",
}


def show(report: Mapping[str, Any], console: Console) -> None:
    """All of it, the caveat first."""
    console.print(f"[bold]{report['members']:,} simulated members, {report['days']} days, seed {report['seed']}[/bold]")
    console.print(f"[yellow]{report['caveat']}[/yellow]\n")
    for name in ("pairs", "groups"):
        console.print(_funnel(name, report["funnel"][name]))
        answers = report["answers"][name]
        console.print(f"  [dim]{_percent(answers['yes_share'])} of {answers['invitations']:,} invitations: yes[/dim]\n")
    console.print(_waiting(report["waiting_days"]))
    each, still = report["waiting_days"]["each_wait"], report["waiting_days"]["still_waiting"]
    console.print(
        f"  [dim]Each wait of somebody free: median {_number(each['median'])} days, 99 in 100 at most "
        f"{_number(each['p99'])}, the longest {_number(each['most'])}. Still waiting: {still['count']}, "
        f"the longest for {_number(still['most'])} days.[/dim]\n"
    )
    console.print(_left_out(report["left_out"]))
    console.print()
    console.print(_openers(report["openers"]))
    console.print()
    console.print(_seats(report["seats"], report["standing"]))
    console.print()
    for name, a_month in report["a_month"].items():
        console.print(f"A member gets, in thirty days, {name}: {_spread(a_month)}.", highlight=False)
    console.print()
    _promises(report["promises"], console)


def _funnel(name: str, funnel: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"What became of suggested {name}, by the month in which they were suggested", title_justify="left"
    )
    table.add_column("month")
    for stage in STAGES:
        table.add_column(stage, justify="right")
    for month, counts in funnel["by_month"].items():
        table.add_row(month, *(f"{counts[stage]:,}" for stage in STAGES))
    table.add_section()
    total = funnel["total"]
    table.add_row("all", *(f"{total[stage]:,}" for stage in STAGES), style="bold")
    suggested = total["suggested"]
    table.add_row("", *(_percent(total[stage] / suggested if suggested else None) for stage in STAGES), style="dim")
    return table


def _waiting(waiting: Mapping[str, Any]) -> Table:
    table = Table(title="Days from sign-up until half of them, and nine in ten, had …", title_justify="left")
    table.add_column("looks for")
    for says in _WAITS.values():
        table.add_column(says, justify="right")
        table.add_column("9 in 10", justify="right")
    for wish in WISHES:
        found = (waiting[name][wish][part] for name in _WAITS for part in ("median", "p90"))
        table.add_row(wish, *(_number(days, "not yet") for days in found))
    return table


def _left_out(left_out: Mapping[str, Any]) -> Table:
    days = left_out["counted_after_days"]
    table = Table(title=f"How far members came who were here for {days} days or more", title_justify="left")
    for heading in ("looks for", "members", *FARTHEST):
        table.add_column(heading, justify="left" if heading == "looks for" else "right")
    for wish in WISHES:
        found = left_out[wish]
        members = found["members"]
        shares = (f"{found[name]:,} ({_percent(found[name] / members if members else None)})" for name in FARTHEST)
        table.add_row(wish, f"{members:,}", *shares)
    return table


def _openers(openers: Mapping[str, Any]) -> Table:
    cap = f"at most {openers['cap']} times in {openers['window_days']} days"
    title = f"Openers: {openers['members_who_can']:,} can go first; {cap}"
    table = Table("", *openers["by_most_within_window"], title=title, title_justify="left")
    table.add_row(
        f"members, by the most in any {openers['window_days']} days",
        *(f"{count:,}" for count in openers["by_most_within_window"].values()),
    )
    asked = openers["asked"]
    shares = openers["suggestions_with_one"]
    table.caption = (
        f"In all: median {_number(asked['median'])} times, the most {_number(asked['most'])}. With an opener: "
        f"{_percent(shares['pairs'])} of the pairs, {_percent(shares['groups'])} of the groups. Of what they "
        f"were to open, {_percent(openers['came_about_share'])} came about; "
        f"{openers['offered']:,} times somebody else offered."
    )
    return table


def _seats(seats: Mapping[str, Any], standing: Mapping[str, Any]) -> Table:
    table = Table(title="Standing groups and their seats", title_justify="left", show_header=False)
    table.add_row(
        "standing pairs, and groups, at the end", f"{standing['pairs_at_the_end']}, {standing['groups_at_the_end']}"
    )
    table.add_row("members who are in one", f"{standing['members_in_one']:,}")
    table.add_row("seats that fell free", f"{seats['fell_free']:,}")
    table.add_row("offered to a newcomer", f"{seats['offers']:,} times")
    table.add_row("filled", f"{seats['filled']:,}")
    table.add_row("days until filled", _spread(seats["days_until_filled"]))
    table.add_row("ended with the group", f"{seats['ended_with_the_group']:,}")
    table.add_row("still free", f"{seats['still_free']:,}")
    table.add_row("days that these are free", _spread(seats["days_still_free"]))
    return table


def _promises(promises: Mapping[str, Any], console: Console) -> None:
    if not promises["broken"]:
        console.print(f"[green]Every promise was kept: {promises['checks']:,} checks.[/green]")
        return
    console.print(f"[red]{promises['broken']:,} of {promises['checks']:,} checks failed.[/red]")
    for breach in promises["breaches"]:
        console.print(f"  {breach['at']}  {breach['says']}  {breach['what']}", highlight=False, soft_wrap=True)


def _spread(found: Mapping[str, Any]) -> str:
    return f"median {_number(found['median'])}, the most {_number(found['most'])}" if found["count"] else "none"


def _number(value: float | None, none: str = "") -> str:
    return none if value is None else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
