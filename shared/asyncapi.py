"""AsyncAPI for the topics: what a service receives and sends, from the same models that it works with.

The document is made by FastStream from a broker that is never started: the running
one takes raw records, and says nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from faststream.specification.asyncapi import get_asyncapi_html
from pydantic import BaseModel

from shared.topics import TopicSpec


def asyncapi_router(
    service: str, *, receives: Mapping[TopicSpec, type[BaseModel]], sends: Mapping[TopicSpec, type[BaseModel]]
) -> APIRouter:
    """`/asyncapi.json`, the document (AsyncAPI 3.0), and `/asyncapi`, a page that shows it."""
    specification = _specification(service, receives, sends)
    document = specification.to_specification().to_jsonable()
    page = get_asyncapi_html(specification.to_specification(), try_it_out_path=None)
    router = APIRouter(tags=["topics"])

    @router.get("/asyncapi.json", summary="The topics, as an AsyncAPI document")
    async def asyncapi_document() -> JSONResponse:
        return JSONResponse(document)

    @router.get("/asyncapi", summary="The topics, as a page", response_class=HTMLResponse)
    async def asyncapi_page() -> HTMLResponse:
        return HTMLResponse(page)

    return router


def _specification(
    service: str, receives: Mapping[TopicSpec, type[BaseModel]], sends: Mapping[TopicSpec, type[BaseModel]]
) -> AsyncAPI:
    broker = KafkaBroker("kafka:9092")
    for topic, model in receives.items():
        handler = _takes(model)
        broker.subscriber(topic.name, title=topic.name, description=_description(topic))(handler)
    for topic, model in sends.items():
        broker.publisher(topic.name, schema=model, title=f"{topic.name}:out", description=_description(topic))
    return AsyncAPI(
        broker,
        title=f"London Connection: {service}",
        version="1",
        description=f"What {service} receives and sends. Values are JSON; a tombstone forgets its key.",
        schema_version="3.0.0",
    )


def _takes(model: type[BaseModel]) -> Any:
    async def handler(message: Any) -> None: ...

    handler.__annotations__["message"] = model
    return handler


def _description(topic: TopicSpec) -> str:
    return f"Key: {topic.key}. Value: {topic.value}. Written by {topic.writer}; clean-up policy {topic.cleanup}."
