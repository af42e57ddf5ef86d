"""Headless Chromium for the tests: a page as a phone or a desk sees it.

Driven over the DevTools protocol, since a headless window cannot be made narrower than
about 500 px, while emulated device metrics give a viewport of any width.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_START_SECONDS_MAX = 60.0
_PAGE_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.05
_PHONE_WIDTH_BELOW = 600
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024

# Resolves when the page is there with its fonts, and has been painted.
_SETTLED = """
(async () => {
  if (document.readyState !== "complete") await new Promise(done => addEventListener("load", done));
  await document.fonts.ready;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
})()
"""


# Rule, place and reason, one line each.
_VIOLATIONS = """
(async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
  return found.violations.flatMap(rule => rule.nodes.map(
    node => `${rule.id} at ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
})()
"""


class BrowserError(Exception):
    """Chromium did not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of a page, and what was seen while it was taken."""

    png: Path
    title: str
    text: str
    """What a reader can read."""
    viewport_width: int
    """CSS pixels."""
    content_width: int
    """CSS pixels: more than `viewport_width` means that a reader must scroll sideways."""
    errors: tuple[str, ...]
    """Uncaught exceptions, failed requests, and what the page wrote to the console as an error."""
    measured: Any
    """What the expression to be measured came to."""
    violations: tuple[str, ...]
    """What keeps people out: what breaks WCAG 2.2 A and AA or good practice, as far as axe-core can tell."""


class Screenshot(Protocol):
    """What the `screenshot` fixture hands to a test: `Chromium.shot`."""

    def __call__(
        self,
        page: str | Path,
        width: int,
        height: int,
        png: Path,
        *,
        dark: bool = False,
        whole_page: bool = False,
        until: str | None = None,
        measure: str | None = None,
        audited: bool = False,
    ) -> Shot: ...


@cache
def _axe() -> str:
    """axe-core, as its package for Python has it."""
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def find_chromium() -> Path | None:
    found = (shutil.which(name) for name in _NAMES)
    return next((Path(path) for path in found if path), None)


class Chromium:
    """A headless Chromium with a fresh profile; a context manager."""

    def __init__(self, binary: Path) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [str(binary), *_FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "TMPDIR": self._profile.name,
                "LANGUAGE": "en_GB",
            },  # what it leaves lying about goes with the profile
        )
        self._resources = ExitStack()
        try:
            self._connection = self._resources.enter_context(connect(self._address(), max_size=_MESSAGE_BYTES_MAX))
        except BaseException:
            self.close()
            raise

    def shot(
        self,
        page: str | Path,
        width: int,
        height: int,
        png: Path,
        *,
        dark: bool = False,
        whole_page: bool = False,
        until: str | None = None,
        measure: str | None = None,
        audited: bool = False,
    ) -> Shot:
        """Opens an address or a local HTML file in a viewport of that size (CSS pixels) and takes its picture.

        `dark` asks for the dark colour scheme, `whole_page` takes in what lies below the
        fold, `until` is a JavaScript expression that must become true first, `measure` one
        whose value is wanted, and with `audited` axe looks for what keeps people out. Raises
        `BrowserError` when the page cannot be opened or does not get there in 30 s.
        """
        url = page.absolute().as_uri() if isinstance(page, Path) else page
        with _Tab(self._connection) as tab:
            tab.ask(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=width < _PHONE_WIDTH_BELOW,
            )
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            tab.ask("Emulation.setEmulatedMedia", features=[scheme])
            tab.open(url)
            tab.wait_until(until or "true")
            picture = tab.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole_page)
            png.write_bytes(base64.b64decode(picture["data"]))
            return Shot(
                png=png,
                title=tab.value("document.title"),
                text=tab.value("document.body.innerText"),
                viewport_width=tab.value("document.documentElement.clientWidth"),
                content_width=tab.value("document.documentElement.scrollWidth"),
                errors=tuple(tab.errors),
                measured=tab.value(measure) if measure else None,
                violations=tab.violations() if audited else (),
            )

    def close(self) -> None:
        self._resources.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _address(self) -> str:
        """Where the browser takes commands: it writes that into its profile when it is up."""
        written = Path(self._profile.name) / "DevToolsActivePort"
        deadline = time.monotonic() + _START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrowserError(f"Chromium ended with status {self._process.returncode}")
            lines = written.read_text().splitlines() if written.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(_POLL_SECONDS)
        raise BrowserError(f"Chromium was not up after {_START_SECONDS_MAX:.0f} s")


class _Tab:
    """A tab of its own cookies and storage, spoken to over the browser's connection."""

    _numbers = count(1)

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._session: str | None = None
        self.errors: list[str] = []

    def __enter__(self) -> _Tab:
        self._context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=self._context)
        self._session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        self.ask("Target.disposeBrowserContext", browserContextId=self._context)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result, noting the errors that are reported meanwhile."""
        number = next(self._numbers)
        command: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        self._connection.send(json.dumps(command))
        while True:
            try:
                message = json.loads(self._connection.recv(timeout=_PAGE_SECONDS_MAX))
            except TimeoutError:
                raise BrowserError(f"{method}: no answer within {_PAGE_SECONDS_MAX:.0f} s") from None
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def open(self, url: str) -> None:
        opened = self.ask("Page.navigate", url=url)
        if "errorText" in opened:
            raise BrowserError(f"{url}: {opened['errorText']}")
        self.value(_SETTLED)

    def wait_until(self, expression: str) -> None:
        deadline = time.monotonic() + _PAGE_SECONDS_MAX
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise BrowserError(f"not true within {_PAGE_SECONDS_MAX:.0f} s: {expression}")
            time.sleep(_POLL_SECONDS)

    def value(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {_exception(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def violations(self) -> tuple[str, ...]:
        self.value(f"{_axe()}; 0")
        return tuple(self.value(_VIOLATIONS))

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(_exception(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".rstrip())
            case "Runtime.consoleAPICalled" if params["type"] == "error":
                self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))


def _exception(details: dict[str, Any]) -> str:
    description = details.get("exception", {}).get("description")
    return str(description or details["text"])
