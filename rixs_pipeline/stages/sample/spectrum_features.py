"""What is computed from a finished spectrum and stands in the same product: features, corrected absorption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.core.spectra.features import Feature, measure_feature
from rixs_pipeline.core.spectra.map_data import MapData
from rixs_pipeline.core.spectra.regions import Region, Scale
from rixs_pipeline.core.spectra.self_absorption import (
    LARGEST_YIELD,
    correct_self_absorption,
)
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import ExtractionInputs, extract_spectrum
from rixs_pipeline.schema import spectrum as spectrum_schema

if TYPE_CHECKING:
    import xarray as xr


def feature_variables(
    spectrum: Spectrum, windows: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Variables (feature,) of every window: name, area, centre of mass, width, with errors."""
    found = [measure_feature(spectrum, window) for window in windows.values()]
    schema = spectrum_schema(spectrum.axis)
    names = {
        f"feature_{f.name}": [getattr(one, f.name) for one in found]
        for f in fields(Feature)
    }
    values: dict[str, Any] = {
        name: np.array(column, dtype=float) for name, column in names.items()
    }
    values["feature"] = np.array(list(windows), dtype=object)
    area = "eV " + spectrum.units if spectrum.units != "1/eV" else ""
    units = {name: schema[name].units for name in values} | {
        "feature_area": area,
        "feature_area_errors": area,
    }
    return {
        name: (
            ("feature",),
            array,
            {"units": units[name], "long_name": schema[name].long_name},
        )
        for name, array in values.items()
    }


def with_absorption(
    dataset: xr.Dataset,
    data: MapData,
    region: Region,
    inputs: ExtractionInputs,
    geometry: float,
) -> tuple[xr.Dataset, list[str]]:
    """The spectrum with `absorption` and its errors beside it, and what to tell.

    Raises:
        ValueError: the window after the edge is not known, or holds nothing.
    """
    asked, windows = region.self_absorption, inputs.edge_windows(region, data.incident)
    if asked is None:
        return dataset, []
    post_edge = asked.post_edge or (windows.post_edge if windows else None)
    if post_edge is None:
        raise ValueError(
            "self_absorption: needs post_edge: [low, high], the edge is not known"
        )
    plain = extract_spectrum(data, replace(region, scale=Scale.NONE), inputs)
    fluorescence = geometry * asked.fluorescence
    found = correct_self_absorption(plain, post_edge, asked.background, fluorescence)
    schema, dims = spectrum_schema("incident_energy"), ("incident_energy",)
    arrays = {"absorption": found.values, "absorption_errors": found.errors}
    variables = {
        n: (dims, a, {"units": "", "long_name": schema[n].long_name})
        for n, a in arrays.items()
    }
    refused = int(found.refused.sum())
    told = (
        [
            f"self_absorption: {refused} points refused: their yield is beyond {LARGEST_YIELD} of its ceiling"
        ]
        if refused
        else []
    )
    attributes = {"absorption_refused": refused, "geometry_factor": geometry}
    return dataset.assign(variables).assign_attrs(attributes), told
