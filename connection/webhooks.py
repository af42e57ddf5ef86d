"""`connection partner deliveries | replay`, and the test event: what partners were told, and telling it again.

The one writer of the topic `webhook-orders`; intake does what it says there.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connection.terminal import ask, kafka
from shared.contracts import Partner, Record, WebhookDelivery, WebhookOrder, WebhookOrderKind, WebhookState
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.reading import read_from_the_start, reading
from shared.topics import PARTNERS, WEBHOOK_DELIVERIES, WEBHOOK_ORDERS, partition_of

WITHOUT_KEY = "the webhook has no key for ids, and is told nothing: `connection partner webhook SOURCE` makes one"
"""Of a webhook that was set before there were such keys (`Partner.is_told`)."""
Source = Annotated[str, typer.Argument(help="The CloudEvents source of the partner, such as my-app.")]


def deliveries(
    source: Source,
    state: Annotated[WebhookState | None, typer.Option(help="Only those that are so.")] = None,
    at_most: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 50,
) -> None:
    """Show what was told to a partner's webhook, and what became of it."""
    known = ask(_partner(source))
    if known is not None and known.webhook_url is not None and not known.is_told:
        typer.echo(f"{source}: {WITHOUT_KEY}", err=True)
    found = [one for one in _deliveries(source) if state is None or one.state is state]
    table = Table("webhook-id", "type", "occurred (UTC)", "state", "tries", "last outcome", "next try (UTC)")
    for one in sorted(found, key=lambda one: one.occurred_at_ms)[-at_most:]:
        outcome = " ".join(str(part) for part in (one.outcome, one.status) if part is not None) or "none yet"
        due = _time(one.next_at_ms) if one.state is WebhookState.PENDING else ""
        table.add_row(one.event, one.type, _time(one.occurred_at_ms), one.state, str(one.attempts), outcome, due)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    counts = Counter(one.state for one in found)
    typer.echo(", ".join(f"{counts[each]} {each}" for each in WebhookState))


def replay(
    source: Source,
    since: Annotated[datetime | None, typer.Option(help="What occurred since then (UTC); all unless told.")] = None,
    event: Annotated[str | None, typer.Option("--id", help="This one alone, by its webhook-id.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was delivered, and not only what failed.")
    ] = False,
) -> None:
    """Send events to a partner's webhook again, under the same webhook-ids."""
    _ask_for_webhook(source)
    if event is not None and not any(one.event == event for one in _deliveries(source)):
        _give_up(f"there is no {event}; `connection partner deliveries {source}` shows what there is")
    order = WebhookOrder(
        community=source,
        kind=WebhookOrderKind.REPLAY,
        source=source,
        ordered_at_ms=int(time.time() * 1000),
        since_ms=0 if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000),
        event=event,
        everything=everything,
    )
    ask(_order(order))
    typer.echo(f"Ordered. `connection partner deliveries {source}` shows how it goes.")


def send_test(source: str) -> None:
    """Order an event that says nothing."""
    _ask_for_webhook(source)
    now_ms = int(time.time() * 1000)
    order = WebhookOrder(community=source, kind=WebhookOrderKind.TEST, source=source, ordered_at_ms=now_ms)
    ask(_order(order))
    typer.echo(f"A test event is on its way; `connection partner deliveries {source}` shows what becomes of it.")


def _deliveries(source: str) -> list[WebhookDelivery]:
    async def read() -> dict[tuple[int, str], Record]:
        return await read_latest(await kafka(WEBHOOK_DELIVERIES), WEBHOOK_DELIVERIES)

    latest = ask(read())
    return [one for one in latest.values() if isinstance(one, WebhookDelivery) and one.source == source]


async def _order(order: WebhookOrder) -> None:
    """A replay goes to every partition, since a partner's members may be in all; a test to the partner's own."""
    settings = await kafka()
    await ensure_topics(settings, [WEBHOOK_ORDERS])
    is_everywhere = order.kind is WebhookOrderKind.REPLAY
    own = partition_of(order.source, settings.partitions)
    producer = new_producer(settings, client_id="connection-partner")
    await producer.start()
    try:
        for number in range(settings.partitions) if is_everywhere else [own]:
            await producer.send_and_wait(
                WEBHOOK_ORDERS.name, order.to_bytes(), key=order.key.encode(), partition=number
            )
    finally:
        await producer.stop()


def _ask_for_webhook(source: str) -> None:
    known = ask(_partner(source))
    if known is not None and known.webhook_url is not None and not known.is_told:
        _give_up(f"{source}: {WITHOUT_KEY}")
    if known is None or known.webhook_url is None:
        _give_up(f"{source} has no webhook; `connection partner webhook {source} --url https://...` sets one")


async def _partner(source: str) -> Partner | None:
    settings = await kafka(PARTNERS)
    found = None
    async with reading(settings) as reader:
        own = partition_of(source, settings.partitions)
        async for record in read_from_the_start(reader, PARTNERS.name, own):
            if record.key == source.encode():
                found = Partner.model_validate_json(record.value) if record.value else None
    return found


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _give_up(text: str) -> None:
    typer.echo(text, err=True)
    sys.exit(1)
