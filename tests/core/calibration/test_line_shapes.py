import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import voigt_profile
from scipy.stats import exponnorm, norm

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.line_shapes import FWHM_PER_SIGMA, N_GRID, LineGrid

Shape = tuple[tuple[float, float, float], ...]
GRID = LineGrid(0.5)
PERIOD = N_GRID * GRID.width
EDGES = np.append(GRID.offsets - GRID.width / 2, GRID.offsets[-1] + GRID.width / 2)
LINES = load_reference_set("srd128").lines
NAMES = ("C_Ka", "N_Ka", "O_Ka", "Mn_La", "Fe_La", "Ni_La", "Cu_La")
# shift eV, sigma eV, tail fraction, decay length eV: of the paper, of the real data
DETECTORS = [(0.0, 0.6, 0.15, 20.0), (1.37, 1.3, 0.2, 10.0)]
FINE = 0.02  # eV


def batch(grid: LineGrid, emitted: np.ndarray, detectors: np.ndarray) -> np.ndarray:
    """Return bins (n, 5, N_GRID) of the lines `emitted` and of their derivatives.

    `detectors` (n, 4) as in `DETECTORS`.
    """
    theta = np.array(detectors, dtype=float)
    theta[:, [1, 3]] = np.log(theta[:, [1, 3]])
    return grid.bin_contents(
        grid.detected_transforms(emitted, np.arange(len(emitted)), theta)
    )


def detected(shape: Shape, line_sigma: float, *detector: float) -> np.ndarray:
    """Return the bins of a line as the module computes them, `detector` as above."""
    return batch(
        GRID, GRID.emitted_transform(shape, line_sigma)[None], np.array([detector])
    )[0, 0]


def convolved(
    shape: Shape, line_sigma: float, shift: float, sigma: float, f: float, tau: float
) -> np.ndarray:
    """Return the bins by direct summation, (image, N_GRID) of nine periods.

    Voigt profiles, and a running exponential sum.
    """
    x = np.arange(EDGES[0] - 4 * PERIOD, EDGES[-1] + 4 * PERIOD, FINE) + FINE / 2
    width = np.hypot(sigma, line_sigma)
    density = np.sum(
        [
            share * voigt_profile(x - shift - at, width, fwhm / 2)
            for at, fwhm, share in shape
        ],
        axis=0,
    )
    keep = np.exp(-FINE / tau)  # from each fine bin to the next one below it
    half = (1 - keep) / 2  # on either side of a fine bin: the mean loss is tau
    lost = lfilter([half, half], [1, -keep], density[::-1])[::-1]
    fine_bins = ((1 - f) * density + f * lost) * FINE
    return np.asarray(fine_bins.reshape(9, N_GRID, -1).sum(axis=2))


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("name", NAMES)
def test_bins_equal_those_of_a_direct_convolution(
    name: str, detector: tuple[float, ...]
) -> None:
    line = LINES[name]
    contents = detected(line.shape, line.sigma, *detector)
    images = convolved(line.shape, line.sigma, *detector)
    np.testing.assert_allclose(
        contents, images.sum(axis=0), atol=1e-4 * images.max(), rtol=0
    )
    # the Lorentzian wings of neighbouring periods are small in the range of the fits
    window = (GRID.offsets > -25) & (GRID.offsets < 28)
    np.testing.assert_allclose(
        contents[window], images[4][window], atol=1e-3 * images.max(), rtol=0
    )


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_narrow_line_equals_the_detector_response(
    detector: tuple[float, ...],
) -> None:
    """Elastic light: Gaussian and exponentially modified Gaussian, in closed form."""
    shift, sigma, f, tau = detector
    narrow = norm.cdf(EDGES, shift, sigma)
    tail = exponnorm.sf(-EDGES, tau / sigma, -shift, sigma)
    expected = np.diff((1 - f) * narrow + f * tail)
    window = np.abs(GRID.offsets) < 60
    contents = detected(((0.0, 1e-6, 1.0),), 0.0, *detector)
    np.testing.assert_allclose(
        contents[window], expected[window], atol=2e-4 * expected.max(), rtol=0
    )


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("name", NAMES)
def test_area_is_one(name: str, detector: tuple[float, ...]) -> None:
    bins = detected(LINES[name].shape, LINES[name].sigma, *detector)
    assert bins.sum() == pytest.approx(1, abs=1e-12)
    assert bins.min() > -1e-6 * bins.max()


def test_tail_lies_below_the_line_and_moves_its_mean() -> None:
    with_tail, without = (
        detected(((0.0, 1e-6, 1.0),), 0.0, 0.0, 1.0, f, 6.0) for f in (0.2, 0.0)
    )
    assert (with_tail - without) @ GRID.offsets == pytest.approx(-0.2 * 6.0, rel=1e-3)
    assert with_tail[GRID.offsets > 5].sum() == pytest.approx(0, abs=1e-5)


def test_width_is_a_standard_deviation() -> None:
    bins = detected(((0.0, 1e-6, 1.0),), 0.0, 0.3, 1.5, 0.0, 20.0)
    variance = bins @ (GRID.offsets - bins @ GRID.offsets) ** 2
    # scatter of the line, and of its photons within a bin
    assert variance == pytest.approx(1.5**2 + GRID.width**2 / 12, rel=1e-3)
    assert pytest.approx(1.4, abs=1e-3) == FWHM_PER_SIGMA * 0.5945


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_position_does_not_depend_on_the_bins(width: float) -> None:
    grid = LineGrid(width)
    shifts = np.linspace(-1.0, 1.0, 9)
    detectors = np.stack([shifts, np.full(9, 1.3), np.zeros(9), np.ones(9)], axis=1)
    bins = batch(
        grid,
        np.tile(grid.emitted_transform(((0.0, 1e-6, 1.0),), 0.0), (9, 1)),
        detectors,
    )[:, 0]
    np.testing.assert_allclose(bins @ grid.offsets, shifts, atol=2e-3)


def test_a_batch_equals_single_calls() -> None:
    shapes = [(LINES[name].shape, LINES[name].sigma) for name in NAMES[:3]]
    emitted = np.stack([GRID.emitted_transform(*shape) for shape in shapes])
    detectors = np.array(
        [[0.0, 0.6, 0.15, 20.0], [-1.0, 1.3, 0.1, 10.0], [0.4, 2.0, 0.2, 30.0]]
    )
    for row, shape, detector in zip(
        batch(GRID, emitted, detectors)[:, 0], shapes, detectors, strict=True
    ):
        np.testing.assert_allclose(row, detected(*shape, *detector), atol=1e-14)


@pytest.mark.parametrize("column", range(4))
def test_derivatives_equal_the_numerical_ones(column: int) -> None:
    """By shift, log sigma, tail fraction, log tau."""
    line, step = LINES["Ni_La"], 1e-5
    emitted = GRID.emitted_transform(line.shape, line.sigma)[None]
    theta = np.array([0.3, np.log(0.8), 0.15, np.log(20.0)])
    change = step * np.eye(4)[column]

    def contents(theta: np.ndarray) -> np.ndarray:
        """Return the bins (5, N_GRID) of the line and its derivatives."""
        line = np.zeros(1, int)
        return GRID.bin_contents(GRID.detected_transforms(emitted, line, theta[None]))[
            0
        ]

    difference = contents(theta + change)[0] - contents(theta - change)[0]
    derivative = contents(theta)[1 + column]
    np.testing.assert_allclose(derivative, difference / (2 * step), atol=1e-8)
