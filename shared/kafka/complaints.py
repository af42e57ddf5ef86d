"""What to tell operators whom no broker takes: the setting at fault, and what would be right. No line holds a secret.

Pure, but that the file of the authority is looked at; `shared.kafka.reachable` finds out which it is.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import NamedTuple

from shared.settings import SECRETS_DIR, KafkaSettings

_PORT = 9092
"""Where brokers are unless told."""
_SERVER = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]]+))(?::(?P<port>\d{1,5}))?")
_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID = 10, 9
_OTHER_HOST, _OTHER_ADDRESS = 62, 64
"""As OpenSSL numbers what is wrong with a certificate."""
_HINT = "a variable, or a file of that name in the folder SECRETS_DIR"


class Server(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def wrong_in_itself(settings: KafkaSettings, secrets_dir: str | None = SECRETS_DIR) -> str | None:
    """What is wrong whatever the broker says: what is missing or malformed. Reads no file but the authority's."""
    try:
        servers(settings.bootstrap_servers)
    except ValueError as error:
        return f"KAFKA_BOOTSTRAP_SERVERS: {error}"
    if settings.security_protocol.startswith("SASL"):
        why = f"needed to log in (KAFKA_SECURITY_PROTOCOL={settings.security_protocol})"
        if not settings.sasl_username:
            return f"KAFKA_SASL_USERNAME: not set, and {why}: must be the name of a user of the broker"
        if settings.sasl_password is None:
            where = f"; there is no such file in SECRETS_DIR={secrets_dir}" if secrets_dir else ""
            return f"KAFKA_SASL_PASSWORD: not set, and {why}: must be {_HINT}{where}"
        if not settings.sasl_password.get_secret_value():
            which = secrets_dir and next(
                (file for file in Path(secrets_dir).glob("*") if file.name.upper() == "KAFKA_SASL_PASSWORD"), None
            )
            return f"KAFKA_SASL_PASSWORD: empty{f' (the file {which})' if which else ''}, and {why}: must be {_HINT}"
    if with_tls(settings) and settings.ssl_ca_file is not None:
        return _wrong_with_authority(settings.ssl_ca_file)
    return None


def servers(text: str) -> list[Server]:
    """Where the brokers are. Raises `ValueError` that says what is wrong with which."""
    found = []
    for one in text.split(","):
        parts = _SERVER.fullmatch(one.strip())
        port = int(parts["port"] or _PORT) if parts else 0
        if parts is None or not 1 <= port <= 65535:
            raise ValueError(f"{one.strip()!r} must be host:port, such as localhost:9092")
        found.append(Server(parts["address"] or parts["host"], port))
    return found


def tls_failed(error: Exception, server: Server, settings: KafkaSettings) -> str:
    """What an error says that came while TLS was agreed on. Pure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
            return (
                f"KAFKA_BOOTSTRAP_SERVERS: the certificate at {server} is made out to another host: must name the "
                "broker as its certificate does"
            )
        if error.verify_code in (_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID):
            return f"the certificate at {server} is out of date: the broker must get a new one ({error.verify_message})"
        nobody = "not set, and no authority that this system knows vouches"
        which = "does not vouch" if settings.ssl_ca_file else nobody
        return (
            f"KAFKA_SSL_CA_FILE: {which} for the certificate at {server}: must be the PEM file of the authority that "
            f"signed it ({error.verify_message})"
        )
    if isinstance(error, ssl.SSLError) and "ALERT" in str(getattr(error, "reason", "")):
        return f"{server} speaks TLS, and not with us: must offer TLS 1.2 and ask for no certificate ({error.reason})"
    without = {"SSL": "PLAINTEXT", "SASL_SSL": "SASL_PLAINTEXT"}[settings.security_protocol]
    return (
        f"KAFKA_SECURITY_PROTOCOL: {server} does not speak TLS: must be {without} for this port, or "
        f"KAFKA_BOOTSTRAP_SERVERS must name the port for {settings.security_protocol}"
    )


def login_failed(step: str, server: Server, settings: KafkaSettings) -> str:
    """What it says that the broker refused us at a step of the login: `user` or `password`. Pure."""
    user, mechanism = settings.sasl_username, settings.sasl_mechanism
    if mechanism == "PLAIN":
        return (
            f"KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: the broker at {server} does not take user {user!r} with this "
            "password: must be as they are set there"
        )
    if step == "user":
        return (
            f"KAFKA_SASL_USERNAME: the broker at {server} knows no user {user!r}: must be one who has a password for "
            f"{mechanism} there"
        )
    return f"KAFKA_SASL_PASSWORD: not the password that the broker at {server} has for user {user!r}: must be that one"


def hung_up(server: Server, settings: KafkaSettings) -> str:
    """What it says that the broker ended the connection when it was asked its first question. Pure."""
    if settings.security_protocol.startswith("SASL"):
        return (
            f"KAFKA_BOOTSTRAP_SERVERS: the broker at {server} took our login and then hung up: must be one that is well"
        )
    return (
        f"KAFKA_SECURITY_PROTOCOL: {server} wants a login: must be SASL_{settings.security_protocol}, with "
        "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
    )


def with_tls(settings: KafkaSettings) -> bool:
    return settings.security_protocol in ("SSL", "SASL_SSL")


def _wrong_with_authority(file: Path) -> str | None:
    try:
        content = file.read_bytes()
    except OSError as error:
        return f"KAFKA_SSL_CA_FILE: {file} cannot be read ({error.strerror}): must be the authority's PEM file"
    if not content.strip():
        return f"KAFKA_SSL_CA_FILE: {file} is empty: must be the authority's PEM file"
    try:
        ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        return f"KAFKA_SSL_CA_FILE: {file} holds no certificate in PEM: must be the authority's PEM file"
    return None
