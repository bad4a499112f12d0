"""What the fake upstream has, and how it changes: jobs, files, lists, calls, stored responses; and the book of it."""

from __future__ import annotations

import json

import pytest
from core.tests.fake_kit import AUTH, MP4, NOW, OFFER, WAYS, form, fresh

from callsheet.testing import Entry, FakeUpstream, Violation

ASK = {"model": "m", "input": "hi"}


@pytest.fixture
def way():
    with WAYS["blocking"](fresh()) as made:
        yield made
        assert not made.fake.problems


def job(way, **fields):
    return way.ask("POST", "/videos", {"prompt": "a cat", **fields}).json()


def done(way, **fields):
    id = job(way, **fields)["id"]
    for _ in range(way.fake.polls_until_done):
        video = way.ask("GET", f"/videos/{id}").json()
    return video


def refused(got, status, code):
    assert (got.status, got.json()["error"]["code"]) == (status, code)


def test_a_job_goes_on_at_each_look(way):
    begun = job(way, seconds="8", size="1280x720", model="sora-2-pro")
    assert (begun["status"], begun["seconds"], begun["size"], begun["model"]) == (
        "queued",
        "8",
        "1280x720",
        "sora-2-pro",
    )
    looks = [way.ask("GET", f"/videos/{begun['id']}").json() for _ in range(3)]
    assert [(look["status"], look["progress"]) for look in looks] == [
        ("in_progress", 50),
        ("completed", 100),
        ("completed", 100),
    ]
    assert looks[0]["completed_at"] is looks[0]["expires_at"] is None
    assert (looks[2]["completed_at"], looks[2]["expires_at"]) == (NOW, NOW + 3600)


def test_a_job_fails_when_told(way):
    way.fake.fail_job("moderation_blocked", "No.")
    failed, other = done(way), done(way)
    assert (failed["status"], failed["error"]) == ("failed", {"code": "moderation_blocked", "message": "No."})
    assert other["status"] == "completed"


def test_what_a_job_asks_for(way):
    way.fake.poll_after = 0.25
    assert way.ask("POST", "/videos", {"prompt": "a"}).headers["openai-poll-after-ms"] == "250"


def test_unfinished_things_are_refused(way):
    id = job(way)["id"]
    refused(way.ask("GET", f"/videos/{id}/content"), 404, "video_not_ready")
    refused(way.ask("DELETE", f"/videos/{id}"), 400, "video_not_ready")
    refused(way.ask("POST", f"/videos/{id}/remix", {"prompt": "x"}), 400, "video_not_ready")
    refused(way.ask("POST", "/videos/edits", {"prompt": "x", "video": {"id": id}}), 400, "video_not_ready")


def test_what_is_not_there_is_refused(way):
    for path in ("/videos/v", "/videos/v/content", "/videos/characters/c", "/responses/r", "/responses/r/input_items"):
        refused(way.ask("GET", path), 404, "not_found")
    for path in ("/videos/v", "/responses/r"):
        refused(way.ask("DELETE", path), 404, "not_found")
    refused(way.ask("POST", "/videos", {"prompt": "x", "characters": [{"id": "c"}]}), 404, "not_found")
    refused(way.ask("POST", "/videos/edits", {"prompt": "x", "video": {"id": "v"}}), 404, "not_found")
    refused(way.ask("POST", "/realtime/calls/rtc_1/hangup"), 404, "not_found")
    refused(way.ask("POST", "/responses/r/cancel"), 404, "not_found")
    refused(way.ask("POST", "/responses", {**ASK, "previous_response_id": "r"}), 400, "previous_response_not_found")
    refused(way.ask("GET", "/videos?after=v"), 404, "not_found")
    assert not way.fake.book.entries


def test_a_deleted_video_is_gone(way):
    id = done(way)["id"]
    assert way.ask("DELETE", f"/videos/{id}").json() == {"id": id, "object": "video.deleted", "deleted": True}
    refused(way.ask("GET", f"/videos/{id}"), 404, "not_found")


def test_jobs_out_of_jobs(way):
    source = done(way, seconds="8")
    remix = way.ask("POST", f"/videos/{source['id']}/remix", {"prompt": "x"}).json()
    assert (remix["remixed_from_video_id"], remix["seconds"]) == (source["id"], "8")
    reference = {"video": {"id": source["id"]}, "prompt": "y"}
    assert way.ask("POST", "/videos/edits", reference).json()["seconds"] == "8"
    assert way.ask("POST", "/videos/extensions", {**reference, "seconds": "20"}).json()["seconds"] == "28"
    body, headers = form(("prompt", "z"), ("video", MP4, "video/mp4", "a.mp4"), ("seconds", "4"))
    assert way.ask("POST", "/videos/extensions", body, headers).json()["seconds"] == "8"


def test_characters_of_a_form(way):
    body, headers = form(("name", "Mossy"), ("video", MP4, "video/mp4", "a.mp4"))
    ids = [way.ask("POST", "/videos/characters", body, headers).json()["id"] for _ in range(2)]
    for parts in (
        [("characters[][id]", id) for id in ids],
        [("characters", json.dumps([{"id": id} for id in ids]))],
    ):
        body, headers = form(("prompt", "two"), *parts)
        assert way.ask("POST", "/videos", body, headers).status == 200
    body, headers = form(("prompt", "two"), ("input_reference[file_id]", "file_1"))
    assert way.ask("POST", "/videos", body, headers).status == 200


def test_pages(way):
    ids = [job(way)["id"] for _ in range(5)]
    whole = way.ask("GET", "/videos").json()
    assert [video["id"] for video in whole["data"]] == ids[::-1]
    assert (whole["first_id"], whole["last_id"], whole["has_more"]) == (ids[4], ids[0], False)
    first = way.ask("GET", "/videos?order=asc&limit=2").json()
    assert [video["id"] for video in first["data"]] == ids[:2]
    assert first["has_more"] is True
    second = way.ask("GET", f"/videos?order=asc&limit=3&after={first['last_id']}").json()
    assert [video["id"] for video in second["data"]] == ids[2:]
    assert second["has_more"] is False
    empty = way.ask("GET", "/videos?limit=0").json()
    assert (empty["data"], empty["first_id"], empty["last_id"], empty["has_more"]) == ([], None, None, True)


def test_files_and_ranges(way):
    path = f"/videos/{done(way)['id']}/content"
    whole = way.ask("GET", path)
    etag = whole.headers["etag"]
    assert (len(whole.body), whole.headers["content-type"], whole.body[4:8]) == (96 * 1024, "video/mp4", b"ftyp")
    assert way.ask("GET", f"{path}?variant=thumbnail").headers["content-type"] == "image/webp"
    assert way.ask("GET", f"{path}?variant=spritesheet").body.startswith(b"\xff\xd8")
    for asked, start, end in (("0-9", 0, 9), ("98300-", 98300, 98303), ("-5", 98299, 98303), ("5-999999", 5, 98303)):
        part = way.ask("GET", path, headers={"range": f"bytes={asked}", "if-range": etag})
        assert (part.status, part.body) == (206, whole.body[start : end + 1])
        assert part.headers["content-range"] == f"bytes {start}-{end}/98304"
    assert way.ask("GET", path, headers={"range": "bytes=5-", "if-range": '"other"'}).body == whole.body
    beyond = way.ask("GET", path, headers={"range": "bytes=98304-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */98304")


def test_an_odd_range_is_a_violation():
    with WAYS["blocking"](fresh()) as way:
        assert way.ask("GET", f"/videos/{done(way)['id']}/content", headers={"range": "bytes=-"}).status == 416
        assert len(way.fake.problems) == 1


def test_what_expires():
    clock = [float(NOW)]
    with WAYS["blocking"](FakeUpstream(clock=lambda: clock[0])) as way:
        id = done(way)["id"]
        secret = way.ask("POST", "/realtime/client_secrets", {"expires_after": {"seconds": 10}}).json()
        assert secret["expires_at"] == NOW + 10
        sdp = {"content-type": "application/sdp"}
        assert way.ask("POST", "/realtime/calls", OFFER, sdp, secret["value"]).status == 201
        clock[0] += 10
        refused(way.ask("POST", "/realtime/calls", OFFER, sdp, secret["value"]), 401, "invalid_api_key")
        assert way.ask("GET", f"/videos/{id}/content").status == 200
        clock[0] += 3600
        refused(way.ask("GET", f"/videos/{id}/content"), 404, "expired")
        assert not way.fake.problems


def test_a_call(way):
    session = {"type": "realtime", "model": "gpt-realtime-2.1", "audio": {"output": {"voice": "marin"}}}
    secret = way.ask("POST", "/realtime/client_secrets", {"session": session}).json()
    assert secret["session"]["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }
    made = way.ask("POST", "/realtime/calls", OFFER, {"content-type": "application/sdp"}, secret["value"])
    assert made.headers["content-type"] == "application/sdp"
    lines = made.body.decode().split("\r\n")
    assert lines[0] == "v=0"
    assert [line for line in lines if line.startswith(("m=", "a=mid"))] == [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=mid:1",
    ]
    [(id, call)] = way.fake.state.calls.items()
    assert made.headers["location"] == f"/v1/realtime/calls/{id}"
    assert call.offer == OFFER
    assert way.ask("POST", f"/realtime/calls/{id}/hangup").body == b""
    refused(way.ask("POST", f"/realtime/calls/{id}/hangup"), 404, "not_found")


def test_a_response_is_stored_unless_not(way):
    kept = way.ask("POST", "/responses", ASK).json()
    assert way.ask("GET", f"/responses/{kept['id']}").json() == kept
    next_one = way.ask("POST", "/responses", {**ASK, "previous_response_id": kept["id"], "store": False}).json()
    assert next_one["previous_response_id"] == kept["id"]
    refused(way.ask("GET", f"/responses/{next_one['id']}"), 404, "not_found")
    refused(way.ask("POST", f"/responses/{kept['id']}/cancel"), 400, "invalid_value")
    listed = way.ask("GET", f"/responses/{kept['id']}/input_items").json()
    assert listed["data"][0]["content"] == [{"type": "input_text", "text": "hi"}]
    assert way.ask("DELETE", f"/responses/{kept['id']}").json() == {
        "id": kept["id"],
        "object": "response",
        "deleted": True,
    }
    refused(way.ask("GET", f"/responses/{kept['id']}"), 404, "not_found")


def test_a_response_in_the_background(way):
    later = way.ask("POST", "/responses", {**ASK, "background": True}).json()
    path = f"/responses/{later['id']}"
    assert (later["status"], later["output"], later["usage"]) == ("queued", [], None)
    assert [way.ask("GET", path).json()["status"] for _ in range(3)] == ["in_progress", "completed", "completed"]
    stopped = way.ask("POST", "/responses", {**ASK, "background": True}).json()
    assert way.ask("POST", f"/responses/{stopped['id']}/cancel").json()["status"] == "cancelled"
    assert way.ask("GET", f"/responses/{stopped['id']}").json()["status"] == "cancelled"


def test_the_grammar_of_events(way):
    events = way.ask("POST", "/responses", {**ASK, "stream": True}).events()
    kinds = [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert sum(kind in {"response.completed", "response.failed", "response.incomplete"} for kind in kinds) == 1
    assert "response.vendor_weather.updated" in kinds[2:-2]
    whole = events[-1]["response"]
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message", "message"]
    assert [item.get("phase") for item in whole["output"]] == [None, "commentary", "final_answer"]
    assert whole["output"][0]["vendor_note"]["n"] == 2**64
    for number in (1, 2):
        deltas = [e for e in events if e["type"] == "response.output_text.delta" and e["output_index"] == number]
        assert "".join(delta["delta"] for delta in deltas) == whole["output"][number]["content"][0]["text"]
        assert all(delta["obfuscation"] for delta in deltas)
    assert events[0]["response"]["usage"] is None
    again = way.ask("GET", f"/responses/{whole['id']}?stream=true&starting_after=4").events()
    assert again == events[5:]
    plain = way.ask("POST", "/responses", {**ASK, "stream": True, "stream_options": {"include_obfuscation": False}})
    assert not any("obfuscation" in event for event in plain.events())


def test_the_grammar_of_chunks(way):
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    got = way.ask("POST", "/chat/completions", {**ask, "stream_options": {"include_usage": True}})
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert b"event:" not in got.body
    *chunks, last = got.events()
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == way.fake.reply
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 29)
    plain = way.ask("POST", "/chat/completions", {**ask, "n": 2, "stream_options": {"include_obfuscation": False}})
    assert not any("usage" in chunk or "obfuscation" in chunk for chunk in plain.events())


def test_the_book(way):
    id = done(way, model="sora-2-pro")["id"]
    way.ask("POST", "/responses", ASK)
    way.ask("POST", "/videos", {"prompt": "x", "characters": [{"id": "nobody"}]})
    assert way.fake.book.accepted("video") == [Entry("video", id, 0, "sora-2-pro")]
    assert [entry.kind for entry in way.fake.book.accepted()] == ["video", "response"]
    assert way.fake.book.of_request(3)[0].kind == "response"
    assert way.fake.book.of_request(1) == way.fake.book.of_request(4) == []
    assert way.fake.seen[0].route == "POST /videos"


class Cloud(FakeUpstream):
    """Another profile of the same wire."""

    def key_of(self, seen):
        if "api-key" not in seen.headers:
            raise Violation("no key", 401)
        return seen.headers["api-key"]

    def check_call(self, seen):
        pass

    def location(self, call_id):
        return f"/v1/realtime/calls/{call_id}"

    def query_allowed(self, route):
        return {*route.query, "api-version"}

    def extra_headers(self, seen):
        return {"apim-request-id": f"apim-{seen.number}"}

    def error_document(self, error):
        return {"error": {"code": str(error.status), "message": error.message}}

    def annotate(self, kind, value):
        return {**value, "filtered": kind} if kind in {"chat", "response"} else value

    def annotate_events(self, kind, events):
        return [{"id": "", "choices": []}, *events] if kind == "chat" else events


def test_another_profile_of_the_wire():
    fake = Cloud(prefix="/openai/v1", keys={"cloud-key"}, clock=lambda: NOW)
    with WAYS["tcp"](fake) as way:

        def ask(method, path, body=None, **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
            kind = {"content-type": "application/json"} if body else {}
            return way.run(way.send(method, path, {**kind, "api-key": "cloud-key", **named}, content))

        assert ask("GET", "/videos?api-version=preview").headers["apim-request-id"] == "apim-0"
        call = ask("POST", "/realtime/calls", OFFER, content_type="application/sdp")
        assert call.headers["location"].startswith("/v1/realtime/calls/rtc_")
        assert ask("GET", "/videos", api_key="x").json() == {
            "error": {"code": "401", "message": "Incorrect API key provided: x****."}
        }
        chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert ask("POST", "/chat/completions", chat).json()["filtered"] == "chat"
        assert ask("POST", "/chat/completions", {**chat, "stream": True}).events()[0] == {"id": "", "choices": []}
        assert ask("POST", "/responses", ASK).json()["filtered"] == "response"
        assert not fake.problems
        assert way.run(way.send("GET", "/videos", AUTH, b"")).status == 401
        assert len(fake.problems) == 1
