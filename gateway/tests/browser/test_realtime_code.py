"""The same call as code: the seeds' JavaScript as users paste it, also from another origin, and what the page shows."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx
import pytest
from gateway.tests.browser.chromium import HERTZ, run, watched
from gateway.tests.serving import serving

CONFIG = """
model_list:
  - model_name: gpt-4o-realtime
    litellm_params:
      model: local/realtime-1
"""
SEED = """
// 1. Token
const r = await fetch("http://proxy:4000/v1/realtime/client_secrets", {
  method: "POST",
  headers: { "Authorization": "Bearer sk-litellm-key", "Content-Type": "application/json" },
  body: JSON.stringify({ model: "gpt-4o-realtime" }),
});
const { client_secret } = await r.json();
const token = client_secret.value;

// 2. WebRTC
const pc = new RTCPeerConnection();
const audio = document.createElement("audio");
audio.autoplay = true;
pc.ontrack = (e) => (audio.srcObject = e.streams[0]);
const ms = await navigator.mediaDevices.getUserMedia({ audio: true });
pc.addTrack(ms.getTracks()[0]);
const dc = pc.createDataChannel("oai-events");
const offer = await pc.createOffer();
await pc.setLocalDescription(offer);

const sdpRes = await fetch("http://proxy:4000/v1/realtime/calls", {
  method: "POST",
  headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/sdp" },
  body: offer.sdp,
});
await pc.setRemoteDescription({ type: "answer", sdp: await sdpRes.text() });

// 3. Events
dc.onopen = () => dc.send(JSON.stringify({ type: "session.update", session: { instructions: "..." } }));
"""
"""As in the post, but for its last line: sent before the channel is open, the event would be an InvalidStateError."""
WATCH = """
const events = [];
const answered = new Promise((done) => {
  dc.onmessage = ({ data }) => {
    events.push(JSON.parse(data));
    if (events.at(-1).type === "output_audio_buffer.started") done();
  };
});
await answered;
const { pitchOf, levelOf } = await import("GATEWAY/static/realtime/pitch.js");
const context = new AudioContext();
const analyser = new AnalyserNode(context, { fftSize: 2048 });
context.createMediaStreamSource(audio.srcObject).connect(analyser);
const samples = new Float32Array(2048);
const pitches = [];
for (let i = 0; i < 200 && pitches.length < 15; i++) {
  await new Promise((go) => setTimeout(go, 20));
  analyser.getFloatTimeDomainData(samples);
  const hz = levelOf(samples) > -40 ? pitchOf(samples, context.sampleRate) : null;
  if (hz) pitches.push(hz);
}
const location = sdpRes.headers.get("Location");
await fetch(new URL(location + "/hangup", sdpRes.url), { method: "POST" });
pc.close();
await context.close();
for (const track of ms.getTracks()) track.stop();
return { status: sdpRes.status, location, events, pitch: pitches.sort((a, b) => a - b)[pitches.length >> 1] };
"""


@contextmanager
def blank_site():
    """Another origin on this machine: one empty page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = b'<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def elsewhere():
    with blank_site() as origin:
        yield origin


@pytest.fixture(scope="module")
def aliased(tmp_path_factory, elsewhere):
    """A gateway whose config names the seeds' model, and that lets the other origin in."""
    folder = tmp_path_factory.mktemp("aliased")
    (folder / "config.yaml").write_text(CONFIG)
    with serving(folder / "data", "--config", str(folder / "config.yaml"), "--cors-origin", elsewhere) as running:
        yield running


@pytest.mark.parametrize("where", ["the served page", "another origin"])
def test_the_seeds_javascript(browser, aliased, elsewhere, where):
    with watched(browser, aliased.page if where == "the served page" else elsewhere) as page:
        script = SEED.replace("http://proxy:4000", aliased.root) + WATCH.replace("GATEWAY", aliased.root)
        said = run(page, script)
    assert said["status"] == 201
    assert re.fullmatch(r"/v1/realtime/calls/rtc_[\w-]+", said["location"])
    types = [event["type"] for event in said["events"]]
    assert types[0] == "session.created"
    assert "session.updated" in types
    heard = [one for one in said["events"] if one["type"] == "conversation.item.input_audio_transcription.completed"]
    tone = re.search(r"a tone of ([\d.]+) Hz", heard[0]["transcript"])
    assert float(tone[1]) == pytest.approx(HERTZ, rel=0.02)
    assert said["pitch"] == pytest.approx(220, rel=0.03)


def test_the_preflight(aliased, elsewhere):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    with aliased.http() as client:
        answer = client.options("/realtime/calls", headers={"origin": elsewhere, **asked})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == elsewhere
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        answer = client.get("/models", headers={"origin": elsewhere})
        assert "location" in answer.headers["access-control-expose-headers"].lower()


def test_without_the_setting_other_origins_are_refused(browser, gateway, elsewhere):
    script = f"""
        try {{
          await fetch("{gateway.base_url}/realtime/client_secrets", {{ method: "POST", body: "{{}}" }});
          return "answered";
        }} catch (problem) {{
          return problem.name;
        }}"""
    with watched(browser, elsewhere, allowed=("CORS policy", "net::ERR_FAILED", "403")) as page:
        assert run(page, script) == "TypeError"
    with gateway.http() as client:
        answer = client.post("/realtime/client_secrets", headers={"origin": elsewhere}, json={})
    assert answer.status_code == 403
    assert f"--cors-origin {elsewhere}" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture
def page(browser, gateway):
    from playwright.sync_api import expect

    with watched(browser, gateway.page) as opened:
        expect(opened.locator("#model")).to_have_value("local/realtime-1")
        opened.select_option("#voice", "sage")
        opened.fill("#instructions", """It's a "test", with C:\\paths""")
        yield opened


def test_the_pages_javascript(page):
    code = page.inner_text("#code")
    assert "getUserMedia" in code
    end = 'return await new Promise((done) => dc.addEventListener("message", (e) => done(JSON.parse(e.data))));'
    event = run(page, f"{code}\n{end}")
    assert event["type"] == "session.created"
    assert event["session"]["audio"]["output"]["voice"] == "sage"
    assert event["session"]["instructions"] == """It's a "test", with C:\\paths"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_pages_curl(page):
    page.click("#tab-curl")
    code = page.inner_text("#code").partition("# 2.")[0]
    said = subprocess.run(["sh", "-c", code.replace("curl ", "curl -sS ")], capture_output=True, text=True, timeout=30)
    secret = json.loads(said.stdout)
    assert secret["value"].startswith("ek_")
    assert secret["session"]["instructions"] == """It's a "test", with C:\\paths"""


def test_the_pages_python(page, tmp_path):
    page.click("#tab-python")
    program = tmp_path / "call.py"
    program.write_text(page.inner_text("#code"), encoding="utf-8")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    types = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert types[0] == "session.created"
    assert types[-1] == "response.done"


def test_the_page_is_served_under_a_strict_policy(gateway):
    with httpx.Client(base_url=gateway.root, trust_env=False) as client:
        for path in ("/realtime", "/static/style.css", "/static/icon.svg", "/static/realtime/main.js"):
            answer = client.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/static/../realtime.html").status_code == 404
        assert client.get("/", follow_redirects=True).url.path == "/realtime"
