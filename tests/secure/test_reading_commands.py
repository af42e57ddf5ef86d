"""What may not be read, or is not there, is not shown as if it were empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from secure_world import STRANGER, SecureKafka, secured_broker

from demo.kafka_security import BROKER
from shared.acls import OPERATORS
from shared.topics import TOPICS

pytestmark = pytest.mark.kafka

READING = {
    "dead-letters list": ["dead-letters"],
    "dead-letters show 0:0": ["dead-letters"],
    "dead-letters replay --topic signups": ["dead-letters"],
    "partner list": ["partners"],
    "partner deliveries an-app": ["partners"],
    "partner replay an-app": ["partners"],
    "review list": ["review-orders", "introductions", "preferences", "erasure-orders"],
    "mail status": ["mail-orders"],
    "mail suppressions": ["suppressions"],
    "export m_1": ["contacts", "profiles", "deliveries", "outbox", "introductions"],
    "erase m_1 --within 0": ["erasure-orders", "erasures"],
    "erase m_1 --prove --looking-for WORDS": list(TOPICS),
    "replay --community london": ["suggestions", "profiles", "introductions"],
    "explain s_1": ["suggestions", "profiles", "introductions"],
}
"""What a command reads at least."""
MAKES_WHAT_IS_MISSING = {"review list"}
FOUND_NOTHING = {
    "dead-letters list": "0 dead letters",
    "dead-letters replay --topic signups": "0 put back",
    "partner list": "source",
    "partner deliveries an-app": "0 pending",
    "review list": "0 held for review",
    "mail status": "Nothing is stopped",
    "mail suppressions": "0 suppressed",
    "export m_1": "Nothing is stored",
    "erase m_1 --prove --looking-for WORDS": "Nothing was found",
}


def words(command: str, folder: Path) -> list[str]:
    (folder / "words").write_text("somebody@example.org\n")
    return [str(folder / "words") if word == "WORDS" else word for word in command.split()]


@pytest.mark.parametrize("command", READING)
def test_a_user_without_the_rights_is_told_which_topics(secure: SecureKafka, tmp_path: Path, command: str) -> None:
    done = secure.connection(STRANGER, *words(command, tmp_path))
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    if command in MAKES_WHAT_IS_MISSING:
        assert "Kafka would not create topic" in line
        return
    assert line.startswith(f"this Kafka user ({STRANGER}) may not read topic"), line
    named = line.partition(":")[0].replace(",", "").split()
    assert set(READING[command]) <= set(named), line


def test_a_user_who_may_write_and_look_but_not_read_is_not_shown_an_empty_list(secure: SecureKafka) -> None:
    done = secure.connection("matcher", "dead-letters", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("this Kafka user (matcher) may not read topic dead-letters: ")


def test_a_user_without_one_of_the_rights_is_told_that_one(secure: SecureKafka) -> None:
    done = secure.connection("notifier", "review", "list")
    assert done.returncode == 0, done.stderr  # the notifier reads what a review is made of
    done = secure.connection("intake", "review", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("this Kafka user (intake) may not read topic review-orders: "), done.stderr


@pytest.mark.parametrize("command", FOUND_NOTHING)
def test_who_has_the_rights_is_told_that_there_is_nothing(secure: SecureKafka, tmp_path: Path, command: str) -> None:
    done = secure.connection(OPERATORS, *words(command, tmp_path))
    assert done.returncode == 0, done.stderr
    assert FOUND_NOTHING[command] in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["mail stop", "partner add an-app", "review clear m_1", "topics create"])
def test_a_user_who_may_not_write_is_told_so(secure: SecureKafka, command: str) -> None:
    done = secure.connection(STRANGER, *command.split())
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr
    line = done.stderr.strip()
    assert "may not" in line or "would not" in line, line


def test_topics_that_a_user_may_not_see_are_not_called_missing(secure: SecureKafka) -> None:
    done = secure.connection(STRANGER, "topics", "list")
    assert done.returncode == 1
    assert done.stdout.count("not for this user to see") == len(TOPICS)
    assert "missing" not in done.stdout
    seen = secure.connection("matcher", "topics", "list")
    assert (seen.returncode, seen.stdout.count("8 partitions")) == (0, len(TOPICS)), seen.stderr


@pytest.fixture(scope="module")
def without_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secured_broker(tmp_path_factory.mktemp("without-topics")) as running:
        yield running


@pytest.mark.parametrize("command", sorted(READING.keys() - MAKES_WHAT_IS_MISSING))
def test_topics_that_are_not_there_are_named(without_topics: SecureKafka, tmp_path: Path, command: str) -> None:
    done = without_topics.connection(BROKER, *words(command, tmp_path))
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "not there: `connection topics create`" in line
    assert set(READING[command]) <= set(line.partition(":")[0].replace(",", "").split()), line


def test_a_list_of_topics_calls_missing_what_is(without_topics: SecureKafka) -> None:
    done = without_topics.connection(BROKER, "topics", "list")
    assert (done.returncode, done.stdout.count("missing")) == (0, len(TOPICS)), done.stderr
