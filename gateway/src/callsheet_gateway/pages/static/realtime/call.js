// One call: token -> offer -> answer -> channel. However it ends, end() leaves nothing behind: no track that records,
// no connection, no session on the server.

import { hangUp, mint, relay } from "./api.js";
import { insecure, lost, noWay, tooSlow } from "./problems.js";

const OPEN_WITHIN_S = 15;
const ENDED = Symbol("ended");

export class Call {
  #on;
  #base;
  #started = 0;
  #ended = false;
  #tracks = [];
  #peer = null;
  #channel = null;
  #place = null;
  #timer = 0;

  /**
   * `base` is the API's URL, ending in /v1. `on` is told what happens: step(name, ms), note(what), event(event),
   * sent(event), key(expires_at), placed(call id), microphone(stream), incoming(stream), ended(problem or null, by whom).
   */
  constructor(base, on) {
    this.#base = base;
    this.#on = on;
  }

  get open() {
    return this.#channel?.readyState === "open";
  }

  /** Milliseconds since the call began. */
  get age() {
    return performance.now() - this.#started;
  }

  async start(session, withMicrophone) {
    this.#started = performance.now();
    try {
      // Neither needs the other, and people take their time to allow a microphone.
      const [token, stream] = await Promise.all([this.#token(session), withMicrophone ? this.#listen() : null]);
      const sdp = await this.#offer(stream);
      const answer = await this.#answer(token, sdp);
      await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
      this.#goOn();
      this.#timer = setTimeout(() => this.open || this.end(tooSlow(OPEN_WITHIN_S)), OPEN_WITHIN_S * 1000);
    } catch (problem) {
      if (problem !== ENDED) this.end(problem);
    }
  }

  /** Sends an event. The channel must be open. */
  send(event) {
    this.#channel.send(JSON.stringify(event));
    this.#on.sent(event);
  }

  /** Ends the call: by the user (no problem), by a failure, or because the other side did. */
  end(problem = null, who = "you") {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const track of this.#tracks) track.stop();
    const close = () => this.#peer?.close();
    if (this.#place && who === "you") {
      // Ask first, close then: a server that saw the connection close would know no such call any more.
      hangUp(this.#place).then(close);
      setTimeout(close, 1000);
    } else {
      close();
    }
    this.#on.ended(problem, who);
  }

  #goOn() {
    if (this.#ended) throw ENDED;
  }

  #step(name) {
    this.#goOn();
    this.#on.step(name, this.age);
  }

  async #token(session) {
    const secret = await mint(this.#base, session);
    this.#step("token");
    this.#on.note({ type: "token", expires_at: secret.expires_at, session: secret.session });
    this.#on.key(secret.expires_at);
    return secret.value;
  }

  async #listen() {
    if (!navigator.mediaDevices) throw insecure();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    if (this.#ended) for (const track of stream.getTracks()) track.stop();
    this.#goOn();
    this.#tracks = stream.getTracks();
    this.#on.microphone(stream);
    return stream;
  }

  async #offer(stream) {
    const peer = (this.#peer = new RTCPeerConnection());
    peer.ontrack = ({ track, streams }) => this.#on.incoming(streams[0] ?? new MediaStream([track]));
    peer.onconnectionstatechange = () => {
      if (this.#ended) return;
      this.#on.note({ type: `connection ${peer.connectionState}` });
      if (peer.connectionState === "failed") this.end(this.#channel.readyState === "connecting" ? noWay() : lost());
    };
    if (stream) peer.addTrack(stream.getAudioTracks()[0], stream);
    else peer.addTransceiver("audio", { direction: "recvonly" });
    this.#channel = peer.createDataChannel("oai-events");
    this.#channel.onopen = () => this.#ended || this.#step("open");
    this.#channel.onclose = () => this.end(null, "they");
    this.#channel.onmessage = ({ data }) => this.#ended || this.#on.event(read(data));
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    this.#step("offer");
    this.#on.note({ type: "offer", sdp: lines(offer.sdp) });
    return offer.sdp;
  }

  async #answer(token, offer) {
    const { sdp, place } = await relay(this.#base, token, offer);
    if (this.#ended && place) hangUp(place); // it began when nobody wanted it any more
    this.#step("answer");
    this.#on.note({ type: "answer", location: place, sdp: lines(sdp) });
    this.#place = place;
    if (place) this.#on.placed(place.split("/").pop());
    return sdp;
  }
}

const lines = (sdp) => sdp.trim().split(/\r?\n/);

function read(data) {
  try {
    return JSON.parse(data);
  } catch {
    return { type: "(not JSON)", data: String(data) };
  }
}
