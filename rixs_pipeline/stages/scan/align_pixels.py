"""Pixels of a scan aligned with each other: a first pass over some of its pulses, before they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift import pixel_alignment as alignment
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.maps import binning
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    UniformBins,
)
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.scan.count_pulses import point_records
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]
Int = NDArray[np.int64]

EMISSION = (
    200.0,
    1100.0,
)  # eV, of all edges: not the map's range, so that other bins move no energy
STEP_EV = 0.5  # narrower than any line that a detector shows
ENOUGH = 3000  # pulses of a pixel that are read: they tell its place to less than a tenth of an eV
ASKED = 5  # pixels whose pulses are counted to tell how many there are


@dataclass(frozen=True)
class AlignTask:
    """A block of pixels of one scan: a unit of parallel work."""

    files: tuple[Path, ...]
    energies: tuple[PixelEnergy, ...]
    points: Points
    edges: Float
    every: int  # each so many-th point is read


def edges_of(emission: tuple[float, float]) -> Float:
    """Edges (bin + 1,) eV of the spectra: uniform, over `emission` (eV) or just beyond."""
    low, high = emission
    return binning.emission_edges(
        (low, low + STEP_EV * float(np.ceil((high - low) / STEP_EV))), STEP_EV
    )


def tasks(
    one: Run, functions: tuple[PixelEnergy, ...], edges: Float, size: int
) -> list[AlignTask]:
    """The blocks of `size` pixels of a scan."""
    every = _every(one, functions)
    return [
        AlignTask(
            one.pulse_files[k : k + size],
            functions[k : k + size],
            one.points,
            edges,
            every,
        )
        for k in range(0, len(one.pulse_files), size)
    ]


def _every(one: Run, functions: tuple[PixelEnergy, ...]) -> int:
    """How many points one is read of: the same for all pixels, which must see the same emission."""
    used = [
        path
        for path, f in zip(one.pulse_files, functions, strict=True)
        if f.params is not None
    ]
    numbers = []
    for path in used[:: max(1, len(used) // ASKED)]:
        first, stop = off.record_range(off.open_records(path), one.start_ns, one.end_ns)
        numbers.append(stop - first)
    return (
        int(np.clip(np.median(numbers) // ENOUGH, 1, len(one.points))) if numbers else 1
    )


def spectra_block(task: AlignTask) -> Int:
    """Counts (pixel, bin) of each pixel of a block in the points that are read; none where it is not used."""
    start, end = task.points.start_ns[:: task.every], task.points.end_ns[:: task.every]
    spectra = np.zeros(
        (len(task.files), len(task.edges)), np.int64
    )  # and a last column for what is in no bin
    for k, (path, function) in enumerate(zip(task.files, task.energies, strict=True)):
        _add_photons(path, function, start, end, task.edges, spectra[k : k + 1])
    return spectra[:, :-1]


def _add_photons(
    path: Path, function: PixelEnergy, start: Int, end: Int, edges: Float, counts: Int
) -> None:
    """Add the photons of one pixel to counts (1, bin + 1), by the cuts of its reference run."""
    from rixs_pipeline.core.maps import bin_kernel

    if function.params is None or function.limits is None:
        return
    pulses, points = point_records(off.open_records(path), start, end)
    share = ef.late_share(
        (start / 2 + end / 2) / 1e9, function.params, function.reference_times
    )
    bins = UniformBins(float(edges[0]), float(edges[1] - edges[0]), float(edges[-1]))
    batch = PointBatch(
        first=points.first,
        stop=points.stop,
        row=np.zeros(len(start), np.int64),
        later_share=share,
    )
    options = BinOptions(function.limits, np.stack(function.params), bins)
    bin_kernel.bin_records(pulses, batch, options, counts, NO_PHOTON_LIST)


def side_by_side(first: Int, second: Int) -> Int:
    """Two blocks of pixels as one."""
    return np.concatenate([first, second])


class LineErrors:
    """What counting statistics of a reference run allow the lines of each pixel to err."""

    def __init__(self, calibration: xr.Dataset) -> None:
        """From its product."""
        self.line_energy: Float = calibration["line_energy"].values
        columns = (
            calibration[name].values
            for name in ("pixel", "params", "line_residual_errors")
        )
        self.rows = {
            int(pixel): (params, errors)
            for pixel, params, errors in zip(*columns, strict=True)
        }

    def at(self, pixel: int, params: Float, energies: Float) -> Float | None:
        """At energies (n,) eV, linear between the lines; None where the pixel's `params` are not from this run."""
        own, errors = self.rows.get(pixel, (None, None))
        if own is None or errors is None or not np.array_equal(own, params):
            return None
        seen = np.isfinite(errors)
        return np.asarray(np.interp(energies, self.line_energy[seen], errors[seen]))


def align(
    one: Run,
    functions: tuple[PixelEnergy, ...],
    counts: Int,
    edges: Float,
    calibrations: Sequence[LineErrors],
) -> tuple[PixelEnergy, ...]:
    """The energy functions of a scan aligned with each other.

    Args:
        one: the scan.
        functions: of its pixels, in the order of its files.
        counts: i8 (pixel, bin) from `spectra_block`.
        edges: f8 (bin + 1,) eV of these.
        calibrations: which the functions rest on.
    """
    lines = (
        np.unique(np.concatenate([c.line_energy for c in calibrations]))
        if calibrations
        else np.ones(1)
    )
    pairs = zip(map(off.pixel_number, one.pulse_files), functions, strict=True)
    errors = np.stack(
        [
            _calibration_error(pixel, f, calibrations, one.middle, lines)
            for pixel, f in pairs
        ]
    )
    found = alignment.align(counts, (edges[1:] + edges[:-1]) / 2, lines, errors)
    rows = zip(functions, found.gain, found.error, found.measured, strict=True)
    return tuple(_scaled(*row) for row in rows)


def _scaled(
    function: PixelEnergy, gain: float, error: float, measured: float
) -> PixelEnergy:
    """The energy function whose energies are 1 - gain times as large."""
    if function.params is None:
        return function
    early, late = (params.copy() for params in function.params)
    for params in (early, late):
        params[ef.CURVE] *= 1 - gain
    return replace(
        function,
        params=(early, late),
        alignment=float(gain),
        alignment_error=float(error),
        misalignment=float(measured),
    )


def _calibration_error(
    pixel: int,
    function: PixelEnergy,
    calibrations: Sequence[LineErrors],
    time: float,
    lines: Float,
) -> Float:
    """What a pixel's energies at lines (line,) eV may err at `time` (s) for want of counts in the reference runs, eV.

    Of two runs by their shares.
    """
    variance = np.zeros(len(lines))
    if function.params is None:
        return variance
    first, second = function.reference_times
    late = (
        float(np.clip((time - first) / (second - first), 0, 1))
        if second > first
        else 0.0
    )
    for params, share in zip(function.params, (1 - late, late), strict=True):
        found = (calibration.at(pixel, params, lines) for calibration in calibrations)
        errors = next((e for e in found if e is not None), None)
        if errors is not None:
            variance += (share * errors) ** 2
    return np.sqrt(variance)
