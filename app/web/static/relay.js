"use strict";
// The operator's page. Every text from the API is set as textContent, never as markup.

const KEY = "relay-api-key";
const REFRESH_MS = 15000;
const byId = (id) => document.getElementById(id);
const opened = new Set();
const extraPages = { events: 0, jobs: 0 };
let refreshing = false;
let again = false;

// Replaces what a box holds; what had the focus in it has it again.
function fill(box, ...nodes) {
  const place = box.contains(document.activeElement) ? document.activeElement.dataset.place : null;
  box.replaceChildren(...nodes);
  if (!place) return;
  const again = [...box.querySelectorAll("[data-place]")].find((one) => one.dataset.place === place);
  if (again) again.focus({ preventScroll: true });
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

// What is said of a refresh that failed ends with the next one that does not.
let stale = false;

function say(text, bad = false) {
  stale = false;
  byId("message").textContent = text;
  byId("message").classList.toggle("bad", bad);
}

async function act(button, path, done) {
  // Not `disabled`: that would take the focus away from who uses the keyboard.
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await call(path, "POST");
    say(typeof done === "function" ? done(answer) : done);
    await refresh();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function action(label, path, done) {
  return el("button", { type: "button", "data-place": path, onclick: (event) => act(event.currentTarget, path, done) }, label);
}

const resume = (target) => action("Resume", `targets/${target.id}/resume`, "The target is active again.");
const retry = (delivery) => action("Retry", `deliveries/${delivery.id}/retry`,
  (after) => (after.status === "held" ? `It is held all the same. ${after.reason}` : "It is due now."));

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
  fill(byId("figures"),
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
        target.status === "active" ? null : el("div", {}, resume(target))),
      el("td", { class: "number" }, String(waiting)),
      el("td", { class: "number" }, String(count.succeeded || 0)),
      el("td", { class: "number" }, String(count.failed || 0)));
  });
  fill(byId("targets"), ...(rows.length ? rows : [emptyRow(7, "No targets yet. Make one with: relay targets add NAME --url https://…")]));
}

function showSources(sources) {
  const rows = sources.map((source) => el("tr", {},
    el("td", {}, source.name),
    el("td", {}, source.kind),
    el("td", {}, el("code", {}, source.ingest_url))));
  fill(byId("sources"), ...(rows.length ? rows : [emptyRow(3, "No sources yet. Make one with: relay sources add NAME")]));
}

function jobRow(job, names) {
  const running = job.state === "running" || job.state === "queued";
  const gone = job.done + job.failed;
  const words = `${gone} of ${job.total}` + (job.failed ? `, ${job.failed} failed` : "");
  const bar = running && job.total ? el("progress", { value: gone, max: job.total, "aria-label": words }) : null;
  return el("tr", {},
    el("td", {}, job.kind, job.dry_run ? el("div", { class: "soft" }, "only counts") : null),
    el("td", {}, names.get(job.source_id) || job.source_id || "–"),
    el("td", {}, names.get(job.target_id) || job.target_id || "–"),
    el("td", {}, pill(job.state), job.reason ? el("div", { class: "soft" }, job.reason) : null),
    el("td", { class: "number" }, el("div", {}, words), bar),
    el("td", {}, moment(job.created_at)),
    el("td", {}, running ? action("Cancel", `jobs/${job.id}/cancel`, "The job is ended; what it did stays done.") : null));
}

async function showJobs(targets, sources) {
  const names = new Map([...targets, ...sources].map((one) => [one.id, one.name]));
  const { items, next } = await latest("jobs", 10);
  const rows = items.map((job) => jobRow(job, names));
  fill(byId("jobs"), ...(rows.length ? rows : [emptyRow(7, "No jobs yet.")]));
  byId("earlier").hidden = !next;
}

function troubleDelivery(delivery) {
  return el("div", {},
    pill(delivery.status),
    el("div", { class: "grow" },
      el("p", {}, `${delivery.event_type || "event"} to ${delivery.target || "a removed target"}`),
      el("p", { class: "soft" }, delivery.reason || "")),
    moment(delivery.finished_at || delivery.created_at),
    retry(delivery));
}

// One row a target: what holds its deliveries is the target, and they go on together.
function troubleTarget(target, held) {
  const unusable = target.status === "active";
  const what = unusable ? `Deliveries to ${target.name} wait` : `${held} ${held === 1 ? "delivery" : "deliveries"} to ${target.name}`;
  return el("div", {},
    unusable ? el("span", { class: "pill bad" }, "unusable") : pill("held"),
    el("div", { class: "grow" },
      el("p", {}, what),
      el("p", { class: "soft" }, target.status_reason || `The target is ${target.status}.`)),
    unusable ? null : resume(target));
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

function showTroubles(failed, quarantine, targets, stats) {
  const held = new Map(stats.targets.map((target) => [target.id, target.deliveries.held]));
  const troubled = targets.filter((target) => held.get(target.id) > 0 || (target.status === "active" && target.status_reason));
  const rows = [...quarantine.map(troubleEntry), ...troubled.map((target) => troubleTarget(target, held.get(target.id))),
    ...failed.map(troubleDelivery)];
  byId("attention").hidden = rows.length === 0;
  fill(byId("troubles"), ...rows);
}

function deliveryBlock(delivery) {
  const waits = delivery.status === "pending" && delivery.next_attempt_at;
  const line = el("p", {},
    pill(delivery.status),
    el("strong", {}, delivery.target || "removed target"),
    delivery.reason ? el("span", { class: "soft" }, delivery.reason) : null,
    waits ? el("span", { class: "soft" }, "next attempt " + until(delivery.next_attempt_at)) : null,
    delivery.replay_id ? el("span", { class: "soft" }, "by a replay") : null,
    delivery.external_id ? el("span", { class: "soft" }, "known there as " + delivery.external_id) : null,
    delivery.status === "in_flight" ? null : retry(delivery),
    delivery.status === "pending" || delivery.status === "held"
      ? action("Cancel", `deliveries/${delivery.id}/cancel`, "It will not be sent.") : null);
  return el("div", { class: "delivery" }, line, el("ol", {}, ...delivery.attempts.map(attemptItem)));
}

async function fillEvent(box, id) {
  try {
    const event = await call("events/" + id);
    const details = await Promise.all(event.deliveries.map((delivery) => call("deliveries/" + delivery.id)));
    const blocks = details.map(deliveryBlock);
    const subject = el("p", { class: "soft" }, el("code", {}, event.id), event.subject ? ` about ${event.subject}` : "",
      ". " + cameBy(event));
    fill(box, subject, ...(blocks.length ? blocks : [el("p", { class: "empty" }, "No target asked for it.")]));
  } catch (error) {
    fill(box, el("p", { class: "empty" }, error.message));
  }
}

function eventRow(event) {
  const box = el("div", { class: "deliveries" });
  const row = el("details", {},
    el("summary", { "data-place": event.id },
      el("strong", {}, event.type),
      event.test ? el("span", { class: "pill" }, "test") : null,
      event.origin === "live" ? null : el("span", { class: "pill", title: cameBy(event) }, event.origin),
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

async function latest(path, limit) {
  const items = [];
  let next = null;
  for (let page = 0; page <= extraPages[path]; page += 1) {
    const found = await call(`${path}?limit=${limit}` + (next ? "&cursor=" + encodeURIComponent(next) : ""));
    items.push(...found.items);
    next = found.next;
    if (!next) break;
  }
  return { items, next };
}

async function showEvents() {
  const { items, next } = await latest("events", 30);
  const rows = items.map(eventRow);
  // What was open is filled before it is shown, so that nothing jumps.
  await Promise.all(rows.filter((one) => opened.has(one.id)).map((one) => fillEvent(one.box, one.id)));
  for (const one of rows) if (opened.has(one.id)) one.row.open = true;
  const empty = el("p", { class: "empty" }, "Nothing has come in yet.");
  fill(byId("events"), ...(rows.length ? rows.map((one) => one.row) : [empty]));
  byId("older").hidden = !next;
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

function complain(error) {
  const away = "The relay does not answer; what is shown here may be old. It is asked again every 15 seconds.";
  say(error instanceof Refused ? error.message : away, true);
  stale = true;
  byId("leave").hidden = false;
}

async function refresh() {
  if (!sessionStorage.getItem(KEY)) return;
  if (refreshing) { again = true; return; }
  refreshing = true;
  again = false;
  try {
    const [stats, targets, sources, failed, quarantine] = await Promise.all([
      call("stats"), everything("targets"), everything("sources"),
      call("deliveries?status=failed&limit=10"), call("quarantine?state=open&limit=10"),
    ]);
    showFigures(stats);
    showTargets(targets, stats);
    showSources(sources);
    showTroubles(failed.items, quarantine.items, targets, stats);
    await showJobs(targets, sources);
    await showEvents();
    // Who left meanwhile is shown nothing any more.
    if (!sessionStorage.getItem(KEY)) return leave();
    present(true);
    if (stale) say("");
  } catch (error) {
    if (error.status === 401) leave("The relay does not know this key. Make one with: relay keys add NAME");
    else complain(error);
  } finally {
    refreshing = false;
    if (again) refresh();
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
  for (const id of ["figures", "troubles", "targets", "sources", "jobs", "events"]) byId(id).replaceChildren();
  present(false);
  say(text, text !== "");
  byId("key").focus();
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = byId("key").value.trim();
  try {
    new Headers({ Authorization: "Bearer " + key });
  } catch {
    say("This is no key: it has characters that cannot be sent.", true);
    return;
  }
  sessionStorage.setItem(KEY, key);
  byId("key").value = "";
  say("");
  refresh();
});
byId("leave").addEventListener("click", () => leave());
byId("older").addEventListener("click", () => { extraPages.events += 1; refresh(); });
byId("earlier").addEventListener("click", () => { extraPages.jobs += 1; refresh(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_MS);

if (sessionStorage.getItem(KEY)) refresh();
else leave();
