/**
 * The socket client: stays connected, knows how far behind it is, and never pretends.
 *
 *     const live = new Live({ url: "/ws/", topics: ["fleet"] });
 *     live.on("state", ({ topic, seq, at, data }) => …);   // newest state of a topic; also for snapshots
 *     live.on("event", (row) => …);                        // journal rows, in order, each once
 *     live.on("rights", (rights) => …);                    // {"*": […], "robot.oht-01": […]}
 *     live.on("truth", (truth) => …);                      // whenever it may have changed, four times a second
 *     live.connect();
 *
 * @typedef {{kind: "connecting"|"live"|"behind"|"lost"|"ended", behindS: number, since: number|null, why: string}} Truth
 *   since: local ms when the connection was lost. "ended": the server says that nobody is signed in here.
 */
import { CLOCKS_AGREE_WITHIN_MS } from "./truth.js";

const PING_EVERY_MS = 5_000;
const QUIET_MS = 2_000;
const SILENT_MS = 12_000;
const OPENS_WITHIN_MS = 6_000;
const BEHIND_MS = 1_500;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
const STEADY_MS = 5_000;
const TICK_MS = 250;
const CLOCK_JUMP_MS = 1_000;
const SLOW_RETRY_MS = 10_000;

const WHY = {
  4401: "signed out",
  4403: "access was withdrawn",
  4408: "the server heard nothing from here",
  4409: "this page was too slow",
  4429: "too many connections",
  1012: "the server is restarting",
};

export class Live {
  /**
   * @param {{url?: string, topics?: string[], resumeFrom?: number|null, serverTime?: string|null}} options
   *   serverTime: the server's time when the page was made, a first idea of its clock
   */
  constructor({ url = "/ws/", topics = [], resumeFrom = null, serverTime = null } = {}) {
    this.url = new URL(url, location.href.replace(/^http/, "ws")).href;
    this.topics = new Set(topics);
    this.resumeFrom = resumeFrom;
    this.clock = new ServerClock(serverTime);
    /** @type {Object<string, Array<Function>>} */
    this.listeners = {};
    /** @type {WebSocket|null} */
    this.socket = null;
    this.seqs = new Map();
    this.open = false;
    this.failures = 0;
    this.lostSince = null;
    this.why = "";
    this.ended = false;
    this.pings = new Map();
    this.frameDelayMs = 0;
    this.framedAt = 0;
    this.heardAt = 0;
  }

  /** @param {string} kind @param {Function} listener */
  on(kind, listener) {
    (this.listeners[kind] ??= []).push(listener);
    return this;
  }

  /** @param {string} kind @param {any} [content] */
  tell(kind, content) {
    for (const listener of this.listeners[kind] ?? []) listener(content);
  }

  /** Begin, and stay connected from now on. */
  connect() {
    this.startedAt = Date.now();
    this.lastPerformance = performance.now();
    this.lastDate = Date.now();
    setInterval(() => this.tick(), TICK_MS);
    addEventListener("online", () => this.hurry());
    addEventListener("pageshow", (event) => event.persisted && this.hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    this.dial();
  }

  /** Ask for more topics, now and after every reconnect. @param {string[]} topics */
  subscribe(topics) {
    for (const topic of topics) this.topics.add(topic);
    this.send({ type: "subscribe", topics });
  }

  /** The server's time now, ms. */
  serverNow() {
    return this.clock.now();
  }

  /** Whether what is shown may still change: silence is the robots' then, not this page's. */
  get connected() {
    return this.open;
  }

  /** @returns {Truth} */
  get truth() {
    const since = this.lostSince;
    if (this.ended) return { kind: "ended", behindS: 0, since, why: this.why };
    if (!this.open) return { kind: since === null ? "connecting" : "lost", behindS: 0, since, why: this.why };
    const unanswered = this.pings.size > 0 && Date.now() - Math.min(...this.pings.values()) > BEHIND_MS;
    const behind = Math.max(unanswered ? Date.now() - this.heardAt : 0, Date.now() - this.framedAt < PING_EVERY_MS ? this.frameDelayMs : 0);
    return { kind: behind > BEHIND_MS ? "behind" : "live", behindS: behind / 1000, since: null, why: "" };
  }

  // --- the line ----------------------------------------------------------------------------------------------------
  dial() {
    clearTimeout(this.redial);
    this.dialledAt = Date.now();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = (message) => socket === this.socket && this.hear(JSON.parse(message.data));
    socket.onclose = (event) => socket === this.socket && this.lose(event.code, event.reason);
  }

  /** @param {Object} message */
  send(message) {
    if (this.open && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** The line is gone, by whatever sign; try again soon, later each time. */
  lose(code, reason = "") {
    const socket = this.socket;
    this.socket = null; // whatever the old one still says is not heard
    socket?.close();
    if (this.open && Date.now() - this.openedAt > STEADY_MS) this.failures = 0;
    this.lostSince ??= this.open && code === 0 ? this.heardAt : Date.now();
    this.open = false;
    this.why = WHY[code] ?? (reason || "no connection");
    this.ended = code === 4401;
    this.pings.clear();
    this.frameDelayMs = 0;
    clearTimeout(this.redial);
    this.redial = setTimeout(() => this.dial(), this.waitMs(code));
    this.tell("truth", this.truth);
  }

  waitMs(code) {
    if (code === 4401 || code === 4403 || code === 4429) return SLOW_RETRY_MS;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures++);
    return longest * (0.5 + Math.random() / 2);
  }

  /** The browser says that things are better now: do not sit out the wait, and do not trust an old line. */
  hurry() {
    if (this.open) this.ping();
    else if (!this.socket) this.dial();
  }

  // --- what is heard -----------------------------------------------------------------------------------------------
  /** @param {Object} frame */
  hear(frame) {
    this.heardAt = Date.now();
    const handler = this[`hear_${frame.type}`];
    if (handler) handler.call(this, frame);
  }

  hear_hello(frame) {
    this.open = true;
    this.openedAt = Date.now();
    this.lostSince = null;
    this.ended = false;
    this.why = "";
    this.clock.restart(frame.server_time);
    this.seqs.clear(); // a snapshot after a reconnect is a new start
    this.send({ type: "subscribe", topics: [...this.topics], ...(this.resumeFrom === null ? {} : { resume_from: this.resumeFrom }) });
    this.ping();
    this.tell("hello", frame);
    this.tell("truth", this.truth);
  }

  hear_subscribed(frame) {
    this.tell("rights", frame.rights);
  }

  hear_snapshot(frame) {
    this.hear_state(frame);
  }

  hear_state(frame) {
    if (frame.seq < (this.seqs.get(frame.topic) ?? -1)) return;
    if (frame.type === "state" && frame.seq === this.seqs.get(frame.topic)) return;
    if (Date.parse(frame.at) - this.serverNow() > CLOCKS_AGREE_WITHIN_MS) this.clock.restart(frame.at); // the server's clock was set on
    this.seqs.set(frame.topic, frame.seq);
    this.frameDelayMs = Math.max(0, this.serverNow() - Date.parse(frame.at));
    this.framedAt = Date.now();
    this.tell("state", frame);
  }

  hear_event(frame) {
    if (this.resumeFrom !== null && frame.id <= this.resumeFrom) return;
    this.resumeFrom = frame.id;
    this.tell("event", frame);
  }

  hear_pong(frame) {
    const sentAt = this.pings.get(frame.id);
    if (sentAt === undefined) return;
    for (const [id, at] of this.pings) if (at <= sentAt) this.pings.delete(id); // pongs come in order
    this.clock.sample(frame.server_time, sentAt);
  }

  hear_gap(frame) {
    this.tell("gap", frame);
  }

  hear_dropped(frame) {
    this.tell("gap", frame);
  }

  hear_error(frame) {
    this.tell("problem", frame);
  }

  // --- time --------------------------------------------------------------------------------------------------------
  ping() {
    const id = (this.lastPing = (this.lastPing ?? 0) + 1);
    this.pingedAt = Date.now();
    this.pings.set(id, this.pingedAt);
    this.send({ type: "ping", id });
  }

  tick() {
    const now = Date.now();
    this.watchClock(now);
    if (this.open) {
      // A timer that slept (a hidden tab) asks before it judges.
      const asked = this.pings.size > 0 && now - Math.min(...this.pings.values()) > PING_EVERY_MS;
      if (asked && now - this.heardAt > SILENT_MS) this.lose(0, `nothing heard for ${SILENT_MS / 1000} s`);
      else if (now - this.pingedAt >= (now - this.heardAt > QUIET_MS ? QUIET_MS : PING_EVERY_MS)) this.ping();
    } else if (this.socket && now - this.dialledAt > OPENS_WITHIN_MS) {
      this.lose(0, "the server does not answer");
    }
    this.tell("truth", this.truth);
  }

  /** A computer that slept, or whose clock was set, knows neither the time nor whether the line still stands. */
  watchClock(now) {
    const steady = performance.now();
    const jump = now - this.lastDate - (steady - this.lastPerformance);
    this.lastDate = now;
    this.lastPerformance = steady;
    if (Math.abs(jump) < CLOCK_JUMP_MS) return;
    if (jump < 0) this.clock.offsetMs -= jump; // set back: what is old must not become young
    if (this.socket) this.lose(0, "this computer's clock jumped");
  }
}

/** The server's clock, seen from here: the sample with the shortest way is the best. */
class ServerClock {
  /** @param {string|null} serverTime when the page was made */
  constructor(serverTime) {
    this.offsetMs = serverTime ? firstOffset(Date.parse(serverTime)) : 0;
    this.bestRttMs = Infinity;
    this.samples = 0;
  }

  now() {
    return Date.now() + this.offsetMs;
  }

  /** @param {string} serverTime of a frame that has just come in: it was made a little earlier */
  restart(serverTime) {
    this.offsetMs = Date.parse(serverTime) - Date.now();
    this.bestRttMs = Infinity;
  }

  /** @param {string} serverTime @param {number} sentAt local ms */
  sample(serverTime, sentAt) {
    const rtt = Date.now() - sentAt;
    if (++this.samples % 60 === 0) this.bestRttMs = Infinity; // clocks drift; forget after five minutes
    const jumped = Math.abs(Date.parse(serverTime) - this.now()) > rtt + CLOCK_JUMP_MS; // the server's clock was set
    if (rtt > this.bestRttMs && !jumped) return;
    this.bestRttMs = rtt;
    this.offsetMs = Date.parse(serverTime) - (sentAt + rtt / 2);
  }
}

/** A page from the browser's own store may be hours old: then the later of both clocks, so that nothing looks young. */
function firstOffset(serverMs) {
  const [visit] = performance.getEntriesByType("navigation");
  const offsetMs = serverMs - (performance.timeOrigin + (visit?.responseStart ?? 0));
  const fresh = visit && visit.type !== "back_forward" && visit.transferSize > 0;
  return fresh ? offsetMs : Math.max(0, offsetMs);
}
