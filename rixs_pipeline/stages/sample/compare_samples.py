"""Maps and spectra of several samples -> are they equal, and how do they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import Comparison, Feature, Region
from rixs_pipeline.core.maps import incident_axis
from rixs_pipeline.core.spectra.amplitudes import SpectrumPoints
from rixs_pipeline.core.spectra.sample_comparison import (
    FeatureChanges,
    FeatureSpectra,
    FeatureWindows,
    SampleIntensities,
    compare_amplitudes,
)
from rixs_pipeline.schema import Variables, check, labelled
from rixs_pipeline.schema import comparison as comparison_schema
from rixs_pipeline.stages.sample.configured_regions import core_region
from rixs_pipeline.stages.sample.edge_checks import NO_EDGE
from rixs_pipeline.stages.sample.joined_bins import join_map_bins, region_with_bins
from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs
from rixs_pipeline.stages.sample.region_spectra import extract_and_check
from rixs_pipeline.stages.sample.sample_pairs import (
    ComparedPairs,
    SamplePair,
    compare_pairs,
    compared_points,
    in_window,
    relative_change,
)
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr


LEAST_SHARED = 0.5  # share of a sample's incident points that all samples must have
OF_INTENSITY = ("intensity", "intensity_errors", "difference", "difference_errors")
ERRORS_TEXT = (
    "those of the spectra over the factors; the factors' own, common to all points, "
    "stands beside them; p: by the multinomial law of the counts, "
    "exposures taken as known"
)


@dataclass(frozen=True)
class SampleProducts:
    """Products of one sample at an edge: its map, and its spectra by region."""

    rixs_map: xr.Dataset
    spectra: Mapping[str, xr.Dataset]


@dataclass(frozen=True)
class ComparedSamples:
    """Comparisons by region as `schema.comparison`.

    `results`: the outcome, a line each; `refusals`: why regions were not compared.
    """

    by_region: dict[str, xr.Dataset]
    results: list[str]
    refusals: list[str]


@dataclass(frozen=True)
class ComparedMaps:
    """A comparison as `schema.comparison`, and findings on its regions, a line each."""

    dataset: xr.Dataset
    findings: list[str]


def compare_maps(
    maps: Mapping[str, xr.Dataset],
    comparison: Comparison,
    regions: Mapping[str, Region],
    inputs: SpectrumInputs,
) -> ComparedMaps:
    """Compare a region of maps, without products of spectra.

    Parameters
    ----------
    maps
        Sample -> its map.
    comparison
        Window, common factor and feature.
    regions
        The region to compare, and the one with the rest of its feature, if any.
    inputs
        What else spectra depend on.

    Returns
    -------
    ComparedMaps

    Raises
    ------
    ValueError
        As `compare_region`, or a region contains no bin of a map.
    """
    products, findings = {}, []
    for sample, rixs_map in maps.items():
        spectra = {}
        for name, region in regions.items():
            spectra[name], found = extract_and_check(rixs_map, region, inputs)
            findings += [f"{sample}, {name}: region {text}" for text in found]
            if not spectra[name]["intensity"].size:
                raise ValueError(f"{name}: region {found[0]}")
        products[sample] = SampleProducts(rixs_map, spectra)
    first = next(iter(regions))
    return ComparedMaps(compare_region(products, comparison, regions, first), findings)


def compare_samples(
    products: Mapping[str, SampleProducts],
    comparison: Comparison,
    configured: Mapping[str, Region],
) -> ComparedSamples:
    """Compare all regions that the samples share, each sample with the first.

    Parameters
    ----------
    products
        Sample -> its products.
    comparison
        What to compare, and how.
    configured
        The regions of the edge.

    Returns
    -------
    ComparedSamples
    """
    by_region: dict[str, xr.Dataset] = {}
    results: list[str] = []
    refused: dict[str, list[str]] = {}  # reason -> regions
    for name in configured:
        is_named = comparison.regions is None or name in comparison.regions
        is_shared = all(name in sample.spectra for sample in products.values())
        if not (is_named and is_shared):
            continue
        try:
            dataset = compare_region(products, comparison, configured, name)
        except ValueError as error:
            refused.setdefault(str(error), []).append(name)
        else:
            by_region[name] = dataset
            results += _result_lines(dataset, name)
    refusals = []
    for reason, names in refused.items():
        refusals.append(f"{', '.join(names)} not compared: {reason}")
    return ComparedSamples(by_region, results, refusals)


def compare_region(
    products: Mapping[str, SampleProducts],
    comparison: Comparison,
    configured: Mapping[str, Region],
    name: str,
) -> xr.Dataset:
    """Compare one region of each sample with that of the first.

    Parameters
    ----------
    products
        Sample -> its products.
    comparison
        Window, common factor and feature.
    configured
        The regions of the edge.
    name
        The region to compare.

    Returns
    -------
    Dataset
        As `schema.comparison`.

    Raises
    ------
    ValueError
        The samples have different incident energies, or nothing can be tested.

    Notes
    -----
    The test is one of the counts in the region. The intensities are those of the
    spectra, backgrounds subtracted, before they were scaled.
    """
    region = configured[name]
    all_maps = [sample.rixs_map for sample in products.values()]
    maps = on_shared_points(all_maps)
    spectra = [sample.spectra[name] for sample in products.values()]
    axis = str(spectra[0]["intensity"].dims[0])
    if axis not in maps[0].coords:
        raise ValueError(f"spectra against {axis} cannot be tested")
    emission_edges = maps[0]["emission_energy_edges"].values
    shape = region_with_bins(region, emission_edges)
    if shape.joined_bins > 1:
        maps = [join_map_bins(rixs_map, shape) for rixs_map in maps]
    first, *later = maps
    energy = first[axis].values
    pairs = [SamplePair(first, second, shape, axis) for second in later]
    tested = compare_pairs(pairs, comparison)
    intensities = _unscaled_intensities(spectra, axis, energy)
    samples = np.array(list(products), dtype=object)
    scaled = intensities.divide(tested.scale.divisors)
    variables: Variables = {
        "sample": (("sample",), samples),
        "compared": (("compared",), samples[1:]),
    }
    variables |= _test_variables(tested)
    variables |= _intensity_variables(scaled, tested, first[axis])
    feature = comparison.feature
    if feature is not None and feature.region == name:
        variables |= _feature_variables(products, tested, configured, feature)
    dataset = labelled(variables, comparison_schema(axis))
    units = spectra[0]["intensity"].attrs.get("units", "")
    for variable in OF_INTENSITY:
        dataset[variable].attrs["units"] = units
    tested_energy = energy[compared_points(pairs[0], comparison)]
    lowest, highest = float(tested_energy.min()), float(tested_energy.max())
    options = comparison.model_dump(mode="json", exclude_unset=True)
    dataset.attrs = {
        "edge": first.attrs["edge"],
        "region": json.dumps(region.model_dump(mode="json", exclude_unset=True)),
        "comparison": json.dumps(options),
        "window": json.dumps([lowest, highest]),
        "scale": json.dumps(comparison.scale),
        "errors": ERRORS_TEXT,
    }
    without_edge = [
        sample
        for sample, spectrum in zip(products, spectra, strict=True)
        if NO_EDGE in spectrum.attrs
    ]
    if without_edge:
        dataset.attrs["no_edge"] = json.dumps(without_edge)
    check(dataset, comparison_schema(axis), name)
    return dataset


def on_shared_points(maps: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Return the maps on the incident points that all of them have.

    Parameters
    ----------
    maps
        Of the samples.

    Returns
    -------
    list of Dataset

    Raises
    ------
    ValueError
        Too few points are shared, or the emission bins differ.
    """
    edges = [rixs_map["emission_energy_edges"].values for rixs_map in maps]
    if not all(np.array_equal(edges[0], map_edges) for map_edges in edges):
        raise ValueError("the maps have different emission bins")
    incident = [rixs_map["incident_energy"].values for rixs_map in maps]
    rows = incident_axis.shared_rows(incident)
    shortest = min(map(len, incident))
    if len(rows[0]) < LEAST_SHARED * shortest:
        raise ValueError(
            "the samples have different incident energies "
            "(set `map.incident` and `map.incident_step`)"
        )
    return [
        rixs_map.isel(incident_energy=row)
        for rixs_map, row in zip(maps, rows, strict=True)
    ]


def _unscaled_intensities(
    spectra: Sequence[xr.Dataset], axis: str, energy: FloatArray
) -> SampleIntensities:
    """Return the intensities at some energies (point,), as they were before `scale`."""
    names = ("intensity", "intensity_errors")
    columns: dict[str, list[FloatArray]] = {name: [] for name in names}
    for spectrum in spectra:
        row = incident_axis.grid_index(energy, spectrum[axis].values)
        factor = float(spectrum.attrs.get("scale_factor", 1.0))
        for name, column in columns.items():
            values = spectrum[name].values * factor
            is_present = row >= 0
            column.append(np.where(is_present, values[row], np.nan))
    return SampleIntensities(*map(np.array, columns.values()))


def _test_variables(tested: ComparedPairs) -> Variables:
    """Return the outcome of the tests, (compared,)."""
    factors = tested.factors[1:]
    p = [test.p if test.degrees_of_freedom > 0 else np.nan for test in tested.tests]
    columns = {
        "factor": factors,
        "factor_errors": factors * tested.scale.relative_errors[1:],
        "chi_square": [test.chi_square for test in tested.tests],
        "degrees_of_freedom": [test.degrees_of_freedom for test in tested.tests],
        "p": p,
        "scales_apart": [
            offset.deviation if offset else np.nan for offset in tested.offsets
        ],
    }
    compared = ("compared",)
    return {name: (compared, np.array(column)) for name, column in columns.items()}


def _intensity_variables(
    intensities: SampleIntensities, tested: ComparedPairs, energy: xr.DataArray
) -> Variables:
    """Return intensities and differences at the points that have values."""
    is_finite = np.isfinite(intensities.intensity)
    has_values: BoolArray = np.any(is_finite, axis=0)
    selected = intensities.select(has_values)
    difference = selected.differences()
    axis = str(energy.name)
    samples, compared = ("sample", axis), ("compared", axis)
    variables: Variables = {
        axis: ((axis,), energy.values[has_values]),
        "intensity": (samples, selected.intensity),
        "intensity_errors": (samples, selected.errors),
        "difference": (compared, difference.intensity),
        "difference_errors": (compared, difference.errors),
    }
    if not any(tested.offsets):
        return variables
    changes = []
    for intensity, offset in zip(selected.intensity[1:], tested.offsets, strict=True):
        change = np.nan * intensity
        if offset is not None:
            change = intensity * offset.slope[has_values] * offset.deviation
        changes.append(change)
    return variables | {"difference_energy_errors": (compared, np.array(changes))}


def _feature_variables(
    products: Mapping[str, SampleProducts],
    tested: ComparedPairs,
    configured: Mapping[str, Region],
    feature: Feature,
) -> Variables:
    """Return the strength of a feature in each sample, and relative to the first.

    Points that a sample lacks do not count in any.
    """
    names = [name for name in (feature.region, feature.rest) if name is not None]
    for name in names:
        is_shared = all(name in sample.spectra for sample in products.values())
        if name not in configured or not is_shared:
            raise ValueError(f"feature: not every sample has region '{name}'")
    axis, energy = tested.pairs[0].axis, tested.pairs[0].energy
    intensities = []
    for sample in products.values():
        spectra = [sample.spectra[name] for name in names]
        intensities.append(_unscaled_intensities(spectra, axis, energy))
    finite = [np.isfinite([s.intensity, s.errors]) for s in intensities]
    is_known: BoolArray = np.all(finite, axis=(0, 1, 2))
    if not is_known.any():
        raise ValueError(
            f"feature: regions {', '.join(names)} have no energies in common; give "
            "them the same limits and `step`"
        )
    samples = []
    for rows in (sample.select(is_known) for sample in intensities):
        samples.append(
            FeatureSpectra(*map(SpectrumPoints, rows.intensity, rows.errors))
        )
    changes = []
    for pair in tested.pairs:
        of_regions = [
            replace(pair, region=core_region(configured[name])) for name in names
        ]
        relative = [relative_change(pair)[is_known] for pair in of_regions]
        changes.append(FeatureChanges(*relative))
    is_feature = in_window(energy[is_known], feature.window)
    is_baseline = None
    if feature.baseline:
        is_baseline = in_window(energy[is_known], feature.baseline)
    windows = FeatureWindows(is_feature, is_baseline)
    compared = compare_amplitudes(samples, windows, tested.scale, changes)
    return {
        "amplitude": (("sample",), compared.amplitude),
        "amplitude_errors": (("sample",), compared.errors),
        "ratio": (("compared",), compared.ratio),
        "ratio_lower": (("compared",), compared.lower),
        "ratio_upper": (("compared",), compared.upper),
        "ratio_p": (("compared",), compared.p),
    }


def _result_lines(dataset: xr.Dataset, name: str) -> list[str]:
    """Return the outcome of the comparison of a region, a line for each sample."""
    first = dataset["sample"].values[0]
    columns = [name for name, var in dataset.items() if var.dims == ("compared",)]
    without_edge = json.loads(dataset.attrs.get("no_edge", "[]"))
    lines = []
    for row, sample in enumerate(dataset["compared"].values):
        value = {name: dataset[name].values[row] for name in columns}
        test = "nothing to test (0 degrees of freedom)"
        if value["degrees_of_freedom"] > 0:
            test = (
                f"chi2 {value['chi_square']:.1f} for {value['degrees_of_freedom']} "
                f"degrees of freedom, p = {value['p']:.2g}"
            )
        line = (
            f"{name}, {sample} against {first}: {test}, "
            f"common factor {value['factor']:.3f} ± {value['factor_errors']:.3f}"
        )
        if "ratio" in value:
            line += (
                f", feature {value['ratio']:.3f} ({value['ratio_lower']:.3f} to "
                f"{value['ratio_upper']:.3f}) times as strong, "
                f"p = {value['ratio_p']:.2g}"
            )
        if without_edge:
            line += f"; no significant edge in {', '.join(without_edge)}"
        lines.append(line)
    return lines
