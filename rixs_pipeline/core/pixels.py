"""One pixel while it is being calibrated: its pulses, cuts, peaks, assignment, and energy function so far."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core import corrections, cuts, gain, peaks
from rixs_pipeline.core import energy as ef

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ReferencePulses:
    """All pulses of one pixel in one reference run, each f8 (pulse,)."""

    pixel: int
    pulse_height: Float
    pretrigger_mean: Float
    phase: Float
    residual: Float


@dataclass
class PixelState:
    """What is known of one pixel; filled in step by step. `pulses` are those that pass the cuts."""

    pulses: ReferencePulses
    accepted: NDArray[np.bool_]  # of all its pulses
    cut_counts: NDArray[np.int64]
    limits: cuts.CutLimits | None
    found: peaks.Peaks = field(default_factory=lambda: peaks.Peaks(np.empty(0), np.empty(0)))
    assignment: peaks.Assignment | None = None
    params: Float = field(default_factory=lambda: np.full(ef.N_PARAMS, np.nan))

    @property
    def good(self) -> bool:
        """Whether the pixel has an energy function at this stage."""
        return bool(np.isfinite(self.params[ef.CURVE]).all())

    def energies(self) -> Float:
        """Energies (pulse,) eV with the present parameters."""
        pulses = self.pulses
        height = ef.corrected_height(pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, self.params)
        return ef.curve(height, self.params)

    def start(self) -> None:
        """First parameters from the assignment: the bare physical curve, no corrections."""
        found = self.assignment
        if found is None or not found.clear:
            return
        none = np.zeros((1, 1))
        abd = np.array([[found.a, found.b, found.d]])
        bare = gain.GainCurves(abd, np.zeros(1), np.zeros(1), none, none + 1, np.ones(1, dtype=bool), none)
        self.params = gain.spline_params(bare)[0][0]
        self.params[ef.HEIGHT_REF] = found.pulse_height(np.array([1000.0]))[0]
        self.params[ef.PRETRIGGER_REF] = np.mean(self.pulses.pretrigger_mean)
        self.params[ef.DRIFT] = 0.0
        self.params[ef.PHASE] = 0.0
        self.params[ef.PHASE_CENTRE], self.params[ef.PHASE_HALF_WIDTH] = corrections.phase_reference(
            self.pulses.pulse_height, self.pulses.phase, self.params[ef.HEIGHT_REF]
        )


def cut(pulses: ReferencePulses, width: float) -> PixelState:
    """A pixel with its cuts learned and applied, and the peaks of what is left; `width` as in `cuts.learn`."""
    columns = pulses.pulse_height, pulses.phase, pulses.pretrigger_mean, pulses.residual
    limits = cuts.learn(*columns, width=width)
    if limits is None:
        left = np.zeros(len(cuts.CUT_NAMES), dtype=np.int64)
        left[0] = len(pulses.pulse_height)
        nothing = np.zeros(len(pulses.pulse_height), dtype=bool)
        return PixelState(_taken(pulses, nothing), nothing, left, None)
    accepted, left = cuts.apply(*columns, limits=limits)
    state = PixelState(_taken(pulses, accepted), accepted, left, limits)
    state.found = peaks.find_peaks(state.pulses.pulse_height)
    return state


def _taken(pulses: ReferencePulses, which: NDArray[np.bool_]) -> ReferencePulses:
    return ReferencePulses(
        pulses.pixel,
        pulses.pulse_height[which],
        pulses.pretrigger_mean[which],
        pulses.phase[which],
        pulses.residual[which],
    )
