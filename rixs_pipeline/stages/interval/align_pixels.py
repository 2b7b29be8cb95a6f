"""Align the pixels of a scan with each other, before its pulses are counted.

A first pass over some of the points gives the emission spectrum of each pixel;
`core.drift.pixel_alignment` finds the gains that bring these spectra together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.drift import pixel_alignment
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.core.maps import binning
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr

# eV, of all edges, for reference lines up to 1 keV. It is not the range of the map, so
# that the alignment, and with it the energies, do not depend on the bins of the map.
EMISSION = (200.0, 1100.0)
BIN_WIDTH = 0.5  # eV: narrower than any line that a detector shows
ENOUGH_PULSES = 3000  # of a pixel: they place it to less than 0.1 eV
# Pieces of a scan, in which the pixels are compared with each other; fewer for large
# arrays and wide spectra, so that all counts of 2 bytes each stay below 32 MB.
MAX_PIECES = 64
MAX_COUNTS = 2**24
SAMPLED_PIXELS = 5  # whose pulses are counted to estimate how many a pixel has


@dataclass(frozen=True)
class AlignTask:
    """Pixels of one scan whose spectra are needed.

    Attributes
    ----------
    files, energies
        OFF file and energy function of each pixel.
    points
        The points of the scan that are read.
    piece
        Piece of the scan to which each part of a point belongs, i8 (part,), ascending
        from 0. Points are divided into equally many parts, each with as many records.
    edges
        Edges of the emission bins, f8 (bin + 1,), eV.
    """

    files: tuple[Path, ...]
    energies: tuple[PixelEnergy, ...]
    points: Points
    piece: IntArray
    edges: FloatArray


def emission_range(highest_line: float) -> tuple[float, float]:
    """Return the range of the spectra, which follows the highest reference line, eV."""
    low, high = EMISSION
    return low, high * EnergyRange.up_to(highest_line).energy_unit


def spectrum_edges(emission: tuple[float, float] = EMISSION) -> FloatArray:
    """Return the edges (bin + 1,) of uniform bins that cover a range, eV."""
    low, high = emission
    number = float(np.ceil((high - low) / BIN_WIDTH))
    return binning.emission_edges((low, low + BIN_WIDTH * number), BIN_WIDTH)


def align_task(
    scan: Run, energies: tuple[PixelEnergy, ...], edges: FloatArray
) -> AlignTask:
    """Return the task that gives the spectra of a scan.

    Parameters
    ----------
    scan
        The scan, with one OFF file a pixel.
    energies
        Energy functions of its pixels.
    edges
        Edges of the emission bins, f8 (bin + 1,), eV.

    Returns
    -------
    AlignTask
        Of all its pixels.
    """
    used = np.arange(0, len(scan.points), _point_step(scan, energies))
    points = Points(
        incident_energy=scan.points.incident_energy[used],
        start_ns=scan.points.start_ns[used],
        end_ns=scan.points.end_ns[used],
    )
    n_points = len(points)
    n_parts = n_points * -(-MAX_PIECES // max(n_points, 1))
    counts_per_piece = max(len(scan.pulse_files), 1) * len(edges)
    max_pieces = int(np.clip(MAX_COUNTS // counts_per_piece, 1, MAX_PIECES))
    piece = np.arange(n_parts) * min(max_pieces, n_parts) // max(n_parts, 1)
    return AlignTask(scan.pulse_files, energies, points, piece, edges)


def _point_step(scan: Run, energies: tuple[PixelEnergy, ...]) -> int:
    """Return how far apart the points are that are read, as a number of points.

    It is the same for all pixels, which must see the same emission.
    """
    used = [
        path
        for path, energy in zip(scan.pulse_files, energies, strict=True)
        if energy.status.is_ok
    ]
    if not used:
        return 1
    numbers = []
    for path in used[:: max(1, len(used) // SAMPLED_PIXELS)]:
        records = off.open_records(path, scan.end_ns)
        rows = off.record_range(records, scan.start_ns, scan.end_ns)
        numbers.append(rows.stop - rows.start)
    step = np.median(numbers) // ENOUGH_PULSES
    return int(np.clip(step, 1, len(scan.points)))


class LineErrors:
    """Statistical errors of the lines of each pixel in a reference run."""

    def __init__(self, calibration: xr.Dataset) -> None:
        """Read them from the product of the reference run."""
        self.line_energy: FloatArray = calibration["line_energy"].values
        pixels = calibration["pixel"].values.tolist()
        params = calibration["params"].values
        errors = calibration["line_residual_errors"].values
        self._params = dict(zip(pixels, params, strict=True))
        self._errors = dict(zip(pixels, errors, strict=True))

    def interpolate(
        self, pixel: int, params: FloatArray, energies: FloatArray
    ) -> FloatArray | None:
        """Return the errors at other energies, linear between the lines.

        Parameters
        ----------
        pixel
            Channel number.
        params
            Parameters of the pixel's energy function.
        energies
            f8 (n,), eV.

        Returns
        -------
        FloatArray or None
            f8 (n,), eV; None where the parameters are not from this reference run.
        """
        if pixel not in self._params:
            return None
        if not np.array_equal(self._params[pixel], params):
            return None
        errors = self._errors[pixel]
        is_fitted = np.isfinite(errors)
        line_energy, fitted = self.line_energy[is_fitted], errors[is_fitted]
        return np.asarray(np.interp(energies, line_energy, fitted))


def align_pixels(
    scan: Run,
    energies: tuple[PixelEnergy, ...],
    spectra: FloatArray,
    edges: FloatArray,
    line_errors: Sequence[LineErrors],
) -> tuple[PixelEnergy, ...]:
    """Align the energy functions of the pixels of a scan with each other.

    Parameters
    ----------
    scan
        The scan, with one OFF file a pixel.
    energies
        Energy functions of its pixels.
    spectra
        Counts of each pixel, f8 (pixel, bin), from `first_pass`.
    edges
        Edges of the bins, f8 (bin + 1,), eV.
    line_errors
        Errors of the reference runs on which the energy functions rest.

    Returns
    -------
    tuple of PixelEnergy
        In the order of the scan's files.
    """
    lines = np.ones(1)
    if line_errors:
        lines = np.unique(np.concatenate([run.line_energy for run in line_errors]))
    errors = [
        _calibration_error(
            off.pixel_number(path), energy, line_errors, scan.middle, lines
        )
        for path, energy in zip(scan.pulse_files, energies, strict=True)
    ]
    centres = (edges[1:] + edges[:-1]) / 2
    start = _known_gains(energies, spectra, centres)
    alignment = pixel_alignment.align(spectra, centres, lines, np.stack(errors), start)
    total = spectra.sum(axis=0)
    mean_energy = float(centres @ total / max(total.sum(), 1))
    aligned = []
    for row, energy in enumerate(energies):
        if energy.params is None:
            aligned.append(energy)
            continue
        of_pixel = energy.aligned(
            float(alignment.gain[row]),
            float(alignment.error[row]),
            float(alignment.measured[row]),
        )
        group_shift = 2 * float(alignment.group_gain[row]) * mean_energy
        of_calibration = float(alignment.calibration_error[row])
        aligned.append(
            replace(of_pixel, group_shift=group_shift, calibration_error=of_calibration)
        )
    return tuple(aligned)


def _known_gains(
    energies: Sequence[PixelEnergy], spectra: FloatArray, centres: FloatArray
) -> FloatArray | None:
    """Return the gains (pixel,) of displaced pixels that are used; None without any."""
    shift = np.array([energy.displacement for energy in energies])
    is_used = np.array([energy.params is not None for energy in energies])
    is_known = np.isfinite(shift) & is_used
    if not is_known.any():
        return None
    mean_energy = spectra @ centres / np.maximum(spectra.sum(axis=1), 1)
    gain = np.where(is_known, shift, 0.0) / np.maximum(mean_energy, centres[0])
    return np.asarray(gain)


def _calibration_error(
    pixel: int,
    energy: PixelEnergy,
    line_errors: Sequence[LineErrors],
    time: float,
    lines: FloatArray,
) -> FloatArray:
    """Return the statistical errors (line,) of a pixel's energies at lines, eV.

    The errors of two reference runs are added in quadrature, each times its share at
    `time` (seconds since 1970).
    """
    variance = np.zeros(len(lines))
    if energy.params is None:
        return variance
    first, second = energy.reference_times
    later_share = 0.0
    if second > first:
        later_share = float(np.clip((time - first) / (second - first), 0, 1))
    shares = (1 - later_share, later_share)
    for params, share in zip(energy.params, shares, strict=True):
        for run in line_errors:
            errors = run.interpolate(pixel, params, lines)
            if errors is not None:
                variance += (share * errors) ** 2
                break
    return np.sqrt(variance)
