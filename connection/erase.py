"""`connection erase`: have a member forgotten, wait until every service says so, and look whether it is true."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import typer
from aiokafka.errors import KafkaError
from rich.table import Table

from connection.erase_proof import Finding, Needles, in_logs, in_metrics, in_segments, in_topics
from connection.terminal import TRY_AGAIN, ask, console, give_up, kafka
from shared import ids, topics
from shared.clock import system_clock
from shared.community import CommunityFileError
from shared.contracts import Erasure, ErasureOrder, Service
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import KafkaSettings, ServiceSettings

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class EraseOptions:
    """What an operator asked for."""

    member: str | None
    partner: str | None
    reference: str | None
    community: str
    prove: bool
    looking_for: str | None
    segments: Path | None
    logs: Path | None
    metrics: tuple[str, ...]
    within_seconds: float
    json: bool


def erase_command(options: EraseOptions) -> int:
    """The exit status: 0 when all have forgotten or nothing was found, 1 when not, 2 for a question without sense."""
    member = _member(options)
    try:
        if options.prove:
            return _prove(options, member)
        return _erase(options, member)
    except (KafkaError, httpx.HTTPError) as error:
        give_up(f"No answer ({type(error).__name__}): check KAFKA_BOOTSTRAP_SERVERS, and try again.", TRY_AGAIN)
    except OSError as error:
        give_up(str(error), 2)


def _member(options: EraseOptions) -> str:
    try:
        known = ServiceSettings().communities()
    except CommunityFileError as error:
        give_up(str(error), 2)
    if options.community not in known:
        give_up(f"There is no community {options.community!r}; there are: {', '.join(sorted(known))}.", 2)
    if options.partner is not None and options.reference is not None and options.member is None:
        return ids.member_id(options.community, options.partner, options.reference)
    if options.member is None or options.partner is not None or options.reference is not None:
        give_up("Name the member by their id (m_...), or by --partner and --reference.", 2)
    if not options.member.startswith("m_"):
        give_up(f"{options.member!r} is not a member's id: that begins with m_.", 2)
    return options.member


def _erase(options: EraseOptions, member: str) -> int:
    said = ask(_order_and_wait(options.community, member, options.within_seconds))
    if options.json:
        typer.echo(json.dumps({"member": member, "forgotten_at_ms": {str(name): at for name, at in said.items()}}))
    else:
        table = Table("service", "has forgotten (UTC)")
        for service in Service:
            table.add_row(service, _time(said[service]) if service in said else "not yet")
        console().print(table)
        if len(said) == len(Service):
            days = KafkaSettings().erased_within_ms / 86_400_000
            typer.echo(f"Nothing of theirs is left in Kafka within {days:g} days; --prove looks whether that is so.")
        else:
            typer.echo("The order stands, and is carried out when the others run. Ask again with the same command.")
    return 0 if len(said) == len(Service) else 1


async def _order_and_wait(community: str, member: str, within_seconds: float) -> dict[Service, int]:
    """When each service said it. An order that stands already is not given anew."""
    settings = await kafka(topics.ERASURE_ORDERS, topics.ERASURES)
    orders = await read_latest(settings, topics.ERASURE_ORDERS)
    if not any(key == member for _, key in orders):
        order = ErasureOrder(community=community, member=member, ordered_at_ms=system_clock())
        producer = new_producer(settings, client_id="connection-erase")
        await producer.start()
        try:
            await publish(producer, [outgoing(topics.ERASURE_ORDERS, order)], partitions=settings.partitions)
        finally:
            await producer.stop()
    deadline = time.monotonic() + within_seconds
    while True:
        latest = (await read_latest(settings, topics.ERASURES)).values()
        said = {one.service: one.forgotten_at_ms for one in latest if isinstance(one, Erasure) and one.member == member}
        if len(said) == len(Service) or time.monotonic() >= deadline:
            return said
        await asyncio.sleep(_POLL_SECONDS)


def _prove(options: EraseOptions, member: str) -> int:
    if options.looking_for is None:
        give_up("Say what to look for: --looking-for FILE, or - for standard input; a name or an address a line.", 2)
    text = sys.stdin.read() if options.looking_for == "-" else Path(options.looking_for).read_text(encoding="utf-8")
    try:
        needles = Needles(text.splitlines())
    except ValueError as error:
        give_up(str(error), 2)
    said, findings = ask(_look_through_kafka(member, needles))
    if options.segments is not None:
        findings += in_segments(options.segments, needles)
    if options.logs is not None:
        findings += in_logs(options.logs, needles)
    findings += in_metrics(options.metrics, needles)
    looked = ["topics", *(["segments"] if options.segments else []), *(["logs"] if options.logs else [])]
    looked += ["metrics"] if options.metrics else []
    if options.json:
        found = [finding.as_dict() for finding in findings]
        acknowledged = {str(name): at for name, at in said.items()}
        typer.echo(json.dumps({"member": member, "forgotten_at_ms": acknowledged, "looked": looked, "found": found}))
    else:
        _show(findings, said, looked)
    return 1 if findings else 0


async def _look_through_kafka(member: str, needles: Needles) -> tuple[dict[Service, int], list[Finding]]:
    settings = await kafka(*topics.TOPICS.values())
    latest = (await read_latest(settings, topics.ERASURES)).values()
    said = {one.service: one.forgotten_at_ms for one in latest if isinstance(one, Erasure) and one.member == member}
    return said, [finding async for finding in in_topics(settings, needles)]


def _show(findings: list[Finding], said: dict[Service, int], looked: list[str]) -> None:
    for service in Service:
        typer.echo(f"{service}: " + (f"has forgotten, {_time(said[service])} UTC" if service in said else "not yet"))
    if not findings:
        typer.echo(f"Nothing was found. Looked through: {', '.join(looked)}.")
        return
    table = Table("where", "place", "offset", "line")
    for finding in findings:
        table.add_row(finding.where, finding.place, str(finding.offset), str(finding.what))
    console().print(table)
    typer.echo(f"{len(findings)} found. Looked through: {', '.join(looked)}.")


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
