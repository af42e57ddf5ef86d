"""What many tests need: a real Kafka, and a real browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from browser import Chromium, Screenshot, find_chromium
from hypothesis import settings
from scanner import Scanner

from demo.kafka import EmbeddedKafka

# A busy machine must not fail a test, so no example has a deadline. In CI the examples are the same
# every time: what a new one finds is found where somebody looks at it.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Services that run inside a test log where those that run as processes do. Left to itself structlog
# writes to whatever is standard output just then: a command's, if a test runs one meanwhile.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))

_MARKER_OF_FIXTURE = {
    "kafka": "kafka",
    "fresh_kafka": "kafka",
    "chromium": "browser",
    "screenshot": "browser",
}


SCANNER = Scanner()
SCANNER.watch(setattr)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What services logged inside a test is looked through once it is over."""
    if report.when == "teardown":
        SCANNER.captured("\n".join(text for _, text in report.sections), report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Whatever the tests say: a run that left an address or a name where none may be has failed.

    It is told as an error of a test, so that it stands wherever failures do: in the very last line, too.
    """
    if SCANNER.findings:
        failed = pytest.TestReport(
            nodeid="tests/scanner.py",
            location=("tests/scanner.py", None, "addresses and names"),
            keywords={},
            outcome="failed",
            longrepr=SCANNER.verdict(),
            when="teardown",
        )
        session.config.hook.pytest_runtest_logreport(report=failed)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SCANNER.bytes_seen and not SCANNER.findings:
        terminalreporter.write_line(f"no address and no name in {SCANNER.bytes_seen:,} bytes of topics and logs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses these fixtures, so that `-m "not kafka"` is always true to its word."""
    for item in items:
        for fixture, marker in _MARKER_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """One broker for the whole run: topics that another test made may be there, with messages in them."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture(scope="module")
def fresh_kafka() -> Iterator[EmbeddedKafka]:
    """A broker for one test module: for tests that need the topics to themselves."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's binary. The one thing that may be missing: such tests are then skipped."""
    binary = find_chromium()
    if binary is None:
        pytest.skip("no Chromium here (Debian, Ubuntu: apt install chromium): pages are not looked at")
    return binary


@pytest.fixture(scope="session")
def screenshot(chromium: Path) -> Iterator[Screenshot]:
    """Takes the picture of an address or a local HTML file: see `browser.Chromium.shot`."""
    with Chromium(chromium) as browser:
        yield browser.shot
