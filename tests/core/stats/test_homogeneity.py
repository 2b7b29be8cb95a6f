"""Equal spectra have a uniform p at any number of counts, different ones a small p."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rixs_pipeline.core.stats import homogeneity

POINTS, SEEDS = 24, 120
SHAPE = 0.2 + np.exp(-0.5 * ((np.arange(POINTS) - 12) / 3) ** 2)
SHARE = np.zeros((POINTS, 6))
SHARE[:, 1:5] = 0.4, 1.0, 1.0, 0.3  # a region that cuts the bins at its ends


def drawn(rng, rate, number=2, factors=(1.0, 1.6), change=0.0):
    """Counts and exposures of equal spectra; the last may change at its maximum."""
    exposure = [rng.uniform(0.7, 1.3, POINTS) * factors[k % 2] for k in range(number)]
    counts = []
    for k, seconds in enumerate(exposure):
        shape = SHAPE + change * (k == number - 1) * (
            np.abs(np.arange(POINTS) - 12) < 3
        )
        counts.append(
            rng.poisson(rate * (seconds * shape)[:, None] * np.linspace(0.1, 0.4, 6))
        )
    return counts, exposure


def p_values(
    rate, number=2, scale="free", along_emission=False, change=0.0, seeds=SEEDS
):
    found = []
    share = (
        np.where(np.arange(POINTS)[:, None] // 4 == 3, 1.0, 0.0) * np.ones(6)
        if along_emission
        else SHARE
    )
    for seed in range(seeds):
        cells = homogeneity.cells(
            *drawn(np.random.default_rng(seed), rate, number, change=change),
            share,
            along_emission,
        )
        scaled_by = {"free": cells, "known": None}[scale]
        found.append(homogeneity.homogeneity(cells, scaled_by))
    return np.array([test.p for test in found if test])


@pytest.mark.parametrize(
    ("rate", "number", "scale", "along_emission"),
    [
        (2, 2, "free", False),
        (40, 2, "known", False),
        (40, 3, "free", False),
        (40, 2, "free", True),
    ],
)
def test_equal_spectra_have_uniform_p(rate, number, scale, along_emission):
    """At most 12 of 120 are below 0.05: a sound test has more once in a hundred."""
    p = p_values(rate, number, scale, along_emission)
    assert len(p) == SEEDS
    assert np.sum(p < 0.05) <= 12
    assert stats.kstest(p, "uniform").pvalue > 0.005


def test_changed_spectrum_is_detected():
    assert np.median(p_values(300, change=0.5, seeds=8)) < 1e-3


BINS = np.arange(40)
LINE = 1500 * np.exp(-0.5 * ((BINS - 20) / 4) ** 2)  # counts
# four standard errors of the position of the line
OFFSET = homogeneity.ScaleOffset(slope=(BINS - 20) / 4**2, deviation=0.25, freedom=5)


def cut(rng, shift, bump=0.0):
    """Two emission spectra; the second is shifted and may have a bump."""
    moved = LINE * np.exp(OFFSET.slope * shift) + bump * LINE.max() * np.exp(
        -0.5 * ((BINS - 27) / 1.5) ** 2
    )
    counts = [rng.poisson(mean)[None, :] for mean in (LINE, 1.3 * moved)]
    return homogeneity.cells(
        counts, [np.ones(1), np.ones(1)], np.ones((1, 40)), along_emission=True
    )


def p_of_offset(offset, scale="free", bump=0.0, seeds=SEEDS):
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        cells = cut(rng, OFFSET.deviation * rng.standard_t(OFFSET.freedom), bump)
        scaled_by = {"free": cells, "top": cells.within(np.abs(BINS - 20) < 4)}[scale]
        found.append(homogeneity.homogeneity(cells, scaled_by, offset))
    return np.array([test.p for test in found])


@pytest.mark.parametrize("scale", ["free", "top"])
def test_an_offset_of_the_scales_is_no_difference(scale):
    assert (
        np.sum(p_of_offset(None, scale) < 0.05) > 30
    )  # the shift is seen where it is not allowed for
    p = p_of_offset(OFFSET, scale)
    assert np.sum(p < 0.05) <= 12
    assert stats.kstest(p, "uniform").pvalue > 0.005


def test_a_change_that_no_shift_explains_is_detected():
    assert np.median(p_of_offset(OFFSET, bump=0.15, seeds=20)) < 1e-3


def test_the_p_of_a_change_that_no_draw_reaches_is_that_of_a_chi_squared_tail():
    cells = homogeneity.cells(
        *drawn(np.random.default_rng(1), 3000, change=0.5), SHARE, False
    )
    test = homogeneity.homogeneity(cells, cells)
    assert test.p < 1e-10
    assert test.p == pytest.approx(
        stats.chi2.sf(test.chi_square, test.degrees_of_freedom), abs=1e-10
    )


def test_common_factor_is_fitted_and_is_no_difference():
    counts, exposure = drawn(np.random.default_rng(3), 200)
    told = [exposure[0], exposure[1] / 2]  # half of the second exposure was missed
    cells = homogeneity.cells(counts, told, SHARE, False)
    free = homogeneity.homogeneity(cells, cells)
    assert abs(free.factor[1] - 2) < 4 * 2 * free.factor_errors[1]
    assert free.p > 1e-3
    assert homogeneity.homogeneity(cells, None).p < 1e-6


def test_factor_errors_hold():
    pulls = []
    for seed in range(60):
        cells = homogeneity.cells(*drawn(np.random.default_rng(seed), 20), SHARE, False)
        joint = np.ones(len(cells.place), bool)
        factor = homogeneity._fit_factors(cells, cells.counts[None], joint)[0, 1]
        pulls.append((factor - 1) / homogeneity._factor_errors(cells, joint)[1])
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * 60))


@given(st.integers(0, 2**32 - 1), st.permutations(range(POINTS)))
def test_the_statistic_does_not_depend_on_the_order_of_the_points(seed, order):
    counts, exposure = drawn(np.random.default_rng(seed), 5)
    cells = homogeneity.cells(counts, exposure, SHARE, False)
    other = homogeneity.cells(
        [n[order] for n in counts], [x[order] for x in exposure], SHARE[order], False
    )
    ones = np.ones((1, 2))
    statistic = [
        homogeneity._chi_square(homogeneity._pose(c, None, None), c.counts[None], ones)
        for c in (cells, other)
    ]
    assert statistic[0] == pytest.approx(statistic[1])


def test_a_point_that_a_map_lacks_is_no_evidence_in_it():
    counts, exposure = drawn(np.random.default_rng(5), 50, number=3)
    exposure[1][10:20] = 0.0  # its counts stay, as in a scan's product
    cells = homogeneity.cells(counts, exposure, SHARE, False)
    test = homogeneity.homogeneity(cells, None)
    assert cells.counts[np.isin(cells.place, np.arange(10, 20)), 1].sum() == 0
    assert test.degrees_of_freedom == 2 * POINTS - 10


def test_nothing_to_compare_is_none():
    counts, exposure = drawn(np.random.default_rng(6), 0.0)
    cells = homogeneity.cells(counts, exposure, SHARE, False)
    assert homogeneity.homogeneity(cells, cells) is None
    counts, exposure = drawn(np.random.default_rng(6), 10.0)
    cells = homogeneity.cells([counts[0], 0 * counts[1]], exposure, SHARE, False)
    assert homogeneity.homogeneity(cells, cells) is None
