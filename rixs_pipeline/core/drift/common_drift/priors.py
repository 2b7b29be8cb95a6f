"""Prior of the drift that the pixels have in common: a slow process."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, product
from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.drift.common_drift.equations import Unknowns
from rixs_pipeline.core.drift.common_drift.measurements import (
    DRIFT_WIDTH,
    N_DRIFT,
    HiddenDrift,
    Interval,
)
from rixs_pipeline.types import BoolArray, FloatArray

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
NUGGET = 1e-10  # variance of each unknown of a process of unit size, beside its own


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
class HiddenProcess:
    """The hidden drift of unit size, as a part of the prior of all unknowns.

    Attributes
    ----------
    root
        Lower triangular root of the prior covariance, f8 (unknown, unknown), with unit
        sizes of the hidden drift and of the drift coefficients.
    is_hidden
        Which unknowns are hidden drift, (unknown,).
    mean_square
        Of the scales of the scans, for a process of unit size.
    """

    root: FloatArray
    is_hidden: BoolArray
    mean_square: float


@dataclass(frozen=True)
class Prior:
    """Gaussian prior of the unknowns: x = mean + root u, with unit Gaussians u.

    Attributes
    ----------
    mean
        f8 (unknown,).
    process
        The hidden drift of unit size.
    size
        Its size, eV.
    coefficients
        Root of the covariance of the drift coefficients, f8 (2, 2).
    """

    mean: FloatArray
    process: HiddenProcess
    size: float
    coefficients: FloatArray

    @property
    def root(self) -> FloatArray:
        """Lower triangular root of the covariance, f8 (unknown, unknown)."""
        return self._scale_columns(self.process.root)

    def times_root(self, columns: FloatArray) -> FloatArray:
        """Return root' times columns (unknown, n)."""
        return self._scale_columns(columns.T @ self.process.root).T

    def scale_sides(self, information: FloatArray) -> FloatArray:
        """Return root' V root from the same with the root of `process`."""
        return self._scale_columns(self._scale_columns(information).T)

    def _scale_columns(self, matrix: FloatArray) -> FloatArray:
        """Return a matrix whose columns (unknown,) of unit sizes have those of this."""
        scaled = matrix * np.where(self.process.is_hidden, self.size, 1.0)
        scaled[:, :N_DRIFT] = matrix[:, :N_DRIFT] @ self.coefficients
        return np.asarray(scaled)


def drift_prior(
    interval: Interval, process: HiddenProcess, assumption: Assumption
) -> Prior:
    """Return the prior of the unknowns of the common drift.

    The pixels' own drifts, which differ, show how much their mean moves in the scans,
    at any time scale: a slow process is larger than a fast one that moves as much by
    then.

    Parameters
    ----------
    interval
        The scans and reference runs.
    process
        The hidden drift with the time scale of the assumption.
    assumption
        Of the hidden drift; and how far the coefficients of slow changes may be from
        those of pulses.
    """
    mean = np.zeros(len(process.root))
    mean[:N_DRIFT], covariance = _reference_prior(interval, assumption.slow)
    variance = assumption.size**2 + interval.pixel_drift**2 / process.mean_square
    coefficients = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    return Prior(mean, process, float(np.sqrt(variance)), coefficients)


def hidden_process(
    interval: Interval, unknowns: Unknowns, time_scale: float
) -> HiddenProcess:
    """Return the hidden drift of unit size with a time scale, s.

    Its unknowns are values of one process less its means over the reference runs: in
    scans, between the reference runs, and within scans and reference runs.

    Parameters
    ----------
    interval
        The scans and reference runs.
    unknowns
        Their places.
    time_scale
        Of the process, s.
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
    is_unknown = [len(times) > 1 for times in unknowns.pieces]
    is_unknown += [run.offsets is not None for run in references]
    later = interval.later_share[:, None]
    in_scans = in_scans - (1 - later) * means[0] - later * means[-1]
    between = (means[-1] - means[0])[None, :]
    change = np.concatenate([in_scans, between, *compress(within, is_unknown)])
    covariance = change @ correlation @ change.T
    hidden = slice(N_DRIFT, N_DRIFT + len(change))
    root = np.eye(unknowns.total) * SATELLITE_WIDTH
    root[:N_DRIFT, :N_DRIFT] = np.eye(N_DRIFT)
    # what moves within a run has a mean of 0: without the last term, it has no root
    root[hidden, hidden] = np.linalg.cholesky(covariance + NUGGET * np.eye(len(change)))
    is_hidden = np.zeros(unknowns.total, bool)
    is_hidden[hidden] = True
    return HiddenProcess(root, is_hidden, float(np.diag(covariance)[:n_scans].mean()))


def _reference_prior(interval: Interval, slow: float) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the coefficients by the reference runs' pulses."""
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
    return gain @ mean, prior - gain @ prior
