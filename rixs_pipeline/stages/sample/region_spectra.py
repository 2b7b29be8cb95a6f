"""Maps and regions -> spectra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rixs_pipeline.config import REFERENCE_ATTRIBUTES, Region
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.schema import check
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.sample import spectrum_features
from rixs_pipeline.stages.sample.configured_regions import (
    select_emission_regions,
    select_regions,
)
from rixs_pipeline.stages.sample.edge_checks import (
    edge_findings,
    edge_warnings,
    extract_scaled,
)
from rixs_pipeline.stages.sample.region_on_map import (
    DEFAULT_INPUTS,
    RegionOnMap,
    SpectrumInputs,
    emission_attributes,
    map_range,
    region_on_map,
)
from rixs_pipeline.stages.sample.spectrum_checks import check_region
from rixs_pipeline.stages.sample.spectrum_datasets import (
    errors_text,
    reading_spectrum,
    spectrum_dataset,
)
from rixs_pipeline.types import LOG_SPECTRA

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class MapSpectra:
    """Spectra of a map as `schema.spectrum`, by region, and warnings."""

    by_region: dict[str, xr.Dataset]
    warnings: list[str]


def extract_spectra(
    rixs_map: xr.Dataset,
    configured: Mapping[str, Region] | None,
    name: str,
    inputs: SpectrumInputs = DEFAULT_INPUTS,
) -> MapSpectra:
    """Extract all spectra of a map.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    configured
        The config's regions; None: the presets of the edge.
    name
        Name of the map, for messages.
    inputs
        What else the spectra depend on.

    Returns
    -------
    MapSpectra
        In the order of the config, followed by the readings `log_tey` and `log_tfy`.
    """
    by_region: dict[str, xr.Dataset] = {}
    warnings = []
    selected = select_regions(str(rixs_map.attrs["edge"]), configured)
    is_single = rixs_map.sizes["incident_energy"] == 1
    if is_single:
        yields = [name for name, region in selected.items() if region.kind != "xes"]
        selected = select_emission_regions(str(rixs_map.attrs["edge"]), configured)
        energy = float(rixs_map["incident_energy"].values[0])
        warnings.append(
            f"measured at one incident energy ({energy:.2f} eV): only emission spectra "
            f"(`kind: xes`); no spectrum of {', '.join(yields) or 'readings'}"
        )
    for region_name, region in selected.items():
        label = f"region '{region_name}'"
        try:
            dataset, findings = extract_and_check(rixs_map, region, inputs)
        except ValueError as error:
            warnings.append(f"{label} has no spectrum: {error}")
            continue
        if dataset["intensity"].size == 0:
            warnings.append(f"{label} has no spectrum: it {findings[0]}")
            continue
        of_edge = edge_findings(dataset)  # one line for all regions, below
        warnings += [f"{label} {text}" for text in findings if text not in of_edge]
        by_region[region_name] = dataset
    warnings += edge_warnings(by_region)
    warnings += spectrum_features.check_absorption(by_region)
    for channel in LOG_SPECTRA:
        if f"reading_{channel}" in rixs_map and not is_single:
            by_region[f"log_{channel}"] = reading_spectrum(rixs_map, channel)
    inherited = ("sample", "edge", *REFERENCE_ATTRIBUTES)
    for dataset in by_region.values():
        for key in inherited:
            if key in rixs_map.attrs:
                dataset.attrs[key] = rixs_map.attrs[key]
    return MapSpectra(by_region, [f"{name}: {line}" for line in warnings])


def extract_region(
    rixs_map: xr.Dataset, region: Region, inputs: SpectrumInputs = DEFAULT_INPUTS
) -> xr.Dataset:
    """Extract the spectrum of one region.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    region
        Without a preset, and with one cut at most; its attribute `region` repeats it.
    inputs
        What else the spectrum depends on.

    Returns
    -------
    Dataset
        As `schema.spectrum`.

    Raises
    ------
    ValueError
        A background, or a line for the inverse yield, is not available.
    """
    return _extract(region_on_map(rixs_map, region, inputs))


def extract_and_check(
    rixs_map: xr.Dataset, region: Region, inputs: SpectrumInputs = DEFAULT_INPUTS
) -> tuple[xr.Dataset, list[str]]:
    """Extract the spectrum of one region, and say what it should be looked at for.

    Parameters
    ----------
    rixs_map, region, inputs
        As for `extract_region`.

    Returns
    -------
    Dataset, list of str
        The spectrum, and a phrase for each finding, without the name of the region.

    Raises
    ------
    ValueError
        As `extract_region`.
    """
    on_map = region_on_map(rixs_map, region, inputs)
    dataset = _extract(on_map)
    if not dataset["intensity"].size:
        return dataset, [f"contains no bin of the map: {map_range(rixs_map)}"]
    findings = check_region(
        on_map.region, on_map.data, on_map.inputs, inputs.lines, on_map.line_test
    )
    findings += edge_findings(dataset)
    return dataset, [*findings, *spectrum_features.find_refused_points(dataset)]


def _extract(on_map: RegionOnMap) -> xr.Dataset:
    """Extract the spectrum of a region, with its features and its absorption."""
    features = on_map.configured.features
    scaled = extract_scaled(on_map)
    spectrum, region = scaled.spectrum, scaled.region
    mapping = on_map.configured.model_dump(mode="json", exclude_unset=True)
    dataset = spectrum_dataset(spectrum)
    dataset.attrs |= {
        "region": json.dumps(mapping),
        "kind": region.kind.value,
        "errors": errors_text(spectrum, region),
        **scaled.attributes,
    }
    if region.kind is RegionKind.PFY:
        dataset.attrs |= emission_attributes(on_map)
    if on_map.line_test is not None:
        dataset.attrs["line_test"] = json.dumps(on_map.line_test.plain_values())
        dataset.attrs["geometry_factor"] = on_map.geometry.factor
    if on_map.line is not None:
        dataset.attrs["line"] = on_map.line.name
        dataset.attrs["line_window"] = json.dumps(on_map.line.window)
    if features:
        dataset = dataset.assign(spectrum_features.feature_dataset(spectrum, features))
    if region.self_absorption and len(spectrum.energy):
        dataset = spectrum_features.with_absorption(
            dataset, on_map.data, region, on_map.inputs, on_map.geometry.factor
        )
    check(dataset, spectrum_schema(spectrum.axis.value), "spectrum")
    return dataset
