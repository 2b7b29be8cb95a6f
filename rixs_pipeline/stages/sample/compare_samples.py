"""Maps and spectra of several samples -> are they the same, what differs, how strong is a feature in each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import Comparison, Feature, Region
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.spectra import amplitudes
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.stats import energy_scale_offset as scale_shifts
from rixs_pipeline.core.stats import homogeneity as comparison
from rixs_pipeline.schema import check, labelled
from rixs_pipeline.schema import comparison as comparison_schema
from rixs_pipeline.stages.sample.configured_regions import core_region

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sources:
    """What is known of one sample: its map, and its spectra by region."""

    rixs_map: xr.Dataset
    spectra: Mapping[str, xr.Dataset]


def concerns(
    asked: Comparison, configured: Mapping[str, Region], incident: tuple[float, float]
) -> bool:
    """Whether a comparison asks for anything at an edge: one of its regions, and its window on that region's axis.

    `configured`: the edge's regions; `incident`: [low, high] of its scans, eV. Emission spectra end with the incident
    energy.
    """
    low, high = asked.window or incident
    wanted = (
        region
        for name, region in configured.items()
        if asked.regions is None or name in asked.regions
    )
    return any(
        low <= incident[1] and (high > incident[0] or region.kind == "xes")
        for region in wanted
    )


def compare_samples(
    sources: Mapping[str, Sources], asked: Comparison, configured: Mapping[str, Region]
) -> tuple[dict[str, xr.Dataset], list[str], list[str]]:
    """All regions that the samples share, as `schema.comparison`; what came out in a line each; why others did not."""
    found: dict[str, xr.Dataset] = {}
    results: list[str] = []
    refused: dict[str, list[str]] = {}  # reason -> regions
    for region, limits in configured.items():
        if asked.regions is not None and region not in asked.regions:
            continue
        if not all(region in of.spectra for of in sources.values()):
            continue
        try:
            found[region] = compare_region(sources, asked, limits, region)
        except ValueError as error:
            refused.setdefault(str(error), []).append(region)
        else:
            results += told(found[region], region)
    return (
        found,
        results,
        [
            f"{', '.join(names)} not compared: {reason}"
            for reason, names in refused.items()
        ],
    )


def compare_region(
    sources: Mapping[str, Sources], asked: Comparison, limits: Region, region: str
) -> xr.Dataset:
    """One region: each sample against the first.

    The test is one of counts, as they are in the region; the intensities are those of the spectra, with what was
    subtracted there, before they were scaled.

    Raises:
        ValueError: the samples lie on other incident energies, or nothing can be tested; the message tells.
    """
    samples = list(sources)
    maps = _on_shared_points([of.rixs_map for of in sources.values()])
    axis = str(sources[samples[0]].spectra[region]["intensity"].dims[0])
    if axis not in maps[0].coords:
        raise ValueError(f"the test needs an axis of the map, not {axis}")
    energy = maps[0][axis].values
    places = _window(energy, asked.window)
    apart = [_apart(maps[0], other, limits, axis) for other in maps[1:]]
    tests = [
        _test(maps[0], other, limits, asked, axis, places, a)
        for other, a in zip(maps[1:], apart, strict=True)
    ]
    factor = np.array([1.0, *(test.factor[1] for test in tests)])
    relative = np.array([0.0, *(test.factor_errors[1] for test in tests)])
    spectra = [_unscaled(of.spectra[region], axis, energy) for of in sources.values()]
    divisor = (
        1 / factor if limits.kind == "ipfy" else factor
    )  # an inverse yield falls where the counts rise
    intensity = np.array([s[0] for s in spectra]) / divisor[:, None]
    errors = np.array([s[1] for s in spectra]) / divisor[:, None]
    taken = np.isfinite(intensity).any(axis=0)
    both, compared = ("sample", axis), ("compared", axis)
    values: dict[str, tuple[tuple[str, ...], Any]] = {
        axis: ((axis,), energy[taken]),
        "sample": (("sample",), np.array(samples, dtype=object)),
        "compared": (("compared",), np.array(samples[1:], dtype=object)),
        "intensity": (both, intensity[:, taken]),
        "intensity_errors": (both, errors[:, taken]),
        "difference": (compared, (intensity[1:] - intensity[0])[:, taken]),
        "difference_errors": (compared, np.hypot(errors[1:], errors[0])[:, taken]),
        "factor": (("compared",), factor[1:]),
        "factor_errors": (("compared",), (factor * relative)[1:]),
        "chi_square": (("compared",), np.array([t.chi_square for t in tests])),
        "degrees_of_freedom": (
            ("compared",),
            np.array([t.degrees_of_freedom for t in tests]),
        ),
        "p": (("compared",), np.array([t.p for t in tests])),
        "scales_apart": (
            ("compared",),
            np.array([a.deviation if a else np.nan for a in apart]),
        ),
    }
    if any(apart):
        moved = [
            s * a.slope * a.deviation if a else np.nan * s
            for s, a in zip(intensity[1:], apart, strict=True)
        ]
        values["difference_energy_errors"] = compared, np.array(moved)[:, taken]
    if asked.feature is not None and asked.feature.region == region:
        values |= _amplitudes(sources, maps, asked.feature, axis, (divisor, relative))
    dataset = labelled(values, comparison_schema(axis))
    units = sources[samples[0]].spectra[region]["intensity"].attrs.get("units", "")
    for variable in (
        "intensity",
        "intensity_errors",
        "difference",
        "difference_errors",
    ):
        dataset[variable].attrs["units"] = units
    dataset.attrs = {
        "edge": maps[0].attrs["edge"],
        "region": json.dumps(limits.model_dump(mode="json", exclude_unset=True)),
        "comparison": json.dumps(asked.model_dump(mode="json", exclude_unset=True)),
        "window": json.dumps(
            [float(energy[places].min()), float(energy[places].max())]
        ),
        "scale": json.dumps(asked.scale),
        "errors": "those of the spectra over the factors; the factors' own, common to all points, stands beside them; "
        "p: by the multinomial law of the counts, exposures taken as known",
    }
    check(dataset, comparison_schema(axis), region)
    return dataset


def _on_shared_points(maps: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The maps on the incident points that all of them have.

    Raises:
        ValueError: hardly any are shared, or the emission bins differ.
    """
    first = maps[0]
    edges = [one["emission_energy_edges"].values for one in maps]
    if not all(np.array_equal(edge, edges[0]) for edge in edges):
        raise ValueError("the maps have different emission bins")
    grid = first["incident_energy"].values
    places = [combine.group_points(one["incident_energy"].values, grid) for one in maps]
    shared = np.flatnonzero(
        np.all([np.isin(np.arange(len(grid)), place) for place in places], axis=0)
    )
    if len(shared) < 0.5 * min(one.sizes["incident_energy"] for one in maps):
        raise ValueError(
            "the samples were measured at other incident energies; set map.incident and incident_step"
        )
    rows = [
        [int(np.flatnonzero(place == point)[0]) for point in shared] for place in places
    ]
    return [one.isel(incident_energy=row) for one, row in zip(maps, rows, strict=True)]


def _apart(
    first: xr.Dataset, second: xr.Dataset, limits: Region, axis: str
) -> comparison.Apart | None:
    """How far the second map's emission scale may stand from the first's, and what that does to a region; None where
    too few pixels tell.
    """
    if not all("misalignment" in one for one in (first, second)):
        return None
    _, here, there = np.intersect1d(
        first["pixel"].values, second["pixel"].values, return_indices=True
    )
    gains = first["misalignment"].values[here], second["misalignment"].values[there]
    photons = first["pixel_counts"].values[here] + second["pixel_counts"].values[there]
    relative, freedom = scale_shifts.scales_apart(*gains, photons)
    if not freedom:
        return None
    incident, edges = (
        first["incident_energy"].values,
        first["emission_energy_edges"].values,
    )
    counts = first["counts"].values + second["counts"].values
    slope = scale_shifts.relative_slope(
        counts, core_region(limits), incident, edges, axis == "emission_energy"
    )
    seen = (region_weights(core_region(limits), incident, edges) * counts).sum(axis=0)
    energy = float(seen @ first["emission_energy"].values) / max(float(seen.sum()), 1.0)
    return comparison.Apart(slope, relative * energy, freedom)


def _test(
    first: xr.Dataset,
    second: xr.Dataset,
    limits: Region,
    asked: Comparison,
    axis: str,
    places: Mask,
    apart: comparison.Apart | None,
) -> comparison.Homogeneity:
    """Two samples' counts in a region."""
    pair = (first, second)
    share = region_weights(
        core_region(limits),
        first["incident_energy"].values,
        first["emission_energy_edges"].values,
    )
    exposure = [one["exposure"].values for one in pair]
    cells = comparison.cells(
        [one["counts"].values for one in pair],
        exposure,
        share,
        axis == "emission_energy",
    )
    tested, scaled_by = cells.within(places), None
    if asked.scale == "free":
        scaled_by = tested
    elif asked.scale != "known":
        scaled_by = cells.within(_window(first[axis].values, asked.scale))
    test = comparison.homogeneity(tested, scaled_by, apart)
    if test is None:
        raise ValueError("no counts to compare, or none to scale by")
    return test


def _window(energy: Floats, limits: tuple[float, float] | None) -> Mask:
    """Which energies lie in `low <= E < high`; all without limits.

    Raises:
        ValueError: none does.
    """
    inside = (
        np.ones(len(energy), bool)
        if limits is None
        else (energy >= limits[0]) & (energy < limits[1])
    )
    if not inside.any():
        raise ValueError(f"no point in the window {list(limits or ())}")
    return inside


def _unscaled(spectrum: xr.Dataset, axis: str, energy: Floats) -> tuple[Floats, Floats]:
    """Intensity and errors (energy,) as they were before `scale`; NaN where the spectrum has no such energy."""
    place = combine.group_points(energy, spectrum[axis].values)
    factor = float(spectrum.attrs.get("scale_factor", 1.0))
    columns = (
        spectrum[name].values * factor for name in ("intensity", "intensity_errors")
    )
    first, second = (np.where(place >= 0, column[place], np.nan) for column in columns)
    return first, second


def _amplitudes(
    sources: Mapping[str, Sources],
    maps: Sequence[xr.Dataset],
    feature: Feature,
    axis: str,
    scale: tuple[Floats, Floats],
) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Amplitude in each sample, and its ratio to the first one's; points that a sample lacks count in none.

    `maps`: of the samples on shared points; `scale`: what each sample's intensity is divided by, and its relative
    error. The ratio's error holds what the emission scales may stand apart.
    """
    energy = maps[0][axis].values
    names = [feature.region, *([feature.rest] if feature.rest else [])]
    missing = [n for n in names if not all(n in of.spectra for of in sources.values())]
    if missing:
        raise ValueError(f"feature: there is no region '{missing[0]}'")
    columns = [
        [_unscaled(of.spectra[n], axis, energy) for n in names]
        for of in sources.values()
    ]
    known = np.isfinite(np.array(columns)).all(axis=(0, 1, 2))
    window, baseline = (
        _window(energy[known], limits) if limits else None
        for limits in (feature.window, feature.baseline)
    )

    def strength(of_sample: Sequence[tuple[Floats, Floats]]) -> tuple[float, float]:
        measured = [
            amplitudes.Measured(value[known], error[known])
            for value, error in of_sample
        ]
        rest = measured[1] if feature.rest else None
        return amplitudes.amplitude(measured[0], window, baseline, rest)  # type: ignore[arg-type]

    found = [strength(of_sample) for of_sample in columns]
    limits = [
        Region.model_validate(
            json.loads(next(iter(sources.values())).spectra[n].attrs["region"])
        )
        for n in names
    ]
    ratios, chances = [], []
    for k, (value, error) in enumerate(found[1:], start=1):
        apart = [_apart(maps[0], maps[k], one, axis) for one in limits]
        up, down = (
            [
                (v * (1 + s * (a.slope * a.deviation if a else 0.0)), e)
                for (v, e), a in zip(columns[k], apart, strict=True)
            ]
            for s in (1, -1)
        )
        shared = (strength(up)[0] - strength(down)[0]) / 2
        spread = float(np.sqrt(error**2 + (value * scale[1][k]) ** 2 + shared**2))
        scaled = value / scale[0][k], spread / scale[0][k]
        ratios.append(amplitudes.ratio(scaled, found[0]))
        chances.append(amplitudes.equal(scaled, found[0]))
    value, lower, upper = np.array(ratios).T
    amplitude, errors = np.array(found).T
    return {
        "amplitude": (("sample",), amplitude),
        "amplitude_errors": (("sample",), errors),
        "ratio": (("compared",), value),
        "ratio_lower": (("compared",), lower),
        "ratio_upper": (("compared",), upper),
        "ratio_p": (("compared",), np.array(chances)),
    }


def told(dataset: xr.Dataset, region: str) -> list[str]:
    """What a comparison of one region came to, a line for each sample."""
    first = str(dataset["sample"].values[0])
    lines = []
    for index, sample in enumerate(map(str, dataset["compared"].values)):
        of = {
            name: dataset[name].values[index]
            for name in dataset.variables
            if dataset[name].dims == ("compared",)
        }
        line = f"{region}, {sample} against {first}: chi2 {of['chi_square']:.1f} for {of['degrees_of_freedom']}"
        line += f" degrees of freedom, p {of['p']:.2g}, common factor {of['factor']:.3f} ± {of['factor_errors']:.3f}"
        if "ratio" in of:
            line += f", feature {of['ratio']:.3f} ({of['ratio_lower']:.3f} to {of['ratio_upper']:.3f}) times as strong"
            line += f", p {of['ratio_p']:.2g}"
        lines.append(line)
    return lines
