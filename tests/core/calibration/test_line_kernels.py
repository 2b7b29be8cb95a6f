import numpy as np
import pytest

from rixs_pipeline.core.calibration.line_fits import WEAK_PRIOR
from rixs_pipeline.core.calibration.line_kernels import (
    Posterior,
    WindowedSpectra,
    evaluate_posterior,
    transform_lines,
)
from rixs_pipeline.core.calibration.line_shapes import N_FIT, LineGrid, ShapePrior

GRID = LineGrid(0.5)
EMITTED = GRID.emitted_transform(((0.0, 0.4, 0.7), (-2.0, 0.6, 0.3)), 0.3)[None]
THETA = np.array([0.7, np.log(1.3), 0.15, np.log(20.0), np.log(500.0), np.log(2.0)])
LINE = np.zeros(1, dtype=np.intp)
WINDOW = slice(140, 250)


def test_transforms_follow_the_formula_of_the_line_shape() -> None:
    shift, log_sigma, f, log_tau = THETA[:4]
    sigma, tau, k = np.exp(log_sigma), np.exp(log_tau), GRID.k
    response = np.exp(-1j * k * shift - (sigma * k) ** 2 / 2)
    tail = 1 - f + f / (1 - 1j * k * tau)
    transforms = transform_lines(EMITTED, LINE, THETA[None], k[1])
    expected = EMITTED[0] * response * tail
    np.testing.assert_allclose(transforms[0, 0], expected, atol=1e-12)


def evaluate(theta: np.ndarray, counts: np.ndarray) -> Posterior:
    """Evaluate the posterior of one fit at `theta` (N_FIT,); `counts` (bin,)."""
    transforms = GRID.detected_transforms(EMITTED, LINE, theta[None])
    contents = np.ascontiguousarray(GRID.bin_contents(transforms)[..., WINDOW])
    is_inside = np.ones((1, len(counts)), dtype=bool)
    is_inside[0, :5] = False
    spectra = WindowedSpectra(counts[None], is_inside, LINE)
    prior = ShapePrior(WEAK_PRIOR.centre[None].copy(), WEAK_PRIOR.width[None].copy())
    return evaluate_posterior(spectra, contents, theta[None], prior)


def expected_counts(theta: np.ndarray) -> np.ndarray:
    """Return the expected counts (bin,) of the line and its background."""
    transforms = GRID.detected_transforms(EMITTED, LINE, theta[None])
    line = GRID.bin_contents(transforms)[0, 0, WINDOW]
    return np.asarray(np.exp(theta[4]) * line + np.exp(theta[5]))


@pytest.mark.parametrize("parameter", range(N_FIT))
def test_gradient_is_the_derivative_of_the_posterior(parameter: int) -> None:
    counts = np.random.default_rng(1).poisson(expected_counts(THETA)).astype(float)
    change = 1e-5 * np.eye(N_FIT)[parameter]
    above = evaluate(THETA + change, counts).value[0]
    below = evaluate(THETA - change, counts).value[0]
    gradient = evaluate(THETA, counts).gradient[0, parameter]
    assert gradient == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-3)


def test_information_equals_that_of_poisson_counts_and_priors() -> None:
    expected = expected_counts(THETA)
    derivatives = np.empty((N_FIT, len(expected)))
    for parameter, change in enumerate(1e-5 * np.eye(N_FIT)):
        difference = expected_counts(THETA + change) - expected_counts(THETA - change)
        derivatives[parameter] = difference / 2e-5
    used = slice(5, None)
    weighted = derivatives[:, used] / expected[used]
    information = weighted @ derivatives[:, used].T
    information[[1, 2, 3], [1, 2, 3]] += 1 / WEAK_PRIOR.width**2
    computed = evaluate(THETA, expected).information[0]
    np.testing.assert_allclose(computed, information, rtol=1e-5, atol=1e-6)


def test_bins_outside_the_fit_do_not_matter() -> None:
    counts = expected_counts(THETA)
    changed = counts.copy()
    changed[:5] = 1e6
    assert evaluate(THETA, counts).value == evaluate(THETA, changed).value
