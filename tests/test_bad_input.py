"""Bad input gets a clear error: the exact class, and the words that help. By way of the library, at the local provider."""

import socket
from pathlib import Path

import pytest
from gateway.tests.serving import BUNNY, CLIP

av = pytest.importorskip("av")
np = pytest.importorskip("numpy")

import callsheet  # noqa: E402  after the libraries without which there is nothing to test
from callsheet import (  # noqa: E402
    APIStatusError,
    BadRequestError,
    Client,
    ConfigurationError,
    NotFoundError,
    UnknownProvider,
    UnsupportedOperation,
)


def clip(path: Path, seconds: float, width: int, height: int) -> Path:
    """An MP4 with a moving square, quick to make."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=12, options={"preset": "ultrafast", "crf": "35"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(seconds * 12)):
            picture = np.full((height, width, 3), 90, np.uint8)
            left = 40 + number * 10
            picture[height // 3 : height // 2, left : left + 120] = (220, 60, 40)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with Client(provider="local", settings={"data_dir": str(tmp_path_factory.mktemp("data"))}) as made:
        yield made


@pytest.fixture(scope="module")
def finished(client):
    return client.generate_video(prompt="a quiet lake", seconds=1, size="320x180", wait=True)


@pytest.fixture(scope="module")
def luna(client):
    return client.create_character(name="Luna", video=CLIP)


def refused(call, *words, kind=BadRequestError, param=None):
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert "/tmp/" not in str(caught.value) or kind is ConfigurationError, str(
        caught.value
    )  # our own paths help nobody
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
    if param is not None:
        assert caught.value.param == param


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", ["0 bytes"], id="0 bytes"),
        pytest.param(b"GIF89a" + b"x" * 500, ["MP4"], id="not an MP4"),
        pytest.param(b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:1/a.ts\n", ["MP4"], id="a playlist"),
        pytest.param(BUNNY.read_bytes()[:20_000], ["cut off", "75 frames"], id="truncated"),
    ],
)
def test_what_is_no_clip(client, content, words):
    refused(lambda: client.create_character(name="Luna", video=content), *words, param="video")


@pytest.mark.parametrize(
    ("seconds", "width", "height", "words"),
    [
        pytest.param(1.5, 1280, 720, ["1.5", "2", "4"], id="too short"),
        pytest.param(5, 1280, 720, ["5", "2", "4"], id="too long"),
        pytest.param(2, 960, 720, ["960", "720", "16:9", "9:16", "1:1"], id="4:3"),
        pytest.param(2, 854, 480, ["480", "720", "1080"], id="480p"),
    ],
)
def test_what_is_not_the_right_clip(client, tmp_path, seconds, width, height, words):
    path = clip(tmp_path / "clip.mp4", seconds, width, height)
    refused(lambda: client.create_character(name="Luna", video=path), *words, param="video")


def test_a_clip_of_101_megabytes_is_not_read_to_its_end(client):
    read = 0

    def chunks():
        nonlocal read
        yield BUNNY.read_bytes()[:1000]
        while read < 400:
            read += 1
            yield bytes(1024 * 1024)

    refused(lambda: client.create_character(name="Luna", video=chunks()), "100 MB", param="video")
    assert read <= 102


def test_three_characters(client, luna):
    call = lambda: client.generate_video(prompt="Luna", characters=[luna.id] * 3)  # noqa: E731
    refused(call, "3", "2", param="characters")


def test_ids(client, luna, finished):
    for wrong in (
        "video_68f1a3c2",
        finished.id[:-3],
        finished.id[:-1] + ("A" if finished.id[-1] != "A" else "B"),
        luna.id,
        "",
    ):
        for call in (
            lambda id=wrong: client.get_video(video_id=id),
            lambda id=wrong: client.edit(video={"id": id}, prompt="x"),
            lambda id=wrong: client.wait(id),
            lambda id=wrong: client.download_video(id),
        ):
            refused(call, "not issued here", kind=NotFoundError)
    before = len(client.list_videos().data)
    refused(
        lambda: client.generate_video(prompt="Luna", characters=[finished.id]), "not issued here", kind=NotFoundError
    )
    raw = "char_00000000000000000000000000000000"  # errors speak of the id that the caller knows
    unknown = client.router.ids.encode("character", client.accounts.default().tag, raw)
    refused(lambda: client.generate_video(prompt="Luna", characters=[unknown]), unknown, kind=NotFoundError)
    assert len(client.list_videos().data) == before  # nothing was started


@pytest.mark.parametrize(("prompt", "words"), [("", ["empty"]), ("x" * 33_000, ["33,000", "32,000"])])
def test_prompts(client, finished, prompt, words):
    for call in (
        lambda: client.generate_video(prompt=prompt),
        lambda: client.edit(video=finished, prompt=prompt),
        lambda: client.extend(video=finished, prompt=prompt, seconds=1),
    ):
        refused(call, *words, param="prompt")


@pytest.mark.parametrize("seconds", ["abc", "-4", "0", "21"])
def test_seconds(client, finished, seconds):
    words = ["21", "20"] if seconds == "21" else ["whole seconds", repr(seconds)]
    refused(lambda: client.generate_video(prompt="x", seconds=seconds), *words, param="seconds")
    refused(lambda: client.extend(video=finished, prompt="x", seconds=seconds), *words, param="seconds")


@pytest.mark.parametrize(("size", "words"), [("big", ["WIDTHxHEIGHT", "'big'"]), ("9999x9999", ["9999x9999", "1920"])])
def test_size(client, size, words):
    refused(lambda: client.generate_video(prompt="x", size=size), *words, param="size")


def test_a_missing_file(client):
    with pytest.raises(FileNotFoundError, match=r"no-such-clip\.mp4"):
        client.create_character(name="Luna", video="no-such-clip.mp4")


def test_an_unknown_model(client):
    refused(lambda: client.generate_video(prompt="x", model="local/sora-2"), "sora-2", "motion-1", kind=NotFoundError)


def test_an_unknown_provider():
    with pytest.raises(UnknownProvider, match="Did you mean 'local'"):
        callsheet.generate_video(prompt="x", model="locl/motion-1")


@pytest.mark.parametrize("place", ["a file", "no directory can be made"])
def test_an_unreadable_data_directory(tmp_path, place):
    if place == "a file":
        target = tmp_path / "file"
        target.write_text("x")
    else:
        target = Path("/proc/nothing/here")
    with Client(provider="local", settings={"data_dir": str(target)}) as client:
        with pytest.raises(ConfigurationError) as caught:
            client.generate_video(prompt="x")
    assert str(target) in str(caught.value)
    assert "CALLSHEET_LOCAL_DIR" in str(caught.value)


def test_a_full_quota(tmp_path):
    with Client(provider="local", settings={"data_dir": str(tmp_path), "quota_mb": 1}) as client:
        with pytest.raises(APIStatusError) as caught:
            client.generate_video(prompt="x", seconds=20, size="1920x1080")
        assert (caught.value.status_code, caught.value.code) == (507, "quota_exceeded")
        for word in ("1.0 MB", "elete", "quota_mb"):
            assert word in str(caught.value)
        assert client.list_videos().data == []


def test_an_async_iterator_in_a_sync_call(client):
    async def chunks():
        yield b""

    with pytest.raises(TypeError, match="use AsyncClient"):
        client.create_character(name="Luna", video=chunks())


def test_no_network_is_used_for_a_reference(client):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/frame.png"
        refused(lambda: client.generate_video(prompt="x", input_reference=url), "no network", param="input_reference")
        with pytest.raises(TimeoutError):
            server.accept()


def test_what_the_provider_does_not_do(client):
    refused(
        lambda: client.responses(input="hi", provider="stub"),
        "provider 'stub' does not implement responses",
        kind=UnsupportedOperation,
    )


def test_a_video_that_is_not_ready(client):
    video = client.generate_video(prompt="a slow sea", seconds=4, size="1280x720")
    for call in (lambda: client.delete_video(video_id=video.id), lambda: client.download_video(video)):
        with pytest.raises(APIStatusError) as caught:
            call()
        assert caught.value.status_code == 409
    client.wait(video)
    assert client.delete_video(video_id=video.id).deleted
    refused(lambda: client.get_video(video_id=video.id), "video", kind=NotFoundError)
