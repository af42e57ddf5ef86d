"""CloudEvents 1.0 as they travel: structured, binary and batched over HTTP; structured and binary over Kafka.

Pure. What comes out is an event as JSON (left undecoded, since it is checked and
decoded in one go) or as a mapping; whether it is a good one, `services.intake.accept` says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from services.intake.problems import Problem, field_problem

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
_UTF_8 = ("utf-8", "utf8", "us-ascii")
_HTTP_PREFIX = b"ce-"
_KAFKA_PREFIXES = ("ce_", "ce-")
_BASE64_FIELD = b'"data_base64"'

Event = bytes | Mapping[str, Any]


class One(NamedTuple):
    """A request that holds one event."""

    event: Event


class Many(NamedTuple):
    """A request that holds a batch: a JSON array."""

    body: bytes


@lru_cache(maxsize=256)
def media_type_of(content_type: str) -> tuple[str, bool]:
    """The type without its parameters, in lower case, and whether its text is one that we read (UTF-8)."""
    media_type, _, parameters = content_type.partition(";")
    charsets = [
        value.strip().strip('"').lower()
        for name, _, value in (parameter.partition("=") for parameter in parameters.split(";"))
        if name.strip().lower() == "charset"
    ]
    return media_type.strip().lower(), all(charset in _UTF_8 for charset in charsets)


def media_problem(headers: Mapping[bytes, bytes]) -> Problem | None:
    """What is wrong with the content type, if anything is: known before the body is read."""
    media_type, is_utf_8 = media_type_of(headers.get(b"content-type", b"").decode("latin-1"))
    if not is_utf_8:
        return Problem("media-type", 415, "This character set is not understood.", "charset must be utf-8")
    if media_type in (STRUCTURED, BATCH) or (b"ce-specversion" in headers and _is_json(media_type)):
        return None
    detail = f"Content-Type must be {STRUCTURED} for one event, {BATCH} for many, or {JSON} with ce- headers"
    return Problem("media-type", 415, "This content type is not understood.", detail)


def from_http(headers: Mapping[bytes, bytes], body: bytes) -> One | Many | Problem:
    """What a request holds whose content type `media_problem` finds nothing wrong with."""
    content_type = headers[b"content-type"].decode("latin-1")
    media_type, _ = media_type_of(content_type)
    if media_type == STRUCTURED:
        event = structured(body)
        return event if isinstance(event, Problem) else One(event)
    if media_type == BATCH:
        return Many(body)
    try:
        attributes = {
            name[3:].decode("latin-1"): _header_text(value.decode("latin-1"))
            for name, value in headers.items()
            if name.startswith(_HTTP_PREFIX)
        }
    except UnicodeDecodeError:
        return Problem("bad-envelope", 422, "A header is not UTF-8.", "ce- headers must be percent-encoded UTF-8")
    binary = _with_data(attributes, content_type, body)
    return binary if isinstance(binary, Problem) else One(binary)


def from_kafka(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event | Problem:
    """What a message holds: structured unless its headers say otherwise, since that needs none."""
    attributes: dict[str, str] = {}
    content_type = ""
    for name, content in headers:
        lower = name.lower()
        if lower != "content-type" and not lower.startswith(_KAFKA_PREFIXES):
            continue
        try:
            text = (content or b"").decode()
        except UnicodeDecodeError:
            return Problem("bad-envelope", 422, "A header is not UTF-8.", f"header {lower[:40]} must be UTF-8")
        if content is None:
            return Problem("bad-envelope", 422, "A header is null.", f"header {lower[:40]} must have a value")
        if lower == "content-type":
            content_type = text
        else:
            attributes[lower[3:]] = text
    media_type, is_utf_8 = media_type_of(content_type)
    if not is_utf_8:
        return Problem("media-type", 415, "This character set is not understood.", "charset must be utf-8")
    if media_type == STRUCTURED or "specversion" not in attributes:
        return structured(value or b"")
    return _with_data(attributes, content_type or JSON, value or b"")


def structured(body: bytes) -> Event | Problem:
    """A structured event; one that carries its JSON in base64 is decoded."""
    if _BASE64_FIELD not in body:
        return body
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _not_json(error)
    unpacked_event: Event | Problem = unpacked(event)
    return unpacked_event


def unpacked(event: Any) -> Any:
    """An event whose data is in base64, with its data decoded; anything else as it is."""
    if not isinstance(event, dict) or "data_base64" not in event or "data" in event:
        return event
    encoded = event["data_base64"]
    try:
        data = orjson.loads(base64.b64decode(encoded, validate=True))
    except (TypeError, ValueError, binascii.Error):
        return field_problem("/data_base64", "must be the base64 of JSON; better send it as it is, in data")
    return {name: value for name, value in event.items() if name != "data_base64"} | {"data": data}


def events_of(body: bytes) -> Sequence[Any] | Problem:
    """The events of a batch, decoded; an entry that cannot be one is left for the desk to refuse."""
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _not_json(error)
    if not isinstance(events, list):
        return Problem("not-a-batch", 422, "A batch is a JSON array of events.", "write [ and ] around the events")
    return events


def _with_data(attributes: Mapping[str, str], content_type: str, body: bytes) -> dict[str, Any] | Problem:
    if not _is_json(media_type_of(content_type)[0]):
        return Problem("media-type", 415, "This content type is not understood.", f"data must be {JSON}")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _not_json(error)
    return {**attributes, "datacontenttype": content_type, "data": data}


def _is_json(media_type: str) -> bool:
    return media_type == JSON or media_type.endswith("+json")


def _not_json(error: orjson.JSONDecodeError) -> Problem:
    # What is wrong and where, without what is there.
    return Problem("not-json", 400, "The body is not valid JSON.", str(error))


def _header_text(value: str) -> str:
    """An attribute from an HTTP header: in quotes or not, percent-encoded where it is not plain ASCII."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return unquote(value, errors="strict") if "%" in value else value
