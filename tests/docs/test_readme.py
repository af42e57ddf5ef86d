"""The README says what the code does: its tables, its commands, and the curl that works as printed."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.kafka import EmbeddedKafka
from demo.processes import Process, port_or_free

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]
_READY_SECONDS_MAX = 90.0


def test_the_tables_are_as_the_code_has_them() -> None:
    check = subprocess.run([sys.executable, "docs/readme_tables.py", "--check"], cwd=ROOT, check=False)
    assert check.returncode == 0, "run: python docs/readme_tables.py"


def test_every_setting_is_explained() -> None:
    table = README.split("### Settings")[1].split("### Metrics")[0]
    unexplained = [row for row in table.splitlines() if row.startswith("| `") and row.endswith("|  |")]
    assert unexplained == []


def test_every_setting_that_compose_gives_is_one_that_a_service_reads() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    for name in ("intake", "matcher", "notifier"):
        given = services[name]["environment"]
        names = set(given) if isinstance(given, dict) else {item.split("=")[0] for item in given}
        assert names <= known, f"{name}: {names - known}"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith(".venv/bin/connection")])
def test_every_command_of_the_program_runs(command: str) -> None:
    arguments = [sys.executable, "-m", "connection", *shlex.split(command)[1:]]
    answer = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {shlex.split(command)[1] for command in COMMANDS if command.startswith("make ")}
    targets |= set(re.findall(r"`make (\w+)`", README))
    assert targets >= {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_file_that_is_named_is_there() -> None:
    linked = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert [link for link in linked if not (ROOT / link).exists()] == []


async def test_the_curl_works_as_printed_but_for_the_port_where_that_is_taken(
    fresh_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    (curl,) = [command for command in COMMANDS if command.startswith("curl")]
    block = next(block for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) if block.startswith("curl"))
    assert curl.split()[0] == "curl"
    key, source = re.findall(r"Bearer (\S+)'", block)[0], json.loads(block.split("-d '")[1].rsplit("'", 1)[0])["source"]
    port = port_or_free(8001, taken=set())
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
        "INTAKE_API_KEYS": json.dumps({source: key}),
        "INTAKE_HTTP_PORT": str(port),
    }
    intake = Process("intake", [sys.executable, "-m", "connection", "intake"], environment=environment, folder=tmp_path)
    intake.start()
    try:
        await intake.ready(f"http://127.0.0.1:{port}/readyz", within_seconds=_READY_SECONDS_MAX)
        command = ["sh", "-c", block.replace(":8001/", f":{port}/")]
        answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        assert "202 Accepted" in answer.stdout, answer.stdout
    finally:
        await intake.stop()
