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
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.types import FloatArray, IndexArray

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
SMALLEST_PROBABILITY = 1e-9  # of a misfit


@dataclass(frozen=True)
class KnownLines:
    """Lines that a peak may be, besides the strongest of all elements.

    Attributes
    ----------
    set_energy
        (m,) of the lines of the reference set, Lb and Kb apart, eV.
    elastic_energy
        Reading of the parked monochromator, eV; NaN if unknown.
    """

    set_energy: FloatArray
    elastic_energy: float


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

    def contradicts(
        self, n_lines: int, *, are_named: bool, misfit_probability: float = 1.0
    ) -> bool:
        """Return whether the peaks outweigh the lines.

        Parameters
        ----------
        n_lines
            Fitted lines that carry the energy scale.
        are_named
            Whether the config names the lines. If not, at least one line must confirm
            the others.
        misfit_probability
            That right lines miss a smooth curve by as much.

        Returns
        -------
        bool
            Whether the lines are likely to be taken for others.

        Notes
        -----
        These are odds in powers of ten. A wrong curve meets a line of the set in one
        case of ten, so that a confirming line counts 1, and a misfit that one in ten
        right curves has counts -1.
        """
        n_confirming = n_lines - N_DETERMINING
        against = WEIGHT_UNEXPLAINED * len(self.unexplained)
        if are_named:
            return 0 < against >= n_confirming
        against += WEIGHT_FOREIGN * self.n_foreign
        against -= float(np.log10(max(misfit_probability, SMALLEST_PROBABILITY)))
        return against >= n_confirming


NO_EVIDENCE = PeakEvidence(np.empty(0), 0)


def weigh_peaks(
    peaks: Peaks,
    energy: FloatArray,
    line_peaks: IndexArray,
    known: KnownLines,
    reach: FloatArray,
) -> PeakEvidence:
    """Return what the strong peaks of a pixel say against its lines.

    Parameters
    ----------
    peaks
        Of the pixel.
    energy
        (peak,) of the peaks on its scale, eV.
    line_peaks
        (line,) index of each line's peak; -1 where it has none.
    known
        Lines that the peaks may be.
    reach
        (peak,) distance within which a peak is a line, eV.

    Returns
    -------
    PeakEvidence
        Nothing where the scale does not reach.
    """
    of_lines = peaks.significance[line_peaks[line_peaks >= 0]]
    if not len(of_lines):
        return NO_EVIDENCE
    usual = float(np.median(of_lines))
    is_strong = peaks.significance > STRONG_PEAK_SHARE * usual
    l_beta = l_beta_lines(energy[is_strong], reach[is_strong])
    is_of_set = _distance(energy, np.append(known.set_energy, l_beta)) < reach
    elastic_unit = EnergyRange.up_to(known.elastic_energy).energy_unit
    elastic_distance = np.abs(energy - known.elastic_energy)
    is_elastic = elastic_distance < ELASTIC_REACH_EV * elastic_unit
    is_noise = energy < NOISE_SHARE * known.set_energy.min()
    is_other = is_strong & ~(is_of_set | is_elastic | is_noise)
    is_foreign = is_other & (_distance(energy, STRONGEST_EV) < reach)
    unexplained = peaks.pulse_height[is_other & ~is_foreign]
    return PeakEvidence(np.sort(unexplained), int(np.count_nonzero(is_foreign)))


def peak_reach(energy: FloatArray, line_energy: FloatArray) -> FloatArray:
    """Return how far (peak,) eV a peak of a calibrated pixel may be off its line.

    Parameters
    ----------
    energy
        (peak,) eV.
    line_energy
        (line,) of the lines that carry the energy scale, eV.

    Returns
    -------
    FloatArray
        (peak,) more outside the lines.
    """
    lowest, highest = line_energy.min(), line_energy.max()
    beyond = np.maximum(lowest - energy, energy - highest)
    width_unit = EnergyRange.up_to(float(highest)).width_unit
    extrapolated = EXTRAPOLATION * np.maximum(beyond, 0.0)
    return np.asarray(REACH_EV * width_unit + extrapolated)


def _distance(energy: FloatArray, lines: FloatArray) -> FloatArray:
    """Return the distances (peak,) eV of energies from the nearest line (line,) eV."""
    return np.asarray(np.abs(energy[:, None] - lines).min(axis=1))
