"""Every operation with plain curl, as in the README: `$B` is the base URL, `$V`, `$C`, `$R`, `$CALL` are ids made before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from attrs import frozen
from gateway.tests.films import film, finished
from gateway.tests.serving import BUNNY
from plugins.local.tests.peer import Peer

from callsheet.operations import OPERATIONS

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")

AS_JSON = "-H 'Content-Type: application/json'"
CURLS = {
    "create_character": """$B/videos/characters -F 'video=@clip.mp4;type=video/mp4' -F name=Luna""",
    "get_character": """$B/videos/characters/$C""",
    "generate_video": f"""$B/videos {AS_JSON}
        -d '{{"model":"local/motion-1","prompt":"A cat","seconds":"1","size":"320x180"}}'""",
    "get_video": """$B/videos/$V""",
    "list_videos": """ "$B/videos?limit=1&order=asc" """,
    "delete_video": """-X DELETE $B/videos/$V""",
    "download_video": """-L "$B/videos/$V/content?variant=video" -o out.mp4""",
    "edit": f"""$B/videos/edits {AS_JSON} -d '{{"video":{{"id":"'$V'"}},"prompt":"golden hour"}}'""",
    "extend": f"""$B/videos/extensions {AS_JSON} -d '{{"video":{{"id":"'$V'"}},"prompt":"Night","seconds":"1"}}'""",
    "remix": f"""$B/videos/$V/remix {AS_JSON} -d '{{"prompt":"A storm"}}'""",
    "mint_realtime_secret": f"""$B/realtime/client_secrets {AS_JSON}
        -d '{{"session":{{"type":"realtime","model":"local/realtime-1"}}}}'""",
    "relay_sdp": """-i $B/realtime/calls -H "Authorization: Bearer $KEY" -H 'Content-Type: application/sdp'
        --data-binary @offer.sdp""",
    "hang_up": """-X POST -w '%{http_code}' $B/realtime/calls/$CALL/hangup""",
    "responses": f"""$B/responses {AS_JSON} -d '{{"model":"local/scribe-1","input":"What is 6 times 7?"}}'""",
    "get_response": """$B/responses/$R""",
    "delete_response": """-X DELETE $B/responses/$R""",
    "cancel_response": """-X POST $B/responses/$R/cancel""",
    "list_input_items": """ "$B/responses/$R/input_items?order=asc" """,
    "chat_completions": f"""$B/chat/completions {AS_JSON}
        -d '{{"model":"local/scribe-1","messages":[{{"role":"user","content":"What is 6 times 7?"}}]}}'""",
}


@frozen
class Shell:
    """A folder with a shell in it that knows the ids."""

    gateway: object
    folder: object

    def curl(self, words, **variables):
        """What a curl says. The key is any; proxies are not asked."""
        done = subprocess.run(
            [
                "bash",
                "-c",
                "curl --no-progress-meter --noproxy '*' --fail-with-body -m 60 " + " ".join(words.split("\n")),
            ],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "B": self.gateway.base_url, **variables},
            capture_output=True,
        )
        assert done.returncode == 0, (done.stdout[:2000], done.stderr)
        return done.stdout.decode()

    def operation(self, name, **variables):
        """The document that a curl brings."""
        return json.loads(self.curl(CURLS[name], **variables))


@pytest.fixture
def shell(gateway, tmp_path):
    shutil.copy(BUNNY, tmp_path / "clip.mp4")
    return Shell(gateway, tmp_path)


@pytest.fixture
def video(gateway):
    with gateway.http() as http:
        return film(http)["id"]


def test_every_operation_has_its_curl():
    assert set(CURLS) == set(OPERATIONS)


def test_characters(shell):
    made = shell.operation("create_character")
    assert made["name"] == "Luna"
    assert shell.operation("get_character", C=made["id"]) == made


def test_a_video_is_made_looked_at_and_fetched(shell):
    made = shell.operation("generate_video")
    assert (made["status"], made["prompt"], made["seconds"]) == ("queued", "A cat", "1")
    assert shell.operation("get_video", V=made["id"])["id"] == made["id"]
    with shell.gateway.http() as http:
        finished(http, made["id"])
    assert shell.operation("list_videos")["object"] == "list"
    shell.curl(CURLS["download_video"], V=made["id"])
    assert (shell.folder / "out.mp4").read_bytes()[4:8] == b"ftyp"
    assert shell.operation("delete_video", V=made["id"]) == {
        "id": made["id"],
        "object": "video.deleted",
        "deleted": True,
    }


def test_a_download_is_taken_up_where_it_broke_off(shell, video):
    shell.curl(CURLS["download_video"], V=video)
    whole = (shell.folder / "out.mp4").read_bytes()
    (shell.folder / "out.mp4").write_bytes(whole[:1000])
    shell.curl("-C - " + CURLS["download_video"], V=video)
    assert (shell.folder / "out.mp4").read_bytes() == whole


@pytest.mark.parametrize(("operation", "seconds"), [("edit", "1"), ("extend", "2"), ("remix", "1")])
def test_a_video_is_changed(shell, video, operation, seconds):
    made = shell.operation(operation, V=video)
    assert (made["remixed_from_video_id"], made["seconds"]) == (video, seconds)
    with shell.gateway.http() as http:
        finished(http, made["id"])


def test_a_call(shell):
    key = shell.operation("mint_realtime_secret")["value"]
    with Peer(audio=None) as peer:
        (shell.folder / "offer.sdp").write_bytes(peer.offer())
        said = shell.curl(CURLS["relay_sdp"], KEY=key)
        head, _, answer = said.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 201 ")
        (location,) = [line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("location:")]
        peer.accept(answer.encode())
        assert shell.curl(CURLS["hang_up"], CALL=location.rpartition("/")[2]).endswith("200")
        assert peer.closed.wait(10)


def test_responses(shell):
    made = shell.operation("responses")
    assert "42" in made["output"][-1]["content"][0]["text"]
    assert shell.operation("get_response", R=made["id"]) == made
    assert [item["role"] for item in shell.operation("list_input_items", R=made["id"])["data"]] == ["user"]
    background = CURLS["responses"].replace('"input":"What is 6 times 7?"', '"input":"Count to 5000","background":true')
    slow = json.loads(shell.curl(background))
    assert shell.operation("cancel_response", R=slow["id"])["status"] == "cancelled"
    assert shell.operation("delete_response", R=made["id"])["deleted"] is True


def test_a_chat(shell):
    assert "42" in shell.operation("chat_completions")["choices"][0]["message"]["content"]


def test_streams(shell):
    events = shell.curl("-N " + CURLS["responses"].replace('"input"', '"stream":true,"input"')).split("\n\n")
    assert events[0].startswith("event: response.created\ndata: {")
    assert events[-2].startswith("event: response.completed\ndata: {")
    assert events[-1] == ""
    chunks = shell.curl("-N " + CURLS["chat_completions"].replace('"messages"', '"stream":true,"messages"')).split(
        "\n\n"
    )
    assert all(chunk.startswith("data: ") for chunk in chunks[:-1])
    assert chunks[-2:] == ["data: [DONE]", ""]


def test_an_error_has_its_status(shell):
    said = shell.curl("-w '%{http_code}' $B/videos/video_1 || true").splitlines()
    assert said[-1].endswith("}}404")
