// The same call as code, for the model, voice and host of the page.

import { paint } from "./paint.js";

const TABS = [...document.querySelectorAll("[role=tab]")];
const panel = document.getElementById("code");
const copy = document.getElementById("copy");
let language = "javascript";
let code = "";
let asked = null;

/** Shows the code of a call: `call` is {base, key, session, microphone}. */
export function showCode(call) {
  asked = call;
  code = { javascript, curl, python }[language](asked);
  paint(panel, code, language);
}

function choose(tab) {
  language = tab.id.replace("tab-", "");
  for (const other of TABS) {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
  }
  panel.setAttribute("aria-labelledby", tab.id);
  panel.scrollTop = 0;
  showCode(asked);
}

for (const [place, tab] of TABS.entries()) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = TABS[(place + step + TABS.length) % TABS.length];
    choose(next);
    next.focus();
  });
}

copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(code);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(panel); // no clipboard for us: then Ctrl+C does it
    copy.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (copy.textContent = "Copy"), 2000);
});

const json = (value, indent) => JSON.stringify(value, null, 2).replaceAll("\n", `\n${" ".repeat(indent)}`);

const javascript = ({ base, key, session, microphone }) => `// 1. Token
const secret = await fetch("${base}/realtime/client_secrets", {
  method: "POST",
  headers: { "Authorization": "Bearer ${key}", "Content-Type": "application/json" },
  body: JSON.stringify({
    session: ${json(session, 4)},
  }),
});
const token = (await secret.json()).value;

// 2. WebRTC
const pc = new RTCPeerConnection();
const audio = document.createElement("audio");
audio.autoplay = true;
pc.ontrack = (e) => (audio.srcObject = e.streams[0]);
${
  microphone
    ? `const ms = await navigator.mediaDevices.getUserMedia({ audio: true });
pc.addTrack(ms.getTracks()[0], ms);`
    : `pc.addTransceiver("audio", { direction: "recvonly" });`
}
const dc = pc.createDataChannel("oai-events");
const offer = await pc.createOffer();
await pc.setLocalDescription(offer);

const call = await fetch("${base}/realtime/calls", {
  method: "POST",
  headers: { "Authorization": \`Bearer \${token}\`, "Content-Type": "application/sdp" },
  body: offer.sdp,
});
await pc.setRemoteDescription({ type: "answer", sdp: await call.text() });

// 3. Events
dc.onmessage = (e) => console.log(JSON.parse(e.data));
dc.onopen = () => dc.send(JSON.stringify({ type: "response.create" }));

// 4. Hang up: fetch(new URL(call.headers.get("Location") + "/hangup", call.url), { method: "POST" })`;

const curl = ({ base, key, session }) => `# 1. Token: prints {"value": "ek_...", ...}
curl ${base}/realtime/client_secrets \\
  -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\
  -d '${json({ session }, 2).replaceAll("'", "'\\''")}'

# 2. WebRTC: an offer that your client made goes in, the answer comes out.
#    The header Location says where the call is.
curl -i ${base}/realtime/calls \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/sdp' \\
  --data-binary @offer.sdp

# 3. Hang up
curl -X POST "${base}/realtime/calls/$CALL_ID/hangup" -H 'Authorization: Bearer ${key}'`;

const python = ({ base, key, session }) => `# pip install openai aiortc
import asyncio
import json

from aiortc import RTCPeerConnection, RTCSessionDescription
from openai import AsyncOpenAI


async def main():
    client = AsyncOpenAI(base_url="${base}", api_key="${key}")
    pc = RTCPeerConnection()
    pc.addTransceiver("audio", direction="recvonly")
    events, done = pc.createDataChannel("oai-events"), asyncio.Event()
    events.on("open", lambda: events.send(json.dumps({"type": "response.create"})))

    @events.on("message")
    def show(message):
        print(message)
        if json.loads(message)["type"] == "response.done":
            done.set()

    await pc.setLocalDescription(await pc.createOffer())
    call = await client.realtime.calls.create(
        sdp=pc.localDescription.sdp,
        session=${json(session, 8)},
    )
    await pc.setRemoteDescription(RTCSessionDescription(call.text, "answer"))
    await done.wait()
    await client.realtime.calls.hangup(call.response.headers["Location"].rpartition("/")[2])
    await pc.close()


asyncio.run(main())`;
