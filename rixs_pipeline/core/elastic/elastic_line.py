"""Offset between the incident and the emission scale, from the elastic line of a scan.

Elastically scattered light has the incident energy. Its place on the emission scale,
minus the reading of the monochromator, is the offset between the two scales. It depends
on the monochromator as much as on the calibration, so it is reported and never anchors
the emission scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.line_fits import LineFits, LineSpectra, fit_lines
from rixs_pipeline.core.calibration.line_shapes import (
    LOG_BACKGROUND,
    N_GRID,
    ComplexArray,
    LineGrid,
)
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# Range of the fit: excitations with a loss of a few eV lie below the line.
FIT_RANGE_EV = (-4.0, 8.0)
# An emission line that far below the elastic line still disturbs the fit. Above an L
# edge, the inelastic light of metals (d-d and charge-transfer excitations) follows the
# elastic line a few eV below, for as long as the edge resonates.
CLEAR_OF_K_EV = 9.0
CLEAR_OF_L_EV = 35.0
ONSET_EV = (
    2.0  # a line emits from so far below its energy on: resonant Raman scattering
)
OFFSET_RANGE_EV = (-3.5, 6.0)  # the fit range does not hold the line beyond
MIN_COUNTS = 20
MIN_GROUP_COUNTS = 10.0  # expected, of bins that are tested together
FITTED_PARAMETERS = 4  # of offset, width, counts and background; the tail has a prior
LEAST_P = 1e-3  # of the fitted shape, below which no offset is stated
MIN_SIGNIFICANCE = 4.0  # counts of the line / standard deviation of all under it
MAX_TURNS = 5  # of choosing clear points by the offset that they give
# Light that lost energy lies below the elastic line alone: a second fit, from one sigma
# below the line on, hardly includes it.
UPPER_SIGMAS = 1.0


@dataclass(frozen=True)
class ElasticOffset:
    """Offset of the elastic line.

    Attributes
    ----------
    offset, error
        Emission - incident energy and its standard deviation, eV.
    counts
        Counts of the line.
    p
        Probability of a larger misfit of the fitted shape.
    """

    offset: float
    error: float
    counts: float
    p: float


def elastic_offset(
    counts: IntArray,
    incident: FloatArray,
    edges: FloatArray,
    emission_lines: Mapping[str, float],
) -> ElasticOffset | None:
    """Fit the elastic line of a scan.

    Parameters
    ----------
    counts
        i8 (point, bin).
    incident
        f8 (point,), eV.
    edges
        Uniform emission bins, f8 (bin + 1,), eV.
    emission_lines
        Energies (eV) of fluorescence that the sample may emit, by name (``O_Ka``,
        ``Co_La``). Points at which it disturbs the elastic line are left out.

    Returns
    -------
    ElasticOffset or None
        None where the line has too few counts, is not resolved, or what is there does
        not have the shape of a line.
    """
    grid = LineGrid(float(edges[1] - edges[0]))
    is_clear = np.ones(len(incident), dtype=bool)
    offset, line = 0.0, None
    for _ in range(MAX_TURNS):
        still_clear = is_clear & _is_clear(incident + offset, emission_lines)
        if line is not None and still_clear.sum() == is_clear.sum():
            break
        is_clear = still_clear
        selected = counts[is_clear], incident[is_clear]
        differences = _EnergyDifferences.of(*selected, edges, grid)
        line = _fit_line(differences, FIT_RANGE_EV[0])
        if line is None:
            return None
        offset = line.offset
    if line is None or line.p < LEAST_P:
        return None
    upper = _fit_line(differences, line.offset - UPPER_SIGMAS * line.sigma)
    if upper is None:
        return None
    change = upper.offset - line.offset
    expected = max(upper.error**2 - line.error**2, 0.0)
    systematic = max(change**2 - expected, 0.0)
    error = float(np.sqrt(upper.error**2 + systematic))
    return ElasticOffset(upper.offset, error, line.counts, line.p)


@dataclass(frozen=True)
class _Line:
    """Offset, its error, sigma, counts and p of a fitted line."""

    offset: float
    error: float
    sigma: float
    counts: float
    p: float


def _fit_line(differences: "_EnergyDifferences", lowest: float) -> _Line | None:
    """Fit the line to the differences above `lowest`; None where it does not stand out.

    The line of a point lies anywhere within a bin: a box of one bin spreads it.
    """
    grid, histogram = differences.grid, differences.counts
    is_fitted = (grid.offsets > lowest) & (grid.offsets < FIT_RANGE_EV[1])
    if histogram[is_fitted].sum() < MIN_COUNTS:
        return None
    box = np.sinc(grid.k * grid.width / (2 * np.pi)).astype(complex)
    spectra = LineSpectra(
        histogram[None, None, :], is_fitted[None, :], box[None, :], grid
    )
    fit = fit_lines(spectra)
    if not fit.is_converged[0, 0]:
        return None
    offset = float(fit.shift[0, 0]) + differences.excess
    number = float(fit.counts[0, 0])
    significance = fit.significance(grid.width)[0, 0]
    is_in_range = OFFSET_RANGE_EV[0] < offset < OFFSET_RANGE_EV[1]
    if number < MIN_COUNTS or significance < MIN_SIGNIFICANCE or not is_in_range:
        return None
    p = _goodness_of_fit(histogram, is_fitted, _expected(fit, box, grid))
    error, sigma = float(fit.shift_errors[0, 0]), float(fit.sigma[0, 0])
    return _Line(offset, error, sigma, number, p)


def _expected(fit: LineFits, emitted: ComplexArray, grid: LineGrid) -> FloatArray:
    """Return the expected counts (N_GRID,) of a fit."""
    theta = fit.theta[0]
    line = np.zeros(1, dtype=np.intp)
    transforms = grid.detected_transforms(emitted[None, :], line, theta)
    content = grid.bin_contents(transforms[0, :1])[0]
    background = np.exp(theta[0, LOG_BACKGROUND])
    return np.asarray(fit.counts[0, 0] * content + background)


def _goodness_of_fit(
    counts: FloatArray, is_fitted: BoolArray, expected: FloatArray
) -> float:
    """Return the probability of a larger chi-squared of bins grouped to ten counts."""
    from scipy.special import chdtrc  # scipy.stats takes half a second to import

    total = np.cumsum(expected[is_fitted])
    group = np.floor(total / MIN_GROUP_COUNTS - 1e-9).astype(np.int64)
    group = np.unique(group, return_inverse=True)[1]
    group_counts = np.bincount(group, counts[is_fitted])
    group_expected = np.bincount(group, expected[is_fitted])
    freedom = len(group_counts) - FITTED_PARAMETERS
    if freedom < 1:
        return 1.0
    variance = np.maximum(group_expected, 1.0)
    chi_square = float(((group_counts - group_expected) ** 2 / variance).sum())
    return float(chdtrc(freedom, chi_square))


def _is_clear(incident: FloatArray, emission_lines: Mapping[str, float]) -> BoolArray:
    """Return which points have an elastic line that no emission line disturbs."""
    is_clear = np.ones(len(incident), dtype=bool)
    for name, energy in emission_lines.items():
        distance = CLEAR_OF_K_EV if "_K" in name else CLEAR_OF_L_EV
        is_clear &= (incident < energy - ONSET_EV) | (incident > energy + distance)
    return is_clear


@dataclass(frozen=True)
class _EnergyDifferences:
    """Counts (N_GRID,) against emission - incident energy, in whole bins.

    `excess`: mean of the differences over those that their bins stand for, eV.
    """

    counts: FloatArray
    excess: float
    grid: LineGrid

    @classmethod
    def of(
        cls, counts: IntArray, incident: FloatArray, edges: FloatArray, grid: LineGrid
    ) -> "_EnergyDifferences":
        """Return the differences of a map's counts (point, bin)."""
        centres = (edges[1:] + edges[:-1]) / 2
        difference = centres[None, :] - incident[:, None]
        bins = np.floor(difference / grid.width).astype(np.int64) + N_GRID // 2
        is_on_grid = (bins >= 0) & (bins < N_GRID)
        histogram = np.bincount(
            bins[is_on_grid], weights=counts[is_on_grid], minlength=N_GRID
        )
        low, high = FIT_RANGE_EV
        is_near = (difference > low) & (difference < high)
        photons = (counts * is_near).sum(axis=1)
        within_bin = np.mod(difference[:, 0], grid.width) - grid.width / 2
        excess = float(photons @ within_bin) / max(float(photons.sum()), 1.0)
        return cls(histogram.astype(np.float64), excess, grid)
