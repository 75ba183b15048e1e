/* report.js - draws the figures of the page from the specifications that stand in it, and offers
 * each as values, CSV, SVG and Vega specification. Loads nothing; texts enter the page as text
 * nodes only. */
"use strict";
(function () {
  const config = {
    background: null,
    font: "system-ui, sans-serif",
    axis: {
      domainColor: "currentColor", domainOpacity: 0.5, tickColor: "currentColor", tickOpacity: 0.5,
      gridColor: "currentColor", gridOpacity: 0.12, labelFontSize: 12, titleFontSize: 12,
      titleFontWeight: 400, labelColor: "currentColor", titleColor: "currentColor", labelFlush: false
    },
    legend: { labelColor: "currentColor", titleColor: "currentColor", labelFontSize: 12, titleFontSize: 12,
              titleFontWeight: 400, columnPadding: 14, rowPadding: 4, symbolSize: 90, labelLimit: 220,
              layout: { top: { direction: "vertical", margin: 6 } } },
    title: { color: "currentColor", fontSize: 12.5, fontWeight: 600 },
    style: { "guide-label": { fill: "currentColor" }, "guide-title": { fill: "currentColor" } }
  };
  const hidden = new Set(["panel", "line", "x", "control", "off_scale"]); /* for drawing, not for reading */
  const tip = document.getElementById("tip");

  function value(v) {
    if (typeof v !== "number") return v === null || v === undefined ? "\u2013" : String(v);
    if (Number.isInteger(v)) return v.toLocaleString("en-US");
    return Math.abs(v) >= 1e6 ? v.toExponential(3) : String(Number(v.toPrecision(5)));
  }
  function name(key) { return key.replace(/_/g, " "); }
  function columns(rows) {
    const keys = [];
    for (const row of rows.slice(0, 50).concat(rows.slice(-50)))
      for (const key of Object.keys(row)) if (!keys.includes(key) && !hidden.has(key)) keys.push(key);
    return keys;
  }
  /* The same anchor as the table of runs: every other byte than letters, digits, . _ - is _. */
  function anchor(id) {
    let out = "run-";
    for (const byte of new TextEncoder().encode(id)) {
      const c = String.fromCharCode(byte);
      out += /[A-Za-z0-9._-]/.test(c) ? c : "_";
    }
    return out;
  }
  function element(tag, text) {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    return e;
  }

  function show(event, datum) {
    if (datum === null || typeof datum !== "object") { tip.hidden = true; return; }
    const list = element("dl");
    for (const key of columns([datum])) {
      const v = datum[key];
      if (typeof v === "object" || v === undefined || typeof v === "symbol") continue;
      list.append(element("dt", name(key)), element("dd", value(v)));
    }
    tip.replaceChildren(list);
    if (datum.run_id) tip.append(element("p", "click: its row in the table of runs"));
    tip.hidden = false;
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 14 + tip.offsetHeight < innerHeight;
    tip.style.left = Math.max(4, x) + "px";
    tip.style.top = (below ? event.clientY + 14 : Math.max(4, event.clientY - tip.offsetHeight - 10)) + "px";
  }

  function cell(v) {
    const s = v === null || v === undefined ? "" : String(v);
    /* A leading = + - @ would be a formula in a spreadsheet, unless it is a number. */
    const safe = typeof v === "string" && /^[=+\-@\t\r]/.test(s) ? "'" + s : s;
    return /[",\r\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  }
  function csv(rows) {
    const keys = columns(rows);
    return [keys.join(",")].concat(rows.map(r => keys.map(k => cell(r[k])).join(","))).join("\n") + "\n";
  }
  function save(text, type, file) {
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([text], { type: type }));
    a.download = file;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  }

  function fill_values(details, rows) {
    const keys = columns(rows), table = element("table"), top = element("tr"), body = element("tbody");
    for (const key of keys) { const th = element("th", name(key)); th.scope = "col"; top.append(th); }
    const head = element("thead");
    head.append(top);
    for (const row of rows) {
      const tr = element("tr");
      for (const key of keys) {
        const td = element("td");
        if (key === "run_id" && row[key]) {
          const a = element("a", row[key]);
          a.href = "#" + anchor(row[key]);
          td.append(a);
        } else td.textContent = value(row[key]);
        if (typeof row[key] === "number") td.className = "num";
        tr.append(td);
      }
      body.append(tr);
    }
    table.append(head, body);
    const box = element("div");
    box.className = "scroll";
    box.tabIndex = 0;
    box.append(table);
    details.append(box);
  }

  function draw(chart) {
    const id = chart.dataset.figure;
    const text = document.getElementById("spec-" + id).textContent;
    const spec = JSON.parse(text);
    const rows = spec.data[0].values;
    const view = new vega.View(vega.parse(spec, config, { ast: true }), {
      expr: vega.expressionInterpreter, renderer: "svg", container: chart, hover: false
    });
    view.tooltip((handler, event, item, datum) => show(event, datum));
    view.addEventListener("click", (event, item) => {
      if (item && item.datum && item.datum.run_id) location.hash = anchor(item.datum.run_id);
    });

    let width = 0;
    async function fit() {
      if (chart.clientWidth === width || chart.clientWidth === 0) return;
      width = chart.clientWidth;
      /* Axis labels have any length: narrower until it fits, a few times at most. */
      for (let ask = width, i = 0; i < 4; i++) {
        await view.signal("W", ask).runAsync();
        const over = Math.ceil(view.scenegraph().root.bounds.width() + 10 - width);
        if (over <= 0) return;
        ask -= over;
      }
    }
    let timer = 0;
    new ResizeObserver(() => { clearTimeout(timer); timer = setTimeout(fit, 80); }).observe(chart);

    const tools = chart.parentElement.querySelector(".tools");
    tools.hidden = false;
    tools.querySelectorAll("button").forEach(button => {
      const kind = button.dataset.get;
      const title = chart.parentElement.querySelector("h3").textContent;
      button.setAttribute("aria-label", "Download '" + title + "' as " + button.textContent);
      button.addEventListener("click", async () => {
        if (kind === "csv") save(csv(rows), "text/csv", id + ".csv");
        else if (kind === "json") save(text, "application/json", id + ".vg.json");
        else save((await view.toSVG()).replace("<svg ", '<svg color="#1a1d21" '), "image/svg+xml", id + ".svg");
      });
    });
    const details = tools.querySelector("details");
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector("table")) fill_values(details, rows);
    });
    return fit();
  }

  async function all() {
    let drawn = 0;
    for (const chart of document.querySelectorAll(".chart")) {
      try {
        await draw(chart);
        drawn++;
      } catch (error) {
        console.error("figure " + chart.dataset.figure + ": " + error);
        chart.append(element("p", "This figure could not be drawn: " + error));
      }
    }
    document.documentElement.dataset.drawn = String(drawn);
    if (location.hash.startsWith("#fig-")) document.querySelector(location.hash)?.scrollIntoView();
  }
  addEventListener("keydown", e => { if (e.key === "Escape") tip.hidden = true; });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  addEventListener("beforeprint", () => { tip.hidden = true; });
  all();
})();
