"""The embedded Kafka keeps data over a kill, leaves nothing behind, and says why it does not start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from demo.kafka import EmbeddedKafka, KafkaStartError

PARENT = """
import sys, time
from demo.kafka import EmbeddedKafka
kafka = EmbeddedKafka()
kafka.start()
print(kafka.pid, kafka.data_dir, flush=True)
time.sleep(600)
"""


async def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, 2, 1)])
        assert [error for _, error, *_ in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def send(bootstrap_servers: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id="test-1")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send(topic, value, partition=1)
    finally:
        await producer.stop()


async def read(bootstrap_servers: str, topic: str, group: str, count: int) -> list[bytes | None]:
    """The next messages of a group, which are then committed."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        values = [(await consumer.getone()).value for _ in range(count)]
        await consumer.commit()
        return values
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_messages_and_positions_survive_a_restart_and_a_kill() -> None:
    with EmbeddedKafka() as kafka:
        address = kafka.bootstrap_servers
        await create_topic(address, "letters")
        await send(address, "letters", b"one")
        assert await read(address, "letters", "readers", 1) == [b"one"]
        kafka.restart()
        await send(address, "letters", b"two")
        assert await read(address, "letters", "readers", 1) == [b"two"]
        await send(address, "letters", b"three")
        kafka.kill()
        assert kafka.pid is None
        kafka.start()
        assert kafka.bootstrap_servers == address
        assert await read(address, "letters", "readers", 1) == [b"three"]
    assert kafka.pid is None
    assert not kafka.data_dir.exists()


@pytest.mark.kafka
async def test_a_data_folder_serves_a_later_instance_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with EmbeddedKafka(folder) as kafka:
        await create_topic(kafka.bootstrap_servers, "letters")
        await send(kafka.bootstrap_servers, "letters", b"one")
    with EmbeddedKafka(folder) as kafka:
        assert await read(kafka.bootstrap_servers, "letters", "readers", 1) == [b"one"]
    assert folder.exists()


async def test_no_topic_is_made_by_asking_for_it(kafka: EmbeddedKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, request_timeout_ms=2_000)
    await producer.start()
    try:
        with pytest.raises(KafkaError):
            await producer.partitions_for("never-created")
    finally:
        await producer.stop()


@pytest.mark.kafka
def test_a_killed_parent_takes_its_broker_and_the_data_along() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout:
        pid, data_dir = parent.stdout.readline().split()
    assert is_running(int(pid))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(int(pid)) or Path(data_dir).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process lives; one that has ended and not been waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        kafka = EmbeddedKafka(port=port)
        with pytest.raises(KafkaStartError, match=f"Port {port} is in use"):
            kafka.start()
        kafka.close()


@pytest.mark.kafka
def test_a_broker_that_dies_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=somebody-elses-cluster\n")
    kafka = EmbeddedKafka(tmp_path)
    with pytest.raises(KafkaStartError, match=r"(?s)ended with status 1.*Stored node id 7"):
        kafka.start()
    assert kafka.pid is None


@pytest.mark.kafka
def test_an_interrupted_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupt(broker: subprocess.Popen[bytes]) -> None:
        started.append(broker.pid)
        raise KeyboardInterrupt

    kafka = EmbeddedKafka()
    monkeypatch.setattr(kafka, "_wait_until_it_answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kafka.start()
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
    kafka.close()
