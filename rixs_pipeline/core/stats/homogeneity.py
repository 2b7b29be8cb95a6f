"""Are spectra of several samples, or passes, the same: a test on their counts that holds at few counts too.

Of the n photons that all together have in a cell (bins of one incident point, one weight), spectrum k has, if they are
equal, a multinomial share with the probabilities q_k = s_k X_k / sum s X: exposures X, common factors s. That is exact
at any number of counts, and free of what the spectrum looks like (J. Przyborowski, H. Wilenski, Biometrika 31, 313
(1940)).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.stats import chi_squared

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

REPLICAS = 1999  # of the null hypothesis at most: p down to 1/2000
ENOUGH = 50  # that reach the statistic: no more are drawn
_DRAWS_AT_ONCE, _VALUES_AT_ONCE = 100, 2_000_000
_ROUNDS = 30  # of the fixed point for the factors, which contracts by the spread of the exposures' ratios


@dataclass(frozen=True)
class Cells:
    """Counts of K spectra, cell by cell, ordered by their place.

    `place` (cell,): which point of the spectra a cell adds to; `weight` (cell,): the share of it that counts;
    `counts` i8 and `exposure` s (cell, K).
    """

    place: Index
    weight: Floats
    counts: NDArray[np.int64]
    exposure: Floats

    def within(self, places: NDArray[np.bool_]) -> "Cells":
        """The cells of some places, (place,)."""
        inside = places[self.place]
        return Cells(
            self.place[inside],
            self.weight[inside],
            self.counts[inside],
            self.exposure[inside],
        )


@dataclass(frozen=True)
class Apart:
    """How far the second of two spectra may stand from the first along the emission scale: a shift of `deviation` eV
    (one standard deviation, Student's t with `freedom` degrees) that multiplies its counts at each place by
    1 + `slope` x shift, `slope` (place,) 1/eV."""

    slope: Floats
    deviation: float
    freedom: int


@dataclass(frozen=True)
class _Problem:
    """What a statistic is made of: cells, where the factors are fitted (cell,), which of the cells are tested, whether
    the factors are fitted to these, and how far the scales may stand apart."""

    joint: Cells
    fitted: NDArray[np.bool_]
    used: slice
    free: bool
    apart: Apart | None


@dataclass(frozen=True)
class Homogeneity:
    """Outcome of a test. `factor`, its relative error (K,): of the first spectrum 1 and 0; `points`: with counts."""

    chi_square: float
    degrees_of_freedom: int
    p: float
    factor: Floats
    factor_errors: Floats
    points: int


def cells(
    counts: Sequence[NDArray[np.int64]],
    exposure: Sequence[Floats],
    share: Floats,
    along_emission: bool,
) -> Cells:
    """The cells of a region of K maps that have counts.

    Args:
        counts: i8 (point, bin) of each map, on the same points and bins.
        exposure: s (point,) of each map; at a point where it is 0 a map has no counts. Points that fewer than two maps
            have are left out.
        share: weights of the region, f8 (point, bin), 0 to 1.
        along_emission: the spectra run along the emission energy, not the incident one.
    """
    exposed = np.array(exposure) > 0
    seen = [
        np.where(has[:, None], n, 0) for n, has in zip(counts, exposed, strict=True)
    ]
    row, column = np.nonzero(
        (share > 0) & (np.sum(seen, axis=0) > 0) & (exposed.sum(axis=0) > 1)[:, None]
    )
    weight = share[row, column]
    place = column if along_emission else row
    keys, member = np.unique(
        np.column_stack([place, row, weight]), axis=0, return_inverse=True
    )
    summed = np.zeros((len(keys), len(counts)), np.int64)
    np.add.at(
        summed, member.reshape(-1), np.stack([n[row, column] for n in seen], axis=1)
    )
    rows = keys[:, 1].astype(np.intp)
    return Cells(
        keys[:, 0].astype(np.intp), keys[:, 2], summed, np.stack(exposure, axis=1)[rows]
    )


def homogeneity(
    tested: Cells, scaled_by: Cells | None, apart: Apart | None = None, seed: int = 1
) -> Homogeneity | None:
    """Test whether the spectra are equal up to common factors.

        chi^2 = sum over points j and spectra k of (N_jk - E_jk)^2 / V_jk,
        N_jk = sum w n_k,  E_jk = sum w n q_k,  V_jk = sum w^2 n q_k

    Its p is the share of draws from the multinomial null hypothesis that reach it, the factors fitted to each draw
    anew. Drawn is until `ENOUGH` have reached it or there are `REPLICAS` (J. Besag, P. Clifford, Biometrika 78, 301
    (1991)); where none did, p is the tail of a chi-squared distribution with the draws' mean and variance. Where
    places and counts are many enough that these follow from a formula (`core.chi_squared`), nothing is drawn.

    Where the scales may stand `apart`, the draws do too, and chi^2 is that of the covariance with this shared term:
    with the change u_j of N_j2 for a shift of one standard deviation, less what the factor takes of it,

        chi^2 - (sum_j c_j u_j (N_j2 - E_j2))^2 / (1 + sum_j c_j u_j^2),  c_j = 1 / V_j1 + 1 / V_j2

    Args:
        tested: what is compared.
        scaled_by: where the factors are fitted (may be `tested` itself); None: they are 1.
        apart: of two spectra, what is not known of their scales; None: nothing.
        seed: of the draws: the same data give the same p.

    Returns:
        None where there is nothing to test, or a spectrum has no counts where its factor is fitted.
    """
    elsewhere = scaled_by is not None and scaled_by is not tested
    joint = (
        _joined(tested, scaled_by) if scaled_by is not None and elsewhere else tested
    )
    used = slice(0, len(tested.place))
    fitted = np.full(len(joint.place), scaled_by is not None)
    fitted[used] &= not elsewhere
    if not len(tested.place) or (
        scaled_by is not None and not joint.counts[fitted].sum(axis=0).all()
    ):
        return None
    factor = _factors(joint, joint.counts[None], fitted)
    problem = _Problem(joint, fitted, used, scaled_by is tested, apart)
    chi_square = float(_chi_square(problem, joint.counts[None], factor)[0])
    law = _law(problem, factor)
    null = np.empty(0)
    for draw in () if law else _draws(problem, factor[0], seed):
        null = np.append(null, _null(problem, draw))
        if np.sum(_reach(null, chi_square)) >= ENOUGH:
            break
    known = (
        np.maximum.reduceat(tested.exposure > 0, _starts(tested.place), axis=0).sum(
            axis=1
        )
        - 1
    )
    return Homogeneity(
        chi_square=chi_square,
        degrees_of_freedom=int(known.sum())
        - (tested.counts.shape[1] - 1) * problem.free,
        p=chi_squared.tail(chi_square, *law) if law else _p_value(chi_square, null),
        factor=factor[0],
        factor_errors=_factor_errors(joint, fitted),
        points=len(known),
    )


def _joined(tested: Cells, scaled_by: Cells) -> Cells:
    """The tested cells, and after them those that only set the factors."""
    pairs = zip(
        (tested.place, tested.weight, tested.counts, tested.exposure),
        (scaled_by.place, scaled_by.weight, scaled_by.counts, scaled_by.exposure),
        strict=True,
    )
    return Cells(*(np.concatenate(pair) for pair in pairs))


def _shares(joint: Cells, factor: Floats) -> Floats:
    """q (draw, cell, K) for factors (draw, K), or (draw, cell, K)."""
    rate = (factor if factor.ndim > 2 else factor[:, None, :]) * joint.exposure
    return np.asarray(rate / rate.sum(axis=-1, keepdims=True))


def _factors(
    joint: Cells, counts: NDArray[np.int64], fitted: NDArray[np.bool_]
) -> Floats:
    """Factors (draw, K) at which each spectrum has as many counts as expected; 1 where none are fitted."""
    factor = np.ones((len(counts), counts.shape[-1]))
    if not fitted.any():
        return factor
    part = Cells(
        joint.place[fitted],
        joint.weight[fitted],
        joint.counts[fitted],
        joint.exposure[fitted],
    )
    weighted = part.weight * part.counts.sum(axis=1)
    found = np.einsum("dck,c->dk", counts[:, fitted], part.weight)
    for _ in range(_ROUNDS):
        before = factor
        factor = (
            factor * found / np.einsum("dck,c->dk", _shares(part, factor), weighted)
        )
        factor = factor / factor[:, :1]
        if np.allclose(factor, before, rtol=1e-9):
            break
    return factor


def _chi_square(problem: _Problem, counts: NDArray[np.int64], factor: Floats) -> Floats:
    """The statistic of every draw, (draw,), at its factors (draw, K)."""
    joint, used, apart = problem.joint, problem.used, problem.apart
    weight, place = joint.weight[used], joint.place[used]
    shares, total = _shares(joint, factor)[:, used], joint.counts[used].sum(axis=1)
    expected = shares * total[:, None]
    first = _starts(place)
    excess = np.add.reduceat(
        (counts[:, used] - expected) * weight[:, None], first, axis=1
    )
    variance = np.add.reduceat(expected * weight[:, None] ** 2, first, axis=1)
    terms = np.divide(
        excess**2, variance, out=np.zeros_like(excess), where=variance > 0
    )
    chi_square = np.asarray(terms.sum(axis=(1, 2)))
    if apart is None:
        return chi_square
    rise = np.add.reduceat(
        shares.prod(axis=-1) * total * weight, first, axis=1
    )  # of N_j2, if all of it rises by 1
    moved = rise * apart.slope[place[first]] * apart.deviation
    return chi_square - _shared(excess[..., 1], variance, rise, moved, problem.free)


def _shared(
    excess: Floats, variance: Floats, rise: Floats, moved: Floats, free: bool
) -> Floats:
    """What the shift of the second spectrum explains of chi^2 (draw,), all (draw, place) but `variance` of both."""
    weight = np.divide(
        1.0, variance, out=np.zeros_like(variance), where=variance > 0
    ).sum(axis=-1)
    if free:
        moved = (
            moved
            - rise
            * ((weight * rise * moved).sum(axis=1) / (weight * rise**2).sum(axis=1))[
                :, None
            ]
        )
    return np.asarray(
        (weight * moved * excess).sum(axis=1) ** 2
        / (1 + (weight * moved**2).sum(axis=1))
    )


def _starts(place: Index) -> Index:
    """Where the cells of each place begin."""
    return np.flatnonzero(np.diff(place, prepend=-1))


def _law(problem: _Problem, factor: Floats) -> tuple[float, float] | None:
    """Mean and variance of the statistic, where a chi-squared law with these is as good as draws."""
    if problem.apart or (problem.fitted.any() and not problem.free):
        return None
    joint, factors = problem.joint, (factor.shape[1] - 1) * problem.free
    shares = _shares(joint, factor)[0]
    return chi_squared.moments(
        joint.counts.sum(axis=1), joint.weight, shares, _starts(joint.place), factors
    )


def _draws(problem: _Problem, factor: Floats, seed: int) -> Iterator[NDArray[np.int64]]:
    """Counts (draw, cell, K) under the null hypothesis, in pieces."""
    joint, apart = problem.joint, problem.apart
    rng = np.random.default_rng(seed)
    total = joint.counts.sum(axis=1)
    piece = max(1, min(_DRAWS_AT_ONCE, _VALUES_AT_ONCE // joint.counts.size))
    for start in range(0, REPLICAS, piece):
        number = min(piece, REPLICAS - start)
        if apart is None:
            yield rng.multinomial(
                total, _shares(joint, factor[None])[0], size=(number, len(total))
            )
        else:
            shift = apart.deviation * rng.standard_t(apart.freedom, number)
            rates = np.tile(factor, (number, len(total), 1))
            rates[..., 1] *= np.exp(shift[:, None] * apart.slope[joint.place])
            yield rng.multinomial(total, _shares(joint, rates))


def _null(problem: _Problem, draw: NDArray[np.int64]) -> Floats:
    """The statistic of draws; without those in which a spectrum has nothing to be scaled by."""
    if problem.fitted.any():
        draw = draw[draw[:, problem.fitted].sum(axis=1).all(axis=1)]
    return _chi_square(problem, draw, _factors(problem.joint, draw, problem.fitted))


def _reach(null: Floats, chi_square: float) -> NDArray[np.bool_]:
    """Which draws are as far out as the data, (draw,)."""
    return null >= chi_square * (1 - 1e-12)


def _p_value(chi_square: float, null: Floats) -> float:
    """Share of the draws that reach the statistic; in a tail that none reaches, a matched chi-squared distribution."""
    reached = np.flatnonzero(_reach(null, chi_square))
    if len(reached) >= ENOUGH:
        return float(ENOUGH / (reached[ENOUGH - 1] + 1))
    if len(reached) or not null.std():
        return (len(reached) + 1) / (len(null) + 1)
    return min(
        chi_squared.tail(chi_square, null.mean(), null.var()), 1 / (len(null) + 1)
    )


def _factor_errors(joint: Cells, fitted: NDArray[np.bool_]) -> Floats:
    """Relative error (K,) of the factors, counts of the first spectrum and of each other one."""
    if not fitted.any():
        return np.zeros(joint.counts.shape[1])
    weight, counts = joint.weight[fitted, None], joint.counts[fitted]
    relative = (weight**2 * counts).sum(axis=0) / (weight * counts).sum(axis=0) ** 2
    errors = np.sqrt(relative + relative[0])
    errors[0] = 0.0
    return np.asarray(errors)
