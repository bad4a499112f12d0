"""A gateway before a gateway: the official SDK -> ours -> the adapter for OpenAI's wire -> ours -> the embedded provider.

So every operation crosses the wire twice, names and ids change on the way, and a key of ours wraps another one of ours.
Both gateways ask for keys: the client has a virtual one of the first, which has a virtual one of the second.
"""

from __future__ import annotations

import time

import httpx
import openai
import pytest
import yaml
from core.tests.offers import OFFER
from gateway.tests.serving import CLIP, keyed
from openai.types import Video

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
SMALL = {"size": "320x180", "seconds": "1"}


@pytest.fixture(scope="module")
def outer(gateway_with_keys, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outer")
    names = {"film": "motion-1", "talk": "realtime-1", "text": "scribe-1"}
    entries = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/local/{model}",
                "api_base": gateway_with_keys.base_url,
                "api_key": gateway_with_keys.key,
            },
        }
        for name, model in names.items()
    ]
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_list": entries}))
    with keyed(folder / "data", "--config", str(folder / "config.yaml")) as running:
        yield running


@pytest.fixture
def client(outer):
    with openai.OpenAI(base_url=outer.base_url, api_key=outer.key, max_retries=0) as made:
        yield made


def finished(client, video):
    end = time.monotonic() + 30
    while video.status not in {"completed", "failed"}:
        assert time.monotonic() < end
        time.sleep(0.1)
        video = client.videos.retrieve(video.id)
    assert video.status == "completed", video.error
    return video


def test_films(client):
    with CLIP.open("rb") as clip:
        luna = client.videos.create_character(name="Luna", video=clip, extra_body={"model": "film"})
    assert client.videos.get_character(luna.id).name == "Luna"
    asked = {"model": "film", "prompt": "Luna dances", "characters": [{"id": luna.id}], **SMALL}
    scene = client.post("/videos", body=asked, cast_to=Video)
    film = finished(client, scene)
    assert (film.model, film.prompt) == ("film", "Luna dances")
    assert b"ftyp" in client.videos.download_content(film.id).read()[:12]
    remixed = finished(client, client.videos.remix(film.id, prompt="Luna dances at night"))
    assert remixed.remixed_from_video_id == film.id
    longer = client.post(
        "/videos/extensions",
        body={"video": {"id": film.id}, "prompt": "on", "seconds": "1"},
        cast_to=Video,
    )
    assert finished(client, longer).seconds == "2"
    assert {film.id, longer.id} <= {video.id for video in client.videos.list(limit=10, extra_query={"model": "film"})}
    assert client.videos.delete(film.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(film.id)


def test_words(client):
    first = client.responses.create(model="text", input="My name is Ada. What is 6 times 7?")
    assert (first.model, "42" in first.output_text) == ("text", True)
    items = [{"role": "user", "content": "What is my name?"}]
    assert "Ada" in client.responses.create(model="text", input=items, previous_response_id=first.id).output_text
    assert [item.role for item in client.responses.input_items.list(first.id)] == ["user"]
    kinds = [event.type for event in client.responses.create(model="text", input="hi", stream=True)]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    chunks = client.chat.completions.create(model="text", messages=[{"role": "user", "content": "2 + 3"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "2 + 3 = 5."
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@pytest.mark.parametrize("ephemeral", [True, False])
def test_calls(client, outer, ephemeral):
    key, own = outer.key, {"authorization": f"Bearer {outer.key}"}
    if ephemeral:
        secret = client.realtime.client_secrets.create(session={"type": "realtime", "model": "talk"})
        assert (secret.value[:3], secret.session.model) == ("ek_", "talk")
        key = secret.value
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, trust_env=False) as http:
        address = f"{outer.base_url}/realtime/calls" + ("" if ephemeral else "?model=talk")
        answer = http.post(address, content=OFFER, headers={"content-type": "application/sdp"})
        assert (answer.status_code, answer.content[:4]) == (201, b"v=0\r")
        hang_up = f"{outer.root}{answer.headers['location']}/hangup"
        assert http.post(hang_up, headers=own).status_code == 200
        assert http.post(hang_up, headers=own).status_code in {200, 404}


def test_errors_arrive_as_they_were_meant(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(model="film", prompt="A fox", seconds="1", size="7x7")
    assert caught.value.param == "size"
    with pytest.raises(openai.NotFoundError, match="not issued here"):
        client.videos.retrieve("video_123")
