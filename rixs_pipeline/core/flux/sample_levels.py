"""Levels of I0 of samples at one edge: does one have another range or unit?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

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
    ratios = [
        levels[I0] / other_levels[I0]
        for levels, other_levels in product(passes, others)
        if has_other_range(levels, other_levels)
    ]
    if 2 * len(ratios) <= len(passes) * len(others):
        return 1.0
    return float(np.exp(np.median(np.log(ratios))))


def has_other_range(levels: Levels, others: Levels) -> bool:
    """Return whether the range of I0, and not the beam, differs between two samples.

    Parameters
    ----------
    levels, others
        Of a pass of either sample.

    Returns
    -------
    bool
        I0 differs by a factor of five or more, and neither photons nor any reading do.
        A beam that is changed on purpose, for a dilute sample, keeps the photons alike
        but not the readings; without readings I0 must differ by powers of ten.
    """
    change = {
        channel: float(np.log(levels[channel] / others[channel]))
        for channel in levels.keys() & others.keys()
        if levels[channel] > 0 and others[channel] > 0
    }
    if I0 not in change or PHOTONS not in change:
        return False
    size = abs(change.pop(I0))
    if size < np.log(LEAST_FACTOR):
        return False
    if any(abs(log_ratio) > LARGEST_SHARE * size for log_ratio in change.values()):
        return False
    decades = size / np.log(10)
    is_decade = abs(decades - round(decades)) < DECADE_TOLERANCE
    return len(change) > 1 or is_decade
