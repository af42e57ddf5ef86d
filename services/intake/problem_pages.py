"""`GET /problems/KIND`: what the `type` of a problem leads to, a page that explains it and says how to mend it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from services.intake.documented import problem_answer
from services.intake.explanations import EXPLANATIONS
from services.intake.problems import PROBLEM_PATH
from shared.plain_page import plain_page, plain_page_answer

_CACHED = "public, max-age=3600"
_PROBLEMS = """
{% for kind, one in problems %}
<h2 id="{{ kind }}"><a href="{{ path }}/{{ kind }}">{{ kind }}</a> ({{ one.status }})</h2>
<p><strong>{{ one.title }}</strong> {{ one.meaning | in_code }}</p>
<p>What to do: {{ one.mend | in_code }}</p>
{% endfor %}
"""


def problems_router() -> APIRouter:
    """A page for each kind, and one with all of them. They need no key, and do not change while we run."""
    every = plain_page("Problems", _PROBLEMS, problems=EXPLANATIONS.items(), path=PROBLEM_PATH)
    pages = {
        kind: plain_page(f"Problem: {kind}", _PROBLEMS, problems=[(kind, one)], path=PROBLEM_PATH)
        for kind, one in EXPLANATIONS.items()
    }
    router = APIRouter(tags=["partners"])

    @router.get(PROBLEM_PATH, summary="All kinds of problems", operation_id="listProblems", response_class=HTMLResponse)
    async def problems() -> HTMLResponse:
        """What each means, and how to mend it."""
        return plain_page_answer(every, cache_control=_CACHED)

    @router.get(
        f"{PROBLEM_PATH}/{{kind}}",
        summary="One kind of problem",
        operation_id="explainProblem",
        response_class=HTMLResponse,
        responses={404: problem_answer("not-found")},
        openapi_extra={
            "parameters": [
                {"name": "kind", "in": "path", "required": True, "schema": {"type": "string", "enum": [*EXPLANATIONS]}}
            ]
        },
    )
    async def problem(request: Request) -> HTMLResponse:
        """What it means, and how to mend it."""
        # From the path as it is: a parameter that FastAPI checks would bring a 422 of its own into the document.
        kind = request.path_params["kind"]
        if kind not in pages:
            raise HTTPException(404)
        return plain_page_answer(pages[kind], cache_control=_CACHED)

    return router
