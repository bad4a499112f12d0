// A level meter: the last seconds of a stream's loudness, drawn on a canvas, with its level and pitch as numbers.

import { levelOf, pitchOf } from "./pitch.js";

const TICK_MS = 25;
const BAR = 3;
const GAP = 2;
export const AUDIBLE_DB = -50;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

export class Meter {
  #canvas;
  #db;
  #hz;
  #source = null;
  #timer = 0;
  #ticks = 0;
  #bars = [];
  #pitches = [];

  constructor(name) {
    this.#canvas = document.getElementById(`${name}-meter`);
    this.#db = document.getElementById(`${name}-db`);
    this.#hz = document.getElementById(`${name}-hz`);
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    dark.addEventListener("change", () => this.#draw());
  }

  /** Measures a stream until stop(). `heard` is called once, when something audible comes. */
  start(context, stream, heard = () => {}) {
    this.stop();
    this.#bars = [];
    this.#source = context.createMediaStreamSource(stream);
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let silent = true;
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = levelOf(samples);
      if (silent && level > AUDIBLE_DB) {
        silent = false;
        heard();
      }
      this.#ticks += 1;
      // Twenty bars a second are enough, and finding the pitch is work: every other tick.
      if (this.#ticks % 2 === 0) this.#measure(level, level > AUDIBLE_DB ? pitchOf(samples, context.sampleRate) : null);
    }, TICK_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#source?.disconnect();
    this.#source = null;
    this.#pitches = [];
    this.#db.textContent = "off";
    this.#canvas.setAttribute("aria-valuenow", "-60");
  }

  #measure(level, hz) {
    this.#bars.push((level + 60) / 60);
    if (this.#bars.length > 400) this.#bars.splice(0, 100);
    if (hz) this.#pitches = [...this.#pitches.slice(-8), hz];
    if (this.#ticks % 8 === 0) this.#tell(level);
    if (!still.matches || this.#ticks % 8 === 0) this.#draw();
  }

  #tell(level) {
    const shown = Math.round(level);
    this.#db.textContent = level <= -60 ? "silent" : `${shown} dB`.replace("-", "−");
    this.#canvas.setAttribute("aria-valuenow", String(shown));
    // The median of the last readings: the edges of a tone measure wrong. It stays until another sound comes.
    if (this.#pitches.length < 3) return;
    const middle = [...this.#pitches].sort((a, b) => a - b)[this.#pitches.length >> 1];
    this.#hz.textContent = `${middle.toFixed(0)} Hz`;
  }

  #draw() {
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const room = Math.floor((width - 12) / (BAR + GAP));
    // With less motion wanted: one bar that grows, no history that runs.
    if (still.matches) {
      pen.fillStyle = style.getPropertyValue("--wave");
      const level = this.#source ? (this.#bars.at(-1) ?? 0) : 0;
      pen.fillRect(6, height / 2 - 4, level * (width - 12), 8);
      return;
    }
    const last = this.#bars.slice(-room);
    for (let i = 0; i < room; i++) {
      const level = last[last.length - room + i] ?? 0;
      const tall = Math.max(2, level * (height - 12));
      pen.fillStyle = style.getPropertyValue(level > 0.02 ? "--wave" : "--line-strong");
      pen.fillRect(6 + i * (BAR + GAP), (height - tall) / 2, BAR, tall);
    }
  }
}
