"""The same resource by other ways: the command line, LiteLLM's functions, and OpenAI's own SDK as a second opinion."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from plugins.azure.tests.conftest import jwt, registry

from callsheet import Client
from callsheet.testing import Seen
from callsheet_azure import AzureSettings
from callsheet_azure.wire import BLOCKED, KEY, AzureWire

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def root(fake: AzureWire) -> Iterator[str]:
    """The fake behind a real server, as a resource's root."""
    with fake.serve() as url:
        yield url.removesuffix("/openai/v1")


def run(command: list[str], root: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "AZURE_API_KEY": KEY, "AZURE_API_BASE": root, "PYTHONWARNINGS": "", **env}
    done = subprocess.run(command, env=known, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert KEY not in done.stdout + done.stderr
    return done


def callsheet(root: str, cwd: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run([str(Path(sys.executable).parent / "callsheet"), *words], root, cwd, **env)


@pytest.mark.parametrize("version", ["", "2024-10-21"])
def test_the_command_line_talks(version: str, root: str, fake: AzureWire, tmp_path: Path) -> None:
    fake.asynchronous = True
    done = callsheet(root, tmp_path, "chat", "Capital?", "--model", "azure/gpt", "--quiet", AZURE_API_VERSION=version)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, fake.reply, "")
    [seen] = fake.seen
    assert seen.document["stream"] is True
    assert seen.path.startswith("/openai/deployments/gpt/" if version else "/openai/v1/")


def test_the_command_line_tells_what_is_wrong(root: str, tmp_path: Path) -> None:
    for words, env, said in (
        (BLOCKED, {}, "filtered due to the prompt"),
        ("Hi", {"AZURE_API_KEY": ""}, "AZURE_API_KEY"),
    ):
        done = callsheet(root, tmp_path, "chat", words, "--model", "azure/gpt", **env)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_litellms_functions(root: str, fake: AzureWire, tmp_path: Path) -> None:
    script = f"""
        import asyncio
        from callsheet.compat.litellm import acompletion, completion, responses, video_generation
        hello = [{{"role": "user", "content": "Hello"}}]
        said = completion(model="azure/gpt", messages=hello).choices[0].message.content
        own = completion(model="azure/gpt", messages=hello, api_base={root + "/openai"!r}, api_key={KEY!r})
        assert own.prompt_filter_results[0].content_filter_results.hate.severity == "safe"
        completion(model="azure/gpt", messages=hello, api_version="2024-10-21")
        print(said, responses("Hi", model="azure/gpt").content_filters[0].blocked)
        pieces = []
        for chunk in completion(model="azure/gpt", messages=hello, stream=True):
            pieces += [choice.delta.content or "" for choice in chunk.choices if choice.delta]
        print("".join(pieces))
        async def main():
            answer = await acompletion(model="gpt", custom_llm_provider="azure", messages=hello, stream=True)
            async with answer:
                return [chunk async for chunk in answer]
        chunks = asyncio.run(main())
        print(len(chunks[0].choices), video_generation("A fox", "azure/film-1").status)
    """
    done = run([sys.executable, "-W", "error", "-c", textwrap.dedent(script)], root, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{fake.reply} False", fake.reply, "0 queued"]
    assert {entry.model for entry in fake.book.entries} == {"gpt", "film-1"}
    legacy = [seen.path for seen in fake.seen if dict(seen.query).get("api-version") == "2024-10-21"]
    assert legacy == ["/openai/deployments/gpt/chat/completions"]


def test_the_readmes_configuration(fake: AzureWire, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parent.parent / "README.md").read_text()
    config = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    monkeypatch.setenv("AZURE_API_KEY", KEY)
    with Client(config=config, registry=registry(), transport=fake.blocking_transport()) as client:
        client.chat_completions(model="chat", messages=HELLO)
        known = {account.settings.base_url: account.settings for account in client.accounts._configured.values()}
    assert (fake.seen[0].headers["api-key"], fake.book.entries[0].model) == (KEY, "my-deployment")
    other = known["https://my-other-resource.openai.azure.com/openai/v1"]
    assert isinstance(other, AzureSettings)
    assert other.entra


def test_the_readme_names_every_setting() -> None:
    page = (Path(__file__).parent.parent / "README.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name.strip(" `") for row in rows for name in row.split(",")} == set(AzureSettings.model_fields)
    for name, variable in AzureSettings.env.items():
        assert f"| `{name}` | `{variable}` |" in page


def alike(ours: Seen, theirs: Seen) -> None:
    """Both sent the same, but for what each says of itself."""
    assert (ours.method, ours.path, list(ours.query)) == (theirs.method, theirs.path, list(theirs.query))
    assert ours.document == theirs.document
    for name in ("api-key", "authorization", "content-type"):
        mine, other = ours.headers.get(name), theirs.headers.get(name)
        assert (mine or "").partition(";")[0] == (other or "").partition(";")[0], name
    forms = [{part.name: part.content for part in seen.form or []} for seen in (ours, theirs)]
    assert forms[0] == forms[1]


V1: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "chat": (
        lambda client: client.chat_completions(model="gpt", messages=HELLO, temperature=0),
        lambda sdk: sdk.chat.completions.create(model="gpt", messages=HELLO, temperature=0),
    ),
    "a chat that streams": (
        lambda client: list(client.chat_completions(model="gpt", messages=HELLO, stream=True)),
        lambda sdk: list(sdk.chat.completions.create(model="gpt", messages=HELLO, stream=True)),
    ),
    "a response": (
        lambda client: client.responses(model="gpt", input="Hi", store=False),
        lambda sdk: sdk.responses.create(model="gpt", input="Hi", store=False),
    ),
    "a response that streams": (
        lambda client: list(client.responses(model="gpt", input="Hi", stream=True)),
        lambda sdk: list(sdk.responses.create(model="gpt", input="Hi", stream=True)),
    ),
    "a client secret": (
        lambda client: client.mint_realtime_secret(session={"type": "realtime", "model": "rt-1"}, provider="azure"),
        lambda sdk: sdk.realtime.client_secrets.create(session={"type": "realtime", "model": "rt-1"}),
    ),
    "a video": (
        lambda client: client.generate_video(model="film-1", prompt="A fox", seconds="4"),
        lambda sdk: sdk.videos.create(model="film-1", prompt="A fox", seconds="4"),
    ),
}


@pytest.mark.parametrize("name", V1)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_v1_is_what_openais_sdk_speaks(name: str, root: str, fake: AzureWire) -> None:
    ask, theirs = V1[name]
    settings = {"key_as_bearer": True}  # as that SDK does
    with Client(provider="azure", api_key=KEY, base_url=root, settings=settings, registry=registry()) as client:
        ask(client)
    with openai.OpenAI(base_url=f"{root}/openai/v1/", api_key=KEY, max_retries=0) as sdk:
        theirs(sdk)
    alike(*fake.seen)


@pytest.mark.parametrize("entra", [False, True])
@pytest.mark.parametrize("name", [name for name in V1 if "chat" in name or "response" in name])
def test_the_legacy_paths_are_those_of_their_client_for_azure(
    name: str, entra: bool, root: str, fake: AzureWire
) -> None:
    ask, theirs = V1[name]
    token = fake.admit(jwt())
    given: dict[str, Any] = {"azure_ad_token_provider": lambda: token} if entra else {"api_key": KEY}
    settings = {"api_version": "2024-10-21", **({"token_provider": lambda: token} if entra else {})}
    with Client(provider="azure", api_key=KEY, base_url=root, settings=settings, registry=registry()) as client:
        ask(client)
    with openai.AzureOpenAI(azure_endpoint=root, api_version="2024-10-21", max_retries=0, **given) as sdk:
        theirs(sdk)
    alike(*fake.seen)
    assert fake.seen[0].query == [("api-version", "2024-10-21")]


def test_the_fake_is_azure_to_them_too(root: str, fake: AzureWire) -> None:
    with openai.OpenAI(base_url=f"{root}/openai/v1/", api_key=KEY, max_retries=0) as sdk:
        chunks = list(sdk.chat.completions.create(model="gpt", messages=HELLO, stream=True))
        assert chunks[0].choices == []
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.responses.create(model="gpt", input=BLOCKED)
        assert caught.value.code == "content_filter"
        answer = sdk.responses.create(model="gpt", input="Hi")
        assert answer.content_filters[1]["source_type"] == "completion"  # type: ignore[attr-defined]
        wrong = sdk.with_options(api_key="wrong-key-0123")
        with pytest.raises(openai.AuthenticationError):
            wrong.responses.create(model="gpt", input="Hi")
