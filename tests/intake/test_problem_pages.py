"""The `type` of every problem that intake may answer leads to a page that explains it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoint import InMemory, event
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.intake.explanations import EXPLANATIONS
from services.intake.problem_answers import failed, speak_of_problems
from services.intake.problem_pages import problems_router
from shared.security_headers import SecurityHeaders

INTAKE = Path(__file__).parents[2] / "services" / "intake"


def kinds_in_the_code() -> Iterator[tuple[str, int]]:
    """Of every `Problem("kind", status, ...)`: of those without a constant there is one, tested below."""
    for file in INTAKE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                kind, status = node.args[:2]
                if isinstance(kind, ast.Constant) and isinstance(status, ast.Constant):
                    yield str(kind.value), int(str(status.value))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI()
    speak_of_problems(app)
    app.add_middleware(SecurityHeaders, failed=failed())
    app.include_router(problems_router())

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_every_kind_is_explained_with_its_status() -> None:
    found = set(kinds_in_the_code())
    assert len(found) >= 20
    of_the_framework = {("not-found", 404), ("method-not-allowed", 405), ("internal-server-error", 500)}
    assert found | of_the_framework == {(kind, one.status) for kind, one in EXPLANATIONS.items()}


@pytest.mark.parametrize("kind", EXPLANATIONS)
def test_each_has_a_page_that_says_what_to_do(client: TestClient, kind: str) -> None:
    page = client.get(f"/problems/{kind}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "What to do:" in page.text
    assert f'id="{kind}"' in page.text
    assert f'id="{kind}"' in client.get("/problems").text


def test_what_an_answer_calls_its_type_leads_there(client: TestClient) -> None:
    intake = InMemory()
    wrong = event("a")
    wrong["data"]["email"] = "nowhere"
    for answer in (
        intake.post(wrong),
        intake.post(b"{"),
        intake.post(event("a"), key=None),
        intake.post(event("a", source="chess-app")),
        client.post("/problems"),
        client.get("/fails"),
        client.get("/problems/of-another-kind"),
    ):
        told = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        page = client.get(told["type"])
        assert page.status_code == 200
        assert f"({told['status']})" in page.text
