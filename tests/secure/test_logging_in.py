"""Who cannot log in is told, in one line, which setting is wrong and what would be right, by services and commands."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from secure_world import SecureKafka, connection

from demo.kafka import EmbeddedKafka
from shared.acls import SERVICES
from shared.kafka.reachable import why_unreachable
from shared.settings import KafkaSettings

pytestmark = pytest.mark.kafka

UNAVAILABLE = 75
WRONG = "not the password of anybody"
Changes = dict[str, str | None]
COMMANDS = [
    ["dead-letters", "list"], ["dead-letters", "show", "0:0"], ["dead-letters", "replay", "--topic", "signups"],
    ["partner", "list"], ["partner", "add", "an-app"], ["partner", "deliveries", "an-app"],
    ["partner", "replay", "an-app"], ["partner", "webhook", "an-app", "--test"],
    ["review", "list"], ["review", "clear", "m_1"], ["mail", "status"], ["mail", "stop"], ["mail", "suppressions"],
    ["export", "m_1"], ["erase", "m_1", "--within", "1"], ["erase", "m_1", "--prove", "--looking-for", "WORDS"],
    ["replay", "--community", "london"], ["explain", "s_1"],
    ["topics", "list"], ["topics", "create"], ["topics", "rights", "--grant"],
]  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority's certificate, and files that hold no secret."""
    folder = tmp_path_factory.mktemp("elsewhere")
    trustme.CA().cert_pem.write_to_path(str(folder / "other-ca.pem"))
    for name, content in {"empty": "", "missing": None}.items():
        (folder / name).mkdir()
        if content is not None:
            (folder / name / "KAFKA_SASL_PASSWORD").write_text(content)
    (folder / "words").write_text("somebody@example.org\n")
    return folder


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """A port at which somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nobody else listens there, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


CAUSES: dict[str, tuple[Callable[[SecureKafka, Path], Changes], str]] = {
    "wrong password": (
        lambda secure, elsewhere: {"KAFKA_SASL_PASSWORD": WRONG},
        r"KAFKA_SASL_PASSWORD: not the password that the broker at 127.0.0.1:\d+ has for user '\w+'",
    ),
    "unknown user": (
        lambda secure, elsewhere: {"KAFKA_SASL_USERNAME": "nobody"},
        r"KAFKA_SASL_USERNAME: the broker at 127.0.0.1:\d+ knows no user 'nobody'",
    ),
    "another mechanism": (
        lambda secure, elsewhere: {"KAFKA_SASL_MECHANISM": "PLAIN"},
        r"KAFKA_SASL_MECHANISM: 127.0.0.1:\d+ does not take PLAIN: must be SCRAM-SHA-512",
    ),
    "plain to a port with TLS": (
        lambda secure, elsewhere: {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
        r"KAFKA_SECURITY_PROTOCOL: 127.0.0.1:\d+ speaks TLS: must be SSL or SASL_SSL",
    ),
    "a plain login to a port with TLS": (
        lambda secure, elsewhere: {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
        r"KAFKA_SECURITY_PROTOCOL: 127.0.0.1:\d+ speaks TLS: must be SASL_SSL",
    ),
    "no login": (
        lambda secure, elsewhere: {"KAFKA_SECURITY_PROTOCOL": "SSL"},
        r"KAFKA_SECURITY_PROTOCOL: 127.0.0.1:\d+ wants a login: must be SASL_SSL",
    ),
    "unknown authority": (
        lambda secure, elsewhere: {"KAFKA_SSL_CA_FILE": str(elsewhere / "other-ca.pem")},
        r"KAFKA_SSL_CA_FILE: does not vouch for the certificate at 127.0.0.1:\d+",
    ),
    "no authority": (
        lambda secure, elsewhere: {"KAFKA_SSL_CA_FILE": None},
        r"KAFKA_SSL_CA_FILE: not set, and no authority that this system knows vouches",
    ),
    "no such authority": (
        lambda secure, elsewhere: {"KAFKA_SSL_CA_FILE": str(elsewhere / "no.pem")},
        r"KAFKA_SSL_CA_FILE: .*no.pem cannot be read",
    ),
    "wrong host name": (
        # The same address, written as nobody has a certificate for it.
        lambda secure, elsewhere: {"KAFKA_BOOTSTRAP_SERVERS": f"127.1:{secure.kafka.port}"},
        r"KAFKA_BOOTSTRAP_SERVERS: the certificate at 127.1:\d+ is made out to another host",
    ),
    "no user name": (
        lambda secure, elsewhere: {"KAFKA_SASL_USERNAME": None},
        r"KAFKA_SASL_USERNAME: not set",
    ),
    "no password": (
        lambda secure, elsewhere: {"SECRETS_DIR": None},
        r"KAFKA_SASL_PASSWORD: not set",
    ),
    "no file for the password": (
        lambda secure, elsewhere: {"SECRETS_DIR": str(elsewhere / "missing")},
        r"KAFKA_SASL_PASSWORD: not set.* no such file in SECRETS_DIR=.*missing",
    ),
    "an empty file for the password": (
        lambda secure, elsewhere: {"SECRETS_DIR": str(elsewhere / "empty")},
        r"KAFKA_SASL_PASSWORD: empty \(the file .*KAFKA_SASL_PASSWORD\)",
    ),
    "nobody there": (
        lambda secure, elsewhere: {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        r"KAFKA_BOOTSTRAP_SERVERS: no broker listens at 127.0.0.1:1 \(connection refused\)",
    ),
    "a name that DNS does not know": (
        lambda secure, elsewhere: {"KAFKA_BOOTSTRAP_SERVERS": f"no-such-host.invalid:{secure.kafka.port}"},
        r"KAFKA_BOOTSTRAP_SERVERS: there is no host 'no-such-host.invalid'",
    ),
    "no port": (
        lambda secure, elsewhere: {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:here"},
        r"KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:here' must be host:port",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_service_ends_with_one_line_that_names_the_setting(secure: SecureKafka, elsewhere: Path, cause: str) -> None:
    change, expected = CAUSES[cause]
    service = SERVICES[sorted(CAUSES).index(cause) % len(SERVICES)]
    environment = environment_of(secure, service)
    done = connection(environment, service, **change(secure, elsewhere))
    assert done.returncode == 1, done.stderr
    assert_one_line(done.stdout + done.stderr, rf"{service}: {expected}", secure)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_says_so(secure: SecureKafka, service: str) -> None:
    done = connection(environment_of(secure, service), service, KAFKA_SASL_PASSWORD=WRONG)
    assert done.returncode == 1
    assert_one_line(done.stdout + done.stderr, rf"{service}: KAFKA_SASL_PASSWORD: not the password", secure)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_says_so(secure: SecureKafka, elsewhere: Path, command: list[str]) -> None:
    words = [str(elsewhere / "words") if word == "WORDS" else word for word in command]
    done = secure.connection("operators", *words, KAFKA_SASL_PASSWORD=WRONG)
    assert done.returncode == UNAVAILABLE, done.stderr
    assert_one_line(done.stdout + done.stderr, "KAFKA_SASL_PASSWORD: not the password", secure)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"KAFKA_SECURITY_PROTOCOL": "TLS"},
            r"setting KAFKA_SECURITY_PROTOCOL: Input should be",
        ),
        ({"KAFKA_PARTITIONS": "many"}, r"setting KAFKA_PARTITIONS: "),
        ({"SECRETS_DIR": "/no/such/folder"}, "SECRETS_DIR: there is no such folder"),
    ],
    ids=["protocol", "partitions", "secrets"],
)
def test_settings_that_are_none_are_named_by_services_and_commands(
    secure: SecureKafka, changes: Changes, expected: str
) -> None:
    for command in (["matcher"], ["dead-letters", "list"]):
        done = connection(environment_of(secure, "matcher"), *command, **changes)
        assert done.returncode == 2, done.stderr
        assert_one_line(done.stdout + done.stderr, f"(matcher: )?{expected}", secure)


@pytest.mark.parametrize("name", ["INTAKE_API_KEYS", "NOTIFIER_LINK_SECRET"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe a secret of ours"], ids=["empty", "bytes"])
def test_another_secret_whose_file_is_empty_or_no_text_is_named_and_not_shown(
    secure: SecureKafka, tmp_path: Path, name: str, content: bytes
) -> None:
    service = name.split("_")[0].lower()
    environment = environment_of(secure, service)
    for file in Path(environment["SECRETS_DIR"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_bytes(content)
    done = connection(environment, service, SECRETS_DIR=str(tmp_path), **{name: None})
    assert done.returncode == 2, done.stderr
    assert_one_line(done.stdout + done.stderr, f"{service}: .*({name}|SECRETS_DIR)", secure)
    assert "a secret of ours" not in done.stderr


def test_the_farthest_of_several_servers_is_told(secure: SecureKafka) -> None:
    with closed_port() as closed:
        both = f"no-such-host.invalid:9092,127.0.0.1:{closed},{secure.kafka.bootstrap_servers}"
        settings = secure.settings("matcher").model_copy(update={"bootstrap_servers": both})
        assert asyncio.run(why_unreachable(settings)) is None
        wrong = settings.model_copy(update={"sasl_username": "nobody"})
        why = asyncio.run(why_unreachable(wrong))
        assert why is not None
        assert why.startswith("KAFKA_SASL_USERNAME: "), why
        nowhere = settings.model_copy(update={"bootstrap_servers": f"no-such-host.invalid:9092,127.0.0.1:{closed}"})
        why = asyncio.run(why_unreachable(nowhere))
        assert why is not None
        assert re.match(rf"KAFKA_BOOTSTRAP_SERVERS: no broker listens at 127.0.0.1:{closed} ", why), why


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_SSL"])
def test_who_listens_and_says_nothing_is_given_up(secure: SecureKafka, silent: int, protocol: str) -> None:
    changes = {
        "bootstrap_servers": f"127.0.0.1:{silent}", "security_protocol": protocol, "request_timeout_ms": 1_000,
    }  # fmt: skip
    why = asyncio.run(why_unreachable(secure.settings("matcher").model_copy(update=changes)))
    assert why is not None
    assert f"127.0.0.1:{silent}" in why


def test_tls_and_logins_to_a_plain_port(secure: SecureKafka, kafka: EmbeddedKafka) -> None:
    plain = {"bootstrap_servers": kafka.bootstrap_servers}
    assert asyncio.run(why_unreachable(KafkaSettings(**plain))) is None
    settings = secure.settings("matcher").model_copy(update=plain)
    told = {
        "SASL_SSL": "does not speak TLS: must be SASL_PLAINTEXT",
        "SSL": "does not speak TLS: must be PLAINTEXT",
        "SASL_PLAINTEXT": "takes no logins: must be PLAINTEXT",
    }
    for protocol, expected in told.items():
        why = asyncio.run(why_unreachable(settings.model_copy(update={"security_protocol": protocol})))
        assert why is not None
        assert why.startswith("KAFKA_SECURITY_PROTOCOL: "), why
        assert expected in why, why


def test_a_broker_that_sends_us_where_we_cannot_go(secure: SecureKafka) -> None:
    with (
        closed_port() as closed,
        EmbeddedKafka(properties={"advertised.listeners": f"PLAINTEXT://127.0.0.1:{closed}"}) as kafka,
    ):
        why = asyncio.run(why_unreachable(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)))
        assert why is not None
        assert why.startswith("advertised.listeners "), why
        assert f"127.0.0.1:{closed}" in why


def environment_of(secure: SecureKafka, service: str) -> dict[str, str]:
    return {
        **secure.environment(service),
        "KAFKA_REQUEST_TIMEOUT_MS": "5000",
        "INTAKE_API_KEYS": "{}",
        "NOTIFIER_LINK_SECRET": "a secret for the tests only",
    }


def assert_one_line(text: str, begins: str, secure: SecureKafka) -> None:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text[-3000:]
    assert re.match(begins, lines[0]), lines[0]
    assert WRONG not in text
    assert not [password for password in secure.security.passwords.values() if password in text]
