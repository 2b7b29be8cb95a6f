"""Fit reference lines and the gain curves through them: one turn of a calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.calibration.identification.line_assignment import match_peaks
from rixs_pipeline.core.calibration.identification.line_identification import (
    FittedLines,
)
from rixs_pipeline.core.calibration.line_fits import LineFits, LineSpectra, fit_lines
from rixs_pipeline.core.calibration.line_shapes import N_GRID, SHIFT
from rixs_pipeline.core.calibration.pixel import Pixel
from rixs_pipeline.core.calibration.pixel_response import learn_shape_prior
from rixs_pipeline.core.energy import curve_energy, curve_height, layout
from rixs_pipeline.core.gain import (
    SOFT_RANGE,
    CurveForm,
    GainCurves,
    LinePositions,
    fit_gain_curves,
    fit_splines,
)
from rixs_pipeline.types import BoolArray, FloatArray

# counts of a line above its background, in standard deviations
MIN_SIGNIFICANCE = 4.0
# largest statistical error of the position of a line that is used
MAX_POSITION_ERROR_EV = 3.0
# Error of the maximum of a smoothed spectrum as the position of a line of up to 1 keV:
# asymmetric shapes, counting statistics.
PEAK_ERROR_EV = 1.5
N_PEAK_FITS = 2  # the first one shows lines that the second one needs


@dataclass(frozen=True)
class EnergyScale:
    """Fitted lines and the gain curves through them.

    Attributes
    ----------
    spectra
        Spectra around the lines.
    fits
        Fits of the lines. The other lines and pixels say what shapes to expect.
    own_fits
        Fits that know no other line and no other pixel.
    is_usable
        (pixel, line) whether a fit is good enough.
    curves
        Gain curves through the usable lines.
    position
        (pixel, line) energies of the lines on the curves, eV.
    """

    spectra: LineSpectra
    fits: LineFits
    own_fits: LineFits
    is_usable: BoolArray
    curves: GainCurves
    position: FloatArray


def start_at_peaks(
    pixels: Sequence[Pixel], lines: FittedLines, curve_form: CurveForm
) -> None:
    """Let the first curves pass through the peaks that are the lines.

    Up to 1 keV, the line fits reach all peaks that an assignment finds. Beyond, its
    curve misses lines by more: a gain curve with its smooth remainder takes its place,
    and peaks near it become the lines that the assignment missed.

    Parameters
    ----------
    pixels
        Pixels with their first energy functions, which are replaced.
    lines
        Lines of the run.
    curve_form
        Form of the gain curves.
    """
    if lines.energy_range == SOFT_RANGE:
        return
    energy = lines.energy[lines.is_anchor]
    peak_error = PEAK_ERROR_EV * lines.energy_range.width_unit
    for _ in range(N_PEAK_FITS):
        heights = _peak_heights(pixels, len(energy))
        positions = LinePositions(
            heights=heights,
            errors=np.full_like(heights, peak_error),
            energy=energy,
            reference_errors=lines.energy_errors[lines.is_anchor],
        )
        curves = fit_gain_curves(positions, curve_form, lines.energy_range)
        splines = fit_splines(curves)
        for row in np.flatnonzero(curves.is_used & splines.is_rising).tolist():
            pixel = pixels[row]
            pixel.start_energy_function(splines.params[row], lines.energy_range)
            if pixel.assignment is not None:
                peak_energy = curve_energy(pixel.peaks.pulse_height, pixel.params)
                line_peaks = match_peaks(peak_energy, energy)
                pixel.assignment = replace(pixel.assignment, line_peaks=line_peaks)


def _peak_heights(pixels: Sequence[Pixel], n_lines: int) -> FloatArray:
    """Return the pulse heights (pixel, line) of the peaks that are lines; else NaN."""
    heights = np.full((len(pixels), n_lines), np.nan)
    for row, pixel in enumerate(pixels):
        if pixel.has_curve and pixel.assignment is not None:
            peak = pixel.assignment.line_peaks
            has_peak = peak >= 0
            heights[row, has_peak] = pixel.peaks.pulse_height[peak[has_peak]]
    return heights


def _energies(pixels: Sequence[Pixel], heights: FloatArray) -> FloatArray:
    """Return the energies (pixel, line) eV of corrected pulse heights."""
    energies = np.full_like(heights, np.nan)
    for row, pixel in enumerate(pixels):
        if pixel.has_curve:
            energies[row] = curve_energy(heights[row], pixel.params)
    return energies


def fit_energy_scale(
    pixels: Sequence[Pixel],
    lines: FittedLines,
    previous: EnergyScale | None,
    *,
    curve_form: CurveForm,
    min_line_counts: int,
) -> EnergyScale:
    """Fit the lines on the present scale and set new gain curves in the pixels.

    Parameters
    ----------
    pixels
        Pixels with their energy functions, whose curves are replaced.
    lines
        Lines of the run.
    previous
        Scale of the previous turn; None in the first one.
    curve_form
        Form of the gain curves.
    min_line_counts
        Counts of a line from which it is used in a pixel.

    Returns
    -------
    EnergyScale
        The fits and curves.
    """
    start = None
    if previous is not None:  # the corrections have shifted the lines only slightly
        start = previous.fits.theta.copy()
        start[..., SHIFT] = previous.position - lines.energy
    spectra = _make_line_spectra(pixels, lines)
    own_fits = fit_lines(spectra, start=start)
    fits = own_fits
    if previous is not None:
        # before the corrections, the width of a line depends on its arrival phases and
        # says nothing about the other lines
        is_reliable = _find_usable(pixels, lines, own_fits, min_line_counts)
        summed = fit_lines(_sum_pixels(spectra, is_reliable))
        prior = learn_shape_prior(own_fits, summed, is_reliable, lines.grid)
        fits = fit_lines(spectra, prior=prior, start=own_fits.theta)
    is_usable = _find_usable(pixels, lines, fits, min_line_counts)

    fitted_energy = lines.energy + fits.shift
    heights = line_heights(pixels, fitted_energy)
    usable_heights = np.where(is_usable, heights, np.nan)
    anchors = lines.is_anchor
    positions = LinePositions(
        heights=usable_heights[:, anchors],
        errors=fits.shift_errors[:, anchors],
        energy=lines.energy[anchors],
        reference_errors=lines.energy_errors[anchors],
    )
    curves = fit_gain_curves(positions, curve_form, lines.energy_range)
    position = _set_curves(pixels, curves, heights)
    return EnergyScale(
        spectra=spectra,
        fits=fits,
        own_fits=own_fits,
        is_usable=is_usable,
        curves=curves,
        position=position,
    )


def _make_line_spectra(pixels: Sequence[Pixel], lines: FittedLines) -> LineSpectra:
    """Count the pulses of every pixel around every line."""
    from rixs_pipeline.core.calibration import pulse_kernels  # numba: slow to import

    # One histogram of a pixel holds the spectra of all lines. A line lies `offset` from
    # the middle of its spectrum, which is a bin edge.
    grid = lines.grid
    place = np.round(lines.energy / grid.width)
    middle = place.astype(np.int64)
    offset = lines.energy - middle * grid.width
    first = middle.min(initial=0) - N_GRID
    middle_bin = middle - first
    distance = np.arange(-N_GRID // 2, N_GRID // 2)
    bins = middle_bin[:, None] + distance
    n_bins = int(bins.max()) + 2
    lowest_energy = first * grid.width
    n_pixels = len(pixels)
    n_lines = len(lines.energy)
    counts = np.zeros((n_pixels, n_lines, N_GRID))
    for row, pixel in enumerate(pixels):
        if pixel.has_curve:
            histogram = pulse_kernels.histogram(
                pixel.energies(), lowest_energy, grid.width, n_bins
            )
            counts[row] = histogram[bins]
    displacement = np.exp(-1j * grid.k * offset[:, None])
    return LineSpectra(
        counts=counts,
        is_inside=lines.fitted_bins(grid, offset),
        emitted=lines.emitted_shapes(grid) * displacement,
        grid=grid,
    )


def _sum_pixels(spectra: LineSpectra, is_used: BoolArray) -> LineSpectra:
    """Return the sums of the spectra that are used (pixel, line), as one pixel."""
    counts = np.where(is_used[..., None], spectra.counts, 0.0).sum(axis=0)
    return replace(spectra, counts=counts[None])


def _find_usable(
    pixels: Sequence[Pixel], lines: FittedLines, fits: LineFits, min_line_counts: int
) -> BoolArray:
    """Return which lines (pixel, line) are fitted well enough to be used."""
    max_error = MAX_POSITION_ERROR_EV * lines.energy_range.width_unit
    has_curve = np.array([pixel.has_curve for pixel in pixels])
    has_counts = fits.counts >= min_line_counts
    is_precise = fits.shift_errors < max_error
    is_significant = fits.significance(lines.grid.width) > MIN_SIGNIFICANCE
    is_good = has_counts & is_precise & is_significant & fits.is_converged
    is_usable: BoolArray = is_good & has_curve[:, None]
    return is_usable


def line_heights(pixels: Sequence[Pixel], position: FloatArray) -> FloatArray:
    """Return the corrected pulse heights of energies (pixel, line) eV."""
    heights = np.full_like(position, np.nan)
    for row, pixel in enumerate(pixels):
        if pixel.has_curve:
            heights[row] = curve_height(position[row], pixel.params)
    return heights


def _set_curves(
    pixels: Sequence[Pixel], curves: GainCurves, heights: FloatArray
) -> FloatArray:
    """Set new gain curves in the pixels.

    Return the energies (pixel, line) eV of pulse heights (pixel, line) on the curves.
    """
    splines = fit_splines(curves)
    is_valid = curves.is_used & splines.is_rising
    for row, pixel in enumerate(pixels):
        if not pixel.has_curve:
            continue
        for block in (layout.CURVE_GRID, layout.CURVE):
            pixel.params[block] = (
                splines.params[row][block] if is_valid[row] else np.nan
            )
    return _energies(pixels, heights)
