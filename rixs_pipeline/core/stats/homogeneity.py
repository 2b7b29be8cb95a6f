"""Test whether spectra of several samples, or passes, are equal; valid at few counts.

Of the n photons that all spectra together have in a cell (bins of one incident point
and one weight), spectrum k has, if they are equal, a multinomial share with the
probability q_k = s_k X_k / sum s X: exposures X, common factors s. That is exact at any
number of counts, and independent of the shape of the spectrum (J. Przyborowski, H.
Wilenski, Biometrika 31, 313 (1940)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.stats.chi_squared import ChiSquaredLaw, chi_squared_law
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

Index = NDArray[np.intp]

MAX_DRAWS = 1999  # of the null hypothesis: p down to 1/2000
ENOUGH_DRAWS = 50  # that reach the statistic: no more are drawn
DRAWS_AT_ONCE = 100
VALUES_AT_ONCE = 2_000_000  # of the draws kept in memory
# Rounds of the fixed point; the spread of the exposures' ratios contracts it.
FACTOR_ROUNDS = 30
FACTOR_PRECISION = 1e-9  # relative


@dataclass(frozen=True)
class Cells:
    """Counts of K spectra, cell by cell, ordered by their place.

    Attributes
    ----------
    place
        Point of the spectra to which a cell adds, (cell,).
    weight
        Share of the cell that counts, f8 (cell,).
    counts
        i8 (cell, K).
    exposure
        f8 (cell, K), s.
    """

    place: Index
    weight: FloatArray
    counts: IntArray
    exposure: FloatArray

    def select(self, cells: BoolArray) -> Cells:
        """Return some of the cells, (cell,)."""
        return Cells(
            self.place[cells],
            self.weight[cells],
            self.counts[cells],
            self.exposure[cells],
        )

    def within(self, places: BoolArray) -> Cells:
        """Return the cells of some places, (place,)."""
        return self.select(places[self.place])

    def append(self, cells: Cells) -> Cells:
        """Return these cells and, after them, others."""
        return Cells(
            np.concatenate([self.place, cells.place]),
            np.concatenate([self.weight, cells.weight]),
            np.concatenate([self.counts, cells.counts]),
            np.concatenate([self.exposure, cells.exposure]),
        )

    def starts(self) -> Index:
        """Return where the cells of each place begin, (place,)."""
        return np.flatnonzero(np.diff(self.place, prepend=-1))


@dataclass(frozen=True)
class ScaleOffset:
    """What is known of the emission scale of the second of two spectra.

    A shift of its scale multiplies its counts at each place by 1 + slope x shift.

    Attributes
    ----------
    slope
        f8 (place,), 1/eV.
    deviation
        Standard deviation of the shift, eV: Student's t.
    freedom
        Its degrees of freedom.
    """

    slope: FloatArray
    deviation: float
    freedom: int


@dataclass(frozen=True)
class Homogeneity:
    """Outcome of a test.

    Attributes
    ----------
    chi_square, degrees_of_freedom, p
        The statistic, and the probability of a larger one for equal spectra.
    factor, factor_errors
        Common factors and their relative errors, f8 (K,); 1 and 0 of the first one.
    points
        Number of places with counts.
    """

    chi_square: float
    degrees_of_freedom: int
    p: float
    factor: FloatArray
    factor_errors: FloatArray
    points: int


@dataclass(frozen=True)
class _Problem:
    """What a statistic is made of.

    Attributes
    ----------
    joint
        Tested cells, and after them those that only set the factors.
    is_fitted
        To which cells the factors are fitted, (cell,).
    n_tested
        Number of tested cells.
    is_free
        Whether the factors are fitted to the tested cells.
    offset
        What is known of the scales.
    """

    joint: Cells
    is_fitted: BoolArray
    n_tested: int
    is_free: bool
    offset: ScaleOffset | None

    def tested(self) -> Cells:
        """Return the tested cells."""
        return self.joint.select(np.arange(len(self.joint.place)) < self.n_tested)


def cells(
    counts: Sequence[IntArray],
    exposure: Sequence[FloatArray],
    weights: FloatArray,
    along_emission: bool,
) -> Cells:
    """Return the cells of a region of K maps that have counts.

    Parameters
    ----------
    counts
        i8 (point, bin) of each map, on the same points and bins.
    exposure
        f8 (point,) of each map, s; at a point where it is 0, the counts of the map are
        left out. Points that fewer than two maps have are left out.
    weights
        Share of each bin in the region, f8 (point, bin), 0 to 1.
    along_emission
        Whether the spectra run along the emission energy, or along the incident energy.

    Returns
    -------
    Cells
    """
    is_exposed = np.array(exposure) > 0
    exposed_counts = []
    for exposed, map_counts in zip(is_exposed, counts, strict=True):
        exposed_map = np.where(exposed[:, None], map_counts, 0)
        exposed_counts.append(exposed_map)
    has_counts = np.sum(exposed_counts, axis=0) > 0
    is_shared = is_exposed.sum(axis=0) > 1
    is_counted = (weights > 0) & has_counts & is_shared[:, None]
    row, column = np.nonzero(is_counted)
    weight = weights[row, column]
    place = column if along_emission else row
    columns = np.column_stack([place, row, weight])
    keys, cell = np.unique(columns, axis=0, return_inverse=True)
    cell_counts = np.zeros((len(keys), len(counts)), np.int64)
    bin_counts = [map_counts[row, column] for map_counts in exposed_counts]
    np.add.at(cell_counts, cell.reshape(-1), np.stack(bin_counts, axis=1))
    cell_row = keys[:, 1].astype(np.intp)
    cell_exposure = np.stack(exposure, axis=1)[cell_row]
    cell_place = keys[:, 0].astype(np.intp)
    cell_weight = keys[:, 2]
    return Cells(cell_place, cell_weight, cell_counts, cell_exposure)


def homogeneity(
    tested: Cells,
    scaled_by: Cells | None,
    offset: ScaleOffset | None = None,
    seed: int = 1,
) -> Homogeneity | None:
    """Test whether spectra are equal up to common factors.

    Parameters
    ----------
    tested
        What is compared.
    scaled_by
        Cells to which the factors are fitted, or `tested` itself; None: they are 1.
    offset
        Of two spectra, what is known of their scales; None: they are the same.
    seed
        Of the draws: the same data give the same p.

    Returns
    -------
    Homogeneity or None
        None where there is nothing to test, or where a spectrum has no counts in the
        cells to which its factor is fitted.

    Notes
    -----
    The statistic is a sum over points j and spectra k::

        chi^2 = sum (N_jk - E_jk)^2 / V_jk
        N_jk = sum w n_k,  E_jk = sum w n q_k,  V_jk = sum w^2 n q_k

    Its p is the share of draws from the multinomial null hypothesis that reach it, with
    the factors fitted anew to each draw. Draws end when `ENOUGH_DRAWS` have reached it,
    or with `MAX_DRAWS`; where none did, p is the tail of a chi-squared distribution
    with the mean and variance of the draws. Where places and counts are many enough
    that these follow from a formula (`chi_squared`), nothing is drawn.

    With an offset between the scales, the draws have one too, and chi^2 is that of the
    covariance with this shared term: with the change u_j of N_j2 for a shift of one
    standard deviation, less what the factor takes of it::

        chi^2 - (sum_j c_j u_j (N_j2 - E_j2))^2 / (1 + sum_j c_j u_j^2)
        c_j = 1 / V_j1 + 1 / V_j2

    References
    ----------
    J. Besag, P. Clifford, Biometrika 78, 301 (1991): sequential Monte Carlo p-values.
    """
    if not len(tested.place):
        return None
    problem = _pose(tested, scaled_by, offset)
    joint = problem.joint
    is_fitted = problem.is_fitted
    fitted_counts = joint.counts[is_fitted].sum(axis=0)
    if scaled_by is not None and not fitted_counts.all():
        return None
    factor = _fit_factors(joint, joint.counts[None], is_fitted)
    chi_square = float(_chi_square(problem, joint.counts[None], factor)[0])
    law = _law(problem, factor)
    p = law.tail(chi_square) if law else _drawn_p(problem, factor[0], chi_square, seed)
    starts = tested.starts()
    has_exposure = np.maximum.reduceat(tested.exposure > 0, starts, axis=0)
    freedom = int((has_exposure.sum(axis=1) - 1).sum())
    n_free_factors = (tested.counts.shape[1] - 1) * problem.is_free
    return Homogeneity(
        chi_square=chi_square,
        degrees_of_freedom=freedom - n_free_factors,
        p=p,
        factor=factor[0],
        factor_errors=_factor_errors(joint, is_fitted),
        points=len(starts),
    )


def _pose(
    tested: Cells, scaled_by: Cells | None, offset: ScaleOffset | None
) -> _Problem:
    """Return the problem: all cells in one, and which of them are used for what."""
    n_tested = len(tested.place)
    if scaled_by is None:
        no_cells = np.zeros(n_tested, bool)
        return _Problem(tested, no_cells, n_tested, False, offset)
    if scaled_by is tested:
        all_cells = np.ones(n_tested, bool)
        return _Problem(tested, all_cells, n_tested, True, offset)
    joint = tested.append(scaled_by)
    is_fitted = np.arange(len(joint.place)) >= n_tested
    return _Problem(joint, is_fitted, n_tested, False, offset)


def _shares(joint: Cells, factor: FloatArray) -> FloatArray:
    """Return q (draw, cell, K) for factors (draw, K), or (draw, cell, K)."""
    if factor.ndim < 3:
        factor = factor[:, None, :]
    rate = factor * joint.exposure
    return np.asarray(rate / rate.sum(axis=-1, keepdims=True))


def _fit_factors(joint: Cells, counts: IntArray, is_fitted: BoolArray) -> FloatArray:
    """Return the factors (draw, K) at which spectra have as many counts as expected.

    `counts` are those of draws, (draw, cell, K). Without cells to fit, factors are 1.
    """
    factor = np.ones((len(counts), counts.shape[-1]))
    if not is_fitted.any():
        return factor
    fitted = joint.select(is_fitted)
    total = fitted.weight * fitted.counts.sum(axis=1)
    observed = np.einsum("dck,c->dk", counts[:, is_fitted], fitted.weight)
    for _ in range(FACTOR_ROUNDS):
        previous = factor
        expected = np.einsum("dck,c->dk", _shares(fitted, factor), total)
        factor = factor * observed / expected
        factor = factor / factor[:, :1]
        if np.allclose(factor, previous, rtol=FACTOR_PRECISION):
            break
    return factor


def _chi_square(problem: _Problem, counts: IntArray, factor: FloatArray) -> FloatArray:
    """Return the statistic (draw,) of draws (draw, cell, K), at factors (draw, K)."""
    tested = problem.tested()
    n_tested = problem.n_tested
    weight = tested.weight
    shares = _shares(problem.joint, factor)[:, :n_tested]
    total = tested.counts.sum(axis=1)
    expected = shares * total[:, None]
    starts = tested.starts()
    weighted = (counts[:, :n_tested] - expected) * weight[:, None]
    excess = np.add.reduceat(weighted, starts, axis=1)
    variance = np.add.reduceat(expected * weight[:, None] ** 2, starts, axis=1)
    terms = np.divide(
        excess**2, variance, out=np.zeros_like(excess), where=variance > 0
    )
    chi_square = np.asarray(terms.sum(axis=(1, 2)))
    offset = problem.offset
    if offset is None:
        return chi_square
    # Change of N_j2, if all of it rises by 1, and for a shift of one deviation.
    weighted_product = shares.prod(axis=-1) * total * weight
    rise = np.add.reduceat(weighted_product, starts, axis=1)
    shifted = rise * offset.slope[tested.place[starts]] * offset.deviation
    inverse_variance = np.divide(
        1.0, variance, out=np.zeros_like(variance), where=variance > 0
    ).sum(axis=-1)
    if problem.is_free:
        numerator = (inverse_variance * rise * shifted).sum(axis=1)
        share = numerator / (inverse_variance * rise**2).sum(axis=1)
        shifted = shifted - rise * share[:, None]
    projected = (inverse_variance * shifted * excess[..., 1]).sum(axis=1)
    norm = 1 + (inverse_variance * shifted**2).sum(axis=1)
    return np.asarray(chi_square - projected**2 / norm)


def _law(problem: _Problem, factor: FloatArray) -> ChiSquaredLaw | None:
    """Return the distribution of the statistic, where it is as good as draws."""
    if problem.offset or (problem.is_fitted.any() and not problem.is_free):
        return None
    joint = problem.joint
    n_factors = (factor.shape[1] - 1) * problem.is_free
    total = joint.counts.sum(axis=1)
    shares = _shares(joint, factor)[0]
    return chi_squared_law(total, joint.weight, shares, joint.starts(), n_factors)


def _draws(problem: _Problem, factor: FloatArray, seed: int) -> Iterator[IntArray]:
    """Yield counts (draw, cell, K) under the null hypothesis, in pieces."""
    joint = problem.joint
    offset = problem.offset
    rng = np.random.default_rng(seed)
    total = joint.counts.sum(axis=1)
    piece = max(1, min(DRAWS_AT_ONCE, VALUES_AT_ONCE // joint.counts.size))
    for start in range(0, MAX_DRAWS, piece):
        number = min(piece, MAX_DRAWS - start)
        if offset is None:
            shares = _shares(joint, factor[None])[0]
            yield rng.multinomial(total, shares, size=(number, len(total)))
        else:
            shift = offset.deviation * rng.standard_t(offset.freedom, number)
            factors = np.tile(factor, (number, len(total), 1))
            factors[..., 1] *= np.exp(shift[:, None] * offset.slope[joint.place])
            yield rng.multinomial(total, _shares(joint, factors))


def _drawn_p(
    problem: _Problem, factor: FloatArray, chi_square: float, seed: int
) -> float:
    """Return the share of draws that reach the statistic."""
    null = np.empty(0)
    for draw in _draws(problem, factor, seed):
        statistic = _null_statistic(problem, draw)
        null = np.append(null, statistic)
        if np.sum(_is_reached(null, chi_square)) >= ENOUGH_DRAWS:
            break
    reached = np.flatnonzero(_is_reached(null, chi_square))
    if len(reached) >= ENOUGH_DRAWS:
        return float(ENOUGH_DRAWS / (reached[ENOUGH_DRAWS - 1] + 1))
    if len(reached) or not null.std():
        return (len(reached) + 1) / (len(null) + 1)
    tail = ChiSquaredLaw(null.mean(), null.var()).tail(chi_square)
    return min(tail, 1 / (len(null) + 1))


def _null_statistic(problem: _Problem, draw: IntArray) -> FloatArray:
    """Return the statistic of draws in which every spectrum has counts to scale by."""
    if problem.is_fitted.any():
        has_counts = draw[:, problem.is_fitted].sum(axis=1).all(axis=1)
        draw = draw[has_counts]
    factor = _fit_factors(problem.joint, draw, problem.is_fitted)
    return _chi_square(problem, draw, factor)


def _is_reached(null: FloatArray, chi_square: float) -> BoolArray:
    """Return which draws are as far out as the data, (draw,)."""
    return null >= chi_square * (1 - 1e-12)


def _factor_errors(joint: Cells, is_fitted: BoolArray) -> FloatArray:
    """Return the relative errors (K,) of the factors.

    They follow from the counts of each spectrum and of the first one.
    """
    if not is_fitted.any():
        return np.zeros(joint.counts.shape[1])
    weight = joint.weight[is_fitted, None]
    counts = joint.counts[is_fitted]
    variance = (weight**2 * counts).sum(axis=0)
    weighted_counts = (weight * counts).sum(axis=0)
    relative = variance / weighted_counts**2
    errors = np.sqrt(relative + relative[0])
    errors[0] = 0.0
    return np.asarray(errors)
