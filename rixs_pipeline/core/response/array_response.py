"""Response of an array of pixels in a reference run: resolution, line widths, tail."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.energy_scale import EnergyScale
from rixs_pipeline.core.calibration.identification.line_identification import (
    FittedLines,
)
from rixs_pipeline.core.response.resolution import (
    Resolution,
    Widths,
    estimate_resolution,
    line_widths,
    without_overfit,
)
from rixs_pipeline.core.response.tail_fit import PooledLines, TailFit, fit_tail
from rixs_pipeline.types import BoolArray, FloatArray

REACH_BELOW_EV = 70.0  # of the fit of the tail: several decay lengths of real tails
REACH_ABOVE_EV = 28.0  # as of the fits of the positions
CLEARANCE_EV = 20.0  # above the next lower line: its upper wing
SAME_LINE_EV = 3.0  # lines closer than this are one
MIN_TAIL_COUNTS = 200.0  # of a line in all pixels together


@dataclass(frozen=True)
class ArrayResponse:
    """Response of the pixels of a reference run.

    Attributes
    ----------
    resolution
        Of each pixel.
    line_resolution
        (pixel, line) Gaussian width of the fits, given the tabulated shapes.
    line_width
        (pixel, line) of the lines as the detector shows them.
    tail
        Of the array; None: undetermined.
    """

    resolution: Resolution
    line_resolution: Widths
    line_width: Widths
    tail: TailFit | None


def measure_response(
    scale: EnergyScale, lines: FittedLines, is_ok: BoolArray, overfit: FloatArray
) -> ArrayResponse:
    """Measure the response from the fitted lines of a reference run.

    Parameters
    ----------
    scale
        Fits of the last turn.
    lines
        Lines of the run.
    is_ok
        (pixel,) the pixels whose spectra are added for the tail.
    overfit
        (pixel, line) variance of energies by the errors of corrections, eV^2.

    Returns
    -------
    ArrayResponse
        NaN for lines that are not usable.
    """
    fits = scale.own_fits
    unknown = np.where(scale.is_usable, 0.0, np.nan)
    width = line_widths(fits, scale.spectra.emitted, scale.spectra.grid)
    return ArrayResponse(
        resolution=estimate_resolution(
            without_overfit(fits, overfit),
            scale.is_usable,
            ~lines.is_anchor,
            is_ok,
            scale.spectra.grid,
        ),
        line_resolution=Widths(fits.fwhm + unknown, fits.fwhm_errors + unknown),
        line_width=Widths(width.values + unknown, width.errors + unknown),
        tail=_measure_tail(scale, lines, is_ok),
    )


def no_response(n_pixels: int, n_lines: int) -> ArrayResponse:
    """Return the response of an array without fitted lines: NaN."""
    pixel = np.full(n_pixels, np.nan)
    table = np.full((n_pixels, n_lines), np.nan)
    return ArrayResponse(
        resolution=Resolution(Widths(pixel, pixel), np.zeros(n_pixels, dtype=bool)),
        line_resolution=Widths(table, table),
        line_width=Widths(table, table),
        tail=None,
    )


def _measure_tail(
    scale: EnergyScale, lines: FittedLines, is_ok: BoolArray
) -> TailFit | None:
    """Fit the tail to the added spectra of the pixels that are ok."""
    spectra = scale.spectra
    counts = spectra.counts[is_ok].sum(axis=0)
    middle = np.round(lines.energy / spectra.grid.width) * spectra.grid.width
    energy = spectra.grid.offsets + middle[:, None]
    is_inside = tail_bins(lines, energy, spectra.grid.width_unit)
    used = np.where(is_inside, counts, 0.0).sum(axis=1) >= MIN_TAIL_COUNTS
    used &= (scale.is_usable & is_ok[:, None]).any(axis=0)
    if not used.any():
        return None
    theta = scale.fits.theta[is_ok]
    start = np.median(theta, axis=0)
    start[:, -2:] = np.log(np.exp(theta[..., -2:]).sum(axis=0))
    pooled = PooledLines(
        counts[used], is_inside[used], spectra.emitted[used], spectra.grid
    )
    return fit_tail(pooled, start[used])


def tail_bins(
    lines: FittedLines, energy: FloatArray, width_unit: float = 1.0
) -> BoolArray:
    """Return which bins (line, N_GRID) belong to the fit of the tail of each line.

    `energy` (line, N_GRID) of the bins, eV; `width_unit` of the grid. They reach down
    to the upper wing of the next lower line, and up to half way to the next higher one.
    """
    peaks = [
        line.energy + np.array([offset for offset, _, share in line.shape if share])
        for line in lines.lines
    ]
    is_inside = np.zeros(energy.shape, dtype=bool)
    for row, line in enumerate(lines.energy.tolist()):
        # a line's table holds its Lb too, which lies above the next line's tail
        other_peaks = np.concatenate([*peaks[:row], *peaks[row + 1 :], []])
        all_energies = np.concatenate([other_peaks, lines.neighbour_energy])
        lower = all_energies[all_energies < line - SAME_LINE_EV * width_unit]
        higher = all_energies[all_energies > line + SAME_LINE_EV * width_unit]
        lowest = lower.max(initial=-np.inf) + CLEARANCE_EV * width_unit
        highest = (higher.min(initial=np.inf) + line) / 2
        low = max(line - REACH_BELOW_EV * width_unit, lowest)
        high = min(line + REACH_ABOVE_EV * width_unit, highest)
        is_inside[row] = (energy[row] > low) & (energy[row] < high)
    return is_inside
