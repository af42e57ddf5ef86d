"""From the settings to what aiokafka and FastStream want to know."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import KafkaBroker
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from prometheus_client import CollectorRegistry

from shared.settings import KafkaSettings


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client is given: where the brokers are, and how to prove who we are."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "request_timeout_ms": settings.request_timeout_ms,
        "security_protocol": settings.security_protocol,
    }
    if "SSL" in settings.security_protocol.split("_"):
        options["ssl_context"] = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": _password(settings),
        }
    return options


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Trusts the authority of the settings, or the system's own ones. Raises `OSError` if its file is no good."""
    return ssl.create_default_context(cafile=str(settings.ssl_ca_file) if settings.ssl_ca_file else None)


def new_broker(settings: KafkaSettings, client_id: str, registry: CollectorRegistry) -> KafkaBroker:
    """A FastStream broker that counts what passes through it in `registry`.

    It never creates topics by itself (`shared.kafka.admin` does, explicitly) and does
    not validate for us: batches reach the handlers as raw records.
    """
    return KafkaBroker(
        settings.bootstrap_servers.split(","),
        client_id=client_id,
        request_timeout_ms=settings.request_timeout_ms,
        security=_faststream_security(settings),
        middlewares=[KafkaPrometheusMiddleware(registry=registry, app_name=client_id)],
        logger=logging.getLogger("broker"),
        allow_auto_create_topics=False,
        acks="all",
        enable_idempotence=True,
    )


def new_producer(settings: KafkaSettings, **more: Any) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas. Not started yet."""
    return AIOKafkaProducer(
        acks="all", enable_idempotence=True, max_batch_size=256 * 1024, **client_options(settings), **more
    )


def new_reader(settings: KafkaSettings, **more: Any) -> AIOKafkaConsumer:
    """A consumer outside any group that sees committed records only. Not started, nothing assigned."""
    return AIOKafkaConsumer(
        isolation_level="read_committed", enable_auto_commit=False, **client_options(settings), **more
    )


def _password(settings: KafkaSettings) -> str:
    return settings.sasl_password.get_secret_value() if settings.sasl_password else ""


def _faststream_security(settings: KafkaSettings) -> BaseSecurity | None:
    context = ssl_context(settings) if "SSL" in settings.security_protocol.split("_") else None
    if not settings.security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
    scheme = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return scheme[settings.sasl_mechanism](
        username=settings.sasl_username or "", password=_password(settings), ssl_context=context, use_ssl=bool(context)
    )
