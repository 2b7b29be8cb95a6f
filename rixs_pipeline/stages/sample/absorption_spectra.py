"""Readings of the scans, and the PFY of their map -> absorption spectra on one axis: `xas/<sample>-<edge>.nxs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import XasConfig
from rixs_pipeline.core.maps import binning, combine
from rixs_pipeline.core.spectra import presets, xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows, find_edge_windows
from rixs_pipeline.core.spectra.regions import Scale
from rixs_pipeline.schema import POINT_USED, check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


def absorption_spectra(
    scans: Sequence[xr.Dataset], pfy: xr.Dataset | None, config: XasConfig, name: str
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """TEY, TFY and PFY of one sample and edge as `schema.spectrum`, normalised alike; and warnings.

    A reading is divided by I0 point by point, its pre-edge line subtracted and the rest normalised in every pass, then
    the passes are averaged: equal weights, errors from their scatter. A reading that drops at the edge is -1 at its
    minimum, or after its jump. Of a PFY the mean before the edge is subtracted: hardly anything is under it, and counts
    tell no slope.
    """
    energies = np.concatenate([scan["incident_energy"].values for scan in scans])
    windows, warnings = edge_windows(Edge(scans[0].attrs["edge"]), config, energies)
    found = {}
    for channel in config.channels:
        having = [scan for scan in scans if f"reading_{channel}" in scan]
        if having:
            energy, passes = _passes(having, channel)
            mean = xas.average_passes(passes).mean
            sloped = xas.has_pre_edge_slope(energy, mean, windows)
            values, _, how = _normalised(energy, passes, config, windows, sloped)
            average = xas.average_passes(values)
            found[channel] = _dataset(
                energy,
                average.mean,
                average.errors,
                how | {"channel": channel, "passes": len(passes)},
            )
            found[channel].attrs["errors"] = (
                "scatter between passes, one size for all points; unknown of a single pass"
            )
    if found and pfy is not None:
        energy, errors = pfy["incident_energy"].values, pfy["intensity_errors"].values
        values, divisor, how = _normalised(
            energy, [pfy["intensity"].values], config, windows, sloped=False
        )
        errors = np.divide(
            errors, divisor, out=np.full(len(errors), np.nan), where=divisor > 0
        )
        found["pfy"] = _dataset(
            energy,
            values[0],
            errors,
            how | {"channel": "PFY", "region": pfy.attrs["region"]},
        )
        found["pfy"].attrs["errors"] = (
            "those of the PFY; not in it, common to all points: pre-edge line and divisor"
        )
    for dataset in found.values():
        dataset.attrs |= {key: scans[0].attrs[key] for key in ("sample", "edge")}
        dataset.attrs |= {
            "scale": config.scale,
            "pre_edge": list(windows.pre_edge),
            "post_edge": list(windows.post_edge),
        }
    return found, [f"{name}: {line}" for line in warnings + _told(found)]


def _normalised(
    energy: Floats,
    passes: list[Floats],
    config: XasConfig,
    windows: EdgeWindows,
    sloped: bool,
) -> tuple[list[Floats], float, dict[str, object]]:
    """The passes, normalised alike as their mean asks for; the divisor of the last one; and how.

    `sloped`: whether the line before the edge has a slope where the config does not name its points.
    """
    mean = xas.average_passes(passes).mean
    sloped = sloped or config.pre_edge is not None
    scale = Scale(config.scale)
    decreases = xas.decreases_at_edge(energy, mean, scale, windows, sloped)
    sign = -1 if decreases else 1
    normalised = [
        xas.normalise_absorption(energy, sign * values, scale, windows, sloped)
        for values in passes
    ]
    line = "linear" if sloped or config.scale == "edge" else "constant"
    return (
        [sign * spectrum.values for spectrum in normalised],
        normalised[-1].divisor,
        {"pre_edge_line": line, "sign": sign},
    )


def _told(found: dict[str, xr.Dataset]) -> list[str]:
    """What a reader of the spectra should know, a line each."""
    which = {
        "no slope is told by the points before the edge: their mean is subtracted; set xas.pre_edge": [
            n
            for n, d in found.items()
            if n != "pfy" and d.attrs["pre_edge_line"] == "constant"
        ],
        "it drops at the edge, as light of other elements does: -1 is its lowest": [
            n for n, d in found.items() if d.attrs["sign"] < 0
        ],
        "cannot be normalised; set xas.pre_edge and xas.post_edge": [
            n for n, d in found.items() if not np.isfinite(d["intensity"].values).any()
        ],
    }
    return [f"{', '.join(names)}: {text}" for text, names in which.items() if names]


def edge_windows(
    edge: Edge, config: XasConfig, energies: Floats
) -> tuple[EdgeWindows, list[str]]:
    """The windows of the edge's preset as far as the scans' `energies` (point,) eV go, with what the config says
    instead; and warnings."""
    windows = find_edge_windows(
        presets.PRESETS[edge].edge,
        energies if config.scale == "edge" else None,
        pre_edge=config.pre_edge,
        post_edge=config.post_edge,
    )
    assert windows is not None  # the edge has defaults
    warnings = []
    for name in windows.unreached:
        low, high = getattr(windows, name)
        warnings.append(
            "absorption: default window outside the scans; "
            f"fitted from {low:.1f} to {high:.1f} eV (set `xas.{name}`)"
        )
    low, high = windows.pre_edge
    if np.sum((energies >= low) & (energies < high)) < 2:
        warnings.append(
            f"no pre-edge line, too few points in [{low}, {high}] eV; set xas.pre_edge"
        )
    return windows, warnings


def _passes(scans: Sequence[xr.Dataset], channel: str) -> tuple[Floats, list[Floats]]:
    """Incident energies and the passes of a reading over I0, each (point,), NaN at points without beam."""
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
        reading = scan[f"reading_{channel}"].values / (
            scan["i0"].values if "i0" in scan else 1.0
        )
        passes.append(
            combine.weighted_mean([reading], [scan["dwell"].values], [used], len(grid))
        )
    return grid, passes


def _dataset(
    energy: Floats, values: Floats, errors: Floats, attributes: dict[str, object]
) -> xr.Dataset:
    """As `schema.spectrum`; a reading has neither counts nor exposure."""
    axis, unknown = ("incident_energy",), np.full(len(energy), np.nan)
    columns = {
        "intensity": values,
        "intensity_errors": errors,
        "counts": unknown,
        "exposure": np.ones(len(energy)),
    }
    schema = spectrum_schema("incident_energy")
    dataset = labelled(
        {"incident_energy": (axis, energy)}
        | {n: (axis, v) for n, v in columns.items()},
        schema,
    )
    for name in ("intensity", "intensity_errors"):
        dataset[name].attrs["units"] = ""
    check(dataset, schema, "xas")
    return dataset.assign_attrs(attributes)
