"""Absorption from readings (TEY, TFY): the line before the edge subtracted, normalised, passes averaged."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core import scaling

Floats = NDArray[np.float64]


def normalised(
    energy: Floats, values: Floats, how: Literal["max", "edge"], windows: scaling.EdgeWindows
) -> tuple[Floats, float]:
    """A spectrum without its pre-edge line, at the maximum 1 (`max`) or with a jump of 1 (`edge`); and the divisor.

    The line goes through the points of `windows.pre` by least squares; with fewer than two of them nothing is
    subtracted for `max`. NaN and 0 where nothing positive is left, or `edge` lacks points.

    Args:
        energy, values: f8 (point,), eV and any unit; NaN where there is none.
        how: what it is divided by.
        windows: before and after the edge, eV.
    """
    good = np.isfinite(values)
    before = good & (energy >= windows.pre[0]) & (energy < windows.pre[1])
    if how == "edge":
        scaled = scaling.scale(energy, values, np.zeros(len(values)), "edge", windows)
        return scaled.intensity, float(np.nan_to_num(scaled.factor))
    above = values
    if len(np.unique(energy[before])) > 1:
        above = values - scaling.line_weights(energy, before, energy) @ np.where(good, values, 0.0)
    top = float(np.nanmax(above, initial=0.0))
    return (above / top, top) if top > 0 else (np.full(len(values), np.nan), 0.0)


def averaged(passes: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean of the passes at each point and its standard error from their scatter, f8 (point,).

    Each point's own scatter rests on few passes; so one relative size per spectrum is taken, the root mean square over
    the points. The error is NaN with one pass: a reading does not tell it.
    """
    values = np.array(passes)
    known = np.isfinite(values).sum(axis=0)
    mean = np.divide(np.nansum(values, axis=0), known, out=np.full(values.shape[1], np.nan), where=known > 0)
    free = known.sum() - (known > 0).sum()
    if free <= 0:
        return mean, np.full(len(mean), np.nan)
    scatter = np.sqrt(np.nansum((values - mean) ** 2) / free)
    return mean, np.divide(scatter, np.sqrt(known), out=np.full(len(mean), np.nan), where=known > 0)
