"""The physics of spectra: what leaves the sample at every incident energy, without noise or detector.

A thick sample. An absorber X with absorption mu_X gives fluorescence of the profile F_X at
    I(E_in, E_out) = y_X mu_X(E_in) F_X(E_out; E_in) / (mu(E_in) + g mu(E_out)),   g = sin(alpha) / sin(beta)
(Achkar et al., PRB 83, 081106 (2011)), so that non-resonant lines show the inverse of the absorption and resonant
ones saturate. mu is in arbitrary units: only ratios matter. The numbers resemble a charged
Li1.2Ni0.15Co0.1Mn0.55O2 electrode with its binder; they are a model, not a measurement.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.lines import FWHM, LINES, gaussian, line_profile, voigt
from rixs_pipeline.simulate.settings import Sample

Array = NDArray[np.float64]
Peaks = tuple[tuple[float, float, float], ...]

GEOMETRY = np.sin(np.radians(30)) / np.sin(
    np.radians(60)
)  # g: 30 degrees in, detector at 90 degrees to the beam
REDOX_INCIDENT, REDOX_EMISSION = 531.0, 523.6  # eV
REDOX_SIGMA = (0.55, 0.60)  # eV, along the incident and the emission energy
REDOX_SHARE = 0.16  # of the O K jump, for a sample of amplitude 1
ELASTIC_FWHM = 0.5  # bandwidth of the beamline, eV
ELASTIC, ELASTIC_RESONANT = (
    0.008,
    0.06,
)  # elastic light: off resonance; a unit of resonant absorption
CONTINUUM = 3e-5  # scattered light per eV of emission, below the incident energy
INELASTIC_SHARE = 0.40  # of resonant absorption that is emitted at constant loss (d-d, charge transfer)
LOSSES: Peaks = (
    (1.7, 0.7, 0.40),
    (3.2, 1.0, 0.25),
    (6.2, 2.0, 0.35),
)  # eV, sigma, share
O_BAND: Peaks = (
    (525.4, 1.1, 0.55),
    (523.2, 1.5, 0.28),
    (520.3, 1.9, 0.17),
)  # O 2p band of the oxide: eV, sigma, share
COSTER_KRONIG = 0.55  # share of L2 holes that decay as L3 holes


@dataclass(frozen=True)
class Absorber:
    """One element: peaks and steps (eV, full width at half maximum, height) of its edge; the jump of a K edge is 1."""

    amount: float
    peaks: Peaks
    steps: Peaks
    yield_: float
    line: str
    l2_from: float = np.inf  # peaks and steps from here on make L2 holes, eV


ABSORBERS = {
    "C": Absorber(
        0.30,
        ((285.3, 1.1, 0.7), (288.4, 1.2, 0.5), (292.8, 4.0, 0.5)),
        ((291.0, 1.5, 1.0),),
        1.0,
        "C_Ka",
    ),
    "O": Absorber(
        1.0,
        (
            (529.2, 1.3, 0.40),
            (531.7, 1.8, 0.30),
            (537.8, 4.5, 0.50),
            (542.5, 6.0, 0.45),
        ),
        ((536.5, 2.0, 1.0),),
        1.0,
        "O_Ka",
    ),
    "F": Absorber(1.0, ((689.5, 2.5, 0.6),), ((692.0, 2.0, 1.0),), 1.0, "F_Ka"),
    "Mn": Absorber(
        0.75,
        (
            (640.4, 1.0, 0.30),
            (641.9, 1.2, 0.55),
            (643.4, 1.7, 1.0),
            (652.9, 2.3, 0.35),
            (654.3, 2.3, 0.40),
        ),
        ((643.5, 1.0, 0.14), (654.5, 1.0, 0.07)),
        0.7,
        "Mn_La",
        650.0,
    ),
    "Co": Absorber(
        0.55,
        (
            (778.9, 1.0, 0.22),
            (780.5, 1.4, 1.0),
            (782.4, 2.0, 0.40),
            (794.4, 2.0, 0.45),
            (796.2, 2.3, 0.20),
        ),
        ((782.0, 1.0, 0.14), (796.0, 1.0, 0.07)),
        1.0,
        "Co_La",
        789.0,
    ),
    "Ni": Absorber(
        0.6,
        ((853.1, 1.0, 0.70), (855.2, 1.6, 1.0), (870.4, 1.9, 0.32), (872.2, 2.1, 0.36)),
        ((856.0, 1.0, 0.14), (872.5, 1.0, 0.07)),
        1.0,
        "Ni_La",
        864.0,
    ),
}
BETA_SHIFT = {"Mn": 11.36, "Co": 15.16, "Ni": 17.30}  # Lb - La, NIST SRD-128, eV

# limits of a scan and where its points are six times as dense, eV
SCANS = {
    "C_K": ((280.0, 310.0), ((284.0, 294.0),)),
    "O_K": ((526.0, 550.0), ((528.0, 534.0),)),
    "Mn_L": ((635.0, 660.0), ((639.5, 645.0), (652.0, 656.0))),
    "Co_L": ((770.0, 805.0), ((777.5, 784.0), (793.0, 797.5))),
    "Ni_L": ((845.0, 880.0), ((851.5, 857.5), (869.5, 873.5))),
}


def scan_energies(edge: str, points: int) -> Array:
    """Incident energies of a scan, f8 (points,), eV, ascending on a 0.01 eV raster, denser at the features."""
    (low, high), features = SCANS[edge]
    fine = np.linspace(low, high, 4001)
    density = 1.0 + 5.0 * np.any(
        [(fine >= a) & (fine <= b) for a, b in features], axis=0
    )
    position = np.cumsum(density)
    return np.round(
        np.interp(np.linspace(position[0], position[-1], points), position, fine), 2
    )


def _lorentzians(energy: Array, peaks: Peaks) -> Array:
    total = np.zeros_like(energy)
    for centre, fwhm, height in peaks:
        total += height / (1 + ((energy - centre) / (fwhm / 2)) ** 2)
    return total


def _arctans(energy: Array, steps: Peaks) -> Array:
    total = np.zeros_like(energy)
    for centre, fwhm, height in steps:
        total += height * (0.5 + np.arctan((energy - centre) / (fwhm / 2)) / np.pi)
    return total


def _amount(element: str, sample: Sample) -> float:
    """The binder's elements stay where the oxide's are scaled."""
    if element == "F":
        return sample.fluorine
    return ABSORBERS[element].amount * (1.0 if element == "C" else sample.oxide)


def _edge_parts(
    element: str, energy: Array, sample: Sample, surface: bool
) -> tuple[Array, Array, Array]:
    """Resonant and continuum absorption of one element, and the L2 share of both together, f8 like `energy`."""
    absorber = ABSORBERS[element]
    peaks = absorber.peaks
    if (
        surface and absorber.l2_from < np.inf
    ):  # reduced metal: weight moves to the first peak
        first, *middle, last = [p for p in peaks if p[0] < absorber.l2_from]
        taken = 0.3 * sample.reduction
        moved = (
            (first[0], first[1], first[2] + taken),
            *middle,
            (last[0], last[1], last[2] - taken),
        )
        peaks = moved + tuple(p for p in peaks if p[0] >= absorber.l2_from)
    decay = (
        _amount(element, sample)
        * np.maximum(energy / absorber.steps[0][0], 1.0) ** -2.7
    )
    resonant, continuum = _lorentzians(energy, peaks), _arctans(energy, absorber.steps)
    l2 = _lorentzians(energy, tuple(p for p in peaks if p[0] >= absorber.l2_from))
    l2 += _arctans(energy, tuple(s for s in absorber.steps if s[0] >= absorber.l2_from))
    return resonant * decay, continuum * decay, l2 / (resonant + continuum)


def _redox(energy: Array, sample: Sample) -> Array:
    return (
        sample.oxide
        * sample.redox
        * REDOX_SHARE
        * np.exp(-0.5 * ((energy - REDOX_INCIDENT) / REDOX_SIGMA[0]) ** 2)
    )


def absorption(energy: Array, sample: Sample, surface: bool = False) -> Array:
    """Total absorption mu of a sample, arbitrary units.

    Args:
        energy: f8 (any shape), eV.
        sample: the sample.
        surface: the few nanometres that TEY sees, where the metals may be reduced, instead of the bulk.
    """
    energy = np.asarray(energy, float)
    total = 0.5 * (energy / 300.0) ** -2.7 + _redox(energy, sample)
    for element in ABSORBERS:
        resonant, continuum, _ = _edge_parts(element, energy, sample, surface)
        total += resonant + continuum
    return total


def _fluorescence(
    element: str, incident: Array, emission: Array, sample: Sample
) -> Array:
    """y_X mu_X F_X of one element before self-absorption, (incident, emission)."""
    absorber = ABSORBERS[element]
    resonant, continuum, l2 = (
        part[:, None] for part in _edge_parts(element, incident, sample, False)
    )
    if element == "O":
        band = sum(
            share * gaussian(emission, centre, sigma) for centre, sigma, share in O_BAND
        )
        feature = _redox(incident, sample)[:, None] * gaussian(
            emission, REDOX_EMISSION, REDOX_SIGMA[1]
        )
        return (resonant + continuum) * band + feature
    if element not in BETA_SHIFT:
        return (
            absorber.yield_
            * (resonant + continuum)
            * line_profile(absorber.line, emission)
        )
    centre = LINES[absorber.line].maximum
    beta = (1 - COSTER_KRONIG) * l2
    constant = (1 - beta) * voigt(emission, centre, 0.6, 2.4) + beta * voigt(
        emission, centre + BETA_SHIFT[element], 0.6, 3.2
    )
    loss = incident[:, None] - emission
    following = sum(
        share * gaussian(loss, position, sigma) for position, sigma, share in LOSSES
    )
    return absorber.yield_ * (
        (continuum + (1 - INELASTIC_SHARE) * resonant) * constant
        + INELASTIC_SHARE * resonant * following
    )


def _elastic(incident: Array, emission: Array, sample: Sample) -> Array:
    resonant = sum(
        _edge_parts(element, incident, sample, False)[0] for element in ABSORBERS
    )
    strength = ELASTIC + ELASTIC_RESONANT * np.asarray(resonant)
    return strength[:, None] * gaussian(
        emission, incident[:, None], ELASTIC_FWHM / FWHM
    )


def _density(incident: Array, emission: Array, sample: Sample) -> Array:
    inelastic = (
        sum(_fluorescence(element, incident, emission, sample) for element in ABSORBERS)
        + CONTINUUM
    )
    # no photon leaves with more energy than came in
    inelastic = inelastic / (
        1 + np.exp(np.clip((emission - incident[:, None]) / 0.2, -50, 50))
    )
    mu = absorption(incident, sample)[:, None] + GEOMETRY * absorption(emission, sample)
    return np.asarray((inelastic + _elastic(incident, emission, sample)) / mu)


@cache
def _scale(edge: str) -> float:
    """What makes the mean yield of a scan's points of a plain sample one photon."""
    incident, emission = scan_energies(edge, 201), np.linspace(200.0, 1100.0, 3601)
    density = _density(incident, emission, Sample(name="plain"))
    return 1.0 / float(np.mean(np.sum(density, axis=1) * (emission[1] - emission[0])))


def intensity(incident: Array, emission: Array, edge: str, sample: Sample) -> Array:
    """Noise-free density of emitted photons, per eV of emission, at the sample (no detector).

    Args:
        incident: f8 (n,), eV.
        emission: f8 (m,), eV.
        edge: a key of `SCANS`; it sets the scale alone: a plain sample yields 1 on average over the scan's points.
        sample: the sample.

    Returns:
        f8 (n, m); times `rate` and the beam it is photons/(s eV) on a mean pixel.
    """
    return _scale(edge) * _density(
        np.asarray(incident, float), np.asarray(emission, float), sample
    )


def reference_density(
    emission: Array,
    lines: tuple[str, ...],
    contaminants: tuple[str, ...],
    parked: float,
) -> Array:
    """Density of the reference run, unit area, f8 like `emission`, per eV: lines, parked elastic light, continuum."""
    weights = dict.fromkeys(lines, 1.0) | dict.fromkeys(contaminants, 0.15)
    density = sum(
        weight * line_profile(name, emission) for name, weight in weights.items()
    )
    density = (
        density
        + 0.4 * gaussian(emission, parked, ELASTIC_FWHM / FWHM)
        + 2e-4 * (emission < parked)
    )
    return np.asarray(density / (sum(weights.values()) + 0.4 + 2e-4 * (parked - 200.0)))
