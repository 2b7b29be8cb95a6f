"""Readings that stay at one value: stuck, or at the end of their range."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

MIN_READINGS = 8  # with fewer, equal values may be chance
LEAST_STUCK = 5  # equal readings in a row
LEAST_SATURATED = 3  # readings at the highest value
LARGEST_CHANCE = 0.1  # share of other readings that are equal: coarse steps


class Repetition(StrEnum):
    """Why readings are equal."""

    CONSTANT = "constant"
    STUCK = "stuck"
    SATURATED = "saturated"


@dataclass(frozen=True)
class RepeatedReadings:
    """Points (point,) that have the same reading, the reading, and why."""

    is_repeated: BoolArray
    value: float
    kind: Repetition


def find_repeated_readings(readings: FloatArray) -> RepeatedReadings | None:
    """Find readings that are equal although readings are noisy.

    Parameters
    ----------
    readings
        f8 (point,), of the log as they are; NaN where missing.

    Returns
    -------
    RepeatedReadings or None
        None without any, and where readings come in steps as coarse as their noise.
    """
    positive = readings[readings > 0]
    if len(positive) < MIN_READINGS:
        return None
    values, counts = np.unique(positive, return_counts=True)
    most_frequent = int(np.argmax(counts))
    value = float(values[most_frequent])
    is_repeated = readings == value
    if len(values) == 1:
        return RepeatedReadings(is_repeated, value, Repetition.CONSTANT)
    other_counts = np.delete(counts, most_frequent)
    if other_counts[other_counts > 1].sum() > LARGEST_CHANCE * other_counts.sum():
        return None
    number = counts[most_frequent]
    if most_frequent == len(values) - 1 and number >= LEAST_SATURATED:
        return RepeatedReadings(is_repeated, value, Repetition.SATURATED)
    places = np.flatnonzero(is_repeated)
    is_in_a_row = places[-1] - places[0] + 1 == number
    if number >= LEAST_STUCK and is_in_a_row:
        return RepeatedReadings(is_repeated, value, Repetition.STUCK)
    return None
