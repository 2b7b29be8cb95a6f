"use strict";
// A map with a region that is drawn and dragged; the spectrum of the region beside it.

const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884",
  "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const DIVERGING = ["#2d004b", "#542788", "#8073ac", "#b2abd2", "#f7f7f7", "#fdb863", "#e08214",
  "#b35806", "#7f3b08"];
const HANDLE = 8; // pixels from a border, within which it is dragged
const FINGER = 22; // the same for a finger
const STEP_EV = 0.1; // limits are rounded to it
const LEAST_MARGIN_EV = 5; // beside a region, in its zoom
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

function joinBins(map, together) { // counts (point, row) of bins taken together
  const nBins = map.edges.length - 1, nRows = Math.floor(nBins / together);
  const counts = new Float64Array(map.incident.length * nRows);
  for (let p = 0; p < map.incident.length; p++) for (let row = 0; row < nRows; row++)
    for (let k = 0; k < together; k++)
      counts[p * nRows + row] += map.counts[p * nBins + row * together + k];
  const width = together * (map.edges[nBins] - map.edges[0]) / nBins; // eV
  return {counts, nRows, width, exposure: map.exposure};
}

const pointOf = (joined, p) => ({exposure: joined.exposure[p] * joined.width,
  counts: joined.counts.subarray(p * joined.nRows, (p + 1) * joined.nRows)});

function sums(points, nRows) { // of counts and exposure (s eV) before each point and row
  const counts = new Float64Array(points.length * nRows), exposure = [0];
  points.forEach((point, k) => {
    counts.set(point.counts.subarray(0, nRows), k * nRows);
    exposure.push(exposure[k] + point.exposure);
  });
  return {counts: cumulative(counts, points.length, nRows), exposure};
}

function blockValue(view, a, b, block) {
  const [p0, b0, p1, b1] = block;
  const [nA, xA] = [sumOver(a.counts, block), (a.exposure[p1] - a.exposure[p0]) * (b1 - b0)];
  if (view === "A") return nA / xA;
  const [nB, xB] = [sumOver(b.counts, block), (b.exposure[p1] - b.exposure[p0]) * (b1 - b0)];
  if (view === "B") return nB / xB;
  const difference = nA / xA - nB / xB;
  if (view === "A - B") return difference;
  // its variance if both have one intensity, as in core/maps/map_difference.py
  const variance = (nA + nB) / (xA + xB) * (1 / xA + 1 / xB);
  return variance > 0 ? difference / Math.sqrt(variance) : 0;
}

const round = value => Number((Math.round(value / STEP_EV) * STEP_EV).toFixed(3));

class MapView {
  constructor(holder, maps, ratios, remembered) {
    Object.assign(this, {maps, ratios});
    this.state = {map: 0, other: -1, view: "A", axis: "emission", colours: "sqrt", bins: 0,
      least: 0, zoom: null, region: null, ...remembered};
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
        n => option(n, `${n} together`))], true),
      choice("least", "blocks of", [option(0, "single bins"), ...[25, 100, 400].map(
        n => option(n, `${n} photons or more`))], true));
    this.canvas = element("canvas", {tabIndex: 0, role: "application", "aria-label":
      "Map. Drag to draw or change the region; arrow keys move it, with Shift they resize it."});
    this.overlay = svg("svg", {class: "overlay"});
    // a finger that begins here drags the region, elsewhere on the map it may scroll the page
    this.touched = element("div", {className: "touched"});
    this.picture = element("div", {className: "picture"}, this.canvas);
    this.picture.append(this.overlay, this.touched);
    this.spectrumHolder = element("div", {className: "chart"});
    this.numbers = element("p", {className: "numbers", "aria-live": "polite"});
    this.note = element("p", {className: "note"});
    this.form = this.buildForm();
    this.yaml = element("pre", {tabIndex: 0});
    holder.append(controls, element("div", {className: "pair"}, this.picture, element("div", {
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
    const margin = Math.max((high - low) / 2, LEAST_MARGIN_EV);
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
    for (const name of ["map", "other", "view", "axis", "colours", "bins", "least"])
      this.choices[name].value = this.state[name];
    this.choices.view.disabled = !this.other;
    this.drawMap();
    this.drawRegion();
    this.drawSpectrum();
    this.showLimits();
    this.onchange();
    this.drawnAfter ??= performance.now(); // ms since the page was asked for
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
    const shown = this.shown = this.values(together), nRows = shown.nRows;
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

  values(together) { // (point, row) of the picture: of bins, or of blocks of bins
    const {least} = this.state, view = this.other ? this.state.view : "A";
    const a = joinBins(this.map, together);
    const b = view === "A" ? null : joinBins(this.other, together);
    const nRows = b ? Math.min(a.nRows, b.nRows) : a.nRows;
    const partners = this.map.incident.map((e, p) => b ? this.nearestPoint(e) : p);
    const points = partners.map((_, p) => p).filter(p => (view === "B" || a.exposure[p] > 0)
      && (!b || (partners[p] >= 0 && b.exposure[partners[p]] > 0)));
    // in blocks, photons of B count once, also where it has fewer points than A
    const isRepeated = k => least > 0 && k > 0 && partners[points[k]] === partners[points[k - 1]];
    const none = {counts: new Float64Array(nRows), exposure: 0};
    const ofA = sums(points.map(p => pointOf(a, p)), nRows);
    const ofB = b && sums(points.map((p, k) => isRepeated(k) ? none : pointOf(b, partners[p])), nRows);
    const both = view === "A" ? ofA.counts : view === "B" ? ofB.counts
      : (p, row) => ofA.counts(p, row) + ofB.counts(p, row);
    const blocks = least > 0 && points.length ? findBlocks(both, points.length, nRows, least)
      : singleBins(points.length, nRows);
    const values = new Float64Array(this.map.incident.length * nRows).fill(NaN);
    for (const block of blocks) {
      const value = blockValue(view, ofA, ofB, block);
      for (let k = block[0]; k < block[2]; k++)
        values.fill(value, points[k] * nRows + block[1], points[k] * nRows + block[3]);
    }
    const unit = view === "significance" ? "standard errors" : "counts/(s eV)";
    return {values, nRows, unit, isSigned: view !== "A" && view !== "B"};
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
    this.note.textContent = this.pictureNote(together * (l.edges[1] - l.edges[0]), together);
  }

  pictureNote(width, together) {
    const {view, least} = this.state, texts = [];
    const size = `${Number(width.toPrecision(3))} eV`;
    const bins = together > 1 ? `${together} bins together, ${size}` : `bins of ${size}`;
    texts.push(least > 0 ? `Picture: ${bins}, merged with their neighbours to blocks of at least `
      + `${least} photons.` : `Picture: ${bins}.`);
    if (this.other && view !== "A")
      texts.push(`B: nearest incident point of ${this.other.sample}, without a common factor.`);
    if (this.other && view === "significance") texts.push("A - B over its standard error for "
      + "equal intensities: chance makes one of 20 exceed 2.");
    return [...texts, "Sums use the bins of the map."].join(" ");
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
    this.placeTouched(box, l.frame);
  }

  placeTouched(box, frame) { // around the region, as far as its borders are dragged
    const limited = this.limited();
    this.touched.hidden = !box || !(limited.left || limited.top);
    if (this.touched.hidden) return;
    const left = Math.max(box[0] - FINGER, frame.left), top = Math.max(box[1] - FINGER, frame.top);
    const right = Math.min(box[2] + FINGER, frame.right);
    const bottom = Math.min(box[3] + FINGER, frame.bottom);
    Object.assign(this.touched.style, {left: `${left}px`, top: `${top}px`,
      width: `${Math.max(right - left, 0)}px`, height: `${Math.max(bottom - top, 0)}px`});
  }

  limited() { // on which axes of the picture the region has limits
    const {region} = this.state;
    return {left: region.incident !== null || region.cut != null,
      top: region[this.isLoss ? "loss" : "emission"] !== null};
  }

  grip([x, y], reach) { // which borders are near: of the region, or all to move it
    const box = this.box(), limited = this.limited();
    if (!box || !(limited.left || limited.top)) return null;
    // inside a small region a part of it is left to move it
    const inside = [box[2] - box[0], box[3] - box[1]].map(size => Math.min(reach, size / 4));
    const near = {left: x > box[0] - reach && x < box[0] + inside[0],
      right: x > box[2] - inside[0] && x < box[2] + reach,
      top: y > box[1] - reach && y < box[1] + inside[1],
      bottom: y > box[3] - inside[1] && y < box[3] + reach};
    const within = x > box[0] - reach && x < box[2] + reach && y > box[1] - reach
      && y < box[3] + reach;
    if (!within) return null;
    if (this.state.region.cut != null) near.left = near.right = !(near.top || near.bottom);
    if (Object.values(near).some(Boolean)) return near;
    return {left: true, right: true, top: true, bottom: true};
  }

  listen() {
    const at = event => {
      const frame = this.canvas.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    const reach = event => event.pointerType === "touch" ? FINGER : HANDLE;
    this.picture.addEventListener("pointermove", event => {
      if (this.drag) return;
      const near = this.grip(at(event), reach(event));
      const all = near && Object.values(near).every(Boolean);
      this.picture.style.cursor = !near ? "crosshair" : all ? "move"
        : near.left || near.right ? "ew-resize" : "ns-resize";
    });
    this.picture.addEventListener("pointerdown", event => {
      const [x, y] = at(event), l = this.place;
      if (this.drag || !event.isPrimary) return;
      if (x < l.frame.left || x > l.frame.right || y < l.frame.top || y > l.frame.bottom) return;
      this.picture.setPointerCapture(event.pointerId);
      this.drag = {from: [x, y], borders: this.grip([x, y], reach(event)), box: this.box(),
        region: this.state.region};
      event.preventDefault();
      this.canvas.focus({preventScroll: true});
    });
    this.picture.addEventListener("pointermove", event => {
      if (!this.drag || !event.isPrimary) return;
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
      const isMoved = Object.values(borders).every(Boolean); // where it has limits
      this.setBox(moved, isMoved ? this.limited()
        : {left: borders.left || borders.right, top: borders.top || borders.bottom});
    });
    this.picture.addEventListener("pointerup", () => { this.drag = null; });
    this.picture.addEventListener("pointercancel", () => { // the page scrolls
      if (this.drag) this.change(this.drag.region);
      this.drag = null;
    });
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
    if (changed.left && region.cut != null) region.cut = round((first + last) / 2);
    else if (changed.left && last > first) region.incident = [first, last];
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
      const number = photons.toLocaleString("en", {maximumFractionDigits: 1});
      return `${shownMaps[k].sample}: ${number} photons in ${points.length} `
        + `${isXes ? "bins" : "points"}; largest ${withError(most.intensity, most.error)} `
        + `at ${most.energy.toFixed(2)} eV.`;
    });
    this.numbers.textContent = texts.join(" ")
      + " Bars: one standard error; bands: 95 % intervals.";
  }
}

const NO_LIMITS = {kind: "pfy", incident: null, emission: null, loss: null, cut: null,
  step: null};
