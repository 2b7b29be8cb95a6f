"""Amplitude of the elastic line along incident energy: smooth, or free at each point.

The smooth amplitude is a parabola in incident energy, of which light that is separated
from the fluorescence tells the height. Where the edge resonates, elastic light may
resonate as well. The fluorescence hides it there, so that data alone may not tell.
Two further terms have the expectation 0 and a standard deviation of the whole
amplitude: a step across the edge, and a deviation r(E) u(E) where u is the yield (its
maximum 1) and r a Gaussian process of short correlation length. Where counts determine
them they follow the counts; where they do not, their standard deviation is part of
the error. So an amplitude that doubles at the white line is covered by the error.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rixs_pipeline.types import FloatArray

DEGREE = 2  # of the polynomial in incident energy
# Prior standard deviations over the mean amplitude: slopes and curvatures halve or
# double it within a scan; a resonance doubles it.
POLYNOMIAL_WIDTH = 1.0
STEP_WIDTH = 1.0
RESONANCE_WIDTH = 1.0
CORRELATION_EV = 3.0  # of the resonance: distance of peaks within L3
LEAST_MODE = 1e-3  # variance of a mode over the largest one's, for it to count


class AmplitudeKind(StrEnum):
    """What the amplitude of the elastic line is assumed to be."""

    SMOOTH = "smooth"
    FREE = "free"


@dataclass(frozen=True)
class AmplitudeModel:
    """Linear model of the amplitude: a = basis @ parameters.

    Attributes
    ----------
    basis : f8 (point, parameter)
        Amplitude by parameter.
    prior_width : f8 (parameter,)
        Standard deviations of the parameters around 0, over the mean amplitude;
        infinite without a prior.
    """

    basis: FloatArray
    prior_width: FloatArray


def smooth_model(
    incident: FloatArray, yields: FloatArray, *, may_resonate: bool = True
) -> AmplitudeModel:
    """Return the model of a smooth amplitude.

    Parameters
    ----------
    incident : f8 (point,)
        Incident energies, eV, ascending.
    yields : f8 (point,)
        Fluorescence yield, any scale.
    may_resonate : bool
        Whether a step and a resonance are part of the amplitude.

    Returns
    -------
    AmplitudeModel
    """
    span = max(float(np.ptp(incident)), 1.0)
    middle = (incident.min() + incident.max()) / 2
    position = 2 * (incident - middle) / span
    polynomial = np.polynomial.legendre.legvander(position, DEGREE)
    widths = [np.inf] + [POLYNOMIAL_WIDTH] * DEGREE
    resonance = _resonance_shape(yields)
    columns = [polynomial]
    if may_resonate and resonance.any():
        step = np.maximum.accumulate(resonance)
        modes = _resonance_modes(incident, resonance)
        columns += [step[:, None], modes]
        widths += [STEP_WIDTH] + [RESONANCE_WIDTH] * modes.shape[1]
    return AmplitudeModel(np.concatenate(columns, axis=1), np.array(widths))


def free_model(n_points: int) -> AmplitudeModel:
    """Return the model of an amplitude that is free at each of `n_points` points."""
    return AmplitudeModel(np.eye(n_points), np.full(n_points, np.inf))


def _resonance_shape(yields: FloatArray) -> FloatArray:
    """Return the smoothed yields between 0 (the least) and 1 (the largest)."""
    if len(yields) < 5:
        return np.zeros(len(yields))
    padded = np.pad(yields, 1, mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    span = np.ptp(smooth)
    if not span > 0:
        return np.zeros(len(yields))
    return np.asarray((smooth - smooth.min()) / span)


def _resonance_modes(incident: FloatArray, resonance: FloatArray) -> FloatArray:
    """Return the modes (point, mode) of a Gaussian process of variance resonance^2."""
    distance = (incident[:, None] - incident) / CORRELATION_EV
    covariance = np.exp(-0.5 * distance**2) * np.outer(resonance, resonance)
    values, vectors = np.linalg.eigh(covariance)
    is_large = values > LEAST_MODE * values.max()
    return np.asarray(vectors[:, is_large] * np.sqrt(values[is_large]))
