"""Kafka's jars: fetched once from Maven Central, checked, and kept in the user's cache folder.

`jgo` works out what Kafka needs and downloads it, in pure Python. Every jar is then
compared with `kafka-jars.sha256`, which is part of this project: what runs is what was
tried, and a download that broke off is noticed. The folder takes its final name only
when it is whole, so a folder that is there can be used without looking any closer.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

KAFKA_VERSION = "4.3.0"
_COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka's own package brings a logging interface and nothing behind it: without this
    # one the broker would be silent, also about why it does not start.
    "org.slf4j:slf4j-simple:1.7.36",
)
_CHECKSUMS = Path(__file__).with_name("kafka-jars.sha256")
_DOWNLOAD_BYTES_ABOUT = 46_100_000
_ATTEMPTS_MAX = 3
_HTTP_TIMEOUT_SECONDS = 60


class JarsUnavailableError(Exception):
    """Kafka's jars could not be had. The message says why and what to do."""


def kafka_jars(*, cache: Path | None = None, console: Console | None = None) -> list[Path]:
    """The jars of a Kafka broker, sorted by name, downloaded where they are missing.

    About 45 MB and 15 s the first time, nothing afterwards. Processes that ask at the
    same time wait for one download. Progress goes to `console` (standard error unless
    given). Raises `JarsUnavailableError`.
    """
    folder = (cache or cache_folder()) / f"kafka-{KAFKA_VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():  # else another process was quicker
                _fetch(folder, console or Console(stderr=True))
    return sorted(folder.glob("*.jar"))


def cache_folder() -> Path:
    """Where downloads are kept: `london-connection` in `XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "london-connection"


def _fetch(folder: Path, console: Console) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    reasons: list[str] = []
    for _ in range(_ATTEMPTS_MAX):
        shutil.rmtree(partial, ignore_errors=True)  # what an earlier, broken attempt left
        jars = partial / "jars"
        jars.mkdir(parents=True)
        try:
            for jar in _download(partial / "repository", console):
                os.replace(jar, jars / jar.name)
            _verify(jars)
        except (OSError, RuntimeError, JarsUnavailableError) as error:
            # requests' errors are OSErrors, jgo's are RuntimeErrors
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        jars.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        return
    raise JarsUnavailableError(
        f"Kafka {KAFKA_VERSION} could not be downloaded in {_ATTEMPTS_MAX} attempts. "
        "Is Maven Central reachable from here, through HTTPS_PROXY if need be?\n" + "\n".join(reasons)
    )


def _download(repository: Path, console: Console) -> list[Path]:
    """Lets jgo download everything to `repository`; the jars that a class path needs."""
    # Imported late: jgo takes a fifth of a second, which a start from the cache need not pay.
    from jgo.maven import MavenContext, PythonResolver

    logging.getLogger("jgo").setLevel(logging.ERROR)
    with _progress(console) as report:
        resolver = PythonResolver(progress_callback=report)
        context = MavenContext(repo_cache=repository, resolver=resolver, timeout=_HTTP_TIMEOUT_SECONDS)
        wanted = [context.create_dependency(coordinate) for coordinate in _COORDINATES]
        inputs, transitive = resolver.resolve(wanted)
        needed = [*inputs, *(dependency for dependency in transitive if dependency.scope in ("compile", "runtime"))]
        return [dependency.artifact.resolve() for dependency in needed]


_Report = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def _progress(console: Console) -> Iterator[_Report]:
    """A bar over the whole download, in the form in which jgo reports it: file by file."""
    columns = (
        TextColumn("[bold]Apache Kafka {task.fields[version]}[/] from Maven Central, once"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=_DOWNLOAD_BYTES_ABOUT, version=KAFKA_VERSION)

        @contextmanager
        def report(filename: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
            progress.update(task, description=filename)
            yield lambda size_bytes: progress.update(task, advance=size_bytes)

        yield report
        progress.update(task, description="done", total=progress.tasks[0].completed)


def _verify(jars: Path) -> None:
    listed = (line.split() for line in _CHECKSUMS.read_text().splitlines())
    expected = {name: digest for digest, name in listed}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise JarsUnavailableError(f"not as listed in {_CHECKSUMS.name}: {', '.join(wrong)}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
