"""Prior of the drift that the pixels have in common: a slow process, and steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, product
from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.drift.drift_equations import Unknowns
from rixs_pipeline.core.drift.drift_measurements import (
    DRIFT_WIDTH,
    N_DRIFT,
    HiddenDrift,
    Interval,
)
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
# Time scale of a process that changes as fast as a wave with a period of 1.
SCALE_OF_PERIOD = np.sqrt(3) / (2 * np.pi)
# A line may differ that much between edges of one sample (satellites), eV.
SATELLITE_WIDTH = 0.05


class Assumption(NamedTuple):
    """Of the hidden drift: rms, eV at E_0, and time scale, s; and the slow width."""

    size: float
    time_scale: float
    slow: float


LITTLE_DRIFT = Assumption(0.06, 5400.0, 0.0)


def weighted_assumptions(stated: HiddenDrift | None) -> dict[Assumption, float]:
    """Return what is assumed of the drift, and the prior weight of each assumption.

    Parameters
    ----------
    stated
        What is known of the hidden drift; None: all sizes and time scales are possible.

    Returns
    -------
    dict
        Assumption -> weight.
    """
    sizes = SIZE_WEIGHTS
    time_scales: Sequence[float] = TIME_SCALES
    if stated is not None:
        sizes = {stated.size: 1.0}
        if stated.size > 0:
            time_scales = (stated.period * SCALE_OF_PERIOD,)
    return {
        Assumption(size, time_scale, slow): sizes[size]
        for size, time_scale, slow in product(sizes, time_scales, SLOW_WIDTHS)
    }


@dataclass(frozen=True)
class Priors:
    """Gaussian prior of the unknowns: mean (unknown,), covariance, both f8."""

    mean: FloatArray
    covariance: FloatArray


def drift_priors(
    interval: Interval, unknowns: Unknowns, assumption: Assumption
) -> Priors:
    """Return the prior of the unknowns of `common_drift`.

    Parameters
    ----------
    interval
        The scans and reference runs.
    unknowns
        Their places.
    assumption
        Of the hidden drift; and how far the coefficients of slow changes may be from
        those of pulses.

    Returns
    -------
    Priors
    """
    hidden_covariance = _hidden_covariance(
        interval, unknowns, assumption.size, assumption.time_scale
    )
    drift, hidden = slice(0, N_DRIFT), slice(N_DRIFT, N_DRIFT + len(hidden_covariance))
    covariance = np.eye(unknowns.total) * SATELLITE_WIDTH**2
    covariance[hidden, hidden] = hidden_covariance
    mean = np.zeros(unknowns.total)
    reference = _reference_prior(interval, assumption.slow)
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
    interval: Interval, unknowns: Unknowns, size: float, time_scale: float
) -> FloatArray:
    """Return the prior covariance of the hidden unknowns (`Unknowns`).

    They are values of one process less its means over the reference runs: in scans,
    between the reference runs, and within scans and reference runs. The pixels' own
    drifts, which differ, show how much their mean moves in the scans, at any time
    scale: a slow process is larger than a fast one that moves as much by then.
    """
    references = interval.references
    runs = [*unknowns.pieces, *(reference.times for reference in references)]
    times = np.concatenate(runs)
    distance = np.abs(times[:, None] - times[None, :]) * np.sqrt(3) / time_scale
    correlation = (1 + distance) * np.exp(-distance)
    values = np.split(np.eye(len(times)), np.cumsum([len(run) for run in runs])[:-1])
    n_scans = len(unknowns.pieces)
    in_scans = np.stack([of_scan.mean(axis=0) for of_scan in values[:n_scans]])
    means = [
        reference.shares @ of_run
        for reference, of_run in zip(references, values[n_scans:], strict=True)
    ]
    within = [
        of_run - mean for of_run, mean in zip(values, [*in_scans, *means], strict=True)
    ]
    is_unknown = [True] * n_scans + [run.offsets is not None for run in references]
    later = interval.later_share[:, None]
    in_scans = in_scans - (1 - later) * means[0] - later * means[-1]
    between = (means[-1] - means[0])[None, :]
    change = np.concatenate([in_scans, between, *compress(within, is_unknown)])
    moves = np.mean(np.diag(in_scans @ correlation @ in_scans.T))
    variance = size**2 + interval.pixel_drift**2 / moves
    covariance = variance * (change @ correlation @ change.T)
    return np.asarray(covariance + 1e-12 * np.eye(len(change)))


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
