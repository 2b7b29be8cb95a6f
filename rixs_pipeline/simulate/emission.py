"""What leaves the sample at every incident energy, without noise or detector.

A thick sample. An absorber X with absorption mu_X emits fluorescence of the profile F_X
with the intensity

    I(E_in, E_out) = y_X mu_X(E_in) F_X(E_out; E_in) / (mu(E_in) + g mu(E_out)),
    g = sin(alpha) / sin(beta)

(Achkar et al., PRB 83, 081106 (2011)), so that non-resonant lines show the inverse of
the absorption and resonant lines saturate. Absorption is in arbitrary units: only
ratios matter. The numbers are a model of an LMR cathode, not a measurement.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import numpy as np

from rixs_pipeline.simulate.absorption import (
    ABSORBERS,
    absorption,
    element_absorption,
    redox_absorption,
)
from rixs_pipeline.simulate.lines import (
    FWHM_PER_SIGMA,
    LINES,
    gaussian,
    line_profile,
    voigt,
)
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import Sample
from rixs_pipeline.types import FloatArray


class Band(NamedTuple):
    """A Gaussian part of a spectrum: centre (eV), sigma (eV), share of the area."""

    centre: float
    sigma: float
    share: float


class LightPart(StrEnum):
    """Parts of the light that leaves a sample."""

    ALL = "all"
    FLUORESCENCE = "fluorescence"  # with inelastic light and the continuum
    ELASTIC = "elastic"


@dataclass(frozen=True)
class ElasticLight:
    """Strength of the elastic light.

    Attributes
    ----------
    strength : float
        Factor of its intensity.
    resonance : float or None
        None: it follows the resonant absorption, and is absorbed in the sample as other
        light is. A number r: its intensity is the same at all incident energies, times
        1 + r at the highest resonance of the scanned edge.
    """

    strength: float = 1.0
    resonance: float | None = None


PLAIN_ELASTIC = ElasticLight()
EMISSION_GRID = np.linspace(200.0, 1100.0, 3601)  # eV, on which spectra are computed
# of the highest line: reference runs are computed up to there
REFERENCE_MARGIN = 1.1
SCALE_POINTS = 201  # incident energies at which the mean yield is computed

# g: 30 degrees of incidence, detector at 90 degrees to the beam
GEOMETRY = np.sin(np.radians(30)) / np.sin(np.radians(60))

REDOX_EMISSION = 523.6  # eV, emission energy of the oxygen-redox feature
REDOX_EMISSION_SIGMA = 0.60  # eV
ELASTIC_FWHM = 0.5  # eV, bandwidth of the beamline
ELASTIC_SIGMA = ELASTIC_FWHM / FWHM_PER_SIGMA  # eV
ELASTIC = 0.008  # elastic light off resonance
ELASTIC_RESONANT = 0.06  # elastic light a unit of resonant absorption
CONTINUUM = 3e-5  # scattered light per eV of emission, below the incident energy
CUTOFF_WIDTH = 0.2  # eV, over which inelastic light vanishes at the incident energy

# share of resonant absorption that is emitted at constant loss (d-d, charge transfer)
INELASTIC_SHARE = 0.40
LOSSES = (Band(1.7, 0.7, 0.40), Band(3.2, 1.0, 0.25), Band(6.2, 2.0, 0.35))
# O 2p band of the oxide
O_BAND = (Band(525.4, 1.1, 0.55), Band(523.2, 1.5, 0.28), Band(520.3, 1.9, 0.17))
COSTER_KRONIG = 0.55  # share of L2 holes that decay as L3 holes
BETA_SHIFT = {"Mn": 11.36, "Co": 15.16, "Ni": 17.30}  # Lb - La, NIST SRD-128, eV
METAL_SIGMA = 0.6  # eV, Gaussian width of a metal's lines
ALPHA_FWHM, BETA_FWHM = 2.4, 3.2  # eV, Lorentzian widths of La and Lb

CONTAMINANT_WEIGHT = 0.15  # area of a contaminant's line, relative to the other lines
PARKED_ELASTIC = 0.4  # area of the parked elastic line, relative to the other lines
REFERENCE_CONTINUUM = 2e-4  # of the reference run per eV, below the parked energy


def _sum_of_bands(energy: FloatArray, bands: tuple[Band, ...]) -> FloatArray:
    parts = [band.share * gaussian(energy, band.centre, band.sigma) for band in bands]
    return np.asarray(sum(parts))


def _oxygen_fluorescence(
    incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    part = element_absorption("O", incident, sample)
    absorbed = (part.resonant + part.continuum)[:, None]
    redox = redox_absorption(incident, sample)[:, None]
    feature = redox * gaussian(emission, REDOX_EMISSION, REDOX_EMISSION_SIGMA)
    return absorbed * _sum_of_bands(emission, O_BAND) + feature


def _metal_fluorescence(
    element: str, incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    """Return La and Lb at constant emission energy, and losses at constant loss."""
    absorber = ABSORBERS[element]
    part = element_absorption(element, incident, sample)
    resonant, continuum = part.resonant[:, None], part.continuum[:, None]
    alpha_energy = LINES[absorber.line].maximum
    beta_energy = alpha_energy + BETA_SHIFT[element]
    alpha = voigt(emission, alpha_energy, METAL_SIGMA, ALPHA_FWHM)
    beta = voigt(emission, beta_energy, METAL_SIGMA, BETA_FWHM)
    beta_share = (1 - COSTER_KRONIG) * part.l2_share[:, None]
    lines = (1 - beta_share) * alpha + beta_share * beta
    losses = _sum_of_bands(incident[:, None] - emission, LOSSES)
    at_constant_emission = (continuum + (1 - INELASTIC_SHARE) * resonant) * lines
    at_constant_loss = INELASTIC_SHARE * resonant * losses
    return absorber.fluorescence_yield * (at_constant_emission + at_constant_loss)


def _fluorescence(
    element: str, incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    """Return y_X mu_X F_X of an element, f8 (incident, emission)."""
    if element == "O":
        return _oxygen_fluorescence(incident, emission, sample)
    if element in BETA_SHIFT:
        return _metal_fluorescence(element, incident, emission, sample)
    absorber = ABSORBERS[element]
    part = element_absorption(element, incident, sample)
    absorbed = (part.resonant + part.continuum)[:, None]
    profile = line_profile(absorber.line, emission)
    return absorber.fluorescence_yield * absorbed * profile


def _elastic(incident: FloatArray, emission: FloatArray, sample: Sample) -> FloatArray:
    resonant = sum(
        element_absorption(element, incident, sample).resonant for element in ABSORBERS
    )
    strength = ELASTIC + ELASTIC_RESONANT * np.asarray(resonant)
    return strength[:, None] * _elastic_profile(incident, emission)


def _elastic_profile(incident: FloatArray, emission: FloatArray) -> FloatArray:
    return gaussian(emission, incident[:, None], ELASTIC_SIGMA)


def _steady_elastic(
    incident: FloatArray,
    emission: FloatArray,
    edge: str,
    sample: Sample,
    resonance: float,
) -> FloatArray:
    """Return elastic light after self-absorption that is steady but for a resonance."""
    scanned = scan_energies(edge, SCALE_POINTS)
    first = scanned[:1]
    level = ELASTIC / ((1 + GEOMETRY) * absorption(first, sample))
    element = edge.partition("_")[0]
    highest = element_absorption(element, scanned, sample).resonant.max()
    shape = element_absorption(element, incident, sample).resonant
    if highest > 0:
        shape = shape / highest
    amplitude = level * (1 + resonance * shape)
    return np.asarray(amplitude[:, None] * _elastic_profile(incident, emission))


def _inelastic(
    incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    """Return fluorescence, losses and continuum before self-absorption."""
    fluorescence = sum(
        _fluorescence(element, incident, emission, sample) for element in ABSORBERS
    )
    inelastic = fluorescence + CONTINUUM
    # no photon leaves with more energy than came in
    excess = (emission - incident[:, None]) / CUTOFF_WIDTH
    return np.asarray(inelastic / (1 + np.exp(np.clip(excess, -50, 50))))


def _attenuation(
    incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    absorption_in = absorption(incident, sample)[:, None]
    absorption_out = absorption(emission, sample)
    return np.asarray(absorption_in + GEOMETRY * absorption_out)


def _unscaled_intensity(
    incident: FloatArray, emission: FloatArray, sample: Sample
) -> FloatArray:
    """Return light after self-absorption, arbitrary units, (incident, emission)."""
    inelastic = _inelastic(incident, emission, sample)
    elastic = _elastic(incident, emission, sample)
    attenuation = _attenuation(incident, emission, sample)
    return np.asarray((inelastic + elastic) / attenuation)


@cache
def _scale(edge: str) -> float:
    """Return the factor that scales the mean yield of a plain sample to 1."""
    incident = scan_energies(edge, SCALE_POINTS)
    density = _unscaled_intensity(incident, EMISSION_GRID, Sample(name="plain"))
    step = EMISSION_GRID[1] - EMISSION_GRID[0]
    yields = np.sum(density, axis=1) * step
    return 1.0 / float(np.mean(yields))


def intensity(
    incident: FloatArray,
    emission: FloatArray,
    edge: str,
    sample: Sample,
    *,
    elastic: ElasticLight = PLAIN_ELASTIC,
    part: LightPart = LightPart.ALL,
) -> FloatArray:
    """Return the noise-free density of photons that leave the sample.

    Parameters
    ----------
    incident
        Incident energies, f8 (point,), eV.
    emission
        Emission energies, f8 (energy,), eV.
    edge
        A key of `SCAN_RANGES`. It sets the scale only: a plain sample yields one photon
        on average over the points of a scan of this edge.
    sample
        The sample.
    elastic
        Strength of the elastic light; the scale does not depend on it.
    part
        Which light.

    Returns
    -------
    ndarray
        f8 (point, energy), per eV of emission. Times `rate` and the beam it is
        photons/(s eV) on a mean pixel.
    """
    incident = np.asarray(incident, float)
    emission = np.asarray(emission, float)
    if part is LightPart.ALL and elastic == PLAIN_ELASTIC:
        return _scale(edge) * _unscaled_intensity(incident, emission, sample)
    light = np.zeros((len(incident), len(emission)))
    attenuation = _attenuation(incident, emission, sample)
    if part is not LightPart.ELASTIC:
        light += _inelastic(incident, emission, sample) / attenuation
    if part is not LightPart.FLUORESCENCE and elastic.resonance is None:
        scattered = _elastic(incident, emission, sample) / attenuation
        light += elastic.strength * scattered
    elif part is not LightPart.FLUORESCENCE:
        scattered = _steady_elastic(
            incident, emission, edge, sample, elastic.resonance or 0.0
        )
        light += elastic.strength * scattered
    return _scale(edge) * light


def reference_grid(names: tuple[str, ...], parked_energy: float) -> FloatArray:
    """Return the emission energies on which a reference run is computed, f8, eV.

    `EMISSION_GRID`, continued for lines and elastic light beyond it.
    """
    highest = max([LINES[name].maximum for name in names], default=parked_energy)
    highest = max(highest, parked_energy)
    low, high = EMISSION_GRID[[0, -1]].tolist()
    if highest < high:
        return EMISSION_GRID
    step = EMISSION_GRID[1] - EMISSION_GRID[0]
    number = int(np.ceil((REFERENCE_MARGIN * highest - low) / step))
    return np.asarray(low + step * np.arange(number + 1))


def reference_density(
    emission: FloatArray,
    lines: tuple[str, ...],
    contaminants: tuple[str, ...],
    parked_energy: float,
) -> FloatArray:
    """Return the spectrum of a reference run, of unit area.

    Parameters
    ----------
    emission
        Emission energies, f8, eV.
    lines
        Lines of the reference sample, keys of `LINES`.
    contaminants
        Weaker lines that the reference sample should not emit, keys of `LINES`.
    parked_energy
        Incident energy, eV; the spectrum includes its elastic line.

    Returns
    -------
    ndarray
        Density per eV, shaped like `emission`: lines, elastic line, continuum.
    """
    weights = dict.fromkeys(lines, 1.0)
    weights |= dict.fromkeys(contaminants, CONTAMINANT_WEIGHT)
    profiles = [
        weight * line_profile(name, emission) for name, weight in weights.items()
    ]
    elastic = PARKED_ELASTIC * gaussian(emission, parked_energy, ELASTIC_SIGMA)
    continuum = REFERENCE_CONTINUUM * (emission < parked_energy)
    density = sum(profiles) + elastic + continuum
    continuum_area = REFERENCE_CONTINUUM * (parked_energy - EMISSION_GRID[0])
    area = sum(weights.values()) + PARKED_ELASTIC + continuum_area
    return np.asarray(density / area)
