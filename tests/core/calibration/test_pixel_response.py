from functools import cache

import numpy as np
import pytest

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.line_fits import (
    LOG_TAU,
    N_FIT,
    SHAPE,
    WEAK_CENTRE,
    WEAK_WIDTH,
    LineFits,
    fit_lines,
)
from rixs_pipeline.core.calibration.line_shapes import LineGrid
from rixs_pipeline.core.calibration.pixel_response import shared_prior

PIXELS, LINES = 60, 6
GRID = LineGrid(0.5)
WINDOW = np.tile((GRID.offsets > -25) & (GRID.offsets < 28), (LINES, 1))
NAMES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
REFERENCE = load_reference_set("srd128").lines
EMITTED = np.stack(
    [GRID.emitted(REFERENCE[name].shape, REFERENCE[name].sigma) for name in NAMES]
)


def measured(seed: int, errors: float) -> tuple[LineFits, np.ndarray]:
    """Fits of shapes (pixel, line, 3) that follow the model, with these errors in units of the weak prior's width."""
    rng = np.random.default_rng(seed)
    pixel = WEAK_CENTRE + WEAK_WIDTH * 0.3 * rng.normal(size=(PIXELS, 1, 3))
    truth = (
        pixel
        + 0.1 * WEAK_WIDTH * rng.normal(size=(1, LINES, 3))
        + 0.05 * rng.normal(size=(PIXELS, LINES, 3))
    )
    sd = errors * WEAK_WIDTH
    likely = truth + sd * rng.normal(size=truth.shape)
    posterior = 1 / np.sqrt(1 / sd**2 + 1 / WEAK_WIDTH**2)
    theta, sds = np.zeros((PIXELS, LINES, N_FIT)), np.ones((PIXELS, LINES, N_FIT))
    theta[..., SHAPE] = posterior**2 * (likely / sd**2 + WEAK_CENTRE / WEAK_WIDTH**2)
    sds[..., SHAPE] = posterior
    return LineFits(theta, sds, np.ones((PIXELS, LINES), dtype=bool)), truth


@pytest.mark.parametrize("errors", [0.1, 0.5])
def test_the_prior_is_as_wide_as_it_is_wrong(errors: float) -> None:
    fits, truth = measured(1, errors)
    prior = shared_prior(fits, fits.converged)
    pulls = (truth - prior.centre) / prior.width
    np.testing.assert_allclose(pulls.mean(axis=(0, 1)), 0, atol=0.2)
    np.testing.assert_allclose(pulls.std(axis=(0, 1)), 1, atol=0.2)
    assert (prior.width < 0.5 * WEAK_WIDTH).all()


def test_a_line_says_nothing_to_itself() -> None:
    """Its own fit moves its prior only through what the array shares."""
    fits, _ = measured(2, 0.2)
    before = shared_prior(fits, fits.converged)
    fits.theta[7, 3, SHAPE] += 0.5 * WEAK_WIDTH
    after = shared_prior(fits, fits.converged)
    own = np.abs(after.centre - before.centre)[7, 3] / before.width[7, 3]
    others = (
        np.abs(after.centre - before.centre)[7, [0, 1, 2, 4, 5]]
        / before.width[7, [0, 1, 2, 4, 5]]
    )
    assert own.max() < 0.15
    assert (others > 2 * own).all()


def test_lines_that_are_not_used_say_nothing() -> None:
    fits, _ = measured(3, 0.2)
    used = fits.converged.copy()
    used[:, 2] = False
    before = shared_prior(fits, used)
    fits.theta[:, 2] = 9.0
    after = shared_prior(fits, used)
    np.testing.assert_allclose(after.centre, before.centre)
    np.testing.assert_allclose(after.width, before.width)


def test_without_any_line_the_weak_prior_is_left() -> None:
    fits, _ = measured(4, 0.2)
    prior = shared_prior(fits, np.zeros_like(fits.converged))
    np.testing.assert_allclose(
        prior.centre, np.broadcast_to(WEAK_CENTRE, prior.centre.shape)
    )
    assert (prior.width > 0.9 * WEAK_WIDTH).all()


@cache
def fitted(counts: float) -> tuple[LineFits, LineFits, np.ndarray]:
    """Six lines of pixels of different resolution and tail, fitted line by line and with what they share; the truth."""
    rng = np.random.default_rng(5)
    shape = np.stack(
        [
            np.log(0.6) + 0.12 * rng.normal(size=PIXELS),
            rng.uniform(0.12, 0.2, PIXELS),
            np.log(rng.uniform(10, 30, PIXELS)),
        ],
        axis=1,
    )
    shift = rng.uniform(-1, 1, (PIXELS, LINES))
    theta = np.concatenate(
        [shift[..., None], np.broadcast_to(shape[:, None], (PIXELS, LINES, 3))], axis=2
    )
    bins = GRID.bins(
        GRID.detected(EMITTED, np.tile(np.arange(LINES), PIXELS), theta.reshape(-1, 4))[
            :, 0
        ]
    )
    content = counts * (np.maximum(bins, 0).reshape(PIXELS, LINES, -1) + 8e-4)
    spectra = rng.poisson(content).astype(float)
    alone = fit_lines(spectra, WINDOW, EMITTED, GRID)
    return (
        alone,
        fit_lines(
            spectra,
            WINDOW,
            EMITTED,
            GRID,
            shared_prior(alone, alone.converged),
            alone.theta,
        ),
        shift,
    )


@pytest.mark.parametrize(("counts", "tail"), [(200.0, 0.95), (1000.0, 0.8)])
def test_errors_of_positions_stay_right_and_get_smaller(
    counts: float, tail: float
) -> None:
    alone, together, shift = fitted(counts)
    assert together.converged.mean() > 0.99
    pulls = ((together.shift - shift) / together.shift_errors)[together.converged]
    assert abs(pulls.mean()) < 4 / np.sqrt(PIXELS * LINES)
    assert 0.9 < pulls.std() < 1.1
    assert np.median(together.shift_errors) < np.median(alone.shift_errors)
    assert np.median(together.errors[..., LOG_TAU]) < tail * np.median(
        alone.errors[..., LOG_TAU]
    )
