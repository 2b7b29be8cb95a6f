"""Alignment of the pixels of a scan by what the sample emits.

Between two calibrations the gain of a pixel wanders by a few 1e-4 in ways that the
baseline does not show. Within a scan all pixels see the same emission, so each pixel is
compared with the density p(E) of the others: it reads E where E (1 - g) is right, and
its g maximises the sum of ln p(E (1 - g)) over its photons. This is Fisher scoring; the
score of a photon is -E d ln p/dE, less its mean. As p is made of few counts and is not
the truth, the errors are those of an M-estimate, B / (N A^2), with the mean square B of
the score and its slope A, both from the photons [1]_.

The gains are small, and noise must not pass for gains: they are drawn from N(0, tau^2),
with the tau that makes the gains of the array most likely (empirical Bayes), and are
shrunk accordingly. Errors of the calibrations are not gains; what they allow counts as
noise. The mean of the gains, weighted with photons, is subtracted, so that the absolute
scale stays: that of the pixels that stay, without those that step (`own_drifts`). If
the array splits in two groups, the scale is midway.

References
----------
.. [1] P. J. Huber, Robust Statistics, Wiley (1981), ch. 6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift.pixel_comparison.own_drifts import estimate_own_drifts
from rixs_pipeline.types import FloatArray

MIN_PIXELS = 4  # fewer do not separate drift from noise
MIN_PHOTONS = 30  # of a pixel, to take part
BACKGROUND_SHARE = 0.02  # flat, so that a stray pulse decides nothing
# Smoothing of p(E), eV; the one that predicts the other pixels best is used.
SMOOTHING_EV = (0.5, 1.0, 2.0, 4.0)
# Decay lengths of the low-energy tails in which pixels may differ, eV.
TAILS_EV = (8.0, 25.0)
ROUNDS = 3  # of scoring: the density of the others sharpens as they are aligned
# Groups of pixels, each compared with the other groups: faster than pixel by pixel,
# with the same result.
MAX_GROUPS = 8


@dataclass(frozen=True)
class Alignment:
    """Gains that align the pixels of a scan: energies E become E (1 - gain)."""

    # (pixel,) relative; 0 for a pixel with too few photons, or if nothing drifts
    gain: FloatArray
    error: FloatArray  # (pixel,) standard deviation; NaN with too few photons
    measured: FloatArray  # (pixel,) gain before it was shrunk; NaN with too few photons
    # (pixel,) what the errors of the calibrations make of it; NaN with too few photons
    calibration_error: FloatArray
    spread: float  # tau; 0 without drift
    # (pixel,) of its group relative to the middle of two groups; NaN if there is one
    group_gain: FloatArray


@dataclass(frozen=True)
class _Density:
    """Smoothed density of photons, (group, bin), per bin."""

    value: FloatArray
    slope: FloatArray  # per bin


@dataclass(frozen=True)
class _ScoredGains:
    """Gains after a step of scoring."""

    gain: FloatArray  # (pixel,)
    error: FloatArray  # (pixel,) infinite if the pixels have no structure in common
    information: FloatArray  # (bin,) share of the bins in what determines the gains


def align(
    counts: FloatArray,
    centres: FloatArray,
    line_energy: FloatArray,
    line_errors: FloatArray,
    start: FloatArray | None = None,
) -> Alignment:
    """Estimate the gains of the pixels of one scan relative to each other.

    Parameters
    ----------
    counts
        (pixel, bin) photons of each pixel in the same points of the scan.
    centres
        (bin,) eV, uniform.
    line_energy
        (line,) eV, ascending: energies at which the errors are given.
    line_errors
        (pixel, line) errors of the pixels' energies there, eV; linear between them.
    start
        (pixel,) gains as far as they are known; by default 0.

    Returns
    -------
    Alignment
        No gains for fewer than `MIN_PIXELS` pixels with enough photons.
    """
    n_pixels = len(counts)
    missing = np.full(n_pixels, np.nan)
    unaligned = Alignment(np.zeros(n_pixels), missing, missing, missing, 0.0, missing)
    has_photons = counts.sum(axis=1) >= MIN_PHOTONS
    used = np.flatnonzero(has_photons)
    if len(used) < MIN_PIXELS:
        return unaligned
    spectra = counts[used]
    photons = spectra.sum(axis=1)
    line_variance = line_errors[used] ** 2
    # (line, bin) relative error of the energy for an error of 1 eV in the line
    n_lines = len(line_energy)
    n_bins = len(centres)
    unit_errors = np.eye(n_lines)
    energy_errors = np.empty((n_lines, n_bins))
    for line in range(n_lines):
        unit_error = unit_errors[line]
        energy_errors[line] = np.interp(centres, line_energy, unit_error)
    levers = energy_errors / centres
    shrunk = np.zeros(len(used)) if start is None else start[used]
    known = spectra if start is None else _apply_gains(spectra, centres, shrunk)
    width = best_smoothing(known, centres)
    for _ in range(ROUNDS):
        scored = _score_gains(spectra, centres, shrunk, width)
        is_undetermined = np.isinf(scored.error)
        if is_undetermined.any():
            return unaligned
        sensitivity = levers @ scored.information
        noise = line_variance @ sensitivity**2
        score_variance = scored.error**2
        error = np.sqrt(score_variance + noise)
        own = estimate_own_drifts(scored.gain, error)
        split = own.split
        if split is None:
            shrunk = own.gain - np.average(own.gain, weights=photons * own.stays)
            centre = float(np.average(scored.gain, weights=photons * own.stays))
        else:
            centre = split.middle
            shrunk = scored.gain - centre
    alignment = Alignment(
        gain=np.zeros(n_pixels),
        error=missing.copy(),
        measured=missing.copy(),
        calibration_error=missing.copy(),
        spread=own.spread,
        group_gain=missing.copy(),
    )
    alignment.gain[used] = shrunk + 0.0  # not -0.0
    alignment.error[used] = scored.error
    alignment.measured[used] = scored.gain - centre
    alignment.calibration_error[used] = np.sqrt(noise)
    if split is not None:
        half = (split.high - split.low) / 2
        alignment.group_gain[used] = np.where(split.is_above, half, -half)
    return alignment


def best_smoothing(counts: FloatArray, centres: FloatArray) -> float:
    """Return the smoothing, eV, that predicts the photons of each pixel best.

    Parameters
    ----------
    counts
        (pixel, bin)
    centres
        (bin,) eV, uniform.

    Returns
    -------
    float
        The one of `SMOOTHING_EV` with the highest likelihood of the photons under the
        density of the other pixels.
    """
    step = centres[1] - centres[0]
    groups = _sum_groups(counts)
    likelihood = []
    for width in SMOOTHING_EV:
        density = _density_of_other_groups(groups, width / step)
        log_density = np.log(density.value)
        terms = groups * log_density
        likelihood.append(terms.sum())
    best = int(np.argmax(likelihood))
    return SMOOTHING_EV[best]


def _group_of_pixels(n_pixels: int) -> NDArray[np.intp]:
    """Return the group (pixel,) of each pixel."""
    n_groups = min(n_pixels, MAX_GROUPS)
    return np.arange(n_pixels) % n_groups


def _sum_groups(counts: FloatArray) -> FloatArray:
    """Return the counts (group, bin) of the pixels of each group together."""
    n_pixels, n_bins = counts.shape
    n_groups = min(n_pixels, MAX_GROUPS)
    groups = np.zeros((n_groups, n_bins))
    for group in range(n_groups):
        members = counts[group::n_groups]
        groups[group] = members.sum(axis=0)
    return groups


def _density_of_other_groups(groups: FloatArray, width: float) -> _Density:
    """Return, for each group, the smoothed density of all other groups.

    `groups` (group, bin) counts; `width` of the Gaussian in bins.
    """
    from scipy.ndimage import gaussian_filter1d

    n_bins = groups.shape[1]
    counts = groups.sum(axis=0) - groups
    total = counts.sum(axis=1, keepdims=True)
    scale = (1 - BACKGROUND_SHARE) / total
    smooth = gaussian_filter1d(counts, width, mode="nearest")
    slope = gaussian_filter1d(counts, width, order=1, mode="nearest")
    background = BACKGROUND_SHARE / n_bins
    density = scale * smooth + background
    return _Density(density, scale * slope)


def _score_gains(
    counts: FloatArray, centres: FloatArray, gain: FloatArray, width: float
) -> _ScoredGains:
    """Improve the gains by a step of Fisher scoring against the other pixels.

    Parameters
    ----------
    counts
        (pixel, bin)
    centres
        (bin,) eV, uniform.
    gain
        (pixel,) with which the pixels are aligned before the step.
    width
        Smoothing of the density, eV.
    """
    step = centres[1] - centres[0]
    width_in_bins = width / step
    n_pixels = len(counts)
    group = _group_of_pixels(n_pixels)
    aligned = _apply_gains(counts, centres, gain)
    groups = _sum_groups(aligned)
    density = _density_of_other_groups(groups, width_in_bins)
    log_slope = -centres * density.slope / density.value
    score = log_slope / step
    array = groups.sum(axis=0)
    tails = _tail_changes(array, step, width_in_bins)
    score = _remove_nuisance(score, density.value, tails)
    group_information = groups * score**2
    information = group_information.sum(axis=0)
    total_information = information.sum()
    photons = aligned.sum(axis=1)
    total = photons.sum()
    share = photons / total
    score_slope = np.gradient(score, step, axis=1)
    slopes = groups * centres * score_slope
    slope = slopes.sum() / total
    if not slope > 0:  # no structure that the pixels have in common
        infinite = np.full(n_pixels, np.inf)
        return _ScoredGains(gain, infinite, information)
    score_sum = np.einsum("pb,pb->p", aligned, score[group])
    change = score_sum / photons / slope
    # Relative to the mean of the other groups: refer to the mean of all pixels instead.
    group_change = np.bincount(group, share * change)
    change -= group_change[group]
    change -= share @ change  # smoothing and tails move all pixels alike
    other_share = 1 - share
    score_variance = other_share * total_information / total / photons
    return _ScoredGains(
        gain=gain + change,
        error=np.sqrt(score_variance) / slope,
        information=information / total_information,
    )


def _remove_nuisance(
    score: FloatArray, density: FloatArray, tails: FloatArray
) -> FloatArray:
    """Return the score (group, bin) less its mean and the part that tails can cause.

    Parameters
    ----------
    score, density
        (group, bin)
    tails
        (tail, bin) relative changes of the density from `_tail_changes`.
    """
    n_tails, n_bins = tails.shape
    shapes = np.ones((1 + n_tails, n_bins))  # a constant, then the tails
    shapes[1:] = tails
    products = np.einsum("gb,kb,lb->gkl", density, shapes, shapes, optimize=True)
    weighted_score = score * density
    projections = np.einsum("gb,kb->gk", weighted_score, shapes)
    columns = projections[..., None]
    coefficients = np.linalg.solve(products, columns)
    nuisance = coefficients[..., 0] @ shapes
    return np.asarray(score - nuisance)


def _tail_changes(counts: FloatArray, step: float, width: float) -> FloatArray:
    """Return how the density changes where photons lose energy to low-energy tails.

    Parameters
    ----------
    counts
        (bin,) of all pixels.
    step
        Width of a bin, eV.
    width
        Smoothing, bins.

    Returns
    -------
    float array
        (tail, bin) relative changes, for tails of `TAILS_EV`.
    """
    from scipy.ndimage import gaussian_filter1d

    background = BACKGROUND_SHARE * counts.mean()
    smooth = gaussian_filter1d(counts, width, mode="nearest")
    density = smooth + background
    # the energy falls along the tails: convolve from the highest energy downwards
    descending = density[::-1]
    n_bins = len(density)
    changes = []
    for length in TAILS_EV:
        longest_loss = 6 * length
        loss = np.arange(0, longest_loss, step)
        kernel = np.exp(-loss / length)
        kernel /= kernel.sum()
        descending_tail = np.convolve(descending, kernel)
        tail = descending_tail[:n_bins][::-1]
        changes.append(tail / density - 1)
    return np.stack(changes)


def _apply_gains(
    counts: FloatArray, centres: FloatArray, gain: FloatArray
) -> FloatArray:
    """Return counts (pixel, bin) after energies E became E (1 - gain).

    Counts of a bin that a new edge divides are shared by width.
    """
    # numba: slow to import
    from rixs_pipeline.core.drift.pixel_comparison import stretch_kernels

    step = centres[1] - centres[0]
    next_centre = centres[-1] + step
    half_step = step / 2
    edges = np.append(centres, next_centre) - half_step
    return np.asarray(stretch_kernels.stretch(counts, edges, gain))
