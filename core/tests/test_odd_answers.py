"""Whatever an adapter stumbles over in an answer, the caller gets one of the library's errors, and no paid work twice."""

import pytest

from callsheet import (
    IO,
    APIResponseValidationError,
    BadRequestError,
    Client,
    GenerateVideo,
    Provider,
    Registry,
    Video,
    hookimpl,
)
from callsheet.testing import FAKE_KEY, FakeUpstream


class Careless(Provider):
    """Reads what is answered as if it were what it should be."""

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        if request.prompt == "before":
            return Video(id={}["id"], status="queued")
        job = (await io.post_json("/videos", {"prompt": request.prompt})).json()
        stumble = {
            "key": lambda: job["nothing"],
            "index": lambda: [][0],
            "type": lambda: len(7),
            "attribute": lambda: job.id,
            "value": lambda: int("soon"),
            "model": lambda: Video.model_validate({"id": 7}),
            "secret": lambda: {}[FAKE_KEY],
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
    with pytest.raises(Exception) as raised:  # noqa: B017  whichever it is
        client.generate_video(prompt=prompt)
    return raised.value, fake


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("key", "the adapter of provider 'careless' did not understand the answer (KeyError: 'nothing')"),
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
