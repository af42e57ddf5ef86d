"""The examples that verify a webhook, run as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from webhook_world import SECRETS

from services.intake.webhooks.messages import body_of, headers_of
from shared.contracts import WebhookDelivery, WebhookEvent

PAGE = (Path(__file__).parents[2] / "docs" / "partners.md").read_text(encoding="utf-8")
USE = {
    "python": ("#", "import json, sys\nfor s, h, b in json.load(sys.stdin): print(is_genuine(s, h, b.encode()))"),
    "javascript": (
        "//",
        'import { readFileSync } from "node:fs";\n'
        "for (const [s, h, b] of JSON.parse(readFileSync(0))) console.log(isGenuine(s, h, b));",
    ),
}


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_example_knows_what_is_genuine(language: str, tmp_path: Path) -> None:
    comment, use = USE[language]
    found = re.search(rf"```{language}\n{comment} verify\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    now_ms = int(time.time() * 1000)
    one = WebhookDelivery(
        community="x",
        event="w_1",
        type=WebhookEvent.TEST,
        source="a",
        data={},
        occurred_at_ms=now_ms,
        queued_at_ms=now_ms,
    )
    body = body_of(one, "straße-17")
    good, old = (headers_of(one, body, SECRETS, at_ms) for at_ms in (now_ms, now_ms - 400_000))
    asked = [
        (SECRETS[0], good, body), (SECRETS[1], good, body), (SECRETS[0], good, body + b" "), (SECRETS[0], old, body),
        ("whsec_" + "A" * 32, good, body), (SECRETS[0], good | {"webhook-id": "w_2"}, body),
    ]  # fmt: skip
    script = tmp_path / ("verify.py" if language == "python" else "verify.mjs")
    script.write_text(found[1] + use)
    command = [sys.executable if language == "python" else "node", str(script)]
    told = json.dumps([(secret, headers, each.decode()) for secret, headers, each in asked])
    done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().split() == ["true", "true", "false", "false", "false", "false"]
