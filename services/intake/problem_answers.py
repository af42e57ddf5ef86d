"""Everything that goes wrong on the usual ways of the web application is told as a problem too (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem

FAILED = Problem("internal-server-error", 500, "Internal Server Error.", "That was us, not you. Send the same again.")


def speak_of_problems(app: FastAPI) -> None:
    """No such path and no such method."""

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        return _answer(error.status_code, error.headers)


def failed() -> Response:
    """For what we did not expect: an answer that can be given again and again, and tells nothing of it."""
    return Response(orjson.dumps(FAILED.to_json()), FAILED.status, media_type=PROBLEM_MEDIA_TYPE)


def _answer(status: int, headers: Mapping[str, str] | None) -> Response:
    phrase = HTTPStatus(status).phrase
    problem = Problem(phrase.lower().replace(" ", "-"), status, f"{phrase}.", "GET /docs tells what there is.")
    return Response(orjson.dumps(problem.to_json()), status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)
