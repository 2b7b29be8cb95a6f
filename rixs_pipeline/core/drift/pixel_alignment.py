"""Pixels of one scan aligned with each other by what the sample emits, without moving what they show together.

Between two calibrations the gain of a pixel wanders by a few 1e-4 in ways that the base line does not tell. Within a
scan all pixels see the same emission, so each can be held against the density p(E) of the others: pixel p reads E
where E (1 - g_p) is right, and g_p maximises sum ln p(E (1 - g_p)) over its photons (Fisher scoring; the score of a
photon is -E d ln p/dE, less its mean). Errors are those of an M-estimate, B / (N A^2), with the mean square B of the
score and its slope A, both from the photons themselves: p is made of few counts and not the truth (P. J. Huber,
Robust Statistics, Wiley (1981), ch. 6).

The g are small, and noise must not be taken for them: they are drawn from N(0, tau^2), with the tau that makes the
array's own most likely (empirical Bayes), and each is shrunk accordingly. Errors of the calibrations are not gains;
what they allow counts as noise. The mean of the g, weighted by photons, is taken out: the absolute scale stays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.stats.robust import robust_sigma

Float = NDArray[np.float64]
Int = NDArray[np.int64]

FEWEST_PIXELS = 4  # fewer cannot tell drift from noise
FEWEST_PHOTONS = 30  # of a pixel, to take part
FLOOR = 0.02  # share of a flat background: a stray pulse decides nothing
WIDTHS_EV = (
    0.5,
    1.0,
    2.0,
    4.0,
)  # of the smoothing of p(E), the one that foretells the other pixels best
TAILS_EV = (
    8.0,
    25.0,
)  # decay lengths of the low-energy tails in which pixels may differ
ROUNDS = 3  # of scoring: the density of the others sharpens as they are aligned
GROUPS = 8  # of pixels, each held against the others: cheaper than each pixel by itself, and as good
SPREADS = np.geomspace(
    1e-5, 2e-3, 93
)  # tau: up to 1 eV at O Ka, beyond which lines are no longer told apart
EVIDENCE = 1.0  # gain in log likelihood without which there is no tau


@dataclass(frozen=True)
class Alignment:
    """What aligns the pixels of a scan: energies E become E (1 - gain)."""

    gain: Float  # (pixel,), relative; 0 where a pixel has too few photons, or the array shows no drift
    error: (
        Float  # (pixel,), one standard deviation; NaN where a pixel has too few photons
    )
    measured: Float  # (pixel,), before it is shrunk; NaN as above
    spread: float  # tau; 0: no drift seen


def align(
    counts: Int, centres: Float, line_energy: Float, line_errors: Float
) -> Alignment:
    """The gains of the pixels of one scan relative to each other.

    Args:
        counts: i8 (pixel, bin), photons of each pixel in the same points of the scan.
        centres: f8 (bin,) eV, uniform.
        line_energy: f8 (line,) eV, ascending: where the pixels' energies were measured,
        line_errors: f8 (pixel, line) eV, and what their errors are there; taken as linear between the lines.
    """
    n = len(counts)
    known = np.flatnonzero(counts.sum(axis=1) >= FEWEST_PHOTONS)
    gain, error, measured = np.zeros(n), np.full(n, np.nan), np.full(n, np.nan)
    if len(known) < FEWEST_PIXELS:
        return Alignment(gain, error, measured, 0.0)
    own, variance = counts[known].astype(np.float64), line_errors[known] ** 2
    levers = (
        np.stack(
            [np.interp(centres, line_energy, one) for one in np.eye(len(line_energy))]
        )
        / centres
    )
    width, shrunk, spread = best_width(own, centres), np.zeros(len(known)), 0.0
    for _ in range(ROUNDS):
        found, sigma, where = _scored(own, centres, shrunk, width)
        if np.isinf(sigma).any():
            return Alignment(gain, error, measured, 0.0)
        noise = variance @ (levers @ where) ** 2
        spread = drift_spread(found, np.sqrt(sigma**2 + noise))
        shrunk = found * spread**2 / (spread**2 + sigma**2 + noise)
        shrunk -= np.average(shrunk, weights=own.sum(axis=1))
    gain[known], error[known], measured[known] = (
        shrunk + 0.0,
        sigma,
        found,
    )  # never -0.0
    return Alignment(gain, error, measured, spread)


def drift_spread(gain: Float, error: Float) -> float:
    """The standard deviation tau of true gains that makes those found (pixel,) most likely; 0 without evidence.

    Values beyond three robust standard deviations count as that: one odd pixel does not make the others wander.
    """
    middle = float(np.median(gain))
    reach = 3 * robust_sigma(gain)
    square = np.clip(gain - middle, -reach, reach) ** 2
    variance = np.append(SPREADS, 0.0)[:, None] ** 2 + error**2
    likelihood = -0.5 * (square / variance + np.log(variance)).sum(axis=1)
    best = int(np.argmax(likelihood))
    return float(SPREADS[best]) if likelihood[best] - likelihood[-1] > EVIDENCE else 0.0


def best_width(counts: Float, centres: Float) -> float:
    """The smoothing, eV, with which the density of the other pixels foretells each pixel's photons best."""
    step = centres[1] - centres[0]
    groups = _by_group(counts)
    foretold = [
        float((groups * np.log(_others(groups, w / step)[0])).sum()) for w in WIDTHS_EV
    ]
    return WIDTHS_EV[int(np.argmax(foretold))]


def _group(pixels: int) -> NDArray[np.intp]:
    """The group of each pixel (pixel,): a pixel is held against those of all other groups."""
    return np.arange(pixels) % min(pixels, GROUPS)


def _by_group(counts: Float) -> Float:
    """Counts (group, bin) of the groups' pixels together."""
    number = min(len(counts), GROUPS)
    return np.stack([counts[group::number].sum(axis=0) for group in range(number)])


def _others(groups: Float, width: float) -> tuple[Float, Float]:
    """Density (group, bin) per bin of the pixels of all other groups, smoothed with `width` bins, and its slope."""
    from scipy.ndimage import gaussian_filter1d

    rest = groups.sum(axis=0) - groups
    share = (1 - FLOOR) / rest.sum(axis=1, keepdims=True)
    density = (
        share * gaussian_filter1d(rest, width, mode="nearest") + FLOOR / groups.shape[1]
    )
    return np.asarray(density), np.asarray(
        share * gaussian_filter1d(rest, width, order=1, mode="nearest")
    )


def _scored(
    counts: Float, centres: Float, gain: Float, width: float
) -> tuple[Float, Float, Float]:
    """Gains (pixel,) after a step of scoring from `gain`, against the others as these align them, and their errors;
    which share of what tells them lies in which bin (bin,)."""
    step, group = centres[1] - centres[0], _group(len(counts))
    aligned = _moved(counts, centres, gain)
    groups = _by_group(aligned)
    density, slope = _others(groups, width / step)
    score = _efficient(
        -centres * slope / density / step,
        density,
        _tails(groups.sum(axis=0), step, width / step),
    )
    photons, telling = aligned.sum(axis=1), (groups * score**2).sum(axis=0)
    share = photons / photons.sum()
    per_photon = (
        groups * centres * np.gradient(score, step, axis=1)
    ).sum() / photons.sum()
    if not per_photon > 0:  # nothing in the spectrum that others have too
        return gain, np.full(len(counts), np.inf), telling
    change = np.einsum("pb,pb->p", aligned, score[group]) / photons / per_photon
    # the others stand where their own mean is: measured from the mean of all instead
    change -= np.bincount(group, share * change)[group]
    change -= share @ change  # smoothing and tails move all alike
    error = np.sqrt((1 - share) * telling.sum() / photons.sum() / photons) / per_photon
    return gain + change, error, telling / telling.sum()


def _efficient(score: Float, density: Float, tails: Float) -> Float:
    """The score (group, bin) less its mean and what a change of the tails (k, bin) could make of it."""
    shapes = np.concatenate([np.ones((1, tails.shape[1])), tails])
    products = np.einsum("gb,kb,lb->gkl", density, shapes, shapes, optimize=True)
    made = np.linalg.solve(
        products, np.einsum("gb,kb->gk", score * density, shapes)[..., None]
    )[..., 0]
    return np.asarray(score - made @ shapes)


def _tails(counts: Float, step: float, width: float) -> Float:
    """Relative change (k, bin) of the density of all pixels where photons lose energy to tails of `TAILS_EV`."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(counts, width, mode="nearest") + FLOOR * counts.mean()
    rows = []
    for length in TAILS_EV:
        kernel = np.exp(-np.arange(0, 6 * length, step) / length)
        rows.append(
            np.convolve(smooth[::-1], kernel / kernel.sum())[: len(smooth)][::-1]
            / smooth
            - 1
        )
    return np.stack(rows)


def _moved(counts: Float, centres: Float, gain: Float) -> Float:
    """Counts (pixel, bin) after energies E became E (1 - gain): bins are cut where the new edges lie."""
    step = centres[1] - centres[0]
    edges = np.append(centres, centres[-1] + step) - step / 2
    below = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    rows = zip(below, gain, strict=True)
    return np.diff(
        np.stack([np.interp(edges / (1 - g), edges, row) for row, g in rows]), axis=1
    )
