"""Readings of the scans, and the PFY of their map -> absorption spectra on one axis: `xas/<sample>-<edge>.nxs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import XasConfig
from rixs_pipeline.core import binning, combine, presets, scaling, xas
from rixs_pipeline.schema import POINT_USED, check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


def absorption_spectra(
    scans: Sequence[xr.Dataset], pfy: xr.Dataset | None, config: XasConfig, name: str
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """TEY, TFY and PFY of one sample and edge as `schema.spectrum`, normalised alike; and warnings.

    A reading is divided by I0 point by point, its pre-edge line subtracted and the rest normalised in every pass, then
    the passes are averaged: equal weights, errors from their scatter.
    """
    windows = edge_windows(str(scans[0].attrs["edge"]), config)
    found, warnings = {}, []
    for channel in config.channels:
        having = [scan for scan in scans if f"reading_{channel}" in scan]
        if not having:
            continue
        energy, passes = _passes(having, channel, config, windows)
        if np.sum((energy >= windows.pre[0]) & (energy < windows.pre[1])) < 2:
            text = f"{name}: {channel} has no pre-edge line, too few points in {list(windows.pre)} eV; set xas.pre_edge"
            warnings.append(text)
        found[channel] = _dataset(energy, *xas.averaged(passes), {"channel": channel, "passes": len(passes)})
    if found and pfy is not None:
        energy, intensity = pfy["incident_energy"].values, pfy["intensity"].values
        values, divisor = xas.normalised(energy, intensity, config.scale, windows)
        if divisor > 0:
            errors = pfy["intensity_errors"].values / divisor
            found["pfy"] = _dataset(energy, values, errors, {"channel": "PFY"})
    for dataset in found.values():
        dataset.attrs |= {name: scans[0].attrs[name] for name in ("sample", "edge")}
        dataset.attrs |= {"scale": config.scale, "pre_edge": list(windows.pre), "post_edge": list(windows.post)}
    return found, warnings


def edge_windows(edge: str, config: XasConfig) -> scaling.EdgeWindows:
    """The windows of the edge's preset, with what the config says instead."""
    preset = presets.PRESETS[edge].edge  # type: ignore[index]  # the edge comes from discovery
    return replace(preset, pre=config.pre_edge or preset.pre, post=config.post_edge or preset.post)


def _passes(
    scans: Sequence[xr.Dataset], channel: str, config: XasConfig, windows: scaling.EdgeWindows
) -> tuple[Floats, list[Floats]]:
    """Incident energies and the normalised passes, each (point,), NaN at points without beam."""
    incident = [scan["incident_energy"].values for scan in scans]
    grid = combine.common_grid(incident)
    if grid is None:
        edges = combine.midpoint_bins(max(incident, key=len))
        grid = (edges[1:] + edges[:-1]) / 2
        places = [binning.bin_index(energy, edges) for energy in incident]
    else:
        places = [combine.group_points(energy, grid) for energy in incident]
    passes = []
    for scan, place in zip(scans, places, strict=True):
        used = np.where(scan["point_status"].values == POINT_USED, place, -1)
        reading = scan[f"reading_{channel}"].values / (scan["i0"].values if "i0" in scan else 1.0)
        values = combine.weighted_mean([reading], [scan["dwell"].values], [used], len(grid))
        passes.append(xas.normalised(grid, values, config.scale, windows)[0])
    return grid, passes


def _dataset(energy: Floats, values: Floats, errors: Floats, attributes: dict[str, object]) -> xr.Dataset:
    """As `schema.spectrum`; a reading has neither counts nor exposure."""
    axis, unknown = ("incident_energy",), np.full(len(energy), np.nan)
    columns = {"intensity": values, "intensity_errors": errors, "counts": unknown, "exposure": np.ones(len(energy))}
    schema = spectrum_schema("incident_energy")
    dataset = labelled({"incident_energy": (axis, energy)} | {n: (axis, v) for n, v in columns.items()}, schema)
    for name in ("intensity", "intensity_errors"):
        dataset[name].attrs["units"] = ""
    check(dataset, schema, "xas")
    return dataset.assign_attrs(attributes)
