"""Scans -> RIXS maps: every accepted pulse in a scan point's window is counted once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rixs_pipeline.config import MapConfig
from rixs_pipeline.core import binning, continuity, cuts
from rixs_pipeline.core import energy as ef
from rixs_pipeline.core.verdicts import OK
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import off, photon_lists
from rixs_pipeline.io.runs import Points, Run

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LEARN_FROM = 200  # pulses that a pixel needs in a scan to learn its cuts there, else those of the reference run


@dataclass(frozen=True)
class PixelEnergy:
    """The energy function of one pixel during a scan: one calibration, or two and the times between which it moves."""

    status: str  # `ok ...`, or why the pixel is not used
    params: tuple[Float, Float] | None = None
    limits: Float | None = None  # (quantity, 2) cut limits of the reference run
    reference_times: tuple[float, float] = (0.0, 0.0)
    calibrated: bool = False  # a photon list, which needs no parameters

    @property
    def used(self) -> bool:
        """Whether the pixel's pulses are counted."""
        return self.params is not None or self.calibrated


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


def pixel_energies(
    files: tuple[Path, ...], time: float, calibrations: list[xr.Dataset], excluded: tuple[int, ...]
) -> tuple[PixelEnergy, ...]:
    """The energy function of every pixel for a scan at `time` (s).

    The calibrations just before and just after are interpolated; a pixel that is bad in one of them, or that jumped
    between them, rests on the other, the earlier one where both stand.
    """
    before = [c for c in calibrations if c.attrs["time"] <= time][-1:]
    after = [c for c in calibrations if c.attrs["time"] > time][:1]
    around = before + after
    tables = [_by_pixel(c) for c in around]
    moved = _jumped(*around) if len(around) == 2 else {}
    return tuple(_pixel_energy(off.pixel_number(f), around, tables, moved, excluded) for f in files)


def _by_pixel(calibration: xr.Dataset) -> dict[int, tuple[str, Float, Float]]:
    columns = (calibration[name].values for name in ("pixel", "status", "params", "cut_limits"))
    return {int(pixel): (str(status), *rows) for pixel, status, *rows in zip(*columns, strict=True)}


def _jumped(before: xr.Dataset, after: xr.Dataset) -> dict[int, float]:
    """Pixels that jumped between two calibrations, and by how many eV."""
    shared = np.intersect1d(before["pixel"].values, after["pixel"].values)
    early, late = (c.set_index(pixel="pixel").sel(pixel=shared)["params"].values for c in (before, after))
    shifts = continuity.line_shifts(early, late, before["line_energy"].values)
    jumped = continuity.jumps(shifts)
    return {int(p): float(np.nanmedian(s)) for p, s, j in zip(shared, shifts, jumped, strict=True) if j}


def _pixel_energy(
    pixel: int,
    around: list[xr.Dataset],
    tables: list[dict[int, tuple[str, Float, Float]]],
    moved: dict[int, float],
    excluded: tuple[int, ...],
) -> PixelEnergy:
    if pixel in excluded:
        return PixelEnergy("excluded by the config")
    if not around:
        return PixelEnergy("no calibration")
    names, times = [str(c.attrs["run"]) for c in around], [float(c.attrs["time"]) for c in around]
    found = [table.get(pixel) for table in tables]
    good = [i for i, row in enumerate(found) if row is not None and row[0] == OK]
    if not good:
        reasons = ("not in this reference run" if row is None else row[0] for row in found)
        return PixelEnergy("; ".join(f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True)))
    first, last = found[good[0]], found[good[-1]]
    assert first is not None and last is not None  # both are in `good`
    if len(good) == 2 and pixel not in moved:
        return PixelEnergy(f"{OK}: {names[0]} to {names[1]}", (first[1], last[1]), first[2], (times[0], times[1]))
    why = f", jumped by {moved[pixel]:+.1f} eV before {names[1]}" if len(good) == 2 else ""
    return PixelEnergy(f"{OK}: {names[good[0]]} alone{why}", (first[1], first[1]), first[2])


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
    inside = _inside(first, stop, len(pulses))
    names = ("pulse_height", "phase", "pretrigger_mean", "residual")
    height, phase, base, residual = (getattr(pulses, name)[inside] for name in names)
    left = np.zeros(len(cuts.CUT_NAMES), np.int64)
    left[0] = np.count_nonzero(inside)
    limits = None
    before = int(counts.sum())
    if function.params is not None and function.limits is not None:
        own = cuts.learn(height, phase, base, residual, task.residual_cut, LEARN_FROM)
        limits = own or cuts.from_table(function.limits)
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


def _inside(first: Int, stop: Int, n: int) -> NDArray[np.bool_]:
    """Which pulses (pulse,) lie in any point's window."""
    change = np.zeros(n + 1, np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, stop, -1)
    return np.cumsum(change[:-1]) > 0


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
    return binned, functions
