"""Held against Google's own SDK: our requests are its requests, and it understands our fake's answers.

The SDK is google-genai 2, the last line that spoke Veo on the Gemini API: 3.0 has taken it out.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from plugins.gemini.tests.conftest import BUNNY, MODEL, PNG, registry

from callsheet import Client
from callsheet.reference_frames import reference_frames
from callsheet.testing import FAKE_KEY
from callsheet.testing.answers import Step
from callsheet_gemini.wire import GeminiWire

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from google import genai
    from google.genai import errors as sdk_errors
    from google.genai import types

URI = "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media"
NAME = "models/veo-3.1-generate-preview/operations/abc"
Recorded = tuple[str, str, str, Any]


class Recorder(ThreadingHTTPServer):
    """Remembers what arrives, and answers as an operation that is completed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Recorded] = []
        self.film: dict[str, Any] = {"uri": URI}
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        document = json.loads(body) if body else None
        self.server.seen.append((self.command, self.path, self.headers["x-goog-api-key"], document))
        samples = [{"video": self.server.film}]
        done = {"done": True, "response": {"generateVideoResponse": {"generatedSamples": samples}}}
        raw = json.dumps({"name": NAME, **(done if self.command == "GET" else {})}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    running = Recorder()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    made = []

    def client(url: str) -> Any:
        made.append(genai.Client(api_key=FAKE_KEY, http_options=types.HttpOptions(base_url=url)))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    made = []

    def client(url: str) -> Client:
        made.append(
            Client(MODEL, api_key=FAKE_KEY, base_url=url, registry=registry(), settings={"data_dir": tmp_path / "kept"})
        )
        return made[-1]

    yield client
    for one in made:
        one.close()


def image(content: bytes, kind: str) -> Any:
    return types.Image(image_bytes=content, mime_type=kind)


def reference(content: bytes) -> Any:
    return types.VideoGenerationReferenceImage(
        image=image(content, "image/jpeg"), reference_type=types.VideoGenerationReferenceType.ASSET
    )


CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"size": "1280x720"}, {}, {"aspect_ratio": "16:9", "resolution": "720p"}),
    ({"size": "1080x1920", "seconds": 8}, {}, {"aspect_ratio": "9:16", "resolution": "1080p", "duration_seconds": 8}),
    ({"size": "2160x3840"}, {}, {"aspect_ratio": "9:16", "resolution": "4k"}),
    ({"seconds": 4}, {}, {"duration_seconds": 4}),
    ({"input_reference": ("a.png", PNG)}, {"image": image(PNG, "image/png")}, {}),
    (
        {"input_reference": ("a.jpg", b"\xff\xd8\xff\xe0\xfb\xff")},
        {"image": image(b"\xff\xd8\xff\xe0\xfb\xff", "image/jpeg")},
        {},
    ),
    (
        {
            "extra_body": {
                "negativePrompt": "rain",
                "personGeneration": "allow_adult",
                "sampleCount": 1,
                "enhancePrompt": True,
            }
        },
        {},
        {"negative_prompt": "rain", "person_generation": "allow_adult", "number_of_videos": 1, "enhance_prompt": True},
    ),
    ({"extra_body": {"parameters": {"negativePrompt": "rain"}}}, {}, {"negative_prompt": "rain"}),
]


@pytest.mark.parametrize(("fields", "source", "config"), CASES)
def test_a_start_is_the_sdk_s(
    recorder: Recorder, sdk: Any, ours: Any, fields: dict[str, Any], source: dict[str, Any], config: dict[str, Any]
) -> None:
    prompt = "A fox – in “snow” 🦊"
    ours(f"{recorder.url}/v1beta").generate_video(prompt=prompt, **fields)
    sdk(recorder.url).models.generate_videos(
        model="veo-3.1-generate-preview",
        source=types.GenerateVideosSource(prompt=prompt, **source),
        config=types.GenerateVideosConfig(**config),
    )
    assert recorder.seen[0] == recorder.seen[1]
    assert recorder.seen[0][:3] == ("POST", "/v1beta/models/veo-3.1-generate-preview:predictLongRunning", FAKE_KEY)


def test_the_last_frame_is_the_sdk_s(recorder: Recorder, sdk: Any, ours: Any) -> None:
    """By way of `extra_body`, with the SDK's own spelling of a picture."""
    sdk(recorder.url).models.generate_videos(
        model="veo-3.1-generate-preview",
        source=types.GenerateVideosSource(prompt="A fox", image=image(PNG, "image/png")),
        config=types.GenerateVideosConfig(last_frame=image(PNG + b"2", "image/png")),
    )
    last = recorder.seen[0][3]["instances"][0]["lastFrame"]
    ours(f"{recorder.url}/v1beta").generate_video(
        prompt="A fox", input_reference=("a.png", PNG), extra_body={"instances": [{"lastFrame": last}]}
    )
    assert recorder.seen[0] == recorder.seen[1]


def test_characters_are_the_sdk_s_reference_images(recorder: Recorder, sdk: Any, ours: Any) -> None:
    client = ours(f"{recorder.url}/v1beta")
    luna = client.create_character(name="Luna", video=BUNNY)
    client.generate_video(prompt="Luna", characters=[luna])
    sdk(recorder.url).models.generate_videos(
        model="veo-3.1-generate-preview",
        source=types.GenerateVideosSource(prompt="Luna"),
        config=types.GenerateVideosConfig(reference_images=[reference(one.jpeg) for one in reference_frames(BUNNY, 3)]),
    )
    assert recorder.seen[0] == recorder.seen[1]


@pytest.mark.parametrize("film", [{"uri": URI}, {"uri": URI, "encoding": "video/mp4"}])
def test_an_extension_is_the_sdk_s(recorder: Recorder, sdk: Any, ours: Any, film: dict[str, str]) -> None:
    recorder.film = film
    ours(f"{recorder.url}/v1beta").extend(video=NAME, provider="gemini", prompt="It runs")
    client = sdk(recorder.url)
    operation = client.operations.get(types.GenerateVideosOperation.model_validate({"name": NAME}))
    video = operation.response.generated_videos[0].video
    client.models.generate_videos(
        model="veo-3.1-generate-preview", source=types.GenerateVideosSource(prompt="It runs", video=video)
    )
    assert recorder.seen[:2] == recorder.seen[2:]
    assert recorder.seen[0][:2] == ("GET", f"/v1beta/{NAME}")


class Lenient(GeminiWire):
    """The SDK says of which type the body of a GET is, which has none. We don't."""

    def offers(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, *more: Any
    ) -> Iterator[Step]:
        kept = [pair for pair in headers if method != "GET" or pair[0].lower() != "content-type"]
        return super().offers(method, target, kept, body, *more)


@pytest.fixture
def lenient() -> Iterator[Lenient]:
    fake = Lenient(polls_until_done=3)
    yield fake
    assert fake.problems == []


def test_the_sdk_understands_our_fake(lenient: Lenient, sdk: Any) -> None:
    with lenient.serve() as url:
        client = sdk(url.removesuffix("/v1beta"))
        operation = client.models.generate_videos(
            model="veo-3.1-generate-preview",
            source=types.GenerateVideosSource(prompt="A fox"),
            config=types.GenerateVideosConfig(reference_images=[reference(b"\xff\xd8\xff picture")]),
        )
        looks = 0
        while not operation.done:
            operation = client.operations.get(operation)
            looks += 1
        assert looks == 2
        assert operation.error is None
        video = operation.response.generated_videos[0].video
        film = lenient.film_of(lenient.book.entries[0].id)
        secure = types.Video(uri=video.uri.replace("http:", "https:"))  # of others it does not find the file's name
        assert client.files.download(file=secure) == film
        client.models.generate_videos(
            model="veo-3.1-generate-preview",
            source=types.GenerateVideosSource(prompt="It runs", video=types.Video(uri=video.uri)),
        )
        assert [entry.kind for entry in lenient.book.entries] == ["video", "extend"]


@pytest.mark.parametrize("failure", [("moderation_blocked", "A person was shown."), ("INTERNAL", "It broke.")])
def test_the_sdk_understands_our_fake_s_failures(lenient: Lenient, sdk: Any, failure: tuple[str, str]) -> None:
    lenient.fail_job(*failure)
    with lenient.serve() as url:
        client = sdk(url.removesuffix("/v1beta"))
        operation = client.models.generate_videos(
            model="veo-3.1-generate-preview", source=types.GenerateVideosSource(prompt="A fox")
        )
        while not operation.done:
            operation = client.operations.get(operation)
        if failure[0] == "INTERNAL":
            assert operation.error == {"code": 13, "message": "It broke."}
        else:
            assert not operation.response.generated_videos
            assert operation.response.rai_media_filtered_count == 1
            assert operation.response.rai_media_filtered_reasons == ["A person was shown."]


def test_the_sdk_understands_our_fake_s_errors(lenient: Lenient, sdk: Any) -> None:
    with lenient.serve() as url:
        client = sdk(url.removesuffix("/v1beta"))
        with pytest.raises(sdk_errors.ClientError) as refused:
            client.operations.get(types.GenerateVideosOperation.model_validate({"name": NAME}))
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
