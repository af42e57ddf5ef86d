"""`connection dead-letters`: look at the messages that could not be used, and put them back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connection.terminal import ask, kafka
from shared.kafka.connection import new_producer
from shared.kafka.dead_letters import DeadLetter, read_dead_letter, read_dead_letters, replay
from shared.topics import DEAD_LETTERS

dead_letters = typer.Typer(
    no_args_is_help=True, help="Messages that could not be used: list them, look at one, put them back."
)


@dead_letters.command(name="list")
def list_letters(
    topic: str | None = typer.Option(None, help="Only those from this topic."),
    reason: str | None = typer.Option(
        None, help="Only those whose reason holds this, in any case: a kind (invalid-event) or a field (/data/email)."
    ),
    last: int = typer.Option(50, min=1, help="Only so many of the newest."),
) -> None:
    """List dead letters with where they came from and what was wrong, without what they hold."""
    letters = [letter for letter in ask(_collect(topic)) if _is_about(letter, reason)]
    table = Table("name", "from", "at (UTC)", "consumer", "what was wrong")
    for letter in sorted(letters, key=lambda letter: letter.timestamp_ms)[-last:]:
        at = datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        place = f"{letter.topic}/{letter.from_partition}@{letter.from_offset}"
        table.add_row(letter.name, place, at, letter.consumer, letter.reason)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    typer.echo(f"{len(letters)} dead letters")


@dead_letters.command()
def show(name: Annotated[str, typer.Argument(help="As `list` shows it: partition:offset.")]) -> None:
    """Show one whole: its original bytes go to standard output, what is known about it to standard error."""
    letter = _find(name)
    typer.echo(f"from {letter.topic}/{letter.from_partition}@{letter.from_offset}, by {letter.consumer}", err=True)
    typer.echo(f"what was wrong: {letter.reason}", err=True)
    typer.echo(f"key: {letter.key!r}", err=True)
    for header, value in letter.headers:
        typer.echo(f"header {header}: {value!r}", err=True)
    sys.stdout.buffer.write(letter.value or b"")
    sys.stdout.buffer.write(b"\n")


@dead_letters.command(name="replay")
def replay_letters(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones, as `list` shows them.")] = None,
    topic: str | None = typer.Option(None, help="All that came from this topic."),
) -> None:
    """Put dead letters back where they came from, byte for byte, after what was wrong has been mended.

    They stay on `dead-letters` too. Ids are derived, so putting one back twice does no harm.
    """
    if bool(names) == bool(topic):
        typer.echo("Say which: names, or --topic TOPIC for all of a topic.", err=True)
        sys.exit(2)
    letters = [_find(name) for name in names] if names else ask(_collect(topic))
    whole = [letter for letter in letters if not letter.cut_from_bytes]
    ask(_replay(whole))
    typer.echo(f"{len(whole)} put back")
    if len(whole) < len(letters):
        cut = ", ".join(letter.name for letter in letters if letter.cut_from_bytes)
        typer.echo(f"not put back, since they were too large to be kept whole: {cut}", err=True)
        sys.exit(1)


def _find(name: str) -> DeadLetter:
    try:
        letter = ask(_read(name))
    except ValueError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    if letter is None:
        typer.echo(f"there is no dead letter {name}; `connection dead-letters list` shows which there are", err=True)
        sys.exit(1)
    return letter


async def _read(name: str) -> DeadLetter | None:
    return await read_dead_letter(await kafka(DEAD_LETTERS), name)


def _is_about(letter: DeadLetter, reason: str | None) -> bool:
    return reason is None or reason.casefold() in letter.reason.casefold()


async def _collect(topic: str | None) -> list[DeadLetter]:
    settings = await kafka(DEAD_LETTERS)
    return [letter async for letter in read_dead_letters(settings) if topic in (None, letter.topic)]


async def _replay(letters: list[DeadLetter]) -> None:
    producer = new_producer(await kafka(), client_id="dead-letter-replay")
    await producer.start()
    try:
        for letter in letters:
            await replay(producer, letter)
    finally:
        await producer.stop()
