from functools import cache

import numpy as np
import pytest
from iminuit import Minuit  # type: ignore[import-untyped]
from iminuit.cost import ExtendedBinnedNLL, NormalConstraint  # type: ignore[import-untyped]
from scipy.special import ndtr

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.line_fits import LineFits, LineSpectra, fit_lines
from rixs_pipeline.core.calibration.line_shapes import LineGrid

Shapes = list[tuple[tuple[tuple[float, float, float], ...], float]]
GRID = LineGrid(0.5)
EDGES = np.append(GRID.offsets - GRID.width / 2, GRID.offsets[-1] + GRID.width / 2)
WINDOW = (GRID.offsets > -25) & (GRID.offsets < 28)
TAU, TAIL = 20.0, 0.15
LINES = load_reference_set("srd128").lines
NAMES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
SHAPES: Shapes = [(LINES[name].shape, LINES[name].sigma) for name in NAMES]
NARROW: Shapes = [(((0.0, 1e-6, 1.0),), 0.0)]  # elastic light: the response itself
TOYS = 100  # of each of the six lines: pulls are pooled over 600
PULL_MEAN = 3 / np.sqrt(TOYS * len(NAMES))


def emitted(shapes: Shapes) -> np.ndarray:
    return np.stack([GRID.emitted_transform(*shape) for shape in shapes])


def toys(
    shapes: Shapes, counts: float, sigma: float, n: int, background: float = 8e-4
) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra (n, line, N_GRID) of simulated lines, and shifts (n, line)."""
    rng = np.random.default_rng([int(counts), int(100 * sigma)])
    size = (n, len(shapes))
    shift = rng.uniform(-2, 2, size)
    detector = np.broadcast_to([np.log(sigma), TAIL, np.log(TAU)], (*size, 3))
    theta = np.concatenate([shift[..., None], detector], axis=2).reshape(-1, 4)
    line = np.tile(np.arange(len(shapes)), n)
    transforms = GRID.detected_transforms(emitted(shapes), line, theta)
    bins = GRID.bin_contents(transforms[:, 0])
    content = counts * (np.maximum(bins.reshape(*size, -1), 0) + background)
    return rng.poisson(content).astype(float), shift


def fit(spectra: np.ndarray, shapes: Shapes, window: np.ndarray = WINDOW) -> LineFits:
    is_inside = np.tile(window, (len(shapes), 1))
    return fit_lines(LineSpectra(spectra, is_inside, emitted(shapes), GRID))


@cache
def fitted(counts: int, sigma: float) -> tuple[LineFits, np.ndarray]:
    """Return fits of simulated lines, and their true shifts.

    Sigma of 0.6 and 1.3 eV is 1.4 and 3 eV FWHM.
    """
    spectra, shift = toys(SHAPES, counts, sigma, TOYS)
    return fit(spectra, SHAPES), shift


@pytest.mark.parametrize("sigma", [0.6, 1.3])
@pytest.mark.parametrize("counts", [200, 2000])
def test_errors_of_the_position_are_right(counts: int, sigma: float) -> None:
    fits, shift = fitted(counts, sigma)
    assert fits.is_converged.mean() > 0.99
    pull = (fits.shift - shift) / fits.shift_errors
    # Few counts overestimate a resolution below the natural width, which shifts the
    # position.
    allowed = 0.15 if sigma < 1 and counts < 1000 else 0.0
    assert abs(pull.mean()) < PULL_MEAN + allowed
    assert 0.9 < pull.std() < 1.1


@pytest.mark.parametrize("counts", [200, 2000])
def test_errors_of_the_resolution_are_right(counts: int) -> None:
    """3 eV exceed the natural widths; a narrower resolution has only an upper limit."""
    fits, _ = fitted(counts, 1.3)
    pull = (fits.sigma - 1.3) / fits.sigma_errors
    assert abs(pull.mean()) < PULL_MEAN
    assert 0.9 < pull.std() < 1.1


@pytest.mark.parametrize("counts", [200, 2000])
def test_counts_are_not_biased(counts: int) -> None:
    """Least squares with 1/sqrt(N) weights loses a tenth of a weak line."""
    assert fitted(counts, 1.3)[0].counts.mean() == pytest.approx(counts, rel=0.02)


def test_fits_equal_those_of_minuit() -> None:
    """Minuit maximises the likelihood with the response in closed form."""
    rng = np.random.default_rng(7)
    edges = EDGES[np.append(np.flatnonzero(WINDOW), np.flatnonzero(WINDOW)[-1] + 1)]

    def cumulative(
        x: np.ndarray,
        shift: float,
        sigma: float,
        counts: float,
        tail: float,
        log_tau: float,
        background: float,
    ) -> np.ndarray:
        t, tau = x - shift, np.exp(log_tau)
        lost = np.exp(0.5 * (sigma / tau) ** 2 + t / tau) * ndtr(
            -t / sigma - sigma / tau
        )
        line = ndtr(t / sigma) + tail * lost
        return np.asarray(counts * line + background * (x - x[0]) / GRID.width)

    detector = 0.15, np.log(TAU)
    truth = [
        (0.7, 1.3, 3000.0, *detector, 3.0),
        (-1.2, 1.0, 1000.0, *detector, 0.5),
        (0.1, 2.0, 20000.0, *detector, 10.0),
    ]
    spectra = np.stack(
        [rng.poisson(np.diff(cumulative(EDGES, *values))) for values in truth]
    ).astype(float)[:, None]
    fits = fit(spectra, NARROW)
    for row, values in enumerate(truth):
        cost = ExtendedBinnedNLL(spectra[row, 0][WINDOW], edges, cumulative)
        # the fit's own priors; that of the resolution is far too weak
        priors = NormalConstraint("tail", 0.15, 0.1) + NormalConstraint(
            "log_tau", np.log(20), 0.4
        )
        minuit = Minuit(cost + priors, *values)
        minuit.limits = [
            (-10, 10),
            (0.2, 10),
            (1, None),
            (0, 0.6),
            (1, 4.4),
            (1e-6, None),
        ]
        minuit.migrad()
        minuit.hesse()
        assert minuit.valid
        assert (
            abs(fits.shift[row, 0] - minuit.values["shift"])
            < 0.1 * minuit.errors["shift"]
        )
        assert (
            abs(fits.sigma[row, 0] - minuit.values["sigma"])
            < 0.1 * minuit.errors["sigma"]
        )
        assert (
            abs(fits.counts[row, 0] - minuit.values["counts"])
            < 0.1 * minuit.errors["counts"]
        )
        assert fits.shift_errors[row, 0] == pytest.approx(
            minuit.errors["shift"], rel=0.1
        )
        assert fits.sigma_errors[row, 0] == pytest.approx(
            minuit.errors["sigma"], rel=0.1
        )


@pytest.mark.parametrize("counts", [5, 30])
def test_few_counts_have_wide_errors(counts: int) -> None:
    fits, shift = fitted(counts, 1.3)
    # no better than a Gaussian of this width without background, which no fit can beat
    assert np.median(fits.shift_errors) > 1.3 / np.sqrt(counts)
    off = np.abs(fits.shift - shift) > 5 * fits.shift_errors
    assert (off & fits.is_converged).mean() < 0.01


@pytest.mark.xfail(
    strict=True,
    reason="the error of a narrow line of 30 counts is too small in one of 100",
)
def test_few_counts_of_elastic_light_have_wide_errors() -> None:
    spectra, shift = toys(NARROW, 30, 0.6, 600)
    fits = fit(spectra, NARROW)
    off = np.abs(fits.shift - shift) > 5 * fits.shift_errors
    assert (off & fits.is_converged).mean() < 0.005


def test_spectra_without_counts_do_not_converge() -> None:
    spectra = np.zeros((2, 1, len(GRID.offsets)))
    spectra[1], _ = toys(SHAPES[4:5], 2000, 1.3, 1)
    fits = fit(spectra, SHAPES[4:5])
    assert fits.is_converged[:, 0].tolist() == [False, True]
    assert np.isfinite(fits.shift).all()
    assert not fit(np.zeros((3, 1, len(GRID.offsets))), SHAPES[4:5]).is_converged.any()


def test_a_spectrum_does_not_depend_on_its_neighbours() -> None:
    spectra, _ = toys(SHAPES, 500, 1.3, 4)
    together, alone = fit(spectra, SHAPES), fit(spectra[2:3], SHAPES)
    np.testing.assert_allclose(together.shift[2], alone.shift[0], rtol=1e-9)
    np.testing.assert_allclose(
        together.shift_errors[2], alone.shift_errors[0], rtol=1e-9
    )


def test_counts_outside_the_window_do_not_matter() -> None:
    spectra, _ = toys(SHAPES, 500, 1.3, 4)
    changed = spectra + np.where(WINDOW, 0.0, 1000.0)
    np.testing.assert_allclose(
        fit(changed, SHAPES).shift, fit(spectra, SHAPES).shift, rtol=1e-9
    )


def test_a_line_beyond_reach_does_not_converge() -> None:
    """Without counts within 15 eV of the line, a position at the limit is no result."""
    spectra, _ = toys(NARROW, 3000, 1.0, 1, background=1e-5)
    moved = np.roll(spectra, 40, axis=2)  # 20 eV
    fits = fit(moved, NARROW)
    assert not fits.is_converged[0, 0] or abs(fits.shift[0, 0] - 20) < 3
