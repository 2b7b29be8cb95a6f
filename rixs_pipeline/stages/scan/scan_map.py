"""The binned scan with its exposure: the product `scans/scan0001.nxs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import NormaliseConfig, ReferenceSet
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.maps import exposure, pile_up
from rixs_pipeline.core.maps.elastic_line import elastic_offset
from rixs_pipeline.io.runs import Run
from rixs_pipeline.schema import (
    POINT_EXCLUDED,
    POINT_NO_BEAM,
    POINT_USED,
    SCAN_MAP,
    check,
    labelled,
)
from rixs_pipeline.stages.scan.count_pulses import SILENT, Binned
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What makes the exposures of all scans comparable."""

    i0_ref: float  # one number a beamtime and channel
    throughput: dict[
        int, float
    ]  # pixel -> throughput relative to the mean pixel; missing: 1


def channel(run: Run, config: NormaliseConfig) -> Float | None:
    """The incident flux (point,) of a scan, dark offset subtracted; None where the scan has none."""
    values = run.readings.get(config.i0) if config.i0 is not None else None
    if values is None or not np.isfinite(values).any():
        return None
    return np.where(np.isfinite(values), values - config.i0_offset, np.nan)


def i0_reference(run: Run, config: NormaliseConfig) -> float | None:
    """The mean flux of the points with beam: the reference, when the scan is the beamtime's first that has it."""
    i0 = channel(run, config)
    if i0 is None:
        return None
    dwell = np.ones(len(i0))
    lit = ~exposure.beam_off(
        i0, np.zeros(len(i0), np.int64), dwell, config.beam_off_below
    )
    return float(i0[lit].mean()) if lit.any() else None


def relative_throughput(
    binned: Binned,
    run: Run,
    functions: tuple[PixelEnergy, ...],
    config: NormaliseConfig,
    brightness: dict[int, float],
) -> dict[int, float]:
    """Throughput of the used pixels from the photons of one scan, relative to the mean pixel of the array.

    `brightness`: accepted pulses of each pixel in a reference run. It tells what the mean over this scan's pixels is
    relative to the whole array's, so that scans in which different pixels are lost share a scale.
    """
    used = np.array([f.used for f in functions]) & (binned.pixel_counts > 0)
    dwell = _dwell(run)
    dark = exposure.beam_off(
        channel(run, config), binned.triggers.sum(axis=0), dwell, config.beam_off_below
    )
    live = (_live(binned, used)[0] * ~dark).sum(axis=1)
    values = exposure.throughput(
        np.where(used, binned.pixel_counts, 0), np.where(used, live, 0.0)
    )
    found = {
        int(p): float(w)
        for p, w, u in zip(binned.pixel, values, used, strict=True)
        if u
    }
    here = [brightness[p] for p in found if p in brightness]
    mean = (
        np.mean(here) / np.mean(list(brightness.values()))
        if here and any(here)
        else 1.0
    )
    return {p: w * float(mean) for p, w in found.items()}


def _live(
    binned: Binned, used: NDArray[np.bool_]
) -> tuple[Float, pile_up.SpoilingTime]:
    """Seconds (pixel, point) in which a photon of each used pixel would have passed the cuts, and the pile-up in it.

    The time T in which a second photon spoils the first is this scan's own: its cuts are, later scans move nothing,
    and its error falls with the passes like that of the counts.
    """
    live = binned.live_time * used[:, None]
    live[used] *= ~exposure.silent_stretches(binned.triggers[used])
    on = live > 0
    countable, accepted = binned.countable * on, binned.accepted * on
    expected = float(np.median(binned.after_trigger[used])) if used.any() else 0.0
    time = pile_up.spoiling_time(countable, accepted, live, expected)
    return live * pile_up.efficiency(countable, accepted, live, time), time


def _weights(binned: Binned, live: Float, throughput: dict[int, float]) -> Float:
    """Throughput (pixel,); a pixel that the leading scan did not have is measured here, beside those that it had."""
    rate = np.divide(
        binned.pixel_counts,
        live.sum(axis=1),
        out=np.zeros(len(live)),
        where=live.sum(axis=1) > 0,
    )
    known = np.array([int(p) in throughput for p in binned.pixel])
    weights = np.array([throughput.get(int(p), 1.0) for p in binned.pixel])
    if rate[known].sum() > 0:
        weights[~known] = rate[~known] * weights[known].sum() / rate[known].sum()
    return weights


def _dwell(run: Run) -> Float:
    return run.points.duration


def scan_dataset(
    run: Run,
    binned: Binned,
    functions: tuple[PixelEnergy, ...],
    edges: Float,
    config: NormaliseConfig,
    scale: Scale,
    excluded_points: tuple[int, ...],
) -> tuple[xr.Dataset, list[str]]:
    """The product's dataset as `schema.SCAN_MAP`, and warnings, one line each.

    Points without beam or excluded keep their counts here, with exposure 0; they stay out of the co-added map.
    """
    used = np.array([f.used for f in functions])
    dwell, i0 = _dwell(run), channel(run, config)
    live, pile_up_time = _live(binned, used)
    weights = (
        _weights(binned, live, scale.throughput) if config.throughput else used * 1.0
    )
    triggers = binned.triggers[used].sum(axis=0)
    status, warnings = _point_status(run, triggers, i0, dwell, config, excluded_points)
    seconds = exposure.exposure(live, weights * used, i0, scale.i0_ref)
    seconds = np.where(status == POINT_USED, seconds, 0.0)
    warnings += _told(run, binned, functions, live, i0, config)
    values = {
        "incident_energy": (("incident_energy",), run.points.incident_energy),
        "emission_energy": (("emission_energy",), (edges[1:] + edges[:-1]) / 2),
        "emission_energy_edges": (("emission_energy_edge",), edges),
        "counts": (("incident_energy", "emission_energy"), binned.counts),
        "exposure": (("incident_energy",), seconds),
        "live_time": (("incident_energy",), live.sum(axis=0)),
        "point_status": (("incident_energy",), status),
        "dwell": (("incident_energy",), dwell),
        "pixel": (("pixel",), binned.pixel),
        "pixel_counts": (("pixel",), binned.pixel_counts),
        "pixel_live_time": (("pixel",), live.sum(axis=1)),
        "throughput": (("pixel",), weights),
        "alignment": (("pixel",), np.array([f.alignment for f in functions])),
        "alignment_errors": (
            ("pixel",),
            np.array([f.alignment_error for f in functions]),
        ),
        "misalignment": (("pixel",), np.array([f.misalignment for f in functions])),
        "pixel_status": (
            ("pixel",),
            np.array([f.status for f in functions], dtype=object),
        ),
        "cut": (("cut",), np.array(CUT_NAMES, dtype=object)),
        "cut_counts": (("pixel", "cut"), binned.cut_counts),
        "cut_limits": (("pixel", "cut_quantity", "limit"), binned.cut_limits),
    }
    values |= intensities(binned.counts, seconds, edges)
    if i0 is not None:
        values["i0"] = (("incident_energy",), i0)
    for name, reading in run.readings.items():
        values[reading_name(name)] = (
            ("incident_energy",),
            np.where(np.isfinite(reading), reading, np.nan),
        )
    dataset = labelled(values, SCAN_MAP)
    label_readings(dataset)
    dataset.attrs = {
        "run": run.name,
        "number": run.number,
        "sample": run.sample,
        "edge": run.edge or "",
        "complete": run.complete,
        "i0_ref": scale.i0_ref,
        "pile_up_time": pile_up_time.seconds,
        "pile_up_time_errors": pile_up_time.error,
        "normalisation": f"{config.i0} and live time"
        if i0 is not None
        else "live time",
    }
    check(dataset, SCAN_MAP, run.name)
    return dataset, warnings


def _told(
    run: Run,
    binned: Binned,
    functions: tuple[PixelEnergy, ...],
    live: Float,
    i0: Float | None,
    config: NormaliseConfig,
) -> list[str]:
    """What a user should know of a scan's flux and pixels, one line each."""
    warnings = []
    if i0 is not None and not (i0 > 0).any():
        warnings.append(
            f"{run.name}: '{config.i0}' is nowhere above 0: check its sign and normalise.i0_offset"
        )
    if i0 is None and config.i0 is not None:
        warnings.append(
            f"{run.name}: no reading '{config.i0}' in its log: normalised by live time alone"
        )
    used = np.array([f.used for f in functions])
    lost = (live == 0) & (binned.triggers == 0) & used[:, None] & (_dwell(run) > 0)
    for pixel, points in zip(
        binned.pixel[lost.any(axis=1)], lost[lost.any(axis=1)].sum(axis=1), strict=True
    ):
        warnings.append(
            f"{run.name}: pixel {pixel} silent at {points} of {len(run.points)} points: not exposed there"
        )
    silent = ", ".join(
        str(p)
        for p, f in zip(binned.pixel, functions, strict=True)
        if f.status == SILENT
    )
    if silent:
        warnings.append(
            f"{run.name}: no pulses from pixel {silent}: left out of this scan"
        )
    return warnings


def with_elastic_offset(dataset: xr.Dataset, reference: ReferenceSet) -> xr.Dataset:
    """The scan with the offset of its elastic line in the attributes (NaN where it cannot be told)."""
    element = str(dataset.attrs["edge"]).split("_")[
        0
    ]  # other metals' L lines are far away, C, N and O everywhere
    lines = {
        n: line.energy
        for n, line in reference.lines.items()
        if "_K" in n or n.split("_")[0] == element
    }
    used = dataset["point_status"].values == POINT_USED
    found = elastic_offset(
        dataset["counts"].values[used],
        dataset["incident_energy"].values[used],
        dataset["emission_energy_edges"].values,
        lines,
    )
    told = (found.offset, found.error, found.counts) if found else (np.nan, np.nan, 0.0)
    names = ("elastic_offset", "elastic_offset_errors", "elastic_counts")
    return dataset.assign_attrs(dict(zip(names, told, strict=True)))


def intensities(
    counts: NDArray[np.int64], seconds: Float, edges: Float
) -> dict[str, tuple[tuple[str, ...], Float]]:
    """Intensity and its standard deviation, sqrt(N), both (point, bin); NaN where there is no exposure."""
    divisor = np.where(seconds > 0, seconds, np.nan)[:, None] * np.diff(edges)[None, :]
    dims = ("incident_energy", "emission_energy")
    return {
        "intensity": (dims, counts / divisor),
        "intensity_errors": (dims, np.sqrt(counts) / divisor),
    }


def reading_name(channel: str) -> str:
    """The variable of a reading; a slash would make a group of it."""
    return f"reading_{channel.replace('/', '_')}"


def label_readings(dataset: xr.Dataset) -> None:
    """Unit and long name of the readings: the logs do not tell the unit."""
    for name in map(str, dataset.data_vars):
        if name.startswith("reading_"):
            dataset[name].attrs = {
                "units": "",
                "long_name": f"{name.removeprefix('reading_')}, from the log",
            }


def _point_status(
    run: Run,
    triggers: NDArray[np.int64],
    i0: Float | None,
    dwell: Float,
    config: NormaliseConfig,
    excluded: tuple[int, ...],
) -> tuple[NDArray[np.int64], list[str]]:
    """Status of every point (point,), and what to tell about it.

    I0 tells a dumped beam; `triggers` of the used pixels (point,) tell a closed shutter and a detector that stood
    still, for which I0 is as always.
    """
    status = np.full(len(run.points), POINT_USED, np.int64)
    no_beam = exposure.beam_off(i0, triggers, dwell, config.beam_off_below)
    silent = exposure.beam_off(None, triggers, dwell, config.beam_off_below) & ~no_beam
    status[no_beam | silent] = POINT_NO_BEAM
    known = [p for p in excluded if 0 <= p < len(status)]
    status[known] = POINT_EXCLUDED
    warnings = []
    for dark, why in ((no_beam, "no beam"), (silent, "no pulses")):
        if dark.any():
            energies = ", ".join(
                f"{e:.2f}" for e in run.points.incident_energy[dark][:5]
            )
            more = ", ..." if dark.sum() > 5 else ""
            warnings.append(
                f"{run.name}: {why} at {dark.sum()} of {len(status)} points ({energies}{more} eV): left out"
            )
    if len(known) < len(excluded):
        warnings.append(
            f"{run.name}: exclude.points names points beyond its {len(status)} points"
        )
    return status, warnings
