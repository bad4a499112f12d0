"""For every operation: our request is the one that the official `openai` client makes, and both read the same answer.

Both speak to the strict fake, each to one of its own with the same past. Where no file goes along the official client
sends forms all the same, and we JSON: then the fields are compared. Where it is known to be broken (`videos.edit` and
`extend` with an id, `input_reference` as an object: it raises before it sends) the documented JSON takes its place.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx2
import openai
import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from plugins.openai.tests.conftest import openai_client
from plugins.openai.tests.twins import CLIP, FILM, SESSION, TWINS, Past, filled, sdk

from callsheet import NotFoundError
from callsheet.ids import IdCodec
from callsheet.testing import FAKE_KEY, FakeUpstream, Seen

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


def official(url: str, key: str = FAKE_KEY) -> openai.OpenAI:
    http = httpx2.Client(trust_env=False)
    return openai.OpenAI(
        base_url=url, api_key=key, organization="org-1", project="proj-1", max_retries=0, http_client=http
    )


def live_through(url: str) -> Past:
    """What there is before: a character, a film, an answer, an answer that takes its time, a call."""
    with official(url) as client:
        character = client.videos.create_character(name="Mossy", video=CLIP)
        film = client.videos.create_and_poll(**FILM, poll_interval_ms=1)  # type: ignore[arg-type]  # literals
        client.videos.create(**FILM)  # type: ignore[arg-type]
        answer = client.responses.create(model="m", input="Hi")
        slow = client.responses.create(model="m", input="Hi", background=True)
        item = client.responses.input_items.list(answer.id).data[0]
        called = client.realtime.calls.create(sdp=OFFER.decode(), session=SESSION)  # type: ignore[arg-type]
        call = called.response.headers["location"].rpartition("/")[2]
        made: dict[str, Any] = {"character": character, "film": film, "answer": answer, "slow": slow, "item": item}
        return {**{name: thing.id for name, thing in made.items()}, "call": call}


class World:
    """Two fakes with the same past: one for us, one for them."""

    def __init__(self, our: FakeUpstream, their: FakeUpstream, urls: tuple[str, str], past: Past) -> None:
        self.our, self.their, self.past = our, their, past
        self.our_url, self.their_url = urls

    def ours(self, mode: Mode, **settings: Any) -> Any:
        settings = {"organization": "org-1", "project": "proj-1", **settings}
        return openai_client(mode, self.our_url, api_key=FAKE_KEY, settings=settings)


@pytest.fixture(scope="module")
def before() -> tuple[Any, Past]:
    fake = made()
    with fake.serve() as url:
        past = live_through(url)
    assert not fake.problems
    return fake.state, past


def made() -> FakeUpstream:
    return FakeUpstream(clock=lambda: 1_800_000_000.0, seed="twins", extra_fields={"characters"})


@pytest.fixture
def world(before: tuple[Any, Past]) -> Iterator[World]:
    state, past = before
    our, their = made(), made()
    our.state, their.state = copy.deepcopy(state), copy.deepcopy(state)
    with ExitStack() as stack:
        urls = (stack.enter_context(our.serve()), stack.enter_context(their.serve()))
        yield World(our, their, urls, past)
    assert not our.problems
    assert not their.problems


def asked(seen: Seen) -> dict[str, Any]:
    """What a request says, without what may differ: every field of a form as the text that it is."""
    content: Any = seen.document
    if seen.form is not None:
        content = {
            part.name: part.text if part.filename is None else (part.filename, part.content_type, part.content)
            for part in seen.form
        }
        if seen.content_type == "multipart/form-data" and "sdp" in content:
            content = {part.name: (part.content_type, part.filename, part.content) for part in seen.form}
            if "session" in content:
                content["session"] = (*content["session"][:2], json.loads(content["session"][2]))
    elif seen.document is None:
        content = seen.body
    kept = ("authorization", "api-key", "openai-organization", "openai-project")
    return {
        "method": seen.method,
        "path": seen.path,
        "query": sorted(seen.query),
        "content": content,
        **{name: seen.headers.get(name) for name in kept},
    }


async def everything(result: Any) -> Any:
    """Our answer as a document that holds the upstream's own ids."""
    if hasattr(result, "__aiter__"):
        return [own_ids(event.data) async for event in result]
    return None if result is None else own_ids(result.wire())


def own_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: own_ids(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [own_ids(inner) for inner in value]
    for kind in ("video", "character", "resp", "rtc"):
        if isinstance(value, str):
            with suppress(NotFoundError):  # no managed id
                return IdCodec().decode(value, kind).upstream
    return value


def documents(result: Any) -> Any:
    """Their answer as the document that came."""
    if isinstance(result, openai.Stream):
        return [event.to_dict() for event in result]
    return None if result is None else result.to_dict()


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_the_request_and_the_answer(mode: Mode, world: World, name: str) -> None:
    twin = TWINS[name]
    answer = await twin.ours(world.ours(mode), world.past)
    with official(world.their_url) as client:
        if isinstance(twin.theirs, dict):
            document = filled(twin.theirs, world.past)
            theirs: Any = client.post(document.pop("path"), body=document, cast_to=openai.types.Video)
        else:
            theirs = twin.theirs(client, world.past)
        if name == "relay_sdp":
            (answer_sdp, id), (their_sdp, location) = (
                (answer.sdp, answer.id),
                (theirs.read(), theirs.response.headers["location"]),
            )
            assert (answer_sdp, own_ids(id)) == (their_sdp, location.rpartition("/")[2])
        else:
            assert await everything(answer) == documents(theirs)
    (ours,), (other,) = world.our.seen, world.their.seen
    assert asked(ours) == asked(other)
    if ours.body and (ours.form is not None or "videos" not in ours.path):
        assert ours.content_type == other.content_type
    else:  # the official client names a type even of what is not there
        assert ours.content_type == ("application/json" if ours.body else None)
    if ours.form is not None:
        assert [(part.name, part.filename, part.content_type) for part in sorted(ours.form, key=str)] == [
            (part.name, part.filename, part.content_type) for part in sorted(other.form or [], key=str)
        ]


@pytest.mark.parametrize("variant", [None, "video", "thumbnail", "spritesheet"])
async def test_a_download(mode: Mode, world: World, variant: Any) -> None:
    film = await world.ours(mode).download_video(world.past["film"], variant=variant, provider="openai")
    content = b"".join([piece async for piece in film])
    with official(world.their_url) as client:
        theirs = client.videos.download_content(world.past["film"], **({"variant": variant} if variant else {}))
        assert content == theirs.read()
    (ours,), (other,) = world.our.seen, world.their.seen
    assert asked(ours) == asked(other)
    assert ours.headers["accept"] == other.headers["accept"] == "application/binary"


async def test_a_response_is_deleted(mode: Mode, world: World) -> None:
    """The official client throws the receipt away."""
    receipt = await world.ours(mode).delete_response(response_id=world.past["answer"], provider="openai")
    assert receipt["deleted"] is True
    with official(world.their_url) as client:
        client.responses.delete(world.past["answer"])
    assert asked(world.our.seen[0]) == asked(world.their.seen[0])


async def test_a_call_with_an_ephemeral_key(mode: Mode, world: World) -> None:
    """As a browser makes it: the official client has no such call."""
    client = world.ours(mode)
    secret = await client.mint_realtime_secret(session=SESSION)
    call = await client.relay_sdp(sdp=OFFER, ephemeral_key=secret.value, provider="openai")
    seen = world.our.seen[-1]
    assert (seen.method, seen.path, seen.content_type) == ("POST", "/v1/realtime/calls", "application/sdp")
    assert (seen.body, seen.headers["authorization"]) == (OFFER, f"Bearer {secret.value}")
    assert world.our.state.calls[own_ids(call.id)].offer == OFFER
    await client.hang_up(call_id=call)
    assert world.our.state.calls[own_ids(call.id)].over


@pytest.mark.parametrize("name", ["generate_video", "generate_video, plain", "generate_video with a file", "remix"])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_forms_where_they_are_wanted(mode: Mode, world: World, name: str) -> None:
    """The official client sends a remix as JSON; there are servers that take nothing but forms."""
    await TWINS[name].ours(world.ours(mode, multipart=True), world.past)
    with official(world.their_url) as client:
        TWINS[name].theirs(client, world.past)
    (ours,), (other,) = world.our.seen, world.their.seen
    assert ours.content_type == "multipart/form-data"
    assert asked(ours) == asked(other)
    if name != "remix":
        assert ours.form is not None
        assert {part.name: part for part in ours.form} == {part.name: part for part in other.form or []}


@pytest.mark.parametrize(
    "name", ["edit", "extend", "generate_video with characters", "generate_video with a reference"]
)
async def test_objects_are_json_even_there(mode: Mode, world: World, name: str) -> None:
    await TWINS[name].ours(world.ours(mode, multipart=True), world.past)
    (seen,) = world.our.seen
    document = filled(TWINS[name].theirs, world.past)
    assert seen.path == f"/v1{document.pop('path')}"
    assert seen.document == document


@pytest.mark.parametrize("call", ["videos.edit", "videos.extend", "videos.create"])
def test_the_official_client_is_broken_still(world: World, call: str) -> None:
    """When this fails, the documents above can be replaced by calls."""
    fields: dict[str, Any] = {"video": {"id": "video_1"}, "prompt": "x"}
    if call == "videos.create":
        fields = {"prompt": "x", "input_reference": {"image_url": "https://example.com/a.png"}}
    if call == "videos.extend":
        fields["seconds"] = "8"
    with official(world.their_url) as client, pytest.raises(RuntimeError, match="to be bytes"):
        sdk(call, **fields)(client, {})
    assert world.their.seen == []
