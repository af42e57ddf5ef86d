"""To be forgotten: what operators order, and what each service says when it has done so.

A member asks on a page of ours (`Preference`), their partner app asks (`PartnerRequest`),
or an operator does (`ErasureOrder`). Each has its own topic, since each has another
writer; to the services they are the same.
"""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.choice import Preference, PreferenceKind
from shared.contracts.member import PartnerRequest, PartnerRequestKind
from shared.contracts.record import Record


class Service(StrEnum):
    """Who has to forget."""

    INTAKE = "intake"
    MATCHER = "matcher"
    NOTIFIER = "notifier"


class ErasureOrder(Record):
    """An operator's word that a member is to be forgotten (`connection erase`). For good."""

    member: str
    ordered_at_ms: int

    @property
    def key(self) -> str:
        return self.member


class Erasure(Record):
    """One service's word that it has forgotten a member.

    ========  ==================================================================================
    intake    the tombstones of profile and contact are acknowledged, and nothing is taken in again
    matcher   the profile is out of the state, and no round that still knew it is running
    notifier  the contact is out of the state, and no email to them, or that tells of them, is under way
    ========  ==================================================================================

    Said once: a service that starts again, and reads it, does not say it anew.
    """

    member: str
    service: Service
    forgotten_at_ms: int

    @property
    def key(self) -> str:
        return f"{self.member}/{self.service}"


def asks_for_erasure(record: Record | None) -> bool:
    """Whether a record says, whoever wrote it, that its member is to be forgotten."""
    match record:
        case Preference():
            return record.kind is PreferenceKind.ERASE
        case PartnerRequest():
            return record.kind is PartnerRequestKind.ERASED
        case ErasureOrder():
            return True
        case _:
            return False
