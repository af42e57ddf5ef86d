"""`connection intake` as a process that can be killed and started again, on the same port and with the same log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import ROOT, free_port


class IntakeProcess:
    """Runs from when it is made. `settings` are environment variables, besides those of this process."""

    def __init__(self, bootstrap_servers: str, log: Path, **settings: str) -> None:
        self.port = free_port()
        self._log = log
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "INTAKE_HTTP_PORT": str(self.port),
            "COMMUNITIES_DIR": str(ROOT / "communities"),
            **settings,
        }
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "connection", "intake"],
                cwd=ROOT,
                env=self._environment,
                stdout=said,
                stderr=said,
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
