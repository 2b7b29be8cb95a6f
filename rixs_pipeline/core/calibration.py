"""The calibration of one reference run: pulses of all pixels in, energy functions with their residuals out.

In this order: cuts; peaks and their assignment to lines, per pixel and then with what the array agrees on; then, a
few times over, line fits, gain curves, corrections for arrival phase and base line; at last the lines once more on
the finished scale, which gives the residuals that are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import CalibrationConfig, ReferenceLine, ReferenceSet
from rixs_pipeline.core import corrections, cuts, gain, peaks, verdicts
from rixs_pipeline.core import energy as ef
from rixs_pipeline.core.line_fits import LineFits, fit_lines
from rixs_pipeline.core.line_shapes import N_GRID, LineGrid

Float = NDArray[np.float64]

BIN_EV = 0.5
WINDOW_EV = (-25.0, 28.0)  # around a line: its low tail, and the Lb of metals above
SUM_TAU_EV = 20.0  # decay length of the low-energy tail (10 to 30 eV in real pixels)
ROUNDS = 3
ELASTIC_REACH_EV = 15.0  # how far from the parked monochromator's reading its line is looked for


@dataclass(frozen=True)
class ReferencePulses:
    """All pulses of one pixel in one reference run, each f8 (pulse,)."""

    pixel: int
    pulse_height: Float
    pretrigger_mean: Float
    phase: Float
    residual: Float


@dataclass(frozen=True)
class Lines:
    """The lines that a reference run is fitted with; `anchors` bool (line,) tells those that carry the scale."""

    names: tuple[str, ...]
    energy: Float
    errors: Float
    shapes: tuple[ReferenceLine, ...]
    anchors: NDArray[np.bool_]

    def emitted(self, grid: LineGrid) -> NDArray[np.complex128]:
        """Transforms (line, k) of the emitted shapes."""
        return np.stack([grid.emitted(line.shape, line.sigma) for line in self.shapes])


@dataclass
class PixelState:
    """What is known of one pixel while it is being calibrated."""

    pulses: ReferencePulses
    accepted: NDArray[np.bool_]
    cut_counts: NDArray[np.int64]
    limits: cuts.CutLimits | None
    found: peaks.Peaks = field(default_factory=lambda: peaks.Peaks(np.empty(0), np.empty(0)))
    assignment: peaks.Assignment | None = None
    params: Float = field(default_factory=lambda: np.full(ef.N_PARAMS, np.nan))

    @property
    def good(self) -> bool:
        """Whether the pixel has an energy function at this stage."""
        return bool(np.isfinite(self.params[ef.CURVE]).all())

    def column(self, name: str) -> Float:
        """One quantity of the accepted pulses."""
        values: Float = getattr(self.pulses, name)[self.accepted]
        return values

    def energies(self) -> Float:
        """Energies (accepted pulse,) eV with the present parameters."""
        height = ef.corrected_height(
            self.column("pulse_height"), self.column("pretrigger_mean"), self.column("phase"), self.params
        )
        return ef.curve(height, self.params)


@dataclass(frozen=True)
class Calibration:
    """The result, rows in the order of the pixels given; see `schema.PIXEL_CALIBRATION` for the meaning."""

    pixel: NDArray[np.int64]
    status: tuple[str, ...]
    lines: Lines
    line_pulse_height: Float
    line_residual: Float
    line_residual_errors: Float
    line_counts: Float
    fwhm: Float
    params: Float
    params_covariance: Float
    cut_counts: NDArray[np.int64]
    cut_limits: Float
    accepted: tuple[NDArray[np.bool_], ...]
    phase_gain: Float
    drift_gain: Float


def calibrate(
    pulses: Sequence[ReferencePulses],
    reference: ReferenceSet,
    config: CalibrationConfig,
    parked_energy: float,
    valid: tuple[float, float] = (-np.inf, np.inf),
) -> Calibration:
    """Calibrate all pixels of one reference run.

    Args:
        pulses: of each pixel; a dead pixel's are empty.
        reference: the lines and their shapes.
        config: the options.
        parked_energy: reading of the monochromator, eV; NaN where unknown. Its elastic line is never an anchor.
        valid: seconds since 1970 between which the parameters may be used.
    """
    states = [_cut(one, config.residual_cut) for one in pulses]
    for state in states:
        state.found = peaks.find_peaks(state.column("pulse_height"))
    names = _lines_present(states, reference, config, parked_energy)
    _assign(states, reference, names)
    lines = _lines(states, reference, names, parked_energy)
    _start(states)
    fits, gains = None, np.zeros((2, len(states)))
    covariance = np.full((len(states), ef.N_COEFFICIENTS, ef.N_COEFFICIENTS), np.nan)
    curves = None
    if any(state.good for state in states) and len(names) >= gain.MIN_LINES:
        for _ in range(ROUNDS):
            fits, _ = _fit(states, lines)
            curves = _curves(states, lines, fits, config)
            gains = _correct(states, lines, config)
        fits, _ = _fit(states, lines)
    if curves is not None:
        covariance = gain.spline_covariance(curves, np.stack([state.params for state in states]))
    return _result(states, lines, fits, covariance, gains, valid, config)


def _cut(pulses: ReferencePulses, width: float) -> PixelState:
    columns = (pulses.pulse_height, pulses.phase, pulses.pretrigger_mean, pulses.residual)
    limits = cuts.learn(*columns, width)
    if limits is None:
        left = np.zeros(len(cuts.CUT_NAMES), dtype=np.int64)
        left[0] = len(pulses.pulse_height)
        return PixelState(pulses, np.zeros(len(pulses.pulse_height), dtype=bool), left, None)
    accepted, left = cuts.apply(*columns, limits)
    return PixelState(pulses, accepted, left, limits)


def _lines_present(
    states: list[PixelState], reference: ReferenceSet, config: CalibrationConfig, parked_energy: float
) -> tuple[str, ...]:
    """Names of the lines of this reference run: the config's, or those that most pixels agree on."""
    if config.lines is not None:
        return tuple(sorted(config.lines, key=lambda name: reference.lines[name].energy))
    candidates = [
        name
        for name, line in sorted(reference.lines.items(), key=lambda item: item[1].energy)
        if line.satellite_of is None
        and not name.endswith("_Lb")  # never there without its stronger La
        and not abs(line.energy - parked_energy) < ELASTIC_REACH_EV
    ]
    energy = np.array([reference.lines[name].energy for name in candidates])
    votes = np.zeros(len(candidates))
    voters = 0
    for state in states:
        found = peaks.assign(state.found, energy, np.full(len(energy), 0.05))
        if found is not None:
            votes += found.line_peaks >= 0
            voters += 1
    return tuple(name for name, vote in zip(candidates, votes, strict=True) if vote > 0.5 * voters)


def _assign(states: list[PixelState], reference: ReferenceSet, names: tuple[str, ...]) -> None:
    energy = np.array([reference.lines[name].energy for name in names])
    for state in states:
        state.assignment = peaks.assign(state.found, energy, np.ones(len(energy)))


def _lines(states: list[PixelState], reference: ReferenceSet, names: tuple[str, ...], parked: float) -> Lines:
    """The anchors, and the parked elastic line where most pixels show it."""
    anchors: list[ReferenceLine] = [reference.lines[name] for name in names]
    energy, errors = [a.energy for a in anchors], [a.uncertainty for a in anchors]
    shapes, carries, labels = list(anchors), [True] * len(anchors), list(names)
    elastic = _elastic(states, parked)
    if elastic is not None and all(abs(elastic - e) > 10 for e in energy):
        energy.append(elastic)
        errors.append(np.nan)
        shapes.append(ReferenceLine(energy=elastic, uncertainty=1.0, source="monochromator", shape=((0.0, 0.01, 1.0),)))
        carries.append(False)
        labels.append("elastic")
    return Lines(tuple(labels), np.array(energy), np.array(errors), tuple(shapes), np.array(carries, dtype=bool))


def _elastic(states: list[PixelState], parked: float) -> float | None:
    """Where the array sees the elastic line of the parked monochromator, eV; None where most pixels do not."""
    seen = []
    voters = 0
    for state in states:
        if state.assignment is None or not state.assignment.clear:
            continue
        voters += 1
        distance = state.assignment.energies(state.found.pulse_height) - parked
        near = np.abs(distance) < ELASTIC_REACH_EV
        if near.any():
            seen.append(parked + distance[near][np.argmax(state.found.significance[near])])
    return float(np.median(seen)) if seen and len(seen) > 0.5 * voters else None


def _start(states: list[PixelState]) -> None:
    """First parameters from the assignment: the bare physical curve, no corrections."""
    for state in states:
        if state.assignment is None or not state.assignment.clear:
            continue
        found = state.assignment
        height = state.column("pulse_height")
        abd = np.array([[found.a, found.b, found.d]])
        none = np.zeros((1, 1))
        curves = gain.GainCurves(abd, np.zeros(1), np.zeros(1), none, none + 1, np.ones(1, dtype=bool))
        state.params = gain.spline_params(curves)[0][0]
        state.params[ef.HEIGHT_REF] = found.pulse_height(np.array([1000.0]))[0]
        state.params[ef.PRETRIGGER_REF] = np.mean(state.column("pretrigger_mean"))
        state.params[ef.DRIFT] = 0.0
        state.params[ef.PHASE] = 0.0
        centre, half = corrections.phase_reference(height, state.column("phase"), state.params[ef.HEIGHT_REF])
        state.params[ef.PHASE_CENTRE], state.params[ef.PHASE_HALF_WIDTH] = centre, half


def windows(energy: Float) -> Float:
    """Limits (line, 2) eV of the fits around ascending lines: never beyond half way to the next one."""
    middle = (energy[1:] + energy[:-1]) / 2
    low = np.maximum(energy + WINDOW_EV[0], np.concatenate([[-np.inf], middle]))
    high = np.minimum(energy + WINDOW_EV[1], np.concatenate([middle, [np.inf]]))
    return np.stack([low, high], axis=1)


def _fit(states: list[PixelState], lines: Lines) -> tuple[LineFits, NDArray[np.bool_]]:
    """Fit all lines of all pixels that have a curve: fields (pixel * line,); pixels without one stay unconverged."""
    grid = LineGrid(BIN_EV)
    histogram = np.zeros((len(states), len(lines.energy), N_GRID))
    for row, state in zip(histogram, states, strict=True):
        if state.good:
            energies = state.energies()
            for line, centre in enumerate(lines.energy):
                bins = np.floor((energies - centre) / BIN_EV).astype(np.int64) + N_GRID // 2
                row[line] = np.bincount(bins[(bins >= 0) & (bins < N_GRID)], minlength=N_GRID)
    limits = windows(lines.energy) - lines.energy[:, None]
    inside = (grid.offsets > limits[:, :1]) & (grid.offsets < limits[:, 1:])
    emitted = lines.emitted(grid)
    n = len(states)
    fits = fit_lines(histogram.reshape(-1, N_GRID), np.tile(inside, (n, 1)), np.tile(emitted, (n, 1)), grid, SUM_TAU_EV)
    return fits, inside


def _table(values: NDArray[np.generic], lines: Lines) -> Float:
    """A field of the batched fits as (pixel, line)."""
    return np.asarray(values, dtype=float).reshape(-1, len(lines.names))


def _usable(states: list[PixelState], lines: Lines, fits: LineFits, config: CalibrationConfig) -> NDArray[np.bool_]:
    """Which lines (pixel, line) were fitted well enough to be used."""
    enough = (_table(fits.counts, lines) >= config.min_line_counts) & (_table(fits.shift_errors, lines) < 3.0)
    good = np.array([state.good for state in states])
    return np.asarray(enough & (_table(fits.converged, lines) > 0) & good[:, None])


def _curves(states: list[PixelState], lines: Lines, fits: LineFits, config: CalibrationConfig) -> gain.GainCurves:
    """New gain curves from the fitted lines, set in the states."""
    usable = _usable(states, lines, fits, config) & lines.anchors
    at = lines.energy + _table(fits.shift, lines)
    heights = np.full(at.shape, np.nan)
    for row, state in enumerate(states):
        if state.good:
            heights[row] = np.where(usable[row], ef.height_of(at[row], state.params), np.nan)
    anchors = lines.anchors
    curves = gain.fit(
        heights[:, anchors],
        _table(fits.shift_errors, lines)[:, anchors],
        lines.energy[anchors],
        lines.errors[anchors],
    )
    params, rising = gain.spline_params(curves)
    for row, state in enumerate(states):
        if state.good:
            ok = curves.used[row] and rising[row]
            state.params[ef.CURVE_GRID] = params[row, ef.CURVE_GRID] if ok else np.nan
            state.params[ef.CURVE] = params[row, ef.CURVE] if ok else np.nan
    return curves


def _correct(states: list[PixelState], lines: Lines, config: CalibrationConfig) -> Float:
    """Learn phase and drift of every pixel; returns the cross-validated gains (2, pixel)."""
    fits, inside = _fit(states, lines)
    grid = LineGrid(BIN_EV)
    emitted = lines.emitted(grid)
    usable = _usable(states, lines, fits, config)
    gains = np.zeros((2, len(states)))
    for row, state in enumerate(states):
        if not state.good or not usable[row].any():
            continue
        mine = slice(row * len(lines.names), (row + 1) * len(lines.names))
        shapes = _profiles(fits, mine, emitted, inside, grid)
        position = lines.energy + fits.shift[mine]
        for step, (block, asked) in enumerate(((ef.PHASE, config.phase), (ef.DRIFT, config.drift))):
            if asked:
                pulses = _line_pulses(state, lines, usable[row], position)
                state.params, gains[step, row] = corrections.correct(pulses, state.params, shapes, block)
    return gains


def _profiles(
    fits: LineFits, mine: slice, emitted: NDArray[np.complex128], inside: NDArray[np.bool_], grid: LineGrid
) -> corrections.Profiles:
    """The fitted profiles of one pixel's lines, background included, centred on the line."""
    sigma, f = fits.sigma[mine], fits.tail_fraction[mine]
    transform = grid.detected(emitted, np.zeros_like(sigma), sigma, f, np.full_like(f, SUM_TAU_EV))
    density = fits.counts[mine, None] * grid.bins(transform) + fits.background[mine, None]
    slope = fits.counts[mine, None] * grid.bins(1j * grid.k * transform)
    return corrections.profiles(density, slope, inside, grid)


def _line_pulses(state: PixelState, lines: Lines, usable: NDArray[np.bool_], position: Float) -> corrections.LinePulses:
    """The pulses in the windows of the usable lines."""
    energies = state.energies()
    limits = windows(lines.energy)
    line = np.searchsorted(limits[:, 0], energies, side="right") - 1
    take = (line >= 0) & (energies < limits[line, 1]) & usable[line]
    height, base, phase = (state.column(name)[take] for name in ("pulse_height", "pretrigger_mean", "phase"))
    return corrections.LinePulses(height, base, phase, line[take], position)


def _result(
    states: list[PixelState],
    lines: Lines,
    fits: LineFits | None,
    covariance: Float,
    gains: Float,
    valid: tuple[float, float],
    config: CalibrationConfig,
) -> Calibration:
    """Tables of the product, and the verdict on every pixel."""
    shape = (len(states), len(lines.names))
    nothing = np.full(shape, np.nan)
    params = np.stack([state.params for state in states]) if states else np.empty((0, ef.N_PARAMS))
    params[:, ef.VALIDITY] = valid
    full = np.zeros((len(states), ef.N_PARAMS, ef.N_PARAMS))
    full[:, ef.CURVE, ef.CURVE] = covariance
    residual, errors, counts, fwhm, height = nothing, nothing, nothing, nothing, nothing
    if fits is not None:
        usable = _usable(states, lines, fits, config)
        residual, errors, counts, fwhm = (
            np.where(usable, _table(values, lines), np.nan)
            for values in (fits.shift, fits.shift_errors, fits.counts, fits.sigma * verdicts.FWHM_PER_SIGMA)
        )
        height = np.stack(
            [ef.height_of(lines.energy + residual[i], s.params) if s.good else nothing[i] for i, s in enumerate(states)]
        )
    status = verdicts.judge(states, residual, errors, fwhm, lines.anchors)
    return Calibration(
        np.array([state.pulses.pixel for state in states], dtype=np.int64),
        status,
        lines,
        height,
        residual,
        errors,
        counts,
        fwhm,
        params,
        full,
        np.stack([state.cut_counts for state in states]) if states else np.empty((0, len(cuts.CUT_NAMES)), np.int64),
        cuts.tables([state.limits for state in states]),
        tuple(state.accepted for state in states),
        gains[0],
        gains[1],
    )
