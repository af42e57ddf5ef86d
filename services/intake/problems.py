"""What is wrong with an event, said so that a partner's engineer can mend it: RFC 9457 problems.

A problem points at the field and says what would be right. It never echoes the value:
that may be personal data, and problems end up in logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_PATH = "/problems"
"""Under it, each kind of problem is explained: see `services.intake.explanations`."""
_FIELDS_NAMED_MAX = 20
_IN_PLAIN_WORDS = {
    "bool_type": "must be true or false, as JSON writes them: without quotes, and neither 1 nor 0",
    "int_from_float": "must be a whole number: nothing behind the decimal point",
    "float_type": "must be a number, as JSON writes it: without quotes",
    "finite_number": "must be a number, as JSON writes it: neither NaN nor infinite",
}
"""Instead of what pydantic says, by its name for the error."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: where it is (RFC 6901 pointer) and what would be right."""

    pointer: str
    detail: str
    choices: tuple[str, ...] = ()
    """What may have been meant, as it can be sent instead."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not accepted. `kind` is one of a few known words, and a metric label."""

    kind: str
    status: int
    title: str
    detail: str = ""
    errors: tuple[FieldError, ...] = ()

    @property
    def type(self) -> str:
        """The URI reference that RFC 9457 asks for: relative to intake's address, where it leads to a page."""
        return f"{PROBLEM_PATH}/{self.kind}"

    def to_json(self) -> dict[str, Any]:
        """The problem as RFC 9457 has it."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [
                {"pointer": error.pointer, "detail": error.detail}
                | ({"choices": list(error.choices)} if error.choices else {})
                for error in self.errors
            ]
        return body

    def summary(self) -> str:
        """One line for dead letters and logs: the kind, the fields and what would be right."""
        fields = "; ".join(f"{error.pointer}: {error.detail}" for error in self.errors)
        return f"{self.kind}: {fields or self.detail or self.title}"


def field_problem(pointer: str, detail: str) -> Problem:
    """One field is well-formed, and still cannot be right."""
    return invalid_fields(FieldError(pointer, detail))


def invalid_fields(*errors: FieldError) -> Problem:
    """Fields that are well-formed, and still cannot be right."""
    return Problem("invalid-event", 422, "The event has a field that cannot be used.", errors=errors)


def validation_problem(error: ValidationError) -> Problem:
    """What pydantic found, without the input, with its tags of unions left out of the pointers."""
    found = error.errors(include_input=False, include_url=False)
    fields = tuple(FieldError(_pointer(item["loc"]), _without_input(item)) for item in found[:_FIELDS_NAMED_MAX])
    if any(item["type"] == "json_invalid" for item in found):
        return Problem("not-json", 400, "The body is not valid JSON.", fields[0].detail)
    return Problem("invalid-event", 422, "The event does not have the form that it must have.", errors=fields)


def _pointer(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if not str(part).startswith("connection.member.")]
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts) if parts else ""


def _without_input(item: Any) -> str:
    if item["type"] == "value_error":
        # email-validator's messages quote parts of the address.
        return "must be an email address such as amara@example.org" if item["loc"][-1] == "email" else "is not valid"
    if item["type"] == "union_tag_invalid":
        return f"type must be one of {item['ctx']['expected_tags']}"
    if item["type"] == "union_tag_not_found":
        return "type is missing"
    message: str = item["msg"]
    return _IN_PLAIN_WORDS.get(item["type"], message)
