"""`connection mail`: stop the mail and start it again, see who cannot be written to, take a bounce in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.table import Table

from connection.terminal import TRY_AGAIN, ask, console, give_up, kafka
from shared import ids, topics
from shared.clock import system_clock
from shared.community import CommunityFileError
from shared.contracts import EVERYWHERE, Bounce, MailOrder, OrderKind, Record, Suppression
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import ServiceSettings
from shared.topics import partition_of

mail = typer.Typer(
    no_args_is_help=True, help="Stop the mail and start it again; see who cannot be written to; take bounces in."
)

_NOTE_LETTERS_MAX = 200

Community = Annotated[str | None, typer.Option(help="This community's alone; all of them unless told.")]
Note = Annotated[str, typer.Option(help="Why, for other operators. No personal data: it is kept.")]


@mail.command()
def stop(community: Community = None, note: Note = "") -> None:
    """Stop the mail: within seconds no email leaves any instance. Nothing is lost: emails wait."""
    _order(OrderKind.STOP, community, note)
    typer.echo(f"Stopped: {community or 'all mail'}. `connection mail start` lets it go again.")


@mail.command()
def start(community: Community = None, note: Note = "") -> None:
    """Start the mail again: what waited is looked at once more, and goes if it still may."""
    _order(OrderKind.START, community, note)
    typer.echo(f"Started: {community or 'all mail'}.")
    still = [order.community for order in _stops() if order.kind is OrderKind.STOP]
    if still:
        names = ", ".join("everything" if name == EVERYWHERE else name for name in still)
        typer.echo(f"Still stopped: {names}. `connection mail status` shows it.")


@mail.command()
def status() -> None:
    """Show what was stopped and started, when and why."""
    table = Table("what", "mail", "since (UTC)", "note")
    stops = _stops()
    for order in stops:
        what = "everything" if order.community == EVERYWHERE else order.community
        state = "stopped" if order.kind is OrderKind.STOP else "goes"
        table.add_row(what, state, _time(order.given_at_ms), order.note)
    if stops:
        console().print(table)
    if not any(order.kind is OrderKind.STOP for order in stops):
        typer.echo("Nothing is stopped by an operator.")


@mail.command()
def suppressions() -> None:
    """List the addresses that are not written to any more: by keyed hash, since nobody's address is kept for this."""
    found = _latest(topics.SUPPRESSIONS, Suppression)
    lifted = {(order.community, order.address): order.given_at_ms for order in _latest(topics.MAIL_ORDERS, MailOrder)}
    table = Table("address", "community", "reason", "status", "since (UTC)")
    held = [one for one in found if one.since_ms > lifted.get((one.community, one.address), -1)]
    for one in sorted(held, key=lambda one: (one.community, one.since_ms)):
        table.add_row(one.address, one.community, one.reason, one.status, _time(one.since_ms))
    console().print(table)
    typer.echo(f"{len(held)} suppressed")


@mail.command()
def lift(
    address: Annotated[str, typer.Argument(help="The address itself, or its hash as `suppressions` shows it (a_...).")],
    note: Note = "",
    secret: Annotated[
        str | None,
        typer.Option(
            envvar=["NOTIFIER_ID_SECRET", "NOTIFIER_LINK_SECRET"], help="Keys the hash; needed for an address itself."
        ),
    ] = None,
) -> None:
    """Write to an address again: its mailbox is back, or it was a mistake. The next failure suppresses it anew."""
    if "@" in address:
        if not secret:
            give_up(
                "Set NOTIFIER_LINK_SECRET (and NOTIFIER_ID_SECRET, if there is one) to the notifier's, "
                "or name the hash that `suppressions` shows.",
                2,
            )
        address = ids.address_id(address, secret)
    found = [one for one in _latest(topics.SUPPRESSIONS, Suppression) if one.address == address]
    if not found:
        give_up("That address is not suppressed; `connection mail suppressions` shows which are.", 1)
    now_ms = system_clock()
    orders = [
        MailOrder(
            community=one.community,
            kind=OrderKind.LIFT,
            address=address,
            note=note[:_NOTE_LETTERS_MAX],
            given_at_ms=max(now_ms, one.since_ms),
        )
        for one in found
    ]
    ask(_publish(topics.MAIL_ORDERS, orders))
    typer.echo(f"Lifted in: {', '.join(one.community for one in found)}.")


@mail.command()
def bounce(
    recipient: Annotated[
        list[str] | None, typer.Option(help="The envelope's recipient, if the MTA tells it; may be repeated.")
    ] = None,
) -> None:
    """Take one bounce in, from standard input: for an MTA's pipe.

    Ends with 0 whatever the message is (a bounce must not bounce), and with 75 (try again)
    when Kafka could not take it. Needs NOTIFIER_BOUNCE_ADDRESS and NOTIFIER_LINK_SECRET,
    the same as the notifier has.
    """
    from services.notifier.bounces import REPORT_BYTES_MAX, read_report
    from services.notifier.settings import NotifierSettings
    from services.notifier.verp import ReturnPaths

    try:
        settings = NotifierSettings()
        communities = settings.communities()
    except (ValidationError, CommunityFileError) as error:
        what = error if isinstance(error, CommunityFileError) else "NOTIFIER_LINK_SECRET and NOTIFIER_BOUNCE_ADDRESS"
        give_up(f"Not configured: {what}", TRY_AGAIN)
    if settings.bounce_address is None:
        give_up("Set NOTIFIER_BOUNCE_ADDRESS to where bounces come: without it no email has a return path.", TRY_AGAIN)
    paths = ReturnPaths(settings.bounce_address, settings.links_secret(), settings.former_secrets())
    raw = sys.stdin.buffer.read(REPORT_BYTES_MAX)
    while sys.stdin.buffer.read(REPORT_BYTES_MAX):
        pass  # A mail server whose pipe is closed before its end takes that for a failure.
    report = read_report(raw, recipient or [], paths, communities)
    found: Bounce | None = report.as_bounce(system_clock())
    if found is not None:
        try:
            ask(_publish(topics.BOUNCES, [found]))
        except SystemExit:
            sys.exit(TRY_AGAIN)  # Whatever was wrong and has been said: the mail server keeps the bounce.
    typer.echo(" ".join(filter(None, (report.kind, report.status, "" if report.about else "not ours"))))


def _order(kind: OrderKind, community: str | None, note: str) -> None:
    if community is not None:
        try:
            known = ServiceSettings().communities()
        except CommunityFileError as error:
            give_up(str(error), 2)
        if community not in known:
            give_up(f"There is no community {community!r}; there are: {', '.join(sorted(known))}.", 2)
    order = MailOrder(
        community=community or EVERYWHERE, kind=kind, note=note[:_NOTE_LETTERS_MAX], given_at_ms=system_clock()
    )
    ask(_give(order))


async def _give(order: MailOrder) -> None:
    """To the partition of the community, or to all of them at once: in one transaction, so that it is all or none."""
    settings = await kafka()
    everywhere = range(settings.partitions)
    places = everywhere if order.community == EVERYWHERE else [partition_of(order.community, settings.partitions)]
    producer = new_producer(settings, transactional_id="mail-orders")
    try:
        await producer.start()  # refused to a user who may not: then it is to be stopped as well
        async with producer.transaction():
            for place in places:
                await producer.send(topics.MAIL_ORDERS.name, order.to_bytes(), key=order.key.encode(), partition=place)
    finally:
        await producer.stop()


async def _publish(topic: topics.TopicSpec, records: Sequence[Record]) -> None:
    settings = await kafka()
    producer = new_producer(settings, client_id="connection-mail")
    await producer.start()
    try:
        await publish(producer, [outgoing(topic, record) for record in records], partitions=settings.partitions)
    finally:
        await producer.stop()


R = TypeVar("R", bound=Record)


def _latest(topic: topics.TopicSpec, model: type[R]) -> list[R]:
    async def read() -> dict[tuple[int, str], Record]:
        return await read_latest(await kafka(topic), topic)

    return [record for record in ask(read()).values() if isinstance(record, model)]


def _stops() -> list[MailOrder]:
    """The latest word on everything, and on each community that was ever stopped."""
    orders = [order for order in _latest(topics.MAIL_ORDERS, MailOrder) if order.kind is not OrderKind.LIFT]
    by_community: dict[str, MailOrder] = {}
    for order in orders:
        known = by_community.setdefault(order.community, order)
        if order.given_at_ms > known.given_at_ms:
            by_community[order.community] = order
    return [by_community[name] for name in sorted(by_community)]


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
