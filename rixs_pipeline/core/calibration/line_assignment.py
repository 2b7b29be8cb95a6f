"""Peaks in a pulse-height spectrum and their assignment to reference lines, in any pixel without a first guess.

A gain curve h = a (1 - exp(-E/b)) + d is linear in (a, d) once b is given. So every pair of peaks, set against every
pair of lines, on a short list of b, is one hypothesis of the whole curve; its score is how well all peaks are then
explained. The number of hypotheses grows with the square of peaks and of lines, never combinatorially.
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

SMOOTHING_EV = 2.5  # resolution of the peak search, about that of a TES pixel
FULL_SCALE_EV = 1000.0  # the highest pulses of a reference run, roughly: sets the scale of the search
MIN_PROMINENCE = 4.0  # standard deviations of a Poisson count (in square-root space) above the saddle
MAX_PEAKS = 16
PAIR_PEAKS = 9  # the strongest ones, which form hypotheses
CURVATURES_EV = np.append(
    np.geomspace(1000.0, 5000.0, 13), 1e4
)  # b; half a step bends a curve by about 1 eV
OFFSET_SPREAD = 0.015  # standard deviation of d / a in real arrays
CLEAR = 0.9  # an assignment stands out where the next one has less than this share of its score
TOLERANCE_EV = (
    3.0  # how far a physical curve without its smooth remainder misses a line
)


@dataclass(frozen=True)
class Peaks:
    """Peaks of one pixel, in order of height: positions (peak,) in pulse height, significance (peak,) in sigma."""

    pulse_height: Float
    significance: Float


@dataclass(frozen=True)
class LineAssignment:
    """The best curve h = a (1 - exp(-E/b)) + d, its score, and the next different one's."""

    a: float
    b: float
    d: float
    score: float
    runner_up: float
    line_peaks: NDArray[
        np.intp
    ]  # (line,) index of the line's peak, -1 where it has none
    attainable: float = (
        0.0  # score of a curve on which every line that must be there has a strong peak
    )

    @property
    def is_unambiguous(self) -> bool:
        """Whether the assignment stands out from the next one, and explains more than chance peaks allow."""
        return (
            self.score > max(0.0, 0.5 * self.attainable)
            and self.runner_up < CLEAR * self.score
        )

    def pulse_height(self, energies: Float) -> Float:
        """Pulse heights at energies (n,) eV."""
        return self.a * (1 - np.exp(-energies / self.b)) + self.d

    def energies(self, pulse_height: Float) -> Float:
        """Energies (n,) eV of pulse heights, linear far above the last line where the curve saturates."""
        x = np.clip((pulse_height - self.d) / self.a, -1.0, 0.95)
        return -self.b * np.log1p(-x)


def find_peaks(pulse_height: Float) -> Peaks:
    """Peaks in the pulse heights (event,) of one pixel.

    The spectrum is smoothed with the detector's resolution; a peak must stand `MIN_PROMINENCE` Poisson standard
    deviations above the higher saddle beside it.
    """
    from scipy.ndimage import gaussian_filter1d

    if len(pulse_height) < 50:
        return Peaks(np.empty(0), np.empty(0))
    top = float(np.percentile(pulse_height, 99))
    width = top / FULL_SCALE_EV  # one bin is about 1 eV
    n_bins = int(1.3 * FULL_SCALE_EV)
    counts = np.bincount(
        (np.clip(pulse_height, 0.0, 2.0 * top) / width).astype(np.intp),
        minlength=n_bins,
    )[:n_bins]
    kernel_area = 2 * np.sqrt(np.pi) * SMOOTHING_EV
    # effective counts under the kernel: their square root has a standard deviation of one half
    root = np.sqrt(
        gaussian_filter1d(counts.astype(float), SMOOTHING_EV, mode="constant")
        * kernel_area
    )
    positions = np.flatnonzero((root[1:-1] > root[:-2]) & (root[1:-1] >= root[2:])) + 1
    positions = positions[
        2 * root[positions] > MIN_PROMINENCE
    ]  # lower ones cannot stand out
    significance = 2 * prominence(root, positions)
    positions, significance = (
        positions[significance > MIN_PROMINENCE],
        significance[significance > MIN_PROMINENCE],
    )
    strongest = np.argsort(significance)[::-1][:MAX_PEAKS]
    return Peaks((positions[strongest] + 0.5) * width, significance[strongest])


def prominence(values: Float, tops: NDArray[np.intp]) -> Float:
    """Height (n,) of the local maxima at `tops` (n,) above the higher of their two saddles.

    The same as scipy.signal's, whose import takes longer than a calibration.
    """
    from rixs_pipeline.core.energy import kernels

    return np.asarray(kernels.prominences(values, tops))


def assign(
    peaks: Peaks,
    lines: Float,
    weights: Float,
    parked: float = np.nan,
    curvatures: Float = CURVATURES_EV,
) -> LineAssignment | None:
    """Assign peaks to lines; None where there are fewer than three peaks or lines.

    Args:
        peaks: of one pixel.
        lines: f8 (line,) eV, ascending.
        weights: f8 (line,), 1 for a line that must be there, less for one that may be.
        parked: eV, where the elastic line of the parked monochromator may stand; it counts as one more line that may
            be there, and is no anchor: what comes out is only a start for the fits.
        curvatures: eV, the b that are tried.
    """
    line_energies, line_weights = lines, weights
    if np.isfinite(parked):
        line_energies, line_weights = np.append(lines, parked), np.append(weights, 0.0)
        order = np.argsort(line_energies)
        line_energies, line_weights = line_energies[order], line_weights[order]
    if len(peaks.pulse_height) < 3 or len(lines) < 3:
        return None
    a, b, d = hypotheses(peaks, line_energies, curvatures)
    if not len(a):
        return None
    scores = score(a, b, d, peaks, line_energies, line_weights)
    best = int(np.argmax(scores))
    # the next hypothesis that is another assignment, not the same one with slightly other parameters
    probe = line_energies[[0, len(line_energies) // 2, -1]]
    moved = [
        np.abs(heights(a, b, d, e) / heights(a[best], b[best], d[best], e) - 1)
        for e in probe
    ]
    other = np.max(moved, axis=0) > 0.03
    runner_up = float(np.max(scores[other], initial=0.0))
    strength = np.sort(np.log1p(peaks.significance))[::-1]
    needed = int((weights > 0.5).sum())
    attainable = float(
        strength[:needed].sum() + strength.mean() * max(0, needed - len(strength))
    )
    nothing = np.empty(0, dtype=np.intp)
    found = LineAssignment(
        a[best], b[best], d[best], float(scores[best]), runner_up, nothing, attainable
    )
    return replace(found, line_peaks=matches(found, peaks, lines))


def heights(
    a: Float | float, b: Float | float, d: Float | float, energies: Float | float
) -> Float:
    """Pulse height a (1 - exp(-E/b)) + d."""
    return np.asarray(a * (1 - np.exp(-np.asarray(energies) / b)) + d)


def hypotheses(
    peaks: Peaks, line_energies: Float, curvatures: Float
) -> tuple[Float, Float, Float]:
    """All curves (a, b, d) through a pair of the strongest peaks and a pair of lines, with d and a sane."""
    h = np.sort(peaks.pulse_height[:PAIR_PEAKS])
    low, high = np.array(list(combinations(range(len(h)), 2))).T
    line_low, line_high = np.array(list(combinations(range(len(line_energies)), 2))).T
    x = 1 - np.exp(-line_energies[None, :] / curvatures[:, None])  # (b, line)
    rise = (x[:, line_high] - x[:, line_low])[:, None, :]
    a = (h[high] - h[low])[None, :, None] / rise
    d = h[low][None, :, None] - a * x[:, line_low][:, None, :]
    b = np.broadcast_to(curvatures[:, None, None], a.shape)
    sane = np.abs(d) < 3 * OFFSET_SPREAD * a
    return a[sane], b[sane], d[sane]


def score(
    a: Float,
    b: Float,
    d: Float,
    peaks: Peaks,
    line_energies: Float,
    line_weights: Float,
) -> Float:
    """How well each curve (hypothesis,) explains the peaks.

    The sum over lines of the peak that stands nearest, weighted with its significance (logarithmic, so that one
    strong line does not outvote five weak ones) and its distance; lines without a peak count against it, and so
    does an offset d beyond what arrays show.
    """
    from rixs_pipeline.core.energy import kernels

    strength = np.log1p(peaks.significance)
    found = kernels.assignment_scores(
        a,
        b,
        d,
        peaks.pulse_height,
        strength,
        line_energies,
        line_weights,
        OFFSET_SPREAD,
        TOLERANCE_EV,
    )
    return np.asarray(found)


def matches(
    found: LineAssignment, peaks: Peaks, line_energies: Float
) -> NDArray[np.intp]:
    """Index (line,) of the peak that stands at each line within two tolerances, -1 where none does.

    A peak belongs to one line, the nearest.
    """
    distance = np.abs(
        found.energies(peaks.pulse_height)[None, :] - line_energies[:, None]
    )
    nearest = distance.argmin(axis=1)
    mine = distance.argmin(axis=0)[nearest] == np.arange(len(line_energies))
    return np.where(mine & (distance.min(axis=1) < 2 * TOLERANCE_EV), nearest, -1)
