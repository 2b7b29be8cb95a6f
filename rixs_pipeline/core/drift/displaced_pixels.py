"""Pixels that stand far off the other pixels for all or a part of a scan.

The gain of a pixel may jump, by 0.5 % and more: it reads E (1 + g) in place of E. All
pixels of a scan see the same emission, so the photons of a pixel are held against the
density p(E) of the others. With energies in logarithmic bins a gain is a shift, and the
log likelihood of all gains,

    L(g) = sum over photons of ln p(E / (1 + g)),

is one correlation. A pixel is displaced if its highest L(g) far from 0 exceeds the
highest one near 0 by more than chance allows. Scans are divided into pieces, each with
the density of its own incident energies; a pixel may be displaced in any contiguous
stretch of them: the stretch with the highest sum is taken (maximum subarray, [1]_).

The pixel with the largest excess is left out of the density, then the next one. If half
of the pixels had to go, there is no telling which ones are right.

References
----------
.. [1] J. Bentley, Commun. ACM 27, 865 (1984).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import BoolArray, CountArray, FloatArray, IntArray

MIN_PHOTONS = 30  # of a pixel in the scan, to be compared
# Relative width of the bins: 0.5 eV at C Ka, 1.9 eV at Cu La; narrower where most
# photons lie beyond 1 keV, 2 eV there.
LOG_BIN = 0.002
BIN_EV = 2.0
MAX_SHIFT = 60  # bins: a gain of 12 %, 33 eV at C Ka and 110 eV at Cu La
# eV, at the energy below which 90 % of the photons lie, and bins: hidden drift and the
# errors of calibrations stay below, and alignment takes care of them.
NEAR_EV = 2.5
NEAR_BINS = 1.5
HIGH_QUANTILE = 0.9
PHOTONS_PER_PIECE = 50  # of the median pixel; pieces with fewer are joined
SMOOTHING_BINS = (
    1.0  # logarithmic ones, of p(E): as wide as the lines of a good detector
)
BACKGROUND_SHARE = 0.05  # flat, so that a stray photon decides nothing
LARGE_ARRAY = 8  # pixels, half of which show what the sample emits
# Deficit of the log likelihood from which a pixel is looked at more closely, and how
# much of it a photon may have because resolutions and tails differ.
SUSPECT_DEFICIT = 25.0
SUSPECT_PER_PHOTON = 0.25
MAX_SURPRISE = 3.0  # of a photon
SUSPECT_SMOOTHING_BINS = 2.0  # of 0.5 eV
# The same for pixels that no gain makes like the others: a third of the photons or more
# lie off the lines. Pieces have enough photons of the array that p(E) is well known.
UNLIKE_PER_PHOTON = 1.0
MIN_UNLIKE = 50.0
UNLIKE_PHOTONS = 2000
UNLIKE_PIECES = 4
# Excess of the log likelihood. Chance alone makes 15 among 10^6 pixels and gains; the
# rest is for what p(E) is not: made of few photons, with other resolutions and tails.
MIN_EXCESS = 25.0


@dataclass(frozen=True)
class Displacements:
    """Pixels that stand off the others in a scan.

    Attributes
    ----------
    is_displaced
        Whether a pixel is displaced, bool (pixel,).
    gain
        The relative displacement of the pixel, f8 (pixel,); NaN for the others.
    shift
        The displacement at the mean energy of its photons, eV, f8 (pixel,); NaN for the
        others.
    share
        The share of the scan in which it is displaced, f8 (pixel,); NaN for the others.
    is_unlike
        Whether no gain makes the spectrum of the pixel like those of the others, bool
        (pixel,); `share` is that of the scan in which it is so.
    is_undetermined
        Whether half of the pixels or more stand off the others: which ones are right is
        not known.
    """

    is_displaced: BoolArray
    gain: FloatArray
    shift: FloatArray
    share: FloatArray
    is_unlike: BoolArray
    is_undetermined: bool


@dataclass(frozen=True)
class _Excess:
    """How much better a gain far from 0 explains the photons of pixels, (pixel,) each.

    Attributes
    ----------
    value
        Of the log likelihood.
    shift
        Bins.
    share
        Of the pieces of the scan.
    """

    value: FloatArray
    shift: IntArray
    share: FloatArray


def find_displaced(counts: CountArray, edges: FloatArray) -> Displacements:
    """Find the pixels that stand off the other pixels in a scan or a part of it.

    Parameters
    ----------
    counts
        Photons of each pixel, (pixel, piece, bin), in the same points of the scan;
        pieces in order of time.
    edges
        Edges of the bins, f8 (bin + 1,), eV, uniform.

    Returns
    -------
    Displacements
        Of all pixels.
    """
    n_pixels = len(counts)
    missing = np.full(n_pixels, np.nan)
    result = Displacements(
        is_displaced=np.zeros(n_pixels, bool),
        gain=missing.copy(),
        shift=missing.copy(),
        share=missing.copy(),
        is_unlike=np.zeros(n_pixels, bool),
        is_undetermined=False,
    )
    photons = counts.sum(axis=(1, 2))
    used = np.flatnonzero(photons >= MIN_PHOTONS)
    if len(used) < 2:
        return result
    n_pieces = _number_of_pieces(photons[used], counts.shape[1])
    spectra = _join_pieces(counts if len(used) == n_pixels else counts[used], n_pieces)
    centres = (edges[1:] + edges[:-1]) / 2
    high_energy = _high_energy(spectra.sum(axis=(0, 1))[None, :], centres)
    log_bin = min(LOG_BIN, BIN_EV / float(high_energy[0]))
    is_off = np.zeros(len(used), bool)
    while 2 * is_off.sum() < len(used):
        deficit = _find_deficit(spectra, ~is_off, SUSPECT_PER_PHOTON)
        suspects = np.flatnonzero((deficit.value > SUSPECT_DEFICIT) & ~is_off)
        if not len(suspects):
            break
        excess = _find_excess(spectra, edges, ~is_off, suspects, log_bin)
        place = int(np.argmax(excess.value))
        worst = suspects[place]
        if excess.value[place] < MIN_EXCESS:
            unlike = _find_unlike(spectra, ~is_off, suspects)
            if unlike is None:
                break
            is_off[unlike.pixel] = True
            result.is_unlike[used[unlike.pixel]] = True
            result.share[used[unlike.pixel]] = unlike.share
            continue
        is_off[worst] = True
        gain = np.expm1(log_bin * excess.shift[place])
        mean_energy = np.average(centres, weights=spectra[worst].sum(axis=0))
        row = used[worst]
        result.is_displaced[row] = True
        result.gain[row] = gain
        result.shift[row] = gain / (1 + gain) * mean_energy
        result.share[row] = excess.share[place]
    is_undetermined = bool(2 * is_off.sum() >= len(used))
    return replace(result, is_undetermined=is_undetermined)


def _number_of_pieces(photons: IntArray, n_pieces: int) -> int:
    """Return how many pieces have enough photons; `photons` (pixel,) of the scan."""
    number = int(np.median(photons)) // PHOTONS_PER_PIECE
    return int(np.clip(number, 1, n_pieces))


def _join_pieces(counts: CountArray, n_pieces: int) -> CountArray:
    """Return counts (pixel, piece, bin) of fewer, longer pieces."""
    if n_pieces == counts.shape[1]:
        return counts
    joined = np.zeros((len(counts), n_pieces, counts.shape[2]), np.int32)
    for piece in range(counts.shape[1]):
        joined[:, piece * n_pieces // counts.shape[1]] += counts[:, piece]
    return joined


def _high_energy(counts: CountArray, energy: FloatArray) -> FloatArray:
    """Return the energies (pixel,) eV below which most counts (pixel, bin) lie."""
    below = np.cumsum(counts, axis=1)
    is_low = below < HIGH_QUANTILE * below[:, -1:]
    return np.asarray(energy[np.minimum(is_low.sum(axis=1), len(energy) - 1)])


def _in_logarithmic_bins(
    counts: CountArray, edges: FloatArray, log_bin: float
) -> FloatArray:
    """Return counts (..., bin) in logarithmic bins from the lowest of the edges on.

    CountArray of a bin that a new edge divides are shared by width.
    """
    n_bins = int(np.log(edges[-1] / edges[0]) / log_bin)
    new_edges = edges[0] * np.exp(log_bin * np.arange(n_bins + 1))
    place = (new_edges - edges[0]) / (edges[1] - edges[0])
    low = np.minimum(place.astype(np.intp), len(edges) - 2)
    below = np.zeros((*counts.shape[:-1], len(edges)))
    np.cumsum(counts, axis=-1, out=below[..., 1:])
    at_edges = below[..., low] + (place - low) * counts[..., low]
    return np.asarray(np.diff(at_edges, axis=-1))


def _find_deficit(
    spectra: CountArray, is_sound: BoolArray, per_photon: float
) -> _Excess:
    """Find how many photons of each pixel lie where the others have few.

    This is faster than all gains of all pixels. In a large array, each half of the
    pixels is held against the other half.

    Parameters
    ----------
    spectra
        (pixel, piece, bin) counts.
    is_sound
        (pixel,) whether a pixel contributes to the density.
    per_photon
        Deficit of the log likelihood that a photon may have.

    Returns
    -------
    _Excess
        Deficit of the log likelihood of each pixel; the shifts have no meaning.
    """
    n_pixels, n_pieces, n_bins = spectra.shape
    array = spectra[is_sound].sum(axis=0).astype(np.float64)
    is_large = is_sound.sum() >= LARGE_ARRAY
    halves: list[FloatArray] = []
    if is_large:
        even = spectra[::2][is_sound[::2]].sum(axis=0)
        halves = [_surprise(array - even), _surprise(even.astype(np.float64))]
    deficit = np.zeros((n_pixels, n_pieces))
    for pixel in range(n_pixels):
        cells = np.flatnonzero(spectra[pixel] != 0)
        photons = spectra[pixel].ravel()[cells]
        if is_large:
            surprise = halves[pixel % 2]
        else:
            surprise = _surprise(array - spectra[pixel] * is_sound[pixel])
        deficits = photons * (surprise.ravel()[cells] - per_photon)
        deficit[pixel] = np.bincount(cells // n_bins, deficits, n_pieces)
    return _best_stretch(deficit[:, :, None])


@dataclass(frozen=True)
class _UnlikePixel:
    """The pixel whose spectrum differs most, and the share of the scan."""

    pixel: int
    share: float


def _find_unlike(
    spectra: CountArray, is_sound: BoolArray, suspects: NDArray[np.intp]
) -> _UnlikePixel | None:
    """Find the pixel whose spectrum is least like those of the others.

    Longer pieces than for displacements: the density must hardly depend on chance.

    Parameters
    ----------
    spectra
        (pixel, piece, bin) counts.
    is_sound
        (pixel,) whether a pixel contributes to the density of the others.
    suspects
        (suspect,) the pixels in question.

    Returns
    -------
    _UnlikePixel or None
        None if the spectra of all of them are like those of the others.
    """
    photons = int(spectra[is_sound].sum())
    n_pieces = int(np.clip(photons // UNLIKE_PHOTONS, 1, spectra.shape[1]))
    pieces = _join_pieces(spectra, min(n_pieces, UNLIKE_PIECES))
    deficit = _find_deficit(pieces, is_sound, UNLIKE_PER_PHOTON)
    worst = suspects[np.argmax(deficit.value[suspects])]
    if deficit.value[worst] < MIN_UNLIKE or photons < UNLIKE_PHOTONS:
        return None
    return _UnlikePixel(int(worst), float(deficit.share[worst]))


def _surprise(counts: FloatArray) -> FloatArray:
    """Return the mean log density of counts (piece, bin), less that of each bin.

    It is limited, so that a few photons far from all lines make no pixel suspect.
    """
    log_density = _log_density(counts, SUSPECT_SMOOTHING_BINS)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    mean = (counts * log_density).sum(axis=1, keepdims=True) / total
    return np.asarray(np.minimum(mean - log_density, MAX_SURPRISE))


def _log_density(counts: FloatArray, smoothing: float) -> FloatArray:
    """Return the logarithm of the smoothed density (..., bin) of counts (..., bin).

    `smoothing` is the standard deviation of the Gaussian in bins.
    """
    from scipy.ndimage import gaussian_filter1d

    n_bins = counts.shape[-1]
    total = counts.sum(axis=-1, keepdims=True)
    smooth = gaussian_filter1d(counts, smoothing, mode="nearest")
    scale = (1 - BACKGROUND_SHARE) / np.maximum(total, 1.0)
    return np.asarray(np.log(scale * smooth + BACKGROUND_SHARE / n_bins))


def _find_excess(
    spectra: CountArray,
    edges: FloatArray,
    is_sound: BoolArray,
    suspects: NDArray[np.intp],
    log_bin: float,
) -> _Excess:
    """Find how much better a gain far from 0 explains the photons of some pixels.

    Parameters
    ----------
    spectra
        (pixel, piece, bin) counts.
    edges
        (bin + 1,) eV.
    is_sound
        (pixel,) whether a pixel contributes to the density of the others.
    suspects
        (suspect,) the pixels in question, which are sound so far.
    log_bin
        Relative width of the bins in which gains are shifts.
    """
    array = _in_logarithmic_bins(spectra[is_sound].sum(axis=0), edges, log_bin)
    suspect_counts = _in_logarithmic_bins(spectra[suspects], edges, log_bin)
    energy = edges[0] * np.exp(log_bin * (np.arange(suspect_counts.shape[2]) + 0.5))
    likelihood = _log_likelihood(suspect_counts, array - suspect_counts)
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    gain = np.abs(np.expm1(log_bin * shifts))
    high_energy = _high_energy(suspect_counts.sum(axis=1), energy)
    nearest = np.maximum(NEAR_BINS * log_bin, NEAR_EV / high_energy)
    is_near = gain[None, :] < nearest[:, None]
    at_home = np.where(is_near[:, None, :], likelihood, -np.inf).max(axis=2)
    excess = likelihood - at_home[:, :, None]
    excess[np.broadcast_to(is_near[:, None, :], excess.shape)] = -np.inf
    return _best_stretch(excess)


def _log_likelihood(spectra: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the log likelihood (pixel, piece, shift) of shifts of up to `MAX_SHIFT`.

    Parameters
    ----------
    spectra, reference
        (pixel, piece, bin) counts of pixels, and of the others that each is held
        against.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n_bins = spectra.shape[2]
    total = reference.sum(axis=2, keepdims=True)
    log_density = _log_density(reference, SMOOTHING_BINS)
    lowest = np.log(BACKGROUND_SHARE / n_bins)  # beyond the ends
    length = next_fast_len(n_bins + MAX_SHIFT, real=True)
    transform = rfft(spectra, length)
    transform *= np.conj(rfft(log_density - lowest, length))
    correlation = irfft(transform, length)
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    likelihood = correlation[:, :, shifts]
    likelihood[np.broadcast_to(total == 0, likelihood.shape)] = 0.0
    return np.asarray(likelihood)


def _best_stretch(excess: FloatArray) -> _Excess:
    """Return the largest sum over contiguous pieces, and its shift.

    Parameters
    ----------
    excess
        (pixel, piece, shift)
    """
    n_pixels, n_pieces, n_shifts = excess.shape
    running = np.full((n_pixels, n_shifts), -np.inf)
    length = np.zeros((n_pixels, n_shifts), np.int64)
    best = running.copy()
    best_length = length.copy()
    for piece in range(n_pieces):
        goes_on = running > 0
        running = np.where(goes_on, running, 0.0) + excess[:, piece]
        length = np.where(goes_on, length, 0) + 1
        is_better = running > best
        best = np.where(is_better, running, best)
        best_length = np.where(is_better, length, best_length)
    place = np.argmax(best, axis=1)
    pixels = np.arange(n_pixels)
    return _Excess(
        value=best[pixels, place],
        shift=place - MAX_SHIFT,
        share=best_length[pixels, place] / n_pieces,
    )
