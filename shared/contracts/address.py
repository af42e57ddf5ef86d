"""Email addresses, checked by the email-validator library, and quickly for the plain ones.

The library takes some 80 microseconds for an address, most of them for the domain's
international form. Domains repeat, so each is judged once and remembered; a local part
of plain ASCII needs no judging. Everything else takes the whole way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_PLAIN_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,16}){0,1}")


def _checked(address: str) -> str:
    local, at, domain = address.rpartition("@")
    try:
        if at and _PLAIN_LOCAL_PART.fullmatch(local):
            return f"{local}@{_checked_domain(domain)}"
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError:
        # The library's message quotes the address: ours must not.
        raise PydanticCustomError(
            "email_address", "must be an email address of a domain that can receive mail, such as amara@example.org"
        ) from None


def is_plain_address(address: str) -> bool:
    """Whether it is surely an address, and would be kept just as it stands; most are."""
    local, _, domain = address.rpartition("@")
    return _PLAIN_LOCAL_PART.fullmatch(local) is not None and _is_plain_domain(domain)


@lru_cache(maxsize=16_384)
def _is_plain_domain(domain: str) -> bool:
    try:
        return _checked_domain(domain) == domain
    except EmailNotValidError:
        return False


@lru_cache(maxsize=16_384)
def _checked_domain(domain: str) -> str:
    return validate_email(f"a@{domain}", check_deliverability=False).domain


EmailAddress = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
"""An address that mail can be sent to, its domain in lower case."""
