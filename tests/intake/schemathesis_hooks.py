"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): what no JSON Schema can say, and checks of our own.

A valid request must be answered 2xx. So what the document allows is filled in with what only
we can know: that the source is the one that the key belongs to, that the community, the place and
the times are ones that there are, that somebody is an adult, that an id is a new one, and that data
in binary mode comes with the headers of its event. What is wrong on purpose stays as it is.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

SOURCE = "book-app"
JSON = "application/json"
TIMES = ("tue-evening", "weekends", "any evening except Friday", "Saturday mornings")
PLACES = ({"name": "Hackney"}, {"name": "near Peckham, SE15"}, {"latitude": 51.5, "longitude": -0.1})
NUMBERS = count()


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or case.method != "POST":
        return
    number = next(NUMBERS)
    if case.headers is not None and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"key-{number}"
    if isinstance(case.body, list):
        for place, event in enumerate(case.body):
            fill_event(event, f"{number}-{place}")
    elif isinstance(case.body, dict) and "specversion" in case.body:
        fill_event(case.body, str(number))
    elif isinstance(case.body, dict):
        fill_data(case.body, number)
        case.headers = {
            **{name: value for name, value in (case.headers or {}).items() if not name.lower().startswith("ce-")},
            "ce-specversion": "1.0",
            "ce-id": f"id-{number}",
            "ce-source": SOURCE,
            "ce-type": f"connection.member.{type_of(case.body)}",
            "ce-subject": f"member-{number}",
        }


def fill_event(event: Any, name: str) -> None:
    """A new id and member: else it would be the same event with other content, or one about who was erased."""
    if isinstance(event, dict):
        event |= {"source": SOURCE, "id": f"{event['id'][:100]} {name}", "subject": f"{event['subject'][:100]} {name}"}
        fill_data(event["data"], len(name) + len(event["id"]))


def fill_data(data: dict[str, Any], number: int) -> None:
    data["community"] = "london"
    if "email" in data:
        # An address of a domain that can receive mail, an adult this year, and a word that is one.
        data |= {"email": f"member-{number}@example.org", "birth_year": min(data["birth_year"], 1990)}
        data["place"] = dict(PLACES[number % len(PLACES)])
        data["interests"] = [*data["interests"][:29], "chess"]
        data["available"] = [TIMES[place % len(TIMES)] for place, _ in enumerate(data.get("available") or [])]


def type_of(data: dict[str, Any]) -> str:
    """Of which event the data is."""
    for field, name in (("email", "signed_up"), ("blocked", "blocked"), ("until", "paused")):
        if field in data:
            return name
    return "left"


@schemathesis.check
def the_batch_names_what_is_wrong(context: Any, response: Response, case: Case) -> None:
    """In a batch each event has a result: accepted, or a problem with a status of its own."""
    if response.status_code == 207:
        results = response.json()["results"]
        assert len(results) == len(case.body)
        assert any(result["status"] >= 400 for result in results)
        for result in results:
            assert ("problem" in result) == (result["status"] >= 400)
            assert result["status"] < 500


@schemathesis.check
def a_problem_says_what_would_be_right(context: Any, response: Response, case: Case) -> None:
    """Whatever is refused is a problem (RFC 9457) of the status that it says, with something to go on."""
    if response.status_code >= 400:
        problem = response.json()
        assert response.headers["content-type"] == ["application/problem+json"]
        assert problem["status"] == response.status_code
        assert problem["title"]
        assert all(error["detail"] for error in problem.get("errors", []))


@schemathesis.check
def what_is_valid_is_accepted(context: Any, response: Response, case: Case) -> None:
    """Not even a batch is answered with a single refusal."""
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE and case.method == "POST":
        assert response.status_code != 207, response.text
