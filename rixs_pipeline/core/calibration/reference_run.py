"""Calibrate a reference run: from the pulses of all pixels to their energy functions.

The steps are the cuts and the peaks of every pixel; the lines that the array shows and
the assignment of the peaks to them; then, in turns, line fits, gain curves, and
corrections for arrival phase and drift; finally line fits and gain curves once more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rixs_pipeline.core.calibration.cuts import stack_limits
from rixs_pipeline.core.calibration.energy_scale import (
    EnergyScale,
    fit_energy_scale,
    line_heights,
    start_at_peaks,
)
from rixs_pipeline.core.calibration.identification.hints import (
    NO_HINTS,
    Hints,
    summarise_problems,
)
from rixs_pipeline.core.calibration.identification.line_identification import (
    FittedLines,
    ReferenceLine,
    identify_lines,
)
from rixs_pipeline.core.calibration.identification.peak_evidence import (
    NO_EVIDENCE,
    KnownLines,
    PeakEvidence,
    peak_reach,
    weigh_peaks,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.calibration.pixel import (
    Pixel,
    PixelPulses,
    ReferencePulses,
    apply_hold_offs,
    make_pixel,
    start_energy_functions,
)
from rixs_pipeline.core.calibration.pixel_status import (
    LineQuality,
    determine_pixel_statuses,
    misfit_probability,
)
from rixs_pipeline.core.drift.pulse_tails.repeated_pulses import RepeatedPulses
from rixs_pipeline.core.energy import corrections, curve_energy, layout
from rixs_pipeline.core.gain import (
    MIN_LINES,
    CurveForm,
    left_out_residuals,
    spline_covariance,
)
from rixs_pipeline.core.response.array_response import (
    ArrayResponse,
    measure_response,
    no_response,
)
from rixs_pipeline.types import BoolArray, FloatArray, IntArray, PixelStatus

# turns of fits and corrections: a third one changes the lines by less than a tenth of
# their errors
N_TURNS = 2
# tables (pixel, line) of a calibration
LINE_TABLES = (
    "line_pulse_height",
    "line_residual",
    "line_residual_errors",
    "line_left_out",
    "line_counts",
    "tail_fraction",
    "tail_length",
)


@dataclass(frozen=True)
class CalibrationOptions:
    """Options of a calibration.

    Attributes
    ----------
    line_names
        Lines that the reference sample shows; None: those on which most pixels agree.
    curve_form
        Form of the gain curves.
    correct_phase, correct_drift
        Whether pulse heights are corrected for arrival phase and drift where the pulses
        support it.
    cut_width
        Half width of the cuts, robust standard deviations.
    min_line_counts
        Counts of a line from which it is used in a pixel.
    hold_off
        Pulses that follow the previous one within it are left out, s; None: measured.
    hints
        Peaks that the user knows to be certain lines.
    """

    line_names: tuple[str, ...] | None
    curve_form: CurveForm
    correct_phase: bool
    correct_drift: bool
    cut_width: float
    min_line_counts: int
    hold_off: float | None = None
    hints: Hints = NO_HINTS


@dataclass(frozen=True)
class Calibration:
    """Calibration of all pixels of a reference run, in the order of their pulses.

    The attributes have the names, shapes and units of the variables in
    `schema.PIXEL_CALIBRATION`, except for these.

    Attributes
    ----------
    lines
        The fitted lines. The tables of lines are (pixel, line) in their order, the
        elastic line included.
    response
        Resolution of the pixels, widths of the lines, tail.
    is_narrowest
        (pixel, line) whether the resolution stands at the lower limit of the fit.
    pulses
        Of each pixel, those that pass the cuts.
    peaks
        Of each pixel.
    evidence
        What the peaks of each pixel say against its lines.
    repeated
        Pulses of each pixel that are recorded again.
    hint_problems
        Why hints are not used, a line for each kind.
    """

    pixel: IntArray
    status: tuple[PixelStatus, ...]
    lines: FittedLines
    misfit_probability: FloatArray
    is_narrowest: BoolArray
    line_pulse_height: FloatArray
    line_residual: FloatArray
    line_residual_errors: FloatArray
    line_left_out: FloatArray
    line_counts: FloatArray
    response: ArrayResponse
    tail_fraction: FloatArray
    tail_length: FloatArray
    params: FloatArray
    params_covariance: FloatArray
    drift_score: FloatArray
    drift_information: FloatArray
    cut_counts: IntArray
    cut_limits: FloatArray
    pulses: tuple[PixelPulses, ...]
    peaks: tuple[Peaks, ...]
    evidence: tuple[PeakEvidence, ...]
    repeated: tuple[RepeatedPulses, ...]
    hint_problems: tuple[str, ...]


def calibrate_pixels(
    pulses: Iterable[ReferencePulses],
    reference_lines: Sequence[ReferenceLine],
    options: CalibrationOptions,
    elastic_energy: float,
) -> Calibration:
    """Calibrate all pixels of one reference run.

    Parameters
    ----------
    pulses
        Of each pixel; empty for a dead pixel. Each is needed until the next one is
        there.
    reference_lines
        Lines that the reference sample may show.
    options
        Options of the calibration.
    elastic_energy
        Reading of the parked monochromator, eV; NaN if unknown. The elastic line does
        not carry the energy scale.

    Returns
    -------
    Calibration
        Of all pixels, with the reason for each one that cannot be used.
    """
    pixels = [make_pixel(pixel_pulses, options.cut_width) for pixel_pulses in pulses]
    apply_hold_offs(pixels, options.hold_off)
    lines = identify_lines(
        pixels, reference_lines, elastic_energy, options.line_names, options.hints
    )
    if lines.is_anchor.sum() >= MIN_LINES:
        start_energy_functions(pixels, lines.energy_range)
        start_at_peaks(pixels, lines, options.curve_form)
    scale = None
    if any(pixel.has_curve for pixel in pixels):
        fit_scale = partial(
            fit_energy_scale,
            pixels,
            lines,
            curve_form=options.curve_form,
            min_line_counts=options.min_line_counts,
        )
        for turn in range(N_TURNS):
            scale = fit_scale(scale)
            is_last = turn == N_TURNS - 1
            _fit_corrections(pixels, lines, options, scale, is_last=is_last)
        scale = fit_scale(scale)
    set_energy = np.array([line.energy for line in reference_lines if line.is_main])
    known = KnownLines(set_energy, elastic_energy)
    evidence = [_weigh_pixel(pixel, lines, known) for pixel in pixels]
    are_named = options.line_names is not None
    return _make_calibration(pixels, lines, scale, evidence, are_named=are_named)


def _weigh_pixel(pixel: Pixel, lines: FittedLines, known: KnownLines) -> PeakEvidence:
    """Return what the peaks of a pixel say against its lines."""
    if not pixel.has_curve or pixel.assignment is None:
        return NO_EVIDENCE
    energy = curve_energy(pixel.peaks.pulse_height, pixel.params)
    reach = peak_reach(energy, lines.energy[lines.is_anchor])
    return weigh_peaks(pixel.peaks, energy, pixel.assignment.line_peaks, known, reach)


def _fit_corrections(
    pixels: Sequence[Pixel],
    lines: FittedLines,
    options: CalibrationOptions,
    scale: EnergyScale,
    *,
    is_last: bool,
) -> None:
    """Fit the corrections of every pixel for arrival phase and drift.

    In the last turn, only corrections that pass cross-validation are kept. The turn
    before shows what drift the pixels of the array have in common.
    """
    grid = lines.grid
    densities = scale.fits.densities(lines.emitted_shapes(grid), grid)
    profiles = corrections.line_profiles(densities, lines.fitted_bins(grid), grid)
    windows = lines.windows()
    rows = [
        row
        for row, pixel in enumerate(pixels)
        if pixel.has_curve and scale.is_usable[row].any()
    ]
    previous_drifts = None
    if is_last:
        previous_drifts = np.array([pixels[row].params[layout.DRIFT] for row in rows])
    priors = []
    if options.correct_phase:
        priors.append(corrections.prior_without_effect(layout.PHASE))
    if options.correct_drift:
        priors.append(corrections.drift_prior(previous_drifts))
    for row in rows:
        pixel = pixels[row]
        line_pulses = pixel.select_line_pulses(
            windows, scale.is_usable[row], scale.position[row]
        )
        for prior in priors:
            correction = corrections.fit_correction(
                line_pulses,
                pixel.params,
                profiles.of_pixel(row),
                prior,
                is_validated=is_last,
            )
            pixel.params = correction.params
        if is_last:
            uncertainty = corrections.estimate_uncertainty(
                line_pulses, pixel.params, profiles.of_pixel(row), priors
            )
            pixel.overfit_variance = uncertainty.overfit_variance
            pixel.drift_evidence = uncertainty.drift_evidence


def _make_calibration(
    pixels: Sequence[Pixel],
    lines: FittedLines,
    scale: EnergyScale | None,
    evidence: Sequence[PeakEvidence],
    *,
    are_named: bool,
) -> Calibration:
    """Collect the tables of the calibration and the status of every pixel."""
    params = np.stack([pixel.params for pixel in pixels])
    params[:, layout.VALIDITY] = -np.inf, np.inf
    covariance = np.zeros((len(pixels), layout.N_PARAMS, layout.N_PARAMS))
    covariance[:, layout.CURVE, layout.CURVE] = np.nan
    if scale is not None:
        covariance[:, layout.CURVE, layout.CURVE] = spline_covariance(scale.curves)
    line_tables = _make_line_tables(pixels, lines, scale)
    hint_problems = [(pixel.pulses.pixel, pixel.hints.problem) for pixel in pixels]
    misfit = np.full(len(pixels), np.nan)
    is_widest = np.zeros((len(pixels), len(lines.names)), dtype=bool)
    is_narrowest = is_widest.copy()
    if scale is not None:
        anchor_errors = lines.energy_errors[lines.is_anchor]
        misfit = misfit_probability(scale.curves, anchor_errors)
        is_widest = scale.fits.are_widest(lines.grid)
        is_narrowest = scale.fits.are_narrowest(lines.grid) & scale.is_usable
    quality = LineQuality(
        names=lines.names,
        residual=line_tables["line_residual"],
        errors=line_tables["line_residual_errors"],
        fwhm=_expected_widths(pixels, lines, scale),
        is_widest=is_widest,
        is_anchor=lines.is_anchor,
        misfit_probability=misfit,
        evidence=tuple(evidence),
        are_named=are_named,
        energy_range=lines.energy_range,
    )
    status = determine_pixel_statuses(pixels, quality)
    is_ok = np.array([pixel_status.is_ok for pixel_status in status], dtype=bool)
    response = no_response(len(pixels), len(lines.names))
    if scale is not None:
        overfit = np.zeros(scale.is_usable.shape)
        for row, pixel in enumerate(pixels):
            overfit[row] = pixel.overfit_variance
        response = measure_response(scale, lines, is_ok, overfit)
    return Calibration(
        pixel=np.array([pixel.pulses.pixel for pixel in pixels], dtype=np.int64),
        status=status,
        lines=lines,
        misfit_probability=misfit,
        is_narrowest=is_narrowest,
        response=response,
        params=params,
        params_covariance=covariance,
        drift_score=np.stack([pixel.drift_evidence.score for pixel in pixels]),
        drift_information=np.stack(
            [pixel.drift_evidence.information for pixel in pixels]
        ),
        cut_counts=np.stack([pixel.cut_counts for pixel in pixels]),
        cut_limits=stack_limits([pixel.limits for pixel in pixels]),
        pulses=tuple(pixel.pulses for pixel in pixels),
        peaks=tuple(pixel.peaks for pixel in pixels),
        evidence=tuple(evidence),
        repeated=tuple(pixel.repeated for pixel in pixels),
        hint_problems=tuple(summarise_problems(hint_problems)),
        **line_tables,
    )


def _expected_widths(
    pixels: Sequence[Pixel], lines: FittedLines, scale: EnergyScale | None
) -> FloatArray:
    """Return the Gaussian widths (pixel, line) eV as the whole array suggests them."""
    if scale is None:
        return np.full((len(pixels), len(lines.names)), np.nan)
    return np.where(scale.is_usable, scale.fits.fwhm, np.nan)


def _make_line_tables(
    pixels: Sequence[Pixel], lines: FittedLines, scale: EnergyScale | None
) -> dict[str, FloatArray]:
    """Return the tables (pixel, line) of `Calibration`; NaN for lines not used."""
    missing = np.full((len(pixels), len(lines.names)), np.nan)
    if scale is None:
        return dict.fromkeys(LINE_TABLES, missing)
    left_out = missing.copy()
    anchor_errors = lines.energy_errors[lines.is_anchor]
    left_out[:, lines.is_anchor] = left_out_residuals(scale.curves, anchor_errors)
    line_tables = {
        "line_pulse_height": line_heights(pixels, scale.position),
        "line_residual": scale.position - lines.energy,
        "line_residual_errors": scale.fits.shift_errors,
        "line_left_out": left_out,
        "line_counts": scale.fits.counts,
        "tail_fraction": scale.fits.tail_fraction,
        "tail_length": scale.fits.tail_length,
    }
    return {
        name: np.where(scale.is_usable, table, np.nan)
        for name, table in line_tables.items()
    }
