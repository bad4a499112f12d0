"""Content filters: typed reads of what they say, in answers, streams and errors; nothing of it is lost."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from core.tests.conftest import Mode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plugins.azure.tests.conftest import azure_client

from callsheet import APIStatusError, BadRequestError, ChatCompletion, Event, Reply, Response
from callsheet_azure import AzureProvider, AzureSettings, ContentFilter, ContentFilterError, filter_reports
from callsheet_azure.filters import FilterReport
from callsheet_azure.wire import BLOCKED, CODE, FILTERS, PROMPT_RESULTS, AzureWire, prompt_error

HELLO = [{"role": "user", "content": "Hello"}]
SAFE = ContentFilter(False, "safe", None, {"filtered": False, "severity": "safe"})


def stripped(reports: list[FilterReport]) -> list[tuple[str, int, set[str], bool]]:
    return [(report.source, report.index, set(report.filters), report.blocked) for report in reports]


async def test_a_chats_reports(client: Any) -> None:
    answer = await client.chat_completions(model="gpt", messages=HELLO, n=2)
    reports = filter_reports(answer)
    assert stripped(reports) == [
        ("prompt", 0, {*FILTERS, "jailbreak"}, False),
        ("completion", 0, set(FILTERS), False),
        ("completion", 1, set(FILTERS), False),
    ]
    assert reports[0].filters["hate"] == SAFE
    assert reports[0].filters["jailbreak"] == ContentFilter(False, None, False, {"filtered": False, "detected": False})
    assert answer.wire()["prompt_filter_results"] == PROMPT_RESULTS


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_streams_reports_and_its_first_chunk_without_choices(
    asynchronous: bool, client: Any, fake: AzureWire
) -> None:
    fake.asynchronous = asynchronous
    async with await client.chat_completions(
        model="gpt", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        events = [event async for event in chunks]
    first = events[0].data
    assert (first["choices"], first["id"], first["prompt_filter_results"]) == ([], "", PROMPT_RESULTS)
    said = [choice.get("delta", {}).get("content") or "" for event in events for choice in event.data["choices"]]
    assert "".join(said) == fake.reply
    reports = [report for event in events for report in filter_reports(event)]
    assert reports[0].source == "prompt"
    assert {report.source for report in reports[1:]} == {"completion"}
    if asynchronous:
        [last] = filter_reports(events[-1])
        assert "delta" not in events[-1].data["choices"][0]
        assert last.offsets == {"check_offset": 44, "start_offset": 44, "end_offset": 198}
        assert last.filters["hate"] == SAFE


async def test_a_responses_reports(client: Any, fake: AzureWire) -> None:
    answer = await client.responses(model="gpt", input="Hi")
    reports = filter_reports(answer)
    assert stripped(reports) == [
        ("prompt", 0, set(FILTERS), False),
        ("completion", 1, {"hate", "protected_material_code"}, False),
    ]
    assert reports[1].filters["protected_material_code"].raw == CODE
    assert reports[1].offsets == {"start_offset": 0, "end_offset": 1042, "check_offset": 0}
    assert answer.wire()["content_filters"][1]["content_filter_raw"] == []
    async with await client.responses(model="gpt", input="Hi", stream=True) as events:
        last = [event async for event in events][-1]
    assert stripped(filter_reports(last)) == stripped(reports)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("spelling", ["content_filter_result", "content_filter_results"])
@pytest.mark.parametrize("name", ["chat_completions", "responses", "generate_video"])
async def test_a_filtered_prompt(name: str, spelling: str, stream: bool, client: Any, fake: AzureWire) -> None:
    fake.results = spelling
    asked: dict[str, Any] = {
        "chat_completions": {"messages": [{"role": "user", "content": BLOCKED}]},
        "responses": {"input": BLOCKED},
        "generate_video": {"prompt": BLOCKED},
    }
    asked = asked[name]
    if stream and name != "generate_video":
        asked |= {"stream": True}
    with pytest.raises(ContentFilterError, match="filtered due to the prompt") as caught:
        await getattr(client, name)(model="gpt", **asked)
    error = caught.value
    assert isinstance(error, BadRequestError)
    assert error.message == prompt_error()["error"]["message"]
    assert (error.code, error.param, error.status_code, error.provider) == ("content_filter", "prompt", 400, "azure")
    assert error.request_id == f"apim-{0:032x}"
    assert error.body == prompt_error(spelling)
    assert error.filters["hate"] == ContentFilter(True, "high", None, {"filtered": True, "severity": "high"})
    assert error.filters["jailbreak"].detected is False
    assert error.filters["violence"].severity == "medium"
    assert pickle.loads(pickle.dumps(error)).filters == copy.copy(error).filters == error.filters
    assert not fake.book.entries
    assert len(fake.seen) == 1


def raised(document: object, status: int = 400) -> APIStatusError:
    error = provider().error(Reply(status, {}, json.dumps(document).encode(), "/chat/completions"))
    assert isinstance(error, APIStatusError)
    return error


def provider() -> AzureProvider:
    return AzureProvider(AzureSettings(base_url="https://res-1.openai.azure.com"))


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": "content_filter", "message": "No."}},
        {"error": {"code": "content_filter", "message": "No.", "innererror": "odd"}},
        {"error": {"code": None, "message": "No.", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        {"code": "content_filter", "message": "No.", "innererror": {"content_filter_result": []}},
    ],
)
def test_a_filtered_prompt_of_which_less_is_said(document: object) -> None:
    error = raised(document)
    assert isinstance(error, ContentFilterError)
    assert (error.message, error.filters) == ("No.", {})


def test_a_filtered_prompt_without_an_envelope() -> None:
    error = raised(prompt_error()["error"])
    assert isinstance(error, ContentFilterError)
    assert error.filters["hate"].filtered


def test_another_bad_request_is_none() -> None:
    assert (
        type(raised({"error": {"code": "invalid", "message": "No.", "innererror": {"code": "x"}}})) is BadRequestError
    )
    assert not isinstance(raised(prompt_error(), 500), ContentFilterError)


@pytest.mark.parametrize("name", ["error", "content_filter_error"])
def test_filters_that_failed(name: str) -> None:
    failure = {"code": "content_filter_error", "message": "The contents are not filtered"}
    [report] = filter_reports({"choices": [{"index": 3, "content_filter_results": {name: failure}}]})
    assert (report.index, report.filters, report.error, report.blocked) == (3, {}, failure, False)


def test_prompts_by_their_other_name() -> None:
    said = {"prompt_annotations": [{"prompt_index": 1, "content_filter_results": {"hate": FILTERS["hate"]}}]}
    assert stripped(filter_reports(ChatCompletion(said))) == [("prompt", 1, {"hate"}, False)]


def test_what_is_blocked() -> None:
    hate = {"hate": {"filtered": True, "severity": "high"}}
    [report] = filter_reports({"choices": [{"finish_reason": "content_filter", "content_filter_results": hate}]})
    assert report.blocked
    [report] = filter_reports(Response({"content_filters": [{"blocked": True, "source_type": "prompt"}]}))
    assert (report.source, report.blocked, report.filters) == ("prompt", True, {})


@pytest.mark.parametrize("hits", [[{"filtered": True, "id": "list-1"}], {"filtered": True, "details": []}])
def test_blocklists_of_ones_own_are_spelled_in_two_ways(hits: Any) -> None:
    [report] = filter_reports({"choices": [{"content_filter_results": {"custom_blocklists": hits}}]})
    assert report.blocked
    assert report.filters["custom_blocklists"].filtered


@pytest.mark.parametrize("raw", ["", "[DONE]", "[]", "3", "null", '{"response": 5}', "[" * 5000])
def test_events_that_say_nothing_of_filters(raw: str) -> None:
    assert filter_reports(Event("message", raw)) == []


NAMES = st.sampled_from(
    ["choices", "prompt_filter_results", "prompt_annotations", "content_filters", "content_filter_results", "response",
     "hate", "error", "content_filter_error", "filtered", "severity", "detected", "prompt_index", "index", "source_type",
     "content_filter_offsets", "blocked", "innererror", "content_filter_result", "code", "message", "custom_blocklists"]
)  # fmt: skip
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
    ["content_filter", "ResponsibleAIPolicyViolation", "prompt"]
)  # fmt: skip
JUNK = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)


@settings(max_examples=100, deadline=None)
@example(
    {"choices": [{"index": "1", "content_filter_results": {"hate": {"filtered": 1, "severity": 5, "detected": "no"}}}]}
)
@given(st.dictionaries(NAMES, JUNK, max_size=4))
def test_nothing_that_is_said_breaks_the_reading(document: dict[str, Any]) -> None:
    for answer in (document, Event.of("message", document), ChatCompletion(document), Response(document)):
        for report in filter_reports(answer):
            assert isinstance(report.index, int)
            assert isinstance(report.blocked, bool)
            for verdict in report.filters.values():
                assert isinstance(verdict.filtered, bool)
                assert isinstance(verdict.severity, str | None)
                assert isinstance(verdict.detected, bool | None)


AZURE = provider()


@settings(max_examples=100, deadline=None)
@given(JUNK | st.fixed_dictionaries({"error": JUNK}), st.sampled_from([400, 401, 404, 429, 500]), st.booleans())
def test_nothing_that_is_said_breaks_an_error(document: Any, status: int, video: bool) -> None:
    content = json.dumps(document).encode()
    error = AZURE.error(Reply(status, {}, content, "/videos" if video else "/responses"))
    assert isinstance(error, APIStatusError)
    assert error.status_code == status
    assert all(isinstance(verdict, ContentFilter) for verdict in getattr(error, "filters", {}).values())


async def test_a_filtered_answer_is_an_answer(mode: Mode, fake: AzureWire, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = {"hate": {"filtered": True, "severity": "high"}}

    def annotate(self: AzureWire, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        choice = {**value["choices"][0], "finish_reason": "content_filter", "content_filter_results": blocked}
        del choice["message"]["content"]
        return {**value, "choices": [choice]}

    monkeypatch.setattr(AzureWire, "annotate", annotate)
    answer = await azure_client(mode, fake).chat_completions(model="gpt", messages=HELLO)
    assert (answer.text, answer.choices[0]["finish_reason"]) == (None, "content_filter")
    assert [report.blocked for report in filter_reports(answer)] == [True]


@pytest.mark.parametrize("kind", ["chat", "response"])
async def test_an_answer_that_is_filtered_in_the_middle(
    kind: str, mode: Mode, fake: AzureWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {
        "code": "content_filter",
        "message": "The response was filtered.",
        "innererror": {"content_filter_result": {"violence": {"filtered": True, "severity": "high"}}},
    }
    spoiled = {"error": error} if kind == "chat" else {"type": "error", "sequence_number": 3, "error": error}

    def annotate(self: AzureWire, _kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*events[:-1], spoiled, events[-1]]

    monkeypatch.setattr(AzureWire, "annotate_events", annotate)
    client = azure_client(mode, fake)
    if kind == "chat":
        stream = await client.chat_completions(model="gpt", messages=HELLO, stream=True)
    else:
        stream = await client.responses(model="gpt", input="Hello", stream=True)
    with pytest.raises(ContentFilterError, match="was filtered") as caught:
        async for _ in stream:
            pass
    assert caught.value.filters["violence"].severity == "high"
    assert (caught.value.status_code, caught.value.should_retry) == (400, False)
