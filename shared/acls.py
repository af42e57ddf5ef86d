"""Who may do what at the broker: one principal for each service, and no more rights than its work needs.

Derived from the table of topics, so that a new topic has its rights by being in it. Pure;
`shared.kafka.rights` writes them down at a broker, `connection topics rights` shows them.

==========  ==========================================================================
intake      writes members, reads what is for it; reads back what it wrote itself
matcher     never sees `contacts`, `signups` or anything else with a name or an address
notifier    reads `contacts`, and writes neither them nor `profiles`
partners    write to `signups`, and see nothing: a principal each is better still
operators   everything: they run the broker
==========  ==========================================================================
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from shared import topics
from shared.topics import TOPICS, TopicSpec

SERVICES = ("intake", "matcher", "notifier")
OPERATORS = "operators"
PARTNERS = "partners"
PRINCIPALS = (*SERVICES, OPERATORS, PARTNERS)


class Resource(IntEnum):
    """As the protocol numbers them."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Pattern(IntEnum):
    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    ALL = 2
    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class Right(NamedTuple):
    """A principal is allowed an operation on a resource, or on all whose names begin so."""

    principal: str
    operation: Operation
    resource: Resource
    name: str
    pattern: Pattern = Pattern.LITERAL


_TRANSACTIONS = {
    "intake": ("intake-webhooks",),
    "matcher": ("suggestions",),
    "notifier": ("introductions", "deliveries"),
}
"""How the transactional ids of each service begin: a role, and the partition behind it."""
_READ_BACK = {
    "intake": (topics.PROFILES, topics.CONTACTS, topics.PARTNER_REQUESTS, topics.PARTNER_PREFERENCES)
}  # fmt: skip
"""After a crash intake looks for what was stored of an event: of these it is the writer (decision 20)."""


def rights() -> tuple[Right, ...]:
    """Every right there is, sorted. O(topics x principals)."""
    found = {
        Right(OPERATORS, Operation.ALL, resource, name, Pattern.LITERAL)
        for resource, name in (
            (Resource.TOPIC, "*"), (Resource.GROUP, "*"), (Resource.TRANSACTIONAL_ID, "*"),
            (Resource.CLUSTER, "kafka-cluster"),
        )
    }  # fmt: skip
    for topic in TOPICS.values():
        for principal in writers(topic):
            found.add(Right(principal, Operation.WRITE, Resource.TOPIC, topic.name))
        for principal in readers(topic):
            found.add(Right(principal, Operation.READ, Resource.TOPIC, topic.name))
        # That it is there, with its partitions and its policy: looked at by each service when it starts.
        for principal in SERVICES:
            found.add(Right(principal, Operation.DESCRIBE, Resource.TOPIC, topic.name))
            found.add(Right(principal, Operation.DESCRIBE_CONFIGS, Resource.TOPIC, topic.name))
    for service in SERVICES:
        found.add(Right(service, Operation.READ, Resource.GROUP, service, Pattern.PREFIXED))
        for role in _TRANSACTIONS[service]:
            for operation in (Operation.WRITE, Operation.DESCRIBE):
                found.add(Right(service, operation, Resource.TRANSACTIONAL_ID, f"{role}-", Pattern.PREFIXED))
    return tuple(sorted(found))


def writers(topic: TopicSpec) -> frozenset[str]:
    """Who writes to a topic, but for the operators, who may everywhere."""
    told = topic.writer
    if told.startswith(("all services", "each service")):
        return frozenset(SERVICES)
    if told.startswith("partners"):
        return frozenset({PARTNERS})
    return frozenset({told}) & frozenset(SERVICES)


def readers(topic: TopicSpec) -> frozenset[str]:
    """Who reads a topic, but for the operators, who may everywhere."""
    back = {service for service, own in _READ_BACK.items() if topic in own}
    return (frozenset(topic.readers) & frozenset(SERVICES)) | back
