"""`connection mail` says in plain words what is wrong, and ends with a status that programs can act on."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from connection.cli import cli

NOBODY = "127.0.0.1:1"
SECRET = "a secret for the tests only"  # noqa: S105


def run(*arguments: str, stdin: str = "", **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        cli, ["mail", *arguments], input=stdin, env={"KAFKA_BOOTSTRAP_SERVERS": NOBODY, **environment}
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), "never a stack trace"
    return result.exit_code, result.output


def test_a_community_that_there_is_not() -> None:
    code, said = run("stop", "--community", "atlantis")
    assert code == 2
    assert "atlantis" in said
    assert "london" in said


@pytest.mark.parametrize("command", [["stop"], ["start"], ["status"], ["suppressions"], ["lift", "a_x"]])
def test_without_kafka_it_says_so_and_asks_to_try_again(command: list[str]) -> None:
    code, said = run(*command)
    assert code == 75
    assert "KAFKA_BOOTSTRAP_SERVERS" in said


def test_lifting_an_address_needs_the_key_of_its_hash() -> None:
    code, said = run("lift", "amara@example.org", NOTIFIER_LINK_SECRET="")
    assert (code, "NOTIFIER_LINK_SECRET" in said) == (2, True)
    assert "amara" not in said


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFIER_LINK_SECRET": SECRET}, {"NOTIFIER_LINK_SECRET": SECRET, "NOTIFIER_BOUNCE_ADDRESS": "no address"}],
)
def test_a_pipe_that_is_not_configured_makes_the_mail_server_try_again(environment: dict[str, str]) -> None:
    code, said = run("bounce", **environment)
    assert code == 75
    assert "NOTIFIER_" in said


def test_what_is_no_bounce_of_ours_needs_no_kafka_and_does_not_bounce() -> None:
    configured = {"NOTIFIER_LINK_SECRET": SECRET, "NOTIFIER_BOUNCE_ADDRESS": "bounces@example.org"}
    code, said = run("bounce", stdin="Subject: hello\n\nbuy this", **configured)
    assert code == 0
    assert said == "unrecognised not ours\n"
    code, _ = run("bounce", stdin="Subject: hello\n\n" + "buy this\n" * 300_000, **configured)
    assert code == 0
