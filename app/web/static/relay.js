"use strict";
// The operator's page. Every text from the API is set as textContent, never as markup.

const KEY = "relay-api-key";
const REFRESH_MS = 15000;
const byId = (id) => document.getElementById(id);
const opened = new Set();
let extraPages = 0;
let refreshing = false;

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") node.addEventListener("click", value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// The API.

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `The relay answered ${status}.`);
    this.status = status;
  }
}

async function call(path, method = "GET") {
  const answer = await fetch("v1/" + path, {
    method,
    headers: { Authorization: "Bearer " + sessionStorage.getItem(KEY) },
    cache: "no-store",
    credentials: "omit",
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

function say(text, bad = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("bad", bad);
}

async function act(button, path, done) {
  button.disabled = true;
  try {
    await call(path, "POST");
    say(done);
    await refresh();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
}

function action(label, path, done) {
  return el("button", { type: "button", onclick: (event) => act(event.currentTarget, path, done) }, label);
}

// Words.

const TONES = {
  succeeded: "good", active: "good", pending: "wait", in_flight: "wait", held: "wait", paused: "wait",
  failed: "bad", disabled: "bad",
};
const STATUS_WORDS = { in_flight: "in flight" };
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

function exchangeInWords(exchange) {
  const request = `${exchange.method} ${exchange.url}`;
  if (exchange.status === null) return `${request} got no answer: ${exchange.detail || exchange.error}.`;
  return `${request} was answered ${exchange.status}.`;
}

function attemptItem(attempt) {
  const item = el("li", {}, moment(attempt.started_at), ` (${Math.round(attempt.duration_ms)} ms): `);
  item.append(attempt.exchanges.map(exchangeInWords).join(" "), " ");
  item.append(el("strong", {}, OUTCOMES[attempt.outcome] || attempt.outcome));
  if (attempt.reason) item.append(" " + attempt.reason);
  const last = attempt.exchanges[attempt.exchanges.length - 1];
  if (last && last.body_excerpt) {
    item.append(el("pre", {}, last.body_excerpt + (last.truncated ? "…" : "")));
  }
  return item;
}

// Sections.

function figure(label, value, bad = false) {
  return el("div", {}, el("dt", {}, label), el("dd", { class: bad ? "bad" : null }, String(value)));
}

function sum(stats, ...statuses) {
  return stats.targets.reduce(
    (total, target) => total + statuses.reduce((count, status) => count + target.deliveries[status], 0), 0);
}

function showFigures(stats) {
  const failed = sum(stats, "failed");
  byId("figures").replaceChildren(
    figure("Events, last hour", stats.events.last_hour.total),
    figure("Events, last day", stats.events.last_day.total),
    figure("Waiting", sum(stats, "pending", "in_flight")),
    figure("Oldest waiting", span(stats.oldest_waiting_seconds)),
    figure("Held", sum(stats, "held"), sum(stats, "held") > 0),
    figure("Failed, last day", failed, failed > 0),
    figure("Quarantine", stats.quarantine_open, stats.quarantine_open > 0),
  );
}

function emptyRow(columns, text) {
  return el("tr", {}, el("td", { colspan: columns, class: "soft" }, text));
}

function showTargets(targets, stats) {
  const counts = new Map(stats.targets.map((target) => [target.id, target.deliveries]));
  const rows = targets.map((target) => {
    const count = counts.get(target.id) || {};
    const waiting = (count.pending || 0) + (count.in_flight || 0) + (count.held || 0);
    return el("tr", {},
      el("td", {}, target.name),
      el("td", {}, target.connector),
      el("td", { class: "mono" }, target.events.join(" ")),
      el("td", {}, pill(target.status), target.status_reason ? el("div", { class: "soft" }, target.status_reason) : null,
        target.status === "active" ? null : el("div", {}, action("Resume", `targets/${target.id}/resume`, "The target is active again."))),
      el("td", { class: "number" }, String(waiting)),
      el("td", { class: "number" }, String(count.succeeded || 0)),
      el("td", { class: "number" }, String(count.failed || 0)));
  });
  byId("targets").replaceChildren(...(rows.length ? rows : [emptyRow(7, "No targets yet.")]));
}

function showSources(sources) {
  const rows = sources.map((source) => el("tr", {},
    el("td", {}, source.name),
    el("td", {}, source.kind),
    el("td", {}, el("code", {}, source.ingest_url))));
  byId("sources").replaceChildren(...(rows.length ? rows : [emptyRow(3, "No sources yet.")]));
}

function troubleDelivery(delivery) {
  return el("div", {},
    pill(delivery.status),
    el("div", { class: "grow" },
      el("p", {}, `${delivery.event_type || "event"} to ${delivery.target || "a removed target"}`),
      el("p", { class: "soft" }, delivery.reason || "")),
    moment(delivery.finished_at || delivery.created_at),
    action("Retry", `deliveries/${delivery.id}/retry`, "It is due now."));
}

function troubleEntry(entry) {
  return el("div", {},
    el("span", { class: "pill bad" }, "quarantine"),
    el("div", { class: "grow" },
      el("p", {}, `${entry.event_type || "A request"} from ${entry.source}, ${entry.size} bytes`),
      el("p", { class: "soft" }, entry.detail)),
    moment(entry.received_at),
    action("Release", `quarantine/${entry.id}/release`, "It is an event now."),
    action("Discard", `quarantine/${entry.id}/discard`, "The entry is closed."));
}

function showTroubles(failed, held, quarantine) {
  const rows = [...quarantine.map(troubleEntry), ...failed.map(troubleDelivery), ...held.map(troubleDelivery)];
  byId("attention").hidden = rows.length === 0;
  byId("troubles").replaceChildren(...rows);
}

function deliveryBlock(delivery) {
  const waits = delivery.status === "pending" && delivery.next_attempt_at;
  const line = el("p", {},
    pill(delivery.status),
    el("strong", {}, delivery.target || "removed target"),
    delivery.reason ? el("span", { class: "soft" }, delivery.reason) : null,
    waits ? el("span", { class: "soft" }, "next attempt " + until(delivery.next_attempt_at)) : null,
    delivery.external_id ? el("span", { class: "soft" }, "known there as " + delivery.external_id) : null,
    delivery.status === "in_flight" ? null : action("Retry", `deliveries/${delivery.id}/retry`, "It is due now."),
    delivery.status === "pending" || delivery.status === "held"
      ? action("Cancel", `deliveries/${delivery.id}/cancel`, "It will not be sent.") : null);
  return el("div", { class: "delivery" }, line, el("ol", {}, ...delivery.attempts.map(attemptItem)));
}

async function fillEvent(box, id) {
  try {
    const event = await call("events/" + id);
    const details = await Promise.all(event.deliveries.map((delivery) => call("deliveries/" + delivery.id)));
    const blocks = details.map(deliveryBlock);
    const subject = el("p", { class: "soft" }, el("code", {}, event.id), event.subject ? ` about ${event.subject}` : "");
    box.replaceChildren(subject, ...(blocks.length ? blocks : [el("p", { class: "empty" }, "No target asked for it.")]));
  } catch (error) {
    box.replaceChildren(el("p", { class: "empty" }, error.message));
  }
}

function eventRow(event) {
  const box = el("div", { class: "deliveries" });
  const row = el("details", {},
    el("summary", {},
      el("strong", {}, event.type),
      event.test ? el("span", { class: "pill" }, "test") : null,
      el("span", { class: "soft" }, event.source),
      event.subject ? el("code", { class: "soft" }, event.subject) : null,
      moment(event.received_at)),
    box);
  row.addEventListener("toggle", () => {
    if (!row.open) opened.delete(event.id);
    else if (!opened.has(event.id)) { opened.add(event.id); fillEvent(box, event.id); }
  });
  return { row, box, id: event.id };
}

async function showEvents() {
  const items = [];
  let cursor = null;
  for (let page = 0; page <= extraPages; page += 1) {
    const found = await call("events?limit=30" + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""));
    items.push(...found.items);
    cursor = found.next;
    if (!cursor) break;
  }
  const rows = items.map(eventRow);
  // What was open is filled before it is shown, so that nothing jumps.
  await Promise.all(rows.filter((one) => opened.has(one.id)).map((one) => fillEvent(one.box, one.id)));
  for (const one of rows) if (opened.has(one.id)) one.row.open = true;
  const empty = el("p", { class: "empty" }, "Nothing has come in yet.");
  byId("events").replaceChildren(...(rows.length ? rows.map((one) => one.row) : [empty]));
  byId("older").hidden = !cursor;
}

// The page.

async function everything(path) {
  const items = [];
  let cursor = null;
  do {
    const found = await call(`${path}?limit=200` + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""));
    items.push(...found.items);
    cursor = found.next;
  } while (cursor);
  return items;
}

async function refresh() {
  if (refreshing || !sessionStorage.getItem(KEY)) return;
  refreshing = true;
  try {
    const [stats, targets, sources, failed, held, quarantine] = await Promise.all([
      call("stats"), everything("targets"), everything("sources"),
      call("deliveries?status=failed&limit=10"), call("deliveries?status=held&limit=10"),
      call("quarantine?state=open&limit=10"),
    ]);
    showFigures(stats);
    showTargets(targets, stats);
    showSources(sources);
    showTroubles(failed.items, held.items, quarantine.items);
    await showEvents();
    present(true);
  } catch (error) {
    if (error.status === 401) leave(error.message);
    else say(error.message, true);
  } finally {
    refreshing = false;
  }
}

function present(inside) {
  byId("page").hidden = !inside;
  byId("leave").hidden = !inside;
  byId("enter").hidden = inside;
}

function leave(text = "") {
  sessionStorage.removeItem(KEY);
  opened.clear();
  for (const id of ["figures", "troubles", "targets", "sources", "events"]) byId(id).replaceChildren();
  present(false);
  say(text, text !== "");
  byId("key").focus();
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("key").value.trim());
  byId("key").value = "";
  say("");
  refresh();
});
byId("leave").addEventListener("click", () => leave());
byId("older").addEventListener("click", () => { extraPages += 1; refresh(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_MS);

if (sessionStorage.getItem(KEY)) refresh();
else leave();
