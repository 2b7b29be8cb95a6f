"use strict";
// A map with a region that is drawn and dragged; the spectrum of the region beside it.

const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884",
  "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const DIVERGING = ["#2d004b", "#542788", "#8073ac", "#b2abd2", "#f7f7f7", "#fdb863", "#e08214",
  "#b35806", "#7f3b08"];
const HANDLE = 8; // pixels from a border, within which it is dragged
const STEP_EV = 0.1; // limits are rounded to it
const ARRAYS = {1: Uint8Array, 2: Uint16Array, 4: Uint32Array};

function palette(colours) { // 256 colours as RGB
  const parse = c => [1, 3, 5].map(k => parseInt(c.slice(k, k + 2), 16));
  return Array.from({length: 256}, (_, k) => {
    const at = k / 255 * (colours.length - 1), i = Math.min(Math.floor(at), colours.length - 2);
    const [a, b] = [parse(colours[i]), parse(colours[i + 1])];
    return a.map((v, c) => Math.round(v + (at - i) * (b[c] - v)));
  });
}
const PALETTES = {sequential: palette(VIRIDIS), diverging: palette(DIVERGING)};

async function inflate(map) {
  // Counts (point x bin) of a map, which are kept compressed until it is shown
  if (map.counts) return map;
  const bytes = Uint8Array.from(atob(map.packed), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const flat = new ARRAYS[map.item_bytes](buffer);
  const nBins = map.edges.length - 1, first = map.first_bin, n = map.n_bins;
  map.counts = new Uint32Array(map.incident.length * nBins); // bins without counts are left out
  for (let point = 0; point < map.incident.length; point++)
    map.counts.set(flat.subarray(point * n, (point + 1) * n), point * nBins + first);
  delete map.packed;
  return map;
}

const round = value => Number((Math.round(value / STEP_EV) * STEP_EV).toFixed(3));

class MapView {
  constructor(holder, maps, ratios, remembered) {
    Object.assign(this, {maps, ratios});
    this.state = {map: 0, other: -1, view: "A", axis: "emission", colours: "sqrt", bins: 0,
      zoom: null, region: null, ...remembered};
    if (this.state.map >= maps.length) this.state.map = 0;
    this.onchange = () => {};
    this.build(holder);
    this.select(this.state.map, this.state.region);
  }

  get map() { return this.maps[this.state.map]; }
  get other() { return this.maps[this.state.other]; }
  get isLoss() { return this.state.axis === "loss"; }

  build(holder) {
    const option = (value, text) => element("option", {value}, text);
    const choice = (name, label, options, numeric = false) => {
      const select = element("select", {onchange: () => {
        this.set({[name]: numeric ? Number(select.value) : select.value});
      }}, ...options);
      this.choices[name] = select;
      return element("label", {}, label, " ", select);
    };
    this.choices = {};
    const names = this.maps.map((m, k) => option(k, `${m.sample}, ${m.edge}`));
    this.choices.map = element("select", {onchange: () => this.select(Number(
      this.choices.map.value), null)}, ...names);
    const controls = element("div", {className: "controls"},
      element("label", {}, "Map A ", this.choices.map),
      choice("other", "map B", [option(-1, "none")], true),
      choice("view", "show", ["A", "B", "A - B", "significance"].map(v => option(v, v))),
      choice("axis", "axis", [option("emission", "emission energy"), option("loss", "energy loss")]),
      choice("colours", "colours", ["linear", "sqrt", "log"].map(v => option(v, v))),
      element("button", {type: "button", onclick: () => this.zoom()}, "zoom"),
      choice("bins", "bins", [option(0, "as the picture needs"), ...[1, 2, 4, 8].map(
        n => option(n, `${n} together`))], true));
    this.canvas = element("canvas", {tabIndex: 0, role: "application", "aria-label":
      "Map. Drag to draw or change the region; arrow keys move it, with Shift they resize it."});
    this.overlay = svg("svg", {class: "overlay"});
    const picture = element("div", {className: "picture"}, this.canvas);
    picture.append(this.overlay);
    this.spectrumHolder = element("div", {className: "chart"});
    this.numbers = element("p", {className: "numbers", "aria-live": "polite"});
    this.note = element("p", {className: "note"});
    this.form = this.buildForm();
    this.yaml = element("pre", {tabIndex: 0});
    holder.append(controls, element("div", {className: "pair"}, picture, element("div", {
      className: "spectrum"}, this.spectrumHolder, this.numbers)), this.note, this.form,
    element("details", {}, element("summary", {}, "region for the config"), this.yaml));
    this.listen();
  }

  buildForm() {
    const kind = element("select", {onchange: () => this.change({kind: kind.value})},
      element("option", {value: "pfy"}, "PFY (against incident energy)"),
      element("option", {value: "xes"}, "XES (against emission energy)"));
    this.inputs = {kind};
    const limits = (name, label) => {
      const read = () => {
        const values = fields.map(f => f.value.trim() === "" ? NaN : Number(f.value));
        const isSet = values.every(Number.isFinite) && values[1] > values[0];
        if (isSet || fields.every(f => f.value.trim() === ""))
          this.change({[name]: isSet ? values : null, ...(name === "incident" && {cut: null})});
      };
      const fields = ["from", "to"].map(end => element("input", {type: "number", step: "any",
        onchange: read, "aria-label": `${label} ${end}, eV`}));
      this.inputs[name] = fields;
      return element("label", {}, `${label} `, fields[0], " to ", fields[1], " eV");
    };
    const cut = element("input", {type: "number", step: "any", onchange: () => this.change({
      cut: cut.value.trim() === "" ? null : Number(cut.value), incident: null})});
    this.inputs.cut = cut;
    const step = element("input", {type: "number", step: "any", min: 0, onchange: () => {
      const edges = this.map.edges, width = edges[1] - edges[0];
      const n = joinedBins(this.map, Number(step.value)); // whole bins of the map
      this.change({step: n > 1 ? Number((n * width).toFixed(6)) : null});
      step.value = this.state.region.step ?? "";
    }});
    this.inputs.step = step;
    this.preset = element("select", {onchange: () => {
      const chosen = this.map.regions[Number(this.preset.value)];
      if (chosen) this.change({...NO_LIMITS, ...chosen.region});
    }});
    return element("div", {className: "controls"}, element("label", {}, "Spectrum ", kind),
      limits("incident", "incident"), limits("emission", "emission"), limits("loss", "loss"),
      element("label", {}, "cut at ", cut, " eV"),
      element("label", {}, "bins of ", step, " eV"),
      element("label", {}, "region of the config ", this.preset));
  }

  zoom() { // to the region and as much around it; again: the whole map
    const box = this.box(), l = this.place;
    if (this.state.zoom || !box) return this.set({zoom: null});
    const [low, high] = [l.y[2].inverse(box[3]), l.y[2].inverse(box[1])];
    const margin = (high - low) / 2;
    return this.set({zoom: [Math.max(low - margin, l.y[0]), Math.min(high + margin, l.y[1])]});
  }

  set(values) {
    if ("axis" in values) this.state.zoom = null;
    Object.assign(this.state, values);
    this.draw();
  }

  change(values) {
    this.state.region = {...this.state.region, ...values};
    this.draw();
  }

  async select(index, region) {
    if (this.state.map !== index) this.state.zoom = null;
    this.state.map = index;
    await inflate(this.map);
    const others = this.maps.map((m, k) => k).filter(
      k => k !== index && this.maps[k].edge === this.map.edge);
    this.choices.other.replaceChildren(element("option", {value: -1}, "none"),
      ...others.map(k => element("option", {value: k}, this.maps[k].sample)));
    if (!others.includes(this.state.other)) this.state.other = -1;
    const named = this.map.regions.map((r, k) => element("option", {value: k}, r.name));
    this.preset.replaceChildren(element("option", {value: -1}, "choose"), ...named);
    const first = this.map.regions.length ? this.map.regions[0].region : {kind: "pfy"};
    this.state.region = {...NO_LIMITS, ...(region || first)};
    await this.draw();
  }

  async draw() {
    if (this.other) await inflate(this.other);
    if (!this.other) this.state.view = "A";
    for (const name of ["map", "other", "view", "axis", "colours", "bins"])
      this.choices[name].value = this.state[name];
    this.choices.view.disabled = !this.other;
    this.drawMap();
    this.drawRegion();
    this.drawSpectrum();
    this.showLimits();
    this.onchange();
  }

  // ---- the picture

  layout() {
    const width = Math.max(280, Math.min(this.canvas.parentElement.clientWidth, 760));
    const height = Math.round(Math.min(0.85 * width, 560));
    const frame = {left: 64, right: width - 84, top: 10, bottom: height - 44};
    const {incident, edges, shown} = this.map;
    const x = [incident[0], incident[incident.length - 1]];
    const pad = incident.length > 1 ? (x[1] - x[0]) / (incident.length - 1) / 2 : 0.5;
    x[0] -= pad; x[1] += pad;
    const y = this.isLoss ? [x[0] - shown[1], x[1] - shown[0]] : [...shown];
    if (this.isLoss) y[0] = Math.max(y[0], -30);
    if (this.state.zoom) [y[0], y[1]] = this.state.zoom;
    return {width, height, frame, x: [...x, scale(...x, frame.left, frame.right)],
      y: [...y, scale(...y, frame.bottom, frame.top)], edges};
  }

  columns() { // borders of the incident points on the picture, eV
    const e = this.map.incident, n = e.length;
    const between = e.slice(1).map((v, k) => (v + e[k]) / 2);
    const half = n > 1 ? (e[n - 1] - e[0]) / (n - 1) / 2 : 0.5;
    return [n > 1 ? e[0] - (between[0] - e[0]) : e[0] - half, ...between,
      n > 1 ? e[n - 1] + (e[n - 1] - between[n - 2]) : e[0] + half];
  }

  drawMap() {
    const l = this.place = this.layout(), ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, {width: l.width * ratio, height: l.height * ratio});
    Object.assign(this.canvas.style, {width: `${l.width}px`, height: `${l.height}px`});
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const together = this.state.bins || this.wantedBins(l);
    const shown = this.values(together), nRows = shown.nRows;
    const level = this.levels(shown);
    const image = new ImageData(this.map.incident.length, nRows);
    const colours = PALETTES[shown.isSigned ? "diverging" : "sequential"];
    for (let row = 0; row < nRows; row++) for (let p = 0; p < image.width; p++) {
      const value = shown.values[p * nRows + row];
      const at = 4 * ((nRows - 1 - row) * image.width + p);
      if (!Number.isFinite(value)) continue;
      const rgb = colours[Math.round(255 * Math.min(Math.max(level(value), 0), 1))];
      image.data.set([...rgb, 255], at);
    }
    const sheet = element("canvas", {width: image.width, height: nRows});
    sheet.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.save();
    context.beginPath();
    context.rect(l.frame.left, l.frame.top, l.frame.right - l.frame.left,
      l.frame.bottom - l.frame.top);
    context.clip();
    const borders = this.columns(), low = l.edges[0];
    const high = low + nRows * together * (l.edges[1] - l.edges[0]);
    for (let p = 0; p < image.width; p++) {
      const x0 = l.x[2](borders[p]), x1 = l.x[2](borders[p + 1]), e = this.map.incident[p];
      const [top, bottom] = this.isLoss
        ? [l.y[2](e - low), l.y[2](e - high)] : [l.y[2](high), l.y[2](low)];
      context.save();
      context.translate(0, this.isLoss ? bottom : top);
      if (this.isLoss) context.scale(1, -1);
      context.drawImage(sheet, p, 0, 1, nRows, x0, 0, Math.max(x1 - x0, 0.5) + 0.3, bottom - top);
      context.restore();
    }
    context.restore();
    this.overlay.setAttribute("viewBox", `0 0 ${l.width} ${l.height}`);
    this.overlay.setAttribute("width", l.width);
    this.overlay.setAttribute("height", l.height);
    this.overlay.replaceChildren();
    drawAxes(this.overlay, l.frame, l.x, l.y, {x: "incident energy (eV)",
      y: this.isLoss ? "energy loss (eV)" : "emission energy (eV)"});
    this.drawColourBar(l, shown, colours, together);
  }

  wantedBins(l) { // so many that a row is a pixel high
    const span = l.y[1] - l.y[0], width = l.edges[1] - l.edges[0];
    const perPixel = span / width / (l.frame.bottom - l.frame.top);
    return Math.max(1, Math.ceil(perPixel));
  }

  rates(map, together) { // counts/(s eV) and their variances, bins taken together
    const nBins = map.edges.length - 1, nRows = Math.floor(nBins / together);
    const width = together * (map.edges[nBins] - map.edges[0]) / nBins;
    const value = new Float64Array(map.incident.length * nRows);
    const counts = new Float64Array(value.length);
    map.incident.forEach((_, p) => {
      const divisor = map.exposure[p] * width;
      for (let row = 0; row < nRows; row++) {
        let n = 0;
        for (let k = 0; k < together; k++) n += map.counts[p * nBins + row * together + k];
        counts[p * nRows + row] = n;
        value[p * nRows + row] = divisor > 0 ? n / divisor : NaN;
      }
    });
    return {value, counts, nRows, width};
  }

  values(together) {
    const a = this.rates(this.map, together), nRows = a.nRows, view = this.state.view;
    if (!this.other || view === "A") return {values: a.value, nRows, unit: "counts/(s eV)"};
    const b = this.rates(this.other, together);
    const rows = this.map.incident.map(e => this.nearestPoint(e));
    const values = new Float64Array(a.value.length).fill(NaN);
    rows.forEach((other, p) => {
      if (other < 0) return;
      for (let row = 0; row < Math.min(nRows, b.nRows); row++) {
        const i = p * nRows + row, j = other * b.nRows + row;
        const difference = a.value[i] - b.value[j];
        if (view === "B") values[i] = b.value[j];
        else if (view === "A - B") values[i] = difference;
        else {
          const variance = (a.counts[i] + 1) / (this.map.exposure[p] * a.width) ** 2
            + (b.counts[j] + 1) / (this.other.exposure[other] * b.width) ** 2;
          values[i] = difference / Math.sqrt(variance);
        }
      }
    });
    const isSigned = view !== "B";
    const unit = view === "significance" ? "standard errors" : "counts/(s eV)";
    return {values, nRows, unit, isSigned};
  }

  nearestPoint(energy) { // of the other map, within the distance of its points
    const e = this.other.incident;
    let best = 0;
    e.forEach((v, k) => { if (Math.abs(v - energy) < Math.abs(e[best] - energy)) best = k; });
    const spacing = e.length > 1 ? (e[e.length - 1] - e[0]) / (e.length - 1) : 1;
    return Math.abs(e[best] - energy) <= spacing ? best : -1;
  }

  levels(shown) {
    let low = 0, high = 0, least = Infinity;
    for (const v of shown.values) if (Number.isFinite(v)) {
      high = Math.max(high, Math.abs(v));
      if (v > 0) least = Math.min(least, v);
    }
    high = high || 1;
    shown.high = high;
    if (shown.isSigned) { shown.low = -high; return v => (v / high + 1) / 2; }
    const {colours} = this.state;
    shown.low = colours === "log" ? Math.min(least, high / 10) : low;
    if (colours === "sqrt") return v => Math.sqrt(v / high);
    if (colours === "log") {
      const span = Math.log(high / shown.low);
      return v => v > 0 ? Math.log(v / shown.low) / span : 0;
    }
    return v => v / high;
  }

  drawColourBar(l, shown, colours, together) {
    const left = l.frame.right + 14, height = l.frame.bottom - l.frame.top, n = 64;
    for (let k = 0; k < n; k++) {
      const rgb = colours[Math.round(255 * (n - 1 - k) / (n - 1))];
      svg("rect", {x: left, y: l.frame.top + k * height / n, width: 12, height: height / n + 0.6,
        fill: `rgb(${rgb})`}, this.overlay);
    }
    const text = {x: left + 16, "font-size": 11, fill: "currentColor"};
    const power = this.state.colours;
    const middle = shown.isSigned ? 0 : power === "sqrt" ? shown.high / 4
      : power === "log" ? Math.sqrt(shown.low * shown.high) : shown.high / 2;
    [[shown.high, 0], [middle, 0.5], [shown.low, 1]].forEach(([value, at]) => svg("text", {
      ...text, y: l.frame.top + at * height + (at ? 0 : 10)}, this.overlay,
    Number(value.toPrecision(2)).toString()));
    svg("text", {"font-size": 11, fill: "currentColor", "text-anchor": "middle",
      transform: `translate(${left + 60} ${l.frame.top + height / 2}) rotate(90)`},
    this.overlay, shown.unit);
    const width = (together * (l.edges[1] - l.edges[0])).toPrecision(3);
    this.note.textContent = `Picture: ${together} bins together, ${Number(width)} eV; `
      + "sums use the bins of the map. "
      + (this.state.view === "A" || !this.other ? ""
        : `B: nearest incident point of ${this.other.sample}.`);
  }

  // ---- the region

  box() { // of the region on the picture: [left, top, right, bottom]; null: not a rectangle
    const {region} = this.state, l = this.place;
    if (!region || (this.isLoss ? region.emission : region.loss)) return null;
    const range = (this.isLoss ? region.loss : region.emission) || [l.y[0], l.y[1]];
    const inside = region.cut != null ? [region.cut, region.cut] : region.incident
      || [l.x[0], l.x[1]];
    return [l.x[2](inside[0]), l.y[2](range[1]), l.x[2](inside[1]), l.y[2](range[0])];
  }

  drawRegion() {
    for (const old of this.overlay.querySelectorAll(".region")) old.remove();
    const l = this.place, {region} = this.state;
    const style = {class: "region", fill: "none", stroke: "#fff", "stroke-width": 3,
      "stroke-linejoin": "round"};
    const limits = emissionLimits(region, [l.x[0], l.x[1]].map(e => region.incident
      ? Math.min(Math.max(e, region.incident[0]), region.incident[1] - 1e-9) : e));
    const box = this.box();
    let path;
    if (box) {
      const [x0, y0, x1, y1] = [Math.max(box[0], l.frame.left), Math.max(box[1], l.frame.top),
        Math.min(box[2], l.frame.right), Math.min(box[3], l.frame.bottom)];
      path = `M${x0},${y0}H${x1}V${y1}H${x0}Z`;
    } else {
      const ends = (region.incident || [l.x[0], l.x[1]]).map(
        e => Math.min(Math.max(e, l.x[0]), l.x[1]));
      const at = (k, side) => {
        const emission = Math.min(Math.max(limits[k][side], l.edges[0]), l.edges[l.edges.length - 1]);
        return `${l.x[2](ends[k])},${l.y[2](this.isLoss ? ends[k] - emission : emission)}`;
      };
      path = `M${at(0, 0)}L${at(1, 0)}L${at(1, 1)}L${at(0, 1)}Z`;
    }
    const id = "inside-the-map";
    const clip = svg("clipPath", {id, class: "region"}, this.overlay);
    svg("rect", {x: l.frame.left, y: l.frame.top, width: l.frame.right - l.frame.left,
      height: l.frame.bottom - l.frame.top}, clip);
    svg("path", {...style, d: path, "clip-path": `url(#${id})`}, this.overlay);
    svg("path", {...style, d: path, stroke: "#d00000", "stroke-width": 1.5,
      "clip-path": `url(#${id})`}, this.overlay);
  }

  listen() {
    const at = event => {
      const frame = this.canvas.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    const grip = ([x, y]) => { // which borders are near: of the region, or all to move it
      const box = this.box();
      if (!box) return null;
      const near = {left: Math.abs(x - box[0]) < HANDLE, right: Math.abs(x - box[2]) < HANDLE,
        top: Math.abs(y - box[1]) < HANDLE, bottom: Math.abs(y - box[3]) < HANDLE};
      const within = x > box[0] - HANDLE && x < box[2] + HANDLE && y > box[1] - HANDLE
        && y < box[3] + HANDLE;
      if (!within) return null;
      if (Object.values(near).some(Boolean)) return near;
      return {left: true, right: true, top: true, bottom: true};
    };
    this.canvas.addEventListener("pointermove", event => {
      if (this.drag) return;
      const near = grip(at(event));
      const all = near && Object.values(near).every(Boolean);
      this.canvas.style.cursor = !near ? "crosshair" : all ? "move"
        : near.left || near.right ? "ew-resize" : "ns-resize";
    });
    this.canvas.addEventListener("pointerdown", event => {
      const [x, y] = at(event), l = this.place;
      if (x < l.frame.left || x > l.frame.right || y < l.frame.top || y > l.frame.bottom) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.drag = {from: [x, y], borders: grip([x, y]), box: this.box()};
      event.preventDefault();
      this.canvas.focus({preventScroll: true});
    });
    this.canvas.addEventListener("pointermove", event => {
      if (!this.drag) return;
      const [x, y] = at(event), {from, borders, box} = this.drag;
      if (!borders) {
        if (Math.hypot(x - from[0], y - from[1]) < 4) return;
        this.setBox([Math.min(x, from[0]), Math.min(y, from[1]), Math.max(x, from[0]),
          Math.max(y, from[1])], {left: true, top: true});
        return;
      }
      const moved = [...box], [dx, dy] = [x - from[0], y - from[1]];
      if (borders.left) moved[0] += dx;
      if (borders.top) moved[1] += dy;
      if (borders.right) moved[2] += dx;
      if (borders.bottom) moved[3] += dy;
      this.setBox(moved, {left: borders.left || borders.right, top: borders.top || borders.bottom});
    });
    const end = () => { this.drag = null; };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
    this.canvas.addEventListener("keydown", event => {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1],
        ArrowDown: [0, -1]}[event.key];
      const box = this.box();
      if (!step || !box) return;
      event.preventDefault();
      const l = this.place, size = event.ctrlKey ? 10 : 1;
      const dx = (l.x[2](size * STEP_EV * 5) - l.x[2](0)) * step[0];
      const dy = (l.y[2](size * STEP_EV * 5) - l.y[2](0)) * step[1];
      const first = event.shiftKey ? 0 : 1;
      this.setBox([box[0] + first * dx, box[1] + dy, box[2] + dx, box[3] + first * dy],
        {left: step[0] !== 0, top: step[1] !== 0});
    });
    new ResizeObserver(() => {
      if (this.place && this.layout().width !== this.place.width) this.draw();
    }).observe(this.canvas.parentElement);
  }

  setBox(box, changed) { // limits from places on the picture; those that changed only
    const l = this.place, region = {...this.state.region};
    const [low, high] = [l.y[2].inverse(box[3]), l.y[2].inverse(box[1])].map(round);
    const [first, last] = [l.x[2].inverse(box[0]), l.x[2].inverse(box[2])].map(round);
    const name = this.isLoss ? "loss" : "emission";
    if (changed.top && high > low) region[name] = [low, high];
    if (changed.left && last > first) {
      if (region.cut != null) region.cut = round((first + last) / 2);
      else region.incident = [first, last];
    }
    this.state.region = region;
    if (!this.isQueued) {
      this.isQueued = true;
      requestAnimationFrame(() => {
        this.isQueued = false;
        this.drawRegion(); this.drawSpectrum(); this.showLimits(); this.onchange();
      });
    }
  }

  showLimits() {
    const {region} = this.state, {inputs} = this;
    inputs.kind.value = region.kind;
    for (const name of ["incident", "emission", "loss"]) inputs[name].forEach((field, k) => {
      if (document.activeElement !== field) field.value = region[name] ? region[name][k] : "";
    });
    for (const name of ["cut", "step"])
      if (document.activeElement !== inputs[name]) inputs[name].value = region[name] ?? "";
    inputs.step.disabled = region.kind !== "xes";
    const parts = [`kind: ${region.kind}`, `edge: ${this.map.edge}`];
    for (const name of ["incident", "emission", "loss"])
      if (region[name]) parts.push(`${name}: [${region[name].join(", ")}]`);
    if (region.cut != null) parts.push(`cuts: [${region.cut}]`);
    if (region.step != null && region.kind === "xes") parts.push(`step: ${region.step}`);
    this.yaml.textContent = `regions:\n  my_region: {${parts.join(", ")}}`;
  }

  drawSpectrum() {
    const {region} = this.state, isXes = region.kind === "xes";
    const shownMaps = this.other ? [this.map, this.other] : [this.map];
    this.spectra = shownMaps.map(map => regionSpectrum(map, region, this.ratios));
    const series = this.spectra.map((points, k) => ({
      name: shownMaps[k].sample, x: points.map(p => p.energy), y: points.map(p => p.intensity),
      error: points.map(p => p.error), lower: points.map(p => p.lower),
      upper: points.map(p => p.upper), points: points.length < 80,
    }));
    chart(this.spectrumHolder, {label: "spectrum of the region", series, zero: true, height: 340,
      x: isXes ? "emission energy (eV)" : "incident energy (eV)",
      y: isXes ? "intensity (counts/(s eV))" : "intensity (counts/s)"});
    const texts = this.spectra.map((points, k) => {
      const photons = points.reduce((sum, p) => sum + p.photons, 0);
      const most = points.reduce((best, p) => p.intensity > best.intensity ? p : best,
        {intensity: -Infinity});
      if (!points.length) return `${shownMaps[k].sample}: the region holds no bin of the map.`;
      return `${shownMaps[k].sample}: ${photons.toFixed(1)} photons in ${points.length} `
        + `${isXes ? "bins" : "points"}; largest ${most.intensity.toPrecision(4)} +- `
        + `${most.error.toPrecision(2)} at ${most.energy.toFixed(2)} eV.`;
    });
    this.numbers.textContent = texts.join(" ")
      + " Bars: one standard error; bands: 95 % intervals.";
  }
}

const NO_LIMITS = {kind: "pfy", incident: null, emission: null, loss: null, cut: null,
  step: null};
