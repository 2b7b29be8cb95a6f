"""The offset between the incident and the emission scale, from the elastic line of a scan.

Elastically scattered light has the incident energy; where it stands on the emission scale, minus what the
monochromator says, is the offset between the two scales. It tells about the monochromator as much as about the
calibration, so it is reported and never anchors the emission scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_fits import LineSpectra, fit_lines
from rixs_pipeline.core.calibration.line_shapes import N_GRID, LineGrid

Float = NDArray[np.float64]

REACH_EV = (
    -4.0,
    8.0,
)  # of the fit: excitations with a loss of a few eV stand below the line
# An emission line so far below the elastic line still disturbs the fit. Above an L edge the metals' inelastic light
# (d-d and charge-transfer excitations) follows the elastic line a few eV below, for as long as the edge resonates.
CLEAR_OF_K_EV, CLEAR_OF_L_EV = 9.0, 35.0
ONSET_EV = (
    2.0  # so far below its energy a line begins to shine (resonant Raman scattering)
)
OFFSET_EV = (-3.5, 6.0)  # offsets beyond these are not seen whole by the fit
MIN_COUNTS = 20
MIN_SIGNIFICANCE = (
    4.0  # counts of the line over the standard deviation of all counts under it
)


@dataclass(frozen=True)
class ElasticOffset:
    """Emission - incident energy of the elastic line, its standard deviation, eV, and the counts it rests on."""

    offset: float
    error: float
    counts: float


def elastic_offset(
    counts: NDArray[np.int64],
    incident: Float,
    edges: Float,
    emission_lines: Mapping[str, float],
) -> ElasticOffset | None:
    """Fit the elastic line of a scan; None where too few counts, or no point clear of emission lines, tell.

    Args:
        counts: i8 (point, bin).
        incident: f8 (point,), eV.
        edges: f8 (bin + 1,) eV, uniform emission bins.
        emission_lines: name (`O_Ka`, `Co_La`) -> eV, fluorescence that the sample may emit, from incident energies
            `ONSET_EV` below each line on; the points above, as far as the line disturbs, are left out.
    """
    clear = np.ones(len(incident), dtype=bool)
    for name, energy in emission_lines.items():
        reach = CLEAR_OF_K_EV if "_K" in name else CLEAR_OF_L_EV
        clear &= (incident < energy - ONSET_EV) | (incident > energy + reach)
    grid = LineGrid(float(edges[1] - edges[0]))
    histogram = _around(counts[clear], incident[clear], edges, grid)[None, None, :]
    inside = ((grid.offsets > REACH_EV[0]) & (grid.offsets < REACH_EV[1]))[None, :]
    if histogram[0, 0][inside[0]].sum() < MIN_COUNTS:
        return None
    # a point's line lies anywhere within a bin: that spreads it by a box of one bin
    spread = np.sinc(grid.k * grid.width / (2 * np.pi))[None, :].astype(complex)
    fit = fit_lines(LineSpectra(histogram, inside, spread, grid))
    shift, error, number = (
        float(getattr(fit, name)[0, 0]) for name in ("shift", "shift_errors", "counts")
    )
    clear_line = (
        number >= MIN_COUNTS and fit.significance(grid.width)[0, 0] >= MIN_SIGNIFICANCE
    )
    if (
        not fit.is_converged[0, 0]
        or not clear_line
        or not OFFSET_EV[0] < shift < OFFSET_EV[1]
    ):
        return None
    return ElasticOffset(shift, error, number)


def _around(
    counts: NDArray[np.int64], incident: Float, edges: Float, grid: LineGrid
) -> Float:
    """Counts (N_GRID,) against emission - incident: whole bins, put where their centres lie."""
    centres = (edges[1:] + edges[:-1]) / 2
    bins = (
        np.floor((centres[None, :] - incident[:, None]) / grid.width).astype(np.int64)
        + N_GRID // 2
    )
    near = (bins >= 0) & (bins < N_GRID)
    return np.bincount(bins[near], weights=counts[near], minlength=N_GRID).astype(
        np.float64
    )
