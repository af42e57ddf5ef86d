"""What operators ask every service: is it alive, is it ready, how does it do.

`/livez`   the process answers: restart it if not.
`/readyz`  it does its work: send it work only then. 503 with a reason otherwise.
`/metrics` Prometheus text.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def health_router(
    registry: CollectorRegistry, not_ready_because: Callable[[], str | None], refresh: Callable[[], None] = lambda: None
) -> APIRouter:
    """The three routes. `not_ready_because` gives `None` when ready; `refresh` sets gauges before a scrape."""
    router = APIRouter(tags=["operators"])

    @router.get("/livez", summary="Is the process alive?", response_class=PlainTextResponse)
    async def livez() -> str:
        return "alive\n"

    @router.get("/readyz", summary="Is it ready to work?", responses={503: {"description": "Not yet, and why"}})
    async def readyz() -> JSONResponse:
        reason = not_ready_because()
        if reason is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "reason": reason}, status_code=503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
