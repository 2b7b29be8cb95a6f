"""Datasets of maps and spectra <-> the arrays that core computes with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.maps.map_data import MapData, Resolution, ResponseTail
from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.regions import Region, RegionKind, Scale
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.schema import labelled
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.interval.resolution import ATTRIBUTES as resolution_attributes
from rixs_pipeline.stages.interval.response_tail import (
    ATTRIBUTES,
    CORRELATION,
    FRACTION,
    FRACTION_ERRORS,
    LENGTH,
    LENGTH_ERRORS,
)
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

READING = "reading"  # attribute `kind` of spectra that are readings of the log
INTENSITY_VARIABLES = {  # in the unit of the intensity: name -> attribute of Spectrum
    "intensity": "intensity",
    "intensity_errors": "intensity_errors",
    "intensity_lower": "intensity_lower",
    "intensity_upper": "intensity_upper",
    "intensity_i0_errors": "i0_errors",
    "intensity_energy_errors": "energy_errors",
    "intensity_reference_errors": "reference_errors",
    "background": "background",
    "background_errors": "background_errors",
}


def map_data(rixs_map: xr.Dataset, normalise: NormaliseConfig) -> MapData:
    """Return the arrays of a map that spectra are made from.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    normalise
        Efficiency of the detector.

    Returns
    -------
    MapData
    """
    exposure_errors = None
    if "exposure_errors" in rixs_map:
        exposure_errors = rixs_map["exposure_errors"].values
    efficiency: FloatArray | float = 1.0
    if normalise.efficiency:
        energy, shares = np.array(normalise.efficiency).T
        emission = rixs_map["emission_energy"].values
        efficiency = np.interp(emission, energy, shares)
    resolution = None
    width = [rixs_map.attrs.get(name, np.nan) for name in resolution_attributes]
    if np.isfinite(width).all():
        resolution = Resolution(*map(float, width))
    return MapData(
        counts=rixs_map["counts"].values,
        exposure=rixs_map["exposure"].values,
        emission_edges=rixs_map["emission_energy_edges"].values,
        incident=rixs_map["incident_energy"].values,
        exposure_errors=exposure_errors,
        efficiency=efficiency,
        tail=_response_tail(rixs_map),
        resolution=resolution,
    )


def _response_tail(rixs_map: xr.Dataset) -> ResponseTail | None:
    """Return the tail of a map's detector; None where it is unknown."""
    values = {name: rixs_map.attrs.get(name, np.nan) for name in ATTRIBUTES}
    if not np.isfinite(list(values.values())).all():
        return None
    return ResponseTail(
        fraction=float(values[FRACTION]),
        fraction_error=float(values[FRACTION_ERRORS]),
        length=float(values[LENGTH]),
        length_error=float(values[LENGTH_ERRORS]),
        correlation=float(values[CORRELATION]),
    )


def spectrum_dataset(spectrum: Spectrum) -> xr.Dataset:
    """Return the arrays of a spectrum with their units, its facts as attributes."""
    axis = spectrum.axis.value
    variables: dict[str, Any] = {
        axis: ((axis,), spectrum.energy),
        "counts": ((axis,), spectrum.counts),
        "exposure": ((axis,), spectrum.exposure),
    }
    for name, attribute in INTENSITY_VARIABLES.items():
        values = getattr(spectrum, attribute)
        if values is not None:
            variables[name] = ((axis,), values)
    if spectrum.background_modes is not None:
        modes = spectrum.background_modes
        variables["background_modes"] = ((axis, "background_mode"), modes)
    dataset = labelled(variables, spectrum_schema(axis))
    in_intensity_units = {*INTENSITY_VARIABLES, "background_modes"}
    for name in in_intensity_units & variables.keys():
        dataset[name].attrs["units"] = spectrum.units
    for key, fact in spectrum.facts.items():
        dataset.attrs[key] = json.dumps(fact)
    dataset.attrs["scale_factor"] = spectrum.scale_factor
    dataset.attrs["scale_factor_errors"] = spectrum.scale_factor_errors
    return dataset


def errors_text(spectrum: Spectrum, region: Region) -> str:
    """Return how the errors of a spectrum were computed, in a sentence.

    Parameters
    ----------
    spectrum, region
        The spectrum and the region that it is made from.

    Returns
    -------
    str
        For the attribute `errors` of the product.
    """
    parts = ["counting: V + w^2"]
    if region.kind is RegionKind.IPFY:
        parts = ["counting: (N + 1)^-2 (N + 2)^-1 (1 + 15/4/(N + 1))"]
    if spectrum.background is not None:
        kinds = [background.kind for background in region.background]
        parts.append(f"background: {', '.join(kinds)}")
    if spectrum.i0_errors is not None:
        is_yield = spectrum.axis is SpectrumAxis.INCIDENT
        parts.append("I0" if is_yield else "I0, common to all points")
    if region.scale is not Scale.NONE:
        parts.append("scale factor, with correlation")
    text = f"variances of {'; '.join(parts)}"
    apart = []
    if spectrum.energy_errors is not None:
        apart.append("energy scale")
    if spectrum.reference_errors is not None:
        apart.append("reference lines")
    if apart:
        text += f"; apart, common to all points: {', '.join(apart)}"
    return f"{text}; interval: 95 %, gamma with Blaker's ends, MOVER"


def reading_spectrum(rixs_map: xr.Dataset, channel: str) -> xr.Dataset:
    """Return a reading of the log over I0 as a spectrum: TEY or TFY as measured.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`, with the reading.
    channel
        Channel of the log.

    Returns
    -------
    Dataset
        As `schema.spectrum`. The log has no errors of readings: they are NaN, not 0.
    """
    is_exposed = rixs_map["exposure"].values > 0
    reading = rixs_map[f"reading_{channel}"].values
    values = np.where(is_exposed, reading, np.nan)
    units = channel
    if "i0" in rixs_map:
        i0 = np.where(is_exposed, rixs_map["i0"].values, np.nan)
        values = values / i0
        units = f"{channel}/i0"
    axis = ("incident_energy",)
    unknown = np.full(len(values), np.nan)
    variables = {
        "incident_energy": (axis, rixs_map["incident_energy"].values),
        "intensity": (axis, values),
        "intensity_errors": (axis, unknown),
        "counts": (axis, unknown),
        "exposure": (axis, rixs_map["exposure"].values),
    }
    dataset = labelled(variables, spectrum_schema("incident_energy"))
    dataset["intensity"].attrs["units"] = units
    dataset["intensity_errors"].attrs["units"] = units
    dataset.attrs = {
        "region": json.dumps({"kind": READING, "channel": channel}),
        "kind": READING,
        "errors": "not known from the log",
    }
    return dataset
