"""Blocks, pauses, reports and reviews concern the matcher and the notifier: their tests' samples serve here too."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("matcher", "notifier", "intake"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
