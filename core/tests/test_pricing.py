"""Money: exact, whole micro-dollars, and None where it is not known."""

from __future__ import annotations

import math
import time
from datetime import date
from fractions import Fraction

import attrs
import pytest
from core.tests.offers import OFFER
from hypothesis import given
from hypothesis import strategies as st

import callsheet
from callsheet import (
    ChatCompletion,
    CreateCharacter,
    CreateChatCompletion,
    CreateResponse,
    Edit,
    Extend,
    GenerateVideo,
    GetVideo,
    MintRealtimeSecret,
    RelaySDP,
    Remix,
    Response,
    Usage,
    Video,
    VideoRef,
)
from callsheet.pricing import PRICE_FIELDS, Price, bound, charge_of_video, usage_of
from callsheet.pricing.table import price_of
from callsheet.routing.usage import estimated_tokens

SAID = {"source": "a test", "date": "2026-11-22"}
TODAY = date(2026, 11, 22)


def priced(**row) -> Price:
    return price_of({**row, **SAID}, TODAY)


LONG = priced(
    input=2.5, cached_input=0.25, output=15, tiers=[{"above": 272000, "input": 5, "cached_input": 0.5, "output": 22.5}]
)
ALL = priced(
    input=4, cached_input=0.4, cache_write=5, output=16, reasoning=17,
    audio_input=32, cached_audio_input=0.4, audio_output=64, max_output_tokens=4000,
)  # fmt: skip
FILM = priced(video={"1280x720": 0.1, "1792x1024": 0.5}, default_size="1280x720", default_seconds=4, max_seconds=20)
COUNT = st.integers(0, 30_000)


@st.composite
def usages(draw, audio=True):
    text, cached, written, out, thought = (draw(COUNT) for _ in range(5))
    heard, heard_before, spoken = (draw(COUNT) for _ in range(3)) if audio else (0, 0, 0)
    return Usage(
        input_tokens=text + cached + written + heard + heard_before,
        cached_input_tokens=cached + heard_before,
        cache_write_tokens=written,
        audio_input_tokens=heard + heard_before,
        cached_audio_input_tokens=heard_before,
        output_tokens=out + thought + spoken,
        reasoning_tokens=thought,
        audio_output_tokens=spoken,
    )


def both(a: Usage, b: Usage) -> Usage:
    return Usage(*(x + y for x, y in zip(attrs.astuple(a), attrs.astuple(b), strict=True)))


@given(usages(), usages())
def test_costs_are_whole_and_add_up(a, b):
    costs = [ALL.tokens(usage) for usage in (a, b, both(a, b))]
    assert all(type(cost) is int and cost >= 0 for cost in costs)
    assert abs(costs[0] + costs[1] - costs[2]) <= 1


@given(usages())
def test_every_token_is_paid_once(usage):
    assert sum(usage.parts().values()) == usage.input_tokens + usage.output_tokens
    same = priced(input=3, output=3, audio_input=3, audio_output=3)
    assert same.tokens(usage) == 3 * (usage.input_tokens + usage.output_tokens)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(1200, 1000, output_tokens=300), 500 + 250 + 4500),
        (Usage(1000, output_tokens=300, reasoning_tokens=200), 2500 + 4500),  # reasoning has no price of its own
        (Usage(272_000, output_tokens=1000), 680_000 + 15_000),
        (Usage(272_001, output_tokens=1000), 1_360_005 + 22_500),  # the whole call, not what is above
        (Usage(300_000, 100_000, output_tokens=0), 1_000_000 + 50_000),
        (Usage(1), 3),  # 2.5: halves go up
        (Usage(), 0),
    ],
)
def test_a_price_in_tiers(usage, cost):
    assert LONG.tokens(usage) == cost


def test_each_kind_has_its_price():
    usage = Usage(100, 50, 20, 40, 30, 90, 10, 70)
    # text 20, cached 20, written 20, heard 10, heard before 30; written 10, thought 10, spoken 70
    assert ALL.tokens(usage) == 80 + 8 + 100 + 320 + 12 + 160 + 170 + 4480


def test_what_has_no_price_has_no_cost():
    assert LONG.tokens(Usage(100, audio_input_tokens=1)) is None
    assert LONG.tokens(Usage(output_tokens=100, audio_output_tokens=1)) is None
    assert priced(input=1).tokens(Usage(1, output_tokens=1)) is None
    assert FILM.tokens(Usage(1)) is None
    assert LONG.video(8, "1280x720") is None
    assert LONG.session(60) is None
    assert FILM.video(8, "1920x1080") is None
    assert priced(input=0, output=0).tokens(Usage(5, output_tokens=5)) == 0  # known to be free


def test_video_by_the_second():
    assert FILM.video(8, "1280x720") == FILM.video("8") == FILM.video(8.0) == 800_000
    assert FILM.video("12.5", "1792x1024") == 6_250_000
    assert priced(video={"other": 0.3}).video(10, "1x1") == 3_000_000
    assert priced(video={"1280x720": 0.3, "720x1280": 0.3}).video(1) == 300_000
    assert priced(video={"1280x720": 0.3, "720x1280": 0.4}).video(1) is None  # which of them is not known
    for odd in (None, 0, -1, True, "eight", math.nan, math.inf, "1e9", [8], 10**400):
        assert FILM.video(odd, "1280x720") is None


def test_sessions_are_rounded_up():
    voice = priced(session=0.02)
    assert [voice.session(seconds) for seconds in (0, 1, 1.5, 3, 60)] == [0, 334, 500, 1000, 20_000]
    assert voice.session(-1) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = ("prompt", "completion", "input", "output", "total", "cached", "audio", "reasoning")
WORDS = st.sampled_from([f"{kind}_tokens{more}" for kind in KINDS for more in ("", "_details")])


@given(JSON | st.dictionaries(st.just("usage"), JSON | st.dictionaries(WORDS, JSON | st.dictionaries(WORDS, JSON))))
def test_reading_usage_never_fails(document):
    usage = usage_of(document)
    assert usage is None or min(usage.parts().values()) >= 0


CHAT = {
    "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 1, "accepted_prediction_tokens": 0},
}  # fmt: skip
RESPONSE = {
    "input_tokens": 36, "input_tokens_details": {"cached_tokens": 30}, "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 39,
}  # fmt: skip
REALTIME = {
    "total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
    "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64,
                            "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4}},
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (CHAT, Usage(19, 5, 4, 0, 0, 10, 7, 1)),
        (RESPONSE, Usage(36, 30, output_tokens=3, reasoning_tokens=2)),
        (REALTIME, Usage(132, 64, 0, 13, 4, 121, 0, 91)),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": None}, Usage(5, output_tokens=1)),
        # Not told apart: as little of what is cached is sound as fits.
        ({"input_tokens": 100, "input_tokens_details": {"audio_tokens": 60, "cached_tokens": 64}}, Usage(100, 64, 0, 60, 24)),
        # Thinking that is in the total only.
        ({"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}, Usage(20, 0, 0, 0, 0, 533, 382)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 3}, Usage(9, output_tokens=2)),
        (None, None),
        ({}, None),
        ([], None),
        ({"type": "duration", "seconds": 9}, None),
        ({"prompt_tokens": True, "completion_tokens": 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 1}, None),
        ({"prompt_tokens": 1.0, "completion_tokens": 1}, None),
        ({"prompt_tokens": 10**13, "completion_tokens": 1}, None),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, None),
        ({"prompt_tokens": 5, "prompt_tokens_details": [1]}, None),
    ],
)  # fmt: skip
def test_usage_as_it_is_reported(said, usage):
    assert usage_of({"usage": said}) == usage
    assert usage_of(ChatCompletion({"usage": said})) == usage_of(Response({"usage": said})) == usage


def test_no_usage_at_all():
    assert usage_of({"id": "resp_1"}) is usage_of(None) is usage_of("usage") is None


@pytest.mark.parametrize("name", PRICE_FIELDS)
@pytest.mark.parametrize(
    "bad", [True, "", "free", "1_0", "-1", "nan", -0.001, math.nan, math.inf, [], 10**9, "1e999999999"]
)
def test_fields_that_are_no_prices(name, bad):
    with pytest.raises(ValueError, match=name):
        Price.of_fields({name: bad})


@given(st.decimals(0, 1000, places=12))
def test_fields_are_exact(amount):
    for spelled in (amount, str(amount), f"{amount:e}"):
        price = Price.of_fields({"output_cost_per_token": spelled})
        assert price.tiers[0].output == Fraction(amount) * 10**6
    assert Price.of_fields({"input_cost_per_token": 2.5e-06}).tiers[0].input == Fraction(5, 2)


def test_fields():
    assert Price.of_fields({}) is Price.of_fields({"mode": "chat", "input_cost_per_token": None}) is None
    price = Price.of_fields(
        {
            "input_cost_per_token": 2e-6, "output_cost_per_token": "1e-05", "cache_read_input_token_cost": 2e-7,
            "output_cost_per_second": 9, "output_cost_per_video_per_second": 0.1, "input_cost_per_second": 0.001,
        }
    )  # fmt: skip
    assert price.tokens(Usage(100, 50, output_tokens=10)) == 100 + 10 + 100
    assert price.video(8, "1280x720") == price.video(8) == 800_000
    assert price.session(2.0001) == 2001
    assert Price.of_fields({"input_cost_per_token": 0}).tokens(Usage(7)) == 0
    assert (callsheet.Price, callsheet.Usage) == (Price, Usage)


TEXTS = st.text(max_size=80)
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}


@given(st.lists(TEXTS, max_size=4), st.integers(0, 6000) | st.none(), st.integers(1, 4) | st.none(), st.data())
def test_a_bound_is_one(texts, limit, n, data):
    request = CreateChatCompletion(
        messages=[{"role": "user", "content": text} for text in texts], max_completion_tokens=limit, n=n
    )
    most = bound(ALL, "chat_completions", request)
    read = data.draw(st.integers(0, sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)))
    written = data.draw(st.integers(0, min(4000 if limit is None else limit, 4000) * (n or 1)))
    cached, thought = data.draw(st.integers(0, read)), data.draw(st.integers(0, written))
    usage = Usage(read, cached, read - cached, output_tokens=written, reasoning_tokens=thought)
    assert ALL.tokens(usage) <= most


def test_what_a_text_is_bound_by():
    ask = {"messages": [{"role": "user", "content": "hi"}]}
    least = bound(LONG, "chat_completions", CreateChatCompletion(**ask, max_completion_tokens=1))
    longest = bound(LONG, "chat_completions", CreateChatCompletion(**ask))
    assert longest - least == pytest.approx(22.5 * (16_384 - 1), abs=1)
    assert bound(ALL, "chat_completions", CreateChatCompletion(**ask)) < 17 * 4000 + 5 * 200
    # What the vendor would not look at limits nothing.
    assert bound(LONG, "chat_completions", CreateChatCompletion(**ask, max_output_tokens=1)) > longest
    picture = bound(
        LONG, "responses", CreateResponse(input=[{"role": "user", "content": [PICTURE]}], max_output_tokens=1)
    )
    assert 5 * 3000 < picture < 5 * 3200
    schema = {"type": "function", "name": "f", "parameters": {"x" * 500: {}}}
    assert bound(LONG, "responses", CreateResponse(input="a", tools=[schema], max_output_tokens=0)) > 5 * 500
    heard = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]
    assert bound(LONG, "chat_completions", CreateChatCompletion(messages=heard)) is None
    assert bound(ALL, "chat_completions", CreateChatCompletion(messages=heard, max_tokens=0)) > 32 * 30
    assert bound(LONG, "chat_completions", CreateChatCompletion(**ask, modalities=["audio"])) is None
    assert bound(FILM, "responses", CreateResponse(input="a")) is None
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    assert bound(LONG, "responses", CreateResponse.model_construct(input=deep)) > 0


@pytest.mark.parametrize("none", [0, -1])
def test_a_limit_of_nothing_is_none(none):
    ask = {"messages": [{"role": "user", "content": "hi"}]}
    unlimited = bound(LONG, "chat_completions", CreateChatCompletion(**ask))
    assert bound(LONG, "chat_completions", CreateChatCompletion.model_construct(**ask, max_completion_tokens=none)) == (
        unlimited
    )
    request = CreateResponse.model_construct(input="hi", max_output_tokens=none)
    assert bound(LONG, "responses", request) == bound(LONG, "responses", CreateResponse(input="hi"))


@pytest.mark.parametrize("field", ["url", "image_url", "file_data"])
@pytest.mark.parametrize("text", ["https://a/" + "words " * 5000, "words " * 5000, "https://a/"])
def test_a_text_in_the_place_of_a_picture_is_one(field, text):
    request = CreateResponse(input=[{"role": "user", "content": [{field: text}]}], max_output_tokens=1)
    assert bound(LONG, "responses", request) >= 5 * max(3000, len(text))


@pytest.mark.parametrize("many", [[[]] * 3_000_000, [{"a": [{}] * 1000}] * 3000, [[[0] * 100] * 100] * 300])
def test_millions_of_values_are_not_looked_at(many):
    began = time.monotonic()
    request = CreateResponse.model_construct(input=many, max_output_tokens=1)
    assert bound(LONG, "responses", request) >= 5 * 32 * 1024 * 1024
    assert estimated_tokens(request) >= 32 * 1024 * 1024 // 4
    assert time.monotonic() - began < 0.5


def test_an_own_price_has_the_limits_of_the_published_one():
    published = priced(
        input=1, output=1, video={"1280x720": 0.1}, default_seconds=8, default_size="1280x720", extend_seconds=7,
        max_seconds=30, max_output_tokens=500, max_session_seconds=60,
    )  # fmt: skip
    own = Price.of_fields({"input_cost_per_token": 0.00001, "output_cost_per_token": 0.0001})
    both = own.with_limits_of(published)
    limits = (
        "default_seconds",
        "default_size",
        "extend_seconds",
        "max_seconds",
        "max_output_tokens",
        "max_session_seconds",
    )
    assert {name: getattr(both, name) for name in limits} == {name: getattr(published, name) for name in limits}
    assert (both.tiers, both.videos, both.source) == (own.tiers, {}, "configuration")
    assert bound(both, "responses", CreateResponse(input="a")) < bound(own, "responses", CreateResponse(input="a"))
    assert attrs.evolve(own, max_output_tokens=9).with_limits_of(published).max_output_tokens == 9
    assert own.with_limits_of(None) is own


MADE = {"id": "video_1", "status": "completed"}
FILMS = [
    # operation, request, what came of it, bound, charge
    (
        "generate_video",
        GenerateVideo(prompt="x", seconds="8", size="1280x720"),
        {"seconds": "8", "size": "1280x720"},
        800,
        800,
    ),
    ("generate_video", GenerateVideo(prompt="x"), {}, 400, 400),
    ("generate_video", GenerateVideo(prompt="x", seconds="8", size="1792x1024"), {}, 4000, 4000),
    ("generate_video", GenerateVideo(prompt="x", size="1920x1080"), {}, None, None),
    (
        "extend",
        Extend(video=VideoRef(id="v"), prompt="x", seconds="8"),
        {"seconds": "20", "size": "1280x720"},
        4000,
        800,
    ),
    ("extend", Extend(video=VideoRef(id="v"), prompt="x"), {"seconds": "20", "size": "1280x720"}, 2000, 400),
    ("edit", Edit(video=VideoRef(id="v"), prompt="x"), {"seconds": "12", "size": "1792x1024"}, 10_000, 6000),
    ("remix", Remix(video_id="v", prompt="x"), {"seconds": "4", "size": "1280x720"}, 10_000, 400),
    ("edit", Edit(video=VideoRef(id="v"), prompt="x"), {"size": "1280x720"}, 10_000, None),
]


@pytest.mark.parametrize(("operation", "request_", "result", "most", "cost"), FILMS)
def test_videos(operation, request_, result, most, cost):
    video = Video.model_validate({**MADE, **result})
    thousand = [None if amount is None else amount * 1000 for amount in (most, cost)]
    assert [bound(FILM, operation, request_), charge_of_video(FILM, operation, request_, video)] == thousand
    failed = Video.model_validate({**MADE, **result, "status": "failed"})
    assert charge_of_video(FILM, operation, request_, failed) == 0
    assert charge_of_video(attrs.evolve(FILM, charges_failed=True), operation, request_, failed) == thousand[1]
    assert charge_of_video(None, operation, request_, video) is bound(None, operation, request_) is None
    assert bound(LONG, operation, request_) is None


def test_the_other_calls():
    offer, clip = RelaySDP(sdp=OFFER), CreateCharacter(name="Luna", video=b"clip")
    assert bound(priced(session=0.06), "relay_sdp", offer) == 3_600_000
    assert bound(priced(session=0.06, max_session_seconds=60), "relay_sdp", offer) == 60_000
    assert bound(LONG, "relay_sdp", offer) is None
    assert bound(priced(character=0), "create_character", clip) == 0
    assert bound(priced(character=0.01), "create_character", clip) == 10_000
    assert bound(FILM, "create_character", clip) is None
    assert (
        bound(None, "get_video", GetVideo(video_id="v"))
        == bound(None, "mint_realtime_secret", MintRealtimeSecret())
        == 0
    )
    assert bound(LONG, "operation_of_tomorrow", offer) is None
    assert charge_of_video(FILM, "get_video", GetVideo(video_id="v"), Video.model_validate(MADE)) is None
