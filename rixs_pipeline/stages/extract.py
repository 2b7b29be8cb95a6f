"""Maps and regions -> spectra."""

import json
from collections.abc import Mapping

import numpy as np
import xarray as xr

from rixs_pipeline.config import Region
from rixs_pipeline.core import regions as core_regions
from rixs_pipeline.core import spectra
from rixs_pipeline.schema import check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema

# readings that are spectra in their own right; I0 and the clock are not
LOG_SPECTRA = ("tey", "tfy")


def regions_of(edge: str, configured: Mapping[str, Region] | None) -> dict[str, Region]:
    """The regions of a map: the config's for its edge or for every edge; where the config has none, the presets."""
    if configured is None:
        return core_regions.preset_regions(edge)  # type: ignore[arg-type]  # the edge comes from discovery
    return {name: region for name, region in configured.items() if region.edge in (None, edge)}


def extract_spectra(
    rixs_map: xr.Dataset, configured: Mapping[str, Region] | None, name: str
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """All spectra of a map, named after their regions, with `log_tey`, `log_tfy` beside them; and warnings."""
    found: dict[str, xr.Dataset] = {}
    warnings = []
    for region_name, region in regions_of(str(rixs_map.attrs["edge"]), configured).items():
        dataset = extract_region(rixs_map, region)
        if dataset.sizes[next(iter(dataset.dims))] == 0:
            warnings.append(f"{name}: region '{region_name}' touches no bin of the map: no spectrum")
            continue
        found[region_name] = dataset
    for channel in LOG_SPECTRA:
        if f"reading_{channel}" in rixs_map:
            found[f"log_{channel}"] = log_spectrum(rixs_map, channel)
    for dataset in found.values():
        dataset.attrs |= {"sample": rixs_map.attrs["sample"], "edge": rixs_map.attrs["edge"]}
    return found, warnings


def extract_region(rixs_map: xr.Dataset, region: Region) -> xr.Dataset:
    """One spectrum as `schema.spectrum`; the region stands word for word in the attribute `region`."""
    result = spectra.extract(
        rixs_map["counts"].values,
        rixs_map["exposure"].values,
        rixs_map["emission_energy_edges"].values,
        rixs_map["incident_energy"].values,
        region,
    )
    axis: str = result.axis
    values = {axis: ((axis,), result.energy)}
    names = ("intensity", "intensity_errors", "intensity_lower", "intensity_upper", "counts", "exposure")
    values |= {name: ((axis,), getattr(result, name)) for name in names}
    dataset = labelled(values, spectrum_schema(axis))
    for name in ("intensity", "intensity_errors", "intensity_lower", "intensity_upper"):
        dataset[name].attrs["units"] = result.units
    dataset.attrs = {
        "region": json.dumps(region.model_dump(mode="json", exclude_unset=True)),
        "scale_factor": result.scale_factor,
    }
    check(dataset, spectrum_schema(axis), "spectrum")
    return dataset


def log_spectrum(rixs_map: xr.Dataset, channel: str) -> xr.Dataset:
    """A reading of the log, divided by I0 where there is one: TEY or TFY as measured beside the detector.

    Its error is not known from the log: NaN, not zero.
    """
    reading = rixs_map[f"reading_{channel}"].values
    i0 = rixs_map["i0"].values if "i0" in rixs_map else None
    unknown = np.full(len(reading), np.nan)
    lit = rixs_map["exposure"].values > 0
    values = np.divide(reading, 1.0 if i0 is None else i0, out=unknown.copy(), where=lit)
    axis = ("incident_energy",)
    dataset = labelled(
        {
            "incident_energy": (axis, rixs_map["incident_energy"].values),
            "intensity": (axis, values),
            "intensity_errors": (axis, unknown),
            "counts": (axis, unknown),
            "exposure": (axis, rixs_map["exposure"].values),
        },
        spectrum_schema("incident_energy"),
    )
    units = channel if i0 is None else f"{channel}/i0"
    dataset["intensity"].attrs["units"] = dataset["intensity_errors"].attrs["units"] = units
    dataset.attrs["region"] = json.dumps({"kind": "reading", "channel": channel})
    return dataset
