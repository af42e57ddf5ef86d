"""AsyncAPI for the topics: what a service receives and sends, from the same models that it works with.

The document is made by FastStream from a broker that is never started: the running
one takes raw records, and says nothing of what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import BaseModel

from shared.plain_page import plain_page, plain_page_answer
from shared.topics import TopicSpec

_TOPICS = """
<p>The same as a document that programs read: <a href="asyncapi.json">AsyncAPI 3.0</a>.
Values are JSON; a tombstone forgets its key.</p>
{% for title, topics in directions %}
<h2>{{ title }}</h2>
{% for topic, about, schema in topics %}
<details>
<summary><code>{{ topic.name }}</code></summary>
<p>{{ about }}</p>
<pre>{{ schema }}</pre>
</details>
{% endfor %}
{% endfor %}
"""


def asyncapi_router(
    service: str, *, receives: Mapping[TopicSpec, type[BaseModel]], sends: Mapping[TopicSpec, type[BaseModel]]
) -> APIRouter:
    """`/asyncapi.json`, the document (AsyncAPI 3.0), and `/asyncapi`, a page of the same without any script."""
    document = _specification(service, receives, sends).to_specification().to_jsonable()
    page = plain_page(
        f"Topics of {service}",
        _TOPICS,
        directions=[
            (title, [(topic, _description(topic), _pretty(model)) for topic, model in topics.items()])
            for title, topics in (("Receives", receives), ("Sends", sends))
        ],
    )
    router = APIRouter(tags=["topics"])

    @router.get("/asyncapi.json", summary="The topics, as an AsyncAPI document")
    async def asyncapi_document() -> JSONResponse:
        return JSONResponse(document)

    @router.get("/asyncapi", summary="The topics, as a page", response_class=HTMLResponse)
    async def asyncapi_page() -> HTMLResponse:
        return plain_page_answer(page)

    return router


def _pretty(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False)


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
