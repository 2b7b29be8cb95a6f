"""Resolution of the pixels, from the reference runs, averaged over pixels and scans.

The parked elastic line has no width of its own. Where a reference run does not show it,
the narrowest of the emission lines stands for it: all are widened by the chemistry of
the reference sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import FloatArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

FWHM = "resolution_fwhm"
FWHM_ERRORS = "resolution_fwhm_errors"
ATTRIBUTES = (FWHM, FWHM_ERRORS)
# Relative: pixels of a scan are aligned less well than within a reference run, and
# lines other than the elastic one are wider than the resolution.
ALIGNMENT_ERROR = 0.1
LINE_ERROR = 0.25


def pixel_resolutions(calibrations: Sequence[xr.Dataset]) -> dict[int, float]:
    """Return the resolution of each pixel that is ok, FWHM in eV."""
    widths: dict[int, list[float]] = {}
    for product in calibrations:
        is_ok = are_ok(product["status"].values)
        elastic = product["elastic_fwhm"].values
        lines = product["fwhm"].values
        resolution = (
            product["resolution"].values if "resolution" in product else elastic
        )
        for row in np.flatnonzero(is_ok).tolist():
            width = elastic[row]
            if not np.isfinite(width):
                width = resolution[row]
            if not np.isfinite(width):
                width = _narrowest(lines[row])
            if np.isfinite(width):
                pixel = int(product["pixel"].values[row])
                widths.setdefault(pixel, []).append(float(width))
    return {pixel: float(np.mean(values)) for pixel, values in widths.items()}


def _narrowest(widths: FloatArray) -> float:
    """Return the least of the finite widths, NaN without any."""
    finite = widths[np.isfinite(widths)]
    return float(finite.min()) if len(finite) else float("nan")


def average_resolution_over_pixels(
    dataset: xr.Dataset, resolutions: Mapping[int, float], *, has_elastic: bool
) -> dict[str, float]:
    """Return the attributes of the resolution of a scan.

    Parameters
    ----------
    dataset
        Product of the scan.
    resolutions
        Of the pixels, from `pixel_resolutions`.
    has_elastic
        Whether they are widths of the elastic line.

    Returns
    -------
    dict of str to float
        Root mean square over the pixels, weighted by their photons, and an error; NaN
        where no pixel with photons has a resolution.
    """
    pixels = dataset["pixel"].values.tolist()
    photons = dict(zip(pixels, dataset["pixel_counts"].values.tolist(), strict=True))
    used = [pixel for pixel in resolutions if photons.get(pixel, 0) > 0]
    if not used:
        return dict.fromkeys(ATTRIBUTES, np.nan)
    squares = [resolutions[pixel] ** 2 for pixel in used]
    weights = [photons[pixel] for pixel in used]
    fwhm = float(np.sqrt(np.average(squares, weights=weights)))
    error = ALIGNMENT_ERROR if has_elastic else LINE_ERROR
    return {FWHM: fwhm, FWHM_ERRORS: error * fwhm}


def used_photons(scan: xr.Dataset) -> float:
    """Return the number of photons at the points of a scan that are used."""
    is_used = scan["point_status"].values == POINT_USED
    of_points = scan["counts"].values.sum(axis=1)
    return float(of_points[is_used].sum())


def average_resolution_over_scans(scans: Sequence[xr.Dataset]) -> dict[str, float]:
    """Return the attributes of a map, averaged over its scans by photons.

    Empty where no scan has a resolution.
    """
    with_resolution = [
        scan for scan in scans if np.isfinite(scan.attrs.get(FWHM, np.nan))
    ]
    if not with_resolution:
        return {}
    photons = [used_photons(scan) for scan in with_resolution]
    weights = photons if any(photons) else np.ones(len(with_resolution))
    squares = [scan.attrs[FWHM] ** 2 for scan in with_resolution]
    errors = [scan.attrs[FWHM_ERRORS] for scan in with_resolution]
    return {
        FWHM: float(np.sqrt(np.average(squares, weights=weights))),
        FWHM_ERRORS: float(np.average(errors, weights=weights)),
    }
