// Sorting, the list of runs, and light or dark. Without this script the tables, figures and the ledger can still be read.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SHOWN = 25; // runs that the list shows at most
  const root = document.documentElement;

  function make(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // -- light or dark
  const stored = (value) => {
    try {
      return value === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", value);
    } catch { return null; } // a page opened from a file may not store anything
  };
  if (stored()) root.dataset.theme = stored();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    stored(root.dataset.theme);
  });

  // -- sorting: numbers before texts, gaps last, each group of rows in itself
  const first = /^[^\d+\u2212-]*([+\u2212-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)/i;
  function key(cell) {
    const text = cell.textContent.trim();
    const match = cell.classList.contains("num") ? first.exec(text) : null;
    return match ? Number(match[1].replaceAll(",", "").replace("\u2212", "-")) : text;
  }
  function compare(a, b, sign) {
    const gap = (value) => value === "\u2013" || value === "";
    if (gap(a) || gap(b)) return gap(a) - gap(b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
  }
  document.querySelectorAll("table.sorts").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") === "descending"
        || (head.getAttribute("aria-sort") === null && !head.classList.contains("num"));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      for (const body of table.querySelectorAll("tbody:not(.model)")) {
        const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
        rows.sort((a, b) => compare(a[0], b[0], ascending ? 1 : -1));
        body.append(...rows.map((pair) => pair[1]));
      }
    }));
  });

  // -- runs
  const runs = data.runs.map((run, number) => ({
    ...run, number, name: `${run.scale}/${run.id}`, words: `${run.scale}/${run.id} ${run.status} ${run.error}`.toLowerCase(),
  }));
  const byName = new Map(runs.map((run) => [run.name, run]));
  const list = document.getElementById("list"), count = document.getElementById("count");
  const detail = document.getElementById("detail"), search = document.getElementById("search");
  let chosen = null;

  const score = (run) => run.metric ? `${run.metric} ${Number(run.scores[run.metric]).toFixed(4)}` : "";
  const minutes = (seconds) => seconds === undefined ? "" : seconds < 90 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;

  function line(run) {
    const link = make("a", { href: "#detail" }, run.name);
    link.addEventListener("click", (event) => { event.preventDefault(); open([run]); });
    const state = make("td", run.status === "failed" ? { class: "failed" } : {}, run.status);
    const settings = data.settings[run.settings], place = data.places[run.place];
    return make("tr", {}, make("td", {}, link), state, make("td", { class: "num" }, score(run)),
      make("td", { class: "num" }, minutes(run.seen.total_seconds)), make("td", {}, place.device || ""),
      make("td", {}, settings["method.name"] || ""), make("td", {}, run.error || ""));
  }
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = (chosen || runs).filter((run) => words.every((word) => run.words.includes(word)));
    const heads = ["Run", "Status", "Score", "Time", "Device", "Method", "Error"].map((name) => make("th", { scope: "col" }, name));
    const body = make("tbody", {}, ...found.slice(0, SHOWN).map(line));
    list.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
    count.textContent = `${found.length.toLocaleString("en")} of ${runs.length.toLocaleString("en")} runs`
      + (found.length > SHOWN ? `; the first ${SHOWN} are shown` : "");
  }
  search.addEventListener("input", () => { chosen = null; filter(); });

  function pairs(title, values) {
    const rows = Object.entries(values).filter(([, value]) => value !== null && value !== "null" && value !== "")
      .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]);
    return make("div", {}, make("h4", {}, title), make("dl", {}, ...rows));
  }
  function curve(run) {
    const points = (run.curve || []).filter((point) => point[1] !== null);
    if (points.length < 2) return "";
    const space = "http://www.w3.org/2000/svg", node = (name, attributes, text) => {
      const made = document.createElementNS(space, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      return made;
    };
    const [width, height, left, low] = [420, 180, 48, 150];
    const ys = points.map((point) => point[1]), xs = points.map((point) => point[0]);
    const [top, bottom] = [Math.max(...ys), Math.min(...ys)], span = top - bottom || 1;
    const x = (value) => left + (width - left - 10) * (value - xs[0]) / (xs.at(-1) - xs[0] || 1);
    const y = (value) => low - (low - 15) * (value - bottom) / span;
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${run.metric} from ${ys[0]} at step ${xs[0]} to ${ys.at(-1)} at step ${xs.at(-1)}` });
    const small = { fill: "currentColor", "font-size": 11 };
    svg.append(node("path", { d: `M${left} 10V${low}H${width - 8}`, fill: "none", stroke: "currentColor", opacity: 0.4 }),
      node("text", { ...small, x: left - 4, y: y(top) + 4, "text-anchor": "end" }, top.toFixed(3)),
      node("text", { ...small, x: left - 4, y: y(bottom) + 4, "text-anchor": "end" }, bottom.toFixed(3)),
      node("text", { ...small, x: left, y: low + 14 }, `step ${xs[0]}`),
      node("text", { ...small, x: width - 8, y: low + 14, "text-anchor": "end" }, `step ${xs.at(-1)}`),
      node("polyline", { points: points.map((point) => `${x(point[0])},${y(point[1])}`).join(" "), fill: "none",
        stroke: "#0072B2", "stroke-width": 2 }));
    return make("div", {}, make("h4", {}, `${run.metric} on the evaluation set`), svg);
  }
  function card(run) {
    const known = { status: run.status, hash: run.hash, ...run.scores, ...run.counts, ...run.seen };
    const safe = /^https?:\/\//.test(run.url || "") ? [make("a", { href: run.url, rel: "noopener" }, "W&B: curves of this run")] : [];
    const error = run.error ? [make("p", { class: "failed" }, run.error)] : [];
    const columns = make("div", { class: "columns" }, pairs("Result", known), pairs("Settings", data.settings[run.settings]),
      pairs("Versions and machine", data.places[run.place]));
    return make("article", { class: "detail", tabindex: "-1" }, make("h3", {}, run.name), ...error, ...safe, curve(run), columns);
  }
  function open(several) {
    detail.replaceChildren(...several.map(card));
    detail.firstChild?.scrollIntoView({ block: "start" });
    detail.firstChild?.focus({ preventScroll: true });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-runs]");
    if (!link) return;
    event.preventDefault();
    chosen = link.dataset.runs.split(" ").map((name) => byName.get(name)).filter(Boolean);
    search.value = "";
    filter();
    open(chosen.slice(0, 5));
  });
  filter();
})();
