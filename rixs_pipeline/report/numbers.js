"use strict";
// Sums over regions of a map, their errors and intervals, as the command line has them:
// core/spectra/region_sums.py, core/spectra/yields.py, core/stats/intervals.py.

const Z_95 = 1.959963984540054;
const NEAREST_EV = 1.0; // a cut may lie this far outside the scan

function lnGamma(x) {
  // Lanczos, g = 7: relative error 1e-15
  const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028,
    771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  const y = x - 1, t = y + 7.5;
  let sum = c[0];
  for (let k = 1; k < 9; k++) sum += c[k] / (y + k);
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
}

function lowerGamma(a, x) {
  // Regularised lower incomplete gamma function: series, or continued fraction.
  if (x <= 0) return 0;
  const front = Math.exp(-x + a * Math.log(x) - lnGamma(a));
  if (x < a + 1) {
    let term = 1 / a, sum = term;
    for (let n = a + 1; term > sum * 1e-16; n++) { term *= x / n; sum += term; }
    return front * sum;
  }
  let b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
  for (let i = 1; i < 1e6; i++) {
    const an = -i * (i - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return 1 - front * h;
}

function inverseGamma(a, p, z) {
  // Where the lower incomplete gamma function is p; z: the normal quantile of p.
  // Wilson and Hilferty's approximation, refined by Newton's method within a bracket.
  let x = a * Math.pow(Math.max(1 - 1 / (9 * a) + z / (3 * Math.sqrt(a)), 0.01), 3);
  let low = 0, high = Infinity;
  const logNorm = lnGamma(a);
  for (let i = 0; i < 60; i++) {
    const excess = lowerGamma(a, x) - p;
    if (excess > 0) high = Math.min(high, x); else low = Math.max(low, x);
    let next = x - excess / Math.exp((a - 1) * Math.log(x) - x - logNorm);
    if (!(next > low && next < high)) next = high < Infinity ? (low + high) / 2 : 2 * x;
    if (Math.abs(next - x) <= 1e-12 * x) return next;
    x = next;
  }
  return x;
}

function interpolate(x, values) { // on 0, 1, 2 ...; constant beyond
  if (x >= values.length - 1) return values[values.length - 1];
  const k = Math.floor(x);
  return values[k] + (x - k) * (values[k + 1] - values[k]);
}

function countInterval(total, variance, largest, ratios) {
  // 95 % interval of a weighted sum of counts: gamma quantiles, narrowed at few counts
  let lower = 0;
  if (total > 0) {
    const shape = total * total / variance;
    lower = variance / total * inverseGamma(shape, 0.025, -Z_95);
    lower *= interpolate(shape, ratios.lower);
  }
  const y = total + largest, v = variance + largest * largest;
  if (!(v > 0)) return [lower, 0];
  const shape = y * y / v;
  const upper = v / y * inverseGamma(shape, 0.975, Z_95);
  return [lower, upper * interpolate(shape - 1, ratios.upper)];
}

function emissionLimits(region, incident) {
  // Emission energies that a region covers at each point: [low, high], empty if low >= high
  let nearest = Infinity;
  if (region.cut != null) {
    const first = Math.min(...incident) - NEAREST_EV;
    const last = Math.max(...incident) + NEAREST_EV;
    if (region.cut >= first && region.cut <= last)
      for (const e of incident) nearest = Math.min(nearest, Math.abs(e - region.cut));
  }
  return incident.map(e => {
    let low = -Infinity, high = Infinity;
    if (region.emission) [low, high] = region.emission;
    if (region.loss) {
      low = Math.max(low, e - region.loss[1]);
      high = Math.min(high, e - region.loss[0]);
    }
    const isOutside = region.incident
      && !(e >= region.incident[0] && e < region.incident[1]);
    const isOther = region.cut != null && Math.abs(e - region.cut) !== nearest;
    return isOutside || isOther ? [0, 0] : [low, high];
  });
}

function forEachBin(map, limits, use) {
  // Call use(bin, share) for the bins of a point that a range covers
  const edges = map.edges, n = edges.length - 1, width = (edges[n] - edges[0]) / n;
  const [low, high] = limits;
  if (!(high > low)) return;
  const first = Math.max(Math.floor((low - edges[0]) / width) - 1, 0);
  const last = Math.min(Math.ceil((high - edges[0]) / width) + 1, n);
  for (let bin = first; bin < last; bin++) {
    const top = Math.min(high, edges[bin + 1]), bottom = Math.max(low, edges[bin]);
    if (top > bottom) use(bin, (top - bottom) / (edges[bin + 1] - edges[bin]));
  }
}

function regionSpectrum(map, region, ratios) {
  return region.kind === "xes"
    ? emissionSpectrum(map, region, ratios) : yieldSpectrum(map, region, ratios);
}

function yieldSpectrum(map, region, ratios) {
  // Partial fluorescence yield: (sum of counts / efficiency) / exposure, counts/s
  const limits = emissionLimits(region, map.incident), nBins = map.edges.length - 1;
  const result = [];
  limits.forEach((range, point) => {
    let number = 0, variance = 0, largest = 0, photons = 0, isCovered = false;
    forEachBin(map, range, (bin, share) => {
      const n = map.counts[point * nBins + bin], w = share / efficiency(map, bin);
      number += w * n; variance += w * w * n; photons += share * n;
      largest = Math.max(largest, w); isCovered = true;
    });
    if (isCovered) result.push(spectrumPoint(map.incident[point], {
      number, variance, largest, photons, exposure: map.exposure[point],
      divisor: map.exposure[point], relative: map.relative_errors[point],
    }, ratios));
  });
  return result;
}

function joinedBins(map, step) { // bins of the map in a bin of the spectrum
  const n = map.edges.length - 1, width = (map.edges[n] - map.edges[0]) / n;
  return step > 0 ? Math.max(Math.round(step / width), 1) : 1;
}

function emissionSpectrum(map, region, ratios) {
  // Counts over the exposure of the same points and the bin width, counts/(s eV)
  const limits = emissionLimits(region, map.incident), nBins = map.edges.length - 1;
  const width = (map.edges[nBins] - map.edges[0]) / nBins;
  const joined = joinedBins(map, region.step);
  const low = region.emission ? (region.emission[0] - map.edges[0]) / width : 0;
  const first = Math.floor(Math.min(Math.max(low, 0), nBins) + 1e-6);
  const place = bin => Math.floor((bin + (joined - first % joined) % joined) / joined);
  const sums = Array.from({length: place(nBins - 1) + 1}, () => ({
    number: 0, variance: 0, largest: 0, photons: 0, exposure: 0, square: 0,
    share: 0, moment: 0}));
  limits.forEach((range, point) => {
    const exposure = map.exposure[point], errors = new Map(); // bin -> s of this point
    forEachBin(map, range, (bin, share) => {
      const s = sums[place(bin)];
      s.share += share; s.moment += share * (map.edges[bin] + map.edges[bin + 1]) / 2;
      if (!(exposure > 0)) return;
      const n = map.counts[point * nBins + bin], w = share / efficiency(map, bin);
      s.number += w * n; s.variance += w * w * n; s.photons += share * n;
      s.exposure += share * exposure / joined; s.largest = Math.max(s.largest, w);
      const error = share * exposure * map.relative_errors[point] / joined;
      errors.set(s, (errors.get(s) || 0) + error);
    });
    errors.forEach((error, s) => { s.square += error * error; });
  });
  return sums.filter(s => s.share > 0).map(s => {
    const relative = s.exposure > 0 ? Math.sqrt(s.square) / s.exposure : 0;
    const divisor = s.exposure * joined * width;
    return spectrumPoint(s.moment / s.share, {...s, divisor, relative}, ratios);
  });
}

function efficiency(map, bin) {
  return map.efficiency === null ? 1 : map.efficiency[bin];
}

function spectrumPoint(energy, s, ratios) {
  if (!(s.exposure > 0)) return {
    energy, intensity: NaN, error: NaN, lower: NaN, upper: NaN, photons: s.photons, exposure: 0};
  const intensity = s.number / s.divisor, common = Math.abs(intensity) * s.relative;
  const counting = (s.variance + s.largest * s.largest) / (s.divisor * s.divisor);
  const [low, high] = countInterval(s.number, s.variance, s.largest, ratios);
  const added = Z_95 * common;
  return {
    energy, intensity, error: Math.sqrt(counting + common * common),
    lower: intensity - Math.hypot(intensity - low / s.divisor, added),
    upper: intensity + Math.hypot(high / s.divisor - intensity, added),
    photons: s.photons, exposure: s.exposure,
  };
}
