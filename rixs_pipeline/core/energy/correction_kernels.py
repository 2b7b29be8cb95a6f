"""Fit a correction of the pulse height. `corrections` gives the formulae.

The loop over pulses is compiled; linear algebra is left to numpy, with which it would
take 6 s to compile.
"""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.energy.compile import compiled
from rixs_pipeline.core.energy.kernels import Index, clip
from rixs_pipeline.types import FloatArray, IntArray

ITERATIONS = 6  # of Fisher scoring, at most
CONVERGED = 0.05  # gain in log likelihood that the next step would bring, roughly


class ShiftedPulses(NamedTuple):
    """Pulses in the windows of lines.

    Attributes
    ----------
    line
        Index of the line, i8 (pulse,).
    position
        Place in the table of the line, f8 (pulse,), in bins.
    lever
        Shift of a pulse, in bins, per unit of each parameter, f8 (parameter, pulse).
    """

    line: IntArray
    position: FloatArray
    lever: FloatArray


class LineTables(NamedTuple):
    """Log density of the lines, its derivative, and the Fisher information.

    Attributes
    ----------
    score
        d log density / d position, f8 (line, bin), per bin.
    log_density
        f8 (line, bin).
    information
        Mean square of the score, f8 (line,), per bin squared.
    """

    score: FloatArray
    log_density: FloatArray
    information: FloatArray


class GaussianPrior(NamedTuple):
    """Centre (parameter,) and inverse variance of the parameters before the fit."""

    centre: FloatArray
    precision: float


class CrossValidation(NamedTuple):
    """Mean parameters (parameter,) of both halves, and their gain in log likelihood."""

    parameters: FloatArray
    gain: float


@compiled
def look_up(table: FloatArray, line: IntArray, position: FloatArray) -> FloatArray:
    """Return the linearly interpolated values of a table at the places of pulses.

    Parameters
    ----------
    table
        f8 (line, bin).
    line, position
        Row and place in bins of each pulse, (pulse,).

    Returns
    -------
    FloatArray
        f8 (pulse,).
    """
    out = np.empty(len(position))
    for i in range(len(position)):
        inside = clip(position[i], 0.0, table.shape[1] - 1.001)
        low = Index(inside)
        share = inside - np.float64(np.int64(low))
        row = Index(line[i])
        out[i] = table[row, low] * (1.0 - share) + table[row, low + Index(1)] * share
    return out


@compiled
def subtract_line_means(values: FloatArray, line: IntArray, n_lines: int) -> None:
    """Subtract from the values of each line's pulses their mean.

    Parameters
    ----------
    values
        Changed: f8 (row, pulse).
    line
        Index of the line, i8 (pulse,).
    n_lines
        Number of lines.
    """
    n_rows, n_pulses = values.shape
    counts = np.zeros(n_lines)
    means = np.zeros((n_lines, n_rows))
    for i in range(n_pulses):
        k = Index(line[i])
        counts[k] += 1.0
        for row in range(n_rows):
            means[k, row] += values[row, i]
    for row in range(n_rows):
        for j in range(n_lines):  # a division of arrays takes 2 s to compile
            means[j, row] /= max(counts[j], 1.0)
        for i in range(n_pulses):
            values[row, i] -= means[Index(line[i]), row]


def fit_correction(
    pulses: ShiftedPulses, tables: LineTables, prior: GaussianPrior, start: FloatArray
) -> FloatArray:
    """Return the parameters that maximise the posterior, by Fisher scoring.

    Parameters
    ----------
    pulses, tables, prior
        The problem.
    start
        First guess, f8 (parameter,).

    Returns
    -------
    FloatArray
        f8 (parameter,).
    """
    line, lever = pulses.line, pulses.lever
    normal = np.dot(lever * tables.information[line], lever.T)
    diagonal = slice(None, None, len(start) + 1)
    normal.flat[diagonal] += prior.precision
    parameters = start.copy()
    for _ in range(ITERATIONS):
        shifted = pulses.position + np.dot(parameters, lever)
        likelihood_gradient = np.dot(lever, look_up(tables.score, line, shifted))
        # one expression: product and difference are fused, rounded once
        distance = parameters - prior.centre
        gradient = likelihood_gradient - prior.precision * distance
        step = np.linalg.solve(normal, gradient)
        parameters += step
        if step @ gradient < CONVERGED:
            break
    return parameters


def every_second(pulses: ShiftedPulses, first: int) -> ShiftedPulses:
    """Return every second pulse from the first (0 or 1) on."""
    return ShiftedPulses(
        pulses.line[first::2].copy(),
        pulses.position[first::2].copy(),
        pulses.lever[:, first::2].copy(),
    )


def cross_validate(
    pulses: ShiftedPulses, tables: LineTables, prior: GaussianPrior, start: FloatArray
) -> CrossValidation:
    """Fit each half of the pulses and return what the other half gains by it.

    Parameters
    ----------
    pulses, tables, prior
        The problem.
    start
        Near the maximum, f8 (parameter,): from zero, an effect wider than the line
        takes more steps than `ITERATIONS`.

    Returns
    -------
    CrossValidation
        Mean parameters of both fits, sum of both gains.
    """
    gain = 0.0
    mean = np.zeros(len(start))
    first, second = (every_second(pulses, half) for half in range(2))
    for half, judged in ((first, second), (second, first)):
        fitted = fit_correction(half, tables, prior, start)
        mean += 0.5 * fitted
        shifted = judged.position + np.dot(fitted, judged.lever)
        corrected = look_up(tables.log_density, judged.line, shifted)
        uncorrected = look_up(tables.log_density, judged.line, judged.position)
        gain += np.sum(corrected - uncorrected)
    return CrossValidation(mean, gain)
