// The gateway's routes, as this page uses them.

export class ApiError extends Error {
  constructor(status, message, code) {
    super(message);
    Object.assign(this, { status, code });
  }
}

const KEPT = "callsheet key"; // for as long as the tab is open
let key = sessionStorage.getItem(KEPT) ?? "";

/** The key to show to the gateway, "" for none. */
export const shownKey = () => key;

/** Shows this key from now on. */
export function useKey(value) {
  key = value.trim();
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
}

const withKey = (headers = {}) => (key ? { ...headers, Authorization: `Bearer ${key}` } : headers);

/** The models to offer, and the one to begin with. A model that says nothing about its operations may be for realtime. */
export async function listModels(base) {
  const { data } = await (await checked(await fetch(`${base}/models`, { headers: withKey() }))).json();
  const fits = (model) => model.operations?.includes("mint_realtime_secret");
  const offered = data.filter((model) => fits(model) || !model.operations);
  return { names: offered.map((model) => model.id), first: (offered.find(fits) ?? offered[0])?.id ?? "" };
}

/** An ephemeral key for a session: {value, expires_at, session}. */
export async function mint(base, session) {
  const headers = withKey({ "Content-Type": "application/json" });
  const request = { method: "POST", headers, body: JSON.stringify({ session }) };
  return (await checked(await fetch(`${base}/realtime/client_secrets`, request))).json();
}

/** Sends an offer. Returns {sdp, place}: the answer, and the call's URL if the gateway told it. */
export async function relay(base, token, offer) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" };
  const response = await checked(await fetch(`${base}/realtime/calls`, { method: "POST", headers, body: offer }));
  const location = response.headers.get("Location");
  return { sdp: await response.text(), place: location && new URL(location, base).href };
}

/** Ends a call. The request outlives the page. */
export function hangUp(place) {
  return fetch(`${place}/hangup`, { method: "POST", headers: withKey(), keepalive: true }).catch(() => {}); // it is over either way
}

/** The response, if it is good. Else its error envelope is thrown. */
async function checked(response) {
  if (response.ok) return response;
  const text = await response.text();
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not the gateway's: a proxy's page, perhaps. Its beginning says more than nothing.
  }
  throw new ApiError(response.status, error.message || text.slice(0, 300) || response.statusText, error.code);
}
