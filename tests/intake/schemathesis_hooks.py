"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): events that get past the door, and checks of our own."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

SOURCE = "book-app"


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """What the schema allows is made to be from the partner whose key is sent, and of a community that there is.

    Otherwise nearly everything would be answered 403. What is wrong on purpose stays as it is.
    """
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    for event in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(event, dict):
            data = event.get("data") if "specversion" in event else event
            if "source" in event:
                event["source"] = SOURCE
            if isinstance(data, dict) and "community" in data:
                data["community"] = "london"
                if "place" in data:
                    data |= {"place": {"name": "Hackney"}, "birth_year": 1990}
                    data["consent"]["introductions"] = True
    if case.headers is not None and "ce-source" in case.headers:
        case.headers["ce-source"] = SOURCE


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
