from functools import cache

import numpy as np
import pytest

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.line_fits import (
    WEAK_PRIOR,
    LineFits,
    LineSpectra,
    fit_lines,
)
from rixs_pipeline.core.calibration.line_shapes import LOG_TAU, N_FIT, SHAPE, LineGrid
from rixs_pipeline.core.calibration.pixel_response import learn_shape_prior

PIXELS, LINES = 60, 6
GRID = LineGrid(0.5)
WINDOW = np.tile((GRID.offsets > -25) & (GRID.offsets < 28), (LINES, 1))
NAMES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
REFERENCE = load_reference_set("srd128").lines
EMITTED = np.stack(
    [
        GRID.emitted_transform(REFERENCE[name].shape, REFERENCE[name].sigma)
        for name in NAMES
    ]
)


def measured(seed: int, errors: float) -> tuple[LineFits, LineFits, np.ndarray]:
    """Return fits of shapes (pixel, line, 3) that follow the model, and the truth.

    The second fits are those of the sums over the pixels.

    `errors` in units of the width of the weak prior.
    """
    rng = np.random.default_rng(seed)
    pixel = WEAK_PRIOR.centre + WEAK_PRIOR.width * 0.3 * rng.normal(size=(PIXELS, 1, 3))
    truth = (
        pixel
        + 0.1 * WEAK_PRIOR.width * rng.normal(size=(1, LINES, 3))
        + 0.05 * rng.normal(size=(PIXELS, LINES, 3))
    )
    sd = errors * WEAK_PRIOR.width
    likely = truth + sd * rng.normal(size=truth.shape)
    posterior = 1 / np.sqrt(1 / sd**2 + 1 / WEAK_PRIOR.width**2)
    theta, sds = np.zeros((PIXELS, LINES, N_FIT)), np.ones((PIXELS, LINES, N_FIT))
    theta[..., SHAPE] = posterior**2 * (
        likely / sd**2 + WEAK_PRIOR.centre / WEAK_PRIOR.width**2
    )
    sds[..., SHAPE] = posterior
    summed, summed_sds = theta[:1].copy(), sds[:1].copy()
    summed_sds[..., SHAPE] = sd / np.sqrt(PIXELS)
    summed[..., SHAPE] = likely.mean(axis=0)
    return (
        LineFits(theta, sds, np.ones((PIXELS, LINES), dtype=bool)),
        LineFits(summed, summed_sds, np.ones((1, LINES), dtype=bool)),
        truth,
    )


@pytest.mark.parametrize("errors", [0.1, 0.5])
def test_the_width_of_the_prior_equals_its_error(errors: float) -> None:
    fits, summed, truth = measured(1, errors)
    prior = learn_shape_prior(fits, summed, fits.is_converged)
    pulls = (truth - prior.centre) / prior.width
    np.testing.assert_allclose(pulls.mean(axis=(0, 1)), 0, atol=0.2)
    np.testing.assert_allclose(pulls.std(axis=(0, 1)), 1, atol=0.2)
    assert (prior.width < 0.5 * WEAK_PRIOR.width).all()


def test_a_line_does_not_inform_its_own_prior() -> None:
    """A fit changes its own prior only through the values common to the array."""
    fits, summed, _ = measured(2, 0.2)
    before = learn_shape_prior(fits, summed, fits.is_converged)
    fits.theta[7, 3, SHAPE] += 0.5 * WEAK_PRIOR.width
    after = learn_shape_prior(fits, summed, fits.is_converged)
    change = np.abs(after.centre - before.centre) / before.width
    line_change = change[7, 3]
    other_changes = change[7, [0, 1, 2, 4, 5]]
    assert line_change.max() < 0.15
    assert (other_changes > 2 * line_change).all()


def test_unused_lines_do_not_change_the_prior() -> None:
    fits, summed, _ = measured(3, 0.2)
    used = fits.is_converged.copy()
    used[:, 2] = False
    before = learn_shape_prior(fits, summed, used)
    fits.theta[:, 2] = summed.theta[:, 2] = 9.0
    after = learn_shape_prior(fits, summed, used)
    np.testing.assert_allclose(after.centre, before.centre)
    np.testing.assert_allclose(after.width, before.width)


def test_pixels_without_lines_have_the_weak_prior() -> None:
    fits, summed, _ = measured(4, 0.2)
    prior = learn_shape_prior(fits, summed, np.zeros_like(fits.is_converged))
    np.testing.assert_allclose(
        prior.centre, np.broadcast_to(WEAK_PRIOR.centre, prior.centre.shape)
    )
    assert (prior.width > 0.9 * WEAK_PRIOR.width).all()


@cache
def fitted(counts: float) -> tuple[LineFits, LineFits, np.ndarray]:
    """Return fits of six lines, each alone and with the prior, and the true shifts.

    Resolution and tail differ between pixels.
    """
    rng = np.random.default_rng(5)
    shape = np.stack(
        [
            np.log(0.6) + 0.12 * rng.normal(size=PIXELS),
            rng.uniform(0.12, 0.2, PIXELS),
            np.log(rng.uniform(10, 30, PIXELS)),
        ],
        axis=1,
    )
    # as the calibration of the turn before leaves them
    shift = rng.normal(0, 2 / np.sqrt(counts), (PIXELS, LINES))
    theta = np.concatenate(
        [shift[..., None], np.broadcast_to(shape[:, None], (PIXELS, LINES, 3))], axis=2
    )
    line = np.tile(np.arange(LINES), PIXELS)
    transforms = GRID.detected_transforms(EMITTED, line, theta.reshape(-1, 4))
    bins = GRID.bin_contents(transforms[:, 0])
    content = counts * (np.maximum(bins, 0).reshape(PIXELS, LINES, -1) + 8e-4)
    measured_counts = rng.poisson(content).astype(float)
    spectra = LineSpectra(measured_counts, WINDOW, EMITTED, GRID)
    alone = fit_lines(spectra)
    summed = fit_lines(
        LineSpectra(measured_counts.sum(axis=0)[None], WINDOW, EMITTED, GRID)
    )
    prior = learn_shape_prior(alone, summed, alone.is_converged)
    together = fit_lines(spectra, prior=prior, start=alone.theta)
    return alone, together, shift


def test_the_prior_of_few_counts_has_the_mean_resolution_of_the_pixels() -> None:
    """Fits of single pixels overestimate a resolution below the natural width."""
    alone, together, _ = fitted(200.0)
    wide = [NAMES.index(name) for name in ("C_Ka", "O_Ka", "Fe_La")]
    alone_sigma = alone.sigma[:, wide].mean()
    assert alone_sigma > 1.2 * 0.6
    assert abs(together.sigma[:, wide].mean() - 0.6) < 0.5 * (alone_sigma - 0.6)


@pytest.mark.parametrize(("counts", "tail"), [(200.0, 0.95), (1000.0, 0.8)])
def test_errors_of_positions_stay_right_and_get_smaller(
    counts: float, tail: float
) -> None:
    alone, together, shift = fitted(counts)
    assert together.is_converged.mean() > 0.99
    pulls = ((together.shift - shift) / together.shift_errors)[together.is_converged]
    assert abs(pulls.mean()) < 4 / np.sqrt(PIXELS * LINES)
    assert 0.9 < pulls.std() < 1.1
    assert np.median(together.shift_errors) < np.median(alone.shift_errors)
    assert np.median(together.errors[..., LOG_TAU]) < tail * np.median(
        alone.errors[..., LOG_TAU]
    )
