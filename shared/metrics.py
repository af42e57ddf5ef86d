"""Every metric, in one place, its kind and its meaning beside it.

Label values are few and known: topics, kinds, states, reasons of ours; never a
member, never a partner's words. Names end in their unit. FastStream's own
`faststream_*` metrics (batches, sizes, durations of handlers) stand beside them.
"""

from __future__ import annotations

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WAIT_SECONDS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)

WAITED_SHARES = (0.5, 0.9, 0.99, 1.0)
"""At which shares of the free members it is told how long they have waited."""


def new_registry() -> CollectorRegistry:
    """A registry of its own for each service, with what every process tells of itself."""
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    return registry


class PlumbingMetrics:
    """What the Kafka plumbing tells, the same in every service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "connection_records",
            "Records taken from a topic, by outcome (good, bad).",
            ["topic", "outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "connection_dead_letters", "Messages copied to dead-letters.", ["topic"], registry=registry
        )
        self.batch_retries = Counter(
            "connection_batch_retries", "Batches that were tried again after an error of Kafka's.", registry=registry
        )
        self.lag = Gauge(
            "connection_consumer_lag_records",
            "Records of a topic's partition that are not applied yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.mastered = Gauge(
            "connection_partitions_mastered",
            "Partitions that this instance is master of, with their state complete.",
            registry=registry,
        )
        self.restore_seconds = Histogram(
            "connection_restore_seconds",
            "From being given a partition to having read all of it.",
            registry=registry,
            buckets=_WAIT_SECONDS,
        )
        self.transactions = Counter(
            "connection_transactions",
            "Transactions by outcome (committed, fenced, failed).",
            ["outcome"],
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "connection_commit_seconds", "Duration of a transaction.", registry=registry, buckets=_SECONDS
        )


class IntakeMetrics:
    """What comes in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "intake_events",
            "Events by type, by way (http, topic) and outcome (accepted, rejected).",
            ["type", "way", "outcome"],
            registry=registry,
        )
        self.rejections = Counter(
            "intake_rejections", "Rejected events by the kind of problem.", ["problem"], registry=registry
        )
        self.request_seconds = Histogram(
            "intake_request_seconds",
            "From the whole body to the answer, for POST /v1/events.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.publish_failures = Counter(
            "intake_publish_failures", "Requests answered 503 because Kafka did not acknowledge.", registry=registry
        )
        self.webhook_tries = Counter(
            "intake_webhook_tries",
            "Events sent to partners' webhooks, by type and outcome of the try (accepted, refused, redirected, busy, "
            "gone, slow, unreachable, forbidden).",
            ["type", "outcome"],
            registry=registry,
        )
        self.webhook_seconds = Histogram(
            "intake_webhook_seconds", "Duration of a try.", registry=registry, buckets=_SECONDS
        )
        self.webhooks_pending = Gauge(
            "intake_webhooks_pending", "Events for partners' webhooks that are to be sent still.", registry=registry
        )
        self.webhooks_stopped = Gauge(
            "intake_webhooks_stopped",
            "Partners whose webhook said 410 and was not set anew since: they are told nothing.",
            registry=registry,
        )
        self.webhooks_given_up = Counter(
            "intake_webhooks_given_up",
            "Events for webhooks that were given up: the last try failed, too late, or the webhook said 410.",
            registry=registry,
        )


class MatcherMetrics:
    """How the matching goes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.members = Gauge("matcher_members", "Members known, by community.", ["community"], registry=registry)
        self.waiting = Gauge(
            "matcher_members_waiting",
            "Members who could be suggested and are in no introduction.",
            ["community"],
            registry=registry,
        )
        self.waited_seconds = Histogram(
            "matcher_waited_seconds",
            "How long a member had waited when suggested.",
            registry=registry,
            buckets=_WAIT_SECONDS,
        )
        self.round_seconds = Histogram(
            "matcher_round_seconds",
            "Duration of a round, by phase (snapshot, propose, commit).",
            ["phase"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.rounds = Counter(
            "matcher_rounds", "Rounds by outcome (committed, empty, lost, failed).", ["outcome"], registry=registry
        )
        self.suggestions = Counter(
            "matcher_suggestions", "Suggestions committed, by kind.", ["kind"], registry=registry
        )
        self.left_over = Gauge(
            "matcher_left_over",
            "Members left over by the last round, by reason.",
            ["community", "reason"],
            registry=registry,
        )
        self.waited_rounds = Gauge(
            "matcher_waited_rounds",
            "How many rounds the free members had waited at the last round: half of them at most so many (share 0.5), "
            "nine in ten (0.9), 99 in a hundred (0.99), all (1).",
            ["community", "share"],
            registry=registry,
        )
        self.never_suggested = Gauge(
            "matcher_never_suggested_share",
            "Members who could be suggested and never were, over all members, at the last round.",
            ["community"],
            registry=registry,
        )
        self.arrivals = Counter(
            "matcher_arrivals",
            "Newcomers looked at between rounds, by outcome (served, waits, crowd, gone, failed).",
            ["outcome"],
            registry=registry,
        )
        self.arrival_seconds = Histogram(
            "matcher_arrival_seconds",
            "Looking for a newcomer's best free partner.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.without_opener = Counter(
            "matcher_groups_without_opener",
            "Groups suggested without anybody who is happy to go first.",
            registry=registry,
        )
        self.quality = Gauge(
            "matcher_round_quality",
            "Weight of the last round's pairs over its certified upper bound.",
            ["community"],
            registry=registry,
        )


class NotifierMetrics:
    """How introductions go, and what becomes of emails."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.contacts_waiting = Gauge(
            "notifier_sealed_contacts_waiting",
            "Encrypted contacts whose key has not been read: more than none for minutes means that keys are missing.",
            registry=registry,
        )
        self.introductions = Gauge(
            "notifier_introductions_open", "Open introductions by state.", ["state"], registry=registry
        )
        self.transitions = Counter(
            "notifier_transitions",
            "Introductions that reached a state, by state and closing reason.",
            ["state", "reason"],
            registry=registry,
        )
        self.choices = Counter("notifier_choices", "Buttons pressed, by kind.", ["kind"], registry=registry)
        self.emails = Counter("notifier_emails", "Emails by kind and outcome.", ["kind", "outcome"], registry=registry)
        self.unsent = Gauge("notifier_emails_unsent", "Emails in the outbox that are not final yet.", registry=registry)
        self.smtp_retries = Counter(
            "notifier_smtp_retries", "Tries put off by the mail server or the network.", registry=registry
        )
        self.waiting = Gauge(
            "notifier_emails_waiting",
            "Emails kept back for a while, by why (retry, quiet-hours, policy, rate, stopped).",
            ["why"],
            registry=registry,
        )
        self.stopped = Gauge(
            "notifier_mail_stopped", "Communities whose mail an operator has stopped, here.", registry=registry
        )
        self.policy_stops = Counter(
            "notifier_policy_stops",
            "Times that sending stopped since servers want no mail from us (5.7.x), by scope (domain, everything).",
            ["scope"],
            registry=registry,
        )
        self.policy_stopped = Gauge(
            "notifier_policy_stopped",
            "Domains to which nothing is sent for now because of such a policy, and 1 for everything.",
            ["scope"],
            registry=registry,
        )
        self.reports = Counter(
            "notifier_reports",
            "Reports taken in, by what they say (address, failed, policy, message, complaint, delayed, ...), and by "
            "whether their return path was genuine.",
            ["kind", "genuine"],
            registry=registry,
        )
        self.suppressions = Counter(
            "notifier_suppressions", "Addresses suppressed, by reason.", ["reason"], registry=registry
        )
        self.suppressed = Gauge("notifier_suppressed", "Addresses that are suppressed now.", registry=registry)
        self.held = Gauge(
            "notifier_members_held",
            "Members whom several others have reported, and whom an operator is to look at.",
            registry=registry,
        )
        self.first_email_seconds = Histogram(
            "notifier_first_email_seconds",
            "From the acceptance of a sign-up to the mail server's 250 for its first email.",
            registry=registry,
            buckets=_WAIT_SECONDS,
        )
        self.pages = Counter(
            "notifier_pages",
            "Pages served, by the template of their path and status.",
            ["page", "status"],
            registry=registry,
        )
