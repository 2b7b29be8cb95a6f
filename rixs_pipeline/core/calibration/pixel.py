"""One pixel while it is being calibrated: its pulses, cuts, peaks, assignment, and energy function so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration import cuts, line_assignment
from rixs_pipeline.core.calibration import gain_curve as gain
from rixs_pipeline.core.calibration.line_assignment import LineAssignment, Peaks
from rixs_pipeline.core.drift import hold_off
from rixs_pipeline.core.energy import corrections
from rixs_pipeline.core.energy import function as ef

Float = NDArray[np.float64]

HEIGHT_REF_EV = 1000.0  # the pulse height there is the unit of a pixel's corrections


@dataclass(frozen=True)
class ReferencePulses:
    """All pulses of one pixel in one reference run, each f8 (pulse,); `time` in s since the start of the run."""

    pixel: int
    pulse_height: Float
    pretrigger_mean: Float
    phase: Float
    residual: Float
    time: Float
    since_last: Float  # s since the previous record of the pixel; inf for the first


@dataclass
class Pixel:
    """What is known of one pixel; filled in step by step. `pulses` are those that pass the cuts."""

    pulses: ReferencePulses
    accepted: NDArray[np.bool_]  # of all its pulses
    cut_counts: NDArray[np.int64]
    limits: cuts.CutLimits | None
    peaks: Peaks = field(default_factory=lambda: Peaks(np.empty(0), np.empty(0)))
    assignment: LineAssignment | None = None
    params: Float = field(default_factory=lambda: np.full(ef.N_PARAMS, np.nan))

    @property
    def has_curve(self) -> bool:
        """Whether the pixel has an energy function at this stage."""
        return bool(np.isfinite(self.params[ef.CURVE]).all())

    def energies(self) -> Float:
        """Energies (pulse,) eV with the present parameters."""
        pulses = self.pulses
        return ef.energies(
            pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, self.params
        )

    def begin(self, curve: Float) -> None:
        """First parameters: `curve` (N_PARAMS,) of the bare form, no corrections."""
        pulses, self.params = self.pulses, curve.copy()
        self.params[ef.HEIGHT_REF] = ef.height_of(np.array([HEIGHT_REF_EV]), curve)[0]
        self.params[ef.PRETRIGGER_REF] = np.mean(pulses.pretrigger_mean)
        self.params[ef.DRIFT] = 0.0
        self.params[ef.PHASE] = 0.0
        self.params[ef.PHASE_CENTRE], self.params[ef.PHASE_HALF_WIDTH] = (
            corrections.phase_reference(
                pulses.pulse_height, pulses.phase, self.params[ef.HEIGHT_REF]
            )
        )


def begin(states: Sequence[Pixel]) -> None:
    """First parameters of the pixels whose assignment of peaks to lines is clear."""
    clear = [
        (s, s.assignment)
        for s in states
        if s.assignment is not None and s.assignment.is_unambiguous
    ]
    if clear:
        forms = np.array(
            [
                [np.log(found.a), np.log(found.b), found.d / found.a]
                for _, found in clear
            ]
        )
        for (state, _), curve in zip(
            clear, gain.spline_params(gain.bare("physical", forms))[0], strict=True
        ):
            state.begin(curve)


def cut(pulses: ReferencePulses, width: float) -> Pixel:
    """A pixel with its cuts learned and applied, and the peaks of what is left; `width` as in `cuts.learn_limits`."""
    limits = cuts.learn_limits(pulses, width)
    if limits is None:
        left = np.zeros(len(cuts.CUT_NAMES), dtype=np.int64)
        left[0] = len(pulses.pulse_height)
        nothing = np.zeros(len(pulses.pulse_height), dtype=bool)
        return Pixel(_taken(pulses, nothing), nothing, left, None)
    passed = cuts.apply_cuts(pulses, limits)
    accepted = _taken(pulses, passed.is_accepted)
    state = Pixel(accepted, passed.is_accepted, passed.counts, limits)
    state.peaks = line_assignment.find_peaks(state.pulses.pulse_height)
    return state


def leave_out_affected(states: Sequence[Pixel]) -> None:
    """Learn how long the pulses of these pixels affect the next one, and leave out those that come sooner."""
    alive = [state for state in states if state.limits is not None]
    most = hold_off.MAX_PULSES // max(len(alive), 1)
    learned = hold_off.estimate_hold_offs([_deviations(state, most) for state in alive])
    for state, seconds in zip(alive, learned.tolist(), strict=True):
        if seconds > 0 and state.limits is not None:
            keep = state.pulses.since_last >= seconds
            state.limits = state.limits.with_hold_off(seconds)
            state.accepted[state.accepted] = keep
            state.cut_counts[-1] = np.count_nonzero(keep)
            state.pulses = _taken(state.pulses, keep)
            state.peaks = line_assignment.find_peaks(state.pulses.pulse_height)


def _deviations(state: Pixel, most: int) -> hold_off.Deviations:
    """What the first `most` pulses of a pixel tell."""
    pulses, lines = _taken(state.pulses, slice(most)), np.sort(state.peaks.pulse_height)
    ev = (
        np.percentile(pulses.pulse_height, 99) / line_assignment.FULL_SCALE_EV
        if len(pulses.pulse_height)
        else 0.0
    )
    window = 2 * line_assignment.SMOOTHING_EV * float(ev)
    return hold_off.measure_deviations(
        pulses.since_last, pulses.pulse_height, pulses.pretrigger_mean, lines, window
    )


def _taken(
    pulses: ReferencePulses, which: NDArray[np.bool_] | slice
) -> ReferencePulses:
    return ReferencePulses(
        pulses.pixel,
        pulses.pulse_height[which],
        pulses.pretrigger_mean[which],
        pulses.phase[which],
        pulses.residual[which],
        pulses.time[which],
        pulses.since_last[which],
    )
