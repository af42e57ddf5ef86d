"""Kafka's jars are used only when they are whole and the ones that were tried."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from demo import kafka_jars

CONTENTS = {"broker-1.jar": b"the broker", "logs-2.jar": b"its logs"}


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small jars as the list of checksums; the cache folder for them."""
    checksums = tmp_path / "listed.sha256"
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in CONTENTS.items())
    checksums.write_text("".join(lines))
    monkeypatch.setattr(kafka_jars, "_CHECKSUMS", checksums)
    return tmp_path / "cache"


class Maven:
    """Stands in for the network: each download brings the next of the given contents."""

    def __init__(self, *downloads: dict[str, bytes] | Exception) -> None:
        self.downloads = list(downloads)

    def __call__(self, repository: Path, console: Console) -> list[Path]:
        download = self.downloads.pop(0)
        if isinstance(download, Exception):
            raise download
        repository.mkdir(parents=True)
        for name, content in download.items():
            (repository / name).write_bytes(content)
        return sorted(repository.iterdir())


def test_they_are_fetched_once(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_jars, "_download", Maven(CONTENTS))
    first = kafka_jars.kafka_jars(cache=listed)
    assert [jar.name for jar in first] == ["broker-1.jar", "logs-2.jar"]
    assert kafka_jars.kafka_jars(cache=listed) == first


def test_a_broken_download_is_tried_again(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off = {**CONTENTS, "broker-1.jar": b"the bro"}
    monkeypatch.setattr(kafka_jars, "_download", Maven(ConnectionError("reset"), cut_off, CONTENTS))
    assert [jar.read_bytes() for jar in kafka_jars.kafka_jars(cache=listed)] == [b"the broker", b"its logs"]


@pytest.mark.parametrize(
    "wrong",
    [
        {**CONTENTS, "broker-1.jar": b"another broker"},
        {**CONTENTS, "extra-3.jar": b""},
        {"broker-1.jar": b"the broker"},
    ],
    ids=["altered", "one more", "one less"],
)
def test_what_is_not_as_listed_is_never_used(
    listed: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, bytes]
) -> None:
    monkeypatch.setattr(kafka_jars, "_download", Maven(wrong, wrong, wrong))
    with pytest.raises(kafka_jars.JarsUnavailableError, match="not as listed"):
        kafka_jars.kafka_jars(cache=listed)
    monkeypatch.setattr(kafka_jars, "_download", Maven(CONTENTS))
    assert len(kafka_jars.kafka_jars(cache=listed)) == 2


def test_who_comes_second_uses_what_the_first_fetched(
    listed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both see no folder, both want the lock; only one downloads."""

    def download(repository: Path, console: Console) -> list[Path]:
        with (tmp_path / "downloads").open("a") as downloads:
            downloads.write("x")
        both_are_here.wait(30)
        return Maven(CONTENTS)(repository, console)

    def fetch() -> None:
        kafka_jars.kafka_jars(cache=listed)

    def fetch_second() -> None:
        both_are_here.wait(30)  # the first is in the middle of its download
        fetch()

    fork = multiprocessing.get_context("fork")
    both_are_here = fork.Barrier(2)
    monkeypatch.setattr(kafka_jars, "_download", download)
    processes = [fork.Process(target=target) for target in (fetch, fetch_second)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "downloads").read_text() == "x"
    shutil.rmtree(listed)
