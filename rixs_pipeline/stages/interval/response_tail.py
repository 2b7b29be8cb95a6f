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
from rixs_pipeline.types import FloatArray, IntArray, are_ok

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


@dataclass(frozen=True)
class _FittedLines:
    """Lines of pixels whose tail was fitted, all (line,)."""

    pixel: IntArray
    fraction: FloatArray
    length: FloatArray  # eV
    counts: FloatArray


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
    pixels = dataset["pixel"].values.tolist()
    pixel_counts = dataset["pixel_counts"].values.tolist()
    photons = dict(zip(pixels, pixel_counts, strict=True))
    used = [pixel for pixel in tails if photons.get(pixel, 0) > 0]
    if not used:
        return dict.fromkeys(ATTRIBUTES, np.nan)
    used_photons = np.array([photons[pixel] for pixel in used], float)
    weight = used_photons / used_photons.sum()
    fraction = np.array([tails[pixel].fraction for pixel in used])
    length = np.array([tails[pixel].length for pixel in used])
    mean = float(weight @ fraction)
    deviation = fraction - mean
    variance = (weight**2) @ deviation**2
    fit_error = FIT_ERROR * mean
    return {
        FRACTION: mean,
        FRACTION_ERRORS: float(np.sqrt(variance + fit_error**2)),
        LENGTH: float(weight @ (fraction * length) / mean),
    }


def average_tail_over_scans(scans: Sequence[xr.Dataset]) -> dict[str, float]:
    """Return the attributes of the tail of a map, averaged over its scans by photons.

    Empty where no scan has a tail.
    """
    with_tail = []
    photons = []
    for scan in scans:
        fraction = scan.attrs.get(FRACTION, np.nan)
        if np.isfinite(fraction):
            is_used = scan["point_status"].values == POINT_USED
            counts = scan["counts"].values[is_used]
            with_tail.append(scan)
            photons.append(float(counts.sum()))
    if not with_tail:
        return {}
    weights = np.array(photons)
    if not weights.any():
        weights = np.ones(len(with_tail))
    averages = {}
    for name in ATTRIBUTES:
        values = [scan.attrs[name] for scan in with_tail]
        averages[name] = float(np.average(values, weights=weights))
    return averages


def average_tail_over_lines(calibrations: Sequence[xr.Dataset]) -> dict[int, PixelTail]:
    """Return the tails of the pixels that are ok, averaged over the fitted lines.

    Lines of all calibrations are weighted by their counts, the decay length by counts x
    fraction. A pixel without a fitted tail is missing.
    """
    if not calibrations:
        return {}
    lines = [_read_fitted_lines(product) for product in calibrations]
    line_pixel = np.concatenate([part.pixel for part in lines])
    line_fraction = np.concatenate([part.fraction for part in lines])
    line_length = np.concatenate([part.length for part in lines])
    line_counts = np.concatenate([part.counts for part in lines])
    tails = {}
    for pixel in np.unique(line_pixel).tolist():
        is_pixel = line_pixel == pixel
        fraction = line_fraction[is_pixel]
        counts = line_counts[is_pixel]
        lost_counts = fraction * counts
        if lost_counts.sum() > 0:
            length = np.average(line_length[is_pixel], weights=lost_counts)
            mean_fraction = np.average(fraction, weights=counts)
            tails[pixel] = PixelTail(float(mean_fraction), float(length))
    return tails


def _read_fitted_lines(product: xr.Dataset) -> _FittedLines:
    """Read the lines with a fitted tail of all pixels that are ok."""
    fraction = product[FRACTION].values
    length = product[LENGTH].values
    counts = product["line_counts"].values
    is_fitted = np.isfinite(fraction) & np.isfinite(length) & (counts > 0)
    is_fitted &= are_ok(product["status"].values)[:, None]
    rows, _ = np.nonzero(is_fitted)
    return _FittedLines(
        pixel=product["pixel"].values[rows],
        fraction=fraction[is_fitted],
        length=length[is_fitted],
        counts=counts[is_fitted],
    )
