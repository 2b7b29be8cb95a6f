"""The passes of one sample and edge before they are added: consistent, aligned, without odd ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import PassesConfig
from rixs_pipeline.core.maps import binning, combine
from rixs_pipeline.core.maps import pass_tests as passes
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.stats import homogeneity as comparison
from rixs_pipeline.schema import POINT_EXCLUDED, POINT_USED
from rixs_pipeline.stages.sample.combine_scans import MEASURED, measured_energy

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

CLEAR = 5.0  # standard deviations from which on a shift is told


@dataclass(frozen=True)
class Examined:
    """The passes to add, and what is known of all of them."""

    scans: list[xr.Dataset]
    facts: dict[str, Any] = field(default_factory=dict)  # plain JSON values
    results: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Aligned:
    """The passes on shared points: `place` of each scan's points, and sums there, of counts in the region's bins."""

    grid: Floats
    place: list[NDArray[np.intp]]
    counts: list[NDArray[np.int64]]
    exposure: list[Floats]


def examine(scans: Sequence[xr.Dataset], config: PassesConfig, name: str) -> Examined:
    """Test the passes in the preset PFY of their edge, so that the config's regions move no map; see `core.passes`.

    With `align: apply` the incident energies of the passes are moved onto their mean first; with `outliers: leave_out`
    odd passes are not added and odd points neither. Nothing is tested with one pass.
    """
    scans = list(scans)
    if len(scans) < 2:
        return Examined(scans)
    runs = [str(scan.attrs["run"]) for scan in scans]
    lying, share, cells = _laid_out(scans)
    if not len(cells.place):
        return Examined(
            scans,
            warnings=[
                f"{name}: no counts in the PFY of its passes: not tested against each other"
            ],
        )
    moved = passes.shifts(lying.grid, *_to_align(scans, lying, share, config.channel))
    if config.align == "apply":
        scans = _moved(scans, dict(zip(runs, moved, strict=True)))
        lying, share, cells = _laid_out(scans)
    found = passes.consistency(cells, config.level)
    facts = _facts(found, moved, runs, lying.grid, config)
    kept = _left_out(scans, found, lying) if config.outliers == "leave_out" else scans
    return Examined(kept, facts, _told(facts), _warnings(facts, config, name))


def _laid_out(scans: list[xr.Dataset]) -> tuple[_Aligned, Floats, comparison.Cells]:
    """The passes on shared points, the weights (point, bin) of their edge's PFY, and their counts in it."""
    grid, place = _shared_points(scans)
    edge = str(scans[0].attrs["edge"])
    region = next(r for r in regions.preset_regions(edge).values() if r.kind == "pfy")  # type: ignore[arg-type]
    share = regions.weights(region, grid, scans[0]["emission_energy_edges"].values)
    inside = np.asarray(
        (share > 0).any(axis=0)
    )  # of the maps of many passes no more than this is held
    lying, share = _on_shared_points(scans, grid, place, inside), share[:, inside]
    return (
        lying,
        share,
        comparison.cells(lying.counts, lying.exposure, share, along_emission=False),
    )


def _shared_points(scans: list[xr.Dataset]) -> tuple[Floats, list[NDArray[np.intp]]]:
    """Passes with different points are binned around those of the longest one, as in the map; moved ones around those
    at which they were measured; -1: left out."""
    incident, measured = (
        [scan["incident_energy"].values for scan in scans],
        [measured_energy(scan) for scan in scans],
    )
    grid = combine.common_grid(measured)
    if grid is not None and MEASURED not in scans[0].coords:
        place = [combine.group_points(energy, grid) for energy in incident]
    else:
        edges = combine.midpoint_bins(max(measured, key=len) if grid is None else grid)
        grid = (edges[1:] + edges[:-1]) / 2 if grid is None else grid
        place = [binning.bin_index(energy, edges) for energy in incident]
    place = [
        np.where(s["point_status"].values == POINT_USED, at, -1)
        for s, at in zip(scans, place, strict=True)
    ]
    return grid, place


def _on_shared_points(
    scans: list[xr.Dataset],
    grid: Floats,
    place: list[NDArray[np.intp]],
    inside: NDArray[np.bool_],
) -> _Aligned:
    pairs, n = list(zip(scans, place, strict=True)), len(grid)
    counts = [
        combine.add([scan["counts"].values[:, inside]], [at], n) for scan, at in pairs
    ]
    return _Aligned(
        grid,
        place,
        counts,
        [combine.add([scan["exposure"].values], [at], n) for scan, at in pairs],
    )


def _to_align(
    scans: list[xr.Dataset], lying: _Aligned, share: Floats, channel: str | None
) -> tuple[list[Floats], list[Floats] | None]:
    """What the incident scales are told from: a reading over I0, of which no errors are known; or the PFY with its."""
    name = f"reading_{channel}"
    if channel is not None and all(name in scan for scan in scans):
        n, live = len(lying.grid), [scan["live_time"].values for scan in scans]
        readings = [
            s[name].values / (s["i0"].values if "i0" in s else 1.0) for s in scans
        ]
        rows = zip(readings, live, lying.place, strict=True)
        return [
            combine.weighted_mean([reading], [seconds], [at], n)
            for reading, seconds, at in rows
        ], None
    values, errors = [], []
    for counts, exposure in zip(lying.counts, lying.exposure, strict=True):
        seconds = np.where(exposure > 0, exposure, np.nan)
        values.append((counts * share).sum(axis=1) / seconds)
        variance = (counts * share**2).sum(axis=1)
        errors.append(
            np.sqrt(np.maximum(variance, 1.0)) / np.where(exposure > 0, exposure, 1.0)
        )
    return values, errors


def _facts(
    found: passes.Consistency,
    moved: list[tuple[float, float]],
    runs: list[str],
    grid: Floats,
    config: PassesConfig,
) -> dict[str, Any]:
    """Plain values for the map's attribute `passes` and run.json."""
    left = config.outliers == "leave_out"
    return {
        "p": _number(found.p),
        "chi_square": _number(found.chi_square),
        "degrees_of_freedom": found.degrees_of_freedom,
        "consecutive_p": {
            f"{a}, {b}": _number(p)
            for a, b, p in zip(runs, runs[1:], found.consecutive, strict=False)
        },
        "against_others_p": {
            run: _number(p) for run, p in zip(runs, found.against_others, strict=True)
        },
        "odd_passes": [runs[k] for k in found.odd_passes],
        "odd_points": {
            runs[k]: [round(float(grid[j]), 3) for j in places]
            for k, places in found.odd_points.items()
        },
        "left_out": left and bool(found.odd_passes or found.odd_points),
        "shift": {
            run: [_number(value), _number(error)]
            for run, (value, error) in zip(runs, moved, strict=True)
        },
        "shift_from": config.channel or "PFY",
        "shift_applied": config.align == "apply",
    }


def _number(value: float) -> float | None:
    """For JSON, which knows no NaN."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _left_out(
    scans: list[xr.Dataset], found: passes.Consistency, lying: _Aligned
) -> list[xr.Dataset]:
    """The passes without the odd ones, their odd points marked as excluded."""
    kept = []
    for k, (scan, at) in enumerate(zip(scans, lying.place, strict=True)):
        if k in found.odd_passes:
            continue
        odd = np.isin(at, found.odd_points.get(k, ())) & (at >= 0)
        status = scan["point_status"].copy(
            data=np.where(odd, POINT_EXCLUDED, scan["point_status"].values)
        )
        kept.append(scan.assign(point_status=status))
    return kept


def _moved(
    scans: list[xr.Dataset], shifts: dict[str, tuple[float, float]]
) -> list[xr.Dataset]:
    """Incident energies on the passes' mean scale: a shift is against the others' mean, (K - 1) / K of it remains."""
    part = (len(shifts) - 1) / len(shifts)
    moved = []
    for scan in scans:
        value = shifts[str(scan.attrs["run"])][0]
        energy = scan["incident_energy"] - (part * value if np.isfinite(value) else 0.0)
        measured = ("incident_energy", scan["incident_energy"].values)
        energies = {
            "incident_energy": energy.assign_attrs(scan["incident_energy"].attrs),
            MEASURED: measured,
        }
        moved.append(scan.assign_coords(energies))
    return moved


def _told(facts: dict[str, Any]) -> list[str]:
    """One line on what the passes came to."""
    if facts["p"] is None:
        return []
    consecutive = ", ".join(
        f"{p:.2g}" for p in facts["consecutive_p"].values() if p is not None
    )
    return [
        f"passes: chi2 {facts['chi_square']:.1f} for {facts['degrees_of_freedom']} degrees of freedom, "
        f"p {facts['p']:.2g}; each with the next: p {consecutive}"
    ]


def _warnings(facts: dict[str, Any], config: PassesConfig, name: str) -> list[str]:
    """What a user should look at."""
    done = (
        "left out"
        if config.outliers == "leave_out"
        else "kept; passes.outliers: leave_out leaves it out"
    )
    lines = [
        f"{name}: {run} does not go with the other passes (p {facts['against_others_p'][run]:.2g}): {done}"
        for run in facts["odd_passes"]
    ]
    for run, energies in facts["odd_points"].items():
        where = ", ".join(f"{energy:.2f}" for energy in energies[:5])
        lines.append(
            f"{name}: {run} has {len(energies)} odd points ({where} eV): {done}"
        )
    for run, (value, error) in facts["shift"].items():
        if (
            not facts["shift_applied"]
            and value is not None
            and error
            and abs(value) > CLEAR * error
        ):
            lines.append(
                f"{name}: the incident scale of {run} stands {value:+.2f} ± {error:.2f} eV from the other passes'; "
                "passes.align: apply takes it out"
            )
    pairs = {pair: p for pair, p in facts["consecutive_p"].items() if p is not None}
    for pair, p in pairs.items():
        if p < config.level / len(pairs) and not set(pair.split(", ")) & set(
            facts["odd_passes"]
        ):
            lines.append(
                f"{name}: {pair} differ from one pass to the next (p {p:.2g}): radiation damage?"
            )
    return lines
