"""Everything that goes wrong on the usual ways of the web application is told as a problem too (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem


def speak_of_problems(app: FastAPI) -> None:
    """No such path, no such method, and what we did not expect."""

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        return _answer(error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return _answer(500, None)


def _answer(status: int, headers: Mapping[str, str] | None) -> Response:
    phrase = HTTPStatus(status).phrase
    problem = Problem(phrase.lower().replace(" ", "-"), status, f"{phrase}.", "GET /docs tells what there is.")
    return Response(orjson.dumps(problem.to_json()), status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)
