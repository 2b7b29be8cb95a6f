"""Scans -> RIXS maps: every accepted pulse in a scan point's window is counted once."""

from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import MapConfig
from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.maps import binning, exposure
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    PointSlices,
    RecordTally,
)
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import photon_store as kept_photons
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.formats import photon_list as photon_lists
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from rixs_pipeline.types import PixelState, PulseColumns

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MANY = 100  # pulses of one pixel in a scan: throughputs differ twofold, so none in another is no chance
CHANGED = "noisy: residual or base line far from those of its reference run"
SILENT = "no pulses in this scan"
LEARN_FROM = 200  # pulses that a pixel needs in a scan to learn its cuts there, else those of the reference run


@dataclass(frozen=True)
class BinTask:
    """A block of pixels of one scan: a unit of parallel work. Paths travel, not pulses."""

    files: tuple[Path, ...]
    energies: tuple[PixelEnergy, ...]
    points: Points
    edges: Float
    residual_cut: float
    keep: Path | None = None  # where the photons are written to, see `io.kept_photons`


@dataclass(frozen=True)
class Binned:
    """Counts of a block of pixels, and per pixel what exposure and report need."""

    counts: Int  # (point, bin)
    pixel: Int  # (pixel,)
    triggers: Int  # (pixel, point): every record, cut or not
    countable: Int  # (pixel, point): those of them that came after the hold-off
    accepted: Int  # (pixel, point): those of them that pass all cuts
    live_time: Float  # (pixel, point) s in which a record would have been countable
    after_trigger: Float  # (pixel,) s, the part of a record that follows its trigger; 0 where there are no records
    pixel_counts: Int  # (pixel,) photons in the map
    cut_counts: Int  # (pixel, cut)
    cut_limits: Float  # (pixel, quantity, 2)


def map_edges(config: MapConfig) -> Float:
    """Edges (bin + 1,) eV of the emission bins of every map."""
    return binning.emission_edges(config.emission, config.step)


def bin_block(task: BinTask) -> Binned:
    """Count the pulses of a block of pixels into the scan's points and emission bins."""
    if task.keep:
        task.keep.write_bytes(b"")  # whatever a worker that died may have left
    counts = np.zeros(
        (len(task.points), len(task.edges)), np.int64
    )  # and a last column for what is in no bin
    rows = [
        _bin_pixel(path, energy, task, counts)
        for path, energy in zip(task.files, task.energies, strict=True)
    ]
    return Binned(
        counts[:, :-1], *(np.array(column) for column in zip(*rows, strict=True))
    )


def _bin_pixel(
    path: Path, function: PixelEnergy, task: BinTask, counts: Int
) -> tuple[Any, ...]:
    """Add one pixel to the counts; returns its row of every other column of `Binned`."""
    from rixs_pipeline.core.maps import bin_kernel

    start, end = task.points.start_ns, task.points.end_ns
    header, records = off.open_file(path)
    dead_time, after_trigger = (
        of(records, header) / 1e9 for of in (off.dead_time_ns, off.after_trigger_ns)
    )
    pulses, points = point_records(records, start, end)
    triggers = points.stop - points.first
    limits = _limits(pulses, points, function, task.residual_cut)
    hold_off = limits.hold_off if limits else 0.0
    table = cuts.stack_limits([limits])[0]
    used = function.params is not None and limits is not None
    params = (
        np.stack(function.params)
        if function.params is not None
        else np.zeros((2, ef.N_PARAMS))
    )
    middle = task.points.middle
    share = (
        ef.late_share(middle, function.params, function.reference_times)
        if function.params
        else 0 * middle
    )
    accepting = (
        table if used else np.array([[np.nan, np.nan]] * 3 + [[hold_off, np.inf]])
    )
    in_no_bin = int(counts[:, -1].sum())
    bins = binning.uniform_bins(task.edges)
    options = BinOptions(accepting, params, bins)
    batch = PointBatch(points.first, points.stop, np.arange(len(start)), share)
    if task.keep and used:
        tally = _count_and_keep(
            task.keep, off.pixel_number(path), pulses, batch, options, counts
        )
    else:
        tally = bin_kernel.bin_records(pulses, batch, options, counts, NO_PHOTON_LIST)
    if hold_off > dead_time:
        live = exposure.live_time_held_off(pulses.time_ns, start, end, hold_off)
    else:
        live = exposure.live_time(
            (end - start) / 1e9, triggers[None], np.array([dead_time])
        )[0]
    if not used:
        tally.cut_counts[1:] = 0
    photons = int(triggers.sum()) - (int(counts[:, -1].sum()) - in_no_bin)
    return (
        off.pixel_number(path),
        triggers,
        tally.countable,
        tally.accepted,
        live,
        after_trigger,
        photons,
        tally.cut_counts,
        table,
    )


def _count_and_keep(
    part: Path,
    pixel: int,
    pulses: PulseColumns,
    points: PointBatch,
    options: BinOptions,
    counts: Int,
) -> RecordTally:
    """As `bin_kernel.bin_records`, with the photons appended to a file, a bounded number of records at a time."""
    from rixs_pipeline.core.maps import bin_kernel

    number = points.stop - points.first
    last = np.flatnonzero(np.diff(np.cumsum(number) // kept_photons.AT_ONCE)) + 1
    tallies = []
    for begin, end in pairwise([0, *last, len(number)]):
        batch = points.select(slice(begin, end))
        kept = np.empty(number[begin:end].sum(), np.float32)
        tallies.append(bin_kernel.bin_records(pulses, batch, options, counts, kept))
        photon = np.isfinite(kept)
        point = np.repeat(batch.row, number[begin:end])
        kept_photons.append(part, kept[photon], point[photon], pixel)
    return RecordTally(
        accepted=np.concatenate([tally.accepted for tally in tallies]),
        countable=np.concatenate([tally.countable for tally in tallies]),
        cut_counts=np.sum([tally.cut_counts for tally in tallies], axis=0),
    )


def point_records(
    records: NDArray[np.void], start: Int, end: Int
) -> tuple[PulseColumns, PointSlices]:
    """Columns of the records in order of time, and the records of each point.

    Only what lies in the points is read. Records that are not in order, which the acquisition does not write, are
    sorted in memory.
    """
    from rixs_pipeline.core.maps import bin_kernel

    pulses = off.columns(records)
    points = bin_kernel.find_point_slices(pulses.time_ns, start, end)
    if not bin_kernel.is_in_order(pulses.time_ns, points):
        pulses = off.columns(records[np.argsort(pulses.time_ns, kind="stable")])
        points = bin_kernel.find_point_slices(pulses.time_ns, start, end)
    return pulses, points


def _limits(
    pulses: PulseColumns, points: PointSlices, function: PixelEnergy, width: float
) -> cuts.CutLimits | None:
    """A pixel's cuts in this scan: learned here where it has enough pulses, with the hold-off of its reference run.

    None where it is not calibrated, or its pulses are no longer those of that run: told by `without_changed`.
    """
    reference = (
        cuts.CutLimits.from_table(function.limits)
        if function.limits is not None
        else None
    )
    if reference is None or (points.stop - points.first).sum() < LEARN_FROM:
        return reference
    from rixs_pipeline.core.calibration import pulse_kernels

    sample = pulse_kernels.sample_pulses(pulses, *points, cuts.SAMPLE_PULSES)
    own = cuts.learn_limits(sample, width)
    if own is None:
        return reference
    return (
        None
        if cuts.have_changed(own, reference)
        else own.with_hold_off(reference.hold_off)
    )


def without_changed(
    binned: Binned, functions: tuple[PixelEnergy, ...]
) -> tuple[PixelEnergy, ...]:
    """The energy functions, with the pixels left out (and not counted) whose pulses are no longer as they were."""
    seen = binned.triggers.sum(axis=1) >= LEARN_FROM
    no_limits = np.isnan(binned.cut_limits).any(axis=(1, 2))
    return tuple(
        PixelEnergy(CHANGED) if f.params is not None and changed else f
        for f, changed in zip(functions, seen & no_limits, strict=True)
    )


def without_silent(
    binned: Binned, functions: tuple[PixelEnergy, ...]
) -> tuple[PixelEnergy, ...]:
    """The energy functions, with the pixels left out that were silent in a scan in which others had many pulses.

    Such a pixel was switched off or out of lock: time in which it could not have seen a photon is not exposure.
    """
    pulses = binned.triggers.sum(axis=1)
    used = np.array([f.used for f in functions])
    if pulses[used].max(initial=0) <= MANY:
        return functions
    silent = used & (pulses == 0)
    return tuple(
        PixelEnergy(SILENT) if s else f for f, s in zip(functions, silent, strict=True)
    )


def add_blocks(first: Binned, second: Binned) -> Binned:
    """Two blocks of pixels as one: counts add, pixels stand side by side in order of their number."""
    pixel = np.concatenate([first.pixel, second.pixel])
    order = np.argsort(pixel, kind="stable")
    side_by_side = {
        field.name: np.concatenate(
            [getattr(first, field.name), getattr(second, field.name)]
        )[order]
        for field in fields(Binned)
        if field.name not in ("counts", "pixel")
    }
    return Binned(first.counts + second.counts, pixel[order], **side_by_side)


def bin_photon_list(
    run: Run, edges: Float, excluded: tuple[int, ...]
) -> tuple[Binned, tuple[PixelEnergy, ...]]:
    """Count a processed photon list, which is calibrated already: no cuts, and no dead time is known.

    Raises:
        RunFailed: the run has no photon list, or an empty one.
    """
    photons = photon_lists.read(run.photon_list) if run.photon_list else None
    if photons is None or not len(photons):
        raise RunFailed(
            f"{run.name}: has neither pulse files nor a photon list that holds photons"
        )
    pixels = np.unique(photons.pixel).astype(np.int64)
    functions = tuple(
        PixelEnergy("excluded by the config")
        if p in excluded
        else PixelEnergy(f"{PixelState.OK}: calibrated list", calibrated=True)
        for p in pixels
    )
    counts = np.zeros((len(run.points), len(edges) - 1), np.int64)
    triggers, photons_in = [], []
    for pixel, function in zip(pixels, functions, strict=True):
        mine = photons.pixel == pixel
        points = binning.find_point_slices(
            photons.time_ns[mine], run.points.start_ns, run.points.end_ns
        )
        before = int(counts.sum())
        if function.used:
            binning.histogram_points(photons.energy[mine], points, edges, counts)
        triggers.append(points.stop - points.first)
        photons_in.append(int(counts.sum()) - before)
    total = np.stack(triggers)
    flow = np.repeat(total.sum(axis=1)[:, None], len(cuts.CUT_NAMES), axis=1)
    no_limits = cuts.stack_limits([None] * len(pixels))
    nothing = np.zeros(len(pixels))
    live = np.broadcast_to(run.points.duration, total.shape)
    binned = Binned(
        counts,
        pixels,
        total,
        total,
        total,
        live,
        nothing,
        np.array(photons_in),
        flow,
        no_limits,
    )
    return binned, without_silent(binned, functions)
