// Keeps a page up to date. The server renders everything; this only puts new parts where the old ones are.
"use strict";
(() => {
  const POLL_MS = 10000, REFRESH_MS = 1500, ANNOUNCE_MS = 10000;
  const main = document.querySelector("main");
  const events = main.dataset.events, standing = main.dataset.standing;
  if (!events && !main.dataset.poll) return;
  const box = document.querySelector(".live"), state = box.querySelector(".live-state");
  const button = box.querySelector(".live-button"), announcer = document.querySelector(".announce");
  let source = null, paused = false, ended = false, polling = 0, due = 0, wanted = "", announcedAt = 0;
  box.hidden = false;

  const clock = () => new Date().toISOString().slice(11, 19) + " UTC";
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  function announce() {
    const line = document.querySelector(".how-far");
    if (!line || Date.now() - announcedAt < ANNOUNCE_MS || announcer.textContent === line.textContent) return;
    announcedAt = Date.now();
    announcer.textContent = line.textContent;
  }

  // Replaces what differs, but for what somebody is at: the focus stays where it is.
  function replace(old, fresh) {
    if (!fresh || old.innerHTML === fresh.innerHTML || old.contains(document.activeElement)) return;
    const open = [...old.querySelectorAll("details")].map((each) => each.open);
    old.innerHTML = fresh.innerHTML;
    old.querySelectorAll("details").forEach((each, at) => { each.open = Boolean(open[at]); });
  }

  async function load(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  async function refresh(whole) {
    if (!whole && standing) {
      const page = await load(standing);
      replace(document.getElementById("standing"), page.body);
    } else {
      const page = await load(location.href);
      document.querySelectorAll("[data-live]").forEach((old) =>
        replace(old, page.querySelector(`[data-live="${old.dataset.live}"]`)));
      document.title = page.title;
    }
    announce();
  }

  // One refresh at a time, however many events come.
  function soon(whole) {
    wanted = whole ? "whole" : wanted || "part";
    if (due) return;
    due = setTimeout(async () => {
      const what = wanted;
      wanted = "";
      try { await refresh(what === "whole"); } catch { lost(); }
      due = 0;
      if (wanted && !paused) soon(wanted === "whole");
    }, REFRESH_MS);
  }

  let lostAt = "";
  function lost() {
    lostAt = lostAt || clock();
    say(`Not live since ${lostAt}`);
    if (!polling) polling = setInterval(poll, POLL_MS);
  }
  function live() {
    lostAt = "";
    say("Live");
    if (events) { clearInterval(polling); polling = 0; }
  }
  async function poll() {
    if (document.hidden) return;
    try { await refresh(true); if (!events) live(); } catch { lost(); }
  }

  function start() {
    if (ended) return;
    if (!events) {
      say("Live");
      polling = polling || setInterval(poll, POLL_MS);
      return;
    }
    source = new EventSource(events);
    source.onopen = live;
    source.onerror = () => { if (!ended) { lost(); if (source.readyState === EventSource.CLOSED) source = null; } };
    let first = true;
    source.addEventListener("progress", () => { first = false; live(); soon(false); });
    source.addEventListener("state", () => { live(); if (!first) soon(true); first = false; });
    source.addEventListener("end", () => {
      ended = true;
      source.close();
      clearInterval(polling);
      polling = 0;
      if (!first) soon(true);
      say("Ended");
      button.hidden = true;
    });
  }
  function stop() {
    if (source) source.close();
    source = null;
    clearInterval(polling);
    polling = 0;
  }
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume live updates" : "Pause live updates";
    if (paused) { stop(); say(`Paused at ${clock()}`); } else { poll(); start(); }
  });
  addEventListener("pagehide", stop);
  start();
})();
