"""Scans -> RIXS maps: every accepted pulse in a scan point's window is counted once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import MapConfig
from rixs_pipeline.core import binning, cuts
from rixs_pipeline.core import energy as ef
from rixs_pipeline.core.verdicts import OK
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import off, photon_lists
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.calibrations import PixelEnergy

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


@dataclass(frozen=True)
class Binned:
    """Counts of a block of pixels, and per pixel what exposure and report need."""

    counts: Int  # (point, bin)
    pixel: Int  # (pixel,)
    triggers: Int  # (pixel, point): every record, cut or not
    dead_time: Float  # (pixel,) s
    pixel_counts: Int  # (pixel,) photons in the map
    cut_counts: Int  # (pixel, cut)
    cut_limits: Float  # (pixel, quantity, 2)


def map_edges(config: MapConfig) -> Float:
    """Edges (bin + 1,) eV of the emission bins of every map."""
    return binning.emission_edges(config.emission, config.step)


def bin_block(task: BinTask) -> Binned:
    """Count the pulses of a block of pixels into the scan's points and emission bins."""
    counts = np.zeros((len(task.points), len(task.edges) - 1), np.int64)
    rows = [_bin_pixel(path, energy, task, counts) for path, energy in zip(task.files, task.energies, strict=True)]
    pixel, triggers, dead, photons, left, limits = zip(*rows, strict=True)
    return Binned(
        counts,
        np.array(pixel, dtype=np.int64),
        np.stack(triggers),
        np.array(dead, dtype=float),
        np.array(photons, dtype=np.int64),
        np.stack(left),
        cuts.tables(limits),
    )


def _bin_pixel(
    path: Path, function: PixelEnergy, task: BinTask, counts: Int
) -> tuple[int, Int, float, int, Int, cuts.CutLimits | None]:
    """Add one pixel to the counts.

    Returns its number, triggers a point, dead time, photons, cut-flow and the limits of its cuts.
    """
    start, end = task.points.start_ns, task.points.end_ns
    pulses = off.read_pulses(path, int(start[0]), int(end[-1]))
    first, stop = binning.point_slices(pulses.time_ns, start, end)
    inside = binning.inside(first, stop, len(pulses))
    names = ("pulse_height", "phase", "pretrigger_mean", "residual")
    height, phase, base, residual = (getattr(pulses, name)[inside] for name in names)
    left = np.zeros(len(cuts.CUT_NAMES), np.int64)
    left[0] = np.count_nonzero(inside)
    limits = None
    before = int(counts.sum())
    if function.params is not None and function.limits is not None:
        own = cuts.learn(height, phase, base, residual, task.residual_cut, LEARN_FROM)
        limits = own or cuts.from_table(function.limits)
        if own is not None and cuts.changed(own, function.limits):
            limits = None  # told by `without_changed`
    if function.params is not None and limits is not None:
        accepted = np.zeros(len(pulses), dtype=bool)
        accepted[inside], left = cuts.apply(height, phase, base, residual, limits)
        energies = ef.interpolated_energy(
            pulses.pulse_height,
            pulses.pretrigger_mean,
            pulses.phase,
            pulses.time_ns / 1e9,
            function.params,
            function.reference_times,
        )
        binning.histogram_points(np.where(accepted, energies, np.nan), first, stop, task.edges, counts)
    return pulses.pixel, stop - first, pulses.dead_time_s, int(counts.sum()) - before, left, limits


def without_changed(binned: Binned, functions: tuple[PixelEnergy, ...]) -> tuple[PixelEnergy, ...]:
    """The energy functions, with the pixels left out (and not counted) whose pulses are no longer as they were."""
    seen = binned.triggers.sum(axis=1) >= LEARN_FROM
    no_limits = ~np.isfinite(binned.cut_limits).all(axis=(1, 2))
    return tuple(
        PixelEnergy(CHANGED) if f.params is not None and changed else f
        for f, changed in zip(functions, seen & no_limits, strict=True)
    )


def without_silent(binned: Binned, functions: tuple[PixelEnergy, ...]) -> tuple[PixelEnergy, ...]:
    """The energy functions, with the pixels left out that were silent in a scan in which others had many pulses.

    Such a pixel was switched off or out of lock: time in which it could not have seen a photon is not exposure.
    """
    pulses = binned.triggers.sum(axis=1)
    used = np.array([f.used for f in functions])
    if pulses[used].max(initial=0) <= MANY:
        return functions
    silent = used & (pulses == 0)
    return tuple(PixelEnergy(SILENT) if s else f for f, s in zip(functions, silent, strict=True))


def add_blocks(first: Binned, second: Binned) -> Binned:
    """Two blocks of pixels as one: counts add, pixels stand side by side in order of their number."""
    pixel = np.concatenate([first.pixel, second.pixel])
    order = np.argsort(pixel, kind="stable")
    side_by_side = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])[order]
        for name in ("triggers", "dead_time", "pixel_counts", "cut_counts", "cut_limits")
    }
    return Binned(first.counts + second.counts, pixel[order], **side_by_side)


def bin_photon_list(run: Run, edges: Float, excluded: tuple[int, ...]) -> tuple[Binned, tuple[PixelEnergy, ...]]:
    """Count a processed photon list, which is calibrated already: no cuts, and no dead time is known.

    Raises:
        RunFailed: the run has no photon list, or an empty one.
    """
    photons = photon_lists.read(run.photon_list) if run.photon_list else None
    if photons is None or not len(photons):
        raise RunFailed(f"{run.name}: has neither pulse files nor a photon list that holds photons")
    pixels = np.unique(photons.pixel).astype(np.int64)
    functions = tuple(
        PixelEnergy("excluded by the config")
        if p in excluded
        else PixelEnergy(f"{OK}: calibrated list", calibrated=True)
        for p in pixels
    )
    counts = np.zeros((len(run.points), len(edges) - 1), np.int64)
    triggers, photons_in = [], []
    for pixel, function in zip(pixels, functions, strict=True):
        mine = photons.pixel == pixel
        first, stop = binning.point_slices(photons.time_ns[mine], run.points.start_ns, run.points.end_ns)
        before = int(counts.sum())
        if function.used:
            binning.histogram_points(photons.energy[mine], first, stop, edges, counts)
        triggers.append(stop - first)
        photons_in.append(int(counts.sum()) - before)
    total = np.stack(triggers)
    flow = np.repeat(total.sum(axis=1)[:, None], len(cuts.CUT_NAMES), axis=1)
    no_limits = cuts.tables([None] * len(pixels))
    binned = Binned(counts, pixels, total, np.zeros(len(pixels)), np.array(photons_in), flow, no_limits)
    return binned, without_silent(binned, functions)
