"""Keeps a keyring as the topic `partners` has it: what operators change is in force within seconds, everywhere."""

from __future__ import annotations

from collections.abc import Callable

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.intake.keyring import Keyring
from shared.contracts import Partner
from shared.logs import logger

log = logger(__name__)


def keep(keyring: Keyring) -> Callable[[ConsumerRecord], None]:
    """Applies a record of `partners`. One that cannot be read locks its partner out: better than an old key let in."""

    def apply(record: ConsumerRecord) -> None:
        source = (record.key or b"").decode(errors="replace")
        partner = None
        if record.value:
            try:
                partner = Partner.model_validate_json(record.value)
            except ValidationError:
                log.error("partner_unreadable", offset=record.offset, partition=record.partition)
        keyring.put(source, partner if partner is None or partner.source == source else None)

    return apply
