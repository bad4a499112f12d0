"""Whatever an adapter stumbles over in an answer, the caller gets one of the library's errors, and no paid work twice."""

import json
import time

import pytest

from callsheet import (
    IO,
    ApiKey,
    APIResponseValidationError,
    APITimeoutError,
    BadRequestError,
    Client,
    CreateChatCompletion,
    DownloadVideo,
    Event,
    GenerateVideo,
    Provider,
    RateLimitError,
    Registry,
    Reply,
    Request,
    Stream,
    Upload,
    Video,
    envelope_error,
    hookimpl,
    reply_error,
)
from callsheet.drive import finish
from callsheet.testing import FAKE_KEY, FakeUpstream, Fault
from callsheet.testing.inprocess import BlockingFakeTransport
from callsheet_openai import OpenAIProvider


class Careless(Provider):
    """Reads what is answered as if it were what it should be."""

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        if request.prompt == "before":
            return Video(id=self.notes["id"], status="queued")
        job = (await io.post_json("/videos", {"prompt": request.prompt})).json()
        stumble = {
            "key": lambda: job["nothing"],
            "index": lambda: [][0],
            "type": lambda: job + 7,
            "attribute": lambda: job.id,
            "value": lambda: int("soon"),
            "model": lambda: Video.model_validate({"id": 7}),
            "secret": lambda: job[FAKE_KEY],
            "bug": lambda: 1 / 0,
        }[request.prompt]
        return stumble()


def asked(prompt):
    registry = Registry()
    registry.register("careless", Careless)
    fake = FakeUpstream()
    client = Client(
        "careless/m", api_key=FAKE_KEY, base_url="https://careless.example/v1", registry=registry,
        transport=fake.blocking_transport(),
    )  # fmt: skip
    with pytest.raises(Exception) as raised:
        client.generate_video(prompt=prompt)
    return raised.value, fake


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("key", "the adapter of provider 'careless' did not understand the answer (KeyError)"),
        ("index", "IndexError"),
        ("type", "TypeError"),
        ("attribute", "AttributeError"),
        ("value", "ValueError"),
        ("model", "the provider's answer is no Video: id: Input should be a valid string"),
    ],
)
def test_a_stumble_over_an_answer_is_ours_and_is_not_paid_twice(prompt, words):
    error, fake = asked(prompt)
    assert isinstance(error, APIResponseValidationError)
    assert words in str(error)
    assert error.provider == "careless"
    assert error.request_id.startswith("req_")
    assert error.should_retry is False
    assert error.__cause__ is not None
    assert len(fake.book.accepted()) == 1


def test_a_secret_in_it_is_struck_out():
    error, _ = asked("secret")
    assert FAKE_KEY not in str(error)
    assert error.__cause__ is None  # it would tell


def test_a_bug_stays_one():
    error, fake = asked("bug")
    assert isinstance(error, ZeroDivisionError)
    error, fake = asked("before")
    assert isinstance(error, KeyError)
    assert not fake.seen


def request(**fields):
    return GenerateVideo.model_validate({"prompt": "a", "model": "m", **fields})


def test_only():
    request(seconds=4, x_option=1).only("prompt", "seconds")
    with pytest.raises(BadRequestError, match=r"seconds: this provider can't do that here; it takes prompt, size") as e:
        request(seconds=4).only("prompt", "size")
    assert e.value.param == "seconds"
    with pytest.raises(BadRequestError, match="characters") as e:
        request(characters=["a"]).only("prompt")
    assert e.value.param == "characters"


def test_choice():
    assert request().choice("size", {"1280x720": 1}) is None
    assert request(size="1280x720").choice("size", {"1280x720": 1}) == 1
    with pytest.raises(BadRequestError, match="this provider has no '1x1000'; it has 1280x720, 720x1280") as e:
        GenerateVideo.model_construct(prompt="a", size="1x1000").choice("size", {"1280x720": 1, "720x1280": 2})
    assert e.value.param == "size"


def test_options():
    assert request(x_a=[1], nested={"b": None}).options == {"x_a": [1], "nested": {"b": None}}
    assert request().options == {}


def test_only_refuses_options_where_it_is_told_to():
    with pytest.raises(BadRequestError, match="x_option") as e:
        request(x_option=None).only("prompt", options=False)
    assert e.value.param == "x_option"
    request().only("prompt", options=False)


def test_a_stumble_in_a_stream():
    class Source:
        def __init__(self):
            self.closed = False

        async def __anext__(self):
            return {}[FAKE_KEY]

        async def aclose(self):
            self.closed = True

    source, ends = Source(), []
    stream = Stream(source).tap(on_end=ends.append)
    stream.hide([FAKE_KEY])
    with pytest.raises(APIResponseValidationError, match=r"did not understand an event \(KeyError\)") as e:
        finish(stream.__anext__())
    assert FAKE_KEY not in str(e.value)
    assert e.value.__cause__ is None
    assert source.closed
    assert ends == [e.value]


@pytest.mark.parametrize("url", ["http://films.example/x", "https://169.254.169.254/x", "https://127.0.0.1/x"])
def test_where_an_answer_points_is_looked_at(url):
    class Pointed(Careless):
        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            await io.send(Request("GET", url, auth=None))
            return Video(id="x", status="queued")

    registry = Registry()
    registry.register("pointed", Pointed)
    fake = FakeUpstream()
    options = {"api_key": FAKE_KEY, "base_url": "https://pointed.example/v1", "registry": registry}
    client = Client("pointed/m", transport=fake.blocking_transport(), **options)
    with pytest.raises(APIResponseValidationError, match="can't be followed"):
        client.generate_video(prompt="a")
    assert not fake.seen


@pytest.mark.parametrize("most", [4, 5, 6])
def test_a_file_is_read_up_to_its_limit(most):
    async def run(function, *arguments):
        return function(*arguments)

    upload = Upload.of(("a.png", b"12345"))
    if most < 5:
        with pytest.raises(BadRequestError, match=r"a\.png has more than 4 bytes") as e:
            finish(upload.read(run, most, "image"))
        assert e.value.param == "image"
    else:
        assert finish(upload.read(run, most)) == b"12345"


def test_the_error_of_an_answer():
    headers = {"x-request-id": "req_1", "retry-after": "3", "x-should-retry": "false"}
    error = reply_error(Reply(429, headers, b'{"why": "slow"}'), "slow down", code="slow", param="p")
    assert isinstance(error, RateLimitError)
    said = (str(error), error.code, error.param, error.request_id, error.retry_after, error.should_retry, error.body)
    assert said == ("slow down", "slow", "p", "req_1", 3.0, False, {"why": "slow"})
    assert "without saying why" in str(reply_error(Reply(500, {}, b"")))


@pytest.mark.parametrize(
    ("detail", "words", "code"),
    [
        ([{"loc": ["body", None], "msg": "No such video.", "type": "not_found"}], "body: No such video.", "not_found"),
        ([{"loc": ["body", "seed"], "msg": "a"}, {"msg": "b", "type": "x"}], "body.seed: a; b", None),
        ([], "without saying why", None),
        ([7, {"loc": []}], "without saying why", None),
        ("plain", "plain", None),
    ],
)
def test_fastapis_details(detail, words, code):
    error = envelope_error(Reply(422, {}, json.dumps({"detail": detail}).encode()))
    assert words in str(error)
    assert error.code == code


def test_a_key_after_a_word():
    assert ApiKey("authorization", "Key ").headers("k-1", False) == {"authorization": "Key k-1"}
    assert ApiKey("x-key").headers("k-1", False) == {"x-key": "k-1"}
    assert ApiKey("x-key").headers("ek-1", True) == {"authorization": "Bearer ek-1"}


def test_the_variant_that_is_meant_anyhow():
    DownloadVideo(video_id="v", variant="video").only("video_id")
    with pytest.raises(BadRequestError, match="variant"):
        DownloadVideo(video_id="v", variant="thumbnail").only("video_id")


def test_requests_before_a_fault_are_served():
    fake = FakeUpstream()
    fake.fail("GET /videos", Fault.status(500), after=1)
    registry = Registry()
    registry.register("openai", OpenAIProvider)
    options = {"api_key": FAKE_KEY, "base_url": "https://v.example/v1", "registry": registry}
    client = Client("openai/m", transport=fake.blocking_transport(), **options)
    assert client.list_videos().data == []
    assert client.list_videos().meta.attempts == 2
    assert client.list_videos().meta.attempts == 1


def test_a_bug_of_a_tap_is_no_answer_that_is_odd():
    class Source:
        async def __anext__(self):
            return Event.of("message", {})

        async def aclose(self):
            pass

    def tap(_event):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        finish(Stream(Source()).tap(on_event=tap).__anext__())


def test_a_table_of_numbers_is_as_good():
    assert request(seconds=8).choice("seconds", {4: "short", 8: "long"}) == "long"
    with pytest.raises(BadRequestError, match="it has 4, 8"):
        request(seconds=9).choice("seconds", {4: "short", 8: "long"})


def test_a_stream_that_is_not_wanted_is_not_refused():
    asked = CreateChatCompletion(messages=[], stream=False)
    asked.only("messages")
    with pytest.raises(BadRequestError, match="stream"):
        CreateChatCompletion(messages=[], stream=True).only("messages")
    with pytest.raises(BadRequestError, match="store"):
        CreateChatCompletion(messages=[], store=False).only("messages")


@pytest.mark.parametrize("stumble", ["next", "self"])
def test_next_of_nothing_is_odd_and_an_attribute_of_the_provider_is_a_bug(stumble):
    class Stumbling(Careless):
        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            await io.post_json("/videos", {"prompt": request.prompt})
            return next(iter(())) if stumble == "next" else self.nothing  # type: ignore[attr-defined]  # that is the point

    registry = Registry()
    registry.register("stumbling", Stumbling)
    options = {"api_key": FAKE_KEY, "base_url": "https://s.example/v1", "registry": registry}
    client = Client("stumbling/m", transport=FakeUpstream().blocking_transport(), **options)
    with pytest.raises(APIResponseValidationError if stumble == "next" else AttributeError):
        client.generate_video(prompt="a")


def test_a_key_that_is_part_of_the_address_of_the_account_itself():
    registry = Registry()
    registry.register("openai", OpenAIProvider)
    options = {"api_key": "localhost", "base_url": "http://localhost:8000/v1", "registry": registry}
    fake = FakeUpstream(keys={"localhost"})
    assert Client("openai/m", transport=fake.blocking_transport(), **options).list_videos().data == []


def test_a_stream_that_drips_where_no_stream_is_keeps_the_deadline():
    registry = Registry()
    registry.register("openai", OpenAIProvider)
    fake = FakeUpstream()
    fake.fail("POST /chat/completions", Fault.slow_body(interval=0.2), times=None)
    drip = recorded_as_json(fake)
    client = Client("openai/m", api_key=FAKE_KEY, base_url="https://v.example/v1", registry=registry, transport=drip)
    began = time.monotonic()
    with pytest.raises(APITimeoutError):
        client.chat_completions(messages=[{"role": "user", "content": "a"}], stream=True, timeout=1)
    assert time.monotonic() - began < 3


def recorded_as_json(fake):
    """The fake's answers, which say that they are no streams."""

    class AsJSON(BlockingFakeTransport):
        async def open(self, request):
            incoming = await super().open(request)
            incoming.headers = {**incoming.headers, "content-type": "application/json"}
            return incoming

    return AsJSON(fake)
