"""Readings of the scans, and the PFY of their map -> absorption spectra on one axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import XasConfig
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_significance import (
    SMOOTH_P,
    is_significant,
    smooth_probability,
)
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows, find_edge_windows
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.regions import RegionKind, Scale
from rixs_pipeline.core.spectra.xas import NormalisedSpectrum, normalise_passes
from rixs_pipeline.core.stats.reading_noise import estimate_noise
from rixs_pipeline.schema import check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.sample.configured_regions import core_limits
from rixs_pipeline.stages.sample.edge_checks import NO_EDGE, NOT_NORMALISED
from rixs_pipeline.stages.sample.pass_axis import (
    axis_of_passes,
    point_index,
    reading_over_i0,
)
from rixs_pipeline.types import Edge, FloatArray

if TYPE_CHECKING:
    import xarray as xr

PFY_NAME = "pfy"  # entry of the PFY beside those of the readings
READING_ERRORS = (
    "noise of the readings, estimated between passes, with pre-edge line and divisor"
)
SINGLE_PASS_ERRORS = (
    "noise of the readings, estimated from neighbouring points of a single pass, with "
    "pre-edge line and divisor"
)
PFY_ERRORS = "those of the PFY, with pre-edge line and divisor"


@dataclass(frozen=True)
class AbsorptionSpectra:
    """Spectra of one sample and edge as `schema.spectrum`, by channel, and warnings."""

    by_channel: dict[str, xr.Dataset]
    warnings: list[str]


@dataclass(frozen=True)
class _Normalisation:
    """How all spectra are normalised.

    `is_linear`: readings less a line before the edge, not a constant; `is_pfy_linear`:
    the PFY too, since the config says so.
    """

    scale: Scale
    windows: EdgeWindows
    is_linear: bool
    is_pfy_linear: bool


def select_pfy(spectra: Iterable[xr.Dataset]) -> xr.Dataset | None:
    """Return the first spectrum of a map that is a PFY, in the order of the config."""
    for spectrum in spectra:
        if spectrum.attrs.get("kind") == RegionKind.PFY:
            return spectrum
    return None


def is_pre_edge_linear(
    edge: Edge, config: XasConfig, energies: Sequence[FloatArray]
) -> bool:
    """Return whether a line is subtracted from the readings at an edge.

    Parameters
    ----------
    edge
        The edge.
    config
        Its `pre_edge_line`; `auto`: linear where the config names the pre-edge range,
        or where the incident energies of every sample determine a line.
    energies
        For each sample at this edge, its incident energies, eV.

    Returns
    -------
    bool
        The same for all samples, so that they can be compared.
    """
    if config.pre_edge_line != "auto":
        return config.pre_edge_line == "linear"
    if config.pre_edge is not None:
        return True
    pre_edge = PRESETS[edge].edge.pre_edge
    return all(xas.supports_line(energy, pre_edge) for energy in energies)


def absorption_spectra(
    scans: Sequence[xr.Dataset],
    pfy: xr.Dataset | None,
    config: XasConfig,
    name: str,
    *,
    is_linear: bool | None = None,
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
    is_linear
        From `is_pre_edge_linear` with all samples; None: with these scans alone.

    Returns
    -------
    AbsorptionSpectra
        Empty where the scans have none of the channels.

    Notes
    -----
    A reading is divided by I0 point by point. In every pass its pre-edge line is
    subtracted and the rest normalised; then the passes are averaged with equal weights.
    Of a PFY the mean before the edge is subtracted: with so few counts there, a slope
    is undetermined.
    """
    incident = np.concatenate([scan["incident_energy"].values for scan in scans])
    edge = Edge(scans[0].attrs["edge"])
    windows = _edge_windows(edge, config, incident)
    if is_linear is None:
        is_linear = is_pre_edge_linear(edge, config, [incident])
    is_named = config.pre_edge is not None and config.pre_edge_line == "auto"
    is_pfy_linear = is_named or config.pre_edge_line == "linear"
    how = _Normalisation(Scale(config.scale), windows, is_linear, is_pfy_linear)
    by_channel = {}
    for channel in config.channels:
        measured = [
            scan
            for scan in scans
            if f"reading_{channel}" in scan
            and np.isfinite(scan[f"reading_{channel}"].values).any()
        ]
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
    warnings = _window_warnings(windows)
    warnings += _spectrum_warnings(by_channel, config)
    warnings += _pass_warnings(by_channel)
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
        reading = reading_over_i0(scan, channel)
        index = point_index(scan, axis)
        dwell = scan.variables["dwell"].values
        mean = combine.weighted_mean([reading], [dwell], [index], len(axis.energy))
        passes.append(mean)
    noise = estimate_noise(axis.energy, passes)
    normalised = normalise_passes(
        axis.energy, passes, noise, how.scale, how.windows, is_linear=how.is_linear
    )
    is_single = len(passes) == 1
    is_normalised = np.isfinite(normalised.divisors) & (normalised.divisors > 0)
    runs = [str(scan.attrs["run"]) for scan in scans]
    lost = [run for run, is_ in zip(runs, is_normalised, strict=True) if not is_]
    dataset = _normalised_dataset(axis.energy, normalised).assign_attrs(
        channel=channel,
        passes=int(is_normalised.sum()),
        errors=SINGLE_PASS_ERRORS if is_single else READING_ERRORS,
    )
    if lost and is_normalised.any():
        dataset.attrs["passes_not_normalised"] = lost
    probability = smooth_probability(axis.energy, passes, noise, how.windows)
    if probability > SMOOTH_P:
        text = f"readings follow a smooth curve, p = {probability:.2g}"
        return _without_edge(dataset, f"no significant edge: {text}")
    return _checked_jump(dataset, normalised, how)


def _pfy_spectrum(pfy: xr.Dataset, how: _Normalisation) -> xr.Dataset:
    """Return the absorption spectrum of a PFY."""
    energy = pfy["incident_energy"].values
    normalised = normalise_passes(
        energy,
        [pfy["intensity"].values],
        [pfy["intensity_errors"].values],
        how.scale,
        how.windows,
        is_linear=how.is_pfy_linear,
    )
    dataset = _normalised_dataset(energy, normalised).assign_attrs(
        channel="PFY", region=pfy.attrs["region"], errors=PFY_ERRORS
    )
    if NO_EDGE in pfy.attrs:
        return _without_edge(dataset, pfy.attrs[NO_EDGE])
    return _checked_jump(dataset, normalised, how)


def _checked_jump(
    dataset: xr.Dataset, normalised: NormalisedSpectrum, how: _Normalisation
) -> xr.Dataset:
    """Return a spectrum, without values where its edge jump is not significant."""
    divisors, errors = normalised.divisors, normalised.divisor_errors
    is_known = (divisors > 0) & np.isfinite(errors)
    if how.scale is not Scale.EDGE or not is_known.any():
        return dataset
    jump = float(divisors[is_known].mean())
    error = float(np.sqrt((errors[is_known] ** 2).sum()) / is_known.sum())
    if is_significant(jump, error):
        return dataset
    text = (
        f"edge jump {jump:.2g} ± {error:.2g} is not significant (set `xas.pre_edge` "
        "and `xas.post_edge`, or `xas.scale: max`)"
    )
    return _without_edge(dataset, text)


def _without_edge(dataset: xr.Dataset, reason: str) -> xr.Dataset:
    """Return a spectrum without values, since normalising it would enlarge noise."""
    unknown = np.full(dataset.sizes["incident_energy"], np.nan)
    for name in ("intensity", "intensity_errors"):
        dataset[name].values[:] = unknown
    dataset.attrs.pop("passes_not_normalised", None)
    return dataset.assign_attrs({NOT_NORMALISED: reason})


def _normalised_dataset(
    energy: FloatArray, normalised: NormalisedSpectrum
) -> xr.Dataset:
    """Return a normalised spectrum with what it was divided by."""
    dataset = _spectrum_dataset(energy, normalised.values, normalised.errors)
    divisors = normalised.divisors
    relative_errors = np.full(len(divisors), np.nan)
    np.divide(
        normalised.divisor_errors, divisors, out=relative_errors, where=divisors > 0
    )
    dataset.attrs |= {"pre_edge_line": normalised.pre_edge, "sign": normalised.sign}
    if np.isfinite(relative_errors).all():
        dataset.attrs["divisor_relative_errors"] = relative_errors.tolist()
    if np.isfinite(normalised.scatter):
        dataset.attrs["passes_scatter"] = normalised.scatter
    return dataset


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


def _window_warnings(windows: EdgeWindows) -> list[str]:
    """Return warnings on default windows that the scans do not reach."""
    warnings = []
    for window_name in windows.unreached:
        low, high = getattr(windows, window_name)
        warnings.append(
            f"too few points in the default {window_name} window; fitted from "
            f"{low:.1f} to {high:.1f} eV (set `xas.{window_name}`)"
        )
    return warnings


def _pass_warnings(by_channel: Mapping[str, xr.Dataset]) -> list[str]:
    """Return warnings on passes that lack the points before the edge."""
    channels: dict[tuple[str, ...], list[str]] = {}
    for channel, dataset in by_channel.items():
        lost = tuple(dataset.attrs.get("passes_not_normalised", ()))
        if lost:
            channels.setdefault(lost, []).append(channel)
    return [
        f"{', '.join(names)}: {', '.join(lost)} cannot be normalised as the other "
        "passes (too few usable points before the edge); not used"
        for lost, names in channels.items()
    ]


def _spectrum_warnings(
    by_channel: Mapping[str, xr.Dataset], config: XasConfig
) -> list[str]:
    """Return warnings on the spectra, one for all that it applies to."""
    constant, nothing, decreasing, failed = [], [], [], []
    without_edge: dict[str, list[str]] = {}
    for channel, dataset in by_channel.items():
        if NOT_NORMALISED in dataset.attrs:
            reason = dataset.attrs[NOT_NORMALISED]
            without_edge.setdefault(reason, []).append(channel)
            continue
        is_unintended = channel != PFY_NAME and config.pre_edge_line == "auto"
        if is_unintended and dataset.attrs["pre_edge_line"] == "constant":
            constant.append(channel)
        if config.scale == "max" and dataset.attrs["pre_edge_line"] == "none":
            nothing.append(channel)
        if dataset.attrs["sign"] < 0:
            decreasing.append(channel)
        if not np.isfinite(dataset["intensity"].values).any():
            failed.append(channel)
    scaled = "its minimum is -1" if config.scale == "max" else "its edge jump is -1"
    warnings = {
        "pre-edge range of the samples at this edge too short for a linear fit; "
        "subtracting a constant (set `xas.pre_edge` or `xas.pre_edge_line`)": constant,
        "no pre-edge fit: too few usable points before the edge; not normalised as "
        "other samples are (set `xas.pre_edge`)": nothing,
        f"signal decreases at the edge; scaled so that {scaled}": decreasing,
        "cannot be normalised; set `xas.pre_edge` and `xas.post_edge`": failed,
    }
    lines = [
        f"{', '.join(channels)}: {text}"
        for text, channels in warnings.items()
        if channels
    ]
    reasons = [
        f"{', '.join(channels)}: {reason}" for reason, channels in without_edge.items()
    ]
    if reasons:
        lines.append(f"not normalised: {'; '.join(reasons)}")
    return lines
