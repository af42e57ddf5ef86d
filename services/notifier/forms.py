"""Reads what a form sent, as long as it is short and comes soon: who sends without end holds up nobody."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import Request

from services.notifier.decisions import Fields
from shared.bodies import TooLarge, read_body

FORM_BYTES_MAX = 8_192
"""The longest of our forms sends some hundred."""
FORM_SECONDS_MAX = 10.0
"""How long the body of a form may take, from when we begin to read it."""
_FIELDS_MAX = 20


class FormError(ValueError):
    """A form that was not read to its end. `status` is what to answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(f"the form was not read: {status.phrase}")
        self.status = status


async def read_form(request: Request) -> Fields:
    """The fields. Anything else that is posted, such as a mail program's one-click, has none, and is not read.

    Raises `FormError`: 413 where it is longer than `FORM_BYTES_MAX`, 408 where it takes longer
    than `FORM_SECONDS_MAX`.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        async with asyncio.timeout(FORM_SECONDS_MAX):
            declared = request.headers.get("content-length", "").encode("latin-1")
            body = await read_body(request.receive, declared, FORM_BYTES_MAX)
    except TimeoutError:
        raise FormError(HTTPStatus.REQUEST_TIMEOUT) from None
    if isinstance(body, TooLarge):
        raise FormError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        parsed = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: tuple(values) for name, values in parsed.items()}
