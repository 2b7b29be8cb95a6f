"""Maps for the report: counts compressed, and regions to begin with."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.config import Config, Region
from rixs_pipeline.core.spectra.regions import Limits, RegionKind
from rixs_pipeline.stages.sample.configured_regions import (
    core_region,
    select_emission_regions,
    select_regions,
)
from rixs_pipeline.stages.sample.spectrum_datasets import map_data
from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr

COMPRESSION = 4  # level 6 takes three times as long, for 6 % of the size
SHOWN_SHARE = 1e-3  # of the photons, left out at either end of the axis at first
MARGIN_EV = 10.0
YIELDS = (RegionKind.PFY, RegionKind.SPFY, RegionKind.TFY, RegionKind.ELASTIC)


def packed_map(rixs_map: xr.Dataset, config: Config) -> dict[str, Any]:
    """Return a map as JSON values.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    config
        Its regions, and the efficiency of the detector.

    Returns
    -------
    dict
        `counts` (point, bin) of the bins that have any, as deflated bytes in base64;
        energies, exposures (s) and relative errors of these as numbers, which keep all
        their digits.
    """
    data = map_data(rixs_map, config.normalise)
    order = np.argsort(data.incident, kind="stable")
    counts = data.counts[order]
    efficiency = None
    if np.ndim(data.efficiency):
        efficiency = np.asarray(data.efficiency).tolist()
    has_photons = np.flatnonzero(counts.any(axis=0))
    first, stop = (has_photons[0], has_photons[-1] + 1) if len(has_photons) else (0, 1)
    return {
        "sample": str(rixs_map.attrs["sample"]),
        "edge": str(rixs_map.attrs["edge"]),
        "incident": data.incident[order].tolist(),
        "edges": data.emission_edges.tolist(),
        "exposure": data.exposure[order].tolist(),
        "relative_errors": data.relative_exposure_errors[order].tolist(),
        "efficiency": efficiency,
        "first_bin": int(first),
        "n_bins": int(stop - first),
        "shown": _shown_range(counts, data.emission_edges),
        "regions": _regions(str(rixs_map.attrs["edge"]), len(order) == 1, config),
        **_packed(counts[:, first:stop]),
    }


def map_row(rixs_map: xr.Dataset, packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first table says of a map.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    packed
        The same, packed.

    Returns
    -------
    dict
        Sample, edge, points, photons, resolution and energy scale (eV).
    """
    fwhm, error = (
        float(rixs_map.attrs.get(f"resolution_fwhm{suffix}", np.nan))
        for suffix in ("", "_errors")
    )
    return {
        "sample": packed["sample"],
        "edge": packed["edge"],
        "points": len(packed["incident"]),
        "photons": int(rixs_map["counts"].values.sum()),
        "resolution": _number(fwhm),
        "resolution_error": _number(error),
        "scale_error": _scale_error(rixs_map, packed),
    }


def _scale_error(rixs_map: xr.Dataset, packed: Mapping[str, Any]) -> float | None:
    """Return the error of the scale in the middle of the first region, eV."""
    if "energy_scale_errors" not in rixs_map:
        return None
    limits = [
        region["region"]["emission"]
        for region in packed["regions"]
        if region["region"]["emission"]
    ]
    middle = float(np.mean(limits[0] if limits else packed["shown"]))
    energy = rixs_map["emission_energy"].values
    errors = rixs_map["energy_scale_errors"].values
    return _number(float(np.interp(middle, energy, errors)))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _packed(counts: IntArray) -> dict[str, Any]:
    """Return counts as deflated integers of the smallest type, little endian."""
    largest = int(counts.max(initial=0))
    n_bytes = next(n for n in (1, 2, 4) if largest < 256**n)
    content = np.ascontiguousarray(counts, f"<u{n_bytes}").tobytes()
    packed = base64.b64encode(zlib.compress(content, COMPRESSION)).decode()
    return {"item_bytes": n_bytes, "packed": packed}


def _shown_range(counts: IntArray, edges: FloatArray) -> list[float]:
    """Return the emission energies, eV, between which nearly all photons are."""
    cumulative = np.cumsum(counts.sum(axis=0))
    if not len(cumulative) or cumulative[-1] == 0:
        return [float(edges[0]), float(edges[-1])]
    shares = np.array([SHOWN_SHARE, 1 - SHOWN_SHARE]) * cumulative[-1]
    first, last = np.searchsorted(cumulative, shares)
    return [
        float(max(edges[0], edges[first] - MARGIN_EV)),
        float(min(edges[-1], edges[last + 1] + MARGIN_EV)),
    ]


def _regions(edge: str, is_single: bool, config: Config) -> list[dict[str, Any]]:
    """Return the regions of an edge that limits alone describe."""
    select = select_emission_regions if is_single else select_regions
    regions = []
    for name, configured in select(edge, config.regions).items():
        if (limits := _limits(configured)) is not None:
            suffix = " (no background)" if configured.background else ""
            regions.append({"name": f"{name}{suffix}", "region": limits})
    return regions


def _limits(configured: Region) -> Mapping[str, Any] | None:
    """Return a region as the page has it; None: it is no rectangle on either axis."""
    region = core_region(configured)
    is_yield = region.kind in YIELDS
    if not (is_yield or region.kind is RegionKind.XES):
        return None
    if region.polygon or region.pieces or region.exclude_elastic:
        return None
    limits: dict[str, Limits | None] = {
        "incident": region.incident,
        "emission": region.emission,
        "loss": region.loss,
    }
    return {
        "kind": "pfy" if is_yield else "xes",
        **{name: list(value) if value else None for name, value in limits.items()},
        "cut": region.nearest_incident,
        "step": configured.step,
    }
