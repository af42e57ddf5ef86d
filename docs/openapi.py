"""Writes the OpenAPI document of intake to docs/openapi.json, from the code.

python docs/openapi.py          # write it
python docs/openapi.py --check  # exit 1 if it is not as the code has it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "openapi.json"


def document() -> str:
    """The document that intake gives out at /openapi.json, for people to read and to compare."""
    settings = IntakeSettings(communities_dir=ROOT / "communities")
    app = build_app(settings, KafkaSettings(), Lifeline())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    wanted = document()
    if "--check" in sys.argv:
        sys.exit(not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != wanted)
    DOCUMENT.write_text(wanted, encoding="utf-8")
