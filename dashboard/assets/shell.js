// The frame's moving parts that need no query: address, live or paused, freshness, keys, theme.
"use strict";

(() => {
  const RANGES = ["1m", "5m", "15m", "1h", "6h", "24h", "7d", "30d"];
  const SECONDS = [60, 300, 900, 3600, 21600, 86400, 604800, 2592000];
  const STEPS = 900;
  const DEFAULT_RANGE = "5m";
  const STALE_MS = 15000;
  const SILENT_MS = 5000;
  const THEME = "fabricscope-theme";
  const skip = () => window.dash_clientside.no_update;
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const PROBLEM_MS = 10000;
  const problems = new Map();
  let problemsOf = null;
  let heardAt = Date.now();

  // The server is asked in another way only while its socket is silent.
  setInterval(() => {
    const set = window.dash_clientside && window.dash_clientside.set_props;
    if (set && Date.now() - heardAt > SILENT_MS) set("fallback", { data: Date.now() });
  }, 2000);

  function triggered() {
    return window.dash_clientside.callback_context.triggered.map((one) => one.prop_id);
  }

  function state(search) {
    const query = new URLSearchParams(search || "");
    const fixed = query.has("from") && query.has("to") && !query.has("range");
    return { query, fixed, paused: query.get("paused") === "1" };
  }

  // A page that could not be drawn says why until it is drawn, or shows something else; what a
  // click could not do is said for a moment.
  function hearProblem(problem, view, anew) {
    const address = view ? `${view.path}${view.search || ""}` : "";
    if (address !== problemsOf) problems.clear();
    problemsOf = address;
    if (!anew || !problem) return;
    problems.delete(problem.of);
    const asked = !problem.view || same(problem.view, view);
    if (problem.text && asked) problems.set(problem.of, { ...problem, at: Date.now() });
  }

  function tellProblems() {
    const now = Date.now();
    for (const [of, one] of problems) {
      if (one.of === null && now - one.at > PROBLEM_MS) problems.delete(of);
    }
    return [...problems.values()].map((one) => one.text);
  }

  function render(query) {
    const text = query.toString();
    return text ? `?${text}` : "";
  }

  // A long time range moves by less than a pixel a second: its pages hear of fewer seconds, as
  // refresh.py has it. A second that they hear of for nothing would take the place of the first
  // drawing of a page that opens at that moment.
  function due(query, tick) {
    const seconds = SECONDS[RANGES.indexOf(query.get("range") || DEFAULT_RANGE)] || 300;
    return Math.floor(tick.time_ms / 1000) % Math.max(1, Math.round(seconds / STEPS)) === 0;
  }

  function setRange(query, range) {
    query.delete("from");
    query.delete("to");
    query.delete("paused");
    if (range === DEFAULT_RANGE) query.delete("range");
    else query.set("range", range);
  }

  function clock(ms, day) {
    const text = new Date(ms).toISOString();
    return day ? text.slice(0, 19).replace("T", " ") : text.slice(11, 19);
  }

  function age(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 90) return `${seconds} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86400)} days`;
  }

  const shell = {
    // Address, controls and view are one state; whichever of them changed is written to the others.
    steer(path, search, range, collector, _clicks, zoom, view) {
      const by = triggered();
      const { query, fixed, paused } = state(search);
      const is = (name) => by.includes(name);
      if (is("range.value") && range && range !== "fixed") setRange(query, range);
      if (is("collector.value") && collector) {
        if (collector === "*") query.delete("collector");
        else query.set("collector", collector);
      }
      if (is("live.n_clicks")) {
        if (fixed) setRange(query, DEFAULT_RANGE);
        else if (paused) query.delete("paused");
        else query.set("paused", "1");
      }
      if (is("zoom.data") && zoom) {
        if (zoom.reset) setRange(query, DEFAULT_RANGE);
        else {
          query.delete("range");
          query.delete("paused");
          query.set("from", String(Math.floor(zoom.from)));
          query.set("to", String(Math.ceil(zoom.to)));
        }
      }
      const now = state(render(query));
      const next = { path, search: render(query) };
      const asked = query.get("range");
      return [
        next.search === (search || "") ? skip() : next.search,
        same(next, view) ? skip() : next,
        now.fixed ? null : RANGES.includes(asked) ? asked : DEFAULT_RANGE,
        query.get("collector") || "*",
        now.fixed ? "Back to live" : now.paused ? "▶ Go on" : "❚❚ Pause",
      ];
    },

    choosePath(view, path) {
      return !view || view.path === path ? skip() : view.path;
    },

    // The time range and collector go along to other pages; a page's own parameters do not.
    navigate(view, places) {
      const query = new URLSearchParams((view && view.search) || "");
      for (const name of [...query.keys()]) {
        if (!["range", "from", "to", "paused", "collector"].includes(name)) query.delete(name);
      }
      const at = (view && view.path) || "/";
      return [
        places.map((place) => place.path + render(query)),
        places.map((place) => `nav-link${place.path === at ? " here" : ""}`),
      ];
    },

    // One callback a second for all of the head, and only what changed: each costs the whole page.
    head(tick, view, problem, _count, collector) {
      const fresh = triggered().some((name) => name.startsWith("raw-tick"));
      if (fresh) heardAt = Date.now();
      const { query, fixed, paused } = state(view && view.search);
      let badge = ["Connecting", "badge waiting"];
      if (Date.now() - heardAt > SILENT_MS) {
        badge = ["Server away: showing what was last heard", "badge stale"];
      } else if (tick) {
        const behind = tick.latest_ms === null ? null : tick.time_ms - tick.latest_ms;
        if (behind === null) badge = ["No data yet", "badge waiting"];
        else if (behind > STALE_MS) badge = [`Stale: last sample ${age(behind)} ago`, "badge stale"];
        else if (fixed) badge = ["Looking back", "badge held"];
        else if (paused) badge = ["Paused", "badge held"];
        else badge = ["Live", "badge live"];
      }
      let span = "";
      if (fixed) {
        const from = Number(query.get("from"));
        const to = Number(query.get("to"));
        span = Number.isFinite(from + to) ? `${clock(from, true)} – ${clock(to, false)} UTC` : "";
      } else if (tick) span = `${clock(tick.time_ms, false)} UTC`;
      hearProblem(problem, view, triggered().some((name) => name.startsWith("problem")));
      const said = [...new Set([tick && tick.problem, ...tellProblems()])].filter(Boolean).join(" ");
      const names = new Set((tick && tick.collectors) || []);
      if (collector && collector !== "*") names.add(collector);
      const options = [{ label: "All collectors", value: "*" }];
      for (const name of [...names].sort()) options.push({ label: name, value: name });
      const shown = [badge[0], badge[1], span, said, options];
      const outputs = shown.map((one, place) => (same(one, shell.shown[place]) ? skip() : one));
      shell.shown = shown;
      return [fresh && tick && !fixed && !paused && due(query, tick) ? tick : skip(), ...outputs];
    },

    shown: [],

    // plotly names times without a zone; they are UTC.
    zoom(changes) {
      for (const change of changes) {
        if (!change) continue;
        const from = change["xaxis.range[0]"];
        const to = change["xaxis.range[1]"];
        const hit = window.dash_clientside.callback_context.triggered.some(
          (one) => one.value === change || same(one.value, change));
        if (!hit) continue;
        if (from !== undefined && to !== undefined) {
          const times = [from, to].map((text) => Date.parse(`${String(text).replace(" ", "T")}Z`));
          if (times.every(Number.isFinite)) return { from: times[0], to: times[1] };
        }
        if (change["xaxis.autorange"]) return { reset: true };
      }
      return skip();
    },
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, { shell });

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
  }
  const preferred = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const asked = new URLSearchParams(window.location.search).get("theme");
  let kept = null;
  try { kept = window.localStorage.getItem(THEME); } catch { /* private window */ }
  setTheme(["light", "dark"].includes(asked) ? asked : kept || preferred);

  function toggleTheme() {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(theme);
    try { window.localStorage.setItem(THEME, theme); } catch { /* private window */ }
    window.dispatchEvent(new CustomEvent("fabricscope-theme", { detail: theme }));
  }

  function csrfToken() {
    const cookie = document.cookie.split("; ").find((one) => one.startsWith("_csrf_token="));
    return cookie ? cookie.slice("_csrf_token=".length) : "";
  }
  window.fabricscope = { csrfToken };

  function toggleHelp() {
    const dialog = document.getElementById("help");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  // A stretch of time by its ends, in UTC as all times here.
  function periodField(name) {
    const place = document.querySelector(`#period [data-name=${name}]`);
    if (!place.firstChild) {
      const field = document.createElement("input");
      field.type = "datetime-local";
      field.step = "1";
      place.append(field);
    }
    return place.firstChild;
  }

  function openPeriod() {
    const query = new URLSearchParams(window.location.search);
    const to = Number(query.get("to")) || Date.now();
    const from = Number(query.get("from")) || to - 300000;
    periodField("from").value = new Date(from).toISOString().slice(0, 19);
    periodField("to").value = new Date(to).toISOString().slice(0, 19);
    document.getElementById("period-said").textContent = "";
    document.getElementById("period").showModal();
  }

  function showPeriod() {
    const [from, to] = ["from", "to"].map((name) => Date.parse(`${periodField(name).value}Z`));
    if (from < to) {
      window.dash_clientside.set_props("zoom", { data: { from, to } });
      document.getElementById("period").close();
    } else {
      document.getElementById("period-said").textContent = "From has to be a time before To.";
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button");
    if (!button) return;
    if (button.id === "theme-button") toggleTheme();
    if (button.id === "span") openPeriod();
    if (button.id === "period-show") showPeriod();
    if (button.id === "period-close") document.getElementById("period").close();
    if (button.id === "log-out") {
      fetch("/logout", { method: "POST", headers: { "X-CSRFToken": csrfToken() } })
        .then(() => window.location.assign("/login"));
    }
    if (button.id === "help-button" || button.id === "help-close") toggleHelp();
  });

  let leading = 0;
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input, textarea, select, [contenteditable], [role=combobox]");
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, a, summary, [role=button], [role=gridcell]");
    if (event.key === " " && !onButton) {
      event.preventDefault();
      document.getElementById("live").click();
    } else if (event.key === "?") toggleHelp();
    else if (event.key === "g") { leading = Date.now(); return; }
    else if (leading && Date.now() - leading < 1500) {
      const link = [...document.querySelectorAll(".nav-link")].find(
        (one) => one.title.endsWith(`(g ${event.key})`));
      if (link) link.click();
    } else if (event.key === "t") openPeriod();
    else if (event.key === "d") toggleTheme();
    else if (event.key === "/") {
      const search = document.querySelector("main input[type=search], main input[type=text]");
      if (search) { event.preventDefault(); search.focus(); }
    } else if (/^[1-8]$/.test(event.key)) {
      window.dash_clientside.set_props("range", { value: RANGES[Number(event.key) - 1] });
    }
    leading = 0;
  });
})();
