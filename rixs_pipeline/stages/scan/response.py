"""The low-energy tail of the detector's response: from the reference runs to scans and maps, as attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import PixelState

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

FRACTION, FRACTION_ERRORS, LENGTH = (
    "tail_fraction",
    "tail_fraction_errors",
    "tail_length",
)
FIT_ERROR = 0.15  # relative, common to all pixels: leaks are 0 to 11 % too small from 1000 counts a line, 20 % at 270


def scan_response(dataset: xr.Dataset, tails: Mapping[int, Floats]) -> dict[str, float]:
    """Share f of the tail, its standard deviation, and its decay length tau in eV, of a scan's used pixels together.

    Means of what `pixel_tails` says of the pixels, by their photons in the map, tau by photons x f as well, so that
    the mean loss f tau stays. NaN where no used pixel has a fit. The error is the standard error of the mean over the
    pixels and 15 % that are common to all.
    """
    photons = dict(
        zip(
            dataset["pixel"].values.tolist(),
            dataset["pixel_counts"].values.tolist(),
            strict=True,
        )
    )
    used = [p for p in tails if photons.get(p, 0) > 0]
    if not used:
        return dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), np.nan)
    weight = np.array([photons[p] for p in used], float) / sum(photons[p] for p in used)
    f, tau = np.array([tails[p] for p in used]).T
    mean = float(weight @ f)
    error = np.sqrt((weight**2) @ (f - mean) ** 2 + (FIT_ERROR * mean) ** 2)
    return {
        FRACTION: mean,
        FRACTION_ERRORS: float(error),
        LENGTH: float(weight @ (f * tau) / mean),
    }


def map_response(scans: Sequence[xr.Dataset]) -> dict[str, float]:
    """The same of a map: the mean of its scans that have one, by their photons; empty where none has."""
    known = [s for s in scans if np.isfinite(s.attrs.get(FRACTION, np.nan))]
    if not known:
        return {}
    photons = [
        float(s["counts"].values[s["point_status"].values == POINT_USED].sum())
        for s in known
    ]
    columns = {
        name: np.array([s.attrs[name] for s in known])
        for name in (FRACTION, FRACTION_ERRORS, LENGTH)
    }
    weight = np.array(photons) if any(photons) else np.ones(len(known))
    return {
        name: float(np.average(values, weights=weight))
        for name, values in columns.items()
    }


def pixel_tails(calibrations: Sequence[xr.Dataset]) -> Mapping[int, Floats]:
    """Pixel -> (fraction, length in eV) of the pixels that are ok, where both were fitted.

    Means over the calibrations and their lines, by the lines' counts.
    """
    found: dict[int, list[tuple[float, float, float]]] = {}
    for calibration in calibrations:
        columns = (
            calibration[n].values
            for n in ("pixel", "status", FRACTION, LENGTH, "line_counts")
        )
        for pixel, status, f, tau, counts in zip(*columns, strict=True):
            good = (
                np.isfinite(f)
                & np.isfinite(tau)
                & (counts > 0)
                & (str(status) == PixelState.OK)
            )
            found.setdefault(int(pixel), []).extend(
                zip(f[good], tau[good], counts[good], strict=True)
            )
    means = {}
    for pixel, rows in found.items():
        if rows and sum(f * n for f, _, n in rows) > 0:
            f, tau, n = np.array(rows).T
            means[pixel] = np.array(
                [np.average(f, weights=n), np.average(tau, weights=f * n)]
            )
    return means
