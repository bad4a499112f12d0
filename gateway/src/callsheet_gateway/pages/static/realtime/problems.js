// What went wrong, in words: what it is, and what to do about it.

import { ApiError } from "./api.js";

// A failure that this page names itself.
export class CallError extends Error {
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

const AGAIN = "Connect again: each call takes a fresh key.";
const NETWORK =
  "Offer and answer were exchanged, but no packets go through. A firewall or VPN may block UDP; " +
  "on another machine than the gateway's, its addresses must be reachable from here.";
const BY_NAME = {
  NotAllowedError: [
    "The microphone was denied.",
    "Allow it for this site in the address bar's menu and connect again, or switch off “Send my microphone”.",
  ],
  NotFoundError: ["There is no microphone.", "Plug one in, or switch off “Send my microphone”."],
  NotReadableError: [
    "The microphone can't be opened.",
    "Another program may hold it: close that, or switch off “Send my microphone”.",
  ],
};

/** [what happened, what to do] */
export function explain(problem) {
  if (problem instanceof CallError) return [problem.message, problem.advice];
  if (problem instanceof ApiError) return [`${problem.status}: ${problem.message}`, adviceFor(problem)];
  if (problem instanceof DOMException && BY_NAME[problem.name]) return BY_NAME[problem.name];
  if (problem instanceof TypeError && /fetch/i.test(problem.message)) {
    return ["The gateway does not answer.", "Is “callsheet serve” still running? Start it, and connect again."];
  }
  return [String(problem?.message ?? problem), "The browser's console may say more."];
}

function adviceFor({ status, code }) {
  if (/_api_key$/.test(code)) return "Enter the gateway's master key, or one that was made by “callsheet keys create”.";
  if (status === 401) return AGAIN;
  if (status === 404) return "Choose one of the models in the list.";
  if (status === 429) return "Wait a moment, then connect again.";
  if (status === 501) return "Choose a model whose provider does realtime.";
  return status >= 500 ? "The provider failed. Connect again, or try another model." : "Change the call and connect again.";
}

export const noWay = () => new CallError("No connection to the other side (ICE failed).", NETWORK);
export const tooSlow = (seconds) =>
  new CallError(`The data channel did not open within ${seconds} seconds.`, NETWORK);
export const insecure = () =>
  new CallError(
    "Browsers give a microphone to secure pages only.",
    "Open this page by https, or as localhost or 127.0.0.1; or switch off “Send my microphone”.",
  );
export const lost = () => new CallError("The connection was lost.", NETWORK);
