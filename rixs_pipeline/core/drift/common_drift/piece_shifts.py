r"""Shifts of an emission line between pieces of scans that show the same emission.

All pieces together are the template of the line. The position of a piece relative to it
follows from a linear estimate with the score of the smoothed template,

    psi = -T'/T, less what amplitude and a linear background can cause,
    shift = sum_b n_b psi_b / (a sum_b t_b psi'_b)

with the counts n of the piece and the amplitude a of the template t in it, repeated
while the pieces are shifted onto each other. It is an M-estimate: its error is
sqrt(sum n psi^2) / |a sum t psi'| [1]_, and any smoothing leaves it unbiased.

References
----------
.. [1] P. J. Huber, Robust Statistics, Wiley (1981), ch. 6.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray

SMOOTHING_EV = 1.0  # of the template: narrower than the lines of solids, 2 to 5 eV
ROUNDS = 4
MAX_STEP_EV = 1.5  # of a round: the estimate is linear within about a line width
MAX_ERROR_EV = 0.5  # of the median piece: there is no line otherwise
LEAST_ERROR_EV = 0.01  # from bins of half an eV and a template of few counts
MARGIN_EV = 6.0  # beside a window, within which pieces are shifted
MIN_PHOTONS = 100  # of a piece in the window, for a position
LEAST_AMPLITUDE = 0.05  # of a line in a piece, relative to the mean piece
BACKGROUND_SHARE = 0.02  # flat, so that a stray pulse decides nothing


@dataclass(frozen=True)
class PieceShifts:
    """Shifts (piece,) relative to the mean of the pieces, and errors, eV.

    The shift is 0 and the error infinite for a piece that has too few photons, or where
    the pieces have no line in common.
    """

    shift: FloatArray
    error: FloatArray


def measure_shifts(
    counts: FloatArray, centres: FloatArray, window: tuple[float, float]
) -> PieceShifts:
    """Measure how far pieces of the same emission are shifted within a window.

    Parameters
    ----------
    counts
        Photons of each piece, f8 (piece, bin).
    centres
        Centres of the bins, f8 (bin,), eV, uniform.
    window
        Around the line, eV.

    Returns
    -------
    PieceShifts
        A positive shift: the line of the piece stands at a higher energy.
    """
    n_pieces = len(counts)
    # photons from beside the window may be shifted into it
    near = (centres >= window[0] - MARGIN_EV) & (centres < window[1] + MARGIN_EV)
    counts, centres = counts[:, near], centres[near]
    inside = np.flatnonzero((centres >= window[0]) & (centres < window[1]))
    undetermined = PieceShifts(np.zeros(n_pieces), np.full(n_pieces, np.inf))
    if len(inside) < 3:
        return undetermined
    is_used = counts[:, inside].sum(axis=1) >= MIN_PHOTONS
    if not is_used.any():
        return undetermined
    used = counts[is_used]
    shift = np.zeros(len(used))
    step = undetermined
    for turn in range(ROUNDS):
        moved = shift_counts(used, centres, -shift)[:, inside]
        line = _line_score(moved.sum(axis=0), centres[inside])
        scored = _score_shifts(moved, line, centres[1] - centres[0])
        if scored is None or np.median(scored.error) > MAX_ERROR_EV:
            return undetermined
        step = scored
        if turn < ROUNDS - 1:
            limited = np.clip(step.shift, -MAX_STEP_EV, MAX_STEP_EV)
            shift += limited - np.average(limited, weights=step.error**-2)
    result = PieceShifts(np.zeros(n_pieces), np.full(n_pieces, np.inf))
    result.shift[is_used] = shift + step.shift
    result.error[is_used] = np.hypot(step.error, LEAST_ERROR_EV)
    return result


def shift_counts(
    counts: FloatArray, centres: FloatArray, shift: FloatArray
) -> FloatArray:
    """Return counts (piece, bin) after energies E became E + shift (piece,), eV.

    Counts of a bin that a new edge divides are shared by width.
    """
    n_pieces, n_bins = counts.shape
    below = np.zeros((n_pieces, n_bins + 2))
    np.cumsum(counts, axis=1, out=below[:, 1:-1])
    below[:, -1] = below[:, -2]
    old_edge = np.arange(n_bins + 1) - shift[:, None] / (centres[1] - centres[0])
    old_edge = np.clip(old_edge, 0.0, n_bins)
    low = old_edge.astype(np.int64)
    low_counts = np.take_along_axis(below, low, axis=1)
    high_counts = np.take_along_axis(below, low + 1, axis=1)
    moved = low_counts + (old_edge - low) * (high_counts - low_counts)
    return np.diff(moved, axis=1)


@dataclass(frozen=True)
class _Line:
    """A line: the template, its score, and what else may change, (..., bin)."""

    template: FloatArray
    score: FloatArray
    nuisance: FloatArray  # template, constant and linear background
    weight: FloatArray  # inverse of the density


def _line_score(template: FloatArray, centres: FloatArray) -> _Line:
    """Return the score (bin,) of a shift, free of amplitude and linear background."""
    from scipy.ndimage import gaussian_filter1d

    step = centres[1] - centres[0]
    width = SMOOTHING_EV / step
    density = gaussian_filter1d(template, width, mode="nearest")
    slope = gaussian_filter1d(template, width, order=1, mode="nearest") / step
    density += BACKGROUND_SHARE * template.mean() + 1e-12
    score = -slope / density
    relative = (centres - centres.mean()) / (np.ptp(centres) + step)
    nuisance = np.stack([template, np.ones_like(centres), relative])
    weight = 1 / density
    # sum of score x nuisance is 0 for each of them
    shapes = nuisance * weight
    shapes[0] = 1.0
    coefficients = np.linalg.lstsq(nuisance @ shapes.T, nuisance @ score, rcond=None)[0]
    return _Line(template, score - coefficients @ shapes, nuisance, weight)


def _score_shifts(counts: FloatArray, line: _Line, step: float) -> PieceShifts | None:
    """Return the shifts of pieces (piece, bin) by a score; None without a line."""
    slope = float(line.template @ np.gradient(line.score, step))
    if not slope > 0:
        return None
    # amplitude of the line in each piece, besides a linear background
    weighted = line.nuisance * line.weight
    products = weighted @ line.nuisance.T
    amplitude = np.linalg.lstsq(products, weighted @ counts.T, rcond=None)[0][0]
    mean = 1 / len(counts)
    response = slope * np.maximum(amplitude, LEAST_AMPLITUDE * mean)
    variance = counts @ line.score**2
    return PieceShifts(counts @ line.score / response, np.sqrt(variance) / response)
