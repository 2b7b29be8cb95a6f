"""Prior of the drift that the pixels have in common: a slow process, and steps."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.drift_measurements import DRIFT_WIDTH, N_DRIFT, Interval
from rixs_pipeline.core.drift.scale_steps import STEP_WIDTH
from rixs_pipeline.types import FloatArray

# How far the coefficient of slow changes may be from that of pulse to pulse: in real
# pulses 1.7 +- 0.6 and 3.5 +- 0.5 e-5.
SLOW_WIDTHS = (0.0, 2e-5)
# Hidden drift: rms, eV at E_0, and its prior: a fifth for none, and half-Cauchy on
# sizes that are about a factor of two apart.
TYPICAL_SIZE = 0.2  # eV at E_0: the hidden drift of real pixels
NO_DRIFT_WEIGHT = 0.5
SIZE_WEIGHTS = {0.0: NO_DRIFT_WEIGHT} | {
    size: size / TYPICAL_SIZE / (1 + (size / TYPICAL_SIZE) ** 2)
    for size in (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
}
TIME_SCALES = (1800.0, 5400.0, 14400.0)  # s, of a Matern-3/2 process
LITTLE_DRIFT = (0.06, 5400.0, 0.0)  # size, time scale, slow width
# A line may differ that much between edges of one sample (satellites), eV.
SATELLITE_WIDTH = 0.05


@dataclass(frozen=True)
class Priors:
    """Gaussian prior of the unknowns: mean (unknown,), covariance, both f8."""

    mean: FloatArray
    covariance: FloatArray


def drift_priors(
    interval: Interval, n_unknowns: int, size: float, time_scale: float, slow: float
) -> Priors:
    """Return the prior of the unknowns of `common_drift`.

    Parameters
    ----------
    interval
        The scans and reference runs.
    n_unknowns
        Their number: coefficients, scales of the scans, what the reference runs moved
        by, and what lines differ by between edges.
    size, time_scale
        Of the hidden drift: rms, eV at E_0, and s.
    slow
        How far the coefficients of slow changes may be from those of pulses.

    Returns
    -------
    Priors
    """
    n_scans = len(interval.time)
    drift, hidden = slice(0, N_DRIFT), slice(N_DRIFT, N_DRIFT + n_scans + 1)
    covariance = np.eye(n_unknowns) * SATELLITE_WIDTH**2
    covariance[hidden, hidden] = _hidden_covariance(interval, size, time_scale)
    mean = np.zeros(n_unknowns)
    reference = _reference_prior(interval, slow)
    covariance[drift, drift] = reference.covariance
    mean[drift] = reference.mean
    return Priors(mean, covariance)


def with_step_sizes(priors: Priors, n_steps: int) -> Priors:
    """Add the sizes of steps to the unknowns.

    Parameters
    ----------
    priors
        Of the other unknowns.
    n_steps
        Number of steps.

    Returns
    -------
    Priors
    """
    n_unknowns = len(priors.mean)
    covariance = np.eye(n_unknowns + n_steps) * STEP_WIDTH**2
    covariance[:n_unknowns, :n_unknowns] = priors.covariance
    return Priors(np.append(priors.mean, np.zeros(n_steps)), covariance)


def _hidden_covariance(
    interval: Interval, size: float, time_scale: float
) -> FloatArray:
    """Return the prior covariance of the scales of scans and between reference runs."""
    n_scans = len(interval.time)
    references = [reference.time for reference in interval.references]
    times = np.concatenate([interval.time, references])
    distance = np.abs(times[:, None] - times[None, :]) * np.sqrt(3) / time_scale
    variance = size**2 + interval.pixel_drift**2
    process = variance * (1 + distance) * np.exp(-distance)
    change = np.zeros((n_scans + 1, len(times)))
    change[:n_scans, :n_scans] = np.eye(n_scans)
    change[:n_scans, n_scans] = -1 + interval.later_share
    change[:n_scans, -1] -= interval.later_share
    change[n_scans, n_scans] -= 1
    change[n_scans, -1] += 1
    covariance = change @ process @ change.T
    return np.asarray(covariance + 1e-12 * np.eye(n_scans + 1))


def _reference_prior(interval: Interval, slow: float) -> Priors:
    """Return what the reference runs' own pulses say of the coefficients."""
    prior = np.eye(N_DRIFT) * DRIFT_WIDTH**2
    information = np.zeros((N_DRIFT, N_DRIFT))
    gradient = np.zeros(N_DRIFT)
    for reference in interval.references:
        inverse = np.linalg.inv(reference.covariance)
        information += inverse
        gradient += inverse @ reference.mean
    fast = np.linalg.inv(information)
    mean = fast @ gradient
    # pulse to pulse, with what slow changes may differ by
    measured = fast + np.eye(N_DRIFT) * slow**2
    gain = prior @ np.linalg.inv(prior + measured)
    return Priors(gain @ mean, prior - gain @ prior)
