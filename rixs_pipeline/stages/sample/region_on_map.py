"""A region and its map in the terms of core, with all that its spectrum depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import (
    Config,
    GeometryConfig,
    NormaliseConfig,
    ReferenceSet,
    Region,
)
from rixs_pipeline.config.reference_sets import known_lines
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineTest,
    LineWindow,
    check_line,
)
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.yields import EnergyUncertainty, ExtractionInputs
from rixs_pipeline.stages.sample.joined_bins import region_with_bins
from rixs_pipeline.stages.sample.spectrum_checks import choose_emission_line
from rixs_pipeline.stages.sample.spectrum_datasets import map_data
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr


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
    reference_uncertainty
        Of the reference lines; None: unknown.
    """

    normalise: NormaliseConfig = field(default_factory=NormaliseConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    blanks: Mapping[str, xr.Dataset] = field(default_factory=dict)
    lines: Mapping[str, float] = field(default_factory=dict)
    reference_uncertainty: EnergyUncertainty | None = None

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
            reference_uncertainty=uncertainty,
        )


DEFAULT_INPUTS = SpectrumInputs()


def _energy_uncertainty(reference: ReferenceSet) -> EnergyUncertainty:
    """Return the uncertainty of the reference lines, satellites apart."""
    lines = [line for line in reference.lines.values() if not line.satellite_of]
    table = sorted((line.energy, line.uncertainty) for line in lines)
    return EnergyUncertainty(*np.array(table).T)


def _scale_uncertainty(rixs_map: xr.Dataset) -> EnergyUncertainty | None:
    """Return the error of the emission scale of a map, reference lines apart."""
    if "energy_scale_errors" not in rixs_map:
        return None
    errors = rixs_map["energy_scale_errors"].values
    return EnergyUncertainty(rixs_map["emission_energy"].values, errors)


@dataclass(frozen=True)
class RegionOnMap:
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


def region_on_map(
    rixs_map: xr.Dataset, configured: Region, inputs: SpectrumInputs
) -> RegionOnMap:
    """Return a region and its map in the terms of core, the line of an iPFY chosen.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    configured
        Without a preset, and with one cut at most.
    inputs
        What else the spectrum depends on.

    Returns
    -------
    RegionOnMap
        For `extract_spectrum`.

    Raises
    ------
    ValueError
        No line for the inverse yield is available, or `step` does not fit the map.
    """
    edge = Edge(rixs_map.attrs["edge"])
    blanks = {
        sample: map_data(blank, inputs.normalise)
        for sample, blank in inputs.blanks.items()
    }
    data = map_data(rixs_map, inputs.normalise)
    region = region_with_bins(configured, data.emission_edges)
    on_map = RegionOnMap(
        configured=configured,
        region=region,
        data=data,
        inputs=ExtractionInputs(
            edge, blanks, _scale_uncertainty(rixs_map), inputs.reference_uncertainty
        ),
        geometry=inputs.geometry,
    )
    if on_map.region.kind is not regions.RegionKind.IPFY:
        return on_map
    line = choose_emission_line(region, data, edge)
    if line is not None:
        region = replace(region, emission=line.window)
    weights = region_weights(region, data.incident, data.emission_edges)
    line_test = check_line(data, weights, edge) if weights.any() else None
    return replace(on_map, region=region, line=line, line_test=line_test)


def map_range(rixs_map: xr.Dataset) -> str:
    """Return the number of points, and the energies that a map covers."""
    incident = rixs_map["incident_energy"].values
    edges = rixs_map["emission_energy_edges"].values
    return (
        f"{len(incident)} points {incident.min():.2f} to {incident.max():.2f} eV, "
        f"emission {edges[0]:g} to {edges[-1]:g} eV"
    )


def emission_attributes(on_map: RegionOnMap) -> dict[str, str]:
    """Return which emission a region takes: its range, and lines of the edge's element.

    Parameters
    ----------
    on_map
        Of a fluorescence yield.

    Returns
    -------
    dict of str to str
        `emission_window` (JSON, [low, high], eV) and `emission_lines` (JSON, names such
        as Co_La); nothing where the region contains no bin.
    """
    data = on_map.data
    weights = region_weights(on_map.region, data.incident, data.emission_edges)
    bins = np.flatnonzero(weights.any(axis=0))
    if not len(bins):
        return {}
    low = float(data.emission_edges[bins[0]])
    high = float(data.emission_edges[bins[-1] + 1])
    limits = on_map.region.emission
    if limits is not None:  # within the outermost bins
        low, high = max(low, limits[0]), min(high, limits[1])
    element = str(on_map.inputs.edge).partition("_")[0]
    lines = {
        name.partition(" ")[0]
        for name, energy in known_lines().items()
        if name.startswith(f"{element}_") and low <= energy < high
    }
    return {
        "emission_window": json.dumps([low, high]),
        "emission_lines": json.dumps(sorted(lines)),
    }
