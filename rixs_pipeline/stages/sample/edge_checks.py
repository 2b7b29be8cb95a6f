"""Whether a map shows its edge; a spectrum without one is not normalised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.spectra.edge_significance import (
    EdgeRise,
    is_significant,
    measure_rise,
    shows_edge_emission,
)
from rixs_pipeline.core.spectra.presets import PRESETS, preset_region
from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.regions import Region, RegionKind, Scale
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import extract_spectrum
from rixs_pipeline.stages.sample.region_on_map import RegionOnMap
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr

EDGE_RISE = "edge_rise"  # [rise, standard error], counts/s, JSON
NO_EDGE = "no_edge"  # why a spectrum shows no edge
NOT_NORMALISED = "not_normalised"  # why it is not divided as the config says


@dataclass(frozen=True)
class ScaledSpectrum:
    """A spectrum, the region as it was used, and attributes for the product."""

    spectrum: Spectrum
    region: Region
    attributes: dict[str, str]


def extract_scaled(on_map: RegionOnMap) -> ScaledSpectrum:
    """Extract the spectrum of a region, and scale it only if that means something.

    Parameters
    ----------
    on_map
        Region and map.

    Returns
    -------
    ScaledSpectrum
        Not scaled if it is the emission of the edge's element and does not rise at the
        edge, or if the divisor of a yield is no three standard errors above 0.

    Raises
    ------
    ValueError
        As `extract_spectrum`.
    """
    region, edge = on_map.region, on_map.inputs.edge
    attributes: dict[str, str] = {}
    if edge is not None and shows_edge_emission(region, edge):
        # the whole emission of the element: a narrow region has too few photons
        whole = replace(preset_region(edge, RegionKind.PFY), pre_edge=region.pre_edge)
        rise = measure_rise(on_map.data, whole, edge)
        if rise is not None:
            attributes[EDGE_RISE] = json.dumps([rise.value, rise.error])
            if not rise.is_significant:
                attributes[NO_EDGE] = _rise_text(rise, edge)
    if region.scale is Scale.NONE:
        spectrum = extract_spectrum(on_map.data, region, on_map.inputs)
        return ScaledSpectrum(spectrum, region, attributes)
    unscaled = replace(region, scale=Scale.NONE)
    if NO_EDGE in attributes:
        attributes[NOT_NORMALISED] = attributes[NO_EDGE]
        spectrum = extract_spectrum(on_map.data, unscaled, on_map.inputs)
        return ScaledSpectrum(spectrum, unscaled, attributes)
    scaled = extract_spectrum(on_map.data, region, on_map.inputs)
    factor, error = scaled.scale_factor, scaled.scale_factor_errors
    is_yield = scaled.axis is SpectrumAxis.INCIDENT
    if not is_yield or not scaled.energy.size or is_significant(factor, error):
        return ScaledSpectrum(scaled, region, attributes)
    spectrum = extract_spectrum(on_map.data, unscaled, on_map.inputs)
    attributes[NOT_NORMALISED] = "no positive divisor"
    if np.isfinite(factor):
        divisor = f"divisor {factor:.2g} ± {error:.2g} {spectrum.units}"
        attributes[NOT_NORMALISED] = f"{divisor} is not significant"
    return ScaledSpectrum(spectrum, unscaled, attributes)


def _rise_text(rise: EdgeRise, edge: Edge) -> str:
    """Return by how much the emission of an element rises at an edge."""
    low, high = PRESETS[edge].emission
    return (
        f"no significant {edge.replace('_', ' ')} edge: emission at {low:g} to "
        f"{high:g} eV rises by {rise.value:.2g} ± {rise.error:.2g} counts/s"
    )


def edge_findings(spectrum: xr.Dataset) -> list[str]:
    """Return findings on the edge of a spectrum, which continue "region 'X' ...".

    Parameters
    ----------
    spectrum
        As `schema.spectrum`.

    Returns
    -------
    list of str
        At most one.
    """
    if NOT_NORMALISED in spectrum.attrs:
        return [f"is not normalised: {spectrum.attrs[NOT_NORMALISED]}"]
    if NO_EDGE in spectrum.attrs:
        return [f"shows {spectrum.attrs[NO_EDGE]}"]
    return []


def edge_warnings(by_region: Mapping[str, xr.Dataset]) -> list[str]:
    """Return one line for each reason why spectra of a map show no edge.

    Parameters
    ----------
    by_region
        Region -> spectrum.

    Returns
    -------
    list of str
        With the regions, and those that are not normalised.
    """
    regions: dict[str, list[str]] = {}
    for name, spectrum in by_region.items():
        attributes = spectrum.attrs
        reason = attributes.get(NO_EDGE) or attributes.get(NOT_NORMALISED)
        if reason:
            is_scaled = NOT_NORMALISED in attributes
            text = f"{name} (not normalised)" if is_scaled else name
            regions.setdefault(reason, []).append(text)
    return [
        f"{reason}; regions {', '.join(names)}" for reason, names in regions.items()
    ]
