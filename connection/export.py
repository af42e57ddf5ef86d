"""`connection export`: everything that is stored about a member, as JSON on standard output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import orjson
import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connection.terminal import ask, kafka, wrong_settings
from services.notifier.export_reading import READS, read_export
from services.notifier.settings import NotifierSecrets
from services.notifier.shown_ids import ShownIds
from shared.clock import system_clock
from shared.ids import member_id
from shared.sealing import MasterKeys, SealError
from shared.settings import ContactsSettings, KafkaSettings
from shared.topics import partition_of

SECONDS_MAX = 600.0
"""Topics of any size that we know of have been read by then."""


def export_command(member: str | None, partner: str | None, reference: str | None, community: str | None) -> int:
    """Write the document; gives the exit status: 0, or 1 if it cannot be made, or 2 for a question without sense."""
    by_reference = (partner, reference)
    if (member is None) == (by_reference == (None, None)) or (member is None and None in (*by_reference, community)):
        return _complain("Say who: MEMBER (its id, m_...), or --partner, --reference and --community together.", 2)
    if partner is not None and reference is not None and community is not None:
        member = member_id(community, partner, reference)
    assert member is not None
    if not member.startswith("m_"):
        return _complain("MEMBER is an id and begins with m_; give the app's own --reference with its --partner.", 2)
    try:
        master_keys = ContactsSettings().master_keys()
        shown_ids = ShownIds(NotifierSecrets().lasting_secret())
    except ValidationError as error:
        wrong = "; ".join(wrong_settings(error))
        if error.title == NotifierSecrets.__name__:
            return _complain(
                "Set NOTIFIER_LINK_SECRET, and NOTIFIER_ID_SECRET if there is one, to the notifier's: ids in the "
                f"document are keyed. ({wrong})",
                2,
            )
        return _complain(wrong, 2)
    settings = ask(kafka(*READS))
    numbers = range(settings.partitions) if community is None else [partition_of(community, settings.partitions)]
    try:
        document = asyncio.run(_read(settings, member, numbers, master_keys, shown_ids))
    except (KafkaError, TimeoutError, OSError) as error:
        why = type(error).__name__
        return _complain(f"Kafka at {settings.bootstrap_servers} does not answer ({why}): try again.", 1)
    except SealError as error:
        return _complain(f"The contact cannot be read: {error}.", 1)
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
    if not document["erased"] and not any(isinstance(part, dict) and part.get("entries") for part in document.values()):
        return _complain("Nothing is stored about this member.", 0)
    return 0


async def _read(
    settings: KafkaSettings,
    member: str,
    numbers: Sequence[int],
    master_keys: MasterKeys | None,
    shown_ids: ShownIds,
) -> dict[str, object]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=len(READS))
        read: list[str] = []

        def on_topic(topic: str) -> None:
            progress.update(task, description=topic, completed=len(read))
            read.append(topic)

        async with asyncio.timeout(SECONDS_MAX):
            return await read_export(
                settings,
                member,
                partitions=numbers,
                master_keys=master_keys,
                shown_ids=shown_ids,
                now_ms=system_clock(),
                on_topic=on_topic,
            )


def _complain(why: str, status: int) -> int:
    typer.echo(why, err=True)
    return status
