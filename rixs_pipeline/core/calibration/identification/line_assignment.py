"""Assign the peaks in the pulse heights of a pixel to reference lines.

No first guess of the gain is needed. A gain curve h = a (1 - exp(-E / b)) + d is linear
in a and d once b is given. So every pair of peaks, matched with every pair of lines,
for each b of a short list, is a hypothesis of the whole curve; its score is how well
the curve explains all peaks. The number of hypotheses grows with the squares of the
numbers of peaks and of lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.identification.peak_evidence import (
    KnownLines,
    weigh_peaks,
)
from rixs_pipeline.core.calibration.identification.peaks import MIN_SIGNIFICANCE, Peaks
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.types import BoolArray, FloatArray, IndexArray

# the strongest peaks, pairs of which form hypotheses
N_PAIRED_PEAKS = 9
# peaks, and lines, that an assignment needs
MIN_MATCHES = 3
# values of b that are tried for lines up to 1 keV, eV; half a step bends a curve by
# about 1 eV
_BENT_EV = np.geomspace(1000.0, 5000.0, 13)
_ALMOST_STRAIGHT_EV = 1e4
SATURATION_ENERGIES_EV = np.append(_BENT_EV, _ALMOST_STRAIGHT_EV)
# standard deviation of d / a in real arrays, and the largest that is tried
OFFSET_SPREAD = 0.015
MAX_OFFSET = 3 * OFFSET_SPREAD
# distance by which a curve without its smooth remainder misses a line: up to 1.2 keV,
# and relative to the energy of a line above
TOLERANCE_EV = 3.0
RELATIVE_TOLERANCE = 0.0025
# relative difference in pulse height between curves that are different assignments
DISTINCT_CURVES = 0.03
# an assignment is ambiguous if the next one has more than this share of its score
MAX_RUNNER_UP_SHARE = 0.9
# ... and explains no more than chance if it has less than this share of the score of
# strong peaks at all required lines
MIN_ATTAINED_SHARE = 0.5
# lines of a higher weight are required, the others may be missing
REQUIRED_WEIGHT = 0.5


@dataclass(frozen=True)
class SaturatingCurve:
    """Gain curve of a saturating sensor, h = a (1 - exp(-E / b)) + d.

    Attributes
    ----------
    a
        Pulse height at saturation.
    b
        Energy scale of the saturation, eV.
    d
        Pulse height at 0 eV.

    Each is a number, or an array (curve,) of several curves.
    """

    a: FloatArray
    b: FloatArray
    d: FloatArray

    def __getitem__(self, index: IndexArray | BoolArray | int) -> "SaturatingCurve":
        """Return selected curves."""
        a = self.a[index]
        b = self.b[index]
        d = self.d[index]
        return SaturatingCurve(a, b, d)

    def pulse_height(self, energy: FloatArray) -> FloatArray:
        """Return the pulse heights of energies in eV."""
        saturation = 1 - np.exp(-energy / self.b)
        height: FloatArray = self.a * saturation + self.d
        return height

    def energy(self, pulse_height: FloatArray) -> FloatArray:
        """Return the energies of pulse heights, eV; limited near the saturation."""
        saturation = (pulse_height - self.d) / self.a
        saturation = np.clip(saturation, -1.0, 0.95)
        energy: FloatArray = -self.b * np.log1p(-saturation)
        return energy


@dataclass(frozen=True)
class HintedPeak:
    """A peak that is known to be a line.

    Attributes
    ----------
    peak
        Index of the peak.
    energy
        Of the line, eV.
    """

    peak: int
    energy: float


@dataclass(frozen=True)
class FreeLines:
    """Lines that peaks may belong to.

    Attributes
    ----------
    energy
        (line,) ascending, eV.
    weight
        (line,) 1 for a line that is required, less for one that may be missing.
    elastic_energy
        Reading of the parked monochromator, eV, NaN if unknown; its elastic line may be
        among the peaks.
    """

    energy: FloatArray
    weight: FloatArray
    elastic_energy: float = np.nan


@dataclass(frozen=True)
class LineAssignment:
    """Best gain curve of a pixel and the lines that its peaks belong to.

    Attributes
    ----------
    curve
        The best hypothesis.
    score
        Its score.
    runner_up_score
        Score of the best hypothesis that differs from it.
    line_peaks
        (line,) index of each line's peak; -1 where it has none.
    attainable_score
        Score of strong peaks at all required lines.
    """

    curve: SaturatingCurve
    score: float
    runner_up_score: float
    line_peaks: IndexArray
    attainable_score: float = 0.0

    @property
    def is_unambiguous(self) -> bool:
        """Whether it is clearly better than the next one and than chance."""
        min_score = max(0.0, MIN_ATTAINED_SHARE * self.attainable_score)
        max_runner_up = MAX_RUNNER_UP_SHARE * self.score
        return self.score > min_score and self.runner_up_score < max_runner_up


def assign_lines(
    peaks: Peaks,
    lines: FreeLines,
    saturation_energies: FloatArray | None = None,
    hinted: Sequence[HintedPeak] = (),
) -> LineAssignment | None:
    """Assign the peaks of a pixel to lines.

    Parameters
    ----------
    peaks
        Of the pixel.
    lines
        That the peaks may belong to.
    saturation_energies
        (n,) values of b that are tried, eV. By default those of any detector that may
        show three of the lines.
    hinted
        Peaks that are known to be certain lines.

    Returns
    -------
    LineAssignment or None
        The best assignment, or None with fewer than three peaks or lines, or where no
        curve passes through the hinted peaks.
    """
    line_energy = lines.energy
    line_weight = lines.weight
    elastic_energy = lines.elastic_energy
    n_peaks = len(peaks.pulse_height)
    n_lines = len(line_energy)
    if min(n_peaks, n_lines) < MIN_MATCHES:
        return None
    energy = line_energy
    weight = line_weight
    if np.isfinite(elastic_energy):
        energy = np.append(line_energy, elastic_energy)
        weight = np.append(line_weight, 0.0)
        order = np.argsort(energy)
        energy = energy[order]
        weight = weight[order]
    if saturation_energies is None:
        saturation_energies = find_saturation_energies(line_energy)
    curves = _propose_curves(peaks, energy, saturation_energies, hinted)
    if not len(curves.a):
        return None
    scores = _score_curves(curves, peaks, energy, weight)
    best = int(np.argmax(scores))
    best_curve = curves[best]
    # the runner-up must be another assignment, not slightly different parameters
    middle = len(energy) // 2
    largest_change = np.zeros_like(scores)
    for probe in energy[[0, middle, -1]]:
        heights = curves.pulse_height(probe)
        change = heights / best_curve.pulse_height(probe) - 1
        largest_change = np.maximum(largest_change, np.abs(change))
    is_different = largest_change > DISTINCT_CURVES
    line_peaks = _match_peaks(best_curve, peaks, line_energy)
    is_near = is_different & (scores >= MAX_RUNNER_UP_SHARE * scores[best])
    may_be_missing = bool((line_weight < REQUIRED_WEIGHT).all())
    if may_be_missing:
        without_noise = _score_curves(curves, peaks, energy, weight, MIN_SIGNIFICANCE)
        is_rival = without_noise >= MAX_RUNNER_UP_SHARE * without_noise[best]
        is_different &= is_rival | ~is_near
        is_near &= is_rival
    for candidate in np.flatnonzero(is_near):
        rival = curves[int(candidate)]
        other_peaks = _match_peaks(rival, peaks, line_energy)
        is_different[candidate] = not (
            _is_same_assignment(line_peaks, other_peaks)
            or (may_be_missing and _is_contradicted(rival, peaks, other_peaks, lines))
        )
    runner_up_score = np.max(scores[is_different], initial=0.0)
    return LineAssignment(
        curve=best_curve,
        score=float(scores[best]),
        runner_up_score=float(runner_up_score),
        line_peaks=line_peaks,
        attainable_score=_attainable_score(peaks, line_weight),
    )


def line_tolerances(line_energy: FloatArray) -> FloatArray:
    """Return how far lines (line,) eV may lie from a curve, standard deviation, eV."""
    return np.maximum(TOLERANCE_EV, RELATIVE_TOLERANCE * line_energy)


def find_saturation_energies(line_energy: FloatArray) -> FloatArray:
    """Return the values of b (n,) eV that detectors for some of the lines may have.

    Parameters
    ----------
    line_energy
        (line,) ascending, eV.

    Returns
    -------
    FloatArray
        `SATURATION_ENERGIES_EV` for lines up to 1 keV. For higher lines more, in the
        same steps: a detector may show the lowest three lines alone, or all.
    """
    third_lowest = float(line_energy[MIN_MATCHES - 1])
    lowest_unit = EnergyRange.up_to(third_lowest).energy_unit
    highest_unit = EnergyRange.up_to(float(line_energy[-1])).energy_unit
    if highest_unit == 1:
        return SATURATION_ENERGIES_EV
    step = np.log(_BENT_EV[1] / _BENT_EV[0])
    low = lowest_unit * _BENT_EV[0]
    high = highest_unit * _BENT_EV[-1]
    number = 1 + round(float(np.log(high / low) / step))
    bent = np.geomspace(low, high, number)
    return np.append(bent, highest_unit * _ALMOST_STRAIGHT_EV)


def _is_same_assignment(first: IndexArray, second: IndexArray) -> bool:
    """Return whether two assignments (line,) agree on the peaks that both explain.

    Curves that differ where one of them has no line are not two assignments.
    """
    is_shared = (first == second) & (first >= 0)
    used_by_first = set(first[(first >= 0) & ~is_shared].tolist())
    used_by_second = set(second[(second >= 0) & ~is_shared].tolist())
    lines_of_both = (first >= 0) & (second >= 0) & ~is_shared
    has_conflict = bool(lines_of_both.any() or used_by_first & used_by_second)
    n_shared = int(np.count_nonzero(is_shared))
    return n_shared >= MIN_MATCHES and not has_conflict


def _is_contradicted(
    curve: SaturatingCurve, peaks: Peaks, line_peaks: IndexArray, lines: FreeLines
) -> bool:
    """Return whether strong peaks that are no line speak against an assignment."""
    energy = curve.energy(peaks.pulse_height)
    known = KnownLines(lines.energy, lines.elastic_energy)
    reach = 2 * line_tolerances(energy)
    evidence = weigh_peaks(peaks, energy, line_peaks, known, reach)
    n_lines = int(np.count_nonzero(line_peaks >= 0))
    return evidence.contradicts(n_lines, are_named=False)


def _attainable_score(peaks: Peaks, line_weight: FloatArray) -> float:
    """Return the score of a curve that puts a strong peak on every required line."""
    strength = np.log1p(peaks.significance)
    descending = np.sort(strength)[::-1]
    is_required = line_weight > REQUIRED_WEIGHT
    n_required = np.count_nonzero(is_required)
    n_missing = max(0, n_required - len(strength))
    from_peaks = descending[:n_required].sum()
    from_missing = descending.mean() * n_missing
    return float(from_peaks + from_missing)


def _propose_curves(
    peaks: Peaks,
    line_energy: FloatArray,
    saturation_energies: FloatArray,
    hinted: Sequence[HintedPeak],
) -> SaturatingCurve:
    """Return the curves (hypothesis,) through two peaks and two lines each.

    Only curves that rise, whose offset d is within `MAX_OFFSET`, and that pass through
    the hinted peaks are proposed.
    """
    strongest = peaks.pulse_height[:N_PAIRED_PEAKS]
    if hinted:
        hinted_peaks = [hint.peak for hint in hinted]
        hinted_heights = peaks.pulse_height[hinted_peaks]
        hinted_energy = [hint.energy for hint in hinted]
        strongest = np.union1d(strongest, hinted_heights)
        line_energy = np.union1d(line_energy, hinted_energy)
    heights = np.sort(strongest)
    saturation = 1 - np.exp(-line_energy / saturation_energies[:, None])  # (b, line)
    # pairs of peaks, and pairs of lines: the upper triangle without the diagonal
    low_peak, high_peak = np.triu_indices(len(heights), k=1)
    low_line, high_line = np.triu_indices(len(line_energy), k=1)
    # axes: (b, pair of peaks, pair of lines)
    low_height = heights[low_peak][:, None]
    high_height = heights[high_peak][:, None]
    low_saturation = saturation[:, None, low_line]
    high_saturation = saturation[:, None, high_line]
    a = (high_height - low_height) / (high_saturation - low_saturation)
    d = low_height - a * low_saturation
    b = np.broadcast_to(saturation_energies[:, None, None], a.shape)
    curves = SaturatingCurve(a, b, d)
    is_plausible = np.abs(d) < MAX_OFFSET * a
    curves = curves[is_plausible]
    for hint in hinted:
        energy = curves.energy(peaks.pulse_height[hint.peak])
        reach = 2 * line_tolerances(np.array(hint.energy))
        curves = curves[np.abs(energy - hint.energy) < reach]
    return curves


def _score_curves(
    curves: SaturatingCurve,
    peaks: Peaks,
    line_energy: FloatArray,
    line_weight: FloatArray,
    noise: float = 0.0,
) -> FloatArray:
    """Return how well each curve explains the peaks, (hypothesis,).

    The score is a sum over lines of the nearest peak, weighted by its distance and the
    logarithm of its significance, so that one strong line does not outvote five weak
    ones. Lines without a peak reduce it, and so does an offset d larger than in real
    arrays. The significance `noise` counts nothing.
    """
    from rixs_pipeline.core.calibration.identification import (  # numba: slow import
        assignment_kernels,
    )

    strength = np.log1p(peaks.significance - noise)
    scores: FloatArray = assignment_kernels.score_curves(
        assignment_kernels.CurveColumns(curves.a, curves.b, curves.d),
        assignment_kernels.PeakColumns(peaks.pulse_height, strength),
        assignment_kernels.LineColumns(
            line_energy, line_weight, line_tolerances(line_energy)
        ),
        OFFSET_SPREAD,
    )
    return scores


def _match_peaks(
    curve: SaturatingCurve, peaks: Peaks, line_energy: FloatArray
) -> IndexArray:
    """Return the index (line,) of each line's peak, -1 without one near."""
    return match_peaks(curve.energy(peaks.pulse_height), line_energy)


def match_peaks(peak_energy: FloatArray, line_energy: FloatArray) -> IndexArray:
    """Return the index of each line's peak.

    Parameters
    ----------
    peak_energy
        (peak,) eV.
    line_energy
        (line,) eV.

    Returns
    -------
    IndexArray
        (line,) -1 without a peak within two tolerances. A peak belongs to the nearest
        line only.
    """
    distance = np.abs(peak_energy - line_energy[:, None])  # (line, peak)
    nearest_peak = distance.argmin(axis=1)
    nearest_line = distance.argmin(axis=0)
    line = np.arange(len(line_energy))
    is_mutual = nearest_line[nearest_peak] == line
    smallest_distance = distance.min(axis=1)
    is_near = smallest_distance < 2 * line_tolerances(line_energy)
    return np.where(is_mutual & is_near, nearest_peak, -1)
