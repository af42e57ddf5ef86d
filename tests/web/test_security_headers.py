"""What a browser is told with every answer, and that the engineers' pages work under it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from browser import Screenshot
from fastapi import FastAPI
from pydantic import SecretStr

from services.intake.app import build_app as build_intake
from services.intake.settings import IntakeSettings
from services.matcher.app import build_app as build_matcher
from services.matcher.settings import MatcherSettings
from services.notifier.app import build_app as build_notifier
from services.notifier.settings import NotifierSettings
from shared.lifeline import Lifeline
from shared.security_headers import SecurityHeaders
from shared.settings import KafkaSettings

EXPECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=600; includeSubDomains",
}


def apps() -> dict[str, FastAPI]:
    """All services, without Kafka: nothing is started."""
    hsts = {"HSTS_SECONDS": 600}
    return {
        "intake": build_intake(
            IntakeSettings(api_keys={"book-app": SecretStr("sesame")}, **hsts), KafkaSettings(), Lifeline()
        ),
        "matcher": build_matcher(MatcherSettings(**hsts), KafkaSettings(), Lifeline()),
        "notifier": build_notifier(
            NotifierSettings(link_secret=SecretStr("a secret of the tests, of many letters"), **hsts),
            KafkaSettings(),
            Lifeline(),
        ),
    }


@pytest.mark.parametrize("service", ["intake", "matcher", "notifier"])
async def test_every_answer_has_them(service: str) -> None:
    app = apps()[service]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.example") as client:
        for path in ("/livez", "/readyz", "/asyncapi", "/asyncapi.json", "/no-such-page", "/i/forged"):
            answer = await client.get(path)
            assert EXPECTED.items() <= dict(answer.headers).items(), path
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'"), path
            assert "frame-ancestors 'none'" in policy, path
            assert "script-src" not in policy, path
            assert answer.headers.get_list("content-security-policy") == [policy], "one policy, not two"
        docs = await client.get("/docs")
        assert (docs.status_code == 200) == (service == "intake"), "only partners have an API to look at"
        assert "://" not in docs.text.replace("http://www.w3.org", ""), "nothing is loaded from anybody else"


async def test_what_an_answer_says_itself_is_left_as_it_is() -> None:
    app = FastAPI()
    app.add_middleware(SecurityHeaders)
    app.add_api_route("/own", lambda: httpx.codes.OK, methods=["GET"])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.example") as client:
        answer = await client.get("/own")
    assert "strict-transport-security" not in answer.headers, "unless it is set"
    assert answer.headers["cache-control"] == "no-store"


class Private(Exception):
    """What went wrong, with something in it that is nobody's business."""


@pytest.mark.parametrize(
    ("service", "media_type", "says"),
    [
        ("intake", "application/problem+json", '"status":500'),
        ("matcher", "text/plain; charset=utf-8", "try again in a minute"),
        ("notifier", "text/html; charset=utf-8", "Doing it twice does no harm"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_nobody_expected_has_them_too(service: str, media_type: str, says: str, method: str) -> None:
    app = apps()[service]

    async def fails() -> None:
        raise Private("amara@example.org")

    app.add_api_route("/fails", fails, methods=["GET", "POST"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as client:
        answer = await client.request(method, "/fails")
        assert EXPECTED.items() <= dict(answer.headers).items()
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert (answer.status_code, answer.headers["content-type"]) == (500, media_type)
        assert says in answer.text
        assert "amara" not in answer.text
        assert "Traceback" not in answer.text
        again = await client.request(method, "/fails")
        assert (again.status_code, again.content) == (500, answer.content)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.example") as client:
        with pytest.raises(Private):  # The server is to know, and to log it.
            await client.request(method, "/fails")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("path", ["/docs", "/asyncapi"])
def test_the_engineers_pages_work_without_anybody_else(screenshot: Screenshot, tmp_path: Path, path: str) -> None:
    known = "/v1/events" if path == "/docs" else "profiles"
    with served(apps()["intake"]) as address:
        there = f"document.body.innerText.includes({known!r})"
        page = screenshot(f"{address}{path}", 1280, 900, tmp_path / "page.png", until=there)
    assert page.errors == ()
