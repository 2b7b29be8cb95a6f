"""Pixels that stand far off the other pixels for all or a part of a scan.

The gain of a pixel may jump, by 0.5 % and more: it reads E (1 + g) in place of E. All
pixels of a scan see the same emission, so the photons of a pixel are held against the
density p(E) of the others. With energies in logarithmic bins a gain is a shift, and the
log likelihood of all gains,

    L(g) = sum over photons of ln p(E / (1 + g)),

is one correlation. A pixel is displaced if its highest L(g) far from 0 exceeds the
highest one near 0 by more than chance allows. Scans are divided into pieces, each with
the density of its own incident energies; a pixel may be displaced in any contiguous
stretch of them: the stretch with the highest sum is taken. A pixel whose lines are far
broader is held against the broadened density of the others in the same way.

The pixel with the largest excess is left out of the density, then the next one. If half
of the pixels had to go, there is no telling which ones are right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.photon_excess import (
    BACKGROUND_SHARE,
    Excess,
    best_stretch,
    smooth_log_density,
)
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.types import BoolArray, FloatArray, IndexArray

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
# Standard deviations of further smoothing, eV (in keV, where photons have more than 1
# keV): of sound pixels, which may differ by 7 eV FWHM, and of far worse ones.
NARROW = (1.0, 2.0, 3.0)
BROAD = (5.0, 7.0, 10.0, 14.0)
KILOELECTRONVOLT = 1000.0  # eV
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


def find_displaced(counts: PieceCounts, edges: FloatArray) -> Displacements:
    """Find the pixels that stand off the other pixels in a scan or a part of it.

    Parameters
    ----------
    counts
        Photons of each pixel in the same points of the scan; pieces in order of time.
    edges
        Edges of the bins, f8 (bin + 1,), eV, uniform.

    Returns
    -------
    Displacements
        Of all pixels.
    """
    n_pixels = counts.n_pixels
    missing = np.full(n_pixels, np.nan)
    result = Displacements(
        is_displaced=np.zeros(n_pixels, bool),
        gain=missing.copy(),
        shift=missing.copy(),
        share=missing.copy(),
        is_unlike=np.zeros(n_pixels, bool),
        is_undetermined=False,
    )
    of_pixels = counts.sum_pieces()
    photons = of_pixels.sum(axis=1)
    used = np.flatnonzero(photons >= MIN_PHOTONS)
    if len(used) < 2:
        return result
    n_pieces = _number_of_pieces(photons[used], counts.n_pieces)
    spectra = counts.select(used).join_evenly(n_pieces)
    centres = (edges[1:] + edges[:-1]) / 2
    high_energy = _high_energy(of_pixels[used].sum(axis=0)[None, :], centres)
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
        unit = max(1.0, float(high_energy[0]) / KILOELECTRONVOLT)
        pieces = _unlike_pieces(spectra, ~is_off)
        unlike = None
        if pieces is not None:
            unlike = _find_broad(pieces, centres, ~is_off, suspects, unit)
        if unlike is None or unlike.value < excess.value[place]:
            unlike = None
            if excess.value[place] < MIN_EXCESS:
                if pieces is not None:
                    unlike = _find_unlike(pieces, ~is_off, suspects)
                if unlike is None:
                    break
        if unlike is not None:
            is_off[unlike.pixel] = True
            result.is_unlike[used[unlike.pixel]] = True
            result.share[used[unlike.pixel]] = unlike.share
            continue
        is_off[worst] = True
        gain = np.expm1(log_bin * (excess.place[place] - MAX_SHIFT))
        row = used[worst]
        mean_energy = np.average(centres, weights=of_pixels[row])
        result.is_displaced[row] = True
        result.gain[row] = gain
        result.shift[row] = gain / (1 + gain) * mean_energy
        result.share[row] = excess.share[place]
    is_undetermined = bool(2 * is_off.sum() >= len(used))
    return replace(result, is_undetermined=is_undetermined)


def _number_of_pieces(photons: FloatArray, n_pieces: int) -> int:
    """Return how many pieces have enough photons; `photons` (pixel,) of the scan."""
    number = int(np.median(photons)) // PHOTONS_PER_PIECE
    return int(np.clip(number, 1, n_pieces))


def _high_energy(counts: FloatArray, energy: FloatArray) -> FloatArray:
    """Return the energies (pixel,) eV below which most counts (pixel, bin) lie."""
    below = np.cumsum(counts, axis=1)
    is_low = below < HIGH_QUANTILE * below[:, -1:]
    return np.asarray(energy[np.minimum(is_low.sum(axis=1), len(energy) - 1)])


def _in_logarithmic_bins(
    counts: FloatArray, edges: FloatArray, log_bin: float
) -> FloatArray:
    """Return counts (..., bin) in logarithmic bins from the lowest of the edges on.

    Counts of a bin that a new edge divides are shared by width.
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
    spectra: PieceCounts, is_sound: BoolArray, per_photon: float
) -> Excess:
    """Find how many photons of each pixel lie where the others have few.

    This is faster than all gains of all pixels. In a large array, each half of the
    pixels is held against the other half.

    Parameters
    ----------
    spectra
        Counts of the pixels.
    is_sound
        (pixel,) whether a pixel contributes to the density.
    per_photon
        Deficit of the log likelihood that a photon may have.

    Returns
    -------
    Excess
        Deficit of the log likelihood of each pixel; the shifts have no meaning.
    """
    # numba: slow to import
    from rixs_pipeline.core.drift.pixel_comparison import piece_kernels

    pixels = np.arange(spectra.n_pixels)
    if is_sound.sum() >= LARGE_ARRAY:
        even, odd = spectra.sum_pixels(np.where(is_sound, pixels % 2, -1), 2)
        others = np.stack([odd, even])
    else:
        of_pixels = spectra.sum_pixels(np.where(is_sound, pixels, -1), len(pixels))
        others = of_pixels.sum(axis=0) - of_pixels
    surprise = _surprise(others)
    deficit = piece_kernels.sum_surprise(spectra, surprise, per_photon)
    return best_stretch(deficit[:, :, None])


def _sum_pixels(spectra: PieceCounts, is_sound: BoolArray) -> FloatArray:
    """Return the counts (piece, bin) of the pixels that are sound."""
    total = spectra.sum_pixels(np.where(is_sound, 0, -1), 1)
    return np.asarray(total[0])


@dataclass(frozen=True)
class _UnlikePixel:
    """The pixel whose spectrum differs most, the share of the scan, and how much."""

    pixel: int
    share: float
    value: float  # of the log likelihood


def _find_broad(
    pieces: PieceCounts,
    centres: FloatArray,
    is_sound: BoolArray,
    suspects: IndexArray,
    unit: float,
) -> _UnlikePixel | None:
    """Find the pixel whose lines are most clearly far broader than those of the others.

    Its photons are held against the density of the others, smoothed by up to 3 eV, as
    resolutions differ, and by more. Pieces are as long as for unlike pixels.

    Parameters
    ----------
    pieces
        Counts of the pixels, from `_unlike_pieces`.
    centres
        (bin,) eV, uniform.
    is_sound
        (pixel,) whether a pixel contributes to the density of the others.
    suspects
        (suspect,) the pixels in question, which are sound so far.
    unit
        Of the smoothing, eV.

    Returns
    -------
    _UnlikePixel or None
        None if there is no such pixel.
    """
    array = _sum_pixels(pieces, is_sound)
    bins = unit / (centres[1] - centres[0])
    excess = np.zeros((len(suspects), pieces.n_pieces, len(BROAD)))
    for row, counts in enumerate(pieces.select(suspects).to_array()):
        reference = array - counts
        likelihood = [
            (counts * smooth_log_density(reference, width * bins)).sum(axis=1)
            for width in (*NARROW, *BROAD)
        ]
        at_home = np.max(likelihood[: len(NARROW)], axis=0)
        excess[row] = np.transpose(likelihood[len(NARROW) :] - at_home)
    best = best_stretch(excess)
    place = int(np.argmax(best.value))
    if best.value[place] < MIN_EXCESS:
        return None
    return _UnlikePixel(
        int(suspects[place]), float(best.share[place]), float(best.value[place])
    )


def _find_unlike(
    pieces: PieceCounts, is_sound: BoolArray, suspects: IndexArray
) -> _UnlikePixel | None:
    """Find the pixel whose spectrum is least like those of the others.

    Longer pieces than for displacements: the density must hardly depend on chance.

    Parameters
    ----------
    pieces
        Counts of the pixels, from `_unlike_pieces`.
    is_sound
        (pixel,) whether a pixel contributes to the density of the others.
    suspects
        (suspect,) the pixels in question.

    Returns
    -------
    _UnlikePixel or None
        None if the spectra of all of them are like those of the others.
    """
    deficit = _find_deficit(pieces, is_sound, UNLIKE_PER_PHOTON)
    worst = suspects[np.argmax(deficit.value[suspects])]
    value = float(deficit.value[worst])
    if value < MIN_UNLIKE:
        return None
    return _UnlikePixel(int(worst), float(deficit.share[worst]), value)


def _unlike_pieces(spectra: PieceCounts, is_sound: BoolArray) -> PieceCounts | None:
    """Return the counts of pieces that show the emission well.

    None where all of them have too few photons.
    """
    photons = int(_sum_pixels(spectra, is_sound).sum())
    if photons < UNLIKE_PHOTONS:
        return None
    n_pieces = min(photons // UNLIKE_PHOTONS, UNLIKE_PIECES, spectra.n_pieces)
    return spectra.join_evenly(n_pieces)


def _surprise(counts: FloatArray) -> FloatArray:
    """Return the mean log density of counts (..., bin), less that of each bin.

    It is limited, so that a few photons far from all lines make no pixel suspect.
    """
    log_density = smooth_log_density(counts, SUSPECT_SMOOTHING_BINS)
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
    mean = (counts * log_density).sum(axis=-1, keepdims=True) / total
    return np.asarray(np.minimum(mean - log_density, MAX_SURPRISE))


def _find_excess(
    spectra: PieceCounts,
    edges: FloatArray,
    is_sound: BoolArray,
    suspects: IndexArray,
    log_bin: float,
) -> Excess:
    """Find how much better a gain far from 0 explains the photons of some pixels.

    Parameters
    ----------
    spectra
        Counts of the pixels.
    edges
        (bin + 1,) eV.
    is_sound
        (pixel,) whether a pixel contributes to the density of the others.
    suspects
        (suspect,) the pixels in question, which are sound so far.
    log_bin
        Relative width of the bins in which gains are shifts.
    """
    array = _in_logarithmic_bins(_sum_pixels(spectra, is_sound), edges, log_bin)
    suspect_counts = _in_logarithmic_bins(
        spectra.select(suspects).to_array(), edges, log_bin
    )
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
    return best_stretch(excess)


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
    log_density = smooth_log_density(reference, SMOOTHING_BINS)
    lowest = np.log(BACKGROUND_SHARE / n_bins)  # beyond the ends
    length = next_fast_len(n_bins + MAX_SHIFT, real=True)
    transform = rfft(spectra, length)
    transform *= np.conj(rfft(log_density - lowest, length))
    correlation = irfft(transform, length)
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    likelihood = correlation[:, :, shifts]
    likelihood[np.broadcast_to(total == 0, likelihood.shape)] = 0.0
    return np.asarray(likelihood)
