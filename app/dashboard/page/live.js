// Keeps the page up to date: asks every two seconds while somebody looks, and replaces only the
// parts that changed, so that what is open, scrolled or focused stays so.
"use strict";
(() => {
  const every = 2000;
  const live = document.getElementById("live");
  const connection = document.getElementById("connection");
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const known = new Map();
  let tag = "";

  const times = () => {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const [unit, size] = units.find(([, s]) => Math.abs(seconds) >= s) ?? units[3];
      time.title = new Date(time.dateTime).toLocaleString();
      time.textContent = relative.format(Math.round(seconds / size), unit);
    }
  };

  const connected = (at, text) => {
    if (connection.textContent === text) return; // said once
    connection.dataset.at = at;
    connection.textContent = text;
  };

  // What a person did to the old part is done to the new one.
  const carryOver = (from, to) => {
    for (const old of from.querySelectorAll("details[id], [data-keep]")) {
      const fresh = to.querySelector("#" + CSS.escape(old.id));
      if (!fresh) continue;
      if (old.open) fresh.open = true;
      if (old.scrollHeight > old.clientHeight) {
        const atEnd = old.scrollHeight - old.clientHeight - old.scrollTop < 4;
        const top = old.scrollTop;
        requestAnimationFrame(() => { fresh.scrollTop = atEnd ? fresh.scrollHeight : top; });
      }
    }
    const focused = document.activeElement;
    if (focused && focused.id && from.contains(focused)) {
      requestAnimationFrame(() => document.getElementById(focused.id)?.focus({ preventScroll: true }));
    }
    if (from.dataset.state && from.dataset.state !== to.dataset.state) {
      document.getElementById("said").textContent = `${to.dataset.title}: ${to.dataset.state}`;
    }
  };

  const update = (fresh) => {
    const parts = [...fresh.children];
    const wanted = new Set(parts.map((part) => part.id));
    for (const old of [...live.children]) if (!wanted.has(old.id)) { known.delete(old.id); old.remove(); }
    parts.forEach((part, i) => {
      const text = part.outerHTML;
      let here = document.getElementById(part.id);
      if (!here || known.get(part.id) !== text) {
        known.set(part.id, text);
        const next = document.importNode(part, true);
        if (here) {
          carryOver(here, next);
          here.replaceWith(next);
        }
        here = next;
      }
      if (live.children[i] !== here) live.insertBefore(here, live.children[i] ?? null);
    });
    times();
  };

  const ask = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.pathname, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", redirect: "error" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") ?? "";
        update(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live"));
      } else if (answer.status === 403) {
        location.reload(); // nothing stays on the screen that may no longer be seen
        return;
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
      connected("on", "Live");
    } catch {
      connected("off", "Not connected, trying again");
    }
  };

  for (const part of live.children) known.set(part.id, part.outerHTML);
  const loop = async () => {
    await ask();
    setTimeout(loop, every);
  };
  times();
  setInterval(times, 10000);
  document.addEventListener("visibilitychange", ask);
  loop();
})();
