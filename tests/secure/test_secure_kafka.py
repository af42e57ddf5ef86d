"""On a broker that refuses what nobody granted: the whole way works, and everything else is refused."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from secure_world import (
    PATIENCE_SECONDS,
    ROOT,
    STRANGER,
    SecureKafka,
    everybody_says_yes,
    running_services,
    secure_kafka,
    until,
)

from demo.kafka_security import BROKER
from demo.london import SOURCE, synthesize
from shared.acls import OPERATORS, PARTNERS, PRINCIPALS, SERVICES, readers, writers
from shared.contracts import Introduction, IntroductionState
from shared.ids import member_id
from shared.kafka.connection import client_options, new_producer, new_reader
from shared.kafka.dead_letters import read_dead_letters
from shared.kafka.latest import read_latest
from shared.settings import KafkaSettings
from shared.topics import TOPICS

pytestmark = pytest.mark.kafka

MEMBERS = 12
SEED = 7
PARTITION = 7
"""In which nothing else lies."""


@pytest.mark.timeout(800)
async def test_from_the_sign_up_to_the_introduction_with_the_rights_that_are_granted_and_no_more(
    tmp_path: Path,
) -> None:
    """A broker of its own: what another test tries on the topics would arrive here as dead letters."""
    with secure_kafka(tmp_path) as secure:
        events = synthesize(MEMBERS, SEED)
        address_of = {member_id("london", SOURCE, event["subject"]): event["data"]["email"] for event in events}
        operators = secure.settings(OPERATORS)
        async with running_services(secure) as services:

            def emails_to(member: str) -> int:
                return sum(recipient == address_of[member] for recipient, _ in services.mailbox.emails)

            async with everybody_says_yes(services.mailbox):
                await services.sign_up(events)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not (introduced := await members_introduced(operators)):
                        await asyncio.sleep(0.5)
                assert len(introduced) >= 2
                # Each was invited, and has the email that introduces them.
                await until(lambda: all(emails_to(member) >= 2 for member in introduced))
            assert {recipient for recipient, _ in services.mailbox.emails} <= set(address_of.values())
            assert [letter async for letter in read_dead_letters(operators)] == []
            for service in SERVICES:
                log = services.log_of(service)
                assert "Authorization" not in log, log[-3000:]
                assert not [password for password in secure.security.passwords.values() if password in log]


async def members_introduced(settings: KafkaSettings) -> set[str]:
    found = (await read_latest(settings, TOPICS["introductions"])).values()
    return {
        member
        for one in found
        if isinstance(one, Introduction) and one.state is IntroductionState.INTRODUCED
        for member in one.introduced
    }


@pytest.fixture(scope="module")
def one_in_each(secure: SecureKafka) -> SecureKafka:
    """A record lies in each topic: who may read must be handed it, and who may not, not."""

    async def put() -> None:
        producer = new_producer(secure.settings(BROKER))
        await producer.start()
        try:
            for topic in TOPICS:
                await producer.send(topic, b"a test of rights", key=b"nobody", partition=PARTITION)
            await producer.flush()
        finally:
            await producer.stop()

    asyncio.run(put())
    return secure


@pytest.mark.parametrize("user", [*PRINCIPALS, STRANGER])
async def test_everybody_may_read_what_the_table_says_and_nothing_else(one_in_each: SecureKafka, user: str) -> None:
    reader = new_reader(one_in_each.settings(user), auto_offset_reset="earliest")
    await reader.start()
    try:
        for topic in TOPICS.values():
            allowed = user == OPERATORS or user in readers(topic)
            assert await is_handed_out(reader, topic.name) == allowed, f"{user} reads {topic.name}"
    finally:
        await reader.stop()


@pytest.mark.parametrize("user", [*PRINCIPALS, STRANGER])
async def test_everybody_may_write_what_the_table_says_and_nothing_else(one_in_each: SecureKafka, user: str) -> None:
    # Without idempotence: a transaction's or an idempotent producer's id is a right of its own.
    producer = AIOKafkaProducer(acks="all", **client_options(one_in_each.settings(user)))
    await producer.start()
    try:
        for topic in TOPICS.values():
            allowed = user == OPERATORS or user in writers(topic)
            assert await is_taken(producer, topic.name) == allowed, f"{user} writes {topic.name}"
    finally:
        await producer.stop()


async def is_handed_out(reader: AIOKafkaConsumer, topic: str) -> bool:
    """Whether the record that lies there is; `False` only if the broker says that it may not be."""
    try:
        reader.assign([TopicPartition(topic, PARTITION)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await reader.getmany(timeout_ms=100):
                if topic in reader._client.cluster.unauthorized_topics:
                    return False  # not even that it exists
    except TopicAuthorizationFailedError:
        return False
    return True


async def is_taken(producer: AIOKafkaProducer, topic: str) -> bool:
    try:
        await producer.send_and_wait(topic, b"a test of rights", key=b"nobody", partition=PARTITION)
    except TopicAuthorizationFailedError:
        return False
    return True


def test_names_and_addresses_are_for_intake_and_the_notifier_alone() -> None:
    contacts = TOPICS["contacts"]
    assert (writers(contacts), readers(contacts)) == ({"intake"}, {"intake", "notifier"})
    for topic in TOPICS.values():
        assert "matcher" not in readers(topic) or topic.name not in {"contacts", "signups", "dead-letters"}
        assert PARTNERS not in readers(topic)


@pytest.mark.parametrize(("user", "other"), [(one, other) for one in SERVICES for other in SERVICES if one != other])
async def test_nobody_takes_part_in_anothers_group_or_transactions(secure: SecureKafka, user: str, other: str) -> None:
    topic = next(topic.name for topic in TOPICS.values() if user in readers(topic))
    consumer = AIOKafkaConsumer(topic, group_id=other, **client_options(secure.settings(user)))

    async def take_part() -> None:
        await consumer.start()
        await consumer.getone()

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(GroupAuthorizationFailedError):
                await take_part()
    finally:
        await consumer.stop()
    role = {"intake": "intake-webhooks", "matcher": "suggestions", "notifier": "deliveries"}[other]
    producer = AIOKafkaProducer(transactional_id=f"{role}-0", **client_options(secure.settings(user)))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(TransactionalIdAuthorizationFailed):
                await producer.start()
    finally:
        await producer.stop()


@pytest.mark.parametrize("user", [*SERVICES, PARTNERS, STRANGER])
async def test_nobody_but_operators_changes_topics_or_rights(secure: SecureKafka, user: str) -> None:
    for command in (("topics", "create"), ("topics", "rights", "--grant")):
        done = await asyncio.to_thread(secure.connection, user, *command, KAFKA_REQUEST_TIMEOUT_MS="5000")
        # Services may look whether the topics are there, and they are: they then have nothing to create.
        assert (done.returncode == 0) == (command == ("topics", "create") and user in SERVICES), (user, command)
    try:
        await delete_a_topic(secure.settings(user))
    except KafkaError:
        return
    raise AssertionError(f"{user} may delete topics")


async def delete_a_topic(settings: KafkaSettings) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import for_code

    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        answer = await admin.delete_topics(["contacts"])
        code = answer.topic_error_codes[0][1]
        if code:
            raise for_code(code)
    finally:
        await admin.close()


def test_secrets_come_from_files_and_a_variable_counts_more(tmp_path: Path) -> None:
    (tmp_path / "KAFKA_SASL_PASSWORD").write_text("from a file\n")
    (tmp_path / "intake_api_keys").write_text('{"book-app": "sesame"}')
    tell = (
        "from shared.settings import KafkaSettings; from services.intake.settings import IntakeSettings;"
        "intake = IntakeSettings(); password = KafkaSettings().sasl_password;"
        "print(password.get_secret_value(), intake.api_keys['book-app'].get_secret_value())"
    )
    environment = {**os.environ, "SECRETS_DIR": str(tmp_path)}
    for more, expected in (({}, "from a file sesame"), ({"KAFKA_SASL_PASSWORD": "told"}, "told sesame")):
        done = subprocess.run(
            [sys.executable, "-c", tell], cwd=ROOT, env=environment | more, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
    environment["SECRETS_DIR"] = str(tmp_path / "no-such-folder")
    done = subprocess.run(
        [sys.executable, "-m", "connection", "matcher"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.strip()) == (2, "matcher: SECRETS_DIR: there is no such folder")
    outside = tmp_path / "outside"
    outside.write_text("a secret of ours")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "KAFKA_SASL_PASSWORD").symlink_to(outside)
    done = subprocess.run(
        [sys.executable, "-m", "connection", "matcher"], cwd=ROOT, capture_output=True, text=True,
        env=environment | {"SECRETS_DIR": str(tmp_path / "links")},
    )  # fmt: skip
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert line.startswith("matcher: SECRETS_DIR: ")
    assert "no link out of it" in line
