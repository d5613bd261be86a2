// Keeps a page up to date. The server renders everything; this only makes the parts of the page like new ones.
"use strict";
(() => {
  const POLL_MS = 10000, REFRESH_MS = 1500, ANNOUNCE_MS = 10000, CHART_MS = 10000;
  const main = document.querySelector("main");
  const events = main.dataset.events, standing = main.dataset.standing;
  if (!events && !main.dataset.poll) return;
  const box = document.querySelector(".live"), state = box.querySelector(".live-state");
  const button = box.querySelector(".live-button"), announcer = document.querySelector(".announce");
  let source = null, paused = false, ended = false, polling = 0, due = 0, wanted = "", lostAt = "";
  let announcedAt = 0, announcing = 0, drawnAt = Date.now();
  box.hidden = false;

  const clock = () => new Date().toISOString().slice(11, 19) + " UTC";
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  // What is read out: how things stand, no more often than every 10 seconds, the last of it in the end.
  function announce() {
    if (announcing) return;
    announcing = setTimeout(() => {
      announcing = 0;
      const text = [...document.querySelectorAll(".headline")].map((each) => each.textContent).join(", ").replace(/\s+/g, " ").trim();
      if (!text || text === announcer.textContent) return;
      announcedAt = Date.now();
      announcer.textContent = text;
    }, Math.max(0, announcedAt + ANNOUNCE_MS - Date.now()));
  }

  // Makes an element like a new one where they differ, so that focus, selection and what is unfolded stay.
  function become(old, fresh) {
    for (const each of [...old.attributes]) if (each.name !== "open" && !fresh.hasAttribute(each.name)) old.removeAttribute(each.name);
    for (const each of fresh.attributes) if (old.getAttribute(each.name) !== each.value) old.setAttribute(each.name, each.value);
    const isList = [...fresh.children, ...old.children].some((each) => each.dataset.key);
    const keys = new Set([...fresh.children].map((each) => each.dataset.key));
    if (isList) for (const each of [...old.children]) if (!keys.has(each.dataset.key)) each.remove();
    const nodes = (of) => (isList ? of.children : of.childNodes);
    [...nodes(fresh)].forEach((node, at) => {
      const was = nodes(old)[at], same = was && was.nodeName === node.nodeName && was.dataset?.key === node.dataset?.key;
      if (same && was.nodeType === Node.ELEMENT_NODE) become(was, node);
      else if (same) { if (was.nodeValue !== node.nodeValue) was.nodeValue = node.nodeValue; }
      else if (isList) old.insertBefore(document.importNode(node, true), was || null);
      else if (was) was.replaceWith(document.importNode(node, true));
      else old.append(document.importNode(node, true));
    });
    [...nodes(old)].slice(nodes(fresh).length).forEach((node) => node.remove());
  }

  async function load(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  // The whole page, or of a job how it stands, and its chart no more often than every 10 seconds.
  async function refresh(whole) {
    if (whole || !standing) { await show(location.href); drawnAt = Date.now(); }
    else {
      await show(standing);
      if (Date.now() - drawnAt >= CHART_MS) { drawnAt = Date.now(); await show(main.dataset.pace); }
    }
    announce();
  }
  async function show(url) {
    const page = await load(url);
    document.querySelectorAll("[data-live]").forEach((old) => {
      const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
      if (fresh) become(old, fresh);
    });
    if (page.title) document.title = page.title;
  }

  // One refresh at a time, however many events come.
  function soon(whole) {
    wanted = whole ? "whole" : wanted || "part";
    if (due) return;
    due = setTimeout(async () => {
      const what = wanted;
      wanted = "";
      try { if (!paused) await refresh(what === "whole"); } catch { lost(); }
      due = 0;
      if (wanted && !paused) soon(wanted === "whole");
    }, REFRESH_MS);
  }

  function lost() {
    if (paused) return;
    lostAt = lostAt || clock();
    say(`Not live since ${lostAt}`);
    polling = polling || setInterval(poll, POLL_MS);
  }
  function live() {
    if (paused) return;
    lostAt = "";
    say(ended ? "Ended" : "Live");
    if (events) { clearInterval(polling); polling = 0; }
  }
  async function poll() {
    if (document.hidden) return;
    try { await refresh(true); } catch { lost(); return; }
    if (!events || ended || source?.readyState === EventSource.OPEN) live();
    else if (!source) start();
  }

  function start() {
    if (ended || paused) return;
    if (!events) {
      say("Live");
      polling = polling || setInterval(poll, POLL_MS);
      return;
    }
    let first = true;
    source = new EventSource(events);
    source.onopen = live;
    source.onerror = () => {
      if (ended) return;
      if (source.readyState === EventSource.CLOSED) source = null; // refused: a poll that is answered opens it again
      lost();
    };
    source.addEventListener("away", lost); // the server is there, Redis is not
    source.addEventListener("progress", () => { first = false; live(); soon(false); });
    source.addEventListener("state", () => { const again = !first || lostAt; first = false; live(); if (again) soon(true); });
    source.addEventListener("end", () => {
      const again = !first || lostAt;
      ended = true;
      source.close();
      live();
      if (again) soon(true);
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
    lostAt = "";
    if (paused) { stop(); say(`Paused at ${clock()}`); } else { poll(); start(); }
  });
  document.addEventListener("visibilitychange", () => { if (polling && !document.hidden) poll(); });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) { poll(); start(); } });
  start();
})();
