"""The demo's processes: each with a log of its own, and none that outlives the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

_HOST = "127.0.0.1"
_STOP_SECONDS_MAX = 10.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 15
# Below the range from which systems take the ports of outgoing connections.
_PORTS = range(20_000, 32_000)

# Blocks on a pipe that only the demo holds open: when the demo is gone, however it went,
# the pipe ends and so does the process.
_WATCHDOG = 'read -r _; kill -9 "$1"'


class ProcessError(RuntimeError):
    """A process ended or did not become ready. The message holds the end of its log."""


class Process:
    """A child process in a session of its own: Ctrl-C reaches the demo alone, which then stops things in order."""

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; none while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it. Does nothing while it runs."""
        if self.pid is not None:
            return
        self._reap()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, "watchdog", str(self._process.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    async def ready(self, url: str, *, within_seconds: float) -> None:
        """Return once `url` answers 200.

        Raises
        ------
        ProcessError
            if the process ends before, or does not answer in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds), httpx.AsyncClient() as client:
                while True:
                    self.check()
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get(url)).status_code == 200:
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        raise ProcessError(f"{self.name} was not ready within {within_seconds:.0f} s.{self._tail()}")

    def check(self) -> None:
        """Raise `ProcessError` if it has ended by itself."""
        status = self._process.poll() if self._process else None
        if status is not None:
            raise ProcessError(f"{self.name} ended with status {status}.{self._tail()}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """End it: SIGTERM first, SIGKILL when it takes too long. Does nothing if it does not run."""
        self.send(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, _STOP_SECONDS_MAX)
        self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.send(signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        # The watchdog goes first, while the pid that it would kill is still this process's.
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            if self._watchdog.stdin:
                self._watchdog.stdin.close()
        if self._process is not None:
            self._process.wait()
        self._process = self._watchdog = None

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            return "\n".join([f" The end of {self.log_file}:", *lines])
        return ""


def port_or_free(wanted: int, *, taken: set[int]) -> int:
    """`wanted` if nothing listens there, else a free port; the result is added to `taken`."""
    for port in (wanted, *random.SystemRandom().sample(_PORTS, 200)):
        if port not in taken and not _listens(port):
            taken.add(port)
            return port
    raise ProcessError("no free port was found")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return True
    return False
