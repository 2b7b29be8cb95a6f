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
class _RegionSpectrum:
    """The spectrum of a region, and warnings that continue "region 'X' ..."."""

    dataset: xr.Dataset
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
    regions = select_regions(str(rixs_map.attrs["edge"]), configured)
    for region_name, region in regions.items():
        label = f"region '{region_name}'"
        try:
            extracted = _extract(rixs_map, region, inputs)
        except ValueError as error:
            warnings.append(f"{label} has no spectrum: {error}")
            continue
        if extracted.dataset["intensity"].size == 0:
            warnings.append(f"{label} has no spectrum: it contains no bin of the map")
            continue
        warnings += [f"{label} {text}" for text in extracted.warnings]
        by_region[region_name] = extracted.dataset
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
    return _extract(rixs_map, region, inputs).dataset


def _extract(
    rixs_map: xr.Dataset, configured: Region, inputs: SpectrumInputs
) -> _RegionSpectrum:
    """Extract the spectrum of a region, with its features and its absorption."""
    data = map_data(rixs_map, inputs.normalise)
    edge = Edge(rixs_map.attrs["edge"])
    blanks = {
        sample: map_data(blank, inputs.normalise)
        for sample, blank in inputs.blanks.items()
    }
    core_inputs = ExtractionInputs(edge, blanks, inputs.energy_uncertainty)
    region = core_region(configured)
    line = None
    if region.kind is RegionKind.IPFY:
        line = choose_emission_line(region, data, edge)
    if line is not None:
        region = replace(region, emission=line.window)
    spectrum = extract_spectrum(data, region, core_inputs)
    dataset = spectrum_dataset(spectrum)
    mapping = configured.model_dump(mode="json", exclude_unset=True)
    dataset.attrs |= {
        "region": json.dumps(mapping),
        "kind": region.kind.value,
        "errors": errors_text(spectrum, region),
    }
    warnings: list[str] = []
    has_points = len(spectrum.energy) > 0
    if has_points:
        checks = check_region(region, data, core_inputs, inputs.lines)
        dataset.attrs |= checks.attributes
        warnings = checks.warnings
    if region.kind is RegionKind.IPFY and has_points:
        dataset.attrs["geometry_factor"] = inputs.geometry.factor
    if line is not None:
        window = json.dumps(line.window)
        dataset.attrs |= {"line": line.name, "line_window": window}
    if configured.features:
        features = spectrum_features.feature_dataset(spectrum, configured.features)
        dataset = dataset.assign(features)
    if region.self_absorption and has_points:
        corrected = spectrum_features.with_absorption(
            dataset, data, region, core_inputs, inputs.geometry.factor
        )
        dataset, warnings = corrected.dataset, warnings + corrected.warnings
    check(dataset, spectrum_schema(spectrum.axis.value), "spectrum")
    return _RegionSpectrum(dataset, warnings)
