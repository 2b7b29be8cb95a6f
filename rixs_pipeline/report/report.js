"use strict";
// The sections of the report, from the data in the page.

const DATA = JSON.parse(document.getElementById("data").textContent);
const MEMORY = "rixs-pipeline report"; // what is kept when the page is loaded again

const section = id => document.getElementById(id);
const GREEK = {a: "α", b: "β"};
const lineLabel = name => name.replace(/_([KLM])([ab])/, (_, shell, k) => ` ${shell}${GREEK[k]}`);

function withError(value, error) { // both to the second digit of the error
  if (value === null || value === undefined) return "";
  if (!(error > 0)) return String(Number(value.toPrecision(4)));
  const power = Math.floor(Math.log10(Number(error.toPrecision(2)))), decimals = 1 - power;
  const isPlain = decimals >= 0 && decimals < 7;
  if (isPlain) return `${value.toFixed(decimals)} ± ${error.toFixed(decimals)}`;
  const unit = 10 ** power;
  return `(${(value / unit).toFixed(1)} ± ${(error / unit).toFixed(1)})e${power}`;
}

function overview() {
  section("overview").append(table([
    {name: "sample", key: "sample"}, {name: "edge", key: "edge"},
    {name: "passes", key: "passes", number: true}, {name: "points", key: "points", number: true},
    {name: "photons", key: "photons", number: true, text: r => r.photons.toLocaleString("en")},
    {name: "pixels", key: "pixels", number: true},
    {name: "resolution (eV)", key: "resolution", number: true,
      text: r => withError(r.resolution, r.resolution_error)},
    {name: "energy scale (eV)", key: "scale_error", number: true,
      text: r => r.scale_error === null ? "" : `± ${r.scale_error.toPrecision(2)}`},
    {name: "p of the passes", key: "p", number: true,
      text: r => r.p === null ? "" : r.p.toPrecision(2)},
    {name: "warnings", key: "warnings", number: true},
  ], DATA.rows, {sortable: true, caption: "Resolution: FWHM. Energy scale: one standard error "
    + "at the region's emission energy. p: that passes are the same but for counting noise."}));
}

function quality() {
  const lines = DATA.quality.map(line => element("li", {className: line.level}, line.text));
  section("quality").append(lines.length ? element("ul", {}, ...lines)
    : element("p", {}, "No warnings."));
}

function pixels() {
  const holder = element("div"), select = element("select", {onchange: () => show()},
    ...DATA.pixels.map((run, k) => element("option", {value: k}, run.name)));
  const show = () => {
    const run = DATA.pixels[Number(select.value) || 0];
    const cells = run.pixels.map((pixel, k) => {
      const isOk = run.status[k].startsWith("ok");
      return element("span", {className: isOk ? "pixel ok" : "pixel bad", tabIndex: isOk ? -1 : 0,
        title: `pixel ${pixel}: ${run.status[k]}; ${run.counts[k].toLocaleString("en")} pulses`},
      `${pixel}${isOk ? "" : " ✕"}`);
    });
    const bad = run.pixels.map((pixel, k) => ({pixel, status: run.status[k]})).filter(
      r => !r.status.startsWith("ok"));
    holder.replaceChildren(element("div", {className: "pixels"}, ...cells),
      bad.length ? table([{name: "pixel", key: "pixel", number: true},
        {name: "why it is not used", key: "status"}], bad, {sortable: true})
        : element("p", {}, "All pixels are used."));
  };
  if (!DATA.pixels.length) return;
  section("pixels").append(element("label", {}, "Run ", select), holder);
  show();
}

function referenceRuns() {
  for (const run of DATA.references) {
    const picture = element("div", {className: "chart"});
    section("references").append(element("h3", {}, run.name), element("p", {},
      `${run.pixels_ok} of ${run.pixels_live} live pixels; resolution (FWHM) `
      + `${withError(...run.resolution)} eV`), picture, table([
      {name: "line", key: "line", text: r => lineLabel(r.line)}, {name: "energy (eV)", key: "energy", number: true},
      {name: "line - reference (eV)", key: "value", number: true,
        text: r => withError(r.value, r.error)}], run.lines));
    chart(picture, {label: `spectrum of ${run.name}`, x: "emission energy (eV)",
      y: "photons per bin", zero: true, series: [{x: run.energy, y: run.counts}],
      marks: run.lines.map(l => ({x: l.energy, text: lineLabel(l.line)}))});
  }
}

function drift() {
  const series = Object.entries(DATA.positions).map(([name, scans]) => ({name,
    x: scans.map(s => s.hours), y: scans.map(s => s.value), error: scans.map(s => s.error),
    points: true}));
  const shown = list => list.map(s => {
    const middle = [...s.y].sort((a, b) => a - b)[Math.floor(s.y.length / 2)];
    return {...s, y: s.y.map(v => v - middle), name: `${lineLabel(s.name)} - ${middle.toFixed(2)} eV`};
  });
  const both = [["drift", shown(series), "position - median (eV)",
    "Emission lines of the samples in every pass; bars: one standard error of counting."],
  ["drift", DATA.scales.length ? [{x: DATA.scales.map(s => s.hours), y: DATA.scales.map(
    s => s.value), error: DATA.scales.map(s => s.error), points: true}] : [],
  "correction of the scale (eV)", "Correction of the energy scale of every scan."]];
  for (const [id, list, y, text] of both) {
    if (!list.length) continue;
    const picture = element("div", {className: "chart"});
    section(id).append(element("p", {}, text), picture);
    chart(picture, {label: text, series: list, x: "time since the first run (h)", y});
  }
}

function flux() {
  for (const [key, y] of [["i0", "I0 (as logged)"], ["rate", "photons per exposure (1/s)"]]) {
    const samples = [...new Set(DATA.flux.map(s => s.sample))];
    const series = samples.map(name => {
      const scans = DATA.flux.filter(s => s.sample === name && s[key]);
      return {name, x: scans.flatMap(s => s.hours), y: scans.flatMap(s => s[key]), points: true};
    }).filter(s => s.x.length);
    if (!series.length) continue;
    const picture = element("div", {className: "chart"});
    section("flux").append(picture);
    chart(picture, {label: y, series, zero: true, x: "time since the first run (h)", y});
  }
}

function cutFlow() {
  const names = [...new Set(DATA.cuts.flatMap(run => Object.keys(run.cuts)))];
  section("cuts").append(table([{name: "run", key: "name"}, ...names.map(name => ({name,
    key: name, number: true, text: r => r.cuts[name] === undefined ? ""
      : r.cuts[name].toLocaleString("en")}))], DATA.cuts.map(r => ({...r, ...r.cuts})),
  {sortable: true, caption: "Pulses left after each cut, all pixels."}));
}

function tables() {
  section("corrections").append(DATA.corrections.length ? table([
    {name: "run", key: "subject"}, {name: "correction", key: "name"},
    {name: "value", key: "value", number: true, text: r => withError(r.value, r.error)},
    {name: "unit", key: "unit"}, {name: "key of the config", key: "config"}],
  DATA.corrections, {sortable: true}) : element("p", {}, "None."));
  section("comparisons").append(DATA.comparisons.length ? table([
    {name: "comparison", key: "name"}, {name: "result", key: "text"}], DATA.comparisons)
    : element("p", {}, "None; see `compare` in the config."));
  section("provenance").append(table([{name: "what", key: "name"}, {name: "value", key: "text"}],
    DATA.provenance), element("details", {}, element("summary", {}, "config"),
    element("pre", {tabIndex: 0}, DATA.config)));
}

function remember(view) { // returns what restores the scroll, once the page has its height
  const memory = JSON.parse(sessionStorage.getItem(MEMORY) || "{}");
  const reload = section("reload");
  reload.checked = Boolean(memory.reload);
  let isRestored = false;
  const keep = () => sessionStorage.setItem(MEMORY, JSON.stringify({view: view ? view.state : null,
    scroll: isRestored ? window.scrollY : memory.scroll, reload: reload.checked}));
  if (view) view.onchange = keep;
  window.addEventListener("scroll", keep, {passive: true});
  let timer = null;
  const schedule = () => {
    clearTimeout(timer);
    if (reload.checked) timer = setTimeout(() => { keep(); location.reload(); }, 10000);
  };
  reload.addEventListener("change", () => { keep(); schedule(); });
  schedule();
  history.scrollRestoration = "manual";
  return () => {
    if (memory.scroll) window.scrollTo(0, memory.scroll);
    isRestored = true;
  };
}

function start() {
  section("made").textContent = DATA.made;
  overview();
  quality();
  let view = null;
  if (DATA.maps.length) {
    let memory = {};
    try { memory = JSON.parse(sessionStorage.getItem(MEMORY) || "{}"); } catch { /* private */ }
    view = window.view = new MapView(section("map"), DATA.maps, DATA.ratios, memory.view || {});
  } else section("map").append(element("p", {}, "There are no maps."));
  let restoreScroll = () => {};
  try { restoreScroll = remember(view); } catch { section("reload").disabled = true; }
  // below the first screen: drawn when the browser has time for it
  const rest = [pixels, referenceRuns, drift, flux, cutFlow, tables];
  const next = () => {
    const draw = rest.shift();
    if (draw) { draw(); setTimeout(next); return; }
    restoreScroll();
    document.body.dataset.drawn = "all";
  };
  setTimeout(next);
}

start();
