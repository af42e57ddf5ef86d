"""schemathesis reads the OpenAPI document of a running intake, and tries it: every check, nothing may fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.processes import service
from demo.kafka import EmbeddedKafka

HERE = Path(__file__).parent
CASES_MIN = 1_500


def test_what_the_document_says_is_what_intake_does(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "INTAKE_API_KEYS": json.dumps({"book-app": "sesame"}),
        "INTAKE_EVENTS_PER_SECOND_MAX": "1000000",
    }
    with service("intake", environment) as intake:
        began = time.monotonic()
        tried = subprocess.run(
            [
                sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
                "--config-file", HERE / "schemathesis.toml",
                "run", f"http://127.0.0.1:{intake.port}/openapi.json",
                "--checks", "all", "--header", "Authorization: Bearer sesame", "--no-color",
            ],
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            timeout=540,
        )  # fmt: skip
    print(tried.stdout[-20_000:], tried.stderr[-2_000:])
    assert tried.returncode == 0
    found = re.search(r"([\d,]+) generated", tried.stdout)
    assert found is not None
    cases = int(found[1].replace(",", ""))
    print(f"{cases} cases in {time.monotonic() - began:.0f} s")
    assert cases >= CASES_MIN, "it looked at little"
