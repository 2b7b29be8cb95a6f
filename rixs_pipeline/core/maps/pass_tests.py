"""Passes of one sample and edge: are they the same, is one odd, and do their incident scales agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.stats.homogeneity import Cells, Homogeneity, homogeneity

Floats = NDArray[np.float64]

_SMOOTH = 0.3  # eV, over which a slope is taken where points are noisy: below the width of absorption features
_FEW = 0.05  # of a pass's points
_MIN_POINTS = 8  # that a shift takes


@dataclass(frozen=True)
class Consistency:
    """What the tests came to; every p is that of `comparison.homogeneity` with free factors between the passes.

    `p`, `chi_square`, `degrees_of_freedom`: all passes at once. `consecutive` (pass - 1,): each with the next, the test
    for radiation damage. `against_others` (pass,): each with the sum of all others. NaN where there is nothing to test.
    `odd_passes`: indices of those that are left out one after the other, the worst first, while its p against the
    others that are left is below the level over their number. `odd_points`: sound pass -> places, Bonferroni.
    """

    p: float
    chi_square: float
    degrees_of_freedom: int
    consecutive: Floats
    against_others: Floats
    odd_passes: tuple[int, ...] = ()
    odd_points: dict[int, tuple[int, ...]] = field(default_factory=dict)


def consistency(cells: Cells, level: float) -> Consistency:
    """Test K passes, at least two: all of them, each with the next, each with all others, and every point.

    Args:
        cells: of the passes.
        level: chance that sound passes have an odd one, and that they have an odd point.
    """
    number = cells.counts.shape[1]
    together = homogeneity(cells, cells)
    pairs = [_pair(cells, [k], [k + 1]) for k in range(number - 1)]
    consecutive = [homogeneity(pair, pair) for pair in pairs]
    others = _against_others(cells, list(range(number)))
    everyone = list(range(number))
    odd_ones = _odd_points(cells, everyone, others, level)
    clean = _without(cells, odd_ones)
    odd = _odd_passes(
        clean, _against_others(clean, everyone) if odd_ones else others, level
    )
    sound = [k for k in range(number) if k not in odd]
    if odd:
        odd_ones = _odd_points(cells, sound, _against_others(cells, sound), level)
    return Consistency(
        p=together.p if together else np.nan,
        chi_square=together.chi_square if together else np.nan,
        degrees_of_freedom=together.degrees_of_freedom if together else 0,
        consecutive=np.array([test.p if test else np.nan for test in consecutive]),
        against_others=np.array(
            [test.p if test else np.nan for test in others.values()]
        ),
        odd_passes=tuple(odd),
        odd_points=odd_ones,
    )


def _against_others(cells: Cells, among: list[int]) -> dict[int, Homogeneity | None]:
    """Each of some passes with the sum of the other ones among them."""
    pairs = {k: _pair(cells, [k], [m for m in among if m != k]) for k in among}
    return {k: homogeneity(pair, pair) for k, pair in pairs.items()}


def _without(cells: Cells, points: dict[int, tuple[int, ...]]) -> Cells:
    """The cells without odd points: they make no pass odd, unless these are more than a few of its points."""
    counts, exposure = cells.counts.copy(), cells.exposure.copy()
    for k, places in points.items():
        if len(places) <= _FEW * len(np.unique(cells.place)):
            at = np.isin(cells.place, places)
            counts[at, k], exposure[at, k] = 0, 0.0
    return Cells(cells.place, cells.weight, counts, exposure)


def _odd_passes(
    cells: Cells, others: dict[int, Homogeneity | None], level: float
) -> list[int]:
    """The odd passes one after the other, since one makes all others look odd; of two, none is the odd one."""
    odd: list[int] = []
    left = list(others)
    while len(left) > max(2, len(cells.counts.T) // 2):
        tested = {k: test for k, test in others.items() if test}
        worst = max(
            tested,
            key=lambda k: tested[k].chi_square / max(tested[k].degrees_of_freedom, 1),
            default=None,
        )
        if worst is None or not tested[worst].p < level / len(left):
            break
        odd.append(worst)
        left.remove(worst)
        others = _against_others(cells, left)
    return sorted(odd)


def _pair(cells: Cells, some: list[int], rest: list[int]) -> Cells:
    """Two sums of passes, where both were measured."""
    counts, exposure = (
        np.stack([of[:, ks].sum(axis=1) for ks in (some, rest)], axis=1)
        for of in (cells.counts, cells.exposure)
    )
    both = (exposure > 0).all(axis=1)
    return Cells(cells.place[both], cells.weight[both], counts[both], exposure[both])


def _odd_points(
    cells: Cells, among: list[int], tests: dict[int, Homogeneity | None], level: float
) -> dict[int, tuple[int, ...]]:
    """Places of a pass whose counts the binomial law of the passes allows less than once in the tests made.

    At each place it is the pass that the others allow least: it makes theirs look odd.
    """
    from scipy.special import bdtr, bdtrc  # scipy.stats takes half a second to import

    places = np.unique(cells.place)
    tails = np.ones((len(among), len(places)))
    for row, k in enumerate(among):
        test = tests[k]
        if test is None or len(among) < 3:
            continue
        pair = _pair(cells, [k], [m for m in among if m != k])
        rate = pair.exposure * test.factor
        total, share = pair.counts.sum(axis=1), rate[:, 0] / rate.sum(axis=1)
        summed = (total, total * share, pair.counts[:, 0])
        n, expected, seen = (
            np.bincount(pair.place, v, places[-1] + 1)[places] for v in summed
        )
        mean = np.divide(expected, n, out=np.zeros(len(n)), where=n > 0)
        tails[row] = np.minimum(
            bdtr(seen, n.astype(int), mean), bdtrc(seen - 1, n.astype(int), mean)
        )
    odd = (2 * tails < level / tails.size) & (tails == tails.min(axis=0))
    return {
        k: tuple(places[odd[row]].tolist())
        for row, k in enumerate(among)
        if odd[row].any()
    }


def shifts(
    grid: Floats, passes: Sequence[Floats], errors: Sequence[Floats] | None
) -> list[tuple[float, float]]:
    """How far the incident scale of each pass stands above the mean of the others', and its error, eV.

    A pass that is shifted by d differs from the others' mean o by -d times the slope m' of all passes' mean:
    y = a o + b - d m', with a, d (and b, where no errors are known) by weighted least squares. The slope is that of a
    local straight line, so that the noise of a pass is not what it is compared with. Good for shifts smaller than the
    features; up to a fifth too large where these are hardly wider than the points lie apart. NaN where too few points
    are shared.

    Args:
        grid: incident energies, ascending, (point,).
        passes: values of each pass (point,), NaN where it has none.
        errors: their standard deviations, > 0; None: unknown, taken from the scatter.
    """
    known = np.isfinite(passes)
    sigma = np.ones(known.shape) if errors is None else np.array(errors)
    values, weight = np.nan_to_num(passes), np.where(known, sigma**-2.0, 0.0)
    total, sum_ = weight.sum(axis=0), (weight * values).sum(axis=0)
    shared = total > 0
    slope = np.full(len(grid), np.nan)
    slope[shared] = _slope(
        grid[shared],
        sum_[shared] / total[shared],
        total[shared],
        0.0 if errors is None else _SMOOTH,
    )
    found = []
    for k in range(len(passes)):
        rest = total - weight[k]
        good = known[k] & (rest > 0) & np.isfinite(slope)
        if good.sum() < _MIN_POINTS:
            found.append((np.nan, np.nan))
            continue
        others = (sum_ - weight[k] * values[k])[good] / rest[good]
        variance = (sigma[k] ** 2)[good] + 1 / rest[good]
        columns = [-slope[good], others] + [np.ones(good.sum())] * (errors is None)
        found.append(
            _first_parameter(
                np.stack(columns, axis=1), values[k][good], variance, errors is None
            )
        )
    return found


def _first_parameter(
    columns: Floats, values: Floats, variance: Floats, scatter: bool
) -> tuple[float, float]:
    """The first coefficient of a weighted fit and its error, the latter from the `scatter` around it if so asked."""
    model, target = columns / np.sqrt(variance)[:, None], values / np.sqrt(variance)
    covariance = np.linalg.pinv(model.T @ model)
    fitted = covariance @ model.T @ target
    stretch = (
        np.sum((target - model @ fitted) ** 2) / (len(target) - columns.shape[1])
        if scatter
        else 1.0
    )
    return float(fitted[0]), float(np.sqrt(covariance[0, 0] * stretch))


def _slope(energy: Floats, values: Floats, weight: Floats, width: float) -> Floats:
    """Slope (point,) of a straight line around each point, Gaussian weights of `width` eV or half a spacing."""
    spacing = np.gradient(energy) if len(energy) > 1 else np.ones(1)
    distance = energy[None, :] - energy[:, None]
    near = weight * np.exp(
        -0.5 * (distance / np.maximum(width, 0.5 * spacing)[:, None]) ** 2
    )
    s0, s1, s2 = ((near * distance**power).sum(axis=1) for power in (0, 1, 2))
    t0, t1 = ((near * distance**power * values).sum(axis=1) for power in (0, 1))
    return np.asarray((s0 * t1 - s1 * t0) / (s0 * s2 - s1**2))
