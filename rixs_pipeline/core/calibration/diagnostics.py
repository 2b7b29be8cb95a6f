"""What the corrections do: where the line pulses of a reference run stand against arrival phase and time.

The offset of a set of pulses is the maximum of their density smoothed with a Gaussian of `SMOOTHING_EV`, found by mean
shift (K. Fukunaga, L. D. Hostetler, IEEE Trans. Inf. Theory 21, 32 (1975)). It is an M-estimate with
psi(e) = e exp(-e^2 / 2 c^2), so tails and background have little weight, and n pulses know it to
sqrt(<psi^2> / n) / <psi'> (P. J. Huber, Robust Statistics, Wiley (1981), ch. 3). Zero is where the same estimate finds
the line in all pulses, fully corrected, so that the line's own asymmetry cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.energy import function as ef

Float = NDArray[np.float64]

N_BINS = 12
REACH_EV = 20.0  # pulses farther from a line belong to none
N_STEPS = 200  # of 0.2 eV, over twice the reach
PLACES = np.asarray(
    (np.arange(N_STEPS) + 0.5) * (2 * REACH_EV / N_STEPS) - REACH_EV, dtype=np.float64
)
SMOOTHING_EV = 3.0  # about twice the standard deviation of a line
ITERATIONS = 30
MIN_PULSES = 10  # fewer tell no offset
MAX_PULSES = 1_000_000  # of all pixels: enough for 0.02 eV in every bin, so of more only every second, third, ... counts
PHASE_BINS = (np.arange(N_BINS) + 0.5) * 2 / N_BINS - 1


@dataclass(frozen=True)
class Offsets:
    """Offsets of line pulses from their lines and standard errors, eV, each f8 of one shape; NaN from too few pulses.

    `corrected` are those on the finished scale, `uncorrected` those without the one correction that is looked at.
    """

    corrected: Float
    corrected_errors: Float
    uncorrected: Float
    uncorrected_errors: Float


@dataclass(frozen=True)
class Diagnostics:
    """Of one reference run, pooled over its pixels.

    `phase` (line, bin) against `PHASE_BINS`, the arrival phase as in `core.energy`; `drift` (bin,) against `time`
    (bin,), s, the middles of the bins; `pretrigger` (bin,), mean deviation of pretrigger_mean from its reference.
    """

    phase: Offsets
    time: Float
    drift: Offsets
    pretrigger: Float
    pretrigger_errors: Float


def diagnose(
    pulses: Sequence[ReferencePulses],
    accepted: Sequence[NDArray[np.bool_]],
    params: Float,
    position: Float,
    duration: float,
) -> Diagnostics:
    """Offsets of the line pulses by arrival phase and by time, each with and without its correction.

    Args:
        pulses: of each pixel that is used.
        accepted: which of them pass the cuts, bool (pulse,) each.
        params: f8 (pixel, N_PARAMS), finished.
        position: f8 (pixel, line), where each pixel's scale has its lines, eV, ascending.
        duration: of the run, s.
    """
    counts = np.zeros((4, position.shape[1], N_BINS, N_STEPS))
    base = np.zeros((3, N_BINS))
    every = 1 + sum(len(one.time) for one in pulses) // MAX_PULSES
    for one, which, own, lines in zip(pulses, accepted, params, position, strict=True):
        columns = (one.pulse_height, one.pretrigger_mean, one.phase, one.time)
        _add(
            counts,
            base,
            [column[which][::every] for column in columns],
            own,
            lines,
            duration,
        )
    middles = (np.arange(N_BINS) + 0.5) * duration / N_BINS
    return Diagnostics(
        _by_phase(*counts[:2]), middles, _by_time(*counts[2:]), *_means(*base)
    )


def _add(
    counts: Float,
    base: Float,
    pulses: list[Float],
    params: Float,
    lines: Float,
    duration: float,
) -> None:
    """Add a pixel's pulses (height, pretrigger mean, phase, time) to the tables.

    Args:
        counts: f8 (4, line, bin, step): by phase, corrected and not; by time, corrected and not.
        base: f8 (3, bin): number, sum, and sum of squares of the deviations of pretrigger_mean.
        pulses: the columns, f8 (pulse,) each.
        params: f8 (N_PARAMS,).
        lines: f8 (line,) eV.
        duration: s.
    """
    from rixs_pipeline.core.calibration import pulse_kernels

    height, pretrigger, phase, time = pulses
    energies = ef.energies(height, pretrigger, phase, params)
    near = pulse_kernels.find_near_lines(energies, lines, REACH_EV)
    line = near.line
    height, pretrigger, phase, time = (column[near.index] for column in pulses)
    by_phase, by_time = (
        _bins((arrival(height, phase, params) + 1) / 2, N_BINS),
        _bins(time / duration, N_BINS),
    )
    variants = (
        (by_phase, None),
        (by_phase, ef.PHASE),
        (by_time, None),
        (by_time, ef.DRIFT),
    )
    for table, (bins, block) in zip(counts, variants, strict=True):
        away = (
            ef.energies(height, pretrigger, phase, _without(params, block))
            - lines[line]
        )
        pulse_kernels.add_to_offset_histograms(table, line, bins, away, REACH_EV)
    deviation = pretrigger - params[ef.PRETRIGGER_REF]
    base += [
        np.bincount(by_time, weights, N_BINS)
        for weights in (np.ones_like(time), deviation, deviation**2)
    ]


def arrival(pulse_height: Float, phase: Float, params: Float) -> Float:
    """The arrival phase x (pulse,) within a sample, -1 to 1, as in `core.energy`."""
    centre = np.polynomial.polynomial.polyval(
        pulse_height / params[ef.HEIGHT_REF], params[ef.PHASE_CENTRE]
    )
    return np.asarray(
        np.clip((phase - centre) / params[ef.PHASE_HALF_WIDTH], -1.0, 1.0)
    )


def _without(params: Float, block: slice | None) -> Float:
    """The parameters with one correction at zero."""
    params = params.copy()
    if block is not None:
        params[block] = 0.0
    return params


def _bins(share: Float, number: int) -> NDArray[np.intp]:
    """Bin (pulse,) of places from 0 to 1, both ends included; what lies outside goes to the ends."""
    return np.clip((share * number).astype(np.intp), 0, number - 1)


def _by_phase(finished: Float, without: Float) -> Offsets:
    """Of each line (line, bin), from counts (line, bin, step)."""
    zero = _zeros(finished)[:, None]
    one = np.ones_like(zero)
    pairs = (_offsets(counts[:, :, None], zero, one) for counts in (finished, without))
    return Offsets(*(table for pair in pairs for table in pair))


def _by_time(finished: Float, without: Float) -> Offsets:
    """Of all lines together (bin,), weighted with their information, from counts (line, bin, step)."""
    zero = _zeros(finished)
    slope, square = _moments(finished.sum(axis=1), PLACES - zero[:, None])
    weight = np.divide(slope, square, out=np.zeros_like(slope), where=slope > 0)
    pairs = (
        _offsets(counts.swapaxes(0, 1)[None], zero[None], weight[None])
        for counts in (finished, without)
    )
    return Offsets(*(table[0] for pair in pairs for table in pair))


def _zeros(finished: Float) -> Float:
    """Where all pulses together have the lines: (line,) eV, from counts (line, bin, step)."""
    return _locate(finished.sum(axis=1)[:, None], PLACES)


def _offsets(counts: Float, zero: Float, weight: Float) -> tuple[Float, Float]:
    """Offsets and standard errors (group, bin) eV of lines that move together.

    Args:
        counts: f8 (group, bin, line, step).
        zero: f8 (group, line) eV, where the lines stand.
        weight: f8 (group, line), of the pulses.
    """
    weight, places = weight[:, None], PLACES - zero[:, None, :, None]
    offset = _locate(weight[..., None] * counts, places)
    slope, square = _moments(counts, places - offset[..., None, None])
    number = counts.sum(axis=-1)
    share = number / np.maximum(number.sum(axis=1, keepdims=True), 1.0)
    # the shape of a line is that of all its pulses: a bin's own few would not know it
    slope, square = (
        share * total.sum(axis=1, keepdims=True) for total in (slope, square)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt((weight**2 * square).sum(axis=-1)) / (weight * slope).sum(
            axis=-1
        )
    known = (number.sum(axis=-1) >= MIN_PULSES) & np.isfinite(errors) & (errors > 0)
    return np.where(known, offset, np.nan), np.where(known, errors, np.nan)


def _locate(counts: Float, places: Float) -> Float:
    """Offset (...) at which sum counts psi(places - offset) = 0; counts (..., line, step), places fit them."""
    offset = np.zeros(counts.shape[:-2])
    for _ in range(ITERATIONS):
        away = places - offset[..., None, None]
        weight = counts * np.exp(-0.5 * (away / SMOOTHING_EV) ** 2)
        step = (weight * away).sum(axis=(-2, -1)) / np.maximum(
            weight.sum(axis=(-2, -1)), 1e-300
        )
        offset += step
    return offset


def _moments(counts: Float, away: Float) -> tuple[Float, Float]:
    """Sums over the steps of psi' and psi^2, both (...), of counts (..., step) at `away` eV from where they belong."""
    square = (away / SMOOTHING_EV) ** 2
    bell = np.exp(-0.5 * square)
    return (counts * (1 - square) * bell).sum(axis=-1), (
        counts * (away * bell) ** 2
    ).sum(axis=-1)


def _means(number: Float, total: Float, squares: Float) -> tuple[Float, Float]:
    """Means and their standard errors (bin,); NaN from fewer than two values."""
    n = np.where(number > 1, number, np.nan)
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0) / (n - 1))
