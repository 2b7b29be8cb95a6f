"""Align the pixels of a scan with each other, before its pulses are counted.

A first pass over some of the points gives the emission spectrum of each pixel;
`core.drift.pixel_comparison.pixel_alignment` finds the gains that bring these spectra
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison import pixel_alignment
from rixs_pipeline.core.energy import layout
from rixs_pipeline.core.gain import EnergyRange
from rixs_pipeline.core.maps import binning
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy, later_share
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
        self._row = {pixel: row for row, pixel in enumerate(pixels)}
        self._params: FloatArray = calibration["params"].values
        self._errors: FloatArray = calibration["line_residual_errors"].values

    def interpolate(
        self, pixels: Sequence[int], params: FloatArray, energies: FloatArray
    ) -> FloatArray:
        """Return the errors at other energies, linear between the lines.

        Parameters
        ----------
        pixels
            Channel numbers, (pixel,).
        params
            Parameters of their energy functions, f8 (pixel, N_PARAMS).
        energies
            f8 (energy,), eV.

        Returns
        -------
        FloatArray
            f8 (pixel, energy), eV; 0 where the parameters are from another run.
        """
        interpolated = np.zeros((len(pixels), len(energies)))
        row = np.array([self._row.get(pixel, -1) for pixel in pixels], np.intp)
        is_of_run = (row >= 0) & (self._params[row] == params).all(axis=1)
        errors = self._errors[row]
        is_fitted = np.isfinite(errors)
        for place in np.flatnonzero(is_of_run & is_fitted.any(axis=1)):
            fitted = is_fitted[place]
            interpolated[place] = np.interp(
                energies, self.line_energy[fitted], errors[place, fitted]
            )
        return interpolated


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
    pixels = [off.pixel_number(path) for path in scan.pulse_files]
    errors = _calibration_errors(pixels, energies, line_errors, scan.middle, lines)
    centres = (edges[1:] + edges[:-1]) / 2
    start = _known_gains(energies, spectra, centres)
    alignment = pixel_alignment.align(spectra, centres, lines, errors, start)
    total = spectra.sum(axis=0)
    mean_energy = float(centres @ total / max(total.sum(), 1))
    group_shift = 2 * alignment.group_gain * mean_energy
    used = [row for row, energy in enumerate(energies) if energy.params is not None]
    params = np.array([energies[row].params for row in used])  # (pixel, side, ...)
    if used:
        params[..., layout.CURVE] *= (1 - alignment.gain[used])[:, None, None]
    aligned = list(energies)
    for row, (early, late) in zip(used, params, strict=True):
        aligned[row] = replace(
            energies[row],
            params=(early, late),
            alignment=float(alignment.gain[row]),
            alignment_error=float(alignment.error[row]),
            misalignment=float(alignment.measured[row]),
            calibration_error=float(alignment.calibration_error[row]),
            group_shift=float(group_shift[row]),
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


def _calibration_errors(
    pixels: Sequence[int],
    energies: Sequence[PixelEnergy],
    line_errors: Sequence[LineErrors],
    time: float,
    lines: FloatArray,
) -> FloatArray:
    """Return the statistical errors of the pixels' energies at lines, eV.

    They are f8 (pixel, line), 0 for a pixel that is not used. The errors of two
    reference runs are added in quadrature, each times its share at `time` (seconds
    since 1970).
    """
    errors = np.zeros((len(pixels), len(lines)))
    used = [row for row, energy in enumerate(energies) if energy.params is not None]
    if not used:
        return errors
    pixels_used = [pixels[row] for row in used]
    params = np.array([energies[row].params for row in used])  # (pixel, side, ...)
    later = later_share(np.array([time]), [energies[row] for row in used])
    variance = np.zeros((len(used), len(lines)))
    for side, share in enumerate((1 - later, later)):
        for run in line_errors:
            of_run = run.interpolate(pixels_used, params[:, side], lines)
            variance += (share * of_run) ** 2
    errors[used] = np.sqrt(variance)
    return errors
