"""Where requests go: every spelling of a resource's address, the deployment as model, dated versions."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from plugins.azure.tests.conftest import ROOT, azure_client, registry, sync_client

from callsheet import Client, ConfigurationError, MissingCredentials
from callsheet_azure.wire import KEY, AzureWire

HELLO = [{"role": "user", "content": "Hello"}]
ENDINGS = ["", "/", "//", "/openai", "/openai/", "/openai/v1", "/openai/v1/", "/OpenAI/V1"]
ROOTS = [
    ROOT,
    "https://res-1.services.ai.azure.com",
    "https://openai-res.openai.azure.com",
    "https://openai",
    "https://gateway.example:8443/openai-eu/team",
    "https://res-1.services.ai.azure.com/api/projects/p-1",
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("root", ROOTS)
def test_every_spelling_of_an_address_means_the_same(root: str, ending: str) -> None:
    plain = Client(provider="azure", api_key=KEY, base_url=root, registry=registry()).accounts.default()
    account = Client(provider="azure", api_key=KEY, base_url=root + ending, registry=registry()).accounts.default()
    assert account.settings.base_url == f"{root}/openai/v1"
    assert account.id == plain.id


def test_ids_are_good_for_all_spellings_and_for_no_other_resource(fake: AzureWire) -> None:
    made = sync_client(fake, base_url=ROOT).generate_video(model="film-1", prompt="A fox")
    for ending in ENDINGS:
        sync_client(fake, base_url=ROOT.upper().replace("HTTPS", "https") + ending).get_video(video_id=made.id)
    with pytest.raises(Exception, match="account that this client does not have"):
        sync_client(fake, base_url="https://res-2.openai.azure.com").get_video(video_id=made.id)


@pytest.mark.parametrize(
    "address",
    [
        f"{ROOT}/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
        f"{ROOT}/openai/deployments/gpt",
        f"{ROOT}/OpenAI/Deployments/gpt",
        f"{ROOT}/openai/v1/chat/completions",
        f"{ROOT}/openai/v1?api-version=preview",
        f"{ROOT}/#x",
    ],
)
def test_the_address_of_a_deployment_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base_url: .*resource's address .* not that of a deployment"):
        Client(provider="azure", api_key=KEY, base_url=address, registry=registry())


@pytest.mark.parametrize("address", ["res-1.openai.azure.com", "ftp://res-1", "https://[::1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url: "):
        Client(provider="azure", api_key=KEY, base_url=address, registry=registry())


def test_without_an_address_or_a_key_nothing_is_sent(fake: AzureWire) -> None:
    with pytest.raises(ConfigurationError, match="no base URL; set AZURE_API_BASE"):
        sync_client(fake, base_url=None).chat_completions(model="gpt", messages=HELLO)
    with pytest.raises(MissingCredentials, match="AZURE_API_KEY"):
        sync_client(fake, None).chat_completions(model="gpt", messages=HELLO)
    assert fake.seen == []


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "generate_video": ({"model": "film-1", "prompt": "A fox"}, "/videos"),
    "list_videos": ({}, "/videos"),
    "create_character": ({"name": "Mossy", "video": ("a.mp4", b"\0\0\0\x18ftypmp42")}, "/videos/characters"),
    "mint_realtime_secret": ({"model": "rt-1"}, "/realtime/client_secrets"),
    "relay_sdp": ({"sdp": OFFER, "model": "rt-1"}, "/realtime/calls"),
    "responses": ({"model": "gpt", "input": "Hi"}, "/responses"),
    "chat_completions": ({"model": "gpt", "messages": HELLO}, "/chat/completions"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_the_paths_are_those_of_v1(name: str, mode: Mode, fake: AzureWire) -> None:
    fields, path = CALLS[name]
    await getattr(azure_client(mode, fake), name)(**fields)
    [seen] = fake.seen
    assert (seen.path, seen.query) == (f"/openai/v1{path}", [])
    assert seen.headers["host"] == "res-1.openai.azure.com"
    assert all(entry.model == fields["model"] for entry in fake.book.entries if entry.kind != "character")


@pytest.mark.parametrize("version", ["2024-10-21", "2025-04-01-preview"])
async def test_a_dated_version_selects_the_legacy_paths(version: str, mode: Mode, fake: AzureWire) -> None:
    client = azure_client(mode, fake, api_version=version)
    assert (await client.chat_completions(model="gpt", messages=HELLO)).text == fake.reply
    async with await client.chat_completions(model="gpt", messages=HELLO, stream=True) as chunks:
        assert [chunk async for chunk in chunks]
    answer = await client.responses(model="gpt", input="Hi", background=True)
    async with await client.responses(model="gpt", input="Hi", stream=True) as events:
        assert [event async for event in events][-1].type == "response.completed"
    await client.get_response(response_id=answer.id, include=["web_search_call.results"])
    async with await client.get_response(response_id=answer.id, stream=True, starting_after=3) as events:
        assert [event async for event in events][-1].type == "response.completed"
    await client.list_input_items(response_id=answer.id, limit=2)
    await client.cancel_response(response_id=answer.id)
    await client.delete_response(response_id=answer.id)
    one = fake.seen[2].path + "/" + next(entry.id for entry in fake.book.entries if entry.kind == "response")
    assert [(seen.method, seen.path) for seen in fake.seen] == [
        ("POST", "/openai/deployments/gpt/chat/completions"),
        ("POST", "/openai/deployments/gpt/chat/completions"),
        ("POST", "/openai/responses"),
        ("POST", "/openai/responses"),
        ("GET", one),
        ("GET", one),
        ("GET", f"{one}/input_items"),
        ("POST", f"{one}/cancel"),
        ("DELETE", one),
    ]
    assert {dict(seen.query)["api-version"] for seen in fake.seen} == {version}
    assert dict(fake.seen[5].query) == {"api-version": version, "stream": "true", "starting_after": "3"}


def test_a_deployments_name_is_one_segment_of_a_legacy_path(fake: AzureWire) -> None:
    client = sync_client(fake, api_version="2024-10-21")
    with pytest.raises(Exception, match="deployment's name as model"):
        client.chat_completions(messages=HELLO)
    fake.deployments = {"gpt"}
    with pytest.raises(Exception, match="deployment for this resource does not exist"):
        client.chat_completions(model="../../x?y", messages=HELLO)
    assert [seen.path for seen in fake.seen] == ["/openai/deployments/..%2F..%2Fx%3Fy/chat/completions"]
    fake.problems.clear()  # the fake compares the name in the path as it stands there


@pytest.mark.parametrize("version", ["v1", "preview", None, ""])
def test_a_version_that_is_no_date_stays_at_v1(version: str | None, fake: AzureWire) -> None:
    client = sync_client(fake, api_version=version)
    client.chat_completions(model="gpt", messages=HELLO)
    client.get_response(response_id=client.responses(model="gpt", input="Hi").id)
    assert all(seen.path.startswith("/openai/v1/") for seen in fake.seen)
    assert {tuple(seen.query) for seen in fake.seen} == {(("api-version", "preview"),) if version == "preview" else ()}


@pytest.mark.parametrize(
    "version", ["2024", "24-10-21", "2024-10-21&x=1", "2024-10-21-beta", "v2", "latest", "٢٠٢٤-10-21"]
)
def test_junk_is_no_version(version: str) -> None:
    with pytest.raises(ConfigurationError, match="api_version: .*a date is wanted"):
        Client(provider="azure", api_key=KEY, base_url=ROOT, settings={"api_version": version}, registry=registry())


@pytest.mark.parametrize("version", ["2024-10-21", "preview"])
async def test_elsewhere_a_version_is_ignored_and_that_is_said_once(version: str, mode: Mode, fake: AzureWire) -> None:
    client = azure_client(mode, fake, api_version=version)
    with pytest.warns(UserWarning, match=f"api_version={version} is for chat and responses only: generate_video"):
        video = await client.generate_video(model="film-1", prompt="A fox")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.get_video(video_id=video.id)
        await client.list_videos()
        await client.mint_realtime_secret(model="rt-1")
        await client.relay_sdp(sdp=OFFER, model="rt-1")
    assert all(seen.path.startswith("/openai/v1/") and not seen.query for seen in fake.seen)


def test_everything_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, fake: AzureWire) -> None:
    monkeypatch.setenv("AZURE_API_KEY", KEY)
    monkeypatch.setenv("AZURE_API_BASE", f"{ROOT}/openai")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    with Client(registry=registry(), transport=fake.blocking_transport()) as client:
        client.chat_completions(model="azure/gpt", messages=HELLO)
    [seen] = fake.seen
    assert (seen.path, seen.headers["api-key"]) == ("/openai/deployments/gpt/chat/completions", KEY)


def test_a_bad_environment_names_the_setting() -> None:
    code = "import callsheet; callsheet.chat_completions(model='azure/gpt', messages=[])"
    env = {**os.environ, "AZURE_API_KEY": KEY, "AZURE_API_BASE": "res-1.openai.azure.com"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert "provider 'azure': base_url: " in done.stderr
    assert KEY not in done.stderr
