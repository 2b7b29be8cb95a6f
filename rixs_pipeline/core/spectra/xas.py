"""Absorption from readings (TEY, TFY): the line before the edge subtracted, normalised, passes averaged."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra import normalisation as scaling

Floats = NDArray[np.float64]
How = Literal["max", "edge"]

REACH = (
    0.1  # least span of the points before the edge, over how far their line is drawn on
)
KNOWN = 0.1  # largest error of that line, over the spectrum's span


def normalised(
    energy: Floats,
    values: Floats,
    how: How,
    windows: scaling.EdgeWindows,
    sloped: bool = True,
) -> tuple[Floats, float]:
    """A spectrum without its pre-edge line, at the maximum 1 (`max`) or with a jump of 1 (`edge`); and the divisor.

    For `max` the line goes through the points of `windows.pre` by least squares; with fewer than two of them nothing
    is subtracted. NaN and 0 where nothing positive is left, or `edge` lacks points.

    Args:
        energy, values: f8 (point,), eV and any unit; NaN where there is none.
        how: what it is divided by.
        windows: before and after the edge, eV.
        sloped: False takes the mean of the points before the edge for the line of `max`.
    """
    good = np.isfinite(values)
    before = good & (energy >= windows.pre[0]) & (energy < windows.pre[1])
    if how == "edge":
        scaled = scaling.scale(energy, values, np.zeros(len(values)), "edge", windows)
        return scaled.intensity, float(np.nan_to_num(scaled.factor))
    above = values
    if len(np.unique(energy[before])) > 1:
        line = scaling.line_weights(energy, before, energy) @ np.where(
            good, values, 0.0
        )
        above = values - (line if sloped else values[before].mean())
    top = float(np.nanmax(above, initial=0.0))
    return (above / top, top) if top > 0 else (np.full(len(values), np.nan), 0.0)


def tells_slope(energy: Floats, values: Floats, windows: scaling.EdgeWindows) -> bool:
    """Whether the points before the edge tell the slope of a line that is drawn on to the end of the scan.

    They span a tenth of the way to it or more (fewer are the foot of the edge), and the line's error there, from
    their scatter, is a tenth of the spectrum's span or less. Arguments as of `normalised`.
    """
    good = np.isfinite(values)
    before = good & (energy >= windows.pre[0]) & (energy < windows.pre[1])
    number = int(before.sum())
    if number < 3 or len(np.unique(energy[before])) < 3:
        return False
    last = energy[good].max()
    residual = (
        values
        - scaling.line_weights(energy, before, energy) @ np.where(good, values, 0.0)
    )[before]
    weights = scaling.line_weights(energy, before, np.array([last]))[0]
    error = np.sqrt((residual**2).sum() / (number - 2) * (weights**2).sum())
    reached = np.ptp(energy[before]) >= REACH * (last - energy[before].max())
    return bool(reached and error <= KNOWN * np.ptp(values[good]))


def falls(
    energy: Floats,
    values: Floats,
    how: How,
    windows: scaling.EdgeWindows,
    sloped: bool = True,
) -> bool:
    """Whether a spectrum drops at the edge: the light of everything else dims where the sample absorbs.

    Its largest excursion from the pre-edge line, or its jump, is negative. Arguments as of `normalised`.
    """
    up, down = (
        normalised(energy, sign * values, how, windows, sloped)[1] for sign in (1, -1)
    )
    return down > up


def averaged(passes: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean of the passes at each point and its standard error from their scatter, f8 (point,).

    Each point's own scatter rests on few passes; so one relative size per spectrum is taken, the root mean square over
    the points. The error is NaN with one pass: a reading does not tell it.
    """
    values = np.array(passes)
    known = np.isfinite(values).sum(axis=0)
    mean = np.divide(
        np.nansum(values, axis=0),
        known,
        out=np.full(values.shape[1], np.nan),
        where=known > 0,
    )
    free = known.sum() - (known > 0).sum()
    if free <= 0:
        return mean, np.full(len(mean), np.nan)
    scatter = np.sqrt(np.nansum((values - mean) ** 2) / free)
    return mean, np.divide(
        scatter, np.sqrt(known), out=np.full(len(mean), np.nan), where=known > 0
    )
