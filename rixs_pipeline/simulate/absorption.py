"""X-ray absorption of the simulated samples.

The numbers resemble a charged Li1.2Ni0.15Co0.1Mn0.55O2 electrode with its binder; they
are a model, not a measurement. Absorption is in arbitrary units: only ratios matter.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rixs_pipeline.simulate.settings import Sample
from rixs_pipeline.types import FloatArray

REDOX_INCIDENT = 531.0  # eV, incident energy of the oxygen-redox feature
REDOX_INCIDENT_SIGMA = 0.55  # eV
REDOX_SHARE = 0.16  # of the O K jump, for a sample of amplitude 1
SMOOTH_ABSORPTION = 0.5  # of all other absorption, at SMOOTH_ENERGY
SMOOTH_ENERGY = 300.0  # eV
FALL_OFF = -2.7  # exponent of absorption over energy beyond an edge
REDUCED_WEIGHT = 0.3  # height that full reduction moves to a metal's first peak


class Peak(NamedTuple):
    """A Lorentzian peak, or an arctangent step.

    Attributes
    ----------
    energy
        Centre, eV.
    fwhm
        Full width at half maximum, of a step that of its derivative, eV.
    height
        Relative to the jump of a K edge.
    """

    energy: float
    fwhm: float
    height: float


@dataclass(frozen=True)
class Absorber:
    """The edge of an element.

    Attributes
    ----------
    amount
        Amount of the element in a plain sample, relative to that of oxygen.
    peaks
        Resonances, ascending in energy.
    steps
        Steps into the continuum; the jump of a K edge is 1.
    fluorescence_yield
        Photons per absorption, relative to that of oxygen.
    line
        Emission line, a key of `lines.LINES`.
    l2_onset
        Energy from which peaks and steps make L2 holes, eV; infinite at K edges.
    """

    amount: float
    peaks: tuple[Peak, ...]
    steps: tuple[Peak, ...]
    fluorescence_yield: float
    line: str
    l2_onset: float = np.inf


ABSORBERS = {
    "C": Absorber(
        amount=0.30,
        peaks=(Peak(285.3, 1.1, 0.7), Peak(288.4, 1.2, 0.5), Peak(292.8, 4.0, 0.5)),
        steps=(Peak(291.0, 1.5, 1.0),),
        fluorescence_yield=1.0,
        line="C_Ka",
    ),
    "O": Absorber(
        amount=1.0,
        peaks=(
            Peak(529.2, 1.3, 0.40),
            Peak(531.7, 1.8, 0.30),
            Peak(537.8, 4.5, 0.50),
            Peak(542.5, 6.0, 0.45),
        ),
        steps=(Peak(536.5, 2.0, 1.0),),
        fluorescence_yield=1.0,
        line="O_Ka",
    ),
    "F": Absorber(
        amount=1.0,
        peaks=(Peak(689.5, 2.5, 0.6),),
        steps=(Peak(692.0, 2.0, 1.0),),
        fluorescence_yield=1.0,
        line="F_Ka",
    ),
    "Mn": Absorber(
        amount=0.75,
        peaks=(
            Peak(640.4, 1.0, 0.30),
            Peak(641.9, 1.2, 0.55),
            Peak(643.4, 1.7, 1.0),
            Peak(652.9, 2.3, 0.35),
            Peak(654.3, 2.3, 0.40),
        ),
        steps=(Peak(643.5, 1.0, 0.14), Peak(654.5, 1.0, 0.07)),
        fluorescence_yield=0.7,
        line="Mn_La",
        l2_onset=650.0,
    ),
    "Co": Absorber(
        amount=0.55,
        peaks=(
            Peak(778.9, 1.0, 0.22),
            Peak(780.5, 1.4, 1.0),
            Peak(782.4, 2.0, 0.40),
            Peak(794.4, 2.0, 0.45),
            Peak(796.2, 2.3, 0.20),
        ),
        steps=(Peak(782.0, 1.0, 0.14), Peak(796.0, 1.0, 0.07)),
        fluorescence_yield=1.0,
        line="Co_La",
        l2_onset=789.0,
    ),
    "Ni": Absorber(
        amount=0.6,
        peaks=(
            Peak(853.1, 1.0, 0.70),
            Peak(855.2, 1.6, 1.0),
            Peak(870.4, 1.9, 0.32),
            Peak(872.2, 2.1, 0.36),
        ),
        steps=(Peak(856.0, 1.0, 0.14), Peak(872.5, 1.0, 0.07)),
        fluorescence_yield=1.0,
        line="Ni_La",
        l2_onset=864.0,
    ),
}


@dataclass(frozen=True)
class ElementAbsorption:
    """Absorption of one element, f8, shaped like the energies, arbitrary units.

    Attributes
    ----------
    resonant
        Absorption into the peaks.
    continuum
        Absorption into the steps.
    l2_share
        Share of both that makes L2 holes; 0 at K edges.
    """

    resonant: FloatArray
    continuum: FloatArray
    l2_share: FloatArray


def _sum_of_lorentzians(energy: FloatArray, peaks: tuple[Peak, ...]) -> FloatArray:
    total = np.zeros_like(energy)
    for peak in peaks:
        distance = (energy - peak.energy) / (peak.fwhm / 2)
        total += peak.height / (1 + distance**2)
    return total


def _sum_of_arctangents(energy: FloatArray, steps: tuple[Peak, ...]) -> FloatArray:
    total = np.zeros_like(energy)
    for step in steps:
        distance = (energy - step.energy) / (step.fwhm / 2)
        total += step.height * (0.5 + np.arctan(distance) / np.pi)
    return total


def _reduced_peaks(absorber: Absorber, reduction: float) -> tuple[Peak, ...]:
    """Move weight from the last to the first L3 peak, as in a reduced metal."""
    l3_peaks = [peak for peak in absorber.peaks if peak.energy < absorber.l2_onset]
    l2_peaks = [peak for peak in absorber.peaks if peak.energy >= absorber.l2_onset]
    weight = REDUCED_WEIGHT * reduction
    first, *middle, last = l3_peaks
    first = first._replace(height=first.height + weight)
    last = last._replace(height=last.height - weight)
    return (first, *middle, last, *l2_peaks)


def element_absorption(
    element: str, energy: FloatArray, sample: Sample, *, surface: bool = False
) -> ElementAbsorption:
    """Return the absorption of one element of a sample.

    Parameters
    ----------
    element
        A key of `ABSORBERS`.
    energy
        Photon energies, eV, any shape.
    sample
        The sample.
    surface
        Whether of the few nanometres that TEY probes, where metals may be reduced.

    Returns
    -------
    ElementAbsorption
        Its parts, shaped like `energy`.
    """
    absorber = ABSORBERS[element]
    peaks, steps = absorber.peaks, absorber.steps
    if surface and np.isfinite(absorber.l2_onset):
        peaks = _reduced_peaks(absorber, sample.reduction)
    l2_peaks = tuple(peak for peak in peaks if peak.energy >= absorber.l2_onset)
    l2_steps = tuple(step for step in steps if step.energy >= absorber.l2_onset)

    if element == "F":
        amount = sample.fluorine
    elif element == "C":  # the binder's, which stays where there is no oxide
        amount = absorber.amount
    else:
        amount = absorber.amount * sample.oxide
    scale = amount * np.maximum(energy / steps[0].energy, 1.0) ** FALL_OFF

    resonant = _sum_of_lorentzians(energy, peaks)
    continuum = _sum_of_arctangents(energy, steps)
    l2 = _sum_of_lorentzians(energy, l2_peaks) + _sum_of_arctangents(energy, l2_steps)
    l2_share = l2 / (resonant + continuum)
    return ElementAbsorption(resonant * scale, continuum * scale, l2_share)


def redox_absorption(energy: FloatArray, sample: Sample) -> FloatArray:
    """Return the absorption of the oxygen-redox feature.

    Parameters
    ----------
    energy
        Photon energies, eV, any shape.
    sample
        The sample.

    Returns
    -------
    ndarray
        Arbitrary units, shaped like `energy`.
    """
    height = sample.oxide * sample.redox * REDOX_SHARE
    distance = (energy - REDOX_INCIDENT) / REDOX_INCIDENT_SIGMA
    return np.asarray(height * np.exp(-0.5 * distance**2))


def absorption(
    energy: FloatArray, sample: Sample, *, surface: bool = False
) -> FloatArray:
    """Return the total absorption mu of a sample.

    Parameters
    ----------
    energy
        Photon energies, eV, any shape.
    sample
        The sample.
    surface
        Whether of the few nanometres that TEY probes, where metals may be reduced.

    Returns
    -------
    ndarray
        f8, arbitrary units, shaped like `energy`.
    """
    energy = np.asarray(energy, float)
    smooth = SMOOTH_ABSORPTION * (energy / SMOOTH_ENERGY) ** FALL_OFF
    total = smooth + redox_absorption(energy, sample)
    for element in ABSORBERS:
        part = element_absorption(element, energy, sample, surface=surface)
        total += part.resonant + part.continuum
    return total
