"use strict";
// Blocks of bins with enough photons each, as figures have them: core/maps/rebin.py.

function cumulative(counts, nPoints, nBins) { // (point + 1, bin + 1): counts before each
  const stride = nBins + 1, table = new Float64Array((nPoints + 1) * stride);
  for (let p = 0; p < nPoints; p++) {
    let row = 0;
    for (let b = 0; b < nBins; b++) {
      row += counts[p * nBins + b];
      table[(p + 1) * stride + b + 1] = table[p * stride + b + 1] + row;
    }
  }
  return (point, bin) => table[point * stride + bin];
}

const sumOver = (table, [p0, b0, p1, b1]) =>
  table(p1, b1) - table(p0, b1) - (table(p1, b0) - table(p0, b0));

function division(passed, length, least) {
  // Where to divide, nearest to the middle; 0: both parts cannot keep so many.
  // passed(k): counts up to place k
  const low = passed(0) + least, high = passed(length) - least;
  if (high < low) return 0;
  const firstWhere = test => {
    let [from, to] = [0, length + 1];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (test(passed(middle))) to = middle; else from = middle + 1;
    }
    return from;
  };
  const first = firstWhere(n => n >= low), last = firstWhere(n => n > high) - 1;
  return first > last ? 0 : Math.min(Math.max(length >> 1, first), last);
}

function findBlocks(table, nPoints, nBins, least) {
  // Rectangles [first point, first bin, end point, end bin] that cover the map
  const undivided = [[0, 0, nPoints, nBins]], blocks = [];
  while (undivided.length) {
    const block = undivided.pop(), [p0, b0, p1, b1] = block;
    const alongPoints = () => {
      const k = division(n => table(p0 + n, b1) - table(p0 + n, b0), p1 - p0, least);
      return k && [[p0, b0, p0 + k, b1], [p0 + k, b0, p1, b1]];
    };
    const alongBins = () => {
      const k = division(n => table(p1, b0 + n) - table(p0, b0 + n), b1 - b0, least);
      return k && [[p0, b0, p1, b0 + k], [p0, b0 + k, p1, b1]];
    };
    const parts = p1 - p0 > b1 - b0 ? alongPoints() || alongBins() : alongBins() || alongPoints();
    if (parts) undivided.push(...parts); else blocks.push(block);
  }
  return blocks;
}

function* singleBins(nPoints, nBins) {
  for (let point = 0; point < nPoints; point++) for (let bin = 0; bin < nBins; bin++)
    yield [point, bin, point + 1, bin + 1];
}
