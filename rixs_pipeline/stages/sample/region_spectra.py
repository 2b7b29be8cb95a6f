"""Maps and regions -> spectra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import (
    REFERENCE_ATTRIBUTES,
    Config,
    GeometryConfig,
    NormaliseConfig,
    ReferenceSet,
    Region,
)
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineTest,
    LineWindow,
    check_line,
)
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.core.spectra.yields import (
    EnergyUncertainty,
    ExtractionInputs,
    extract_spectrum,
)
from rixs_pipeline.schema import check
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.sample import spectrum_features
from rixs_pipeline.stages.sample.configured_regions import core_region, select_regions
from rixs_pipeline.stages.sample.spectrum_checks import (
    check_region,
    choose_emission_line,
)
from rixs_pipeline.stages.sample.spectrum_datasets import (
    errors_text,
    map_data,
    reading_spectrum,
    spectrum_dataset,
)
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr

# readings that are spectra in their own right; I0 and the clock are not
LOG_SPECTRA = ("tey", "tfy")


@dataclass(frozen=True)
class SpectrumInputs:
    """What spectra depend on besides their map and regions.

    Attributes
    ----------
    normalise, geometry
        Efficiency of the detector; angles of the sample.
    blanks
        Sample -> map, for backgrounds of ``kind: blank``.
    lines
        Emission lines of the reference set, name -> eV.
    energy_uncertainty
        Of the emission scale; None: unknown.
    """

    normalise: NormaliseConfig = field(default_factory=NormaliseConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    blanks: Mapping[str, xr.Dataset] = field(default_factory=dict)
    lines: Mapping[str, float] = field(default_factory=dict)
    energy_uncertainty: EnergyUncertainty | None = None

    @classmethod
    def from_config(
        cls,
        config: Config,
        reference: ReferenceSet,
        rixs_map: xr.Dataset,
        blanks: Mapping[str, xr.Dataset],
    ) -> SpectrumInputs:
        """Return what a config and its reference set say about a map.

        Parameters
        ----------
        config, reference
            The config and the reference set of its calibration.
        rixs_map
            The map. Made from photon lists, its energy scale has no known uncertainty.
        blanks
            Sample -> map.

        Returns
        -------
        SpectrumInputs
        """
        uncertainty = None
        if "reference_set" in rixs_map.attrs:
            uncertainty = _energy_uncertainty(reference)
        return cls(
            normalise=config.normalise,
            geometry=config.geometry,
            blanks=blanks,
            lines={name: line.energy for name, line in reference.lines.items()},
            energy_uncertainty=uncertainty,
        )


DEFAULT_INPUTS = SpectrumInputs()


def _energy_uncertainty(reference: ReferenceSet) -> EnergyUncertainty:
    """Return the uncertainty of the reference lines, satellites apart."""
    lines = [line for line in reference.lines.values() if not line.satellite_of]
    table = sorted((line.energy, line.uncertainty) for line in lines)
    return EnergyUncertainty(*np.array(table).T)


@dataclass(frozen=True)
class MapSpectra:
    """Spectra of a map as `schema.spectrum`, by region, and warnings."""

    by_region: dict[str, xr.Dataset]
    warnings: list[str]


@dataclass(frozen=True)
class _RegionOnMap:
    """What the spectrum of a region is made from.

    `region`, `data` and `inputs` are in the terms of core. An inverse yield has a
    `line_test`, and a `line` where none was named.
    """

    configured: Region
    region: regions.Region
    data: MapData
    inputs: ExtractionInputs
    geometry: GeometryConfig
    line: LineWindow | None = None
    line_test: LineTest | None = None


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
    for region_name, region in selected.items():
        label = f"region '{region_name}'"
        try:
            on_map = _region_on_map(rixs_map, region, inputs)
            dataset = _extract(on_map)
        except ValueError as error:
            warnings.append(f"{label} has no spectrum: {error}")
            continue
        if dataset["intensity"].size == 0:
            warnings.append(f"{label} has no spectrum: it contains no bin of the map")
            continue
        findings = check_region(
            on_map.region, on_map.data, on_map.inputs, inputs.lines, on_map.line_test
        )
        findings += spectrum_features.find_refused_points(dataset)
        warnings += [f"{label} {finding}" for finding in findings]
        by_region[region_name] = dataset
    warnings += spectrum_features.check_absorption(by_region)
    for channel in LOG_SPECTRA:
        if f"reading_{channel}" in rixs_map:
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
    return _extract(_region_on_map(rixs_map, region, inputs))


def _region_on_map(
    rixs_map: xr.Dataset, configured: Region, inputs: SpectrumInputs
) -> _RegionOnMap:
    """Return a region and its map in the terms of core, the line of an iPFY chosen."""
    edge = Edge(rixs_map.attrs["edge"])
    blanks = {
        sample: map_data(blank, inputs.normalise)
        for sample, blank in inputs.blanks.items()
    }
    on_map = _RegionOnMap(
        configured=configured,
        region=core_region(configured),
        data=map_data(rixs_map, inputs.normalise),
        inputs=ExtractionInputs(edge, blanks, inputs.energy_uncertainty),
        geometry=inputs.geometry,
    )
    if on_map.region.kind is not RegionKind.IPFY:
        return on_map
    region, data = on_map.region, on_map.data
    line = choose_emission_line(region, data, edge)
    if line is not None:
        region = replace(region, emission=line.window)
    weights = region_weights(region, data.incident, data.emission_edges)
    line_test = check_line(data, weights) if weights.any() else None
    return replace(on_map, region=region, line=line, line_test=line_test)


def _extract(on_map: _RegionOnMap) -> xr.Dataset:
    """Extract the spectrum of a region, with its features and its absorption."""
    region, features = on_map.region, on_map.configured.features
    spectrum = extract_spectrum(on_map.data, region, on_map.inputs)
    mapping = on_map.configured.model_dump(mode="json", exclude_unset=True)
    dataset = spectrum_dataset(spectrum)
    dataset.attrs |= {
        "region": json.dumps(mapping),
        "kind": region.kind.value,
        "errors": errors_text(spectrum, region),
    }
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
