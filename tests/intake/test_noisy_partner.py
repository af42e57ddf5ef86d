"""A partner that sends ten times what was agreed, and another one who hardly notices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from endpoint import STRUCTURED, event
from typer.testing import CliRunner

from benchmarks.processes import ROOT, answer_of, service
from connection.cli import cli
from demo.kafka import EmbeddedKafka

AGREED, QUIET_RATE = 50, 40
ROUNDS, SECONDS = 5, 3
FLOOR_MS = 10.0
"""Below this, what is measured is the machine's scheduler."""


def load(port: int, bodies: Path, key: str, rate: int) -> list[str]:
    options = {"port": port, "bodies": bodies, "content-type": STRUCTURED["content-type"], "key": key, "rate": rate}
    return ["-m", "benchmarks.load", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def test_at_ten_times_its_limit_a_partner_is_held_back_and_hardly_slows_another(
    fresh_kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    added = CliRunner().invoke(cli, ["partner", "add", "noisy-app", "--events-per-second", str(AGREED)])
    noisy_key = added.stdout.strip()
    files = {}
    for source, rate in (("book-app", QUIET_RATE), ("noisy-app", AGREED * 10)):
        events = [event(f"m-{number}", source=source, id=f"{number}-{'@' * 16}") for number in range(rate * SECONDS)]
        files[source] = tmp_path / source
        files[source].write_bytes(b"\n".join(map(orjson.dumps, events)))
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
        "INTAKE_API_KEYS": json.dumps({"book-app": "sesame"}),
    }
    alone, beside = [], []
    with service("intake", environment) as intake:
        quiet = load(intake.port, files["book-app"], "sesame", QUIET_RATE)
        noisy = [sys.executable, *load(intake.port, files["noisy-app"], noisy_key, AGREED * 10)]
        answer_of(quiet)
        refused = 0
        for _ in range(ROUNDS):
            found = answer_of(quiet)
            alone.append(found["p99_ms"])
            with subprocess.Popen(noisy, cwd=ROOT, stdout=subprocess.PIPE, text=True) as shouting:
                found = answer_of(quiet)
                beside.append(found["p99_ms"])
                assert set(found["statuses"]) == {"202"}
                said = json.loads((shouting.stdout or sys.stdin).read().splitlines()[-1])
                refused += said["statuses"].get("429", 0)
    assert refused > AGREED * SECONDS * ROUNDS, "it is held back"
    print({"p99 alone (ms)": alone, "beside the noisy one (ms)": beside})
    # Of five rounds the second best: what else the machine is busy with comes and goes, the noisy partner stays.
    # On a machine that is busy with other things even the quiet partner waits by itself, and twice means nothing.
    quiet_ms = sorted(alone)[1]
    assert sorted(beside)[1] <= (2 * FLOOR_MS if quiet_ms <= FLOOR_MS else 4 * quiet_ms)
