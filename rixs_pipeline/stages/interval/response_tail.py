"""Low-energy tail of the detector response: averaged over lines, pixels and scans.

A share of the photons of a line loses energy: the response is a Gaussian core and an
exponential tail below it. The reference runs give both for each pixel and line, and for
all lines of the array together; scans and maps carry the averages as attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.response.tail_fit import TailFit
from rixs_pipeline.stages.interval.resolution import used_photons
from rixs_pipeline.types import FloatArray, IntArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

FRACTION = "tail_fraction"
FRACTION_ERRORS = "tail_fraction_errors"
LENGTH = "tail_length"
LENGTH_ERRORS = "tail_length_errors"
CORRELATION = "tail_correlation"
ATTRIBUTES = (FRACTION, FRACTION_ERRORS, LENGTH, LENGTH_ERRORS, CORRELATION)

# Relative errors where no reference run has a fit of the whole array: the averages over
# lines are 6 to 11 % and 5 to 25 % too small with 1200 and 400 counts a line (measured
# on simulated reference runs).
UNFITTED_FRACTION_ERROR = 0.15
UNFITTED_LENGTH_ERROR = 0.30


@dataclass(frozen=True)
class PixelTail:
    """Low-energy tail of a pixel's response."""

    fraction: float  # of the photons of a line
    length: float  # decay length, eV


@dataclass(frozen=True)
class ResponseTails:
    """Tails of the pixels between two reference runs.

    Attributes
    ----------
    by_pixel
        Channel number -> tail, scaled so that the pixels together have the tail that
        their added spectra show.
    relative_covariance
        (2, 2) of log fraction and log length, common to all pixels.
    """

    by_pixel: Mapping[int, PixelTail]
    relative_covariance: FloatArray


NO_TAILS = ResponseTails({}, np.zeros((2, 2)))


def tail_attributes(tail: TailFit | None) -> dict[str, float]:
    """Return the attributes of a calibration with the tail of its array; NaN: none."""
    if tail is None:
        return dict.fromkeys(ATTRIBUTES, np.nan)
    fraction_error, log_length_error = np.sqrt(np.diag(tail.covariance))
    return {
        FRACTION: tail.fraction,
        FRACTION_ERRORS: float(fraction_error),
        LENGTH: tail.length,
        LENGTH_ERRORS: float(tail.length * log_length_error),
        CORRELATION: float(tail.covariance[0, 1] / (fraction_error * log_length_error)),
    }


@dataclass(frozen=True)
class _FittedLines:
    """Lines of pixels whose tail was fitted, all (line,)."""

    pixel: IntArray
    fraction: FloatArray
    length: FloatArray  # eV
    counts: FloatArray


def average_tail_over_pixels(
    dataset: xr.Dataset, tails: ResponseTails
) -> dict[str, float]:
    """Return the attributes of the tail of a scan, averaged over its pixels.

    Pixels are weighted by their photons in the map, the decay length by photons x
    fraction, so that the mean energy loss fraction x length is preserved.

    Parameters
    ----------
    dataset
        Product of the scan.
    tails
        From `tails_between_reference_runs`.

    Returns
    -------
    dict of str to float
        `ATTRIBUTES`, lengths in eV; NaN where no pixel with photons has a tail.
    """
    pixels = dataset["pixel"].values.tolist()
    pixel_counts = dataset["pixel_counts"].values.tolist()
    photons = dict(zip(pixels, pixel_counts, strict=True))
    by_pixel = tails.by_pixel
    used = [pixel for pixel in by_pixel if photons.get(pixel, 0) > 0]
    if not used:
        return dict.fromkeys(ATTRIBUTES, np.nan)
    weights = np.array([photons[pixel] for pixel in used], float)
    mean = _average_tail([by_pixel[pixel] for pixel in used], weights)
    fraction_error, length_error = np.sqrt(np.diag(tails.relative_covariance))
    covariance = tails.relative_covariance[0, 1]
    return {
        FRACTION: mean.fraction,
        FRACTION_ERRORS: float(mean.fraction * fraction_error),
        LENGTH: mean.length,
        LENGTH_ERRORS: float(mean.length * length_error),
        CORRELATION: float(covariance / (fraction_error * length_error)),
    }


def _average_tail(tails: Sequence[PixelTail], weights: FloatArray) -> PixelTail:
    """Return the mean of tails; the mean energy loss is preserved."""
    fraction = np.array([tail.fraction for tail in tails])
    length = np.array([tail.length for tail in tails])
    mean = float(np.average(fraction, weights=weights))
    loss = float(np.average(fraction * length, weights=weights))
    return PixelTail(mean, loss / mean)


def average_tail_over_scans(scans: Sequence[xr.Dataset]) -> dict[str, float]:
    """Return the attributes of the tail of a map, averaged over its scans by photons.

    Empty where no scan has a tail.
    """
    with_tail = []
    photons = []
    for scan in scans:
        fraction = scan.attrs.get(FRACTION, np.nan)
        if np.isfinite(fraction):
            with_tail.append(scan)
            photons.append(used_photons(scan))
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


def tails_between_reference_runs(calibrations: Sequence[xr.Dataset]) -> ResponseTails:
    """Return the tails of the pixels that are ok.

    The lines of a pixel, of all calibrations, are weighted by their counts: that gives
    how pixels differ. Their scale is that of the fit to the added spectra of the array,
    where a calibration has one, since single lines give tails that are too short.
    """
    by_pixel: dict[int, PixelTail] = {}
    counts: dict[int, float] = {}
    if not calibrations:
        return NO_TAILS
    lines = [_read_fitted_lines(product) for product in calibrations]
    line_pixel = np.concatenate([part.pixel for part in lines])
    line_fraction = np.concatenate([part.fraction for part in lines])
    line_length = np.concatenate([part.length for part in lines])
    line_counts = np.concatenate([part.counts for part in lines])
    for pixel in np.unique(line_pixel).tolist():
        is_pixel = line_pixel == pixel
        fraction = line_fraction[is_pixel]
        pixel_counts = line_counts[is_pixel]
        lost_counts = fraction * pixel_counts
        if lost_counts.sum() > 0:
            length = np.average(line_length[is_pixel], weights=lost_counts)
            mean_fraction = np.average(fraction, weights=pixel_counts)
            by_pixel[pixel] = PixelTail(float(mean_fraction), float(length))
            counts[pixel] = float(pixel_counts.sum())
    if not by_pixel:
        return NO_TAILS
    mean = _average_tail(list(by_pixel.values()), np.array(list(counts.values())))
    array = _average_fit(calibrations)
    if array is None:
        errors = np.array([UNFITTED_FRACTION_ERROR, UNFITTED_LENGTH_ERROR])
        return ResponseTails(by_pixel, np.diag(errors**2))
    fraction_scale = array.fraction / mean.fraction
    length_scale = array.length / mean.length
    scaled = {
        pixel: PixelTail(tail.fraction * fraction_scale, tail.length * length_scale)
        for pixel, tail in by_pixel.items()
    }
    return ResponseTails(scaled, array.relative_covariance)


@dataclass(frozen=True)
class _ArrayTail:
    """Tail of an array; `relative_covariance` (2, 2) of log fraction and log length."""

    fraction: float
    length: float
    relative_covariance: FloatArray


def _average_fit(calibrations: Sequence[xr.Dataset]) -> _ArrayTail | None:
    """Return the mean of the fits of the calibrations by their precision."""
    values, precisions = [], []
    for product in calibrations:
        numbers = [product.attrs.get(name, np.nan) for name in ATTRIBUTES]
        if not np.isfinite(numbers).all():
            continue
        fraction, fraction_error, length, length_error, correlation = numbers
        errors = np.array([fraction_error / fraction, length_error / length])
        correlations = np.array([[1.0, correlation], [correlation, 1.0]])
        precisions.append(np.linalg.inv(correlations * np.outer(errors, errors)))
        values.append(np.log([fraction, length]))
    if not values:
        return None
    covariance = np.linalg.inv(np.sum(precisions, axis=0))
    weighted = [
        precision @ value for precision, value in zip(precisions, values, strict=True)
    ]
    fraction, length = np.exp(covariance @ np.sum(weighted, axis=0))
    return _ArrayTail(float(fraction), float(length), covariance)


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
