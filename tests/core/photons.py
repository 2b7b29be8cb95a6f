"""Photons of emission lines and a pixel's response, drawn directly without a grid."""

import numpy as np

from rixs_pipeline.config import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.stages.reference.calibration_options import (
    calibration_options,
    reference_lines,
)

REFERENCE = load_reference_set("srd128")
REFERENCE_LINES = reference_lines(REFERENCE)
OPTIONS = calibration_options(CalibrationConfig())
SIX = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
ENERGY = np.array([REFERENCE.lines[name].energy for name in SIX])
UNCERTAINTY = np.array([REFERENCE.lines[name].uncertainty for name in SIX])


def emitted(rng: np.random.Generator, name: str, n: int) -> np.ndarray:
    """Energies (n,) eV of a reference line as it leaves the sample, L beta included."""
    line = REFERENCE.lines[name]
    offset, fwhm, share = np.array(line.shape).T
    which = rng.choice(len(share), n, p=share / share.sum())
    lorentz = offset[which] + 0.5 * fwhm[which] * np.clip(
        rng.standard_cauchy(n), -60, 60
    )
    return np.asarray(line.energy + lorentz + rng.normal(0, line.sigma, n))


def seen(
    rng: np.random.Generator, energies: np.ndarray, fwhm: float, tail: float = 0.15
) -> np.ndarray:
    """The same with the detector's resolution and low-energy tail, eV."""
    lost = np.where(
        rng.random(len(energies)) < tail, rng.exponential(20.0, len(energies)), 0.0
    )
    return np.maximum(
        energies - lost + rng.normal(0, fwhm / 2.3548, len(energies)), 1.0
    )


def height(energies: np.ndarray, a: float, b: float, d: float) -> np.ndarray:
    """Pulse heights a (1 - exp(-E/b)) + d."""
    return np.asarray(a * (1 - np.exp(-energies / b)) + d)


def energy(heights: np.ndarray, a: float, b: float, d: float) -> np.ndarray:
    """The inverse of `height`."""
    return np.asarray(-b * np.log1p(-(heights - d) / a))
