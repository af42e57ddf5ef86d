"""A secured Kafka with the rights that `connection topics rights --grant` gives, and services that find their secrets
in files: what an operator sets up, with the commands that an operator types."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from demo.kafka import EmbeddedKafka
from demo.kafka_security import BROKER, KafkaSecurity
from demo.london import SOURCE
from demo.members import Behaviour, Members
from demo.processes import Process, port_or_free
from shared.acls import PRINCIPALS, SERVICES
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
READY_SECONDS_MAX = 400
"""A first start compiles, which takes minutes on a busy machine."""
STRANGER = "stranger"
"""Has a password, and is granted nothing."""
_API_KEY = secrets.token_hex(16)
_OURS = ("KAFKA_", "INTAKE_", "MATCHER_", "NOTIFIER_", "SMTP_", "SECRETS_", "CONTACTS_")


@dataclass(frozen=True)
class SecureKafka:
    """Where the broker is, and what makes a client this or that user."""

    kafka: EmbeddedKafka
    security: KafkaSecurity
    folder: Path

    def settings(self, user: str) -> KafkaSettings:
        return KafkaSettings(
            bootstrap_servers=self.kafka.bootstrap_servers,
            security_protocol="SASL_SSL",
            sasl_username=user,
            sasl_password=SecretStr(self.security.passwords[user]),
            ssl_ca_file=self.security.ca_file,
        )

    def environment(self, user: str, more_secrets: Mapping[str, str] | None = None) -> dict[str, str]:
        """All that a program needs to be this user, and nothing of ours that this process has; secrets are in files."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        login = self.security.environment(user)
        folder = self.folder / "secrets" / user
        folder.mkdir(parents=True, exist_ok=True)
        for name, secret in {"KAFKA_SASL_PASSWORD": login.pop("KAFKA_SASL_PASSWORD"), **(more_secrets or {})}.items():
            (folder / name).write_text(f"{secret}\n")
        return {
            **clean,
            **login,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "COMMUNITIES_DIR": str(ROOT / "communities"),
            "SECRETS_DIR": str(folder),
        }

    def connection(self, user: str, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run `connection ARGUMENTS` as this user; `changes` to its variables, `None` for one that is not to be set."""
        # An export is told in keyed ids, so it needs the notifier's secret.
        environment = self.environment(user) | {"NOTIFIER_LINK_SECRET": "a secret for the tests only"}
        return connection(environment, *arguments, **changes)


def connection(
    environment: Mapping[str, str], *arguments: str, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    changed = {name: value for name, value in {**environment, **changes}.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "connection", *arguments],
        cwd=ROOT, env=changed, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip


@contextmanager
def secured_broker(folder: Path) -> Iterator[SecureKafka]:
    """A secured broker with its users, and nothing else yet."""
    passwords = {user: secrets.token_hex(16) for user in (*PRINCIPALS, STRANGER)}
    security = KafkaSecurity(folder / "security", passwords)
    with EmbeddedKafka(security=security) as kafka:
        yield SecureKafka(kafka, security, folder)


@contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """The topics and the rights are there as well, made as an operator makes them."""
    with secured_broker(folder) as secure:
        for command in (("topics", "create"), ("topics", "rights", "--grant")):
            done = secure.connection(BROKER, *command)
            assert done.returncode == 0, done.stderr
        yield secure


@dataclass
class Mailbox:
    """A mail server that takes everything and keeps it."""

    emails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    """Recipients and what they were sent."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.emails += [(recipient, message) for recipient in envelope.rcpt_tos]  # type: ignore[misc]
        return "250 2.0.0 taken"


@dataclass
class Services:
    """One process of each service, each its own user, and a mailbox."""

    processes: dict[str, Process]
    ports: dict[str, int]
    mailbox: Mailbox

    def log_of(self, service: str) -> str:
        return self.processes[service].log_file.read_text(errors="replace")

    async def sign_up(self, events: list[dict[str, object]]) -> None:
        headers = {"Authorization": f"Bearer {_API_KEY}", "Content-Type": "application/cloudevents-batch+json"}
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"http://127.0.0.1:{self.ports['intake']}/v1/events"
            answer = await client.post(url, content=json.dumps(events), headers=headers)
            assert answer.status_code == 202, answer.text


@asynccontextmanager
async def running_services(secure: SecureKafka) -> AsyncIterator[Services]:
    """Ready, until the block ends."""
    taken: set[int] = set()
    ports = {service: port_or_free(0x7200 + number, taken=taken) for number, service in enumerate(SERVICES)}
    communities = secure.folder / "communities"
    communities.mkdir(exist_ok=True)
    london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text())
    (communities / "london.yaml").write_text(yaml.safe_dump({**london, "answer_within_seconds": PATIENCE_SECONDS}))
    secrets_of = {
        "intake": {"INTAKE_API_KEYS": json.dumps({SOURCE: _API_KEY})},
        "notifier": {"NOTIFIER_LINK_SECRET": secrets.token_hex(16)},
    }
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=port_or_free(0x7210, taken=taken))
    told = {
        "COMMUNITIES_DIR": str(communities),
        "MATCHER_ROUND_INTERVAL_SECONDS": "0.5",
        "MATCHER_WAITING_ROUND_SECONDS": "1",
        "NOTIFIER_PUBLIC_URL": f"http://127.0.0.1:{ports['notifier']}",
        "NOTIFIER_KEEPS_QUIET_HOURS": "false",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(smtp.port),
    }
    processes = {
        service: Process(
            service,
            # A process hands on what this one has; `env -i` takes away what another service would find there.
            ["env", "-i", *(f"{name}={value}" for name, value in {
                **secure.environment(service, secrets_of.get(service)), **told,
                f"{service.upper()}_HTTP_PORT": str(ports[service]),
            }.items()), sys.executable, "-m", "connection", service],
            environment={},
            folder=secure.folder,
        )
        for service in SERVICES
    }  # fmt: skip
    smtp.start()
    try:
        for process in processes.values():
            process.start()
        for service, process in processes.items():
            await process.ready(f"http://127.0.0.1:{ports[service]}/readyz", within_seconds=READY_SECONDS_MAX)
        yield Services(processes, ports, mailbox)
    finally:
        for process in processes.values():
            process.kill()
        smtp.stop()


@asynccontextmanager
async def everybody_says_yes(mailbox: Mailbox) -> AsyncIterator[None]:
    """Whoever is invited presses yes."""
    async with httpx.AsyncClient(timeout=20) as client:
        members = Members(client, 7, Behaviour(yes=1.0, no=0, pause=0, delay_seconds_min=0, delay_seconds_max=0.1))

        async def read() -> None:
            count = 0
            while True:
                for recipient, message in mailbox.emails[count:]:
                    body = message.get_body(("plain",))
                    members.read(recipient, body.get_content() if body is not None else "")
                    count += 1
                await asyncio.sleep(0.1)

        reading = asyncio.create_task(read())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await members.stop()


async def until(condition: Callable[[], bool], *, within_seconds: float = PATIENCE_SECONDS) -> None:
    """Poll, generously."""
    async with asyncio.timeout(within_seconds):
        while not condition():
            await asyncio.sleep(0.1)
