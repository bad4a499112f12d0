// Writing events: one line to say something, or JSON with presets, checked while it is written.

const said = (text) => ({
  type: "conversation.item.create",
  item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
});
const ANSWER = { type: "response.create" };
const PRESETS = {
  "session.update": {
    type: "session.update",
    session: { type: "realtime", instructions: "Answer in one short sentence." },
  },
  "say something": [said("What is 6 times 7?"), ANSWER],
  "response.create": ANSWER,
  "response.cancel": { type: "response.cancel" },
};

export class Composer {
  #text = document.getElementById("event");
  #says = document.getElementById("event-says");
  #line = document.getElementById("say-text");
  #buttons = [document.getElementById("send-go"), document.getElementById("say-go")];
  #send;
  #open = false;

  /** `send` takes one event. */
  constructor(send) {
    this.#send = send;
    for (const [name, preset] of Object.entries(PRESETS)) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "small", textContent: name });
      button.addEventListener("click", () => this.#fill(preset));
      document.getElementById("presets").append(button);
    }
    this.#text.addEventListener("input", () => this.#check());
    this.#text.addEventListener("keydown", (key) => {
      if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) this.#sendText();
    });
    onSubmit("send", () => this.#sendText());
    onSubmit("say", () => this.#say());
    this.#fill(PRESETS["session.update"]);
  }

  /** Whether there is a channel to send by. */
  set open(open) {
    this.#open = open;
    this.#check();
    for (const button of this.#buttons) button.setAttribute("aria-disabled", String(!open));
  }

  #fill(preset) {
    this.#text.value = JSON.stringify(preset, null, 2);
    this.#check();
  }

  #check() {
    const [events, wrong] = parse(this.#text.value);
    const count = events.length === 1 ? "One event" : `${events.length} events`;
    const hint = this.#open ? "Ctrl+Enter sends." : "Connect to send.";
    this.#tell(wrong ?? `${count}. ${hint}`, wrong !== null);
    return wrong === null ? events : null;
  }

  #sendText() {
    const events = this.#check();
    if (!events || !this.#open) return;
    for (const event of events) this.#send(event);
    this.#tell(`Sent ${events.map((event) => event.type).join(", ")}.`, false);
  }

  #say() {
    const text = this.#line.value.trim();
    if (!text || !this.#open) return;
    this.#send(said(text));
    this.#send(ANSWER);
    this.#line.value = "";
  }

  #tell(text, bad) {
    this.#says.textContent = text;
    this.#says.classList.toggle("bad", bad);
    this.#text.setAttribute("aria-invalid", String(bad));
  }
}

function onSubmit(id, act) {
  document.getElementById(id).addEventListener("submit", (submit) => {
    submit.preventDefault();
    act();
  });
}

/** [events, what is wrong or null] */
function parse(text) {
  if (!text.trim()) return [[], "Write an event, or take a preset."];
  let value;
  try {
    value = JSON.parse(text);
  } catch (problem) {
    return [[], `This is not JSON: ${problem.message}`];
  }
  const events = Array.isArray(value) ? value : [value];
  const fine = (event) => event !== null && typeof event === "object" && typeof event.type === "string";
  if (!events.length || !events.every(fine)) return [[], "An event is an object with a type, such as {\"type\": \"response.create\"}."];
  return [events, null];
}
