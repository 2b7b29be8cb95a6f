"""Low-energy tail of the detector response: averaged over lines, pixels and scans.

A share of the photons of a line loses energy: the response is a Gaussian core and an
exponential tail below it. The reference runs give both for each pixel and line; scans
and maps carry the averages as attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import FloatArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

FRACTION = "tail_fraction"
FRACTION_ERRORS = "tail_fraction_errors"
LENGTH = "tail_length"
ATTRIBUTES = (FRACTION, FRACTION_ERRORS, LENGTH)

# Relative, common to all pixels: the fitted tails are 0 to 11 % too small from 1000
# counts a line on, 20 % at 270 counts (measured on simulated reference runs).
FIT_ERROR = 0.15


@dataclass(frozen=True)
class PixelTail:
    """Low-energy tail of a pixel's response."""

    fraction: float  # of the photons of a line
    length: float  # decay length, eV


def average_tail_over_pixels(
    dataset: xr.Dataset, tails: Mapping[int, PixelTail]
) -> dict[str, float]:
    """Return the attributes of the tail of a scan, averaged over its pixels.

    Pixels are weighted by their photons in the map, the decay length by photons x
    fraction, so that the mean energy loss fraction x length is preserved.

    Parameters
    ----------
    dataset
        Product of the scan.
    tails
        Tails of the pixels, from `average_tail_over_lines`.

    Returns
    -------
    dict of str to float
        `tail_fraction`, `tail_fraction_errors` (standard error of the mean over the
        pixels and a fit error common to all) and `tail_length` (eV); NaN where no pixel
        with photons has a tail.
    """
    pixels, counts = dataset["pixel"].values, dataset["pixel_counts"].values
    photons = dict(zip(pixels.tolist(), counts.tolist(), strict=True))
    used = [pixel for pixel in tails if photons.get(pixel, 0) > 0]
    if not used:
        return dict.fromkeys(ATTRIBUTES, np.nan)
    used_photons = np.array([photons[pixel] for pixel in used], float)
    weight = used_photons / sum(photons[pixel] for pixel in used)
    fraction = np.array([tails[pixel].fraction for pixel in used])
    length = np.array([tails[pixel].length for pixel in used])
    mean = float(weight @ fraction)
    variance = (weight**2) @ (fraction - mean) ** 2
    error = np.sqrt(variance + (FIT_ERROR * mean) ** 2)
    mean_length = float(weight @ (fraction * length) / mean)
    return {FRACTION: mean, FRACTION_ERRORS: float(error), LENGTH: mean_length}


def average_tail_over_scans(scans: Sequence[xr.Dataset]) -> dict[str, float]:
    """Return the attributes of the tail of a map, averaged over its scans by photons.

    Empty where no scan has a tail.
    """
    with_tail = [s for s in scans if np.isfinite(s.attrs.get(FRACTION, np.nan))]
    if not with_tail:
        return {}
    photons = np.array([_used_counts(scan) for scan in with_tail])
    weights = photons if photons.any() else np.ones(len(with_tail))
    return {
        name: float(np.average([s.attrs[name] for s in with_tail], weights=weights))
        for name in ATTRIBUTES
    }


def _used_counts(scan: xr.Dataset) -> float:
    """Return the counts of a scan in the points that are used."""
    is_used = scan["point_status"].values == POINT_USED
    return float(scan["counts"].values[is_used].sum())


def average_tail_over_lines(calibrations: Sequence[xr.Dataset]) -> dict[int, PixelTail]:
    """Return the tails of the pixels that are ok, averaged over the fitted lines.

    Lines of all calibrations are weighted by their counts, the decay length by counts x
    fraction. A pixel without a fitted tail is missing.
    """
    lines: dict[int, list[FloatArray]] = {}
    for product in calibrations:
        pixels = product["pixel"].values.tolist()
        is_ok = are_ok(product["status"].values)
        columns = [product[name].values for name in (FRACTION, LENGTH, "line_counts")]
        table = np.stack(columns, axis=-1).astype(float)  # (pixel, line, quantity)
        for row, pixel in enumerate(pixels):
            is_fitted = np.isfinite(table[row]).all(axis=1) & (table[row, :, 2] > 0)
            fitted = table[row, is_fitted & is_ok[row]]
            lines.setdefault(pixel, []).append(fitted)
    tails = {}
    for pixel, tables in lines.items():
        fraction, length, counts = np.concatenate(tables).T
        if (fraction * counts).sum() > 0:
            tails[pixel] = PixelTail(
                fraction=float(np.average(fraction, weights=counts)),
                length=float(np.average(length, weights=fraction * counts)),
            )
    return tails
