"""Looks through what a whole test run leaves behind for what should never be there: addresses and names.

- every topic that holds nobody's personal data, of every embedded broker: the keys, values and headers
  in its raw segments, right before the broker ends;
- the logs of all services that ran as processes, and what services logged inside the tests.

An address is whatever looks like one. A name is one of those that the tests and the demo give
to people, but for those that are also places. What is found is told by its place and by no more
than a few letters around it, and fails the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from aiokafka.record import MemoryRecords

from demo.kafka import EmbeddedKafka
from demo.london import neighbourhoods, people
from demo.processes import Process
from shared.contracts import claim
from shared.topics import CLAIMS, TOPICS

HOLD_PEOPLE = frozenset({"signups", "contacts", "dead-letters"})
"""Topics that are for personal data, or for whatever was sent; no matcher reads them."""
_ADDRESS = re.compile(rb"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}")
_ALLOWED = re.compile(rb"@london-connection\.example$")
"""Of our own: the senders in the communities' files, and the domain of Message-IDs (`deliveries`)."""
_LOG_LINE = re.compile(r"module=|\"module\"|'module'")
_MEMBERS_OF_TESTS = ("Amara", "Chidi", "Dilys", "Ewan", "Farah", "Hana")
_OWN_WORDS = ("I still eat lunch alone", "Own words of")
_FINDINGS_MAX = 20
# A record batch (Kafka protocol, magic 2): base offset 8 bytes, length 4, ..., attributes 2 at byte 21.
_BATCH_HEAD_BYTES, _LENGTH_AT, _MAGIC_AT, _ATTRIBUTES_AT = 61, 8, 16, 21
_COMPRESSION = 0b111


def _names() -> re.Pattern[bytes]:
    """First names, as whole words. Names of places are not among them: they would be found in every profile."""
    places = {word for place in neighbourhoods() for word in place.name.split()}
    return _any_of({*_MEMBERS_OF_TESTS, *people().first_names} - places)


def _own_words() -> re.Pattern[bytes]:
    return _any_of({*_OWN_WORDS, *(words for theme in people().themes.values() for words in theme.words)})


def _any_of(words: set[str]) -> re.Pattern[bytes]:
    return re.compile(rb"(?<!\w)(?:" + b"|".join(re.escape(word.encode()) for word in sorted(words)) + rb")(?!\w)")


class Scanner:
    """Collects what was found, where, once each."""

    def __init__(self) -> None:
        self.findings: dict[str, None] = {}
        self.bytes_seen = 0
        self._names, self._own_words = _names(), _own_words()
        self._logs: dict[Path, int] = {}

    def look(self, data: bytes, where: str) -> None:
        """Look through some bytes."""
        self.bytes_seen += len(data)
        for what in self._in(data):
            if len(self.findings) < _FINDINGS_MAX:
                self.findings.setdefault(f"{where}: {what}")

    def broker(self, kafka: EmbeddedKafka) -> None:
        """All segments of all topics that must hold nobody's data."""
        for topic in sorted(TOPICS.keys() - HOLD_PEOPLE):
            for segment in sorted(kafka.data_dir.glob(f"log/{topic}-[0-9]*/*.log")):
                if not re.fullmatch(rf"{re.escape(topic)}-\d+", segment.parent.name):
                    continue
                data = segment.read_bytes()
                where = f"topic {topic}, segment {segment.parent.name}/{segment.name}"
                if any(kind for kind in _compressions(data)):
                    self.findings.setdefault(f"{where}: is compressed, and cannot be looked through; see new_producer")
                else:
                    self.look(b"\n".join(_texts(topic, data)), where)

    def log_of(self, process: Process) -> None:
        """What a process has logged since we last looked. The inbox is the members' own: theirs may say who wrote."""
        if process.name.startswith("inbox") or not process.log_file.exists():
            return
        with process.log_file.open("rb") as log:
            log.seek(self._logs.get(process.log_file, 0))
            data = log.read()
        self._logs[process.log_file] = self._logs.get(process.log_file, 0) + len(data)
        self.look(data, f"log of {process.name}")

    def captured(self, text: str, test: str) -> None:
        """What services logged inside a test: the lines of theirs, not what the test itself printed."""
        lines = [line for line in text.splitlines() if _LOG_LINE.search(line)]
        if lines:
            self.look("\n".join(lines).encode(), f"log within {test}")

    def _in(self, data: bytes) -> Iterator[str]:
        for found in _ADDRESS.finditer(data):
            if not _ALLOWED.search(found[0]):
                yield f"an address, {_hint(found[0])}"
        for found in self._names.finditer(data):
            yield f"a name, {_hint(found[0])}"
        for found in self._own_words.finditer(data):
            yield f"somebody's own words, {_hint(found[0])}"

    def watch(self, patch: Callable[[type, str, object], None]) -> None:
        """Look at every broker right before it ends, and at every process's log right after."""
        close, kill_process = EmbeddedKafka.close, Process.kill

        def close_and_look(kafka: EmbeddedKafka) -> None:
            try:
                self.broker(kafka)
            finally:
                close(kafka)

        def kill_and_look(process: Process) -> None:
            kill_process(process)  # `stop` ends in it, too
            self.log_of(process)

        patch(EmbeddedKafka, "close", close_and_look)
        patch(Process, "kill", kill_and_look)

    def verdict(self) -> str:
        """Empty, if nothing was found."""
        if not self.findings:
            return ""
        listed = "\n".join(f"  {finding}" for finding in self.findings)
        return f"Personal data where none may be ({len(self.findings)} findings):\n{listed}"


def _texts(topic: str, data: bytes) -> Iterator[bytes]:
    """What a segment holds of ours: keys, values, headers.

    Not what Kafka adds to them, and no claims: of random bytes some look like anything. Among 200 MB of them are 67
    addresses and 32 names, so that a run of some thousand events failed now and then for nothing.
    """
    whole = sum(12 + length for _, length in _batches(data))
    records = MemoryRecords(data[:whole])
    while records.has_next():
        for record in records.next_batch() or ():
            yield record.key or b""
            # A page of claims has no room for anything but hashes. What is no page is looked at.
            if topic != CLAIMS.name or claim.from_bytes(record.value or b"") is None:
                yield record.value or b""
            for name, value in record.headers:
                yield name.encode()
                yield value or b""
    yield data[whole:]  # Nothing, or the part of a batch: the broker was killed as it wrote.


def _compressions(data: bytes) -> Iterator[int]:
    """How each record batch of a segment is compressed; 0 is not at all."""
    for at, _ in _batches(data):
        yield int.from_bytes(data[at + _ATTRIBUTES_AT : at + _ATTRIBUTES_AT + 2], "big") & _COMPRESSION


def _batches(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each whole record batch of a segment begins, and its length field: 12 less than it takes."""
    at = 0
    while at + _BATCH_HEAD_BYTES <= len(data):
        length = int.from_bytes(data[at + _LENGTH_AT : at + _LENGTH_AT + 4], "big")
        if length <= 0 or data[at + _MAGIC_AT] != 2 or at + 12 + length > len(data):
            return  # the part of a segment that is not written yet
        yield at, length
        at += 12 + length


def _hint(found: bytes) -> str:
    """Enough to look for it, and not all of it."""
    text = found.decode(errors="replace")
    return f"{text[:3]}… ({len(text)} letters)"
