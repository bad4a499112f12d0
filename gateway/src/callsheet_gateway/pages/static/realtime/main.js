// The page: what is asked for, one call at a time, and what is shown of it.

import { listModels, shownKey, useKey } from "./api.js";
import { Call } from "./call.js";
import { showCode } from "./code.js";
import { Composer } from "./composer.js";
import { EventLog } from "./log.js";
import { Meter } from "./meter.js";
import { explain } from "./problems.js";
import { Timeline } from "./timeline.js";

const base = new URL("v1", document.baseURI).href;
const $ = (id) => document.getElementById(id);
const form = $("connect");
const player = $("player");
const log = new EventLog();
const timeline = new Timeline();
const meters = { microphone: new Meter("microphone"), incoming: new Meter("incoming") };
const composer = new Composer((event) => call?.send(event));
const WAITING = { token: "making an offer", offer: "waiting for the answer", answer: "opening the channel" };
let call = null;
let context = null;

function say(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

function show(problem) {
  $("problem").hidden = !problem;
  [$("problem-what").textContent, $("problem-do").textContent] = problem ? explain(problem) : ["", ""];
}

/** What the form asks for, as a session document. */
function session() {
  const instructions = form.instructions.value.trim();
  const asked = { type: "realtime", model: form.model.value.trim() };
  if (instructions) asked.instructions = instructions;
  return { ...asked, audio: { output: { voice: form.voice.value } } };
}

function refreshCode() {
  const key = shownKey() ? "YOUR_KEY" : "sk-anything";
  showCode({ base, key, session: session(), microphone: form.microphone.checked });
}

function setBusy(busy) {
  $("go").setAttribute("aria-disabled", String(busy));
  $("hang-up").setAttribute("aria-disabled", String(!busy));
}

function connect() {
  if (call || !form.reportValidity()) return;
  const model = form.model.value.trim();
  show(null);
  timeline.reset();
  log.clear();
  $("facts").hidden = true;
  $("call-id").textContent = "-";
  for (const name of ["microphone", "incoming"]) $(`${name}-hz`).textContent = "";
  setBusy(true);
  say("connecting", "Connecting: getting a token");
  // Made in the click, so that the browser lets it run.
  context = new AudioContext();
  const mine = (call = new Call(base, {
    step(name, ms) {
      timeline.mark(name, ms);
      if (name !== "open") return say("connecting", `Connecting: ${WAITING[name]}`);
      composer.open = true;
      return say("connected", `Connected to ${model}`);
    },
    note: (what) => log.add("note", what, mine.age),
    event: (event) => log.add("in", event, mine.age),
    sent: (event) => log.add("out", event, mine.age),
    key: (ends) => ($("key-ends").textContent = new Date(ends * 1000).toLocaleTimeString()),
    placed(id) {
      $("call-id").textContent = $("call-id").title = id;
      $("facts").hidden = false;
    },
    microphone: (stream) => meters.microphone.start(context, stream),
    incoming(stream) {
      player.srcObject = stream;
      player.play().catch(() => {}); // a browser that does not let us play shows it: the button says Play
      meters.incoming.start(context, stream, () => timeline.mark("audio", mine.age));
    },
    ended,
  }));
  call.start(session(), form.microphone.checked);
}

function ended(problem, who) {
  const seconds = Math.round(call.age / 1000);
  call = null;
  composer.open = false;
  setBusy(false);
  timeline.stop(Boolean(problem));
  for (const meter of Object.values(meters)) meter.stop();
  player.srcObject = null;
  context.close();
  show(problem);
  if (problem) say("failed", "Failed");
  else say("idle", `${who === "they" ? "The other side hung up" : "Hung up"} after ${seconds} s`);
}

function showMute() {
  const blocked = player.srcObject && player.paused;
  $("mute").textContent = blocked ? "Play" : player.muted ? "Unmute" : "Mute";
  $("mute").setAttribute("aria-pressed", String(player.muted));
}

async function offerModels() {
  try {
    const { names, first } = await listModels(base);
    $("models").replaceChildren(...names.map((name) => new Option(name, name)));
    form.model.value ||= first;
    show(null);
  } catch (problem) {
    show(problem);
    if (problem.status === 401) $("key-field").hidden = false;
  }
  refreshCode();
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  connect();
});
form.addEventListener("input", refreshCode);
form.key.addEventListener("change", () => {
  useKey(form.key.value);
  offerModels();
});
$("hang-up").addEventListener("click", () => call?.end());
$("mute").addEventListener("click", () => {
  if (player.srcObject && player.paused) player.play().catch(() => {});
  else player.muted = !player.muted;
  showMute();
});
for (const name of ["play", "pause", "volumechange", "emptied"]) player.addEventListener(name, showMute);
addEventListener("pagehide", () => call?.end());

form.key.value = shownKey();
$("key-field").hidden = !shownKey();
$("base-url").textContent = base;
refreshCode();
offerModels();
