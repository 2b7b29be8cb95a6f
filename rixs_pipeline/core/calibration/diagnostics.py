"""Offsets of line pulses by arrival phase and by time, with and without corrections.

The offset of a set of pulses is the maximum of their density, smoothed with a Gaussian
of `SMOOTHING_EV` and found by mean shift [1]_. It is an M-estimate with
psi(e) = e exp(-e^2 / 2 c^2), in which tails and background have little weight; its
standard error from n pulses is sqrt(<psi^2> / n) / <psi'> [2]_. Offsets are measured
from the line in all fully corrected pulses, by the same estimate, so that the line's
asymmetry cancels.

References
----------
.. [1] K. Fukunaga, L. D. Hostetler, IEEE Trans. Inf. Theory 21, 32 (1975).
.. [2] P. J. Huber, Robust Statistics, Wiley (1981), ch. 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.pixel import PixelPulses
from rixs_pipeline.core.energy import energy_at_any_time, layout
from rixs_pipeline.types import FloatArray

N_BINS = 12  # of the arrival phase, and of the time
REACH_EV = 20.0  # pulses farther from a line belong to none
N_STEPS = 200  # of 0.2 eV, over twice the reach
STEP_EV = 2 * REACH_EV / N_STEPS
_STEP_CENTRES = np.arange(N_STEPS) + 0.5
OFFSETS_EV = np.asarray(_STEP_CENTRES * STEP_EV - REACH_EV, dtype=np.float64)
SMOOTHING_EV = 3.0  # about twice the standard deviation of a line
ITERATIONS = 30  # of the mean shift
MIN_PULSES = 10  # from which an offset is estimated
SMALLEST = 1e-300  # weight of no pulses at all
# Of all pixels: enough for 0.02 eV in every bin. Of more, every second, third, ...
# pulse counts.
MAX_PULSES = 1_000_000
_BIN_NUMBER = np.arange(N_BINS) + 0.5
PHASE_BINS = _BIN_NUMBER * 2 / N_BINS - 1  # bin centres, arrival phase


@dataclass(frozen=True)
class Estimates:
    """Values and their standard errors, of one shape; NaN from too few pulses."""

    values: FloatArray
    errors: FloatArray


@dataclass(frozen=True)
class Offsets:
    """Offsets of pulses from their lines, eV."""

    corrected: Estimates  # on the final energy scale
    uncorrected: Estimates  # without the correction in question


@dataclass(frozen=True)
class Diagnostics:
    """Offsets of the line pulses of one reference run, pooled over its pixels."""

    by_phase: Offsets  # (line, bin), with and without phase correction, `PHASE_BINS`
    bin_time: FloatArray  # (bin,) centres of the bins in time, s since the run's start
    by_time: Offsets  # (bin,), with and without drift correction
    pretrigger: Estimates  # (bin,) mean deviation of the baseline from its reference


class _Histograms:
    """Line pulses of all pixels by their bin and their offset from the line."""

    def __init__(self, n_lines: int) -> None:
        """Start without pulses."""
        shape = (n_lines, N_BINS, N_STEPS)
        self.by_phase = np.zeros(shape)
        self.by_phase_uncorrected = np.zeros(shape)
        self.by_time = np.zeros(shape)
        self.by_time_uncorrected = np.zeros(shape)
        # number, sum, and sum of squares of the baseline's deviations by time
        self.pretrigger_moments = np.zeros((3, N_BINS))


@dataclass(frozen=True)
class _Influence:
    """Sums over pulses of psi' and psi^2 of the M-estimate."""

    slope: FloatArray
    square: FloatArray


def diagnose_corrections(
    pulses: Sequence[PixelPulses],
    n_recorded: int,
    params: FloatArray,
    line_position: FloatArray,
    duration: float,
) -> Diagnostics:
    """Return the offsets of line pulses by arrival phase and by time.

    Parameters
    ----------
    pulses
        Of each pixel in use, those that pass the cuts.
    n_recorded
        Number of their pulses before the cuts, which decides how many are sampled.
    params
        (pixel, param) of the final energy functions.
    line_position
        (pixel, line) where each pixel's scale has its lines, eV, ascending.
    duration
        Of the run, s.

    Returns
    -------
    Diagnostics
        With and without the correction for arrival phase and that for drift.
    """
    n_lines = line_position.shape[1]
    histograms = _Histograms(n_lines)
    step = 1 + n_recorded // MAX_PULSES
    for row, pixel in enumerate(pulses):
        sampled = pixel.select(slice(None, None, step))
        _add_pixel(
            histograms,
            sampled,
            params=params[row],
            lines=line_position[row],
            duration=duration,
        )

    return Diagnostics(
        by_phase=_offsets_of_lines(
            histograms.by_phase, histograms.by_phase_uncorrected
        ),
        bin_time=_BIN_NUMBER * duration / N_BINS,
        by_time=_offsets_of_all_lines(
            histograms.by_time, histograms.by_time_uncorrected
        ),
        pretrigger=_estimate_means(*histograms.pretrigger_moments),
    )


def _add_pixel(
    histograms: _Histograms,
    pulses: PixelPulses,
    params: FloatArray,
    lines: FloatArray,
    duration: float,
) -> None:
    """Add the pulses of one pixel to the histograms.

    `params` (param,); `lines` (line,) eV; `duration` of the run, s.
    """
    from rixs_pipeline.core.calibration import pulse_kernels  # numba: slow to import

    energies = _energies(pulses, params)
    near = pulse_kernels.find_near_lines(energies, lines, REACH_EV)
    pulses = pulses.select(near.pulse)
    arrival = arrival_phase(pulses.pulse_height, pulses.phase, params)
    phase_bins = _bins((arrival + 1) / 2)
    time_bins = _bins(pulses.time / duration)
    for table, bins, removed in (
        (histograms.by_phase, phase_bins, None),
        (histograms.by_phase_uncorrected, phase_bins, layout.PHASE),
        (histograms.by_time, time_bins, None),
        (histograms.by_time_uncorrected, time_bins, layout.DRIFT),
    ):
        offset = near.offset
        if removed is not None:
            params_used = params.copy()
            params_used[removed] = 0.0
            offset = _energies(pulses, params_used) - lines[near.line]
        pulse_kernels.add_to_offset_histograms(table, near.line, bins, offset, REACH_EV)
    deviation = pulses.pretrigger_mean - params[layout.PRETRIGGER_REF]
    for power, moment in enumerate(histograms.pretrigger_moments):
        weight = deviation**power
        moment += np.bincount(time_bins, weight, N_BINS)


def _energies(pulses: PixelPulses, params: FloatArray) -> FloatArray:
    """Return the energies (pulse,) eV of pulses with the parameters (param,)."""
    return energy_at_any_time(
        pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params
    )


def arrival_phase(
    pulse_height: FloatArray, phase: FloatArray, params: FloatArray
) -> FloatArray:
    """Return the arrival phase within a sample, -1 to 1, as in `core.energy.function`.

    Parameters
    ----------
    pulse_height
        (pulse,)
    phase
        (pulse,) derivativeLike / filtValue.
    params
        (param,) of the pixel's energy function.

    Returns
    -------
    float array
        (pulse,)
    """
    relative_height = pulse_height / params[layout.HEIGHT_REF]
    coefficients = params[layout.PHASE_CENTRE]
    half_width = params[layout.PHASE_HALF_WIDTH]
    centre = np.polynomial.polynomial.polyval(relative_height, coefficients)
    arrival: FloatArray = (phase - centre) / half_width
    return np.clip(arrival, -1.0, 1.0)


def _bins(share: FloatArray) -> NDArray[np.intp]:
    """Return the bin (pulse,) of places from 0 to 1; the ends hold those beyond."""
    place = share * N_BINS
    bins = place.astype(np.intp)
    return np.clip(bins, 0, N_BINS - 1)


def _offsets_of_lines(corrected: FloatArray, uncorrected: FloatArray) -> Offsets:
    """Return the offsets (line, bin) of each line from counts (line, bin, step)."""
    line_offsets = _line_offsets(corrected)
    zero = line_offsets[:, None]
    weight = np.ones_like(zero)
    # each line is a group of its own
    corrected_groups = corrected[:, :, None]
    uncorrected_groups = uncorrected[:, :, None]
    return Offsets(
        corrected=_estimate_offsets(corrected_groups, zero, weight),
        uncorrected=_estimate_offsets(uncorrected_groups, zero, weight),
    )


def _offsets_of_all_lines(corrected: FloatArray, uncorrected: FloatArray) -> Offsets:
    """Return the offsets (bin,) of all lines together from counts (line, bin, step).

    Each line is weighted with its information.
    """
    zero = _line_offsets(corrected)
    distance = OFFSETS_EV - zero[:, None]
    line_counts = corrected.sum(axis=1)
    influence = _sum_influence(line_counts, distance)
    weight = np.zeros_like(zero)
    has_pulses = influence.slope > 0
    slope = influence.slope[has_pulses]
    square = influence.square[has_pulses]
    weight[has_pulses] = slope / square

    def estimate(counts: FloatArray) -> Estimates:
        by_bin = counts.swapaxes(0, 1)
        # all lines form one group
        offsets = _estimate_offsets(by_bin[None], zero[None], weight[None])
        values = offsets.values[0]
        errors = offsets.errors[0]
        return Estimates(values, errors)

    return Offsets(estimate(corrected), estimate(uncorrected))


def _line_offsets(counts: FloatArray) -> FloatArray:
    """Return the offset (line,) eV of each line, from counts (line, bin, step)."""
    total = counts.sum(axis=1)
    return _find_maximum(total[:, None], OFFSETS_EV)


def _estimate_offsets(
    counts: FloatArray, zero: FloatArray, weight: FloatArray
) -> Estimates:
    """Estimate offsets (group, bin) eV of lines that move together.

    Parameters
    ----------
    counts
        (group, bin, line, step)
    zero
        (group, line) offsets of the lines in all pulses, eV.
    weight
        (group, line) of a pulse.
    """
    weight = weight[:, None]
    places = OFFSETS_EV - zero[:, None, :, None]
    weighted_counts = weight[..., None] * counts
    offset = _find_maximum(weighted_counts, places)
    distance = places - offset[..., None, None]
    influence = _sum_influence(counts, distance)
    number = counts.sum(axis=-1)
    total = number.sum(axis=1, keepdims=True)
    share = number / np.maximum(total, 1.0)
    # The few pulses of a bin do not determine the shape of the line; all pulses do.
    line_slope = influence.slope.sum(axis=1, keepdims=True)
    line_square = influence.square.sum(axis=1, keepdims=True)
    slopes = weight * (share * line_slope)
    squares = weight**2 * (share * line_square)
    total_slope = slopes.sum(axis=-1)
    total_square = squares.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(total_square) / total_slope
    n_pulses = number.sum(axis=-1)
    has_enough_pulses = n_pulses >= MIN_PULSES
    has_error = np.isfinite(errors) & (errors > 0)
    is_valid = has_enough_pulses & has_error
    offset[~is_valid] = np.nan
    errors[~is_valid] = np.nan
    return Estimates(offset, errors)


def _find_maximum(counts: FloatArray, places: FloatArray) -> FloatArray:
    """Find by mean shift the offset (...) eV where the smoothed density is highest.

    `counts` (..., line, step) at `places` eV, which broadcast to the counts.
    """
    line_and_step = (-2, -1)
    group_shape = counts.shape[:-2]
    offset = np.zeros(group_shape)
    for _ in range(ITERATIONS):
        distance = places - offset[..., None, None]
        square = (distance / SMOOTHING_EV) ** 2
        bell = np.exp(-0.5 * square)
        weight = counts * bell
        weighted_distance = weight * distance
        total = weight.sum(axis=line_and_step)
        moment = weighted_distance.sum(axis=line_and_step)
        total = np.maximum(total, SMALLEST)
        offset += moment / total
    return offset


def _sum_influence(counts: FloatArray, distance: FloatArray) -> _Influence:
    """Return the sums (...) over the steps of counts (..., step).

    `distance` (..., step) of the steps from the offset, eV.
    """
    square = (distance / SMOOTHING_EV) ** 2
    bell = np.exp(-0.5 * square)
    psi = distance * bell
    slopes = counts * (1 - square) * bell
    squares = counts * psi**2
    total_slope = slopes.sum(axis=-1)
    total_square = squares.sum(axis=-1)
    return _Influence(total_slope, total_square)


def _estimate_means(
    number: FloatArray, total: FloatArray, squares: FloatArray
) -> Estimates:
    """Return means (bin,) and their standard errors; NaN from fewer than two values."""
    is_enough = number > 1
    n = np.where(is_enough, number, np.nan)
    mean = total / n
    mean_square = squares / n
    variance = mean_square - mean**2
    variance = np.maximum(variance, 0.0)
    errors = np.sqrt(variance / (n - 1))
    return Estimates(mean, errors)
