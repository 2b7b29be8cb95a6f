"""Emission lines of the reference sample, with their natural shapes."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # of a Gaussian, in standard deviations
FINE_STEP = 0.002  # eV, of the grid on which a line's maximum is looked for


@dataclass(frozen=True)
class Line:
    """A line: Lorentzians (centre eV, full width at half maximum eV, share), then one Gaussian sigma, eV."""

    components: tuple[tuple[float, float, float], ...]
    sigma: float
    maximum: float  # where the maximum stands at 1 eV FWHM resolution, eV


# Positions: NIST SRD-128. Shapes of C, N, O (polymers), Fe, Ni, Cu (metals): HAUSKat fits of 2024, Lb included;
# the others are plain.
LINES = {
    "C_Ka": Line(
        (
            (275.29, 0.62, 0.28),
            (277.94, 0.4, 0.25),
            (280.61, 0.4, 0.20),
            (271.14, 5.8, 0.26),
        ),
        1.09,
        277.0,
    ),
    "N_Ka": Line(
        (
            (394.72, 0.42, 0.22),
            (392.95, 0.54, 0.18),
            (390.93, 2.5, 0.45),
            (387.02, 2.0, 0.11),
            (377.25, 8.9, 0.04),
        ),
        0.35,
        392.4,
    ),
    "O_Ka": Line(
        ((526.61, 0.4, 0.20), (524.78, 0.4, 0.36), (522.93, 2.0, 0.44)), 0.98, 524.9
    ),
    "F_Ka": Line(((676.8, 1.5, 1.0),), 1.0, 676.8),
    "Ti_La": Line(((452.16, 2.5, 1.0),), 0.6, 452.16),
    "V_La": Line(((511.27, 2.5, 1.0),), 0.6, 511.27),
    "Cr_La": Line(((572.9, 2.5, 1.0),), 0.6, 572.9),
    "Mn_La": Line(((637.44, 2.5, 0.8), (648.8, 3.5, 0.2)), 0.6, 637.44),
    "Fe_La": Line(
        (
            (705.51, 0.89, 0.26),
            (703.04, 4.1, 0.38),
            (716.91, 4.4, 0.26),
            (718.46, 0.73, 0.04),
            (698.55, 6.3, 0.05),
        ),
        0.97,
        704.8,
    ),
    "Co_La": Line(((776.25, 2.3, 0.8), (791.41, 3.3, 0.2)), 0.6, 776.25),
    "Ni_La": Line(
        (
            (850.40, 1.26, 0.28),
            (851.63, 0.4, 0.28),
            (868.31, 2.0, 0.15),
            (855.14, 10.0, 0.19),
            (847.30, 5.3, 0.10),
        ),
        0.59,
        851.47,
    ),
    "Cu_La": Line(
        (
            (929.63, 1.03, 0.56),
            (949.51, 1.9, 0.16),
            (933.36, 4.0, 0.17),
            (926.87, 2.9, 0.10),
        ),
        0.54,
        929.68,
    ),
    "Zn_La": Line(((1011.77, 2.5, 0.8), (1034.65, 3.5, 0.2)), 0.6, 1011.77),
}


def voigt(
    energy: NDArray[np.float64], centre: float, sigma: float, fwhm: float
) -> NDArray[np.float64]:
    """Unit-area Voigt profile per eV: Gaussian of `sigma` eV with a Lorentzian of `fwhm` eV."""
    from scipy.special import voigt_profile

    profile: NDArray[np.float64] = voigt_profile(energy - centre, sigma, fwhm / 2)
    return profile


def gaussian(
    energy: NDArray[np.float64], centre: NDArray[np.float64] | float, sigma: float
) -> NDArray[np.float64]:
    """Unit-area Gaussian per eV."""
    density: NDArray[np.float64] = np.exp(-0.5 * ((energy - centre) / sigma) ** 2) / (
        sigma * np.sqrt(2 * np.pi)
    )
    return density


def _components(
    line: Line, energy: NDArray[np.float64], resolution: float
) -> NDArray[np.float64]:
    sigma = float(np.hypot(line.sigma, resolution / FWHM))
    total = sum(share for _, _, share in line.components)
    parts = [
        share / total * voigt(energy, centre, sigma, fwhm)
        for centre, fwhm, share in line.components
    ]
    return np.asarray(np.sum(parts, axis=0))


@cache
def shift(name: str) -> float:
    """What moves the published shape so that its maximum, at 1 eV FWHM resolution, stands at `Line.maximum`, eV."""
    line = LINES[name]
    energy = np.arange(line.maximum - 6, line.maximum + 6, FINE_STEP)
    return line.maximum - float(energy[np.argmax(_components(line, energy, 1.0))])


def line_profile(
    name: str, energy: NDArray[np.float64], resolution: float = 0.0
) -> NDArray[np.float64]:
    """Unit-area profile of a line per eV.

    Args:
        name: a key of `LINES`.
        energy: f8 (any shape), emission energy, eV.
        resolution: FWHM of a Gaussian detector, eV; 0 is the line as it leaves the sample.
    """
    return _components(LINES[name], energy - shift(name), resolution)
