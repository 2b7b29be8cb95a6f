"""Levels of I0 of samples at one edge: does one have another range or unit?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

LEAST_FACTOR = 5.0  # of I0 between samples
# Share of the change of I0, in logarithms, that photons and readings show at most where
# its range changed. Samples differ, so that a third of it may be theirs.
LARGEST_SHARE = 1 / 3
DECADE_TOLERANCE = 0.1  # decades: without readings, I0 must differ by powers of ten
I0, PHOTONS = "i0", "photons"

Levels = Mapping[str, float]  # I0, photon rate and readings, in any units


def range_factor(passes: Sequence[Levels], others: Sequence[Levels]) -> float:
    """Return the factor between the ranges of I0 of two samples.

    Parameters
    ----------
    passes, others
        Levels of the passes of either sample.

    Returns
    -------
    float
        The median ratio of I0 where more than half of the pairs of passes have another
        range (a single odd pass does not make its sample odd); 1 otherwise.
    """
    has_other = has_other_range(passes, others)
    if 2 * np.count_nonzero(has_other) <= has_other.size:
        return 1.0
    log_ratios = _log_ratios(passes, others, I0)[has_other]
    return float(np.exp(np.median(log_ratios)))


def has_other_range(passes: Sequence[Levels], others: Sequence[Levels]) -> BoolArray:
    """Return whether the range of I0, and not the beam, differs between two samples.

    Parameters
    ----------
    passes, others
        Levels of the passes of either sample.

    Returns
    -------
    array of bool, (passes, others)
        I0 differs by a factor of five or more, and neither photons nor any reading do.
        A beam that is changed on purpose, for a dilute sample, keeps the photons alike
        but not the readings; without readings I0 must differ by powers of ten.
    """
    size = np.abs(_log_ratios(passes, others, I0))
    channels = dict.fromkeys(name for levels in passes for name in levels if name != I0)
    changes = {name: np.abs(_log_ratios(passes, others, name)) for name in channels}
    with np.errstate(invalid="ignore"):  # NaN: missing, which is False
        is_large = size >= np.log(LEAST_FACTOR)
        has_photons = np.isfinite(changes.get(PHOTONS, np.full(size.shape, np.nan)))
        has_changed = np.zeros(size.shape, dtype=bool)
        n_channels = np.zeros(size.shape, dtype=int)
        for change in changes.values():
            has_changed |= change > LARGEST_SHARE * size
            n_channels += np.isfinite(change)
        decades = size / np.log(10)
        is_decade = np.abs(decades - np.round(decades)) < DECADE_TOLERANCE
    is_alike = has_photons & ~has_changed & ((n_channels > 1) | is_decade)
    return np.asarray(is_large & is_alike)


def _log_ratios(
    passes: Sequence[Levels], others: Sequence[Levels], channel: str
) -> FloatArray:
    """Return the logarithms of a channel's ratios (passes, others); NaN: missing."""
    first, second = (
        np.array([_log_level(levels, channel) for levels in group], dtype=np.float64)
        for group in (passes, others)
    )
    return first[:, np.newaxis] - second


def _log_level(levels: Levels, channel: str) -> float:
    level = levels.get(channel, 0.0)
    return float(np.log(level)) if level > 0 else np.nan
