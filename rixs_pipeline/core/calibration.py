"""The calibration of one reference run: pulses of all pixels in, energy functions with their residuals out.

In this order: cuts and peaks of every pixel; the lines that the array shows and each pixel's assignment to them;
then, a few times over, line fits, gain curves, corrections for arrival phase and base line; at last the lines once
more on the finished scale, which gives the residuals that are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import CalibrationConfig, ReferenceSet
from rixs_pipeline.core import corrections, cuts, gain, verdicts
from rixs_pipeline.core import energy as ef
from rixs_pipeline.core.line_fits import LineFits, fit_lines
from rixs_pipeline.core.line_shapes import N_GRID, LineGrid
from rixs_pipeline.core.pixels import PixelState, ReferencePulses, cut
from rixs_pipeline.core.reference_lines import Lines, identify

__all__ = ["Calibration", "Lines", "ReferencePulses", "calibrate"]

Float = NDArray[np.float64]

GRID = LineGrid(0.5)
TAIL_LENGTH_EV = 20.0  # decay length of the low-energy tail (10 to 30 eV in real pixels)
ROUNDS = 2  # a third changes the lines by less than a tenth of their errors
MIN_SIGNIFICANCE = 4.0  # of a line above its background
MAX_POSITION_ERROR_EV = 3.0  # a line whose position is less certain tells nothing


@dataclass(frozen=True)
class Calibration:
    """The result, rows in the order of the pixels given; see `schema.PIXEL_CALIBRATION` for the meaning."""

    pixel: NDArray[np.int64]
    status: tuple[str, ...]
    lines: Lines
    line_pulse_height: Float
    line_residual: Float
    line_residual_errors: Float
    line_left_out: Float
    line_counts: Float
    fwhm: Float
    params: Float
    params_covariance: Float
    cut_counts: NDArray[np.int64]
    cut_limits: Float
    accepted: tuple[NDArray[np.bool_], ...]
    correction_gains: Float  # (2, pixel) cross-validated gain in log likelihood of phase and drift correction


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
    states = [cut(one, config.residual_cut) for one in pulses]
    lines = identify(states, reference, config, parked_energy)
    if lines.anchors.sum() >= gain.MIN_LINES:
        for state in states:
            state.start()
    fits, curves, gains = None, None, np.zeros((2, len(states)))
    if any(state.good for state in states):
        for turn in range(ROUNDS):
            fits = _fit(states, lines)
            usable = _usable(states, lines, fits, config)
            curves, position = _curves(states, lines, fits, usable)
            gains = _correct(states, lines, fits, usable, position, config, judge=turn == ROUNDS - 1)
        fits = _fit(states, lines)
    return _result(states, lines, fits, curves, gains, valid, config)


def _fit(states: Sequence[PixelState], lines: Lines) -> LineFits:
    """Fit all lines of all pixels, fields (pixel, line); those of pixels without a curve do not converge."""
    # one histogram a pixel, in which every line has its piece: the line stands `beside` the middle of its piece
    middle = np.round(lines.energy / GRID.width).astype(np.int64)
    beside = lines.energy - middle * GRID.width
    first = middle.min(initial=0) - N_GRID
    pieces = (middle - first)[:, None] + np.arange(-N_GRID // 2, N_GRID // 2)
    histogram = np.zeros((len(states), len(lines.energy), N_GRID))
    for row, state in zip(histogram, states, strict=True):
        if state.good:
            bins = np.floor(state.energies() / GRID.width).astype(np.int64) - first
            row[:] = np.bincount(np.clip(bins, 0, pieces.max() + 1), minlength=pieces.max() + 2)[pieces]
    emitted = lines.emitted(GRID) * np.exp(-1j * GRID.k * beside[:, None])
    return fit_lines(histogram, _inside(lines, beside), emitted, GRID, TAIL_LENGTH_EV)


def _inside(lines: Lines, beside: Float | float = 0.0) -> NDArray[np.bool_]:
    """Bins of the grid that belong to each line's fit, (line, N_GRID); `beside`: of the line, from the middle, eV."""
    limits = lines.windows() - (lines.energy - beside)[:, None]
    return np.asarray((GRID.offsets > limits[:, :1]) & (GRID.offsets < limits[:, 1:]))


def _usable(states: Sequence[PixelState], lines: Lines, fits: LineFits, config: CalibrationConfig) -> NDArray[np.bool_]:
    """Which lines (pixel, line) were fitted well enough to be used."""
    good = np.array([state.good for state in states])
    enough = (fits.counts >= config.min_line_counts) & (fits.shift_errors < MAX_POSITION_ERROR_EV)
    enough &= fits.significance(GRID.width) > MIN_SIGNIFICANCE
    return np.asarray(enough & fits.converged & good[:, None])


def _curves(
    states: Sequence[PixelState], lines: Lines, fits: LineFits, usable: NDArray[np.bool_]
) -> tuple[gain.GainCurves, Float]:
    """New gain curves from the fitted lines, set in the states, and where they put the lines: eV (pixel, line)."""
    heights = _line_heights(states, lines.energy + fits.shift)
    anchors = lines.anchors
    curves = gain.fit(
        np.where(usable, heights, np.nan)[:, anchors],
        fits.shift_errors[:, anchors],
        lines.energy[anchors],
        lines.errors[anchors],
    )
    params, rising = gain.spline_params(curves)
    position = np.full(heights.shape, np.nan)
    for row, state in enumerate(states):
        if state.good:
            ok = curves.used[row] and rising[row]
            for block in (ef.CURVE_GRID, ef.CURVE):
                state.params[block] = params[row, block] if ok else np.nan
            position[row] = ef.curve(heights[row], state.params)
    return curves, position


def _line_heights(states: Sequence[PixelState], position: Float) -> Float:
    """Corrected pulse heights (pixel, line) of lines at energies (pixel, line) eV on the present scale."""
    heights = np.full(position.shape, np.nan)
    for row, state in enumerate(states):
        if state.good:
            heights[row] = ef.height_of(position[row], state.params)
    return heights


def _correct(
    states: Sequence[PixelState],
    lines: Lines,
    fits: LineFits,
    usable: NDArray[np.bool_],
    position: Float,
    config: CalibrationConfig,
    judge: bool,
) -> Float:
    """Learn phase and drift of every pixel; returns the cross-validated gains (2, pixel), zero where not judged."""
    gains = np.zeros((2, len(states)))
    emitted, inside = lines.emitted(GRID), _inside(lines)
    for row, state in enumerate(states):
        if not state.good or not usable[row].any():
            continue
        shapes = corrections.profiles(fits.density(row, emitted, GRID, TAIL_LENGTH_EV), inside, GRID)
        pulses = _line_pulses(state, lines, usable[row], position[row])
        for step, (block, asked) in enumerate(((ef.PHASE, config.phase), (ef.DRIFT, config.drift))):
            if asked:
                state.params, gains[step, row] = corrections.correct(pulses, state.params, shapes, block, judge)
    return gains


def _line_pulses(state: PixelState, lines: Lines, usable: NDArray[np.bool_], position: Float) -> corrections.LinePulses:
    """The pulses in the windows of the usable lines."""
    energies = state.energies()
    limits = lines.windows()
    line = np.searchsorted(limits[:, 0], energies, side="right") - 1
    take = (line >= 0) & (energies < limits[line, 1]) & usable[line]
    pulses = state.pulses
    return corrections.LinePulses(
        pulses.pulse_height[take], pulses.pretrigger_mean[take], pulses.phase[take], line[take], position
    )


def _result(
    states: Sequence[PixelState],
    lines: Lines,
    fits: LineFits | None,
    curves: gain.GainCurves | None,
    gains: Float,
    valid: tuple[float, float],
    config: CalibrationConfig,
) -> Calibration:
    """Tables of the product, and the verdict on every pixel."""
    left_out = np.full((len(states), len(lines.names)), np.nan)
    residual = errors = counts = fwhm = left_out
    covariance = np.zeros((len(states), ef.N_PARAMS, ef.N_PARAMS))
    covariance[:, ef.CURVE, ef.CURVE] = np.nan
    if curves is not None:
        covariance[:, ef.CURVE, ef.CURVE] = gain.spline_covariance(curves)
        left_out = left_out.copy()
        left_out[:, lines.anchors] = gain.left_out(curves, lines.errors[lines.anchors])
    if fits is not None:
        usable = _usable(states, lines, fits, config)
        residual, errors, counts, fwhm = (
            np.where(usable, values, np.nan)
            for values in (fits.shift, fits.shift_errors, fits.counts, fits.sigma * verdicts.FWHM_PER_SIGMA)
        )
    params = np.stack([state.params for state in states])
    params[:, ef.VALIDITY] = valid
    return Calibration(
        np.array([state.pulses.pixel for state in states], dtype=np.int64),
        verdicts.judge(states, residual, errors, fwhm, lines.anchors),
        lines,
        _line_heights(states, lines.energy + residual),
        residual,
        errors,
        left_out,
        counts,
        fwhm,
        params,
        covariance,
        np.stack([state.cut_counts for state in states]),
        cuts.tables([state.limits for state in states]),
        tuple(state.accepted for state in states),
        gains,
    )
