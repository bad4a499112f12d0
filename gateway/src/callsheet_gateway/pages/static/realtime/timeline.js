// The steps of a call as a waterfall: each bar runs from the step before to its own moment.

// First audio may come long after the channel opened, when nobody speaks: beyond so many times the rest, its bar fades out.
const MOST = 2.5;

export class Timeline {
  #rows = [...document.querySelectorAll("#timeline li")];
  #times = new Map();

  /** A new call begins. */
  reset() {
    this.#times.clear();
    for (const row of this.#rows) {
      row.className = "";
      row.querySelector("output").textContent = "–";
      delete row.dataset.ms;
    }
    this.#next()?.classList.add("running");
    this.#draw();
  }

  /** A step was reached. Only the first time counts. */
  mark(name, ms) {
    if (this.#times.has(name)) return;
    const row = this.#rows.find((row) => row.dataset.step === name);
    this.#times.set(name, ms);
    row.classList.remove("running");
    row.classList.add("done");
    row.dataset.ms = ms.toFixed(1);
    row.querySelector("output").textContent = `${Math.round(ms).toLocaleString("en")} ms`;
    this.#next()?.classList.add("running");
    this.#draw();
  }

  /** The call has ended: nothing is waited for any more; after a failure the step that failed is marked. */
  stop(failed) {
    const row = this.#next();
    row?.classList.remove("running");
    if (failed && row) {
      row.classList.add("failed");
      row.querySelector("output").textContent = "failed";
    }
  }

  #next() {
    return this.#rows.find((row) => !this.#times.has(row.dataset.step));
  }

  #draw() {
    const times = [...this.#times.values()];
    const setUp = Math.max(...this.#rows.slice(0, 4).map((row) => this.#times.get(row.dataset.step) ?? 0));
    const whole = Math.min(Math.max(...times, 1), setUp * MOST || 1);
    for (const row of this.#rows) {
      const at = this.#times.get(row.dataset.step);
      const from = Math.max(0, ...times.filter((time) => time < at));
      const bar = row.querySelector("i");
      // By the object model, not as an attribute: the page's policy allows no inline style.
      bar.style.setProperty("--from", `${at ? Math.min(99, (100 * from) / whole) : 0}%`);
      bar.style.setProperty("--long", `${at ? (100 * (Math.min(at, whole) - Math.min(from, whole))) / whole : 0}%`);
      row.classList.toggle("beyond", at > whole);
    }
  }
}
