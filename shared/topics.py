"""The topics: their names, how long they keep what, who writes them and who reads them.

One writer a topic. All topics but `dead-letters` have the same number of
partitions, and everything that belongs to one community lies in the partition of
the same number in each of them: whoever is assigned partition 3 of one is assigned
partition 3 of all (range assignment), and so sees the community whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is to be made, and what it is for."""

    name: str
    key: str
    value: str
    cleanup: Literal["compact", "delete"]
    writer: str
    readers: tuple[str, ...]
    retention_ms: int | None = None
    """For `delete` only: how long a message is kept."""
    as_sent: bool = False
    """Whether what partners sent lies on it as they sent it, name and address and all: gone by time alone."""

    def config(self, *, compaction_lag_ms_max: int, erased_within_ms: int) -> dict[str, str]:
        """The topic's settings at the broker.

        `compaction_lag_ms_max` bounds how long an overwritten or erased value can stay on
        disk: the active segment is never compacted, so it must be rolled in that time too.
        `erased_within_ms` bounds how long any value of somebody who was erased can: in a
        topic of raw events no key tells whose they are, so all of them go in that time. Only
        a whole segment goes, when its newest record is old enough; an eighth is for that,
        and another eighth for the broker to get round to it.
        """
        if self.as_sent:
            kept_ms = min(self.retention_ms or erased_within_ms, erased_within_ms * 3 // 4)
            return {
                "cleanup.policy": "delete",
                "retention.ms": str(kept_ms),
                "segment.ms": str(erased_within_ms // 8),
                # A sender's clock must not decide how long their words are kept.
                "message.timestamp.type": "LogAppendTime",
            }
        if self.cleanup == "delete":
            return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        return {
            "cleanup.policy": "compact",
            "segment.ms": str(compaction_lag_ms_max // 2),
            "max.compaction.lag.ms": str(compaction_lag_ms_max),
            "delete.retention.ms": str(DELETE_RETENTION_MS),
            "min.cleanable.dirty.ratio": "0.1",
        }


DELETE_RETENTION_MS = _DAY_MS
"""How long a tombstone can be read: who was away for longer must read a topic from its start."""

SIGNUPS = TopicSpec(
    "signups", "any", "a partner's CloudEvent, as sent", "delete",
    "partners that speak Kafka", ("intake",), 5 * _DAY_MS, as_sent=True,
)  # fmt: skip
PROFILES = TopicSpec(
    "profiles", "member", "what matching needs: no name, no address", "compact", "intake", ("matcher", "notifier")
)
CONTACTS = TopicSpec("contacts", "member", "first name, address, locale, own words", "compact", "intake", ("notifier",))
CONTACT_KEYS = TopicSpec(
    "contact-keys", "member and data key", "the key of an encrypted contact, wrapped; empty unless `CONTACTS_KEYS`",
    "compact", "intake", ("intake", "notifier"),
)  # fmt: skip
PARTNER_REQUESTS = TopicSpec(
    "partner-requests", "member", "what a partner app asks for: a member leaves, or is to be erased", "compact",
    "intake", ("matcher", "notifier", "intake"),
)  # fmt: skip
SUGGESTIONS = TopicSpec(
    "suggestions", "suggestion", "a pair or a group, its opener, its reasons", "delete",
    "matcher", ("notifier", "matcher"), 30 * _DAY_MS,
)  # fmt: skip
INTRODUCTIONS = TopicSpec(
    "introductions", "introduction", "where an introduction stands", "compact",
    "notifier", ("matcher", "notifier", "intake"),
)  # fmt: skip
CHOICES = TopicSpec(
    "choices",
    "member",
    "an answer within an introduction: yes, no, met, again, goes first, leaves",
    "delete",
    "notifier",
    ("notifier",),
    90 * _DAY_MS,
)
PREFERENCES = TopicSpec(
    "preferences", "member and kind", "a choice that lasts: pause, unsubscribe, block, report, look for, erase",
    "compact", "notifier", ("notifier", "matcher", "intake"),
)  # fmt: skip
OUTBOX = TopicSpec(
    "outbox", "email", "an email to be sent: ids only", "delete", "notifier", ("notifier",), 30 * _DAY_MS
)
DELIVERIES = TopicSpec("deliveries", "email", "what became of an email", "compact", "notifier", ("notifier",))
BOUNCES = TopicSpec(
    "bounces", "email", "a genuine report that an email came back, or was complained about", "delete",
    "notifier", ("notifier",), 30 * _DAY_MS,
)  # fmt: skip
SUPPRESSIONS = TopicSpec(
    "suppressions", "keyed hash of an address", "an address that is not written to any more", "compact",
    "notifier", ("notifier", "operators"),
)  # fmt: skip
UNREACHABLE = TopicSpec(
    "unreachable", "member", "whose address is suppressed: not to be suggested", "compact", "notifier",
    ("notifier", "matcher"),
)  # fmt: skip
MAIL_ORDERS = TopicSpec(
    "mail-orders", "what it is about", "an operator's order: stop or start the mail, lift a suppression", "compact",
    "operators", ("notifier",),
)  # fmt: skip
DEAD_LETTERS = TopicSpec(
    "dead-letters", "the original key", "the original bytes, where they came from, what was wrong", "delete",
    "all services", ("operators",), 5 * _DAY_MS, as_sent=True,
)  # fmt: skip
PARTNER_PREFERENCES = TopicSpec(
    "partner-preferences", "member and kind", "what a partner app passes on and what lasts: pause, block", "compact",
    "intake", ("matcher", "notifier"),
)  # fmt: skip
PARTNERS = TopicSpec(
    "partners", "source", "a partner app: hashes of its keys, its webhook, its limits", "compact",
    "operators (`connection partner`)", ("intake",),
)  # fmt: skip
CLAIMS = TopicSpec(
    "claims", "none", "which events are taken in hand, done, given up: hashes only", "delete",
    "intake", ("intake",), 3 * _DAY_MS,
)  # fmt: skip
REVIEW_ORDERS = TopicSpec(
    "review-orders", "member", "an operator's decision about a member whom several have reported: clear, remove",
    "compact", "operators", ("matcher", "notifier"),
)  # fmt: skip
ERASURE_ORDERS = TopicSpec(
    "erasure-orders", "member", "an operator's order that a member is to be forgotten", "compact",
    "operators (`connection erase`)", ("intake", "matcher", "notifier"),
)  # fmt: skip
ERASURES = TopicSpec(
    "erasures", "member and service", "a service's word that it has forgotten a member", "compact",
    "each service, keys of its own", ("operators", "intake", "matcher", "notifier"),
)  # fmt: skip
REFERENCES = TopicSpec(
    "references", "member", "the partner's own reference of a member, where the partner has a webhook", "compact",
    "intake", ("intake", "notifier"),
)  # fmt: skip
WEBHOOK_DELIVERIES = TopicSpec(
    "webhook-deliveries", "event", "an event for a partner's webhook, and what became of it", "compact",
    "intake", ("intake", "operators", "notifier"),
)  # fmt: skip
WEBHOOK_ORDERS = TopicSpec(
    "webhook-orders", "source and time", "an operator's order: replay events, send a test", "delete",
    "operators (`connection partner`)", ("intake",), 7 * _DAY_MS,
)  # fmt: skip

TOPICS = MappingProxyType(
    {
        topic.name: topic
        for topic in (
            SIGNUPS, PROFILES, CONTACTS, PARTNER_REQUESTS, SUGGESTIONS, INTRODUCTIONS,
            CHOICES, PREFERENCES, OUTBOX, DELIVERIES, BOUNCES, SUPPRESSIONS, UNREACHABLE, MAIL_ORDERS, DEAD_LETTERS,
            PARTNER_PREFERENCES, PARTNERS, CLAIMS, REVIEW_ORDERS, ERASURE_ORDERS, ERASURES, CONTACT_KEYS,
            REFERENCES, WEBHOOK_DELIVERIES, WEBHOOK_ORDERS,
        )
    }
)  # fmt: skip
"""Every topic by its name."""


@lru_cache(maxsize=4096)
def partition_of(community: str, partitions: int) -> int:
    """The partition in which everything of a community lies, of `partitions` many.

    Ours and not the client library's default, since every writer in every language must
    agree on it: the first 8 bytes, big-endian, of BLAKE2b-64 of the UTF-8 name, modulo.
    """
    digest = hashlib.blake2b(community.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions
