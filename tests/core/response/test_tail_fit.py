"""The tail of the response from spectra with a known one."""

import numpy as np
import pytest

from rixs_pipeline.core.calibration.line_shapes import (
    LOG_BACKGROUND,
    LOG_COUNTS,
    LOG_SIGMA,
    LOG_TAU,
    N_FIT,
    N_GRID,
    TAIL,
    LineGrid,
)
from rixs_pipeline.core.response.tail_fit import PooledLines, fit_tail

GRID = LineGrid(0.5)
SHAPES = (((0.0, 0.5, 1.0),), ((-1.0, 2.0, 0.6), (1.0, 0.6, 0.4)), ((0.0, 0.1, 1.0),))
PIXELS = 12


def draw_lines(rng: np.random.Generator, counts: int, fraction: float) -> PooledLines:
    """Draw lines of pixels whose decay lengths are 10 to 30 eV, one by one photon."""
    edges = np.append(GRID.offsets - GRID.width / 2, GRID.offsets[-1] + GRID.width / 2)
    spectra = []
    for shape in SHAPES:
        components = np.array(shape)
        drawn = rng.choice(len(components), counts * PIXELS, p=components[:, 2])
        offset, width = components[drawn, 0], components[drawn, 1]
        emitted = offset + 0.5 * width * rng.standard_cauchy(len(drawn))
        length = np.repeat(rng.uniform(10, 30, PIXELS), counts)
        is_lost = rng.random(len(drawn)) < fraction
        energy = emitted - np.where(is_lost, rng.exponential(length), 0.0)
        energy += rng.normal(0, 0.8, len(drawn))
        background = rng.uniform(edges[0], edges[-1], counts)
        spectra.append(np.histogram(np.append(energy, background), edges)[0])
    emitted = np.stack([GRID.emitted_transform(shape, 0.0) for shape in SHAPES])
    is_inside = (GRID.offsets > -70) & (GRID.offsets < 28)
    return PooledLines(
        counts=np.array(spectra, dtype=float),
        is_inside=np.tile(is_inside, (len(SHAPES), 1)),
        emitted=emitted,
        grid=GRID,
    )


def start(lines: PooledLines) -> np.ndarray:
    theta = np.zeros((len(SHAPES), N_FIT))
    theta[:, LOG_SIGMA] = np.log(1.0)
    theta[:, TAIL] = 0.1
    theta[:, LOG_TAU] = np.log(12.0)
    total = lines.counts.sum(axis=1)
    theta[:, LOG_COUNTS] = np.log(0.8 * total)
    theta[:, LOG_BACKGROUND] = np.log(0.1 * total / N_GRID)
    return theta


def test_the_tail_is_found_within_its_error() -> None:
    pulls = []
    for seed in range(20):
        lines = draw_lines(np.random.default_rng(seed), 800, 0.16)
        tail = fit_tail(lines, start(lines))
        assert tail is not None
        error = np.sqrt(tail.covariance[0, 0])
        assert error < 0.03
        pulls.append((tail.fraction - 0.16) / error)
    assert abs(np.mean(pulls)) < 0.6
    assert 0.4 < np.std(pulls) < 1.4


def test_the_mean_length_of_the_pixels_is_found() -> None:
    lines = draw_lines(np.random.default_rng(3), 20_000, 0.16)
    tail = fit_tail(lines, start(lines))
    assert tail is not None
    assert tail.length == pytest.approx(20.0, abs=2.5)


def test_lines_that_disagree_make_the_error_larger() -> None:
    rng = np.random.default_rng(4)
    alike = draw_lines(rng, 3000, 0.16)
    other = draw_lines(rng, 3000, 0.28)
    counts = np.stack([*alike.counts[:2], other.counts[2]])
    mixed = PooledLines(counts, alike.is_inside, alike.emitted, GRID)
    error, larger = (
        np.sqrt(fit_tail(lines, start(lines)).covariance[0, 0])
        for lines in (alike, mixed)
    )
    assert larger > 2 * error


def test_one_line_says_nothing() -> None:
    lines = draw_lines(np.random.default_rng(5), 100, 0.16)
    single = lines.without(2).without(1)
    assert fit_tail(single, start(lines)[:1]) is None
