"use strict";
// Charts as SVG: axes, lines, points with error bars, bands.

const SVG = "http://www.w3.org/2000/svg";
const LONG_TABLE = 20; // rows; longer tables scroll in a frame
// Okabe and Ito's colours, which colour-blind readers tell apart
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function element(name, options = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function ticks(low, high, wanted) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / wanted, power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= raw);
  const result = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k++)
    result.push(Number((k * step).toPrecision(12)));
  return result;
}

function tickText(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-3)) return value.toExponential(1);
  return String(Number(value.toPrecision(6)));
}

function scale(low, high, from, to) {
  const of = value => from + (value - low) / (high - low) * (to - from);
  of.inverse = pixel => low + (pixel - from) / (to - from) * (high - low);
  return of;
}

function drawAxes(parent, frame, x, y, labels) {
  // Frame {left, right, top, bottom}; x and y: [low, high, scale]
  const text = {"font-size": 12, fill: "currentColor"};
  const line = {stroke: "currentColor", "stroke-width": 1};
  svg("rect", {x: frame.left, y: frame.top, width: frame.right - frame.left,
    height: frame.bottom - frame.top, fill: "none", ...line}, parent);
  for (const value of ticks(x[0], x[1], Math.max(2, (frame.right - frame.left) / 90))) {
    const at = x[2](value);
    svg("line", {x1: at, x2: at, y1: frame.bottom, y2: frame.bottom + 5, ...line}, parent);
    svg("text", {x: at, y: frame.bottom + 18, "text-anchor": "middle", ...text}, parent,
      labels.xTick ? labels.xTick(value) : tickText(value));
  }
  for (const value of ticks(y[0], y[1], Math.max(2, (frame.bottom - frame.top) / 50))) {
    const at = y[2](value);
    svg("line", {x1: frame.left - 5, x2: frame.left, y1: at, y2: at, ...line}, parent);
    svg("text", {x: frame.left - 8, y: at + 4, "text-anchor": "end", ...text}, parent,
      tickText(value));
  }
  svg("text", {x: (frame.left + frame.right) / 2, y: frame.bottom + 36,
    "text-anchor": "middle", ...text}, parent, labels.x);
  const middle = (frame.top + frame.bottom) / 2;
  svg("text", {x: 14, y: middle, transform: `rotate(-90 14 ${middle})`,
    "text-anchor": "middle", ...text}, parent, labels.y);
}

function drawPoint(parent, x, y, colour, isSquare) {
  if (isSquare) svg("rect", {x: x - 2.5, y: y - 2.5, width: 5, height: 5, fill: colour}, parent);
  else svg("circle", {cx: x, cy: y, r: 2.5, fill: colour}, parent);
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) {
    low = Math.min(low, value); high = Math.max(high, value);
  }
  if (!(high >= low)) return [0, 1];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

function withoutFew(values, sign) { // without the most extreme of the error bars
  const finite = values.filter(Number.isFinite).sort((a, b) => sign * (a - b));
  return finite.slice(0, Math.ceil(0.97 * finite.length));
}

function chart(holder, spec) {
  // spec: {label, x, y, xTick, zero, height, series: [{name, x, y, error, lower, upper,
  // points, step}], marks: [{x, text}]}
  holder.replaceChildren();
  const width = Math.max(280, Math.min(holder.clientWidth || 640, 900));
  const height = spec.height || 300, nSeries = spec.series.filter(s => s.name).length;
  const perRow = Math.max(1, Math.floor((width - 90) / 170));
  const legend = nSeries > 1 ? 18 * Math.ceil(nSeries / perRow) : 0;
  const frame = {left: 72, right: width - 14, top: 14 + legend, bottom: height - 44};
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": spec.label}, holder);
  const all = spec.series;
  const xs = extent(all.flatMap(s => s.x));
  let ys = extent(all.flatMap(s => [...s.y, ...withoutFew(s.y.map((v, k) => s.upper
    ? s.upper[k] : v + (s.error ? s.error[k] : 0)), 1), ...withoutFew(s.y.map((v, k) => s.lower
    ? s.lower[k] : v - (s.error ? s.error[k] : 0)), -1)]));
  if (spec.zero) ys = [Math.min(0, ys[0]), Math.max(0, ys[1])];
  const room = 0.04 * (ys[1] - ys[0]);
  ys = [ys[0] - room, ys[1] + room];
  const x = scale(xs[0], xs[1], frame.left + 4, frame.right - 4);
  const y = scale(ys[0], ys[1], frame.bottom, frame.top);
  const clip = v => Math.max(frame.top, Math.min(frame.bottom, y(v)));
  (spec.marks || []).forEach((mark, k) => {
    const at = x(mark.x);
    if (at < frame.left || at > frame.right) return;
    svg("line", {x1: at, x2: at, y1: frame.top, y2: frame.bottom, stroke: "currentColor",
      opacity: 0.35, "stroke-dasharray": "3 3"}, picture);
    svg("text", {x: at + 3, y: frame.top + 12 + 12 * (k % 3), "font-size": 11,
      fill: "currentColor"}, picture, mark.text);
  });
  all.forEach((s, k) => {
    const colour = s.colour || COLOURS[k % COLOURS.length];
    const valid = s.x.map((_, i) => i).filter(i => Number.isFinite(s.y[i]));
    if (s.lower) {
      const ends = valid.map(i => `${x(s.x[i]).toFixed(1)},${clip(s.upper[i]).toFixed(1)}`);
      const back = valid.map(i => `${x(s.x[i]).toFixed(1)},${clip(s.lower[i]).toFixed(1)}`);
      svg("path", {d: `M${ends.concat(back.reverse()).join("L")}Z`, fill: colour,
        opacity: 0.18, stroke: "none"}, picture);
    }
    if (s.error) {
      const bars = valid.map(i => `M${x(s.x[i]).toFixed(1)},${clip(s.y[i] - s.error[i]).toFixed(1)}`
        + `V${clip(s.y[i] + s.error[i]).toFixed(1)}`);
      svg("path", {d: bars.join(""), stroke: colour, opacity: 0.7, fill: "none"}, picture);
    }
    // the colours are used up: squares in place of circles
    if (s.points) for (const i of valid)
      drawPoint(picture, x(s.x[i]), clip(s.y[i]), colour, k >= COLOURS.length);
    else svg("path", {d: "M" + valid.map(i => `${x(s.x[i]).toFixed(1)},`
      + clip(s.y[i]).toFixed(1)).join("L"), stroke: colour, fill: "none",
    "stroke-width": 1.4}, picture);
  });
  if (legend) all.filter(s => s.name).forEach((s, k) => {
    const at = frame.left + 170 * (k % perRow), row = 12 + 18 * Math.floor(k / perRow);
    const colour = s.colour || COLOURS[all.indexOf(s) % COLOURS.length];
    if (s.points) drawPoint(picture, at + 9, row - 4, colour, all.indexOf(s) >= COLOURS.length);
    else svg("line", {x1: at, x2: at + 18, y1: row - 4, y2: row - 4, stroke: colour,
      "stroke-width": 3}, picture);
    svg("text", {x: at + 23, y: row, "font-size": 12, fill: "currentColor"}, picture, s.name);
  });
  drawAxes(picture, frame, [...xs, x], [...ys, y], spec);
}

function table(columns, rows, {sortable = false, caption = ""} = {}) {
  // columns: [{name, key, text, number}]; text(row) is shown, row[key] is sorted by
  const body = element("tbody");
  const fill = list => body.replaceChildren(...list.map(row => element("tr", {},
    ...columns.map(c => element("td", {className: c.number ? "number" : ""},
      c.text ? c.text(row) : row[c.key] ?? "")))));
  let sorted = null, direction = 1;
  const heads = columns.map(c => {
    if (!sortable) return element("th", {scope: "col"}, c.name);
    const head = element("th", {scope: "col"});
    head.append(element("button", {type: "button", onclick: () => {
      direction = sorted === c ? -direction : 1;
      sorted = c;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const missing = v => v === null || v === undefined || Number.isNaN(v);
      fill([...rows].sort((a, b) => {
        const [p, q] = [a[c.key], b[c.key]];
        if (missing(p) || missing(q)) return missing(p) - missing(q);
        return direction * (typeof p === "number" ? p - q : String(p).localeCompare(String(q)));
      }));
    }}, c.name));
    return head;
  });
  fill(rows);
  const caption_ = caption ? [element("caption", {}, caption)] : [];
  const isLong = rows.length > LONG_TABLE;
  return element("div", {className: isLong ? "scroll long" : "scroll", tabIndex: isLong ? 0 : -1},
    element("table", {}, ...caption_, element("thead", {}, element("tr", {}, ...heads)), body));
}
