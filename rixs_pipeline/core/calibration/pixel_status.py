"""The verdict on every pixel of a reference run: `ok`, or the reason why it is not used.

What is normal is learned from the array itself (medians and median absolute deviations over the pixels), with
floors from counting statistics, so that no threshold belongs to one beamtime.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.cuts import CUT_NAMES, ROBUST_SIGMA
from rixs_pipeline.core.calibration.line_assignment import LineAssignment, Peaks
from rixs_pipeline.core.calibration.line_shapes import FWHM_PER_SIGMA

__all__ = ["FWHM_PER_SIGMA", "OK", "judge"]

Float = NDArray[np.float64]

OK = "ok"
OUTLIER = 5.0  # robust standard deviations over the array
MIN_PULSES = 50
MIN_PEAKS = 3
NOISY_RATIO = 3.0  # how many times the array's resolution is noise, no longer a matter of optics or filters
MISASSIGNED_EV = 5.0  # a smooth curve through rightly assigned lines never misses by this much (real: 1.3 at most)


class Judged(Protocol):
    """What the verdict needs to know of a pixel."""

    cut_counts: NDArray[np.int64]
    peaks: Peaks
    assignment: LineAssignment | None

    @property
    def has_curve(self) -> bool:
        """Whether the pixel has an energy function."""


def judge(
    states: Sequence[Judged],
    residual: Float,
    errors: Float,
    fwhm: Float,
    anchors: NDArray[np.bool_],
) -> tuple[str, ...]:
    """One status a pixel.

    Args:
        states: of the pixels.
        residual: f8 (pixel, line), line on the final scale - reference, eV; NaN where not fitted.
        errors: f8 (pixel, line), their statistical errors.
        fwhm: f8 (pixel, line), resolution, eV.
        anchors: bool (line,), which lines carry the scale.
    """
    status = [_alone(state) for state in states]
    alive = np.array([s == OK for s in status], dtype=bool)
    # without the hold-off, which takes the more the higher the rate
    passed = CUT_NAMES.index("since_last") - 1
    accepted = np.array(
        [state.cut_counts[passed] / max(state.cut_counts[0], 1) for state in states]
    )
    width = np.array(
        [
            np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan
            for row in fwhm
        ]
    )
    rejecting, wide, usual = (
        _outlier(-accepted, alive, 0.02),
        _outlier(width, alive, 0.3),
        _median(width, alive),
    )
    for row, state in enumerate(states):
        anchored = residual[row, anchors]
        if not alive[row]:
            if (
                rejecting[row] and state.cut_counts[-1] >= MIN_PULSES
            ):  # the reason for what else is wrong with it
                status[row] = (
                    f"noisy: only {100 * accepted[row]:.0f} % of the pulses pass the cuts; {status[row]}"
                )
        elif np.isfinite(anchored).sum() < 3:
            status[row] = (
                f"fewer than three of {int(anchors.sum())} lines could be fitted"
            )
        elif np.nanmax(np.abs(anchored) - 3 * errors[row, anchors]) > MISASSIGNED_EV:
            status[row] = (
                f"misassigned: a line misses its reference by {np.nanmax(np.abs(anchored)):.1f} eV"
            )
        elif rejecting[row]:
            status[row] = (
                f"noisy: only {100 * accepted[row]:.0f} % of the pulses pass the cuts"
            )
        elif wide[row] and width[row] > NOISY_RATIO * usual:
            status[row] = (
                f"noisy: {width[row]:.1f} eV FWHM, the array's median is {usual:.1f}"
            )
        elif wide[row]:
            status[row] = (
                f"badly resolved: {width[row]:.1f} eV FWHM, the array's median is {usual:.1f}"
            )
    return tuple(status)


def _alone(state: Judged) -> str:
    """The verdict that needs no other pixel."""
    if state.cut_counts[0] == 0:
        return "dead: no pulses"
    if state.cut_counts[-1] < MIN_PULSES:
        return f"noisy: {state.cut_counts[-1]} of {state.cut_counts[0]} pulses pass the cuts"
    if state.assignment is None and len(state.peaks.pulse_height) < MIN_PEAKS:
        return "fewer than three peaks in the spectrum"
    if state.assignment is None:
        return "the peaks fit more than one set of lines: name those of the reference sample in calibration.lines"
    if not state.assignment.is_unambiguous:
        return "no assignment of the peaks to lines stands out from the next one"
    return OK if state.has_curve else "no rising gain curve passes through the lines"


def _median(values: Float, alive: NDArray[np.bool_]) -> float:
    """Median over the pixels that are alive; NaN where none has a value."""
    known = values[alive & np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def _outlier(
    values: Float, alive: NDArray[np.bool_], floor: float
) -> NDArray[np.bool_]:
    """Which values (pixel,) stand far above the array's, in robust deviations that are at least `floor`."""
    if alive.sum() < 3:
        return np.zeros(len(values), dtype=bool)
    middle = _median(values, alive)
    spread = ROBUST_SIGMA * _median(np.abs(values - middle), alive)
    return np.asarray(values - middle > OUTLIER * max(spread, floor))
