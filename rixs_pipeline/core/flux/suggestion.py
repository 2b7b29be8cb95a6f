"""The factors that bring I0 back to one range, as a user writes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

# Ranges of current amplifiers are 1, 2 or 5 times a power of ten.
RANGE_RATIOS = (1.0, 2.0, 2.5, 4.0, 5.0)
RANGE_TOLERANCE = np.log(1.15)
DIGITS = 3


def round_to_range(factor: float) -> float:
    """Return the ratio of two amplifier ranges next to a factor.

    Parameters
    ----------
    factor
        Positive.

    Returns
    -------
    float
        The factor itself, to three digits, where no ratio is within 15 %.
    """
    exponent = np.floor(np.log10(factor) + RANGE_TOLERANCE)
    ratios = [
        float(f"{ratio * 10.0**power:.3g}")
        for power in (exponent - 1, exponent)
        for ratio in RANGE_RATIOS
    ] + [float(f"{10.0 ** (exponent + 1):.3g}")]
    nearest = min(ratios, key=lambda ratio: abs(np.log(ratio / factor)))
    if abs(np.log(nearest / factor)) < RANGE_TOLERANCE:
        return nearest
    return float(f"{factor:.{DIGITS}g}")


def factors_of_steps(steps: Mapping[int, float], n_points: int) -> FloatArray:
    """Return the factors of `steps` (first point -> factor), f8 (point,)."""
    factors = np.ones(n_points)
    for first, factor in steps.items():
        factors[first:] = factor
    return factors


def suggest_scale(
    log_range: FloatArray, is_used: BoolArray, present: FloatArray
) -> str:
    """Return the scale that brings a reading onto the sound range, as YAML.

    Parameters
    ----------
    log_range
        Natural logarithm of the reading over the sound range, f8 (point,).
    is_used
        Points at which it is known, (point,); the others follow those before them.
    present
        Factors that are set already, f8 (point,).

    Returns
    -------
    str
        Of `format_scale`.
    """
    places = np.where(is_used, np.arange(len(is_used)), -1)
    last_used = np.maximum.accumulate(places)
    log_range = log_range[np.maximum(last_used, int(np.argmax(is_used)))]
    factors = present * np.exp(-log_range)
    rounded = np.empty(len(factors))
    for level in np.unique(log_range):
        is_level = log_range == level
        rounded[is_level] = round_to_range(float(np.median(factors[is_level])))
    return format_scale(rounded)


def format_scale(factors: FloatArray) -> str:
    """Return the value of `normalise.i0_scale` for a scan.

    Parameters
    ----------
    factors
        What its I0 is to be multiplied by, f8 (point,).

    Returns
    -------
    str
        YAML: a number, a mapping or a list of mappings.
    """
    starts = np.flatnonzero(np.diff(factors, prepend=np.nan) != 0)
    steps = [(int(first), float(factors[first])) for first in starts]
    if len(steps) == 1:
        return f"{steps[0][1]:g}"
    if steps[0][1] == 1:
        steps = steps[1:]
    mappings = [f"{{from_point: {first}, factor: {f:g}}}" for first, f in steps]
    return mappings[0] if len(mappings) == 1 else f"[{', '.join(mappings)}]"
