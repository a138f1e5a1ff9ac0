"use strict";
// What the page says: states, times, and what an attempt did. Every text is set as textContent.

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") node.addEventListener("click", value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const TONES = {
  succeeded: "good", active: "good", pending: "wait", in_flight: "wait", held: "wait", paused: "wait",
  failed: "bad", disabled: "bad", queued: "wait", running: "wait", done: "good",
};
const STATUS_WORDS = { in_flight: "in flight" };
const ORIGINS = {
  live: "The source sent it.",
  reconcile: "The event never arrived; the network's own API told of it.",
  backfill: "The customer was there before; the network's own API told of it.",
};
const cameBy = (event) =>
  event.type.startsWith("relay.") ? "The relay's own news." : ORIGINS[event.origin] || `It came by ${event.origin}.`;
const OUTCOMES = {
  delivered: "The target took it.",
  dropped: "The target answered well and threw it away.",
  skipped: "There was nothing to send.",
  retry: "It did not work this time.",
  throttle: "The target asked for a pause; this does not count.",
  rejected: "The target will never take it.",
  auth_failed: "The target refused the credential.",
  gone: "The target says that it is gone.",
  lost: "The worker did not come back.",
  stale: "The worker came back too late.",
};

const pill = (status) => el("span", { class: "pill " + (TONES[status] || "") }, STATUS_WORDS[status] || status);

function moment(text) {
  const date = new Date(text);
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const shown = today ? time : date.toLocaleDateString([], { day: "numeric", month: "short" }) + " " + time;
  return el("time", { datetime: text, title: text }, shown);
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return Math.round(seconds) + " s";
  if (seconds < 3600) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

function until(text) {
  const seconds = (new Date(text) - Date.now()) / 1000;
  return seconds <= 1 ? "now" : "in " + span(seconds);
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : text + ".");

function exchangeInWords(exchange) {
  const request = `${exchange.method} ${exchange.url}`;
  if (exchange.status === null) return `${request} got no answer: ${sentence(exchange.detail || exchange.error)}`;
  return `${request} was answered ${exchange.status}.`;
}

function attemptItem(attempt) {
  const item = el("li", {}, moment(attempt.started_at), ` (${Math.round(attempt.duration_ms)} ms): `);
  item.append(attempt.exchanges.map(exchangeInWords).join(" "), " ");
  item.append(el("strong", {}, OUTCOMES[attempt.outcome] || attempt.outcome));
  const last = attempt.exchanges[attempt.exchanges.length - 1];
  // Where nothing was answered, the reason is what the last exchange has said already.
  if (attempt.reason && attempt.reason !== last?.detail) item.append(" " + attempt.reason);
  if (last && last.body_excerpt) {
    item.append(el("pre", {}, last.body_excerpt + (last.truncated ? "…" : "")));
  }
  return item;
}
