"""What `connection topics acls` prints is run by Kafka's own kafka-acls.sh, and gives what `--grant` gives."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DescribeAclsRequest
from kafka_tools import acls_script
from secure_world import PATIENCE_SECONDS, SecureKafka, secured_broker

from connection.acl_commands import acl_commands
from demo.kafka_security import BROKER
from shared.acls import Operation, Pattern, Resource, Right, rights
from shared.kafka.connection import client_options
from shared.settings import KafkaSettings

_ANY = 1
_ALLOW = 3


async def rights_at(settings: KafkaSettings) -> set[tuple[object, ...]]:
    """Every right that the broker has written down."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        answer = await admin._send_request(DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))
    finally:
        await admin.close()
    assert answer.error_code == 0, answer
    return {
        (principal, operation, resource, name, pattern, host, permission)
        for resource, name, pattern, entries in answer.resources
        for principal, host, operation, permission in entries
    }


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_the_commands_run_and_give_the_rights_that_grant_gives(secure: SecureKafka, tmp_path: Path) -> None:
    with secured_broker(tmp_path) as fresh:
        assert asyncio.run(rights_at(fresh.settings(BROKER))) == set()
        login = tmp_path / "operator's login.properties"  # a name that a shell would take for two
        told = fresh.security.tool_properties(BROKER)
        login.write_text("".join(f"{name}={value}\n" for name, value in told.items()))
        printed = fresh.connection(BROKER, "topics", "acls", "--command-config", str(login))
        assert printed.returncode == 0, printed.stderr
        acls_script(tmp_path)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-e"], input=printed.stdout, env=environment, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS * 3, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        given = asyncio.run(rights_at(fresh.settings(BROKER)))
    assert given == asyncio.run(rights_at(secure.settings(BROKER)))
    assert given == {
        (f"User:{right.principal}", right.operation, right.resource, right.name, right.pattern, "*", _ALLOW)
        for right in rights()
    }


def test_one_command_for_what_is_allowed_alike_and_every_word_is_quoted() -> None:
    wanted = [
        Right("a b", Operation.READ, Resource.TOPIC, "one"),
        Right("a b", Operation.READ, Resource.TOPIC, "two"),
        Right("a b", Operation.WRITE, Resource.TOPIC, "two"),
        Right("a b", Operation.READ, Resource.TOPIC, "three"),
        Right("a b", Operation.READ, Resource.GROUP, "g", Pattern.PREFIXED),
    ]
    commands = acl_commands(wanted, bootstrap_servers="b:1", command_config="it's mine")
    common = ["kafka-acls.sh", "--bootstrap-server", "b:1", "--command-config", "it's mine", "--add"]
    common += ["--allow-principal", "User:a b"]
    literal, prefixed = ["--resource-pattern-type", "literal"], ["--resource-pattern-type", "prefixed"]
    assert [shlex.split(command) for command in commands] == [
        [*common, "--operation", "Read", "--topic", "one", "--topic", "three", *literal],
        [*common, "--operation", "Read", "--operation", "Write", "--topic", "two", *literal],
        [*common, "--operation", "Read", "--group", "g", *prefixed],
    ]
