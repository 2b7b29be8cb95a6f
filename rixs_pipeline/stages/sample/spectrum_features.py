"""What follows from a finished spectrum: features, and its self-absorption undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.features import Feature, measure_feature
from rixs_pipeline.core.spectra.regions import Limits, Region, RegionKind, Scale
from rixs_pipeline.core.spectra.self_absorption import (
    LARGEST_YIELD,
    compare_with_inverse_yield,
    correct_self_absorption,
)
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import ExtractionInputs, extract_spectrum
from rixs_pipeline.schema import labelled
from rixs_pipeline.schema import spectrum as spectrum_schema

if TYPE_CHECKING:
    import xarray as xr

NOT_LINEAR_P = 1e-3  # of absorption against iPFY: below, a warning is given


def feature_dataset(
    spectrum: Spectrum, windows: Mapping[str, tuple[float, float]]
) -> xr.Dataset:
    """Measure the features of a spectrum.

    Parameters
    ----------
    spectrum
        The spectrum.
    windows
        Feature -> [low, high] on the axis of the spectrum, eV.

    Returns
    -------
    Dataset
        Name, area, centre of mass and width, with errors, (feature,).
    """
    limits = [Limits(*window) for window in windows.values()]
    features = [measure_feature(spectrum, window) for window in limits]
    names = np.array(list(windows), dtype=object)
    variables = {"feature": (("feature",), names)}
    for field in fields(Feature):
        column = [getattr(feature, field.name) for feature in features]
        variables[f"feature_{field.name}"] = (("feature",), np.array(column, float))
    dataset = labelled(variables, spectrum_schema(spectrum.axis.value))
    is_normalised = spectrum.units == "1/eV"
    for name in ("feature_area", "feature_area_errors"):
        dataset[name].attrs["units"] = "" if is_normalised else f"eV {spectrum.units}"
    return dataset


def with_absorption(
    dataset: xr.Dataset,
    data: MapData,
    region: Region,
    inputs: ExtractionInputs,
    geometry_factor: float,
) -> xr.Dataset:
    """Add the absorption behind a yield to its spectrum.

    Parameters
    ----------
    dataset
        The spectrum of the region.
    data, region, inputs
        What it is made from; the region says how thick the sample is.
    geometry_factor
        sin(incidence) / sin(takeoff).

    Returns
    -------
    Dataset
        With `absorption`, its errors, and the number of points that are refused.

    Raises
    ------
    ValueError
        The window after the edge is unknown, or empty.
    """
    sample = region.self_absorption
    if sample is None:
        return dataset
    windows = inputs.edge_windows(region, data.incident)
    post_edge = sample.post_edge or (windows.post_edge if windows else None)
    if post_edge is None:
        raise ValueError("self_absorption: edge unknown; set `post_edge: [low, high]`")
    unscaled = extract_spectrum(data, replace(region, scale=Scale.NONE), inputs)
    fluorescence = geometry_factor * sample.fluorescence
    absorption = correct_self_absorption(
        unscaled, post_edge, sample.background, fluorescence
    )
    axis = ("incident_energy",)
    variables = {
        "absorption": (axis, absorption.values),
        "absorption_errors": (axis, absorption.errors),
    }
    corrected = dataset.assign(labelled(variables, spectrum_schema(*axis)))
    corrected.attrs["absorption_refused"] = int(absorption.refused.sum())
    corrected.attrs["geometry_factor"] = geometry_factor
    return corrected


def find_refused_points(dataset: xr.Dataset) -> list[str]:
    """Return a finding where points of a spectrum have no absorption."""
    refused = dataset.attrs.get("absorption_refused", 0)
    if not refused:
        return []
    return [
        f"has {refused} points where self-absorption cannot be corrected "
        f"(yield above {100 * LARGEST_YIELD:g} % of its saturation limit)"
    ]


def check_absorption(by_region: Mapping[str, xr.Dataset]) -> list[str]:
    """Compare each absorption of a map with its first inverse yield.

    Parameters
    ----------
    by_region
        Spectra of a map; those with an absorption get the outcome as attribute
        `absorption_against_ipfy`.

    Returns
    -------
    list of str
        Warnings.
    """
    inverse_yields = [
        spectrum
        for spectrum in by_region.values()
        if spectrum.attrs["kind"] == RegionKind.IPFY
    ]
    warnings = []
    for name, dataset in by_region.items():
        if "absorption" not in dataset or not inverse_yields:
            continue
        agreement = _agreement(dataset, inverse_yields[0])
        if agreement is None:
            continue
        dataset.attrs["absorption_against_ipfy"] = json.dumps(agreement)
        if agreement["p"] < NOT_LINEAR_P:
            warnings.append(
                f"absorption of region '{name}' is not linear in the iPFY "
                f"(p = {agreement['p']:.1g})"
            )
    return warnings


def _agreement(
    dataset: xr.Dataset, inverse_yield: xr.Dataset
) -> dict[str, float] | None:
    """Return the test of an absorption against an inverse yield on shared points.

    None with too few points, or with points that have the same energy.
    """
    import xarray as xr  # loaded only where spectra are compared

    pair = (dataset, inverse_yield)
    if not all(spectrum.indexes["incident_energy"].is_unique for spectrum in pair):
        return None
    shared, inverse = xr.align(*pair, join="inner")
    agreement = compare_with_inverse_yield(
        shared["absorption"].values,
        shared["absorption_errors"].values,
        inverse["intensity"].values,
        inverse["intensity_errors"].values,
    )
    return None if agreement is None else asdict(agreement)
