"""The clock, where time enters: the pure cores take `now_ms` as an argument and never look."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives the present time in milliseconds since the epoch, UTC."""


def system_clock() -> int:
    """The machine's own time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
