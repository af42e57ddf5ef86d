"""`connection partner`: who may send members, with which keys, and where they are told what happens.

The one writer of the topic `partners`. Every instance of intake reads all of it, so what
is changed here is in force everywhere within seconds.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from aiokafka import TopicPartition
from rich.console import Console
from rich.table import Table

from connection.terminal import ask, kafka
from connection.webhooks import WITHOUT_KEY, deliveries, replay, send_test
from services.intake.keyring import PREFIX_LETTERS, hash_of
from services.intake.webhooks.addresses import may_be_called
from shared.contracts import Partner, PartnerKey
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer, new_reader
from shared.signatures import SECRET_PREFIX
from shared.topics import PARTNERS, partition_of

KEYS_MAX = 2
_SECRET_BYTES = 32
_READ_TIMEOUT_MS = 500
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

partner = typer.Typer(no_args_is_help=True, help="Partner apps: add them, renew and revoke their keys, their webhooks.")
Source = Annotated[str, typer.Argument(help="The CloudEvents source of the partner, such as my-app.")]


@partner.command()
def add(
    source: Source,
    events_per_second: Annotated[
        int | None, typer.Option(min=1, help="More is answered 429; else the default.")
    ] = None,
) -> None:
    """Make a partner known, and print its API key: once, here, and never again."""

    def change(known: Partner | None) -> tuple[Partner, str]:
        if known is not None and known.keys:
            raise _Refused(f"{source} is already known; `connection partner rotate {source}` makes a second key")
        key, kept = _new_key()
        known = known or Partner(source=source)
        return known.model_copy(update={"keys": (kept,), "events_per_second": events_per_second}), key

    typer.echo(_change(source, change))
    typer.echo(f"{source} may send with this key within five seconds. It is not shown again.", err=True)


@partner.command()
def rotate(source: Source) -> None:
    """Print a second API key. The first one works until it is revoked: deploy the new one first."""

    def change(known: Partner | None) -> tuple[Partner, str]:
        if known is None:
            raise _unknown(source)
        if len(known.keys) >= KEYS_MAX:
            listed = " and ".join(key.prefix for key in known.keys)
            raise _Refused(f"{source} has two live keys, {listed}; revoke the one that is no longer used first")
        key, kept = _new_key()
        return known.model_copy(update={"keys": (*known.keys, kept)}), key

    typer.echo(_change(source, change))
    typer.echo("It is not shown again. Revoke the former one when the new one is in use.", err=True)


@partner.command()
def revoke(
    source: Source,
    prefix: Annotated[str | None, typer.Argument(help="How the key begins, as `list` shows it.")] = None,
    every_key: Annotated[bool, typer.Option("--all", help="Every key: nothing is taken from them any more.")] = False,
) -> None:
    """Make a key useless, everywhere, within five seconds."""

    def change(known: Partner | None) -> tuple[Partner, str]:
        if known is None:
            raise _unknown(source)
        if every_key == (prefix is not None):
            raise _Refused(f"say which: the beginning of a key of {source}, or --all")
        left = () if every_key else tuple(key for key in known.keys if key.prefix != prefix)
        gone = len(known.keys) - len(left)
        if not gone:
            raise _Refused(f"{source} has no live key that begins with {prefix}; `connection partner list` shows them")
        return known.model_copy(update={"keys": left}), f"{gone} revoked, {len(left)} left"

    typer.echo(_change(source, change))


@partner.command()
def webhook(
    source: Source,
    url: Annotated[str | None, typer.Option(help="Where they want to be told what happens: https://...")] = None,
    require_signature: Annotated[
        bool | None, typer.Option(help="Refuse their events unless they are signed (Standard Webhooks).")
    ] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="A new secret; the former one is good beside it until the next.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Tell them nothing any more.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test event to the webhook as it is.")] = False,
) -> None:
    """Set a partner's webhook, and what its events must be signed with. A new secret is printed once.

    A url that is set, be it the same again, is used again after a 410.
    """
    if test:
        send_test(source)
        return

    def change(known: Partner | None) -> tuple[Partner, str]:
        if known is None:
            raise _unknown(source)
        if url is not None and not _is_webhook(url):
            raise _Refused(
                "a webhook's url must begin with https:// and name a host, in ASCII (xn--... for other letters)"
            )
        kept, told = known.signing_secrets, ""
        if new_secret or not kept:
            told = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
            kept = (told, *kept)[:2]
        required = known.signature_required if require_signature is None else require_signature
        update: dict[str, Any] = {"signature_required": required, "signing_secrets": kept}
        if remove:
            update["webhook_url"] = None
        elif url is not None:
            now_ms = int(time.time() * 1000)
            since_ms = known.webhook_since_ms if known.webhook_url else now_ms
            update |= {"webhook_url": url, "webhook_since_ms": since_ms, "webhook_set_at_ms": now_ms}
        if url is not None or (known.webhook_url and not remove):
            # Also where it is not the url that changes: a webhook from before there was a key gets one.
            update["webhook_id_key"] = known.webhook_id_key or secrets.token_hex(_SECRET_BYTES)
        return known.model_copy(update=update), told

    if told := _change(source, change):
        typer.echo(told)
        typer.echo("The secret is not shown again.", err=True)


@partner.command(name="list")
def list_partners() -> None:
    """Show who may send, by the beginnings of their keys; no key can be shown."""
    table = Table("source", "keys (since, UTC)", "webhook", "signature", "events a second")
    for one in sorted(ask(_read_all()).values(), key=lambda one: one.source):
        keys = "\n".join(f"{key.prefix}… {_day(key.created_at_ms)}" for key in one.keys) or "none: revoked"
        signature = "required" if one.signature_required else "taken" if one.signing_secrets else "none"
        limit = str(one.events_per_second or "default")
        lacks = f"\n{WITHOUT_KEY}" if one.webhook_url and not one.is_told else ""
        table.add_row(one.source, keys, f"{one.webhook_url or 'none'}{lacks}", signature, limit)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


partner.command()(deliveries)
partner.command()(replay)


class _Refused(Exception):
    """What was asked for cannot be done; the text says what to do instead."""


def _is_webhook(url: str) -> bool:
    is_here = may_be_called(url, allows_private=True) and urlsplit(url).hostname in _THIS_MACHINE
    return is_here or may_be_called(url, allows_private=False)


def _unknown(source: str) -> _Refused:
    return _Refused(f"{source} is not known; `connection partner add {source}` makes it so")


def _new_key() -> tuple[str, PartnerKey]:
    key = f"lc_{secrets.token_urlsafe(_SECRET_BYTES)}"
    created_at_ms = int(time.time() * 1000)
    return key, PartnerKey(prefix=key[:PREFIX_LETTERS], sha256=hash_of(key), created_at_ms=created_at_ms)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _change(source: str, change: Callable[[Partner | None], tuple[Partner, str]]) -> str:
    """Read what is known, change it, write it, acknowledged; the text to be shown."""

    async def run() -> str:
        settings = await kafka()
        await ensure_topics(settings, [PARTNERS])
        changed, told = change((await _read_all()).get(source))
        producer = new_producer(settings, client_id="connection-partner")
        await producer.start()
        try:
            await producer.send_and_wait(
                PARTNERS.name,
                changed.to_bytes(),
                key=source.encode(),
                partition=partition_of(source, settings.partitions),
            )
        finally:
            await producer.stop()
        return told

    try:
        return ask(run())
    except _Refused as refused:
        typer.echo(str(refused), err=True)
        sys.exit(1)


async def _read_all() -> dict[str, Partner]:
    settings = await kafka(PARTNERS)
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(PARTNERS.name, number) for number in range(settings.partitions)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        found: dict[str, Partner] = {}
        while any([await reader.position(place) < ends[place] for place in places]):
            for records in (await reader.getmany(timeout_ms=_READ_TIMEOUT_MS)).values():
                for record in records:
                    source = (record.key or b"").decode()
                    if record.value is None:
                        found.pop(source, None)
                    else:
                        found[source] = Partner.model_validate_json(record.value)
        return found
    finally:
        await reader.stop()
