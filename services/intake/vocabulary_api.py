"""`GET /v1/vocabulary`: the words that are known, so that a partner's forms can offer them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson
from fastapi import APIRouter, Request, Response

from services.intake.documented import ref
from services.intake.gazetteer import Gazetteer
from services.intake.vocabulary import interests, life_topics
from shared.slots import SLOTS

_CACHED = "public, max-age=3600"


def vocabulary_router(gazetteers: Mapping[str, Gazetteer]) -> APIRouter:
    """Needs no key: there is nothing in it about anybody. Written once, as it does not change while we run."""
    body = orjson.dumps(
        {
            "interests": interests().groups,
            "life_topics": life_topics().groups,
            "slots": SLOTS,
            "places": {name: sorted({place.name for place in one.places}) for name, one in gazetteers.items()},
        }
    )
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": _CACHED}
    router = APIRouter(tags=["partners"])
    example = {
        "interests": {"Sport and movement": ["football"]},
        "life_topics": {"Family": ["new parent"]},
        "slots": ["tue-evening"],
        "places": {"london": ["Notting Hill"]},
    }

    @router.get(
        "/v1/vocabulary",
        summary="The words that are known",
        operation_id="readVocabulary",
        response_class=Response,
        responses={
            200: {"description": "Interests and life topics by group, codes of times, places by community.",
                  "content": {"application/json": {"schema": ref("Vocabulary"), "example": example}}},
            304: {"description": "As you have it: the ETag is the same."},
        },
        openapi_extra={
            "parameters": [
                {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
                 "description": "The ETag of what you have."}
            ]
        },
    )  # fmt: skip
    async def vocabulary(request: Request) -> Response:
        """Everything else may be sent too: interests and life topics are kept in people's own words."""
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return router
