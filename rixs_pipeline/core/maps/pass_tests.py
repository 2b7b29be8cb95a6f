"""Tests of the passes of one sample and edge: consistency, odd ones, and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rixs_pipeline.core.stats.homogeneity import Cells, Homogeneity, homogeneity
from rixs_pipeline.types import FloatArray, IntArray

# Width over which the slope of a noisy spectrum is taken: below that of its features.
SLOPE_WIDTH_EV = 0.3
FEW_POINTS = 0.05  # of the points of a pass
MIN_SHIFT_POINTS = 8


@dataclass(frozen=True)
class Consistency:
    """Outcome of the tests; every p is that of `homogeneity` with free factors.

    Attributes
    ----------
    p, chi_square, degrees_of_freedom
        All passes at once; p and chi_square are NaN where there is nothing to test.
    consecutive
        p of each pass with the next, f8 (pass - 1,): the test for radiation damage.
    against_others
        p of each pass with the sum of the others, f8 (pass,).
    odd_passes
        Indices of the passes that are left out one after the other, the worst first,
        while p against the remaining ones is below the level over their number.
    odd_points
        Places at which a sound pass is odd, by pass (Bonferroni).
    """

    p: float
    chi_square: float
    degrees_of_freedom: int
    consecutive: FloatArray
    against_others: FloatArray
    odd_passes: tuple[int, ...] = ()
    odd_points: dict[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shift:
    """Shift of an incident scale and its standard deviation, eV; NaN: not measured."""

    value: float
    error: float


def consistency(cells: Cells, level: float) -> Consistency:
    """Test passes: all of them, each with the next, each with the others, every point.

    Parameters
    ----------
    cells
        Of K passes, at least two.
    level
        Probability that sound passes have an odd one, and that they have an odd point.

    Returns
    -------
    Consistency
    """
    passes = list(range(cells.counts.shape[1]))
    together = homogeneity(cells, cells)
    pairs = [_pair(cells, [k], [k + 1]) for k in passes[:-1]]
    consecutive = [homogeneity(pair, pair) for pair in pairs]
    against_others = _test_against_others(cells, passes)
    odd_points = _find_odd_points(cells, against_others, level)
    tests = against_others
    clean = cells
    if odd_points:
        clean = _without_few_points(cells, odd_points)
        tests = _test_against_others(clean, passes)
    odd_passes = _find_odd_passes(clean, tests, level)
    if odd_passes:
        sound = [k for k in passes if k not in odd_passes]
        sound_tests = _test_against_others(cells, sound)
        odd_points = _find_odd_points(cells, sound_tests, level)
    return Consistency(
        p=together.p if together else np.nan,
        chi_square=together.chi_square if together else np.nan,
        degrees_of_freedom=together.degrees_of_freedom if together else 0,
        consecutive=_p_values(consecutive),
        against_others=_p_values(list(against_others.values())),
        odd_passes=tuple(odd_passes),
        odd_points=odd_points,
    )


def shifts(
    grid: FloatArray, values: Sequence[FloatArray], errors: Sequence[FloatArray] | None
) -> list[Shift]:
    """Return how far the incident scale of each pass is above the mean of the others.

    Parameters
    ----------
    grid
        Incident energies, ascending, f8 (point,), eV.
    values
        Spectrum of each pass, f8 (point,); NaN where it has none.
    errors
        Its standard deviations, positive; None: unknown, taken from the scatter.

    Returns
    -------
    list of Shift
        NaN for a pass that shares fewer than `MIN_SHIFT_POINTS` points.

    Notes
    -----
    A pass that is shifted by d differs from the mean o of the others by -d times the
    slope m' of the mean of all passes: y = a o + b - d m', with a, d (and b, where the
    errors are unknown) by weighted least squares. The slope is that of a local straight
    line, so that the noise of a pass is not compared with itself. This holds for shifts
    smaller than the features; it is up to a fifth too large where these are hardly
    wider than the distance of the points.
    """
    is_finite = np.isfinite(values)
    has_errors = errors is not None
    sigma = np.array(errors) if has_errors else np.ones(is_finite.shape)
    spectra = np.nan_to_num(values)
    weight = np.where(is_finite, sigma**-2.0, 0.0)
    total_weight = weight.sum(axis=0)
    total = (weight * spectra).sum(axis=0)
    has_values = total_weight > 0
    slope = np.full(len(grid), np.nan)
    mean_weight = total_weight[has_values]
    mean = total[has_values] / mean_weight
    width = SLOPE_WIDTH_EV if has_errors else 0.0
    slope[has_values] = _local_slope(grid[has_values], mean, mean_weight, width)
    result = []
    for k in range(len(values)):
        other_weight = total_weight - weight[k]
        is_used = is_finite[k] & (other_weight > 0) & np.isfinite(slope)
        if is_used.sum() < MIN_SHIFT_POINTS:
            result.append(Shift(np.nan, np.nan))
            continue
        other_weight = other_weight[is_used]
        other_total = (total - weight[k] * spectra[k])[is_used]
        mean_of_others = other_total / other_weight
        variance = (sigma[k] ** 2)[is_used] + 1 / other_weight
        columns = [-slope[is_used], mean_of_others]
        if not has_errors:
            columns.append(np.ones(is_used.sum()))
        model = np.stack(columns, axis=1)
        spectrum = spectra[k][is_used]
        shift = _fit_shift(model, spectrum, variance, has_errors)
        result.append(shift)
    return result


def _p_values(tests: Sequence[Homogeneity | None]) -> FloatArray:
    """Return the p of tests; NaN where there was nothing to test."""
    return np.array([test.p if test else np.nan for test in tests])


def _pair(cells: Cells, first: list[int], second: list[int]) -> Cells:
    """Return two sums of passes, where both were measured."""
    passes = (first, second)
    counts = np.stack([cells.counts[:, k].sum(axis=1) for k in passes], axis=1)
    exposure = np.stack([cells.exposure[:, k].sum(axis=1) for k in passes], axis=1)
    pair = Cells(cells.place, cells.weight, counts, exposure)
    is_measured = (exposure > 0).all(axis=1)
    return pair.select(np.asarray(is_measured))


def _test_against_others(
    cells: Cells, passes: list[int]
) -> dict[int, Homogeneity | None]:
    """Test each of some passes against the sum of the others among them."""
    tests = {}
    for k in passes:
        other_passes = [m for m in passes if m != k]
        pair = _pair(cells, [k], other_passes)
        tests[k] = homogeneity(pair, pair)
    return tests


def _without_few_points(cells: Cells, odd_points: dict[int, tuple[int, ...]]) -> Cells:
    """Return the cells without odd points, unless a pass has more than a few of them.

    Few odd points make no pass odd.
    """
    counts = cells.counts.copy()
    exposure = cells.exposure.copy()
    n_places = len(np.unique(cells.place))
    for k, places in odd_points.items():
        if len(places) <= FEW_POINTS * n_places:
            is_odd = np.isin(cells.place, places)
            counts[is_odd, k] = 0
            exposure[is_odd, k] = 0.0
    return Cells(cells.place, cells.weight, counts, exposure)


def _find_odd_passes(
    cells: Cells, tests: dict[int, Homogeneity | None], level: float
) -> list[int]:
    """Find odd passes one after the other, since one makes all others look odd.

    Half of the passes remain, and at least two: of two, neither is the odd one.
    """
    odd: list[int] = []
    sound = list(tests)
    while len(sound) > max(2, cells.counts.shape[1] // 2):
        tested = {k: test for k, test in tests.items() if test}
        if not tested:
            break
        worst = max(tested, key=lambda k: _reduced_chi_square(tested[k]))
        if not tested[worst].p < level / len(sound):
            break
        odd.append(worst)
        sound.remove(worst)
        tests = _test_against_others(cells, sound)
    return sorted(odd)


def _reduced_chi_square(test: Homogeneity) -> float:
    return test.chi_square / max(test.degrees_of_freedom, 1)


def _find_odd_points(
    cells: Cells, tests: dict[int, Homogeneity | None], level: float
) -> dict[int, tuple[int, ...]]:
    """Find the places at which the counts of a pass are improbable, by pass.

    A place is odd where the binomial law of the passes allows the counts less than once
    in the tests made, in the pass that the others allow least: it makes theirs look
    odd.
    `tests` are those of each pass against the others.
    """
    places = np.unique(cells.place)
    passes = list(tests)
    tails = np.ones((len(passes), len(places)))
    for row, k in enumerate(passes):
        test = tests[k]
        if test is not None and len(passes) >= 3:
            other_passes = [m for m in passes if m != k]
            pair = _pair(cells, [k], other_passes)
            tails[row] = _binomial_tails(pair, test, places)
    is_improbable = 2 * tails < level / tails.size
    is_odd = is_improbable & (tails == tails.min(axis=0))
    odd_points = {}
    for row, k in enumerate(passes):
        odd_places = places[is_odd[row]].tolist()
        if odd_places:
            odd_points[k] = tuple(odd_places)
    return odd_points


def _binomial_tails(pair: Cells, test: Homogeneity, places: IntArray) -> FloatArray:
    """Return the smaller tail probability (place,) of the counts of the first pass."""
    from scipy.special import bdtr, bdtrc  # scipy.stats takes half a second to import

    rate = pair.exposure * test.factor
    total = pair.counts.sum(axis=1)
    share = rate[:, 0] / rate.sum(axis=1)

    def at_places(values: FloatArray | IntArray) -> FloatArray:
        return np.asarray(np.bincount(pair.place, values, places[-1] + 1)[places])

    n = at_places(total)
    expected = at_places(total * share)
    observed = at_places(pair.counts[:, 0])
    mean_share = np.divide(expected, n, out=np.zeros(len(n)), where=n > 0)
    number = n.astype(int)
    lower = bdtr(observed, number, mean_share)
    upper = bdtrc(observed - 1, number, mean_share)
    return np.asarray(np.minimum(lower, upper))


def _fit_shift(
    model: FloatArray, values: FloatArray, variance: FloatArray, has_errors: bool
) -> Shift:
    """Return the first coefficient of a weighted fit of the model (point, column).

    Without errors, its error follows from the scatter around the fit.
    """
    sigma = np.sqrt(variance)
    weighted = model / sigma[:, None]
    target = values / sigma
    covariance = np.linalg.pinv(weighted.T @ weighted)
    fitted = covariance @ weighted.T @ target
    scatter = 1.0
    if not has_errors:
        residual = target - weighted @ fitted
        scatter = np.sum(residual**2) / (len(target) - model.shape[1])
    error = np.sqrt(covariance[0, 0] * scatter)
    return Shift(float(fitted[0]), float(error))


def _local_slope(
    energy: FloatArray, values: FloatArray, weight: FloatArray, width: float
) -> FloatArray:
    """Return the slope (point,) of a straight line around each point.

    Weights are Gaussian, `width` (eV) or half a spacing wide. The slope is 0 where all
    points near have the same energy.
    """
    spacing = np.gradient(energy) if len(energy) > 1 else np.ones(1)
    distance = energy[None, :] - energy[:, None]
    widths = np.maximum(width, 0.5 * spacing)[:, None]
    near = weight * np.exp(-0.5 * (distance / widths) ** 2)
    s0, s1, s2 = ((near * distance**power).sum(axis=1) for power in (0, 1, 2))
    t0, t1 = ((near * distance**power * values).sum(axis=1) for power in (0, 1))
    spread = s0 * s2 - s1**2
    slope = np.zeros(len(energy))
    np.divide(s0 * t1 - s1 * t0, spread, out=slope, where=spread > 0)
    return slope
