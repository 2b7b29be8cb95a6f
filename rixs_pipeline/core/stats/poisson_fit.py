"""Maximum-likelihood fit of a linear model to Poisson counts."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray

MAX_STEPS = 100  # of Fisher scoring; a handful suffice
MAX_HALVINGS = 40  # of one step
LEAST_GAIN = 1e-10  # of the log likelihood: a step that gains less is the last
LEAST_MEAN = 1e-6  # of one count's level: means do not fall below it


@dataclass(frozen=True)
class PoissonFit:
    """Fitted parameters f8 (k,) and their covariance f8 (k, k)."""

    parameters: FloatArray
    covariance: FloatArray


def fit_poisson(
    number: FloatArray, design: FloatArray, offset: FloatArray
) -> PoissonFit:
    """Fit counts whose mean is design @ parameters + offset.

    Parameters
    ----------
    number : f8 (n,)
        Counts.
    design : f8 (n, k)
        The model; its first column is positive.
    offset : f8 (n,)
        A known part of the mean.

    Returns
    -------
    PoissonFit
        The maximum of the likelihood with positive means, and the inverse of the Fisher
        information. Without counts the mean is 0, and the covariance that of one count.
    """
    total = design[:, 0].sum()
    parameters = np.zeros(design.shape[1])
    parameters[0] = max(float((number - offset).sum() / total), 0.0)
    floor = design[:, 0] / total
    if number.sum() > 0:
        parameters[0] += LEAST_MEAN * number.sum() / total
        likelihood = _Likelihood(number, design, offset)
        parameters = _maximise(likelihood, parameters, LEAST_MEAN * floor)
    mean = np.maximum(design @ parameters + offset, floor)
    information = design.T @ (design / mean[:, None])
    return PoissonFit(parameters, np.linalg.pinv(information))


@dataclass(frozen=True)
class _Likelihood:
    """Poisson likelihood of counts (n,) for a design (n, k) and an offset (n,)."""

    number: FloatArray
    design: FloatArray
    offset: FloatArray

    def mean(self, parameters: FloatArray) -> FloatArray:
        """Return the mean counts (n,)."""
        return np.asarray(self.design @ parameters + self.offset)

    def logarithm(self, parameters: FloatArray) -> float:
        """Return the log likelihood, -inf where a mean is not positive."""
        mean = self.mean(parameters)
        if not np.all(mean > 0):
            return -np.inf
        return float((self.number * np.log(mean) - mean).sum())

    def scoring_step(self, parameters: FloatArray, floor: FloatArray) -> FloatArray:
        """Return the step of Fisher scoring (k,); means (n,) are at least `floor`."""
        mean = np.maximum(self.mean(parameters), floor)
        information = self.design.T @ (self.design / mean[:, None])
        score = self.design.T @ (self.number / mean - 1)
        return np.asarray(np.linalg.pinv(information) @ score)


def _maximise(
    likelihood: _Likelihood, parameters: FloatArray, floor: FloatArray
) -> FloatArray:
    """Return the most likely parameters; halve steps until the likelihood rises."""
    current = likelihood.logarithm(parameters)
    for _ in range(MAX_STEPS):
        step = likelihood.scoring_step(parameters, floor)
        for halving in range(MAX_HALVINGS):
            trial = parameters + step * 0.5**halving
            trial_value = likelihood.logarithm(trial)
            if trial_value >= current:
                break
        else:
            return parameters
        parameters, gain = trial, trial_value - current
        current = trial_value
        if gain < LEAST_GAIN:
            break
    return parameters
