"""The routes as plain HTTP, over the embedded provider."""

import json

import pytest

from callsheet.operations import OPERATIONS


def test_it_lives_and_lists(gateway):
    with gateway.http() as http:
        assert http.get("/health/live").json() == {"status": "ok"}
        names = [model["id"] for model in http.get("/models").json()["data"]]
        assert names == gateway.models == ["local/motion-1", "local/realtime-1", "local/scribe-1"]
        assert http.get("/models/local/scribe-1").json()["id"] == "local/scribe-1"
        table = {provider["id"]: provider for provider in http.get("/providers").json()["data"]}
        assert set(table["local"]["operations"]) == set(OPERATIONS)
        assert table["local"]["operations"]["edit"] == "works"
        assert table["stub"]["operations"]["edit"] != "works"
        assert [name for name, provider in table.items() if provider["configured"]] == ["local"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_every_operation_has_its_route_with_and_without_v1(gateway, prefix):
    with gateway.http() as http:
        for operation in OPERATIONS.values():
            path = operation.route
            for name in ("video_id", "character_id", "call_id", "response_id"):
                path = path.replace(f"{{{name}}}", "nothing")
            answer = http.request(operation.method, f"{gateway.root}{prefix}{path}")
            assert answer.status_code < 500, (operation.name, answer.text)
            assert answer.status_code == 200 or answer.json()["error"]["code"] not in {"unknown_route", None}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/videos", {"GET", "POST"}),
        ("POST", "/videos/video_x", {"GET", "DELETE"}),
        ("GET", "/videos/edits", {"POST"}),
        ("GET", "/videos/characters", {"POST"}),
        ("GET", "/responses", {"POST"}),
        ("DELETE", "/health/live", {"GET", "HEAD"}),
        ("HEAD", "/videos/video_x/events", {"GET"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(gateway, method, path, allowed):
    with gateway.http() as http:
        answer = http.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert method == "HEAD" or answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/responses/compact", "/responses/input_tokens"])
def test_what_the_sdk_knows_and_nobody_here_does(gateway, path):
    with gateway.http() as http:
        answer = http.post(path, json={"model": "local/scribe-1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "unsupported_operation")
    assert answer.headers["x-should-retry"] == "false"


def test_a_route_that_there_is_not(gateway):
    with gateway.http() as http:
        answer = http.get("/image/generations")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "there is no /v1/image/generations here; GET /openapi.json lists what there is",
            "type": "invalid_request_error",
            "param": None,
            "code": "unknown_route",
        }
    }


def test_a_video_from_order_to_bytes(gateway):
    order = {"model": "local/motion-1", "prompt": "A lighthouse", "size": "320x180", "seconds": 2}
    with gateway.http() as http:
        video = http.post("/videos", json=order).json()
        assert video["model"] == "local/motion-1"
        assert set(video) >= {"error", "expires_at", "completed_at", "remixed_from_video_id"}
        events = []
        with http.stream("GET", f"/videos/{video['id']}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "data":
                    events.append(json.loads(value))
        assert events[-1]["status"] == "completed"
        assert events[-1]["id"] == video["id"]
        whole = http.get(f"/videos/{video['id']}/content")
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.content[4:8] == b"ftyp"
        etag = whole.headers["etag"]
        part = http.get(f"/videos/{video['id']}/content", headers={"range": "bytes=4-7", "if-range": etag})
        assert (part.status_code, part.content) == (206, b"ftyp")
        assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"
        same = http.get(f"/videos/{video['id']}/content", headers={"if-none-match": etag})
        assert (same.status_code, same.content) == (304, b"")
        assert http.get(f"/videos/{video['id']}/content", headers={"if-none-match": "*"}).status_code == 304
        other = http.get(f"/videos/{video['id']}/content", headers={"if-none-match": '"a", W/"b,c"'})
        assert other.status_code == 200
        head = http.head(f"/videos/{video['id']}/content", headers={"range": "bytes=0-1"})
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
        for odd in ("bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=0-1,4-5", "lines=1-2", "bytes=²-"):
            ignored = http.get(f"/videos/{video['id']}/content", headers={"range": odd.encode()})
            assert (ignored.status_code, len(ignored.content)) == (200, len(whole.content))
        thumbnail = http.get(f"/videos/{video['id']}/content", params={"variant": "thumbnail"})
        assert thumbnail.headers["content-type"] == "image/webp"
        beyond = http.get(f"/videos/{video['id']}/content", headers={"range": "bytes=99999999-"})
        assert beyond.status_code == 416
        listed = http.get("/videos", params={"limit": 1}).json()
        assert listed["data"][0]["id"] == video["id"]
        assert listed["data"][0]["model"] == "local/motion-1"
        assert http.delete(f"/videos/{video['id']}").json()["deleted"] is True
        gone = http.get(f"/videos/{video['id']}")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
        assert video["id"][:20] in gone.json()["error"]["message"]  # the caller's id, not the provider's
