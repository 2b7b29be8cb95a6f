"""Identify the reference lines of a run from the array as a whole.

Each pixel alone may be ambiguous. The best pixels together determine which lines the
reference sample shows and how the gains bend; then the peaks of every pixel are
assigned to these lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from rixs_pipeline.core.calibration.identification.hints import (
    NO_HINTS,
    Hints,
    assign_with_hints,
    match_hints,
)
from rixs_pipeline.core.calibration.identification.line_assignment import (
    MAX_RUNNER_UP_SHARE,
    FreeLines,
    LineAssignment,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.calibration.line_shapes import (
    SOFT_BIN_EV,
    ComplexArray,
    LineGrid,
)
from rixs_pipeline.core.calibration.pixel import Pixel
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.types import BoolArray, FloatArray

# Energies and widths for lines up to 1 keV; they follow the range of the detector.
# range of a line's fit: its low-energy tail, and the Lb line of metals above
WINDOW_EV = (-25.0, 28.0)
# distance from the reading of the monochromator within which its elastic line is sought
ELASTIC_REACH_EV = 15.0
# distance of the elastic line from the reference lines above which it is fitted
ELASTIC_MIN_DISTANCE_EV = 10.0
ELASTIC = "elastic"
# pixels that determine which lines are there: more would agree with them
MAX_VOTERS = 24
# significance of the peak of a line, relative to the usual one: a line of one twentieth
# of the counts. Noise has 4 to 5.5 standard deviations, 100 counts have 13.
MIN_PEAK_SHARE = 0.25
# share of the pixels that must show a line
MAJORITY = 0.5
# peaks of a pixel that may vote
MIN_PEAKS = 3
# weight of a line that may be missing; a line that the config names has 1
OPTIONAL_WEIGHT = 0.05
# pixels that determine how the gains of an array bend, and their share of all pixels
MIN_UNAMBIGUOUS = 3
MIN_UNAMBIGUOUS_SHARE = 0.5
# saturation energies that are tried within the range of these pixels
N_SATURATION_ENERGIES = 9


@dataclass(frozen=True)
class ReferenceLine:
    """A tabulated emission line.

    Attributes
    ----------
    name
        Element and line, such as ``Fe_La``.
    energy
        Position of the maximum, eV.
    uncertainty
        One standard deviation of the energy, eV.
    shape
        Lorentzian components: offset from `energy` in eV, FWHM in eV, share of the
        area.
    sigma
        Gaussian broadening of the emitted shape, eV.
    is_satellite
        Whether the line is part of the shape of another line, and never fitted alone.
    """

    name: str
    energy: float
    uncertainty: float
    shape: tuple[tuple[float, float, float], ...]
    sigma: float = 0.0
    is_satellite: bool = False

    @property
    def is_main(self) -> bool:
        """Whether it may be there alone: Lb and Kb are not without the stronger one."""
        return not self.is_satellite and not self.name.endswith(("_Lb", "_Kb"))


@dataclass(frozen=True)
class FittedLines:
    """Lines that are fitted in a reference run, in ascending order of energy.

    Attributes
    ----------
    lines
        (line,) reference lines, and the elastic line where the array shows it.
    is_anchor
        (line,) whether the line carries the energy scale; the elastic line does not.
    neighbour_energy
        (m,) energies of lines that the sample shows but that are not fitted, eV. No fit
        extends to them.
    """

    lines: tuple[ReferenceLine, ...]
    is_anchor: BoolArray
    neighbour_energy: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lines."""
        return tuple(line.name for line in self.lines)

    @property
    def energy(self) -> FloatArray:
        """Energies of the lines (line,), eV."""
        return np.array([line.energy for line in self.lines])

    @property
    def energy_range(self) -> EnergyRange:
        """Range of the detector, which follows the lines."""
        anchors = self.energy[self.is_anchor]
        return EnergyRange.up_to(float(anchors.max(initial=0.0)))

    @property
    def grid(self) -> LineGrid:
        """Bins of the line fits."""
        return LineGrid(SOFT_BIN_EV * self.energy_range.width_unit)

    @property
    def energy_errors(self) -> FloatArray:
        """Uncertainties (line,) of the energies, eV; NaN for the elastic line."""
        errors = np.array([line.uncertainty for line in self.lines])
        return np.where(self.is_anchor, errors, np.nan)

    def emitted_shapes(self, grid: LineGrid) -> ComplexArray:
        """Return the transforms (line, k) of the emitted shapes."""
        transforms = []
        for line in self.lines:
            transform = grid.emitted_transform(line.shape, line.sigma)
            transforms.append(transform)
        return np.stack(transforms)

    def windows(self) -> FloatArray:
        """Return the limits (line, 2) eV of the fits, up to half way to a neighbour."""
        energy = self.energy
        ends = [-np.inf, np.inf]
        all_energies = np.concatenate([energy, self.neighbour_energy, ends])
        ascending = np.sort(all_energies)
        index = np.searchsorted(ascending, energy)
        next_below = ascending[index - 1]
        next_above = ascending[index + 1]
        half_way_below = (energy + next_below) / 2
        half_way_above = (energy + next_above) / 2
        reach_below, reach_above = np.array(WINDOW_EV) * self.energy_range.width_unit
        low = np.maximum(energy + reach_below, half_way_below)
        high = np.minimum(energy + reach_above, half_way_above)
        return np.stack([low, high], axis=1)

    def fitted_bins(
        self, grid: LineGrid, offset: FloatArray | float = 0.0
    ) -> BoolArray:
        """Return which bins of the grid belong to the fit of each line.

        Parameters
        ----------
        grid
            Bins of the fits.
        offset
            (line,) distance of the line from the middle of the grid, eV.

        Returns
        -------
        BoolArray
            (line, N_GRID).
        """
        middle = self.energy - offset
        limits = self.windows() - middle[:, None]
        is_above = grid.offsets > limits[:, :1]
        is_below = grid.offsets < limits[:, 1:]
        return np.asarray(is_above & is_below)


def identify_lines(
    pixels: Sequence[Pixel],
    reference_lines: Sequence[ReferenceLine],
    elastic_energy: float,
    line_names: Sequence[str] | None = None,
    hints: Hints = NO_HINTS,
) -> FittedLines:
    """Identify the lines of a run and assign the peaks of every pixel to them.

    Parameters
    ----------
    pixels
        Pixels with their peaks; their assignments are set.
    reference_lines
        Lines that the reference sample may show.
    elastic_energy
        Reading of the parked monochromator, eV; NaN if unknown.
    line_names
        Names of the lines that the sample shows. Default: the lines on which most
        pixels agree.
    hints
        Peaks that the user knows to be certain lines.

    Returns
    -------
    FittedLines
        The lines that carry the energy scale, and the elastic line where most pixels
        show it.
    """
    reference_lines = sorted(reference_lines, key=lambda line: line.energy)
    line_energy = {line.name: line.energy for line in reference_lines}
    for pixel in pixels:
        number = pixel.pulses.pixel
        pixel.hints = match_hints(hints, number, pixel.peaks, line_energy)
    if line_names is None:
        anchors = _find_anchors(pixels, reference_lines, elastic_energy)
    else:
        anchors = [line for line in reference_lines if line.name in line_names]
    anchor_energy = np.array([line.energy for line in anchors])
    _assign_pixels(pixels, anchor_energy, elastic_energy)
    lines = list(anchors)
    elastic = _find_elastic_line(pixels, elastic_energy)
    if elastic is not None:
        distance = np.abs(anchor_energy - elastic.energy)
        width_unit = EnergyRange.up_to(elastic.energy).width_unit
        if (distance > ELASTIC_MIN_DISTANCE_EV * width_unit).all():
            lines.append(elastic)
    lines.sort(key=lambda line: line.energy)
    return FittedLines(
        lines=tuple(lines),
        is_anchor=np.array([line is not elastic for line in lines], dtype=bool),
        neighbour_energy=_neighbour_energies(anchors, reference_lines),
    )


def _neighbour_energies(
    anchors: Sequence[ReferenceLine], reference_lines: Sequence[ReferenceLine]
) -> FloatArray:
    """Return the energies (m,) eV of the Lb lines beside the shapes of the anchors."""
    names = [line.name for line in anchors if line.name.endswith("_La")]
    partners = {name.removesuffix("_La") + "_Lb" for name in names}
    energies = [
        line.energy
        for line in reference_lines
        if line.name in partners and not line.is_satellite
    ]
    return np.array(energies)


def _find_anchors(
    pixels: Sequence[Pixel],
    reference_lines: Sequence[ReferenceLine],
    elastic_energy: float,
) -> list[ReferenceLine]:
    """Find the lines that most of the best pixels show; none if they are ambiguous."""
    elastic_reach = ELASTIC_REACH_EV * EnergyRange.up_to(elastic_energy).energy_unit
    candidates = [
        line
        for line in reference_lines
        if line.is_main
        # true for all lines if the elastic energy is NaN
        and not abs(line.energy - elastic_energy) < elastic_reach
    ]
    energy = np.array([line.energy for line in candidates])
    weight = np.full(len(candidates), OPTIONAL_WEIGHT)
    lines = FreeLines(energy, weight, elastic_energy)
    voters = _select_voters(pixels)
    results = [assign_with_hints(pixel.peaks, lines, pixel.hints) for pixel in voters]
    has_hints = [bool(result.hints.peaks) for result in results]
    if any(has_hints):
        results = list(compress(results, has_hints))
        voters = list(compress(voters, has_hints))
    votes = []
    has_line = []
    for voter, result in zip(voters, results, strict=True):
        vote = result.assignment
        if vote is not None and vote.score > 0:
            votes.append(vote)
            has_line.append(_find_clear_lines(vote, voter.peaks))
    score = sum(vote.score for vote in votes)
    runner_up_score = sum(vote.runner_up_score for vote in votes)
    if not votes or runner_up_score >= MAX_RUNNER_UP_SHARE * score:
        return []  # other lines explain the peaks as well: the user has to name them
    is_present = np.mean(has_line, axis=0) > MAJORITY
    return [candidates[index] for index in np.flatnonzero(is_present)]


def _find_clear_lines(vote: LineAssignment, peaks: Peaks) -> BoolArray:
    """Return which lines (line,) have a peak that is no noise beside the others."""
    has_peak = vote.line_peaks >= 0
    significance = np.where(has_peak, peaks.significance[vote.line_peaks], 0.0)
    usual = np.median(significance[has_peak])
    return np.asarray(has_peak & (significance > MIN_PEAK_SHARE * usual))


def _select_voters(pixels: Sequence[Pixel]) -> list[Pixel]:
    """Select the better half of the pixels with enough peaks, up to `MAX_VOTERS`."""

    def total_strength(pixel: Pixel) -> float:
        strength = np.log1p(pixel.peaks.significance)
        return float(strength.sum())

    able = []
    for pixel in pixels:
        n_peaks = len(pixel.peaks.pulse_height)
        if n_peaks >= MIN_PEAKS:
            able.append(pixel)
    able.sort(key=total_strength, reverse=True)
    hinted = [pixel for pixel in able if pixel.hints.peaks]
    if hinted:
        return hinted[:MAX_VOTERS]
    better_half = (len(able) + 1) // 2
    return able[: min(MAX_VOTERS, better_half)]


def _assign_pixels(
    pixels: Sequence[Pixel], line_energy: FloatArray, elastic_energy: float
) -> None:
    """Assign the peaks of every pixel to lines (line,) eV that are all required.

    Pixels that are ambiguous or lack a line are assigned once more, with the saturation
    energies of the others: gains of one array differ by a factor of two but bend alike,
    and a wrong assignment often needs a bend that no pixel has.
    """
    lines = FreeLines(line_energy, np.ones(len(line_energy)), elastic_energy)
    for pixel in pixels:
        result = assign_with_hints(pixel.peaks, lines, pixel.hints)
        pixel.assignment = result.assignment
        pixel.hints = result.hints
    assigned = [pixel for pixel in pixels if pixel.assignment is not None]
    unambiguous = _unambiguous_assignments(pixels)
    min_share = MIN_UNAMBIGUOUS_SHARE * len(assigned)
    if len(unambiguous) < max(MIN_UNAMBIGUOUS, min_share):
        return
    bends = [assignment.curve.b for assignment in unambiguous]
    saturation_energies = np.geomspace(
        start=min(bends), stop=max(bends), num=N_SATURATION_ENERGIES
    )
    for pixel in assigned:
        first = pixel.assignment
        if first is None:
            continue
        has_all_lines = bool((first.line_peaks >= 0).all())
        if first.is_unambiguous and has_all_lines:
            continue
        result = assign_with_hints(pixel.peaks, lines, pixel.hints, saturation_energies)
        second = result.assignment
        if second is not None and (
            not first.is_unambiguous or second.score > first.score
        ):
            pixel.assignment = second


def _unambiguous_assignments(pixels: Sequence[Pixel]) -> list[LineAssignment]:
    """Return the assignments that are unambiguous."""
    unambiguous = []
    for pixel in pixels:
        assignment = pixel.assignment
        if assignment is not None and assignment.is_unambiguous:
            unambiguous.append(assignment)
    return unambiguous


def _find_elastic_line(
    pixels: Sequence[Pixel], elastic_energy: float
) -> ReferenceLine | None:
    """Find the elastic line near the reading of the parked monochromator, eV.

    It is the median of the pixels; None where most of them do not show it.
    """
    n_unambiguous = 0
    energies = []
    reach = ELASTIC_REACH_EV * EnergyRange.up_to(elastic_energy).energy_unit
    for pixel in pixels:
        assignment = pixel.assignment
        if assignment is None or not assignment.is_unambiguous:
            continue
        n_unambiguous += 1
        peaks = pixel.peaks
        energy = assignment.curve.energy(peaks.pulse_height)
        distance = np.abs(energy - elastic_energy)
        is_near = distance < reach
        if is_near.any():
            strongest = np.argmax(peaks.significance[is_near])
            near_energies = energy[is_near]
            energies.append(near_energies[strongest])
    if not energies or len(energies) <= MAJORITY * n_unambiguous:
        return None
    return ReferenceLine(
        name=ELASTIC,
        energy=float(np.median(energies)),
        uncertainty=1.0,
        shape=((0.0, 0.01, 1.0),),
    )
