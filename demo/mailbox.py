"""What the local inbox holds: messages in memory, in the form in which Mailpit's REST API tells of them.

Messages are kept as they came and parsed when somebody looks: taking one in costs a
few microseconds, so that the inbox is never what a benchmark of the sender measures.
The JSON has the field names of Mailpit (https://mailpit.axllent.org/docs/api-v1/).
"""

from __future__ import annotations

import email
import email.policy
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from functools import lru_cache
from typing import Any

_MESSAGE_ID = re.compile(rb"^message-id:\s*<?([^>\r\n\s]+)", re.IGNORECASE | re.MULTILINE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_SPACE = re.compile(r"\s+")
_SNIPPET_CHARS = 250
_SUMMARIES_KEPT_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the inbox keeps; beyond it, the oldest messages go, and `Mailbox.dropped` counts them."""

    messages_max: int = 100_000
    bytes_max: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as it arrived."""

    number: int
    """From 1, in the order of arrival."""
    message_id: str
    """The Message-ID header without its angle brackets; empty if there was none."""
    recipients: tuple[str, ...]
    """The envelope's."""
    raw: bytes
    received_at_ms: int

    @property
    def id(self) -> str:
        """The inbox's own name for it: two copies of one email have two."""
        return f"{self.number:08d}"


class Mailbox:
    """Messages by arrival, with an index by Message-ID.

    Memory is bounded by `Bounds`. `add` and `copies` are O(1), listing is O(limit),
    a search is O(1) for a whole Message-ID and O(messages) for everything else.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._messages: dict[str, Stored] = {}  # in order of arrival
        self._by_message_id: defaultdict[str, list[str]] = defaultdict(list)
        self._bytes = 0
        self._last = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, raw: bytes, recipients: Sequence[str], received_at_ms: int) -> Stored:
        """Keep a message. A second copy of one is a second message: duplicates must be seen, not hidden."""
        self._last += 1
        stored = Stored(self._last, _message_id(raw), tuple(recipients), raw, received_at_ms)
        self._messages[stored.id] = stored
        self._by_message_id[stored.message_id].append(stored.id)
        self._bytes += len(raw)
        while len(self._messages) > self._bounds.messages_max or self._bytes > self._bounds.bytes_max:
            self._drop_oldest()
        return stored

    def get(self, id_: str) -> Stored | None:
        """A message by the inbox's id, or the newest one by "latest"."""
        if id_ == "latest":
            return next(reversed(self._messages.values()), None)
        return self._messages.get(id_)

    def page(self, start: int, limit: int) -> list[Stored]:
        """`limit` messages from the `start`th newest on, newest first."""
        found = []
        for place, stored in enumerate(reversed(self._messages.values())):
            if place >= start + limit:
                break
            if place >= start:
                found.append(stored)
        return found

    def search(self, query: str) -> list[Stored]:
        """What matches every term of a query, newest first.

        Terms: `message-id:`, `to:` and `subject:` with a text that the field contains,
        quoted if it holds spaces; anything else is looked for in the whole message. As
        with Mailpit, angle brackets do not matter and neither does case.
        """
        wanted = [_term(word) for word in _words(query)]
        exact = next((text for field, text in wanted if field == "message-id" and text in self._by_message_id), None)
        pool = (
            [self._messages[id_] for id_ in self._by_message_id[exact]]
            if exact is not None
            else list(self._messages.values())
        )
        return [stored for stored in reversed(pool) if all(_matches(stored, field, text) for field, text in wanted)]

    def _drop_oldest(self) -> None:
        oldest = self._messages.pop(next(iter(self._messages)))
        copies = self._by_message_id[oldest.message_id]
        copies.remove(oldest.id)
        if not copies:
            del self._by_message_id[oldest.message_id]
        self._bytes -= len(oldest.raw)
        self.dropped += 1


@lru_cache(maxsize=_SUMMARIES_KEPT_MAX)
def summary(stored: Stored) -> dict[str, Any]:
    """A message in a list: Mailpit's `MessageSummary`. Kept for the next time; not to be changed."""
    message = email.message_from_bytes(stored.raw)
    return _addressed(stored, message) | {
        "Read": False,
        "Created": _rfc3339(stored.received_at_ms),
        "Attachments": 0,
        "Snippet": _SPACE.sub(" ", body(message, "plain")).strip()[:_SNIPPET_CHARS],
    }


def detail(stored: Stored) -> dict[str, Any]:
    """A message with its text and HTML: Mailpit's `Message`."""
    message = email.message_from_bytes(stored.raw)
    return _addressed(stored, message) | {
        "ReturnPath": "",
        "ListUnsubscribe": {
            "Header": _header(message, "List-Unsubscribe"),
            "Links": re.findall(r"<(https?:[^>]+)>", _header(message, "List-Unsubscribe")),
            "Errors": "",
            "HeaderPost": _header(message, "List-Unsubscribe-Post"),
        },
        "Date": _rfc3339(stored.received_at_ms),
        "Text": body(message, "plain"),
        "HTML": body(message, "html"),
        "Inline": [],
        "Attachments": [],
    }


def html_of(stored: Stored) -> str:
    """The HTML part, or an empty text where there is none."""
    return body(email.message_from_bytes(stored.raw), "html")


def body(message: Message, subtype: str) -> str:
    """The first text part of a subtype ("plain", "html"), decoded; empty if there is none."""
    for part in message.walk():
        if part.get_content_type() == f"text/{subtype}":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                return payload.decode(part.get_content_charset() or "utf-8", errors="replace")
    return ""


def _addressed(stored: Stored, message: Message) -> dict[str, Any]:
    sender = _addresses(message, "From")
    return {
        "ID": stored.id,
        "MessageID": stored.message_id,
        "From": sender[0] if sender else None,
        "To": _addresses(message, "To") or [{"Name": "", "Address": address} for address in stored.recipients],
        "Cc": _addresses(message, "Cc"),
        "Bcc": [],
        "ReplyTo": _addresses(message, "Reply-To"),
        "Subject": _header(message, "Subject"),
        "Tags": [],
        "Username": "",
        "Size": len(stored.raw),
    }


def _message_id(raw: bytes) -> str:
    end = _END_OF_HEADERS.search(raw)
    found = _MESSAGE_ID.search(raw, 0, end.start() if end else len(raw))
    return found.group(1).decode("utf-8", errors="replace") if found else ""


def _header(message: Message, name: str) -> str:
    return str(make_header(decode_header(message.get(name, "").replace("\r\n", "").replace("\n", ""))))


def _addresses(message: Message, name: str) -> list[dict[str, str]]:
    return [{"Name": shown, "Address": address} for shown, address in getaddresses([_header(message, name)]) if address]


def _words(query: str) -> list[str]:
    try:
        return shlex.split(query)
    except ValueError:  # an unpaired quote
        return query.replace('"', " ").split()


def _term(word: str) -> tuple[str, str]:
    field, colon, text = word.partition(":")
    if colon and field.lower() in ("message-id", "to", "subject"):
        return field.lower(), text.strip("<> ")
    return "", word


def _matches(stored: Stored, field: str, text: str) -> bool:
    if field == "message-id":
        return text.casefold() in stored.message_id.casefold()
    if field == "to":
        return any(text.casefold() in address.casefold() for address in stored.recipients)
    message = email.message_from_bytes(stored.raw)
    if field == "subject":
        return text.casefold() in _header(message, "Subject").casefold()
    return text.casefold() in f"{_header(message, 'Subject')} {body(message, 'plain')}".casefold()


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
