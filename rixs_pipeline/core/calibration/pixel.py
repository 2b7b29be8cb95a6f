"""A pixel during the calibration of a reference run: what the steps learn about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.calibration.identification.hints import (
    NO_PIXEL_HINTS,
    PixelHints,
)
from rixs_pipeline.core.calibration.identification.line_assignment import LineAssignment
from rixs_pipeline.core.calibration.identification.peaks import (
    FULL_SCALE_EV,
    NO_PEAKS,
    SMOOTHING_EV,
    Peaks,
    find_peaks,
)
from rixs_pipeline.core.drift.pulse_tails import hold_off
from rixs_pipeline.core.drift.pulse_tails.repeated_pulses import (
    NO_REPEATED_PULSES,
    PulsePairs,
    RepeatedPulses,
    find_repeated_pulses,
    pair_pulses,
)
from rixs_pipeline.core.energy import (
    corrections,
    curve_height,
    energy_at_any_time,
    layout,
)
from rixs_pipeline.core.gain import (
    SOFT_RANGE,
    CurveForm,
    EnergyRange,
    GainCurves,
    fit_splines,
)
from rixs_pipeline.core.stats.robust import Range
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# the pulse height of this energy is the unit of a pixel's corrections, for lines up to
# 1 keV
HEIGHT_REF_EV = 1000.0


@dataclass(frozen=True, kw_only=True)
class PixelPulses:
    """Pulses of one pixel in one reference run.

    Attributes
    ----------
    pixel
        Channel number.
    pulse_height, pretrigger_mean, phase
        (pulse,) as in the pulse file.
    time
        (pulse,) since the start of the run, s.
    since_last
        (pulse,) since the previous record of the pixel, s; infinite for the first.
    record_s
        Length of a record, s; 0 if unknown.
    """

    pixel: int
    pulse_height: FloatArray
    pretrigger_mean: FloatArray
    phase: FloatArray
    time: FloatArray
    since_last: FloatArray
    record_s: float = 0.0

    def select(self, index: BoolArray | IntArray | slice) -> "PixelPulses":
        """Return selected pulses."""
        if not isinstance(index, slice) and index.dtype == bool:
            index = np.flatnonzero(index)  # several columns: 3 times as fast as a mask
        return PixelPulses(
            pixel=self.pixel,
            pulse_height=self.pulse_height[index],
            pretrigger_mean=self.pretrigger_mean[index],
            phase=self.phase[index],
            time=self.time[index],
            since_last=self.since_last[index],
            record_s=self.record_s,
        )


@dataclass(frozen=True, kw_only=True)
class ReferencePulses(PixelPulses):
    """All pulses of one pixel in one reference run; `select` drops the residuals.

    Attributes
    ----------
    residual
        (pulse,) as in the pulse file; only the cuts need it.
    """

    residual: FloatArray


@dataclass
class Pixel:
    """A pixel during the calibration; each step sets some of the attributes.

    Attributes
    ----------
    pulses
        Pulses that pass the cuts.
    cut_counts
        (cut,) pulses that remain after each cut.
    limits
        Limits of the cuts; None with too few pulses.
    negative_share
        Share of all pulses whose height is negative.
    repeated
        Pulses that are recorded again.
    peaks
        Peaks in the pulse heights.
    hints
        Peaks that the user knows to be certain lines.
    assignment
        Lines that the peaks belong to; None before it is known, or with too few peaks.
    params
        (N_PARAMS,) of the energy function; NaN without one.
    drift_evidence
        What the pulses say of the drift coefficients.
    overfit_variance
        (line,) variance of energies by the errors of the corrections, eV^2.
    """

    pulses: PixelPulses
    cut_counts: IntArray
    limits: cuts.CutLimits | None
    negative_share: float = 0.0
    repeated: RepeatedPulses = NO_REPEATED_PULSES
    peaks: Peaks = NO_PEAKS
    hints: PixelHints = NO_PIXEL_HINTS
    assignment: LineAssignment | None = None
    params: FloatArray = field(default_factory=lambda: np.full(layout.N_PARAMS, np.nan))
    drift_evidence: corrections.DriftEvidence = corrections.NO_DRIFT_EVIDENCE
    overfit_variance: FloatArray | float = 0.0

    @property
    def has_curve(self) -> bool:
        """Whether the pixel has an energy function."""
        return bool(np.isfinite(self.params[layout.CURVE]).all())

    def energies(self) -> FloatArray:
        """Return the energies (pulse,) eV of the accepted pulses."""
        pulses = self.pulses
        return energy_at_any_time(
            pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, self.params
        )

    def select_line_pulses(
        self, windows: FloatArray, is_usable: BoolArray, position: FloatArray
    ) -> corrections.LinePulses:
        """Select the accepted pulses of the usable lines.

        Parameters
        ----------
        windows
            (line, 2) limits of the lines, eV.
        is_usable
            (line,) which lines are used.
        position
            (line,) energies of the lines on the scale of the pixel, eV.

        Returns
        -------
        LinePulses
            Pulses within the windows.
        """
        from rixs_pipeline.core.calibration import pulse_kernels  # numba: slow import

        energies = self.energies()
        near = pulse_kernels.find_in_windows(energies, windows, is_usable)
        return corrections.LinePulses(
            pulse_height=self.pulses.pulse_height[near.pulse],
            pretrigger_mean=self.pulses.pretrigger_mean[near.pulse],
            phase=self.pulses.phase[near.pulse],
            line=near.line,
            line_position=position,
        )

    def start_energy_function(
        self, curve: FloatArray, energy_range: EnergyRange
    ) -> None:
        """Set the first parameters: a curve (N_PARAMS,) without corrections."""
        pulses = self.pulses
        params = curve.copy()
        energy_ref = HEIGHT_REF_EV * energy_range.energy_unit
        height_ref = curve_height(np.array([energy_ref]), curve)[0]
        params[layout.HEIGHT_REF] = height_ref
        params[layout.PRETRIGGER_REF] = np.mean(pulses.pretrigger_mean)
        params[layout.DRIFT] = 0.0
        params[layout.PHASE] = 0.0
        phase_reference = corrections.find_phase_reference(
            pulses.pulse_height, pulses.phase, height_ref
        )
        params[layout.PHASE_CENTRE] = phase_reference.centre
        params[layout.PHASE_HALF_WIDTH] = phase_reference.half_width
        self.params = params


def make_pixel(pulses: ReferencePulses, cut_width: float) -> Pixel:
    """Learn and apply the cuts of a pixel, and find the peaks of its pulses.

    Parameters
    ----------
    pulses
        All pulses of the pixel.
    cut_width
        Half width of the accepted ranges, in robust standard deviations.

    Returns
    -------
    Pixel
        Without accepted pulses if there are too few to learn the cuts from.
    """
    limits = cuts.learn_limits(pulses, cut_width)
    n_negative = np.count_nonzero(pulses.pulse_height < 0)
    negative_share = n_negative / max(len(pulses.pulse_height), 1)
    if limits is None:
        is_accepted = np.zeros(len(pulses.pulse_height), dtype=bool)
        cut_counts = np.zeros(len(cuts.CUT_NAMES), dtype=np.int64)
        cut_counts[0] = len(pulses.pulse_height)
        return Pixel(pulses.select(is_accepted), cut_counts, limits, negative_share)
    result = cuts.apply_cuts(pulses, limits)
    accepted = pulses.select(result.is_accepted)
    pixel = Pixel(accepted, result.counts, limits, negative_share)
    pixel.peaks = find_peaks(pixel.pulses.pulse_height)
    return pixel


def apply_hold_offs(
    pixels: Sequence[Pixel], known_seconds: float | None = None
) -> None:
    """Leave out pulses that are affected by the one before.

    The hold-off is `known_seconds`, or what the array shows. Repeated pulses are noted
    in any case.
    """
    alive = [pixel for pixel in pixels if pixel.limits is not None]
    pairs = [_pair_pulses(pixel.pulses) for pixel in alive]
    for pixel, repeated in zip(alive, find_repeated_pulses(pairs), strict=True):
        pixel.repeated = repeated
    if known_seconds is None:
        max_pulses = hold_off.MAX_PULSES // max(len(alive), 1)
        deviations = [_pulse_deviations(pixel, max_pulses) for pixel in alive]
        hold_offs = hold_off.estimate_hold_offs(deviations)
        repeated_until = np.array([pixel.repeated.longest for pixel in alive])
        seconds = np.maximum(hold_offs, repeated_until).tolist()
    else:
        seconds = [known_seconds] * len(alive)
    for pixel, pixel_seconds in zip(alive, seconds, strict=True):
        if pixel_seconds > 0 and pixel.limits is not None:
            is_unaffected = pixel.pulses.since_last >= pixel_seconds
            since_last = Range(pixel_seconds, np.inf)
            pixel.limits = replace(pixel.limits, since_last=since_last)
            pixel.cut_counts[-1] = np.count_nonzero(is_unaffected)
            pixel.pulses = pixel.pulses.select(is_unaffected)
            pixel.peaks = find_peaks(pixel.pulses.pulse_height)


def _pair_pulses(pulses: PixelPulses) -> PulsePairs:
    """Return the pulses of a pixel with those before them."""
    return pair_pulses(
        pulses.time, pulses.since_last, pulses.pulse_height, pulses.record_s
    )


def _pulse_deviations(pixel: Pixel, max_pulses: int) -> hold_off.Deviations:
    """Return how the first pulses of a pixel deviate by the time since the last one."""
    from rixs_pipeline.core.calibration.pulse_kernels import quantile  # numba: slow

    pulses = pixel.pulses.select(slice(max_pulses))
    height_per_ev = 0.0
    if len(pulses.pulse_height):
        height_per_ev = quantile(pulses.pulse_height, 0.99) / FULL_SCALE_EV
    return hold_off.measure_deviations(
        pulses.since_last,
        pulses.pulse_height,
        pulses.pretrigger_mean,
        np.sort(pixel.peaks.pulse_height),
        2 * SMOOTHING_EV * height_per_ev,
    )


def start_energy_functions(
    pixels: Sequence[Pixel], energy_range: EnergyRange = SOFT_RANGE
) -> None:
    """Give pixels with an unambiguous assignment the energy function of its curve."""
    started = []
    parameters = []
    for pixel in pixels:
        if pixel.assignment is not None and pixel.assignment.is_unambiguous:
            curve = pixel.assignment.curve
            started.append(pixel)
            log_saturation = np.log(curve.b / energy_range.energy_unit)
            parameters.append([np.log(curve.a), log_saturation, curve.d / curve.a])
    if not started:
        return
    curves = GainCurves.without_remainder(
        CurveForm.PHYSICAL, np.array(parameters), energy_range
    )
    for pixel, params in zip(started, fit_splines(curves).params, strict=True):
        pixel.start_energy_function(params, energy_range)
