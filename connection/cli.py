"""The commands. Each imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from connection.dead_letters import dead_letters
from connection.mail import mail
from connection.partner import partner
from connection.prompts import prompts
from connection.review import review
from connection.topics import topics

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

cli = typer.Typer(
    name="connection",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="**London Connection**: introductions between people who would be friends.\n\n"
    "Start with `connection demo`: it runs everything on this machine, and shows it live on a page.",
)
cli.add_typer(topics, name="topics")
cli.add_typer(dead_letters, name="dead-letters")
cli.add_typer(partner, name="partner")
cli.add_typer(mail, name="mail")
cli.add_typer(prompts, name="prompts")
cli.add_typer(review, name="review")

_SERVICES = "The services"
_HERE = "On this machine"
_SAFETY = "Privacy"
_ROUNDS = "Looking back at rounds"


@cli.command(rich_help_panel=_HERE)
def demo(
    members: Annotated[int, typer.Option(min=4, max=100_000, help="How many people sign up.")] = 300,
    rate: Annotated[float, typer.Option(min=0, help="Sign-ups a second; 0 is as fast as it goes.")] = 10.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 7,
    once: Annotated[
        bool, typer.Option("--once", help="Do not stay: run, check that nothing was lost, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the very last line.")] = False,
    port: Annotated[int, typer.Option(help="Port of the live page; another one if it is taken.")] = 8000,
    import_file: Annotated[
        Path | None, typer.Option("--import", help="Sign up the people of this file instead.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="How to read that file; see `connection import`.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Print so many introductions with their reasons.")] = 0,
) -> None:
    """Run everything here: a real Kafka, the three services, a mailbox, and a London of made-up people.

    The people sign up over HTTP, get their emails, and press the buttons in them. A
    page on localhost shows it live. Needs no Docker and no Java; downloads 45 MB once.
    """
    from demo.run import DemoOptions, run

    options = DemoOptions(
        members=members,
        rate_per_second=rate,
        seed=seed,
        once=once,
        json=as_json,
        console_port=port,
        import_file=import_file,
        mapping_file=mapping,
        examples=examples,
    )
    raise typer.Exit(run(options))


@cli.command(rich_help_panel=_HERE)
def simulate(
    members: Annotated[
        int, typer.Option(min=4, max=100_000, help="How many people sign up in the course of it.")
    ] = 2000,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days to live through.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same days, to the last number.")] = 1,
    assumptions: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="What to assume otherwise about people; see simulation/assumptions.yaml."
        ),
    ] = None,
    figures: Annotated[Path | None, typer.Option(file_okay=False, help="Draw plots into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Live through a year of a made-up community, in a few minutes and without Kafka or email.

    The matcher's and the notifier's own decisions, and members whose behaviour is assumed:
    the figures say how the services behave, and nothing about people. Exit status 1 if a
    promise was broken, such as that nobody is in two introductions at once.
    """
    from simulation.command import SimulateOptions, simulate_command

    raise typer.Exit(
        simulate_command(
            SimulateOptions(
                members=members, days=days, seed=seed, assumptions=assumptions, figures=figures, json=as_json
            )
        )
    )


@cli.command(rich_help_panel=_HERE)
def kafka(
    data: Annotated[
        Path | None, typer.Option(help="Keep the data in this folder; otherwise it is thrown away.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where clients reach it.")] = 9092,
) -> None:
    """Run a real Apache Kafka on this machine, without Docker, until Ctrl-C."""
    import signal

    from demo.kafka import EmbeddedKafka

    with EmbeddedKafka(data, port) as broker:
        typer.echo(f"Kafka answers at {broker.bootstrap_servers}. Ctrl-C stops it.", err=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            signal.pause()
        except KeyboardInterrupt:
            typer.echo("Stopping.", err=True)


@cli.command(name="kafka-secrets", rich_help_panel=_SERVICES)
def kafka_secrets(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where to lay them; made if it is not there.")],
    host: Annotated[
        list[str] | None, typer.Option(help="What clients call the broker; as often as wanted. kafka and localhost.")
    ] = None,
) -> None:
    """Make the certificates and passwords of a secured Kafka, for compose.secure.yaml.

    Passwords that are there are kept. Certificates are made anew, for a year: start the broker
    and the services again then.
    """
    from connection.kafka_secrets import kafka_secrets_command

    kafka_secrets_command(folder, host or ["kafka", "localhost"])


@cli.command(rich_help_panel=_SERVICES)
def intake() -> None:
    """Take sign-ups from partner apps, over HTTP (port 8001) and from the topic `signups`.

    Settings are environment variables: INTAKE_API_KEYS='{"my-app": "a-long-secret"}',
    KAFKA_BOOTSTRAP_SERVERS=host:9092, and more; the README lists them all.
    """
    from services.intake.app import build_app
    from services.intake.settings import IntakeSettings

    _serve("intake", IntakeSettings, build_app)


@cli.command(rich_help_panel=_SERVICES)
def matcher() -> None:
    """Suggest friendships and small groups, in rounds. Port 8002 is for operators.

    MATCHER_ROUND_INTERVAL_SECONDS says how often a community is looked at.
    """
    from services.matcher.app import build_app
    from services.matcher.settings import MatcherSettings

    _serve("matcher", MatcherSettings, build_app)


@cli.command(rich_help_panel=_SERVICES)
def notifier() -> None:
    """Invite and introduce people by email, and serve the pages behind the buttons (port 8003).

    Needs SMTP_HOST and SMTP_PORT, NOTIFIER_PUBLIC_URL (what links begin with) and
    NOTIFIER_LINK_SECRET (what encrypts them).
    """
    from services.notifier.app import build_app
    from services.notifier.settings import NotifierSettings

    _serve("notifier", NotifierSettings, build_app)


@cli.command(name="import", rich_help_panel=_HERE)
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or JSON Lines.")],
    mapping: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Which column is what; see docs/importing.md.")
    ],
    api_key: Annotated[str, typer.Option(envvar="CONNECTION_API_KEY", help="The partner's API key.")],
    url: Annotated[str, typer.Option(help="Where intake is.")] = "http://127.0.0.1:8001",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows.")] = None,
) -> None:
    """Sign up the people of a file through intake, and report the rows that cannot be used.

    A bad row never stops the others: it is reported with its line number and what is wrong.
    """
    from connection.importing import import_command

    raise typer.Exit(import_command(file, mapping, url=url, api_key=api_key, limit=limit))


@cli.command(rich_help_panel=_ROUNDS)
def replay(
    round_: Annotated[
        str | None, typer.Argument(metavar="[ROUND]", help="Its id, as suggestions and the matcher's log have it.")
    ] = None,
    community: Annotated[str | None, typer.Option(help="The newest round of this community.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Run a round again from the topics, and compare: the same to the last byte, or what differs.

    Exit status 0 only if it is the same, 1 if it differs or cannot be run again, 2 if the
    question makes no sense. Needs KAFKA_BOOTSTRAP_SERVERS and COMMUNITIES_DIR, as the services do.
    """
    from connection.replay import replay_command

    raise typer.Exit(replay_command(round_, community, as_json=as_json))


@cli.command(rich_help_panel=_ROUNDS)
def explain(
    suggestion: Annotated[str, typer.Argument(help="Its id; introductions and emails' records carry it too.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Say why these people were suggested to each other, and whom that passed over for what reason.

    Runs their round again from the topics. Members are ids; the matcher knows no names.
    """
    from connection.explain import explain_command

    raise typer.Exit(explain_command(suggestion, as_json=as_json))


@cli.command(rich_help_panel=_SAFETY)
def erase(
    member: Annotated[str | None, typer.Argument(help="Their id (m_...), or name them as their partner does.")] = None,
    partner: Annotated[str | None, typer.Option(help="The source of the partner app that signed them up.")] = None,
    reference: Annotated[str | None, typer.Option(help="The partner's own reference for them.")] = None,
    community: Annotated[str, typer.Option(help="Which community.")] = "london",
    prove: Annotated[bool, typer.Option("--prove", help="Erase nobody: look whether anything is left.")] = False,
    looking_for: Annotated[
        str | None, typer.Option(metavar="FILE", help="What to look for, a name or an address a line; - reads it here.")
    ] = None,
    segments: Annotated[Path | None, typer.Option(file_okay=False, help="The broker's log.dirs, or a copy.")] = None,
    logs: Annotated[Path | None, typer.Option(file_okay=False, help="The folder with the services' logs.")] = None,
    metrics: Annotated[list[str] | None, typer.Option(help="A service's metrics page; as often as wanted.")] = None,
    within: Annotated[float, typer.Option(min=0, help="How many seconds to wait for the services.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Have a member forgotten, for good, and wait until every service says that it has.

    With --prove: look through all topics, and the files that are named, for what they wrote.
    Exit status 1 if a service has not forgotten in time, or if anything was found.
    """
    from connection.erase import EraseOptions, erase_command

    raise typer.Exit(
        erase_command(
            EraseOptions(
                member, partner, reference, community, prove, looking_for, segments, logs, tuple(metrics or ()),
                within, as_json,
            )
        )
    )  # fmt: skip


@cli.command(rich_help_panel=_SAFETY)
def export(
    member: Annotated[str | None, typer.Argument(help="Its id, as topics have it (m_...).")] = None,
    partner: Annotated[str | None, typer.Option(help="Or the app that signed them up, by its source,")] = None,
    reference: Annotated[str | None, typer.Option(help="with that app's own reference for them,")] = None,
    community: Annotated[str | None, typer.Option(help="and the community; with MEMBER it only saves time.")] = None,
) -> None:
    """Write everything that is stored about a member to standard output, as JSON that they can be sent.

    Needs KAFKA_BOOTSTRAP_SERVERS, the notifier's NOTIFIER_LINK_SECRET (and NOTIFIER_ID_SECRET,
    if it has one), and CONTACTS_KEYS where contacts are encrypted. Members get the same by a
    link that is in each of their emails.
    """
    from connection.export import export_command

    raise typer.Exit(export_command(member, partner, reference, community))


def main() -> None:
    """The entry point of the program."""
    cli()


def _serve(service: str, settings_class: type[BaseSettings], build: Callable[..., Any]) -> None:
    from connection.terminal import give_up, read_settings, wrong_settings
    from shared.community import CommunityFileError
    from shared.kafka.reachable import why_unreachable
    from shared.lifeline import Lifeline
    from shared.logs import configure_logs
    from shared.serving import serve
    from shared.settings import KafkaSettings

    settings: Any = read_settings(settings_class, service)
    kafka = read_settings(KafkaSettings, service)
    configure_logs(service, settings.log_level)
    if (why := asyncio.run(why_unreachable(kafka))) is not None:
        give_up(f"{service}: {why}", 1)
    lifeline = Lifeline()
    try:
        app = build(settings, kafka, lifeline)
    except ValidationError as error:
        give_up("\n".join(f"{service}: {line}" for line in wrong_settings(error)), 2)
    except CommunityFileError as error:
        give_up(f"{service}: {error}", 2)
    sys.exit(serve(app, lifeline, host=settings.http_host, port=settings.http_port))
