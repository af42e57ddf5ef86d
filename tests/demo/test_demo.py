"""The demo as it is started: one command, real processes, one line of JSON at the end, nothing left running."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import Process, ProcessError, port_or_free

_DEMO_SECONDS_MAX = 550
_GONE_SECONDS_MAX = 20.0
_POLL_SECONDS = 0.05


async def _gone(pid: int) -> None:
    """Return when a process is no more."""
    async with asyncio.timeout(_GONE_SECONDS_MAX):
        while _runs(pid):  # another process's end sets no event of ours
            await asyncio.sleep(_POLL_SECONDS)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_the_whole_way_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "connection", "demo", "--members", "40", "--once", "--json", "--examples", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_DEMO_SECONDS_MAX, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert list(result) == [
        "signed_up", "suggested", "invited", "accepted", "introduced", "met", "met_again", "standing", "emails", "lost",
        "duplicated", "seconds",
    ]  # fmt: skip
    assert result["signed_up"] == 40
    assert result["suggested"] >= result["invited"] >= result["accepted"] >= result["introduced"] > 0
    assert result["introduced"] >= result["met"] >= result["met_again"] > 0
    assert result["introduced"] >= result["standing"] > 0
    assert (result["lost"], result["duplicated"]) == (0, 0)
    assert "happy to go first" in done.stderr or "no opener" in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_process_does_not_outlive_whoever_started_it(tmp_path: Path) -> None:
    parent = """
import sys
from pathlib import Path
from demo.processes import Process
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = Process("child", sleep, environment={}, folder=Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
sys.stdin.read()
"""
    started = subprocess.Popen(  # noqa: ASYNC220  # it does nothing but wait
        [sys.executable, "-c", parent, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    child = int(started.stdout.readline())
    assert _runs(child)
    started.kill()
    started.communicate()
    await _gone(child)


async def test_a_process_that_ends_says_what_it_said_last(tmp_path: Path) -> None:
    process = Process("brief", [sys.executable, "-c", "print('the reason')"], environment={}, folder=tmp_path)
    process.start()
    with pytest.raises(ProcessError, match="the reason"):
        await process.ready("http://127.0.0.1:1/readyz", within_seconds=_GONE_SECONDS_MAX)
    await process.stop()
    assert process.pid is None


async def test_a_process_can_be_stopped_killed_and_started_again(tmp_path: Path) -> None:
    process = Process("long", [sys.executable, "-c", "import time; time.sleep(600)"], environment={}, folder=tmp_path)
    process.start()
    first = process.pid
    assert first is not None
    process.start()
    assert process.pid == first
    process.kill()
    await _gone(first)
    process.start()
    assert process.pid not in (None, first)
    process.send(signal.SIGSTOP)
    process.send(signal.SIGCONT)
    await process.stop()
    assert process.pid is None


def test_a_port_that_is_taken_is_not_given() -> None:
    taken: set[int] = set()
    first = port_or_free(23_456, taken=taken)
    assert port_or_free(first, taken=taken) != first
