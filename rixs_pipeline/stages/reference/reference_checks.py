"""What reference runs say against their logs, and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.types import are_ok

if TYPE_CHECKING:
    import xarray as xr

ABOVE_EV = 10.0  # above the incident energy, from where on nothing can be emitted
# Counts in a pixel that a line of the other run should have, to be missed; and lines
# that differ: three times as many as a line needs, and more than a single lost line
MISSED_COUNTS = 100.0
MIN_DIFFERENT = 2


def reference_checks(calibrations: Sequence[xr.Dataset]) -> list[str]:
    """Return a line for each reference run that cannot be as its log says.

    Parameters
    ----------
    calibrations
        Of the reference runs, as `schema.PIXEL_CALIBRATION`.

    Returns
    -------
    list of str
        Lines above the incident energy, and runs of one sample with other lines than
        the run before.
    """
    ordered = sorted(calibrations, key=lambda product: float(product.attrs["time"]))
    lines = [line for product in ordered for line in _too_high_lines(product)]
    for first, second in pairwise(ordered):
        lines += _different_lines(first, second)
    return lines


def _line_counts(calibration: xr.Dataset) -> dict[str, float]:
    """Return the median counts of each line in the ok pixels; none without these."""
    is_ok = are_ok(calibration["status"].values)
    counts = np.nan_to_num(calibration["line_counts"].values[is_ok])
    if not len(counts):
        return {}
    names = map(str, calibration["line_name"].values)
    medians = np.median(counts, axis=0).tolist()
    return {name: count for name, count in zip(names, medians, strict=True) if count}


def _too_high_lines(calibration: xr.Dataset) -> list[str]:
    """Return a line if emission lies above the incident energy of the log."""
    parked = float(calibration.attrs.get("parked_energy", np.nan))
    counts = _line_counts(calibration)
    names = map(str, calibration["line_name"].values)
    energies = dict(zip(names, calibration["line_energy"].values, strict=True))
    too_high = [name for name in counts if energies[name] > parked + ABOVE_EV]
    if not too_high:
        return []
    return [
        f"{calibration.attrs['run']}: {', '.join(too_high)} cannot be excited by the "
        f"{parked:.0f} eV of its log; incident energy in the log or the lines are "
        "wrong: check both"
    ]


def _different_lines(first: xr.Dataset, second: xr.Dataset) -> list[str]:
    """Return a line if two runs of one sample have different lines."""
    if first.attrs["sample"] != second.attrs["sample"]:
        return []
    counts, other_counts = _line_counts(first), _line_counts(second)
    missing = _missed(counts, other_counts)
    further = _missed(other_counts, counts)
    if len(missing) + len(further) < MIN_DIFFERENT:
        return []
    parts = [
        f"{verb} {', '.join(names)}"
        for verb, names in (("lacks", missing), ("has", further))
        if names
    ]
    return [
        f"{second.attrs['run']}: {' and '.join(parts)}, unlike {first.attrs['run']}; "
        "the reference samples or the identified lines differ: check both"
    ]


def _missed(counts: dict[str, float], other_counts: dict[str, float]) -> list[str]:
    """Return the lines that another run should show, by the lines of both."""
    ratios = [
        other_counts[name] / counts[name] for name in counts.keys() & other_counts
    ]
    ratio = float(np.median(ratios)) if ratios else 1.0
    return [
        name
        for name, count in counts.items()
        if name not in other_counts and ratio * count >= MISSED_COUNTS
    ]
