"""`GET /problems/KIND`: what the `type` of a problem leads to, a page that explains it and says how to mend it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from services.intake.documented import problem_answer
from services.intake.explanations import EXPLANATIONS
from services.intake.problems import PROBLEM_PATH

_CACHED = {"Cache-Control": "public, max-age=3600"}
_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for kind, one in problems %}
<h2 id="{{ kind }}"><a href="{{ path }}/{{ kind }}">{{ kind }}</a> ({{ one.status }})</h2>
<p><strong>{{ one.title }}</strong> {{ one.meaning }}</p>
<p>What to do: {{ one.mend }}</p>
{% endfor %}
</main>
</body>
</html>
""")


def problems_router() -> APIRouter:
    """A page for each kind, and one with all of them. They need no key, and do not change while we run."""
    every = _PAGE.render(title="Problems", problems=EXPLANATIONS.items(), path=PROBLEM_PATH)
    pages = {
        kind: _PAGE.render(title=f"Problem: {kind}", problems=[(kind, one)], path=PROBLEM_PATH)
        for kind, one in EXPLANATIONS.items()
    }
    router = APIRouter(tags=["partners"])

    @router.get(PROBLEM_PATH, summary="All kinds of problems", operation_id="listProblems", response_class=HTMLResponse)
    async def problems() -> HTMLResponse:
        """What each means, and how to mend it."""
        return HTMLResponse(every, headers=_CACHED)

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
        return HTMLResponse(pages[kind], headers=_CACHED)

    return router
