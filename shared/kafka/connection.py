"""From the settings to what aiokafka and FastStream want to know."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
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
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": _password(settings),
        }
    return options


async def why_unreachable(settings: KafkaSettings) -> str | None:
    """One line for operators if no broker can be reached with these settings, which it names; `None` if one can."""
    if settings.ssl_ca_file is not None and not settings.ssl_ca_file.is_file():
        return "KAFKA_SSL_CA_FILE: there is no such file"
    try:
        admin = AIOKafkaAdminClient(**client_options(settings))
        await admin.start()
        await admin.close()
    except ssl.SSLError as error:
        return f"KAFKA_SSL_CA_FILE: must hold certificates in PEM ({error.reason or 'nothing in it'})"
    except (KafkaError, OSError):
        # What just went wrong the client has logged itself, with the address.
        return (
            f"no broker at KAFKA_BOOTSTRAP_SERVERS={settings.bootstrap_servers} answers us. If one is there, these "
            "must be as it wants them: KAFKA_SECURITY_PROTOCOL, KAFKA_SSL_CA_FILE, KAFKA_SASL_MECHANISM, "
            "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        )
    return None


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


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(settings.ssl_ca_file) if settings.ssl_ca_file else None)


def _faststream_security(settings: KafkaSettings) -> BaseSecurity | None:
    context = _ssl_context(settings) if "SSL" in settings.security_protocol.split("_") else None
    if not settings.security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
    scheme = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return scheme[settings.sasl_mechanism](
        username=settings.sasl_username or "", password=_password(settings), ssl_context=context, use_ssl=bool(context)
    )
