"""Strong peaks of a calibrated pixel that are no emission line of any element.

A gain curve has a scale, a bend and an offset, so that three lines always fit; each
further line confirms the identification. A strong peak where no element emits
contradicts it: if the lines were taken for others, peaks stand at arbitrary energies.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.identification.emission_lines import (
    STRONGEST_EV,
    l_beta_lines,
)
from rixs_pipeline.core.calibration.pixel import Pixel
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.types import BoolArray, FloatArray

# a strong peak has this share of the significance of the usual peak of a line
STRONG_PEAK_SHARE = 0.5
# Distance of a peak from the nearest line of up to 1 keV from which it is none: tables
# differ by up to 2.8 eV, oxides from metals by 1.5 eV, maxima by 1 eV with resolution.
REACH_EV = 5.0
# what is added to it outside the fitted lines, relative to the distance from them
EXTRAPOLATION = 0.05
# peaks below this share of the lowest line of the set are noise triggers
NOISE_SHARE = 0.5
# Distance from the reading of the monochromator within which a peak may be its elastic
# line, for lines up to 1 keV.
ELASTIC_REACH_EV = 15.0
# lines that determine the scale, the bend and the offset of a gain curve
N_DETERMINING = 3
# Lines beyond them that a peak counts against: one of no element, and one of an element
# that the reference set does not have. A wrong curve puts a peak on some line of the
# set in one case of ten, and on one of any element in one of three.
WEIGHT_UNEXPLAINED = 2.0
WEIGHT_FOREIGN = 0.5


@dataclass(frozen=True)
class PeakEvidence:
    """What the strong peaks of a pixel say against its lines.

    Attributes
    ----------
    unexplained
        (peak,) pulse heights of those that are no emission line of any element.
    n_foreign
        Number of those that are lines of elements that the reference set does not have.
    """

    unexplained: FloatArray
    n_foreign: int

    def contradicts(self, n_lines: int, *, are_named: bool) -> bool:
        """Return whether the peaks outweigh the lines.

        Parameters
        ----------
        n_lines
            Fitted lines that carry the energy scale.
        are_named
            Whether the config names the lines. If not, at least one line must confirm
            the others.

        Returns
        -------
        bool
            Whether the lines are likely to be taken for others.
        """
        n_confirming = n_lines - N_DETERMINING
        against = WEIGHT_UNEXPLAINED * len(self.unexplained)
        if are_named:
            return 0 < against >= n_confirming
        return against + WEIGHT_FOREIGN * self.n_foreign >= n_confirming


NO_EVIDENCE = PeakEvidence(np.empty(0), 0)


def weigh_peaks(
    pixel: Pixel, line_energy: FloatArray, set_energy: FloatArray, elastic_energy: float
) -> PeakEvidence:
    """Return what the strong peaks of a pixel say against its lines.

    Parameters
    ----------
    pixel
        With its energy function.
    line_energy
        (line,) of the lines that carry the energy scale, eV.
    set_energy
        (m,) of the lines of the reference set, Lb and Kb apart, eV.
    elastic_energy
        Reading of the parked monochromator, eV; NaN if unknown.

    Returns
    -------
    PeakEvidence
        Nothing without an energy function.
    """
    if not pixel.has_curve or pixel.assignment is None:
        return NO_EVIDENCE
    is_strong = _are_strong(pixel)
    heights = np.sort(pixel.peaks.pulse_height[is_strong])
    energy = curve_energy(heights, pixel.params)
    energy_range = EnergyRange.up_to(float(line_energy.max()))
    beyond = np.maximum(line_energy.min() - energy, energy - line_energy.max())
    reach = REACH_EV * energy_range.width_unit + EXTRAPOLATION * np.maximum(beyond, 0.0)
    elastic_reach = ELASTIC_REACH_EV * EnergyRange.up_to(elastic_energy).energy_unit
    is_elastic = np.abs(energy - elastic_energy) < elastic_reach
    is_noise = energy < NOISE_SHARE * set_energy.min()
    set_energy = np.append(set_energy, l_beta_lines(energy, reach))
    is_of_set = _distance(energy, set_energy) < reach
    is_other = ~(is_of_set | is_elastic | is_noise)
    is_foreign = is_other & (_distance(energy, STRONGEST_EV) < reach)
    n_foreign = int(np.count_nonzero(is_foreign))
    return PeakEvidence(heights[is_other & ~is_foreign], n_foreign)


def _distance(energy: FloatArray, lines: FloatArray) -> FloatArray:
    """Return the distances (peak,) eV of energies from the nearest line (line,) eV."""
    return np.asarray(np.abs(energy[:, None] - lines).min(axis=1))


def _are_strong(pixel: Pixel) -> BoolArray:
    """Return which peaks (peak,) are as strong as those of the pixel's lines."""
    significance = pixel.peaks.significance
    if pixel.assignment is None:
        return np.zeros(len(significance), dtype=bool)
    line_peaks = pixel.assignment.line_peaks
    of_lines = significance[line_peaks[line_peaks >= 0]]
    if not len(of_lines):
        return np.zeros(len(significance), dtype=bool)
    return np.asarray(significance > STRONG_PEAK_SHARE * np.median(of_lines))
