"""The passes of one sample and edge before they are added: consistent, and aligned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import PassesConfig
from rixs_pipeline.core.maps import combine, pass_tests
from rixs_pipeline.core.maps.incident_axis import IncidentAxis
from rixs_pipeline.core.maps.pass_counts import PassCounts, PassValues
from rixs_pipeline.core.maps.pass_tests import Consistency, Shift
from rixs_pipeline.core.spectra.presets import preset_region
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.schema import POINT_EXCLUDED, READING
from rixs_pipeline.stages.sample.pass_axis import (
    MEASURED_ENERGY,
    axis_of_passes,
    point_index,
    reading_over_i0,
)
from rixs_pipeline.types import Edge, FloatArray

if TYPE_CHECKING:
    import xarray as xr

# half width around the elastic line that the comparison of passes leaves out at L edges
EXCLUDE_ELASTIC_EV = 3.0
# share of a bin by which incident energies may differ to be compared: on a flank that
# doubles from point to point, intensities differ by 3 %
SAME_ENERGY = 0.05
DEFAULT_CHANNEL = "tey"  # thousands of electrons a point, where the PFY has few counts
LEAST_SHIFT_EV = 0.05  # reproducibility of monochromators: smaller ones are no slip
SIGNIFICANT = 5.0  # standard deviations from which on a shift is reported
DAMAGE = "possible radiation damage, or I0 or the energy scale drifted"
# where times were corrected by an offset of the clock that has an error
MISPLACED = "possible error of the clock offset (`beamtime.clock_offset`), or damage"
SHOWN_POINTS = 5  # energies of odd points that a warning names


@dataclass(frozen=True)
class ExaminedPasses:
    """The passes to add, and what the tests of all of them gave.

    Attributes
    ----------
    scans
        Maps of the passes to add.
    facts
        Plain JSON values: statistics, odd passes and points, shifts.
    results, warnings
        For the user, a line each.
    """

    scans: list[xr.Dataset]
    facts: dict[str, Any] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _PassesInPfy:
    """Passes on shared points of some `energy` (point,), eV.

    `indices`: place of the points of each scan; `pfy`: counts in the bins of the PFY.
    """

    energy: FloatArray
    indices: list[NDArray[np.intp]]
    pfy: PassCounts


@dataclass(frozen=True)
class _PassTests:
    """Outcome of the tests of some `runs`; `energy` (point,) of the shared points.

    `shifts`: of each pass against all others; `shifted`: those that are shifted against
    the majority; `channel` shows the shifts, None: the PFY; `deviation`: relative rms
    deviation of the passes from their mean, beyond noise.
    """

    runs: list[str]
    energy: FloatArray
    consistency: Consistency
    shifts: Sequence[Shift]
    shifted: Mapping[int, Shift]
    channel: str | None
    deviation: float

    @property
    def consecutive(self) -> list[tuple[str, ...]]:
        """Names of each pass and the next one."""
        return list(pairwise(self.runs))

    @property
    def odd_points(self) -> dict[str, list[float]]:
        """Incident energies of the odd points of each pass that has some, eV."""
        energies = {}
        for number, points in self.consistency.odd_points.items():
            run = self.runs[number]
            energies[run] = [float(self.energy[point]) for point in points]
        return energies


def examine_passes(
    scans: Sequence[xr.Dataset], config: PassesConfig, name: str
) -> ExaminedPasses:
    """Test whether passes agree, and whether their incident scales do.

    With ``align: apply`` the incident energies of the passes are first shifted onto
    their mean scale; with ``outliers: leave_out`` odd passes and odd points are left
    out. A single pass is not tested.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`.
    config
        What is done about odd passes and shifts.
    name
        Name of the map, for messages.

    Returns
    -------
    ExaminedPasses

    Notes
    -----
    The tests are those of `core.maps.pass_tests`, in the preset PFY of the edge: so
    the regions of the config do not change the map.
    """
    scans = list(scans)
    if len(scans) < 2:
        return ExaminedPasses(scans)
    aligned = _in_pfy(scans, name)
    cells = aligned.pfy.cells()
    if not len(cells.place):
        warning = (
            f"{name}: no counts in the PFY at energies that passes share; consistency "
            "not tested"
        )
        return ExaminedPasses(scans, warnings=[warning])
    channel = _alignment_channel(scans, config)
    spectra = _spectra_to_align(scans, aligned, channel)
    shifts = pass_tests.shifts(aligned.energy, spectra.values, spectra.errors)
    shifted = _find_shifted(aligned.energy, spectra, shifts)
    if config.align == "apply":
        scans = _shifted(scans, shifts)
        aligned = _in_pfy(scans, name)
        cells = aligned.pfy.cells()
    runs = [str(scan.attrs["run"]) for scan in scans]
    consistency = pass_tests.consistency(cells, config.level)
    # chi-squared grows by n x^2 where n photons are x off, relative to the mean pass
    excess = max(consistency.chi_square - consistency.degrees_of_freedom, 0.0)
    deviation = float(np.sqrt(excess / max(cells.counts.sum(), 1)))
    tests = _PassTests(
        runs, aligned.energy, consistency, shifts, shifted, channel, deviation
    )
    if config.outliers == "leave_out":
        scans = _without_outliers(scans, consistency, aligned.indices)
    facts = _facts(tests, config)
    results = _results(consistency)
    warnings = _warnings(tests, config, name)
    if any(float(scan.attrs.get("clock_offset_errors", 0.0)) > 0 for scan in scans):
        warnings = [line.replace(DAMAGE, MISPLACED) for line in warnings]
    return ExaminedPasses(scans, facts, results, warnings)


def _in_pfy(scans: list[xr.Dataset], name: str) -> _PassesInPfy:
    """Return the passes on shared points, with their counts in the edge's PFY."""
    axis = axis_of_passes(scans, name)
    indices = [point_index(scan, axis) for scan in scans]
    edge = Edge(scans[0].attrs["edge"])
    pfy = preset_region(edge, RegionKind.PFY)
    if edge.endswith("_L"):
        pfy = replace(pfy, exclude_elastic=EXCLUDE_ELASTIC_EV)
    emission_edges = scans[0]["emission_energy_edges"].values
    weights = region_weights(pfy, axis.energy, emission_edges)
    # only the bins of the PFY are kept: maps of many passes are large
    is_inside = np.asarray((weights > 0).any(axis=0))
    counts = []
    exposures = []
    n_points = len(axis.energy)
    comparable = _comparable_points(scans, indices, axis)
    for scan, index in zip(scans, comparable, strict=True):
        scan_counts = scan["counts"].values[:, is_inside]
        scan_exposure = scan["exposure"].values
        counts.append(combine.add([scan_counts], [index], n_points))
        exposures.append(combine.add([scan_exposure], [index], n_points))
    pass_counts = PassCounts(counts, exposures, weights[:, is_inside])
    return _PassesInPfy(axis.energy, indices, pass_counts)


def _comparable_points(
    scans: list[xr.Dataset], indices: list[NDArray[np.intp]], axis: IncidentAxis
) -> list[NDArray[np.intp]]:
    """Return the indices, -1 where other passes measured their bin at other energies.

    In bins of passes on different grids, a difference of the energies would be taken
    for one of the passes. Each bin is tested at its median energy.
    """
    if axis.is_common or axis.edges is None:
        return indices
    energies = [scan["incident_energy"].values for scan in scans]
    energy, place = np.concatenate(energies), np.concatenate(indices)
    tested = np.full(len(axis.energy), np.nan)
    for number in np.unique(place[place >= 0]):
        in_bin = np.sort(energy[place == number])
        tested[number] = in_bin[(len(in_bin) - 1) // 2]
    limit = SAME_ENERGY * np.diff(axis.edges)
    return [
        np.where(np.abs(measured - tested[index]) <= limit[index], index, -1)
        for measured, index in zip(energies, indices, strict=True)
    ]


def _alignment_channel(scans: list[xr.Dataset], config: PassesConfig) -> str | None:
    """Return the reading that shows shifts; None: the PFY, with its few counts."""
    if config.channel is not None:
        return config.channel
    name = READING + DEFAULT_CHANNEL
    is_there = all(
        name in scan and np.isfinite(scan[name].values).any() for scan in scans
    )
    return DEFAULT_CHANNEL if is_there else None


def _find_shifted(
    energy: FloatArray, spectra: PassValues, shifts: Sequence[Shift]
) -> dict[int, Shift]:
    """Return the passes that are shifted, one after the other, the worst first.

    A shifted pass moves the mean of the others too: it is left out before these are
    looked at. Of the last two, the later one is named.
    """
    rest = list(range(len(shifts)))
    shifted = {}
    while len(rest) > 1:
        if len(rest) < len(shifts):
            values = [spectra.values[k] for k in rest]
            errors = None
            if spectra.errors is not None:
                errors = [spectra.errors[k] for k in rest]
            shifts_of_rest = pass_tests.shifts(energy, values, errors)
        else:
            shifts_of_rest = list(shifts)
        sizes = [_size(shift) for shift in shifts_of_rest]
        worst = len(rest) - 1 if len(rest) == 2 else int(np.argmax(sizes))
        if not sizes[worst] > 0:
            break
        shifted[rest.pop(worst)] = shifts_of_rest[worst]
    return dict(sorted(shifted.items()))


def _size(shift: Shift) -> float:
    """Return the size of a shift, eV; 0 where noise or a monochromator explains it."""
    size = abs(shift.value)
    is_significant = shift.error > 0 and size > SIGNIFICANT * shift.error
    return size if is_significant and size > LEAST_SHIFT_EV else 0.0


def _spectra_to_align(
    scans: list[xr.Dataset], aligned: _PassesInPfy, channel: str | None
) -> PassValues:
    """Return the spectra that show the incident scale of each pass.

    They are a reading over I0, whose errors are unknown, or else the PFY.
    """
    name = f"{READING}{channel}"
    if channel is None or not all(name in scan for scan in scans):
        return aligned.pfy.yields()
    readings = []
    for scan, index in zip(scans, aligned.indices, strict=True):
        reading = reading_over_i0(scan, channel)
        live_time = scan["live_time"].values
        n_points = len(aligned.energy)
        mean = combine.weighted_mean([reading], [live_time], [index], n_points)
        readings.append(mean)
    return PassValues(readings)


def _shifted(scans: list[xr.Dataset], shifts: Sequence[Shift]) -> list[xr.Dataset]:
    """Return the passes with incident energies on their mean scale.

    A shift is against the mean of the K - 1 others: (K - 1) / K of it is taken off.
    """
    share = (len(scans) - 1) / len(scans)
    shifted = []
    for scan, shift in zip(scans, shifts, strict=True):
        measured = scan["incident_energy"]
        is_known = np.isfinite(shift.value)
        correction = share * shift.value if is_known else 0.0
        energy = measured - correction
        coordinates = {
            "incident_energy": energy.assign_attrs(measured.attrs),
            MEASURED_ENERGY: ("incident_energy", measured.values),
        }
        shifted.append(scan.assign_coords(coordinates))
    return shifted


def _without_outliers(
    scans: list[xr.Dataset], consistency: Consistency, indices: list[NDArray[np.intp]]
) -> list[xr.Dataset]:
    """Return the passes without odd ones, odd points marked as excluded."""
    kept = []
    for number, (scan, index) in enumerate(zip(scans, indices, strict=True)):
        if number in consistency.odd_passes:
            continue
        odd_points = consistency.odd_points.get(number, ())
        is_odd = np.isin(index, odd_points) & (index >= 0)
        status = scan["point_status"]
        values = np.where(is_odd, POINT_EXCLUDED, status.values)
        new_status = status.copy(data=values)
        kept.append(scan.assign(point_status=new_status))
    return kept


def _facts(tests: _PassTests, config: PassesConfig) -> dict[str, Any]:
    """Return the outcome of the tests as JSON values, for the map and `run.json`."""
    consistency = tests.consistency
    pairs = [", ".join(pair) for pair in tests.consecutive]
    has_outliers = bool(consistency.odd_passes or consistency.odd_points)
    odd_points = {}
    shifts = {}
    for run, energies in tests.odd_points.items():
        odd_points[run] = [round(energy, 3) for energy in energies]
    for run, shift in zip(tests.runs, tests.shifts, strict=True):
        shifts[run] = [_json_number(shift.value), _json_number(shift.error)]
    return {
        "p": _json_number(consistency.p),
        "chi_square": _json_number(consistency.chi_square),
        "degrees_of_freedom": consistency.degrees_of_freedom,
        "consecutive_p": _json_numbers(pairs, consistency.consecutive),
        "against_others_p": _json_numbers(tests.runs, consistency.against_others),
        "odd_passes": [tests.runs[number] for number in consistency.odd_passes],
        "odd_points": odd_points,
        "left_out": config.outliers == "leave_out" and has_outliers,
        "shift": shifts,
        "shift_from": tests.channel or "PFY",
        "shift_applied": config.align == "apply",
    }


def _json_number(value: float) -> float | None:
    """Return four digits of a number; JSON has no NaN, so that becomes None."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _json_numbers(names: list[str], values: FloatArray) -> dict[str, float | None]:
    numbers = map(_json_number, values)
    return dict(zip(names, numbers, strict=True))


def _results(consistency: Consistency) -> list[str]:
    """Return a line with the outcome of the tests."""
    if not np.isfinite(consistency.p):
        return []
    tested = consistency.consecutive[np.isfinite(consistency.consecutive)]
    consecutive = ", ".join(f"{p:.2g}" for p in tested)
    return [
        f"passes: chi2 {consistency.chi_square:.1f} "
        f"for {consistency.degrees_of_freedom} degrees of freedom, "
        f"p = {consistency.p:.2g}; consecutive passes: p = {consecutive}"
    ]


def _warnings(tests: _PassTests, config: PassesConfig, name: str) -> list[str]:
    """Return warnings on odd passes and points, shifts, and radiation damage."""
    lines = _outlier_warnings(tests, is_left_out=config.outliers == "leave_out")
    if config.align != "apply":
        lines += _shift_warnings(tests)
    lines += _damage_warnings(tests, config.level)
    return [f"{name}: {line}" for line in lines]


def _outlier_warnings(tests: _PassTests, *, is_left_out: bool) -> list[str]:
    """Return a warning for each odd pass, and for each pass with odd points."""
    action = "kept (set `passes.outliers: leave_out` to exclude)"
    if is_left_out:
        action = "left out"
    lines = []
    for number in tests.consistency.odd_passes:
        p = tests.consistency.against_others[number]
        lines.append(
            f"{tests.runs[number]} is inconsistent with the other passes "
            f"(p = {p:.2g}): {action}"
        )
    for run, energies in tests.odd_points.items():
        listed = ", ".join(f"{energy:.2f}" for energy in energies[:SHOWN_POINTS])
        lines.append(
            f"{run} has {len(energies)} outlying points ({listed} eV): {action}"
        )
    return lines


def _shift_warnings(tests: _PassTests) -> list[str]:
    """Return a warning for each pass whose incident scale is shifted."""
    lines = []
    for number, shift in tests.shifted.items():
        lines.append(
            f"incident energy scale of {tests.runs[number]} is shifted by "
            f"{shift.value:+.2f} ± {shift.error:.2f} eV relative to the other passes "
            "(set `passes.align: apply` to correct it)"
        )
    return lines


def _damage_warnings(tests: _PassTests, level: float) -> list[str]:
    """Return a warning for consecutive passes that differ; others are explained."""
    p_values = tests.consistency.consecutive
    n_tests = np.isfinite(p_values).sum()
    threshold = level / max(n_tests, 1)
    explained = {*tests.consistency.odd_passes, *tests.shifted}
    explained_runs = {tests.runs[number] for number in explained}
    size = f"{100 * np.sqrt(2) * tests.deviation:.1f} %"
    lines = []
    for pair, p in zip(tests.consecutive, p_values, strict=True):
        if p < threshold and not explained_runs & set(pair):
            lines.append(
                f"consecutive passes {' and '.join(pair)} differ by about {size} rms "
                f"(p = {p:.2g}): {DAMAGE}"
            )
    return lines
