"""Status of every pixel of a reference run: ok, or the reason why it is not used.

What is normal follows from the array itself (median and median absolute deviation over
its pixels), with a least spread from counting statistics, so that no threshold belongs
to a particular beamtime.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.identification.line_assignment import LineAssignment
from rixs_pipeline.core.calibration.identification.peak_evidence import PeakEvidence
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.gain import SOFT_RANGE, EnergyRange, GainCurves, curve_misfits
from rixs_pipeline.core.stats.robust import robust_sigma
from rixs_pipeline.types import BoolArray, FloatArray, IntArray, PixelState, PixelStatus

NAME_LINES = "name lines in `calibration.lines`, or peaks in `calibration.hints`"
MIN_PULSES = 50  # that pass the cuts
# Share of the pulses: noise has positive heights as often as negative ones.
NEGATIVE_SHARE = 0.8
MIN_PEAKS = 3
MIN_LINES = 3  # reference lines with a fit
MIN_PIXELS = 3  # fewer do not show what is normal
OUTLIER_SIGMAS = 5.0  # robust standard deviations of the array
MIN_ACCEPTED_SPREAD = 0.02  # share of the pulses: counting statistics
MIN_FWHM_SPREAD_EV = 0.3
NOISY_RATIO = 3.0  # to the median resolution: no longer due to optics or filters
# A smooth curve through correctly assigned lines up to 1 keV misses none by so much:
# 1.3 eV is the most in real arrays.
MISASSIGNED_EV = 5.0
MISASSIGNED_SIGMAS = 3.0  # statistical errors that a residual is allowed on top
# What a line up to 1 keV may be off beyond its stated uncertainty and a smooth curve.
# The tables differ by 1.2 eV rms (srd128, elam and ucal), which is so much for each.
TABLE_ERROR_EV = 0.8
# Probability of the misfit below which lines contradict each other. The uncertainties
# are generous: of 1400 pixels of sound simulated runs none has less than 0.1.
MIN_PROBABILITY = 0.005
MAX_WIDEST_SHARE = 0.5  # of the lines, whose resolution is at the limit of the fit
MAX_LISTED_LINES = 3  # in a status, the worst first
# Index of the last cut before the hold-off, which removes more at higher rates.
LAST_QUALITY_CUT = CUT_NAMES.index("since_last") - 1


class CalibratedPixel(Protocol):
    """Properties of a pixel that its status depends on."""

    cut_counts: IntArray  # (cut,) pulses left after each of `CUT_NAMES`
    peaks: Peaks
    assignment: LineAssignment | None
    negative_share: float  # of all pulses

    @property
    def has_curve(self) -> bool:
        """Whether the pixel has an energy function."""


@dataclass(frozen=True)
class LineQuality:
    """Fitted lines of all pixels, as their status depends on them.

    Attributes
    ----------
    names
        (line,) of the lines.
    residual
        (pixel, line) position on the final scale - reference, eV; NaN without a fit.
    errors
        (pixel, line) statistical errors of the residuals, eV.
    fwhm
        (pixel, line) resolution, eV; NaN without a fit.
    is_widest
        (pixel, line) whether the resolution stands at the upper limit of the fit.
    is_anchor
        (line,) whether the line carries the energy scale.
    misfit_probability
        (pixel,) that lines of a sound pixel miss a smooth curve by so much; NaN without
        a curve.
    evidence
        For each pixel, what its peaks say against the lines.
    are_named
        Whether the config names the lines.
    energy_range
        Of the detector.
    """

    names: tuple[str, ...]
    residual: FloatArray
    errors: FloatArray
    fwhm: FloatArray
    is_widest: BoolArray
    is_anchor: BoolArray
    misfit_probability: FloatArray
    evidence: tuple[PeakEvidence, ...]
    are_named: bool = False
    energy_range: EnergyRange = SOFT_RANGE


def misfit_probability(curves: GainCurves, reference_errors: FloatArray) -> FloatArray:
    """Return how probable the misfit of lines that do not contradict each other is.

    Parameters
    ----------
    curves
        Fitted gain curves.
    reference_errors
        (line,) uncertainties of the reference energies, eV; the differences between
        tables are added in quadrature.

    Returns
    -------
    FloatArray
        (pixel,) NaN without a curve.
    """
    from scipy.special import chdtrc  # scipy.stats takes half a second to import

    table_error = TABLE_ERROR_EV * curves.energy_range.energy_unit
    misfits = curve_misfits(curves, np.hypot(reference_errors, table_error))
    return np.asarray(chdtrc(misfits.freedom, misfits.chi_squared))


def determine_pixel_statuses(
    pixels: Sequence[CalibratedPixel], lines: LineQuality
) -> tuple[PixelStatus, ...]:
    """Return the status of each pixel of a reference run.

    Parameters
    ----------
    pixels
        The pixels, in the order of the rows of the tables.
    lines
        Their fitted lines.

    Returns
    -------
    tuple of PixelStatus
        One for each pixel.
    """
    statuses = [_status_without_array(pixel) for pixel in pixels]
    is_alive = np.array([status.is_ok for status in statuses], dtype=bool)
    accepted = np.array([_accepted_share(pixel) for pixel in pixels])
    resolution = np.array([_median_of_finite(row) for row in lines.fwhm])
    usual_resolution = _median_of_finite(resolution[is_alive])
    is_rejecting = _find_high_outliers(-accepted, is_alive, MIN_ACCEPTED_SPREAD)
    min_spread = MIN_FWHM_SPREAD_EV * lines.energy_range.width_unit
    is_wide = _find_high_outliers(resolution, is_alive, min_spread)
    for row, pixel in enumerate(pixels):
        few_accepted = f"only {100 * accepted[row]:.0f} % of the pulses pass the cuts"
        widths = (
            f"{resolution[row]:.1f} eV FWHM, "
            f"the array's median is {usual_resolution:.1f}"
        )
        if not is_alive[row]:
            if statuses[row].state is PixelState.NEGATIVE:
                continue
            if is_rejecting[row] and pixel.cut_counts[-1] >= MIN_PULSES:
                # noise explains the defect that was noticed first
                detail = f"{few_accepted}; {statuses[row]}"
                statuses[row] = PixelStatus(PixelState.NOISY, detail)
            continue
        line_status = _status_of_lines(lines, row)
        if line_status.is_ok:
            line_status = _status_of_peaks(lines, row)
        if not line_status.is_ok:
            statuses[row] = line_status
        elif is_rejecting[row]:
            statuses[row] = PixelStatus(PixelState.NOISY, few_accepted)
        elif is_wide[row] and resolution[row] > NOISY_RATIO * usual_resolution:
            statuses[row] = PixelStatus(PixelState.NOISY, widths)
        elif is_wide[row]:
            statuses[row] = PixelStatus(PixelState.BADLY_RESOLVED, widths)
    return tuple(statuses)


def _status_without_array(pixel: CalibratedPixel) -> PixelStatus:
    """Return the status as far as it does not depend on the other pixels."""
    triggers, accepted = pixel.cut_counts[0], pixel.cut_counts[-1]
    if triggers == 0:
        return PixelStatus(PixelState.DEAD, "no pulses")
    if pixel.negative_share > NEGATIVE_SHARE:
        detail = (
            f"{100 * pixel.negative_share:.0f} % of the pulses; "
            "filter the records again with the signal inverted"
        )
        return PixelStatus(PixelState.NEGATIVE, detail)
    if accepted < MIN_PULSES:
        detail = f"{accepted} of {triggers} pulses pass the cuts"
        return PixelStatus(PixelState.NOISY, detail)
    if (
        pixel.has_curve
        and pixel.assignment is not None
        and pixel.assignment.is_unambiguous
    ):
        return PixelStatus(PixelState.OK)
    if pixel.assignment is None and len(pixel.peaks.pulse_height) < MIN_PEAKS:
        reason = "fewer than three peaks in the spectrum"
    elif pixel.assignment is None:
        reason = f"the peaks fit more than one set of lines, or none; {NAME_LINES}"
    elif not pixel.assignment.is_unambiguous:
        reason = f"ambiguous line identification; {NAME_LINES}"
    else:
        reason = "no rising gain curve passes through the lines"
    return PixelStatus(PixelState.UNCALIBRATED, reason)


def _status_of_lines(lines: LineQuality, row: int) -> PixelStatus:
    """Return the status of a pixel by the lines that carry the scale."""
    residual = lines.residual[row, lines.is_anchor]
    errors = lines.errors[row, lines.is_anchor]
    is_fitted = np.isfinite(residual)
    if is_fitted.sum() < MIN_LINES:
        reason = f"fewer than three of {len(residual)} lines could be fitted"
        return PixelStatus(PixelState.UNCALIBRATED, reason)
    miss = np.abs(residual)
    largest = MISASSIGNED_EV * lines.energy_range.energy_unit
    if np.nanmax(miss - MISASSIGNED_SIGMAS * errors) > largest:
        detail = f"a line misses its reference by {np.nanmax(miss):.1f} eV"
        return PixelStatus(PixelState.MISASSIGNED, detail)
    if lines.misfit_probability[row] < MIN_PROBABILITY:
        names = [
            name
            for name, is_anchor in zip(lines.names, lines.is_anchor, strict=True)
            if is_anchor
        ]
        detail = (
            f"lines contradict each other ({_worst_lines(names, residual)}); "
            "check `calibration.lines` and `calibration.reference`"
        )
        return PixelStatus(PixelState.MISASSIGNED, detail)
    is_widest = lines.is_widest[row, lines.is_anchor]
    if is_widest[is_fitted].mean() > MAX_WIDEST_SHARE:
        width = _median_of_finite(lines.fwhm[row, lines.is_anchor])
        detail = (
            f"resolution at the upper limit of the fit, {width:.1f} eV FWHM; check "
            "`calibration.lines` and `calibration.reference`"
        )
        return PixelStatus(PixelState.MISASSIGNED, detail)
    return PixelStatus(PixelState.OK)


def _status_of_peaks(lines: LineQuality, row: int) -> PixelStatus:
    """Return the status of a pixel by its strong peaks that are no line of the set."""
    evidence = lines.evidence[row]
    is_fitted = np.isfinite(lines.residual[row, lines.is_anchor])
    n_lines = int(np.count_nonzero(is_fitted))
    probability = float(lines.misfit_probability[row])
    if not evidence.contradicts(
        n_lines, are_named=lines.are_named, misfit_probability=probability
    ):
        return PixelStatus(PixelState.OK)
    heights = evidence.unexplained
    advice = f"check `calibration.reference`; {NAME_LINES}"
    if len(heights):
        listed = ", ".join(f"{height:.0f}" for height in heights[:MAX_LISTED_LINES])
        plural = "s" if len(heights) > 1 else ""
        detail = (
            f"{n_lines} lines fit, but strong peaks are no emission line (pulse "
            f"height{plural} {listed}); {advice}"
        )
        return PixelStatus(PixelState.MISASSIGNED, detail)
    detail = (
        "too few lines, or too bad a fit, to be sure of them "
        f"({n_lines} lines, p = {probability:.2g}); {advice}"
    )
    return PixelStatus(PixelState.UNCALIBRATED, detail)


def _worst_lines(names: Sequence[str], residual: FloatArray) -> str:
    """Return the lines with the largest residuals (line,) eV, in words."""
    order = np.argsort(-np.abs(np.nan_to_num(residual)))
    worst = order[:MAX_LISTED_LINES].tolist()
    return ", ".join(f"{names[line]} {residual[line]:+.1f}" for line in worst) + " eV"


def _accepted_share(pixel: CalibratedPixel) -> float:
    """Return the share of the pixel's pulses that pass the cuts on their quality."""
    share: float = pixel.cut_counts[LAST_QUALITY_CUT] / max(pixel.cut_counts[0], 1)
    return share


def _median_of_finite(values: FloatArray) -> float:
    """Return the median of the finite ones of some values (n,); NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan


def _find_high_outliers(
    values: FloatArray, is_alive: BoolArray, min_spread: float
) -> BoolArray:
    """Return which values (pixel,) lie far above those of the pixels that are alive.

    They are more than `OUTLIER_SIGMAS` robust standard deviations, of at least
    `min_spread` each, above the median.
    """
    if is_alive.sum() < MIN_PIXELS:
        return np.zeros(len(values), dtype=bool)
    usual = values[is_alive & np.isfinite(values)]
    spread = robust_sigma(usual)
    limit = OUTLIER_SIGMAS * max(spread, min_spread)
    return np.asarray(values - _median_of_finite(usual) > limit)
