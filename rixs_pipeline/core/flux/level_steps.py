"""Steps of the range of I0 within a pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.flux.evidence import FluxPoints
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

STEP_OVER_SCATTER = 6.0  # of I0 from point to point: a smaller step is noise
RETURN_SHARE = 0.75  # of the threshold, for steps beside one: the beam fluctuates
ENOUGH_POINTS = 3  # beside a step, if they have `ENOUGH_PHOTONS`
ENOUGH_PHOTONS = 100.0  # a ratio of them has an error of 0.14, 5 of these a factor of 2
DARK = np.log(10.0)  # a flux that falls by more is no beam
SAME_LEVEL = np.log(1.2)  # levels that are closer are one
FEW_POINTS, FEW_SHARE = 3, 0.05  # of a pass, that an outage of a reading may take


@dataclass(frozen=True)
class LevelSteps:
    """Levels of the range of I0 in a pass.

    Attributes
    ----------
    log_factor
        Natural logarithm of I0 over that of the level with most points, as the range
        has it, f8 (point,); 0 in that level.
    """

    log_factor: FloatArray

    @property
    def is_off(self) -> BoolArray:
        """Points that are not on the level with most points, (point,)."""
        return np.asarray(self.log_factor != 0)

    @property
    def is_outage(self) -> bool:
        """Whether a few readings failed, and the range is the same before and after."""
        off = self.is_off
        most_points = max(FEW_POINTS, FEW_SHARE * len(off))
        return bool(off.any() and off.sum() <= most_points and not (off[0] or off[-1]))


def find_level_steps(
    points: FluxPoints, least_factor: float, *, has_spectrum: bool
) -> LevelSteps:
    """Find the steps of I0 that the beam did not make.

    Parameters
    ----------
    points
        The points of a pass in order of time.
    least_factor
        Smallest step between neighbouring points that is looked at.
    has_spectrum
        Whether `points.expected` follows the spectrum, so that all points from step to
        step are compared; if not, those next to the step, as many as the photons need.

    Returns
    -------
    LevelSteps

    Notes
    -----
    The pass is divided where I0 steps. Each part is compared with the last one before
    it that had beam: if the photons follow I0, the beam changed. Parts without beam are
    passed over. After a few points I0 may be back on the level before them: then it is
    compared with that one, since the few points have too few photons.
    """
    n_points = len(points.log_i0)
    usable = np.flatnonzero(np.isfinite(points.log_i0))
    parts = _divide(points.log_i0, usable, least_factor)
    log_factor = np.zeros(n_points)
    last, level = parts[0], 0.0
    before_last = None  # part before a short one, and its level
    for part in parts[1:]:
        if before_last is not None and _is_back(points, before_last.points, part):
            level = log_factor[part] = before_last.level
            last, before_last = part, None
            continue
        before, after = last, part
        if not has_spectrum:
            before, after = _nearest(points, last[::-1]), _nearest(points, part)
        change = points.change(before, after)
        if change.is_range_change:
            level += change.i0
        elif change.i0 < -DARK:
            log_factor[part] = level
            continue
        log_factor[part] = level
        is_short = len(part) <= FEW_POINTS
        before_last = _Part(last, float(log_factor[last[-1]])) if is_short else None
        last = part
    if level == 0 and not log_factor.any():
        return LevelSteps(log_factor)
    log_factor = _carry_forward(log_factor, usable)
    return LevelSteps(_relative_to_main(log_factor, usable))


@dataclass(frozen=True)
class _Part:
    """Indices of the points of a part, and its level."""

    points: IntArray
    level: float


def _is_back(points: FluxPoints, before: IntArray, after: IntArray) -> bool:
    """Whether I0 is on the same level in the points next to a short part."""
    near = before[-ENOUGH_POINTS:], after[:ENOUGH_POINTS]
    levels = [float(np.median(points.log_i0[part])) for part in near]
    return bool(abs(levels[1] - levels[0]) < SAME_LEVEL)


def _divide(
    log_i0: FloatArray, usable: IntArray, least_factor: float
) -> list[IntArray]:
    """Return the indices of the points between steps of I0; one part without steps."""
    if len(usable) < 2:
        return [usable]
    steps = np.diff(log_i0[usable])
    scatter = 1.4826 * np.median(np.abs(steps - np.median(steps)))
    threshold = max(np.log(least_factor), STEP_OVER_SCATTER * scatter)
    is_step = np.abs(steps) > threshold
    if is_step.any():
        is_step |= np.abs(steps) > RETURN_SHARE * threshold
    return np.split(usable, np.flatnonzero(is_step) + 1)


def _nearest(points: FluxPoints, part: IntArray) -> IntArray:
    """Return the first points of a part, as many as the photons need."""
    photons = np.cumsum(points.counts[part])
    enough = int(np.searchsorted(photons, ENOUGH_PHOTONS)) + 1
    return part[: max(ENOUGH_POINTS, enough)]


def _carry_forward(log_factor: FloatArray, usable: IntArray) -> FloatArray:
    """Give points without usable I0 the level of the last one before them."""
    index = np.searchsorted(usable, np.arange(len(log_factor)), side="right") - 1
    return log_factor[usable[np.maximum(index, 0)]]


def _relative_to_main(log_factor: FloatArray, usable: IntArray) -> FloatArray:
    """Return levels relative to the one with most usable points."""
    levels = log_factor[usable]
    near = np.abs(levels[:, None] - levels[None, :]) < SAME_LEVEL
    main = levels[int(np.argmax(near.sum(axis=1)))]
    relative = log_factor - main
    relative[np.abs(relative) < SAME_LEVEL] = 0.0
    return np.asarray(relative)
