// Keeps an open page fresh: follows /events and swaps what changed. Without it, everything works by forms and reload.

const zone = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short", timeStyle: "medium" });
const status = document.getElementById("live");
const words = document.documentElement.lang === "ja"
  ? { live: "最新の状態を表示中", lost: "接続が切れました。再接続しています…" }
  : { live: "Up to date", lost: "The connection is lost; trying again…" };

function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
}

function tick(root) {
  for (const node of root.querySelectorAll("time")) {
    let text;
    if (node.dataset.until) text = span(node.dataset.until - Date.now());
    else if (node.dataset.since) text = span(Date.now() - node.dataset.since);
    else text = zone.format(new Date(node.dateTime));
    if (node.textContent !== text) node.textContent = text;
  }
}

// Somebody who writes in a part, or has written there and not sent it, is not disturbed.
function isWritingIn(node) {
  const active = document.activeElement;
  if (active && node.contains(active) && active.matches("input,textarea,select")) return true;
  return [...node.querySelectorAll("input,textarea")].some((one) => one.value !== one.defaultValue);
}

// What the server last said of each part.
const seen = new Map([...document.querySelectorAll("[data-live]")].map((node) => [node.id, node.outerHTML]));

function swap(fresh) {
  for (const node of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(node.id);
    if (!other || other.outerHTML === seen.get(node.id) || isWritingIn(node)) continue;
    seen.set(node.id, other.outerHTML);
    const open = new Set([...node.querySelectorAll("details[open][id]")].map((one) => one.id));
    const focus = document.activeElement && node.contains(document.activeElement)
      ? document.activeElement.getAttribute("data-key") : null;
    const scrolls = [...node.querySelectorAll("pre[id]")].map((one) => [one.id, one.scrollTop, one.scrollTop + one.clientHeight >= one.scrollHeight - 8]);
    // A log counts from its end: at 0 it follows, and above that the same lines stay in sight.
    const logs = [...node.querySelectorAll(".log[id]")].map((one) => [one.id, one.scrollTop, one.scrollHeight]);
    node.replaceChildren(...other.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, top, atEnd] of scrolls) {
      const one = document.getElementById(id);
      if (one) one.scrollTop = atEnd ? one.scrollHeight : top;
    }
    for (const [id, top, height] of logs) {
      const one = document.getElementById(id);
      if (one && top < 0) one.scrollTop = top - (one.scrollHeight - height);
    }
    if (focus) node.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
    tick(node);
  }
}

let wanted = false, loading = false;
async function refresh() {
  wanted = true;
  if (loading) return;
  loading = true;
  while (wanted) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* The stream says that the connection is lost. */ }
    await new Promise((go) => setTimeout(go, 50));
  }
  loading = false;
}

const quiet = new Set(["run.renewed", "judge.renewed"]);
let stream = null;
function follow() {
  stream = new EventSource("/events");
  stream.onopen = () => { status.textContent = words.live; refresh(); };
  stream.onmessage = (event) => { if (!quiet.has(JSON.parse(event.data).type)) refresh(); };
  stream.addEventListener("reset", refresh);
  stream.onerror = () => {
    status.textContent = words.lost;
    // A refused stream does not come back by itself.
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 10000);
  };
}

tick(document);
setInterval(() => { if (!document.hidden) tick(document); }, 1000);
// A log grows without events.
setInterval(() => { if (!document.hidden && document.querySelector("[data-busy]")) refresh(); }, 2000);
// A page in the background gives its place away.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream?.close(); stream = null; } else if (!stream) follow();
});
// A page is loaded first and followed then: whoever waits for its end, to print it for one, would wait for ever.
const begin = () => setTimeout(() => { if (!document.hidden && !stream) follow(); }, 0);
if (document.readyState === "complete") begin(); else addEventListener("load", begin);
