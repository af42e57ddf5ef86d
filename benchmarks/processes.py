"""Starts the programs that are measured, as processes of their own, and tells what processor time they take."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_READY_SECONDS_MAX = 300.0
_POLL_SECONDS = 0.01
_STOP_SECONDS_MAX = 20.0
_LOG_TAIL_LINES = 15


class ProcessFailed(RuntimeError):
    """A program did not come up, or ended badly. Holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that is ready."""

    pid: int
    port: int
    log: Path
    started_at_ms: int
    """When it was started, milliseconds since the epoch."""
    ready_at_ms: int
    """When `/readyz` first answered 200; asked every 10 ms."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log_entries(self, event: str) -> list[dict[str, Any]]:
        """What it has logged under a name, in order."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == event:
                    found.append(entry)
        return found


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    arguments: Sequence[str], *, port: int, environment: Mapping[str, str], ready_path: str = "/readyz"
) -> Iterator[Running]:
    """Run `python ARGUMENTS` until the block ends, from when it is ready. Raises `ProcessFailed`."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as said:
            started_at_ms = time.time_ns() // 1_000_000
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            _wait_until_ready(process, f"http://127.0.0.1:{port}{ready_path}", log)
            yield Running(process.pid, port, log, started_at_ms, time.time_ns() // 1_000_000)
            if process.poll() is not None:
                raise ProcessFailed(f"{arguments} ended with status {process.returncode}.{_tail(log)}")
        finally:
            _end(process)


@contextmanager
def service(name: str, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run `connection NAME` on a free port, the program that operators run."""
    port = free_port()
    settings = {
        "LOG_LEVEL": "INFO",
        "NOTIFIER_KEEPS_QUIET_HOURS": "false",
        "COMMUNITIES_DIR": str(ROOT / "communities"),
        f"{name.upper()}_HTTP_PORT": str(port),
        **environment,
    }
    with running(["-m", "connection", name], port=port, environment=settings) as process:
        yield process


def answer_of(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run `python ARGUMENTS` to its end; its last line is a JSON object. Raises `ProcessFailed`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProcessFailed(f"{arguments} ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has taken so far, all its threads; `None` where /proc is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_quickly(main: Any) -> Any:
    """Run a coroutine on uvloop, as the services do, where it is there."""
    with suppress(ImportError):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    return asyncio.run(main)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while True:
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            if answer.status == 200:
                return
        if process.poll() is not None:
            raise ProcessFailed(f"{process.args!r} ended with status {process.returncode}.{_tail(log)}")
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{process.args!r} was not ready in {_READY_SECONDS_MAX:.0f} s.{_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n" + "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
