"""`connection replay`: run a round again from the topics, and say whether it is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import typer
from rich.console import Console

from connection.rounds import RecordedRound, RunAgain, community_called, rounds_on_the_topic, run_recorded, stop
from connection.terminal import ask
from services.matcher.replay import Comparison, ReplayError


def replay_command(name: str | None, community: str | None, *, as_json: bool) -> int:
    """Replay a round and print what came of it; the exit status."""
    if name is None and community is None:
        stop("Say which: the id of a round, or --community for the newest of a community.", 2)
    settings, rounds = rounds_on_the_topic(community)
    found = [each for each in rounds if name in (None, each.reference.round)]
    if not found:
        which = f"round {name}" if name else f"any round of {community}"
        stop(f"no suggestion of {which} is on the topic: it made none, or they are past their retention")
    recorded = found[-1]
    try:
        again = ask(run_recorded(settings, recorded, community_called(recorded.community)))
    except ReplayError as reason:
        if as_json:
            typer.echo(json.dumps(_about(recorded) | {"outcome": "cannot be run again", "reason": str(reason)}))
        stop(reason)
    if as_json:
        typer.echo(json.dumps(_about(recorded) | _outcome(again.comparison)))
    else:
        _show(again)
    return 0 if again.comparison.is_same else 1


def _about(recorded: RecordedRound) -> dict[str, object]:
    reference = recorded.reference
    return {
        "round": reference.round,
        "community": recorded.community,
        "at": _utc(reference.now_ms),
        "engine": reference.engine,
        "seed": reference.seed,
        "offsets": reference.offsets,
    }


def _outcome(found: Comparison) -> dict[str, object]:
    return {
        "outcome": "the same" if found.is_same else "differs",
        "same": len(found.same),
        "different": {key: list(fields) for key, fields in found.different.items()},
        "only_on_the_topic": list(found.only_then),
        "only_in_the_replay": list(found.only_now),
        "dropped_since_a_member_had_gone": list(found.dropped),
    }


def _show(again: RunAgain) -> None:
    console, found, reference = Console(highlight=False), again.comparison, again.recorded.reference
    free = again.round.snapshot.size
    console.print(
        f"Round {reference.round} of {again.recorded.community}, {_utc(reference.now_ms)} UTC: "
        f"{free:,} members were free, engine {reference.engine}, seed {reference.seed}"
    )
    console.print(f"  {len(found.same):,} suggestions are the same to the last byte")
    if found.dropped:
        console.print(
            f"  {len(found.dropped):,} were dropped before they were committed, since a member had gone meanwhile:"
        )
        _list(console, found.dropped)
    for key, fields in found.different.items():
        console.print(f"  [red]{key} differs[/red] in {', '.join(fields) or 'how it is written down'}")
    for key in found.only_then:
        console.print(f"  [red]{key}[/red] is on the topic, and the replay does not suggest it")
    for key in found.only_now:
        console.print(f"  [red]{key}[/red] is suggested by the replay, and is not on the topic")
    console.print("[green]The same.[/green]" if found.is_same else "[red]It differs.[/red]")


def _list(console: Console, keys: tuple[str, ...]) -> None:
    for key in keys:
        console.print(f"    {key}")


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
