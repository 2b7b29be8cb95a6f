"""Emission lines of the reference sample, with their natural shapes."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import voigt_profile

from rixs_pipeline.types import FloatArray

# of a Gaussian
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
# eV, step of the grid on which the maximum of a line is located
MAXIMUM_STEP = 0.002
# eV, half width of that grid
MAXIMUM_HALF_WIDTH = 6
# eV FWHM, resolution at which `Line.maximum` is defined
MAXIMUM_RESOLUTION = 1.0


class Lorentzian(NamedTuple):
    """A component of a line.

    Attributes
    ----------
    centre
        eV.
    fwhm
        Full width at half maximum, eV.
    share
        Share of the line's area; those of a line are normalised to 1.
    """

    centre: float
    fwhm: float
    share: float


@dataclass(frozen=True)
class Line:
    """A line: a sum of Lorentzians, broadened by one Gaussian.

    Attributes
    ----------
    components
        The Lorentzians.
    sigma
        Standard deviation of the Gaussian, eV.
    maximum
        Energy of the maximum at a resolution of 1 eV FWHM, eV.
    """

    components: tuple[Lorentzian, ...]
    sigma: float
    maximum: float


# Positions: NIST SRD-128. Shapes of C, N, O (polymers) and Fe, Ni, Cu (metals): HAUSKat
# fits of 2024, which include Lb. The shapes of the others are plain.
LINES = {
    "C_Ka": Line(
        components=(
            Lorentzian(275.29, 0.62, 0.28),
            Lorentzian(277.94, 0.4, 0.25),
            Lorentzian(280.61, 0.4, 0.20),
            Lorentzian(271.14, 5.8, 0.26),
        ),
        sigma=1.09,
        maximum=277.0,
    ),
    "N_Ka": Line(
        components=(
            Lorentzian(394.72, 0.42, 0.22),
            Lorentzian(392.95, 0.54, 0.18),
            Lorentzian(390.93, 2.5, 0.45),
            Lorentzian(387.02, 2.0, 0.11),
            Lorentzian(377.25, 8.9, 0.04),
        ),
        sigma=0.35,
        maximum=392.4,
    ),
    "O_Ka": Line(
        components=(
            Lorentzian(526.61, 0.4, 0.20),
            Lorentzian(524.78, 0.4, 0.36),
            Lorentzian(522.93, 2.0, 0.44),
        ),
        sigma=0.98,
        maximum=524.9,
    ),
    "F_Ka": Line((Lorentzian(676.8, 1.5, 1.0),), sigma=1.0, maximum=676.8),
    "Ti_La": Line((Lorentzian(452.16, 2.5, 1.0),), sigma=0.6, maximum=452.16),
    "V_La": Line((Lorentzian(511.27, 2.5, 1.0),), sigma=0.6, maximum=511.27),
    "Cr_La": Line((Lorentzian(572.9, 2.5, 1.0),), sigma=0.6, maximum=572.9),
    "Mn_La": Line(
        components=(Lorentzian(637.44, 2.5, 0.8), Lorentzian(648.8, 3.5, 0.2)),
        sigma=0.6,
        maximum=637.44,
    ),
    "Fe_La": Line(
        components=(
            Lorentzian(705.51, 0.89, 0.26),
            Lorentzian(703.04, 4.1, 0.38),
            Lorentzian(716.91, 4.4, 0.26),
            Lorentzian(718.46, 0.73, 0.04),
            Lorentzian(698.55, 6.3, 0.05),
        ),
        sigma=0.97,
        maximum=704.8,
    ),
    "Co_La": Line(
        components=(Lorentzian(776.25, 2.3, 0.8), Lorentzian(791.41, 3.3, 0.2)),
        sigma=0.6,
        maximum=776.25,
    ),
    "Ni_La": Line(
        components=(
            Lorentzian(850.40, 1.26, 0.28),
            Lorentzian(851.63, 0.4, 0.28),
            Lorentzian(868.31, 2.0, 0.15),
            Lorentzian(855.14, 10.0, 0.19),
            Lorentzian(847.30, 5.3, 0.10),
        ),
        sigma=0.59,
        maximum=851.47,
    ),
    "Cu_La": Line(
        components=(
            Lorentzian(929.63, 1.03, 0.56),
            Lorentzian(949.51, 1.9, 0.16),
            Lorentzian(933.36, 4.0, 0.17),
            Lorentzian(926.87, 2.9, 0.10),
        ),
        sigma=0.54,
        maximum=929.68,
    ),
    "Zn_La": Line(
        components=(Lorentzian(1011.77, 2.5, 0.8), Lorentzian(1034.65, 3.5, 0.2)),
        sigma=0.6,
        maximum=1011.77,
    ),
}
LINES |= {
    f"{element}_Ka": Line(
        components=(Lorentzian(alpha_1, fwhm, 2 / 3), Lorentzian(alpha_2, fwhm, 1 / 3)),
        sigma=0.0,
        maximum=maximum,
    )
    # K alpha 1 and 2, natural width and maximum, eV: X-ray Data Booklet, as in
    # configs/references/kalpha.yaml
    for element, alpha_1, alpha_2, fwhm, maximum in (
        ("Si", 1739.98, 1739.38, 0.5, 1739.78),
        ("S", 2307.84, 2306.64, 0.6, 2307.84),
        ("Ca", 3691.68, 3688.09, 0.95, 3691.68),
        ("Ti", 4510.84, 4504.86, 1.16, 4510.84),
        ("Fe", 6403.84, 6390.84, 1.61, 6403.84),
        ("Cu", 8047.78, 8027.83, 2.11, 8047.78),
    )
}


def voigt(energy: FloatArray, centre: float, sigma: float, fwhm: float) -> FloatArray:
    """Return a Voigt profile of unit area.

    Parameters
    ----------
    energy
        eV, any shape.
    centre
        eV.
    sigma
        Standard deviation of the Gaussian, eV.
    fwhm
        Full width at half maximum of the Lorentzian, eV.

    Returns
    -------
    ndarray
        Density per eV, shaped like `energy`.
    """
    profile: FloatArray = voigt_profile(energy - centre, sigma, fwhm / 2)
    return profile


def gaussian(
    energy: FloatArray, centre: FloatArray | float, sigma: float
) -> FloatArray:
    """Return a Gaussian of unit area.

    Parameters
    ----------
    energy
        eV, any shape.
    centre
        eV; an array is broadcast against `energy`.
    sigma
        Standard deviation, eV.

    Returns
    -------
    ndarray
        Density per eV.
    """
    area = sigma * np.sqrt(2 * np.pi)
    density: FloatArray = np.exp(-0.5 * ((energy - centre) / sigma) ** 2) / area
    return density


def _published_profile(line: Line, energy: FloatArray, resolution: float) -> FloatArray:
    """Return a line's shape as published: its maximum is not yet at `Line.maximum`."""
    sigma = float(np.hypot(line.sigma, resolution / FWHM_PER_SIGMA))
    total_share = sum(component.share for component in line.components)
    parts = []
    for component in line.components:
        profile = voigt(energy, component.centre, sigma, component.fwhm)
        parts.append(component.share / total_share * profile)
    return np.asarray(np.sum(parts, axis=0))


@cache
def line_shift(name: str) -> float:
    """Return the shift that moves a line's maximum to `Line.maximum`, eV."""
    line = LINES[name]
    low = line.maximum - MAXIMUM_HALF_WIDTH
    high = line.maximum + MAXIMUM_HALF_WIDTH
    energy = np.arange(low, high, MAXIMUM_STEP)
    profile = _published_profile(line, energy, MAXIMUM_RESOLUTION)
    return line.maximum - float(energy[np.argmax(profile)])


def line_profile(name: str, energy: FloatArray, resolution: float = 0.0) -> FloatArray:
    """Return the profile of a line, of unit area.

    Parameters
    ----------
    name
        A key of `LINES`.
    energy
        Emission energy, eV, any shape.
    resolution
        FWHM of a Gaussian detector, eV; 0 is the line as it leaves the sample.

    Returns
    -------
    ndarray
        Density per eV, shaped like `energy`.
    """
    shift = line_shift(name)
    return _published_profile(LINES[name], energy - shift, resolution)
