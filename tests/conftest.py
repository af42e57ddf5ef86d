"""What many tests need: a real Kafka, and a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Chromium, Screenshot, find_chromium
from hypothesis import settings

from demo.kafka import EmbeddedKafka

# A busy machine must not fail a test, so no example has a deadline. In CI the examples are the same
# every time: what a new one finds is found where somebody looks at it.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

_MARKER_OF_FIXTURE = {
    "kafka": "kafka",
    "fresh_kafka": "kafka",
    "chromium": "browser",
    "screenshot": "browser",
}


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
