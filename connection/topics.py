"""`connection topics`: what the topics are, and whether the broker has them as they must be."""

from __future__ import annotations

import asyncio
import sys

import typer
from rich.console import Console
from rich.table import Table

from shared.acls import Pattern, rights
from shared.kafka.admin import TopicError, describe_topics, ensure_topics
from shared.kafka.rights import RightsError, grant_rights
from shared.settings import KafkaSettings
from shared.topics import TOPICS

topics = typer.Typer(no_args_is_help=True, help="List the topics, create them, check them; who may do what.")


@topics.command(name="list")
def list_topics(
    offline: bool = typer.Option(False, "--offline", help="Only what they should be; do not ask the broker."),
) -> None:
    """Show every topic: what lies on it, who writes it, who reads it, and what the broker has."""
    there = {} if offline else asyncio.run(describe_topics(KafkaSettings()))
    table = Table("topic", "key", "value", "kept", "written by", "read by", "at the broker")
    for topic in TOPICS.values():
        days = f"{topic.retention_ms // 86_400_000} days" if topic.retention_ms else "the latest of each key"
        found = there.get(topic.name)
        state = "not asked" if offline else f"{found['partitions']} partitions" if found else "missing"
        table.add_row(topic.name, topic.key, topic.value, days, topic.writer, ", ".join(topic.readers), state)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@topics.command()
def create() -> None:
    """Create the topics that are missing, and check the others. Safe to repeat."""
    try:
        created = asyncio.run(ensure_topics(KafkaSettings()))
    except TopicError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    typer.echo(f"created: {', '.join(created)}" if created else "All topics are there, and as they must be.")


@topics.command(name="rights")
def show_rights(
    grant: bool = typer.Option(False, "--grant", help="Write them down at the broker; takes none away."),
) -> None:
    """Show who may do what at the broker: a principal for each service, and no more than it needs."""
    if grant:
        try:
            typer.echo(f"{asyncio.run(grant_rights(KafkaSettings()))} rights are there.")
        except RightsError as error:
            typer.echo(str(error), err=True)
            sys.exit(1)
        return
    table = Table("principal", "may", "on", "named")
    for right in rights():
        name = f"{right.name}*" if right.pattern is Pattern.PREFIXED else right.name
        table.add_row(right.principal, right.operation.name.lower(), right.resource.name.lower(), name)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
