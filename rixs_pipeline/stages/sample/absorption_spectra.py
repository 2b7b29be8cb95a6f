"""Readings of the scans, and the PFY of their map -> absorption spectra on one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import XasConfig
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows, find_edge_windows
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.regions import RegionKind, Scale
from rixs_pipeline.core.spectra.xas import normalise_passes
from rixs_pipeline.schema import check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.sample.configured_regions import core_limits
from rixs_pipeline.stages.sample.pass_axis import axis_of_passes, point_index
from rixs_pipeline.types import Edge, FloatArray

if TYPE_CHECKING:
    import xarray as xr

PFY_NAME = "pfy"  # entry of the PFY beside those of the readings
READING_ERRORS = (
    "scatter between passes, one size for all points; unknown of a single pass"
)
PFY_ERRORS = (
    "those of the PFY; not in it, common to all points: pre-edge line and divisor"
)


@dataclass(frozen=True)
class AbsorptionSpectra:
    """Spectra of one sample and edge as `schema.spectrum`, by channel, and warnings."""

    by_channel: dict[str, xr.Dataset]
    warnings: list[str]


@dataclass(frozen=True)
class _Normalisation:
    """How all spectra are normalised.

    `is_sloped`: with a line before the edge, since the config names its points.
    """

    scale: Scale
    windows: EdgeWindows
    is_sloped: bool


def select_pfy(spectra: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """Return the first spectrum of a map that is a PFY, in the order of the config."""
    for spectrum in spectra.values():
        if spectrum.attrs.get("kind") == RegionKind.PFY:
            return spectrum
    return None


def absorption_spectra(
    scans: Sequence[xr.Dataset], pfy: xr.Dataset | None, config: XasConfig, name: str
) -> AbsorptionSpectra:
    """Return TEY, TFY and PFY of one sample and edge, normalised in the same way.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`; their counts are not needed.
    pfy
        Spectrum of the map as `schema.spectrum`; None: there is none.
    config
        Channels and normalisation.
    name
        Name of the map, for messages.

    Returns
    -------
    AbsorptionSpectra
        Empty where the scans have none of the channels.

    Notes
    -----
    A reading is divided by I0 point by point. In every pass its pre-edge line is
    subtracted and the rest normalised; then the passes are averaged with equal weights,
    their errors from the scatter. Of a PFY the mean before the edge is subtracted: with
    so few counts there, a slope is undetermined.
    """
    incident = np.concatenate([scan["incident_energy"].values for scan in scans])
    windows = _edge_windows(Edge(scans[0].attrs["edge"]), config, incident)
    how = _Normalisation(Scale(config.scale), windows, config.pre_edge is not None)
    by_channel = {}
    for channel in config.channels:
        measured = [scan for scan in scans if f"reading_{channel}" in scan]
        if measured:
            by_channel[channel] = _reading_spectrum(measured, channel, how, name)
    if by_channel and pfy is not None:
        by_channel[PFY_NAME] = _pfy_spectrum(pfy, how)
    for dataset in by_channel.values():
        dataset.attrs |= {
            "sample": scans[0].attrs["sample"],
            "edge": scans[0].attrs["edge"],
            "scale": config.scale,
            "pre_edge": list(windows.pre_edge),
            "post_edge": list(windows.post_edge),
        }
    warnings = _window_warnings(windows, incident)
    warnings += _spectrum_warnings(by_channel, how.scale)
    return AbsorptionSpectra(by_channel, [f"{name}: {line}" for line in warnings])


def _edge_windows(edge: Edge, config: XasConfig, incident: FloatArray) -> EdgeWindows:
    """Return the windows of the config, or the defaults of the edge.

    For an edge jump the defaults are fitted to the scans (point,), eV.
    """
    default = PRESETS[edge].edge
    windows = find_edge_windows(
        default,
        incident if config.scale == "edge" else None,
        pre_edge=core_limits(config.pre_edge),
        post_edge=core_limits(config.post_edge),
    )
    # the jump is taken at the edge, wherever the config's windows are
    return replace(windows or default, position=default.position)


def _reading_spectrum(
    scans: Sequence[xr.Dataset], channel: str, how: _Normalisation, name: str
) -> xr.Dataset:
    """Return the absorption spectrum of a reading over I0, averaged over its passes."""
    axis = axis_of_passes(scans, name)
    passes = []
    for scan in scans:
        i0 = scan["i0"].values if "i0" in scan else 1.0
        reading = scan[f"reading_{channel}"].values / i0
        index = point_index(scan, axis)
        dwell = scan["dwell"].values
        mean = combine.weighted_mean([reading], [dwell], [index], len(axis.energy))
        passes.append(mean)
    mean = xas.average_passes(passes).mean
    has_slope = xas.has_pre_edge_slope(axis.energy, mean, how.windows)
    is_sloped = has_slope or how.is_sloped
    normalised = normalise_passes(
        axis.energy, passes, how.scale, how.windows, is_sloped=is_sloped
    )
    average = normalised.average()
    dataset = _spectrum_dataset(axis.energy, average.mean, average.errors)
    dataset.attrs = {
        "pre_edge_line": _line_text(normalised.has_linear_pre_edge),
        "sign": normalised.sign,
        "channel": channel,
        "passes": len(passes),
        "errors": READING_ERRORS,
    }
    return dataset


def _pfy_spectrum(pfy: xr.Dataset, how: _Normalisation) -> xr.Dataset:
    """Return the absorption spectrum of a PFY."""
    energy, intensity = pfy["incident_energy"].values, pfy["intensity"].values
    normalised = normalise_passes(
        energy, [intensity], how.scale, how.windows, is_sloped=how.is_sloped
    )
    errors = np.full(len(energy), np.nan)
    if normalised.divisor > 0:
        errors = pfy["intensity_errors"].values / normalised.divisor
    dataset = _spectrum_dataset(energy, normalised.values[0], errors)
    dataset.attrs = {
        "pre_edge_line": _line_text(normalised.has_linear_pre_edge),
        "sign": normalised.sign,
        "channel": "PFY",
        "region": pfy.attrs["region"],
        "errors": PFY_ERRORS,
    }
    return dataset


def _line_text(is_linear: bool) -> str:
    """Return what products name the function that was subtracted."""
    return "linear" if is_linear else "constant"


def _spectrum_dataset(
    energy: FloatArray, intensity: FloatArray, errors: FloatArray
) -> xr.Dataset:
    """Return a spectrum as `schema.spectrum`, without counts and exposure."""
    axis = ("incident_energy",)
    unknown = np.full(len(energy), np.nan)
    variables = {
        "incident_energy": (axis, energy),
        "intensity": (axis, intensity),
        "intensity_errors": (axis, errors),
        "counts": (axis, unknown),
        "exposure": (axis, np.ones(len(energy))),
    }
    schema = spectrum_schema("incident_energy")
    dataset = labelled(variables, schema)
    for name in ("intensity", "intensity_errors"):
        dataset[name].attrs["units"] = ""
    check(dataset, schema, "xas")
    return dataset


def _window_warnings(windows: EdgeWindows, incident: FloatArray) -> list[str]:
    """Return warnings on windows with too few points of the scans (point,), eV."""
    warnings = []
    for window_name in windows.unreached:
        low, high = getattr(windows, window_name)
        warnings.append(
            f"too few points in the default {window_name} window; fitted from "
            f"{low:.1f} to {high:.1f} eV (set `xas.{window_name}`)"
        )
    low, high = windows.pre_edge
    if np.sum((incident >= low) & (incident < high)) < 2:
        warnings.append(
            f"no pre-edge fit: fewer than 2 points from {low:.1f} to {high:.1f} eV "
            "(set `xas.pre_edge`)"
        )
    return warnings


def _spectrum_warnings(by_channel: Mapping[str, xr.Dataset], scale: Scale) -> list[str]:
    """Return warnings on the spectra, one for all that it applies to."""
    constant, decreasing, failed = [], [], []
    for channel, dataset in by_channel.items():
        is_linear = dataset.attrs["pre_edge_line"] == _line_text(is_linear=True)
        if channel != PFY_NAME and not is_linear:
            constant.append(channel)
        if dataset.attrs["sign"] < 0:
            decreasing.append(channel)
        if not np.isfinite(dataset["intensity"].values).any():
            failed.append(channel)
    scaled = "its minimum is -1" if scale is Scale.MAX else "its edge jump is -1"
    warnings = {
        "pre-edge range too short for a linear fit; subtracting a constant "
        "(set `xas.pre_edge`)": constant,
        f"signal decreases at the edge; scaled so that {scaled}": decreasing,
        "cannot be normalised; set `xas.pre_edge` and `xas.post_edge`": failed,
    }
    return [
        f"{', '.join(channels)}: {text}"
        for text, channels in warnings.items()
        if channels
    ]
