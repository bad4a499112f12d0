"""Events as they leave the gateway."""

import json
import time
from itertools import pairwise

import anyio
import pytest
from gateway.tests.odd import Items, Odd, over
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import APIConnectionError, BadRequestError, Event, Meta, RateLimitError, Stream, Video
from callsheet.drive import finish
from callsheet.sse import SSEDecoder
from callsheet_gateway.streaming import frame, with_model


@pytest.fixture(scope="module")
def http():
    with over(Odd, event_pause=0.01, keep_alive=0.05) as client:
        yield client


def lines_of(http, path, document):
    with http.stream("POST", path, json=document) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        return answer.read().decode()


CREATED = Event.of(
    "response.created",
    {"type": "response.created", "sequence_number": 41, "response": {"id": "r", "model": "m", "phase": None}},
)
DELTA = Event("response.output_text.delta", '{"type":"response.output_text.delta","delta":"\\"model\\" ü","n":1.10}')


def test_a_response_is_passed_on_with_the_models_name(http, monkeypatch):
    monkeypatch.setitem(Odd.does, "responses", lambda _: Stream(Items(CREATED, DELTA, Event("message", "[DONE]"))))
    text = lines_of(http, "/responses", {"model": "odd/m", "stream": True})
    first, second, rest = text.split("\n\n")
    assert first.startswith("event: response.created\ndata: ")
    response = json.loads(first.partition("data: ")[2])["response"]
    assert response["model"] == "odd/m"
    assert response["id"].startswith("resp_")
    assert response["phase"] is None
    assert second == f"event: {DELTA.type}\ndata: {DELTA.raw}"
    assert rest == ""


@pytest.mark.parametrize("done", [[], [Event("message", "[DONE]")]])
def test_chat_ends_with_done_once(http, monkeypatch, done):
    chunk = {"id": "c", "model": "m", "choices": []}
    source = Items(Event("message", json.dumps(chunk)), *done)
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    text = lines_of(http, "/chat/completions", {"model": "odd/m", "messages": [], "stream": True})
    assert text == 'data: {"id": "c", "model": "odd/m", "choices": []}\n\ndata: [DONE]\n\n'
    assert source.closed.is_set()


def test_what_fails_before_the_first_event_has_a_status(http, monkeypatch):
    source = Items(RateLimitError("slow", retry_after=3))
    monkeypatch.setitem(Odd.does, "responses", lambda _: Stream(source))
    answer = http.post("/responses", json={"model": "odd/m", "stream": True})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.headers["content-type"] == "application/json"
    assert source.closed.is_set()


def test_what_fails_later_is_an_event_in_both_shapes(http, monkeypatch):
    error = BadRequestError("too long", code="context_length_exceeded", param="input")
    monkeypatch.setitem(Odd.does, "responses", lambda _: Stream(Items(CREATED, error)))
    text = lines_of(http, "/responses", {"model": "odd/m", "stream": True})
    last = text.split("\n\n")[-2]
    assert last.startswith("event: error\ndata: ")
    document = json.loads(last.partition("data: ")[2])
    assert document["type"] == "error"
    assert document["sequence_number"] == 42
    assert document["code"] == document["error"]["code"] == "context_length_exceeded"
    assert document["message"] == document["error"]["message"] == "too long"


def test_a_chat_that_fails_has_no_done(http, monkeypatch):
    chunk = Event("message", '{"choices":[]}')
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(Items(chunk, APIConnectionError("gone"))))
    text = lines_of(http, "/chat/completions", {"model": "odd/m", "messages": [], "stream": True})
    assert "[DONE]" not in text
    assert json.loads(text.split("\n\n")[1].removeprefix("data: "))["error"]["message"] == "gone"


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (ZeroDivisionError("sk-secret"), "the gateway failed", "internal_error"),
        (ValueError("sk-secret"), "the adapter did not understand an event (ValueError)", None),
    ],
)
def test_what_breaks_in_the_middle_is_told_without_its_words(http, monkeypatch, caplog, path, error, message, code):
    for name in ("responses", "chat_completions"):
        monkeypatch.setitem(Odd.does, name, lambda _: Stream(Items(CREATED, error)))
    text = lines_of(http, path, {"model": "odd/m", "messages": [], "stream": True})
    document = json.loads(text.split("\n\n")[1].partition("data: ")[2])
    assert document["error"]["code"] == code
    assert document["error"]["message"].startswith(message)
    assert "sk-secret" not in text + caplog.text
    assert ("ZeroDivisionError at odd.py:" in caplog.text) == (code == "internal_error")


def test_a_client_that_leaves_closes_the_upstream(http, monkeypatch):
    async def long():
        await anyio.sleep(30)

    source = Items(CREATED, long, DELTA)
    monkeypatch.setitem(Odd.does, "responses", lambda _: Stream(source))
    with http.stream("POST", "/responses", json={"model": "odd/m", "stream": True}) as answer:
        lines = answer.iter_lines()  # kept: an iterator that is dropped closes the connection
        next(lines)
        assert not source.closed.is_set()
    assert source.closed.wait(0.5)


def test_a_jobs_progress_until_its_end(http, monkeypatch):
    steps = [("queued", 0), ("in_progress", 10), ("in_progress", 10), ("in_progress", 60), ("failed", 60)]
    left = list(steps)

    def look(request):
        status, progress = left.pop(0) if left else steps[-1]
        return Video(id=request.video_id, status=status, progress=progress, model="m")

    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued", model="m"))
    monkeypatch.setitem(Odd.does, "get_video", look)
    id = http.post("/videos", json={"model": "odd/m", "prompt": "a"}).json()["id"]
    text = http.get(f"/videos/{id}/events").text
    events = [block.partition("\ndata: ") for block in text.split("\n\n") if block.startswith("event")]
    names = [head.removeprefix("event: ") for head, _, _ in events]
    assert names == ["video.queued", "video.in_progress", "video.in_progress", "video.failed"]
    last = json.loads(events[-1][2])
    assert (last["id"], last["model"], last["progress"]) == (id, "odd/m", 60)


def test_silence_is_filled_with_comments_and_outages_are_survived(http, monkeypatch):
    began, failures = time.monotonic(), [APIConnectionError("gone")] * 3

    def look(request):
        if time.monotonic() - began < 0.3:
            return Video(id=request.video_id, status="in_progress", model="m")
        if failures:
            raise failures.pop()
        return Video(id=request.video_id, status="completed", model="m")

    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued", model="m"))
    monkeypatch.setitem(Odd.does, "get_video", look)
    id = http.post("/videos", json={"model": "odd/m", "prompt": "a"}).json()["id"]
    text = http.get(f"/videos/{id}/events").text
    assert ": still here" in text
    assert text.count("event: video.completed") == 1
    assert http.get("/videos/video_none/events").status_code == 404


def test_a_job_is_looked_at_as_often_as_its_provider_wants(http, monkeypatch):
    looks = []

    def look(request):
        looks.append(time.monotonic())
        video = Video(id=request.video_id, status="completed" if len(looks) > 3 else "in_progress", model="m")
        video.meta = Meta(poll_after=0.15)
        return video

    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued", model="m"))
    monkeypatch.setitem(Odd.does, "get_video", look)
    id = http.post("/videos", json={"model": "odd/m", "prompt": "a"}).json()["id"]
    assert "event: video.completed" in http.get(f"/videos/{id}/events").text
    # uvloop counts from the beginning of its turn, which on a busy machine was a while ago.
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(looks))
    assert len(looks) == 4


def test_a_video_has_all_of_openais_fields(http, monkeypatch):
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued", cost=3))
    video = http.post("/videos", json={"model": "odd/m", "prompt": "a"}).json()
    absent = ("completed_at", "error", "expires_at", "remixed_from_video_id", "seconds", "size")
    assert {name: video[name] for name in absent} == dict.fromkeys(absent)
    assert video["prompt"] == "a"  # what the provider does not say, and the gateway knows
    assert abs(video["created_at"] - time.time()) < 60
    assert (video["object"], video["model"], video["progress"], video["cost"]) == ("video", "odd/m", 0, 3)


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(texts.filter(lambda text: text and "\r" not in text))
def test_any_data_comes_out_as_it_went_in(data):
    [event] = SSEDecoder().feed(frame(data, "x"), final=True)
    assert (event.type, event.raw) == ("x", data)


def test_half_a_character_in_a_renamed_event(http, monkeypatch):
    """It has a spelling in JSON and none in UTF-8."""
    source = Items(Event("message", '{"id":"c","model":"m","choices":["\\ud800"]}'))
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    text = lines_of(http, "/chat/completions", {"model": "odd/m", "messages": [], "stream": True})
    assert text.startswith('data: {"id":"c","model":"odd/m","choices":["\\ud800"]}\n\n')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["model", '"model":"x"', "{", "]", "\\"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("model"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=6) | st.sampled_from(["model", "id", "choices", "response"]), VALUES, max_size=5),
    st.booleans(),
)
@example({"model": "m", "choices": [{"delta": {"content": "hi"}}]}, False)
@example({"id": '{"model":"x"', "model": 'a\\"b\u2028\ud800', "choices": []}, True)
@example({"choices": [{"model": "inner"}], "model": "m"}, True)
@example({"object": "model", "model": "m"}, False)
@example({'x"model': "z"}, False)
@example({"model": ""}, False)
@example({"model": 5, "id": "x"}, False)
@example({"response": {"model": "m"}, "type": "response.created"}, True)
def test_the_models_name_and_nothing_else_is_changed(document, spaced):
    """Whether it is put in its place in the text, or in the document."""
    raw = json.dumps(document, ensure_ascii=spaced, separators=None if spaced else (",", ":"))
    stream = with_model(Stream(Items(Event("message", raw))), lambda upstream: f"our-{upstream}")
    changed = finish(anext(stream))
    wanted = json.loads(raw)
    inner = wanted.get("response", wanted)
    if isinstance(inner, dict) and isinstance(inner.get("model"), str) and inner["model"]:
        inner["model"] = f"our-{inner['model']}"
    assert json.dumps(json.loads(changed.raw)) == json.dumps(wanted)  # the order of keys, too
