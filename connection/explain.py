"""`connection explain`: why these people were suggested to each other, and not to others. Ids, no names."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from connection.rounds import community_called, rounds_on_the_topic, run_recorded, stop
from connection.terminal import ask
from services.matcher.explain import Alternative, Explanation, NotInThatRound, Parts, explain
from services.matcher.replay import ReplayError
from shared.contracts import Suggestion


def explain_command(suggestion: str, *, as_json: bool) -> int:
    """Explain one suggestion; the exit status."""
    settings, rounds = rounds_on_the_topic()
    found = [each for each in rounds if suggestion in each.suggestions]
    if not found:
        stop(f"there is no suggestion {suggestion} on the topic: it was never made, or is past its retention")
    recorded = found[-1]
    try:
        again = ask(run_recorded(settings, recorded, community_called(recorded.community)))
        explained = explain(recorded.suggestions[suggestion], again.round, again.suggestions)
    except (ReplayError, NotInThatRound) as reason:
        if not as_json:
            _show_record(recorded.suggestions[suggestion], Console(highlight=False))
        stop(reason)
    if as_json:
        typer.echo(json.dumps(_as_json(explained)))
    else:
        show(explained, Console(highlight=False))
        if not again.comparison.is_same:
            typer.echo("The round differs when it is run again: `connection replay` shows how.", err=True)
    return 0


def _as_json(explained: Explanation) -> dict[str, object]:
    suggestion = explained.suggestion
    if suggestion.anchor.kind == "life_topic":  # what somebody goes through is theirs to tell
        suggestion = suggestion.model_copy(update={"anchor": suggestion.anchor.model_copy(update={"word": ""})})
    whole = {"suggestion": suggestion.model_dump(mode="json")}
    return whole | {name: value for name, value in asdict(explained).items() if name != "suggestion"}


def show(explained: Explanation, console: Console) -> None:
    """The explanation for people."""
    suggestion = explained.suggestion
    _show_record(suggestion, console)
    console.print(f"{explained.free_members:,} members were free.")
    for pair, parts in explained.pairs.items():
        console.print(f"  {pair.replace(' ', ' and ')}: {_parts(parts)}")
    if suggestion.opener is None:
        console.print("Opener: none, since none of them is happy to go first and rested.")
    for opener in explained.openers:
        mark = "Opener" if opener.member == suggestion.opener else "Not the opener"
        console.print(
            f"{mark}: {opener.member} (goes first {opener.goes_first} of 5, asked {opener.asked_lately} times lately): "
            f"{opener.why}."
        )
    for member in explained.members:
        eased = [
            what
            for is_eased, what in (
                (member.distance_eased, f"distance, to {member.reach_km:g} km"),
                (member.interests_eased, "that an interest is shared"),
                (member.size_eased, "the size of a group"),
            )
            if is_eased
        ]
        console.print(
            f"\n[bold]{member.member}[/bold]: waited {member.waited_rounds} rounds "
            f"(+{member.weight_gained_by_waiting:,}); eased by waiting: {', '.join(eased) or 'nothing'}; "
            f"this suggestion is worth {member.worth:,} to them"
        )
        table = Table("instead", "weight", "interests", "openness", "practical", "why not")
        for other in member.alternatives:
            parts = other.score
            table.add_row(
                other.member,
                f"{parts.weight:,}",
                f"{parts.interests:.3f}",
                f"{parts.openness:.3f}",
                f"{parts.practical:.3f}",
                _why(other),
            )
        if member.alternatives:
            console.print(table)
        else:
            console.print("  There was nobody else.")


def _show_record(suggestion: Suggestion, console: Console) -> None:
    """What the record itself tells."""
    reference, score, weights = suggestion.round, suggestion.score, suggestion.weights
    at = datetime.fromtimestamp(suggestion.suggested_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    console.print(f"[bold]{suggestion.suggestion}[/bold]: a {suggestion.kind} in {suggestion.community}")
    console.print(f"Round {reference.round}, {at} UTC, engine {reference.engine}, seed {reference.seed}\n")
    table = Table("part", "score", "weight", title="Score: the least that any two of them reach", title_justify="left")
    for part in ("interests", "openness", "practical"):
        table.add_row(part, f"{getattr(score, part):.3f}", f"{weights.get(part, 0):.2f}")
    table.add_row("total", f"{score.total:.3f}", "")
    console.print(table)
    around = "nothing but nearness" if suggestion.anchor.kind == "none" else suggestion.anchor.kind.replace("_", " ")
    # What somebody goes through is theirs to tell: a life topic is not named.
    word = f" {suggestion.anchor.word}" if suggestion.anchor.kind == "interest" else ""
    console.print(f"Around: {around}{word}. At {suggestion.place.name}, {suggestion.slot}.")
    console.print(f"They share: {', '.join(suggestion.shared_interests) or 'no interest'}.")
    console.print(f"Members: {', '.join(suggestion.members)}; opener: {suggestion.opener or 'none'}.")


def _why(other: Alternative) -> str:
    if other.taken_by is None:
        return other.why.replace("_", " ")
    what = f"is in {other.taken_by}, worth {other.taken_weight:,} to them"
    return what if other.why == "taken" else f"{other.why.replace('_', ' ')}; {what}"


def _parts(parts: Parts) -> str:
    return (
        f"interests {parts.interests:.3f}, openness {parts.openness:.3f}, practical {parts.practical:.3f}, "
        f"total {parts.total:.3f}, weight {parts.weight:,}"
    )
