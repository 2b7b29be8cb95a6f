"""Gains of the pixels in the pieces of a scan, relative to the array in each piece.

All pixels see the same emission in a piece. With the score psi = -E T'/T of the array's
smoothed spectrum T, the mean score of a pixel's photons less that of all photons of the
piece, over its slope E psi', is the gain to first order, as in `pixel_alignment`.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.own_drifts import Split, find_split
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.types import BoolArray, FloatArray

SMOOTHING_EV = 1.0  # narrower than the lines of solids, 2 to 5 eV
BACKGROUND_SHARE = 0.02  # flat, so that a stray pulse decides nothing
MIN_PHOTONS = 30  # of a pixel in a piece, to take part
MIN_PIXELS = 4  # fewer do not separate two groups from noise


@dataclass(frozen=True)
class PieceGains:
    """Relative gains (pixel, piece), and their errors; infinite: not determined."""

    gain: FloatArray
    error: FloatArray


@dataclass(frozen=True)
class GroupSteps:
    """Pixels that step by different amounts.

    Attributes
    ----------
    is_above
        Whether a pixel belongs to the group that steps higher, bool (pixel,).
    is_below
        The same for the other group; other pixels are undetermined.
    above, below
        Mean step of each group relative to that of the array.
    """

    is_above: BoolArray
    is_below: BoolArray
    above: float
    below: float


def measure_gains(
    spectra: PieceCounts, array: FloatArray, centres: FloatArray
) -> PieceGains:
    """Measure the gains of the pixels in each piece relative to the array.

    Parameters
    ----------
    spectra
        Counts of the pixels in the pieces.
    array
        Counts of all pixels, f8 (piece, bin).
    centres
        Centres of the bins, f8 (bin,), eV, uniform.

    Returns
    -------
    PieceGains
        Positive: the pixel reads higher energies than the others.
    """
    from scipy.ndimage import gaussian_filter1d  # slow to import

    step = centres[1] - centres[0]
    template = array.sum(axis=0)
    width = SMOOTHING_EV / step
    density = gaussian_filter1d(template, width, mode="nearest")
    change = gaussian_filter1d(template, width, order=1, mode="nearest") / step
    density += BACKGROUND_SHARE * template.mean() + 1e-12
    score = -centres * change / density
    slope = centres * np.gradient(score, step)
    photons = spectra.count_photons().astype(np.float64)
    has_photons = photons >= MIN_PHOTONS
    number = np.where(has_photons, photons, np.nan)
    mean = _sum_over_bins(spectra, score) / number
    square = _sum_over_bins(spectra, score**2) / number
    of_array = np.maximum(array.sum(axis=1), 1e-12)
    response = array @ slope / of_array
    response = np.where(response > 0, response, np.nan)
    gain = (mean - array @ score / of_array) / response
    error = np.sqrt(np.maximum(square - mean**2, 0.0) / number) / response
    is_known = np.isfinite(gain) & (error > 0)
    return PieceGains(np.where(is_known, gain, 0.0), np.where(is_known, error, np.inf))


def find_group_steps(gains: PieceGains, is_after: BoolArray) -> GroupSteps | None:
    """Find out whether two groups of pixels step by different amounts.

    Parameters
    ----------
    gains
        Of the pixels in the pieces of a scan.
    is_after
        Which pieces are after the step, bool (piece,).

    Returns
    -------
    GroupSteps or None
        None where all pixels may have stepped alike.
    """
    weight = gains.error**-2.0
    sums = [weight[:, part].sum(axis=1) for part in (~is_after, is_after)]
    is_known = (sums[0] > 0) & (sums[1] > 0)
    if is_known.sum() < MIN_PIXELS:
        return None
    weighted = gains.gain * weight
    before, after = (
        weighted[is_known][:, part].sum(axis=1) / total[is_known]
        for part, total in zip((~is_after, is_after), sums, strict=True)
    )
    error = np.sqrt(1 / sums[0][is_known] + 1 / sums[1][is_known])
    split = find_split(after - before, error)
    return None if split is None else _group_steps(split, is_known)


def _group_steps(split: Split, is_known: BoolArray) -> GroupSteps:
    """Return two groups of the pixels that are known as groups of all pixels."""
    is_above, is_below = np.zeros((2, len(is_known)), bool)
    is_above[is_known] = split.is_above
    is_below[is_known] = ~split.is_above
    return GroupSteps(is_above, is_below, above=split.high, below=split.low)


def _sum_over_bins(spectra: PieceCounts, values: FloatArray) -> FloatArray:
    """Return sums (pixel, piece) of values (bin,) over the photons."""
    before = np.zeros(len(spectra.bin) + 1)
    np.cumsum(spectra.photons * values[spectra.bin], out=before[1:])
    return np.diff(before[spectra.bounds], axis=1)
