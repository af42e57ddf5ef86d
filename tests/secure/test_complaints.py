"""What is wrong with settings in themselves, and what errors mean: pure, no broker."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.kafka.complaints import Server, hung_up, login_failed, servers, tls_failed, wrong_in_itself
from shared.kafka.readable import said
from shared.settings import KafkaSettings

SERVER = Server("kafka.example", 9093)
PASSWORD = "the password itself"  # noqa: S105
COMPLETE: dict[str, Any] = {
    "bootstrap_servers": "kafka.example:9093",
    "security_protocol": "SASL_SSL",
    "sasl_username": "intake",
    "sasl_password": SecretStr(PASSWORD),
}


def settings(**changes: Any) -> KafkaSettings:
    return KafkaSettings(**{**COMPLETE, **changes})


def test_nothing_is_wrong_with_settings_that_are_complete() -> None:
    assert wrong_in_itself(settings()) is None
    assert wrong_in_itself(KafkaSettings()) is None


@pytest.mark.parametrize(
    ("changes", "begins", "tells"),
    [
        ({"sasl_username": None}, "KAFKA_SASL_USERNAME: ", "must be the name of a user"),
        ({"sasl_username": ""}, "KAFKA_SASL_USERNAME: ", "must be the name of a user"),
        ({"sasl_password": None}, "KAFKA_SASL_PASSWORD: not set", "SECRETS_DIR"),
        ({"sasl_password": SecretStr("")}, "KAFKA_SASL_PASSWORD: empty", "SECRETS_DIR"),
        ({"bootstrap_servers": "kafka.example:port"}, "KAFKA_BOOTSTRAP_SERVERS: ", "'kafka.example:port'"),
        ({"bootstrap_servers": "one:9092,,two:9092"}, "KAFKA_BOOTSTRAP_SERVERS: ", "host:port"),
        ({"bootstrap_servers": "one:70000"}, "KAFKA_BOOTSTRAP_SERVERS: ", "'one:70000'"),
        ({"bootstrap_servers": "::1:9092"}, "KAFKA_BOOTSTRAP_SERVERS: ", "'::1:9092'"),
    ],
)
def test_what_is_missing_or_malformed_is_named(changes: dict[str, Any], begins: str, tells: str) -> None:
    why = wrong_in_itself(settings(**changes))
    assert why is not None
    assert why.startswith(begins), why
    assert tells in why, why
    assert PASSWORD not in why
    assert "\n" not in why


def test_a_password_that_should_lie_in_a_file_is_told_with_its_file(tmp_path: Path) -> None:
    missing = wrong_in_itself(settings(sasl_password=None), str(tmp_path))
    assert missing is not None
    assert f"no such file in SECRETS_DIR={tmp_path}" in missing
    (tmp_path / "kafka_sasl_password").touch()
    empty = wrong_in_itself(settings(sasl_password=SecretStr("")), str(tmp_path))
    assert empty is not None
    assert str(tmp_path / "kafka_sasl_password") in empty


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\xfe"], ids=["none", "empty", "text", "bytes"])
def test_an_authority_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    why = wrong_in_itself(settings(ssl_ca_file=file))
    assert why is not None
    assert why.startswith(f"KAFKA_SSL_CA_FILE: {file} "), why
    assert wrong_in_itself(settings(ssl_ca_file=file, security_protocol="SASL_PLAINTEXT")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", [("localhost", 9092)]),
        ("one:1, two:2", [("one", 1), ("two", 2)]),
        ("[::1]:9094", [("::1", 9094)]),
        ("[::1]", [("::1", 9092)]),
    ],
)
def test_servers_are_read_as_the_client_reads_them(text: str, expected: list[tuple[str, int]]) -> None:
    assert servers(text) == expected


def test_what_tls_says_is_told_by_the_setting_that_would_help() -> None:
    def refused(code: int) -> ssl.SSLCertVerificationError:
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = code, "as OpenSSL says it"
        return error

    assert tls_failed(refused(62), SERVER, settings()).startswith("KAFKA_BOOTSTRAP_SERVERS: ")
    assert tls_failed(refused(64), SERVER, settings()).startswith("KAFKA_BOOTSTRAP_SERVERS: ")
    assert tls_failed(refused(19), SERVER, settings()).startswith("KAFKA_SSL_CA_FILE: not set")
    with_file = settings(ssl_ca_file=Path("ca.pem"))
    assert tls_failed(refused(20), SERVER, with_file).startswith("KAFKA_SSL_CA_FILE: does not vouch")
    assert "out of date" in tls_failed(refused(10), SERVER, settings())
    for error in (ConnectionResetError(), TimeoutError(), ssl.SSLEOFError(8, "EOF")):
        assert "must be SASL_PLAINTEXT" in tls_failed(error, SERVER, settings())
    assert "must be PLAINTEXT" in tls_failed(ConnectionResetError(), SERVER, settings(security_protocol="SSL"))
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert "CERTIFICATE_REQUIRED" in tls_failed(alert, SERVER, settings())
    assert "does not speak TLS" not in tls_failed(alert, SERVER, settings())


def test_a_refused_login_names_the_user_or_the_password_and_never_shows_it() -> None:
    lines = {
        login_failed("user", SERVER, settings()): "KAFKA_SASL_USERNAME: ",
        login_failed("password", SERVER, settings()): "KAFKA_SASL_PASSWORD: ",
        login_failed("user", SERVER, settings(sasl_mechanism="PLAIN")): "KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: ",
        hung_up(SERVER, settings(security_protocol="SSL")): "KAFKA_SECURITY_PROTOCOL: ",
        hung_up(SERVER, settings()): "KAFKA_BOOTSTRAP_SERVERS: ",
    }
    for line, begins in lines.items():
        assert line.startswith(begins), line
        assert str(SERVER) in line
        assert PASSWORD not in line


def test_topics_that_cannot_be_read_are_named_with_what_to_do() -> None:
    assert said("intake", [], []) is None
    assert said("intake", ["outbox"], []) == (
        "this Kafka user (intake) may not read topic outbox: `connection topics rights` shows who may"
    )
    both = said(None, ["a", "b"], ["c"])
    assert both is not None
    assert "may not read topics a, b" in both
    assert "topic c is not there: `connection topics create`" in both


def test_a_socket_error_is_no_certificate_error() -> None:
    assert "KAFKA_SSL_CA_FILE" not in tls_failed(socket.gaierror(), SERVER, settings())
