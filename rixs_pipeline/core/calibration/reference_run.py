"""The calibration of one reference run: pulses of all pixels in, energy functions with their residuals out.

In this order: cuts and peaks of every pixel; the lines that the array shows and each pixel's assignment to them;
then, a few times over, line fits, gain curves, corrections for arrival phase and base line; at last fits and curves
once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CalibrationConfig, ReferenceSet
from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.calibration import gain_curve as gain
from rixs_pipeline.core.calibration.line_fits import SHIFT, LineFits, fit_lines
from rixs_pipeline.core.calibration.line_identification import Lines, identify
from rixs_pipeline.core.calibration.line_shapes import (
    FWHM_PER_SIGMA,
    N_GRID,
    Complex,
    LineGrid,
)
from rixs_pipeline.core.calibration.pixel import (
    Pixel,
    ReferencePulses,
    begin,
    cut,
    leave_out_affected,
)
from rixs_pipeline.core.calibration.pixel_response import shared_prior
from rixs_pipeline.core.calibration.pixel_status import determine_pixel_statuses
from rixs_pipeline.core.energy import corrections
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.types import PixelStatus

__all__ = ["Calibration", "Lines", "ReferencePulses", "calibrate"]

Float = NDArray[np.float64]

GRID = LineGrid(0.5)
ROUNDS = 2  # a third changes the lines by less than a tenth of their errors
MIN_SIGNIFICANCE = 4.0  # of a line above its background
MAX_POSITION_ERROR_EV = 3.0  # a line whose position is less certain tells nothing


@dataclass(frozen=True)
class Calibration:
    """The result, rows in the order of the pixels given; see `schema.PIXEL_CALIBRATION` for the meaning."""

    pixel: NDArray[np.int64]
    status: tuple[PixelStatus, ...]
    lines: Lines
    line_pulse_height: Float
    line_residual: Float
    line_residual_errors: Float
    line_left_out: Float
    line_counts: Float
    fwhm: Float
    tail_fraction: Float
    tail_length: Float
    params: Float
    params_covariance: Float
    cut_counts: NDArray[np.int64]
    cut_limits: Float
    accepted: tuple[NDArray[np.bool_], ...]


def calibrate(
    pulses: Sequence[ReferencePulses],
    reference: ReferenceSet,
    config: CalibrationConfig,
    parked_energy: float,
) -> Calibration:
    """Calibrate all pixels of one reference run.

    Args:
        pulses: of each pixel; a dead pixel's are empty.
        reference: the lines and their shapes.
        config: the options.
        parked_energy: reading of the monochromator, eV; NaN where unknown. Its elastic line is never an anchor.
    """
    states = [cut(one, config.residual_cut) for one in pulses]
    leave_out_affected(states)
    lines = identify(states, reference, config, parked_energy)
    if lines.anchors.sum() >= gain.MIN_LINES:
        begin(states)
    scale = None
    if any(state.has_curve for state in states):
        for turn in range(ROUNDS):
            scale = _scale(states, lines, config, scale)
            _correct(states, lines, scale, config, judge=turn == ROUNDS - 1)
        scale = _scale(states, lines, config, scale)
    return _result(states, lines, scale)


@dataclass(frozen=True)
class _Scale:
    """Fitted lines and the curves through them: which lines were usable, and where they stand, eV (pixel, line)."""

    fits: LineFits
    usable: NDArray[np.bool_]
    curves: gain.GainCurves
    position: Float


def _scale(
    states: Sequence[Pixel],
    lines: Lines,
    config: CalibrationConfig,
    before: _Scale | None,
) -> _Scale:
    """Fit the lines on the present scale, and set new curves through them in the states."""
    start = None
    if before is not None:  # the corrections have moved the lines by little
        start = before.fits.theta.copy()
        start[..., SHIFT] = before.position - lines.energy
    spectra, inside, emitted = _line_spectra(states, lines)
    fits = fit_lines(spectra, inside, emitted, GRID, start=start)
    if (
        before is not None
    ):  # uncorrected, the width of a line tells of its arrival phases, not of the others' widths
        prior = shared_prior(fits, _usable(states, fits, config))
        fits = fit_lines(spectra, inside, emitted, GRID, prior, fits.theta)
    usable = _usable(states, fits, config)
    return _Scale(fits, usable, *_curves(states, lines, fits, usable, config))


def _line_spectra(
    states: Sequence[Pixel], lines: Lines
) -> tuple[Float, NDArray[np.bool_], Complex]:
    """Spectra around the lines (pixel, line, N_GRID), empty for pixels without a curve; the bins of the fits and the
    emitted shapes, as `fit_lines` takes them."""
    from rixs_pipeline.core.calibration import pulse_kernels

    # one histogram a pixel, in which every line has its piece: the line stands `beside` the middle of its piece
    middle = np.round(lines.energy / GRID.width).astype(np.int64)
    beside = lines.energy - middle * GRID.width
    first = middle.min(initial=0) - N_GRID
    pieces = (middle - first)[:, None] + np.arange(-N_GRID // 2, N_GRID // 2)
    histogram = np.zeros((len(states), len(lines.energy), N_GRID))
    for row, state in zip(histogram, states, strict=True):
        if state.has_curve:
            counts = pulse_kernels.histogram(
                state.energies(), first * GRID.width, GRID.width, int(pieces.max()) + 2
            )
            row[:] = counts[pieces]
    emitted = lines.emitted(GRID) * np.exp(-1j * GRID.k * beside[:, None])
    return histogram, _inside(lines, beside), emitted


def _inside(lines: Lines, beside: Float | float = 0.0) -> NDArray[np.bool_]:
    """Bins of the grid that belong to each line's fit, (line, N_GRID); `beside`: of the line, from the middle, eV."""
    limits = lines.windows() - (lines.energy - beside)[:, None]
    return np.asarray((GRID.offsets > limits[:, :1]) & (GRID.offsets < limits[:, 1:]))


def _usable(
    states: Sequence[Pixel], fits: LineFits, config: CalibrationConfig
) -> NDArray[np.bool_]:
    """Which lines (pixel, line) were fitted well enough to be used."""
    good = np.array([state.has_curve for state in states])
    enough = (fits.counts >= config.min_line_counts) & (
        fits.shift_errors < MAX_POSITION_ERROR_EV
    )
    enough &= fits.significance(GRID.width) > MIN_SIGNIFICANCE
    return np.asarray(enough & fits.converged & good[:, None])


def _curves(
    states: Sequence[Pixel],
    lines: Lines,
    fits: LineFits,
    usable: NDArray[np.bool_],
    config: CalibrationConfig,
) -> tuple[gain.GainCurves, Float]:
    """New gain curves from the fitted lines, set in the states, and where they put the lines: eV (pixel, line)."""
    heights = _line_heights(states, lines.energy + fits.shift)
    anchors = lines.anchors
    curves = gain.fit(
        np.where(usable, heights, np.nan)[:, anchors],
        fits.shift_errors[:, anchors],
        lines.energy[anchors],
        lines.errors[anchors],
        config.curve,
    )
    params, rising = gain.spline_params(curves)
    position = np.full(heights.shape, np.nan)
    for row, state in enumerate(states):
        if state.has_curve:
            ok = curves.used[row] and rising[row]
            for block in (ef.CURVE_GRID, ef.CURVE):
                state.params[block] = params[row, block] if ok else np.nan
            position[row] = ef.curve(heights[row], state.params)
    return curves, position


def _line_heights(states: Sequence[Pixel], position: Float) -> Float:
    """Corrected pulse heights (pixel, line) of lines at energies (pixel, line) eV on the present scale."""
    heights = np.full(position.shape, np.nan)
    for row, state in enumerate(states):
        if state.has_curve:
            heights[row] = ef.height_of(position[row], state.params)
    return heights


def _correct(
    states: Sequence[Pixel],
    lines: Lines,
    scale: _Scale,
    config: CalibrationConfig,
    judge: bool,
) -> None:
    """Learn phase and drift of every pixel."""
    shapes = corrections.profiles(
        scale.fits.density(lines.emitted(GRID), GRID), _inside(lines), GRID
    )
    windows = lines.windows()
    told = [
        row
        for row, state in enumerate(states)
        if state.has_curve and scale.usable[row].any()
    ]
    # the first round, in which nothing is judged, tells what the array's pixels have in common
    drift = corrections.drift_prior(
        np.array([states[row].params[ef.DRIFT] for row in told]) if judge else None
    )
    priors = [(ef.PHASE, corrections.no_effect(ef.PHASE))] * config.phase + [
        (ef.DRIFT, drift)
    ] * config.drift
    for row in told:
        state = states[row]
        pulses = _line_pulses(state, windows, scale.usable[row], scale.position[row])
        for block, prior in priors:
            state.params = corrections.correct(
                pulses, state.params, shapes.pixel(row), block, prior, judge
            )[0]


def _line_pulses(
    state: Pixel, windows: Float, usable: NDArray[np.bool_], position: Float
) -> corrections.LinePulses:
    """The pulses in the windows (line, 2) eV of the usable lines."""
    from rixs_pipeline.core.calibration import pulse_kernels

    near = pulse_kernels.find_in_windows(state.energies(), windows, usable)
    pulses = state.pulses
    return corrections.LinePulses(
        pulses.pulse_height[near.index],
        pulses.pretrigger_mean[near.index],
        pulses.phase[near.index],
        near.line,
        position,
    )


def _result(states: Sequence[Pixel], lines: Lines, scale: _Scale | None) -> Calibration:
    """Tables of the product, and the status of every pixel."""
    nothing = np.full((len(states), len(lines.names)), np.nan)
    position, left_out = nothing, nothing.copy()
    errors = counts = fwhm = tail_fraction = tail_length = nothing
    covariance = np.zeros((len(states), ef.N_PARAMS, ef.N_PARAMS))
    covariance[:, ef.CURVE, ef.CURVE] = np.nan
    if scale is not None:
        covariance[:, ef.CURVE, ef.CURVE] = gain.spline_covariance(scale.curves)
        left_out[:, lines.anchors] = gain.left_out(
            scale.curves, lines.errors[lines.anchors]
        )
        fits = scale.fits
        shape = fits.sigma * FWHM_PER_SIGMA, fits.tail_fraction, fits.tail_length
        position, errors, counts, fwhm, tail_fraction, tail_length = (
            np.where(scale.usable, values, np.nan)
            for values in (scale.position, fits.shift_errors, fits.counts, *shape)
        )
    params = np.stack([state.params for state in states])
    params[:, ef.VALIDITY] = -np.inf, np.inf
    return Calibration(
        np.array([state.pulses.pixel for state in states], dtype=np.int64),
        determine_pixel_statuses(
            states, position - lines.energy, errors, fwhm, lines.anchors
        ),
        lines,
        _line_heights(states, position),
        position - lines.energy,
        errors,
        left_out,
        counts,
        fwhm,
        tail_fraction,
        tail_length,
        params,
        covariance,
        np.stack([state.cut_counts for state in states]),
        cuts.stack_limits([state.limits for state in states]),
        tuple(state.accepted for state in states),
    )
