"""`connection topics`: what the topics are, and whether the broker has them as they must be."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.table import Table

from connection.acl_commands import TOOL, acl_commands
from connection.terminal import ask, console, give_up, kafka, read_settings
from shared.acls import Pattern, rights
from shared.kafka.admin import describe_topics, ensure_topics, hidden_topics
from shared.kafka.rights import grant_rights
from shared.settings import KafkaSettings
from shared.topics import TOPICS

topics = typer.Typer(no_args_is_help=True, help="List the topics, create them, check them; who may do what.")


@topics.command(name="list")
def list_topics(
    offline: bool = typer.Option(False, "--offline", help="Only what they should be; do not ask the broker."),
) -> None:
    """Show every topic: what lies on it, who writes it, who reads it, and what the broker has."""
    there, hidden = ({}, frozenset[str]()) if offline else ask(_look())
    table = Table("topic", "key", "value", "kept", "written by", "read by", "at the broker")
    for topic in TOPICS.values():
        days = f"{topic.retention_ms // 86_400_000} days" if topic.retention_ms else "the latest of each key"
        found = there.get(topic.name)
        unseen = "not for this user to see" if topic.name in hidden else "missing"
        state = "not asked" if offline else f"{found['partitions']} partitions" if found else unseen
        table.add_row(topic.name, topic.key, topic.value, days, topic.writer, ", ".join(topic.readers), state)
    console().print(table)
    if hidden:
        give_up(
            f"{len(hidden)} of {len(TOPICS)} topics are not for this Kafka user to see, if they are there at all.", 1
        )


@topics.command()
def create() -> None:
    """Create the topics that are missing, and check the others. Safe to repeat."""
    created = ask(_create())
    typer.echo(f"created: {', '.join(created)}" if created else "All topics are there, and as they must be.")


@topics.command(name="rights")
def show_rights(
    grant: bool = typer.Option(False, "--grant", help="Write them down at the broker; takes none away."),
) -> None:
    """Show who may do what at the broker: a principal for each service, and no more than it needs."""
    if grant:
        typer.echo(f"{ask(_grant())} rights are there.")
        return
    table = Table("principal", "may", "on", "named")
    for right in rights():
        name = f"{right.name}*" if right.pattern is Pattern.PREFIXED else right.name
        table.add_row(right.principal, right.operation.name.lower(), right.resource.name.lower(), name)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


@topics.command(name="acls")
def show_acls(
    command_config: str = typer.Option(
        "operator.properties", help="Of whoever grants: the file with their login, as Kafka's tools want it."
    ),
) -> None:
    """Print the same rights as commands of Kafka's own kafka-acls.sh, for who grants them by hand. Asks no broker."""
    typer.echo(f"# The rights of `connection topics rights`, by {TOOL} of Kafka. Takes none away; safe to repeat.")
    for command in acl_commands(
        rights(), bootstrap_servers=read_settings(KafkaSettings).bootstrap_servers, command_config=command_config
    ):
        typer.echo(command)


async def _look() -> tuple[dict[str, dict[str, str | int]], frozenset[str]]:
    settings = await kafka()
    return await describe_topics(settings), await hidden_topics(settings)


async def _create() -> list[str]:
    return await ensure_topics(await kafka())


async def _grant() -> int:
    return await grant_rights(await kafka())
