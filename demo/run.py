"""The demo: everything on this machine, for real, and a London of made-up people to use it.

`run` starts Kafka, the inbox and the services, signs people up over HTTP, lets them
answer their emails, and shows it on a page. With `once` it ends when nothing is left to
happen, and says whether everybody was treated as they should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from connection.importing import ImportFailedError, import_file, print_report
from connection.mapping import Mapping, MappingError, load_mapping
from demo.audit import Auditor, Summary
from demo.console import build_console
from demo.kafka import EmbeddedKafka, KafkaStartError
from demo.kafka_jars import JarsUnavailableError, kafka_jars
from demo.london import SOURCE, synthesize
from demo.play import Play
from demo.processes import ProcessError, port_or_free
from demo.showing import print_examples, print_summary, showing
from demo.signing_up import PartnerApp, SignUpError
from demo.stack import Pace, Stack
from demo.web import HOST, web_serving

TIME_LIMIT_SECONDS = 600.0
TIME_LIMIT_SECONDS_PER_MEMBER = 0.3
"""A run with `once` that takes longer than both together is ended: something hangs."""

ANSWER_WITHIN_SECONDS = 20
ANSWER_WITHIN_SECONDS_ONCE = 10
CHECK_IN_WITHIN_SECONDS = 5
MEMBERS_PER_ANSWER_SECOND = 30
"""Emails to many people take a while: an invitation stands a second longer for each so many members."""

_REQUEST_SECONDS_MAX = 30.0
_SURVEY_MAPPING = Path(__file__).parents[1] / "connection" / "mappings" / "young-people-survey.yaml"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What can be chosen."""

    members: int = 300
    rate_per_second: float = 10.0
    """Sign-ups a second while somebody watches; 0 is as fast as it goes, as with `once`."""
    seed: int = 7
    once: bool = False
    json: bool = False
    """The summary as one JSON object in the last line of standard output; everything else goes to stderr."""
    console_port: int = 8000
    import_file: Path | None = None
    """Sign up the people of this file instead of the synthetic London."""
    mapping_file: Path | None = None
    examples: int = 0
    """Print so many introductions with their reasons at the end."""


class TimeLimitError(RuntimeError):
    """A run with `once` did not come to an end."""


def run(options: DemoOptions) -> int:
    """Play the demo; the exit status.

    0: with `once`, nobody was lost, nothing happened twice and somebody was introduced;
    without, it was ended by Ctrl-C or SIGTERM. 1: something went wrong, and stderr says what.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        mapping = _mapping(options)
        kafka_jars(console=console)  # the one thing that may take minutes, the first time: before anything else
        with (
            tempfile.TemporaryDirectory(prefix="london-connection-", ignore_cleanup_errors=True) as folder,
            contextlib.closing(EmbeddedKafka(console=console)) as kafka,
        ):
            return asyncio.run(_Demo(options, mapping, console, Path(folder), kafka).play())
    except KeyboardInterrupt:
        console.print("Ended.")
        return 130 if options.once else 0
    except (
        ImportFailedError, JarsUnavailableError, KafkaStartError, MappingError, ProcessError, SignUpError,
        TimeLimitError,
    ) as error:  # fmt: skip
        console.print(f"demo: {error}", style="red", markup=False)
        return 1


class _Demo:
    def __init__(
        self, options: DemoOptions, mapping: Mapping | None, console: Console, folder: Path, kafka: EmbeddedKafka
    ) -> None:
        self._options = options
        self._mapping = mapping
        self._console = console
        self._folder = folder
        self._kafka = kafka

    async def play(self) -> int:
        began = time.monotonic()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            async with self._staged() as play:
                async with play.playing(self._sign_ups) as trouble, showing(play, self._console):
                    await self._until_the_end(play, trouble)
                return self._judge(play.auditor, time.monotonic() - began, play)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    @contextlib.asynccontextmanager
    async def _staged(self) -> AsyncIterator[Play]:
        """The page is up at once, then Kafka, the inbox and the services."""
        options = self._options
        partners = {SOURCE} | ({self._mapping.source} if self._mapping else set())
        stack = Stack(self._folder, self._kafka.bootstrap_servers, partners=partners, pace=_pace(options))
        async with (
            httpx.AsyncClient(base_url=stack.inbox_url, timeout=_REQUEST_SECONDS_MAX) as inbox,
            httpx.AsyncClient(timeout=_REQUEST_SECONDS_MAX) as browser,
        ):
            play = Play(stack, inbox, browser, seed=options.seed)
            port = port_or_free(options.console_port, taken=set())
            async with web_serving(build_console(play.feed, inbox), port):
                if port != options.console_port:
                    self._console.print(f"Port {options.console_port} is in use, so the page is elsewhere.")
                self._console.print(f"Watch it live: [bold]http://{HOST}:{port}[/]  (logs: {self._folder})")
                try:
                    self._say(play, "Starting Kafka")
                    await asyncio.to_thread(self._kafka.start)
                    self._say(play, "Starting the services")
                    async with stack:
                        yield play
                finally:
                    play.feed.close()

    def _say(self, play: Play, phase: str) -> None:
        play.say(phase)
        self._console.print(f"{phase} ...")

    async def _sign_ups(self, play: Play) -> None:
        options = self._options
        if options.import_file is not None and self._mapping is not None:
            await self._import(play, options.import_file, self._mapping)
            return
        async with httpx.AsyncClient(base_url=play.stack.intake_url, timeout=_REQUEST_SECONDS_MAX) as client:
            app = PartnerApp(client, play.stack.key_of[SOURCE], on_accepted=play.accepted, on_refused=play.refused)
            events = synthesize(options.members, options.seed)
            await app.sign_up(events, per_second=0 if options.once else options.rate_per_second)

    async def _import(self, play: Play, file: Path, mapping: Mapping) -> None:
        loop, ended = asyncio.get_running_loop(), threading.Event()

        def accepted(member: str) -> None:
            loop.call_soon_threadsafe(play.accepted, member)

        def sleep(seconds: float) -> None:
            if ended.wait(seconds):
                raise asyncio.CancelledError  # the demo is over: no more tries

        try:
            report = await asyncio.to_thread(
                import_file,
                file,
                mapping,
                url=play.stack.intake_url,
                api_key=play.stack.key_of[mapping.source],
                seed=self._options.seed,
                on_accepted=accepted,
                sleep=sleep,
            )
        finally:
            ended.set()
        for rejected in report.rejections:
            play.refused(f"{rejected.field}: {rejected.reason}")
        print_report(report, self._console)

    async def _until_the_end(self, play: Play, trouble: asyncio.Future[None]) -> None:
        if not self._options.once:
            await trouble
            return
        over = asyncio.ensure_future(play.over())
        limit = TIME_LIMIT_SECONDS + TIME_LIMIT_SECONDS_PER_MEMBER * _people(self._options)
        try:
            done, _ = await asyncio.wait({over, trouble}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for finished in done:
                await finished
            if not done:
                raise TimeLimitError(
                    f"not over after {limit:.0f} s: {play.auditor.unsettled()}, "
                    f"{play.members.thinking} members still about to answer; logs in {self._folder} until now"
                )
        finally:
            over.cancel()

    def _judge(self, auditor: Auditor, seconds: float, play: Play) -> int:
        summary = auditor.summary()
        for violation in auditor.violations()[:20]:
            self._console.print(f"violation: {violation}", style="red", markup=False)
        if play.members.gave_up:
            self._console.print(f"{play.members.gave_up} clicks were taken by no page", style="red")
        print_summary(summary, auditor, play, seconds, self._console)
        print_examples(auditor, self._options.examples, self._console)
        if self._options.json:
            print(json.dumps({**summary.as_dict(), "seconds": round(seconds, 1)}), flush=True)
        return 0 if _went_well(summary) else 1


def _went_well(summary: Summary) -> bool:
    return summary.lost == 0 and summary.duplicated == 0 and summary.introduced > 0


def _mapping(options: DemoOptions) -> Mapping | None:
    if options.import_file is None:
        return None
    if not options.import_file.is_file():
        raise MappingError(f"there is no file {options.import_file}")
    if options.mapping_file is None:
        raise MappingError(f"--import needs --mapping; for the Young People Survey, {_SURVEY_MAPPING}")
    return load_mapping(options.mapping_file)


def _pace(options: DemoOptions) -> Pace:
    within = ANSWER_WITHIN_SECONDS_ONCE if options.once else ANSWER_WITHIN_SECONDS
    more = _people(options) // MEMBERS_PER_ANSWER_SECOND
    return Pace(answer_within_seconds=within + more, check_in_within_seconds=CHECK_IN_WITHIN_SECONDS + more)


def _people(options: DemoOptions) -> int:
    """How many there are going to be, about."""
    if options.import_file is None:
        return options.members
    with options.import_file.open("rb") as lines:
        return sum(1 for _ in lines)


if __name__ == "__main__":
    sys.exit(run(DemoOptions(once=True, json=True)))
