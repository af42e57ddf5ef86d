"""The parts of the notifier that its settings alone decide."""

from __future__ import annotations

import httpx

from services.notifier.breaker import BreakerBounds, PolicyBreaker
from services.notifier.rate_limits import Rate, RateLimits
from services.notifier.relay import MailpitLookup, NoLookup, RelayLookup
from services.notifier.sender import SendingBounds
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpServer


def smtp_server(settings: NotifierSettings) -> SmtpServer:
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        start_tls=settings.smtp_starttls,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        plaintext_login=settings.smtp_plaintext_login,
        connections_max=settings.smtp_connections_max,
        timeout_seconds=settings.smtp_timeout_seconds,
        idle_seconds_max=settings.smtp_idle_seconds_max,
        emails_per_connection_max=settings.smtp_emails_per_connection_max,
    )


def rate_limits(settings: NotifierSettings) -> RateLimits:
    def rate(per_second: float | None, burst: int) -> Rate | None:
        return Rate(per_second, burst) if per_second is not None else None

    return RateLimits(
        rate(settings.emails_per_second_max, settings.emails_burst_max),
        rate(settings.domain_emails_per_second_max, settings.domain_emails_burst_max),
        {domain: Rate(rate, settings.domain_emails_burst_max) for domain, rate in settings.domain_rates.items()},
    )


def policy_breaker(settings: NotifierSettings) -> PolicyBreaker:
    return PolicyBreaker(
        BreakerBounds(
            open_first_ms=int(settings.policy_stop_seconds * 1000),
            open_max_ms=int(settings.policy_stop_seconds_max * 1000),
            domains_max=settings.policy_stop_domains_max,
        )
    )


def relay_lookup(settings: NotifierSettings, client: httpx.AsyncClient) -> RelayLookup:
    return (
        MailpitLookup(str(settings.relay_lookup_url).rstrip("/"), client) if settings.relay_lookup_url else NoLookup()
    )


def sending_bounds(settings: NotifierSettings) -> SendingBounds:
    return SendingBounds(
        attempts_max=settings.attempts_max,
        backoff_first_ms=int(settings.backoff_first_seconds * 1000),
        backoff_max_ms=int(settings.backoff_max_seconds * 1000),
        concurrent_max=settings.smtp_connections_max,
        batch_max=settings.emails_max,
    )
