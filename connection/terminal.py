"""How commands speak to an operator: tables, a plain word instead of a stack trace, and the status to end with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

TRY_AGAIN = 75
"""EX_TEMPFAIL: what an MTA's pipe is told to come again with."""
_PIPED_LETTERS = 200

A = TypeVar("A")


def ask(what: Coroutine[Any, Any, A]) -> A:
    """Run it against Kafka; without one there is a plain word, and a status that says: try again."""
    try:
        return asyncio.run(what)
    except (KafkaError, OSError) as error:
        give_up(
            f"Kafka did not answer ({type(error).__name__}): check KAFKA_BOOTSTRAP_SERVERS, and try again.", TRY_AGAIN
        )


def give_up(why: str, code: int) -> NoReturn:
    """Say why on standard error, and end with that status."""
    typer.echo(why, err=True)
    sys.exit(code)


def console() -> Console:
    """As wide as the terminal; of a fixed width where the output goes elsewhere, so that tables keep their lines."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_LETTERS)
