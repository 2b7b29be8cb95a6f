"""Maps and regions -> spectra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.config.models import (
    REFERENCE_ATTRIBUTES,
    Config,
    GeometryConfig,
    NormaliseConfig,
    ReferenceSet,
    Region,
)
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.spectra.inverse_yield_line import check_line, choose_line
from rixs_pipeline.core.spectra.map_data import MapData, ResponseTail
from rixs_pipeline.core.spectra.region_checks import find_unintended
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.self_absorption import compare_with_inverse_yield
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import (
    EnergyUncertainty,
    ExtractionInputs,
    extract_spectrum,
)
from rixs_pipeline.schema import check, labelled
from rixs_pipeline.schema import spectrum as spectrum_schema
from rixs_pipeline.stages.sample import spectrum_features as derived
from rixs_pipeline.stages.sample.configured_regions import core_region, select_regions
from rixs_pipeline.stages.scan.response_tail import FRACTION, FRACTION_ERRORS, LENGTH
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr

# readings that are spectra in their own right; I0 and the clock are not
LOG_SPECTRA = ("tey", "tfy")

_ARRAYS = {  # variable of the product -> field of the spectrum
    "intensity": "intensity",
    "intensity_errors": "intensity_errors",
    "intensity_lower": "intensity_lower",
    "intensity_upper": "intensity_upper",
    "intensity_i0_errors": "i0_errors",
    "intensity_energy_errors": "energy_errors",
    "background": "background",
    "background_errors": "background_errors",
    "counts": "counts",
    "exposure": "exposure",
}
_OF_INTENSITY = tuple(_ARRAYS)[:8]


@dataclass(frozen=True)
class Beside:
    """What spectra need beside their map and region: parts of the config, the maps of blank samples by name, the
    reference's lines (name -> eV), and the uncertainty of the emission scale."""

    normalise: NormaliseConfig = field(default_factory=NormaliseConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    blanks: Mapping[str, xr.Dataset] = field(default_factory=dict)
    lines: Mapping[str, float] = field(default_factory=dict)
    energy_uncertainty: EnergyUncertainty | None = None


def beside(
    config: Config,
    reference: ReferenceSet,
    rixs_map: xr.Dataset,
    blanks: Mapping[str, xr.Dataset],
) -> Beside:
    """What a config and its reference set say; the energy scale of a map from a photon list is not known here."""
    known = sorted(
        (line.energy, line.uncertainty)
        for line in reference.lines.values()
        if not line.satellite_of
    )
    calibrated = "reference_set" in rixs_map.attrs
    return Beside(
        normalise=config.normalise,
        geometry=config.geometry,
        blanks=blanks,
        lines={name: line.energy for name, line in reference.lines.items()},
        energy_uncertainty=EnergyUncertainty(*np.array(known).T)
        if calibrated
        else None,
    )


def extract_spectra(
    rixs_map: xr.Dataset,
    configured: Mapping[str, Region] | None,
    name: str,
    known: Beside | None = None,
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """All spectra of a map, named after their regions, with `log_tey`, `log_tfy` beside them; and warnings."""
    found: dict[str, xr.Dataset] = {}
    warnings = []
    for region_name, region in select_regions(
        str(rixs_map.attrs["edge"]), configured
    ).items():
        try:
            dataset, told = _extracted(rixs_map, region, known or Beside())
        except ValueError as error:
            warnings.append(f"{name}: region '{region_name}': {error}: no spectrum")
            continue
        if dataset.sizes[str(dataset["intensity"].dims[0])] == 0:
            warnings.append(
                f"{name}: region '{region_name}' touches no bin of the map: no spectrum"
            )
            continue
        warnings += [f"{name}: region '{region_name}' {line}" for line in told]
        found[region_name] = dataset
    warnings += [f"{name}: {line}" for line in _held_against_inverse(found)]
    for channel in LOG_SPECTRA:
        if f"reading_{channel}" in rixs_map:
            found[f"log_{channel}"] = log_spectrum(rixs_map, channel)
    for dataset in found.values():
        dataset.attrs |= {
            "sample": rixs_map.attrs["sample"],
            "edge": rixs_map.attrs["edge"],
        }
        dataset.attrs |= {
            key: rixs_map.attrs[key]
            for key in REFERENCE_ATTRIBUTES
            if key in rixs_map.attrs
        }
    return found, warnings


def extract_region(
    rixs_map: xr.Dataset, region: Region, known: Beside | None = None
) -> xr.Dataset:
    """One spectrum as `schema.spectrum`; the region stands word for word in the attribute `region`.

    Raises:
        ValueError: a background, or a line for the inverse yield, that cannot be had; one line.
    """
    return _extracted(rixs_map, region, known or Beside())[0]


def _extracted(
    rixs_map: xr.Dataset, region: Region, known: Beside
) -> tuple[xr.Dataset, list[str]]:
    """The spectrum, and what to tell about it."""
    edge, data = Edge(rixs_map.attrs["edge"]), map_data(rixs_map, known.normalise)
    used, line = _with_line(core_region(region), data, edge)
    blanks = {
        name: map_data(blank, known.normalise) for name, blank in known.blanks.items()
    }
    inputs = ExtractionInputs(edge, blanks, known.energy_uncertainty)
    result = extract_spectrum(data, used, inputs)
    dataset = _dataset(result)
    dataset.attrs = {
        "region": json.dumps(region.model_dump(mode="json", exclude_unset=True)),
        "kind": used.kind.value,
        "scale_factor": result.scale_factor,
        "scale_factor_errors": result.scale_factor_errors,
        "errors": errors_told(result, used),
        **{key: json.dumps(value) for key, value in result.facts.items()},
    }
    told = find_unintended(
        used,
        data,
        region_weights(used, data.incident, data.emission_edges),
        edge,
        known.lines,
    )
    if used.kind == "ipfy" and len(result.energy):
        told += _tell_line(dataset, data, used, line, known.geometry.factor)
    told += _tell_windows(used, inputs, data)
    if region.features:
        dataset = dataset.assign(
            derived.feature_variables(
                extract_spectrum(data, used, inputs), region.features
            )
        )
    if used.self_absorption and len(result.energy):
        dataset, more = derived.with_absorption(
            dataset, data, used, inputs, known.geometry.factor
        )
        told = told + more
    check(dataset, spectrum_schema(result.axis), "spectrum")
    return dataset, told


def map_data(rixs_map: xr.Dataset, normalise: NormaliseConfig) -> MapData:
    """The arrays of a map that spectra are made from."""
    efficiency = None
    if normalise.efficiency:
        energy, values = np.array(normalise.efficiency).T
        efficiency = np.interp(rixs_map["emission_energy"].values, energy, values)
    return MapData(
        rixs_map["counts"].values,
        rixs_map["exposure"].values,
        rixs_map["emission_energy_edges"].values,
        rixs_map["incident_energy"].values,
        rixs_map["exposure_errors"].values if "exposure_errors" in rixs_map else None,
        efficiency,
        _tail(rixs_map),
    )


def _tail(rixs_map: xr.Dataset) -> ResponseTail | None:
    """The tail of the detector's response, of maps that carry it."""
    values = [
        float(rixs_map.attrs.get(name, np.nan))
        for name in (FRACTION, FRACTION_ERRORS, LENGTH)
    ]
    return ResponseTail(*values) if np.isfinite(values).all() else None


def errors_told(result: Spectrum, region: regions.Region) -> str:
    """How the errors were computed, in a sentence."""
    counting = (
        "counting: (N + 1)^-2 (N + 2)^-1 (1 + 15/4/(N + 1))"
        if region.kind == "ipfy"
        else "counting: V + w^2"
    )
    parts = [counting]
    if result.background is not None:
        parts.append("background: " + ", ".join(b.kind for b in region.background))
    if result.i0_errors is not None:
        shared = (
            "" if result.axis is SpectrumAxis.INCIDENT else ", common to all points"
        )
        parts.append(f"I0{shared}")
    if region.scale != "none":
        parts.append(
            "scale factor, correlation ignored"
            if region.scale == "max"
            else "scale factor, with correlation"
        )
    apart = (
        ""
        if result.energy_errors is None
        else "; apart, common to all points: energy scale"
    )
    return f"variances of {'; '.join(parts)}{apart}; interval: 95 %, gamma with Blaker's ends, MOVER"


def _with_line(
    region: regions.Region, data: MapData, edge: Edge
) -> tuple[regions.Region, str]:
    """An inverse yield without a window gets the best line's; its name."""
    if (
        region.kind != "ipfy"
        or region.emission
        or region.polygon
        or region.pieces
        or region.loss
    ):
        return region, ""
    line = choose_line(data, edge)
    return replace(region, emission=line.window), line.name


def _tell_windows(
    region: regions.Region, inputs: ExtractionInputs, data: MapData
) -> list[str]:
    """Return a line for each window of `scale: edge` whose default is unreached."""
    windows = inputs.edge_windows(region, data.incident)
    if region.scale is not regions.Scale.EDGE or windows is None:
        return []
    warnings = []
    for name in windows.unreached:
        low, high = getattr(windows, name)
        warnings.append(
            "scale edge: default window outside the scan; "
            f"fitted from {low:.1f} to {high:.1f} eV (set {name})"
        )
    return warnings


def _tell_line(
    dataset: xr.Dataset,
    data: MapData,
    region: regions.Region,
    line: str,
    geometry: float,
) -> list[str]:
    """The test of the line into the attributes; a warning where it is not passed."""
    share = region_weights(region, data.incident, data.emission_edges)
    found = check_line(data, share)
    dataset.attrs |= {
        "line_test": json.dumps(found.plain_values()),
        "geometry_factor": geometry,
    }
    if line:
        dataset.attrs |= {"line": line, "line_window": json.dumps(region.emission)}
    if found.passed:
        return []
    why = (
        "rises with the other emission"
        if found.rises
        else f"changes its shape over the scan (p = {found.p:.1g})"
    )
    return [f"is no inverse yield of a line that does not resonate: it {why}"]


def _held_against_inverse(found: Mapping[str, xr.Dataset]) -> list[str]:
    """Each corrected absorption against the first inverse yield of the map; into its attributes, and warnings."""
    import xarray as xr

    inverse = next(
        (d for d in found.values() if d.attrs["kind"] == regions.RegionKind.IPFY), None
    )
    warnings = []
    for name, dataset in found.items():
        if "absorption" not in dataset or inverse is None:
            continue
        both, other = (
            xr.align(dataset, inverse, join="inner")
            if _unique(dataset, inverse)
            else (None, None)
        )
        held = None if both is None or other is None else _agreement(both, other)
        if held is not None:
            dataset.attrs["absorption_against_ipfy"] = json.dumps(held)
            if held["p"] < 1e-3:
                warnings.append(
                    f"region '{name}': its absorption is no straight line in iPFY (p = {held['p']:.1g})"
                )
    return warnings


def _unique(*datasets: xr.Dataset) -> bool:
    return all(dataset.indexes["incident_energy"].is_unique for dataset in datasets)


def _agreement(both: xr.Dataset, inverse: xr.Dataset) -> dict[str, float] | None:
    names = ("absorption", "absorption_errors")
    held = compare_with_inverse_yield(
        *(both[n].values for n in names),
        *(inverse[n].values for n in ("intensity", "intensity_errors")),
    )
    return None if held is None else vars(held)


def _dataset(result: Spectrum) -> xr.Dataset:
    """The arrays of a spectrum with their units."""
    axis = result.axis.value
    values: dict[str, Any] = {axis: ((axis,), result.energy)}
    arrays = {name: getattr(result, attribute) for name, attribute in _ARRAYS.items()}
    values |= {
        name: ((axis,), array) for name, array in arrays.items() if array is not None
    }
    dataset = labelled(values, spectrum_schema(axis))
    for name in _OF_INTENSITY:
        if name in dataset:
            dataset[name].attrs["units"] = result.units
    return dataset


def log_spectrum(rixs_map: xr.Dataset, channel: str) -> xr.Dataset:
    """A reading of the log, divided by I0 where there is one: TEY or TFY as measured beside the detector.

    Its error is not known from the log: NaN, not zero.
    """
    reading = rixs_map[f"reading_{channel}"].values
    i0 = rixs_map["i0"].values if "i0" in rixs_map else None
    unknown = np.full(len(reading), np.nan)
    lit = rixs_map["exposure"].values > 0
    values = np.divide(
        reading, 1.0 if i0 is None else i0, out=unknown.copy(), where=lit
    )
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
    dataset["intensity"].attrs["units"] = dataset["intensity_errors"].attrs["units"] = (
        units
    )
    dataset.attrs["kind"] = "reading"
    dataset.attrs["region"] = json.dumps({"kind": "reading", "channel": channel})
    dataset.attrs["errors"] = "not known from the log"
    return dataset
