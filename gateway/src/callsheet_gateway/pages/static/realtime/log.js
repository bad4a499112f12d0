// The event log: one line for each event, its JSON on demand. It follows the newest line, but not while the reader is
// at another: has scrolled up, or has a line in focus.

import { paint } from "./paint.js";

const MOST = 500;
const NEAR = 24;
const ARROWS = { in: "↓", out: "↑", note: "•" };
const WAYS = { in: "received", out: "sent", note: "note" };

export class EventLog {
  #list = document.getElementById("log");
  #count = document.getElementById("log-count");
  #empty = document.getElementById("log-empty");
  #newer = document.getElementById("newer");
  #filter = document.getElementById("filter");
  #welcome = [...this.#empty.childNodes];
  #follows = true;
  #texts = new WeakMap();

  constructor() {
    this.#filter.addEventListener("input", () => this.#sift());
    document.getElementById("clear").addEventListener("click", () => this.clear());
    this.#newer.addEventListener("click", () => this.#follow());
    this.#list.addEventListener("keydown", (key) => this.#step(key));
    this.#list.addEventListener("scroll", () => {
      this.#follows = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < NEAR;
      if (this.#follows) this.#newer.hidden = true;
    });
  }

  /** `way` is "in", "out" or "note"; `ms` since the call began. */
  add(way, event, ms) {
    const row = document.createElement("li");
    row.className = way;
    if (event.type === "error" || event.response?.status === "failed") row.classList.add("bad");
    row.dataset.type = event.type;
    row.append(details(way, event, ms));
    this.#texts.set(row, JSON.stringify(event).toLowerCase());
    row.hidden = !this.#matches(row);
    this.#list.append(row);
    if (this.#list.childElementCount > MOST) this.#list.firstElementChild.remove();
    this.#tell();
    if (this.#follows && !this.#list.querySelector(":focus")) this.#follow();
    else if (!row.hidden) this.#newer.hidden = false;
  }

  clear() {
    this.#list.replaceChildren();
    this.#newer.hidden = true;
    this.#follows = true;
    this.#tell();
  }

  /** The log is one stop of the Tab key, not hundreds: within it the arrows go from line to line, and Enter opens one. */
  #step(key) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key.key];
    if (!step) return;
    const lines = [...this.#list.querySelectorAll(":scope > li:not([hidden]) summary")];
    const at = lines.indexOf(document.activeElement);
    const next = at < 0 ? lines.at(-1) : lines[at + step];
    next?.focus();
    key.preventDefault();
  }

  #matches(row) {
    return this.#texts.get(row).includes(this.#filter.value.trim().toLowerCase());
  }

  #sift() {
    for (const row of this.#list.children) row.hidden = !this.#matches(row);
    this.#tell();
    this.#follow();
  }

  #follow() {
    this.#follows = true;
    this.#newer.hidden = true;
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  #tell() {
    const all = this.#list.childElementCount;
    const shown = this.#list.querySelectorAll(":scope > li:not([hidden])").length;
    this.#count.textContent = all === 0 ? "none yet" : shown === all ? `${all}` : `${shown} of ${all}`;
    if (all >= MOST) this.#count.textContent += " (the last)";
    this.#empty.hidden = shown > 0;
    if (all === 0) this.#empty.replaceChildren(...this.#welcome);
    else if (shown === 0) this.#empty.textContent = "No event has this text.";
  }
}

function details(way, event, ms) {
  const box = document.createElement("details");
  const line = document.createElement("summary");
  line.tabIndex = -1;
  const arrow = span("way", ARROWS[way]);
  arrow.role = "img";
  arrow.ariaLabel = WAYS[way];
  const time = document.createElement("time");
  time.textContent = `${(ms / 1000).toFixed(3)}`;
  line.append(time, arrow, span("type", event.type), span("gist", gist(event)));
  box.append(line);
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector("pre")) return;
    const json = document.createElement("pre"); // made when it is wanted: most never are
    paint(json, JSON.stringify(event, null, 2), "json");
    box.append(json);
  });
  return box;
}

function span(kind, text) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}

/** What an event is about, in a few words. */
function gist(event) {
  const said = event.error?.message ?? event.transcript ?? event.delta ?? event.text ?? event.arguments ?? event.message;
  if (typeof said === "string") return said.slice(0, 300);
  const content = event.item?.content?.[0];
  const written = content?.text ?? content?.transcript;
  if (typeof written === "string") return written.slice(0, 300);
  return event.location ?? event.response?.status ?? event.session?.instructions?.slice(0, 120) ?? event.item?.type ?? "";
}
