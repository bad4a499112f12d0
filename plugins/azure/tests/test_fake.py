"""The fake in Azure's profile refuses what a resource would refuse; the other tests rely on it."""

from __future__ import annotations

import json

import pytest
from plugins.azure.tests.conftest import jwt

from callsheet.testing.answers import Data, Head
from callsheet_azure.wire import KEY, AzureWire

CHAT = {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]}
LEGACY = "/openai/deployments/gpt/chat/completions"


def ask(fake: AzureWire, target: str, **headers: str) -> tuple[int, dict[str, object]]:
    body = json.dumps(CHAT if "chat" in target else {"model": "gpt", "input": "Hi"}).encode()
    sent = {"host": "res-1.openai.azure.com", "content-type": "application/json", "content-length": str(len(body))}
    sent |= {name.replace("_", "-"): value for name, value in (headers or {"api_key": KEY}).items()}
    head, *rest = fake.offers("POST", target, list(sent.items()), body)
    assert isinstance(head, Head)
    return head.status, json.loads(b"".join(step.content for step in rest if isinstance(step, Data)))


@pytest.mark.parametrize(
    "target",
    [
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions?api-version=v1",
        "/openai/v1/responses?api-version=preview",
        "/openai/responses?api-version=2025-04-01-preview",
        f"{LEGACY}?api-version=2024-10-21",
    ],
)
def test_what_it_serves(target: str, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    for headers in ({"api_key": KEY}, {"authorization": f"Bearer {KEY}"}, {"authorization": f"Bearer {token}"}):
        status, document = ask(fake, target, **headers)
        assert (status, document["object"] in {"chat.completion", "response"}) == (200, True)
    assert fake.seen[-1].path == target.partition("?")[0]


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/chat/completions", {}, 404),
        ("/openai/chat/completions?api-version=2024-10-21", {}, 404),
        ("/openai/v1/deployments/gpt/chat/completions", {}, 404),
        ("/openai/v1/chat/completions?api-version=2024-10-21", {}, 400),
        (LEGACY, {}, 404),
        (f"{LEGACY}?api-version=preview", {}, 404),
        ("/openai/responses", {}, 404),
        ("/openai/v1/responses", {"x_api_key": KEY}, 401),
        ("/openai/v1/responses", {"api_key": KEY, "authorization": f"Bearer {KEY}"}, 401),
        ("/openai/v1/responses", {"authorization": f"Basic {KEY}"}, 401),
        ("/openai/v1/responses", {"api_key": "TOKEN"}, 401),
        ("/openai/v1/responses", {"api_key": "ek_0123456789"}, 401),
        ("/openai/v1/responses", {"api_key": KEY, "openai_organization": "org-1"}, 400),
    ],
)
def test_what_it_does_not(target: str, headers: dict[str, str], status: int) -> None:
    fake = AzureWire()
    token = fake.admit(jwt())
    assert ask(fake, target, **{n: v.replace("TOKEN", token) for n, v in headers.items()})[0] == status
    assert fake.problems
    assert not fake.book.entries


def test_it_notes_a_path_that_means_another_deployment() -> None:
    fake = AzureWire()
    assert ask(fake, "/openai/deployments/other/chat/completions?api-version=2024-10-21")[0] == 200
    assert "different deployments" in fake.problems[0].message


def test_a_wrong_key_is_no_problem(fake: AzureWire) -> None:
    status, document = ask(fake, "/openai/v1/responses", api_key="wrong")
    assert (status, document["error"]["code"]) == (401, "401")  # type: ignore[index]
