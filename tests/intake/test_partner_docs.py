"""The examples for partners, each run as it stands against a server; and the Python client."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from endpoint import InMemory, event
from fastapi import FastAPI
from test_accept import EVENT

from connection_client import AsyncClient, Client, Refused, Unavailable, new_event
from services.intake.api import events_router
from services.intake.gazetteer import Gazetteer
from services.intake.vocabulary_api import vocabulary_router
from shared.community import load_communities
from shared.ids import member_id
from shared.signatures import verify

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "partners.md").read_text(encoding="utf-8")
MEMBER: Any = EVENT["data"]


@dataclass
class Served:
    url: str
    intake: InMemory


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The partner API on a port, without Kafka."""
    intake = InMemory(keys={"demo-app": "demo-key-of-demo-app"}, now_ms=int(time.time() * 1000))
    app = FastAPI()
    app.include_router(events_router(intake.app))
    london = load_communities(ROOT / "communities")["london"]
    app.include_router(vocabulary_router({"london": Gazetteer(london, [])}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Served(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", intake)
    server.should_exit = True
    thread.join()


def example(language: str, served: Served) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    told = next(text for text in found if "http://127.0.0.1:8001" in text)
    return str(told.replace("http://127.0.0.1:8001", served.url))


def output_of(command: list[str], text: str) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_in_curl(served: Served) -> None:
    said = output_of(["bash", "-s"], example("bash", served))
    assert " 202 " in said.splitlines()[0]
    assert member_id("london", "demo-app", "your-own-reference-18") in said


def test_the_example_in_python(served: Served) -> None:
    said = output_of([sys.executable, "-"], example("python", served))
    assert said.splitlines() == [
        "[['football'], ['second-hand bookshops'], ['jollof']]",
        f"member {member_id('london', 'demo-app', 'your-own-reference-19')}",
    ]


def test_the_example_in_javascript(served: Served) -> None:
    said = output_of(["node", "--input-type=module"], example("javascript", served))
    assert said.split() == ["202", member_id("london", "demo-app", "your-own-reference-19")]


# The client


class Both:
    """The two clients behind one face, so that each test is run with both."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def run(self, url: str, use: Callable[[Any], Any], handler: Any = None, **options: Any) -> Any:
        transport = {} if handler is None else {"transport": httpx.MockTransport(handler)}
        settings = {"key": "demo-key-of-demo-app", "source": "demo-app"} | options
        if self.kind == "sync":
            with Client(url, http=httpx.Client(**transport), **settings) as client:
                return use(client)

        async def ask() -> Any:
            async with AsyncClient(url, http=httpx.AsyncClient(**transport), **settings) as client:
                return await use(client)

        return asyncio.run(ask())


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


def test_every_kind_of_event_is_accepted(both: Both, served: Served) -> None:
    member = member_id("london", "demo-app", "m")
    for use in (
        lambda client: client.sign_up("m", MEMBER),
        lambda client: client.update("m", MEMBER),
        lambda client: client.pause("m", "london"),
        lambda client: client.block("m", "london", blocked="n"),
        lambda client: client.leave("m", "london"),
        lambda client: client.erase("m", "london"),
    ):
        result = both.run(served.url, use)
        assert (result.member, result.accepted) == (member, True)


def test_many_are_sent_in_batches_and_each_has_its_result(both: Both, served: Served) -> None:
    events = [new_event("demo-app", "signed_up", f"many-{number}", MEMBER) for number in range(501)]
    events[500]["specversion"] = "0.3"
    results = both.run(served.url, lambda client: client.send_many(events))
    assert [result.accepted for result in results] == [True] * 500 + [False]
    assert results[500].problem["errors"][0]["pointer"] == "/specversion"


def test_a_dry_run_and_the_words(both: Both, served: Served) -> None:
    before = len(served.intake.published)
    understood = both.run(served.url, lambda client: client.explain("m", MEMBER))["understood"]
    assert understood["place"]["name"] == "Notting Hill"
    assert len(served.intake.published) == before
    assert "football" in both.run(served.url, lambda client: client.vocabulary())["interests"]["Sport and movement"]


def test_who_said_no_is_told_apart_from_who_is_signed_up(both: Both, served: Served) -> None:
    no = MEMBER | {"consent": MEMBER["consent"] | {"introductions": False}}
    result = both.run(served.url, lambda client: client.sign_up("says no", no))
    assert (result.accepted, result.withdrawn) == (True, True)
    assert not both.run(served.url, lambda client: client.sign_up("says yes", MEMBER)).withdrawn


def test_what_is_wrong_is_told_by_field(both: Both, served: Served) -> None:
    with pytest.raises(Refused, match="/data/birth_year") as refused:
        both.run(served.url, lambda client: client.sign_up("m", MEMBER | {"birth_year": 2024}))
    assert refused.value.status == 422


def test_it_is_sent_again_with_the_same_id_until_it_is_accepted(both: Both) -> None:
    bodies: list[bytes] = []
    answers = [httpx.ConnectError("gone"), httpx.Response(503), httpx.Response(409, headers={"Retry-After": "0"})]

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        if not answers:
            return httpx.Response(202, json={"id": "1", "member": "m_1", "superseded": True})
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    result = both.run("http://intake", lambda client: client.sign_up("m", MEMBER), handler)
    assert (result.member, result.superseded) == ("m_1", True)
    assert len(bodies) == 4
    assert len(set(bodies)) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 422])
def test_what_cannot_be_used_is_not_sent_again(both: Both, status: int) -> None:
    asked = 0

    def handler(_request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(status, json={"title": "No."})

    with pytest.raises(Refused, match="No"):
        both.run("http://intake", lambda client: client.leave("m", "london"), handler)
    assert asked == 1


def test_it_waits_as_long_as_it_is_asked_to_and_gives_up_when_time_is_up(both: Both) -> None:
    answer = httpx.Response(429, headers={"Retry-After": "3600"})
    began = time.monotonic()
    with pytest.raises(Unavailable, match="429"):
        both.run("http://intake", lambda client: client.leave("m", "london"), lambda _: answer, try_for_seconds=30)
    assert time.monotonic() - began < 20


def test_it_signs_what_it_sends(both: Both) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"id": "1", "member": "m"})

    both.run("http://intake", lambda client: client.send_one(event("a")), handler, signing_secret=secret)
    headers = seen[0].headers
    verify(
        [secret],
        message_id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        signatures=headers["webhook-signature"],
        body=seen[0].content,
        now_seconds=time.time(),
    )


def test_an_address_that_is_not_intakes_is_told_so(both: Both) -> None:
    with pytest.raises(Refused, match="address of intake"):
        both.run(
            "http://intake", lambda client: client.leave("m", "london"), lambda _: httpx.Response(200, text="hello")
        )
