"""These tests use what intake's and the notifier's tests have."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("intake", "notifier"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
