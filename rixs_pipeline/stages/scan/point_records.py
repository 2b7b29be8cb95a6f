"""Pulse records of a pixel in the points of a scan, with its cuts and live time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.core.maps.kernel_arguments import PointSlices
from rixs_pipeline.core.stats.robust import Range
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import FloatArray, IntArray, PulseColumns

# Pulses that a pixel needs in a scan to learn its cuts there; with fewer it has those
# of the reference run.
MIN_PULSES_FOR_CUTS = 200

MIN_PULSES_FOR_BASELINE = 5  # whose median shows where the baseline is

# (cut quantity, 2) of a pixel without cuts, as products hold it.
NO_CUTS = np.full((len(cuts.CUT_NAMES) - 2, 2), np.nan)


@dataclass(frozen=True)
class PointRecords:
    """Pulse records of a pixel in the points of a scan.

    Attributes
    ----------
    pixel
        Channel number.
    points
        The points.
    columns
        Columns of all records of the file, in order of time within the points.
    slices
        Which records lie in each point.
    number
        Records in each point, (point,).
    dead_time
        How long the pixel is blind after a trigger, s.
    after_trigger
        Duration of the part of a record after its trigger, s.
    """

    pixel: int
    points: Points
    columns: PulseColumns
    slices: PointSlices
    number: IntArray
    dead_time: float
    after_trigger: float


def find_point_records(path: Path, points: Points) -> PointRecords:
    """Find the records of a pixel in the points of a scan; only these are read.

    Parameters
    ----------
    path
        OFF file of the pixel.
    points
        Points of a scan.

    Returns
    -------
    PointRecords
        Columns of all records, and the slice of each point.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    off_file = off.open_file(path, int(points.end_ns.max(initial=0)))
    columns = off.columns(off_file.records)
    slices = bin_kernel.find_point_slices(columns, points.start_ns, points.end_ns)
    return PointRecords(
        pixel=off.pixel_number(path),
        points=points,
        columns=columns,
        slices=slices,
        number=slices.stop - slices.first,
        dead_time=off_file.dead_time,
        after_trigger=off_file.after_trigger,
    )


def select_cuts(
    records: PointRecords, energy: PixelEnergy, width: float
) -> CutLimits | None:
    """Select the cuts of a pixel in a scan.

    They are learned from its pulses in the scan where there are enough, those at the
    usual level if the baseline jumps. Otherwise they are those of the reference run,
    which follow the baseline. The hold-off is always that of the reference run.

    Parameters
    ----------
    records
        Records of the pixel in the points of the scan.
    energy
        Energy function of the pixel, with the cuts of the reference run.
    width
        Width of the cuts, robust standard deviations.

    Returns
    -------
    CutLimits or None
        None where the pixel has no calibration, or its pulses differ from those of the
        reference run (see `counted_scan.exclude_unusable_pixels`).
    """
    reference = energy.cut_limits
    if reference is None or not records.number.sum():
        return reference
    from rixs_pipeline.core.calibration import pulse_kernels  # compiled: slow to import

    sample = pulse_kernels.sample_pulses(
        records.columns, *records.slices, cuts.SAMPLE_PULSES
    )
    if records.number.sum() < MIN_PULSES_FOR_CUTS:
        return _follow_baseline(reference, sample.pretrigger_mean)
    learned = cuts.learn_limits(sample, width, reference)
    if learned is None or cuts.have_changed(learned, reference):
        return None
    return replace(learned, since_last=reference.since_last)


def _follow_baseline(limits: CutLimits, pretrigger_mean: FloatArray) -> CutLimits:
    """Move the cut on the pretrigger mean if drift took the baseline towards its end.

    Parameters
    ----------
    limits
        Of the reference run.
    pretrigger_mean
        Of some pulses, f8 (pulse,).

    Returns
    -------
    CutLimits
        With the width of the reference run.
    """
    finite = pretrigger_mean[np.isfinite(pretrigger_mean)]
    if len(finite) < MIN_PULSES_FOR_BASELINE:
        return limits
    low, high = limits.pretrigger
    half_width = (high - low) / 2
    move = float(np.median(finite)) - (low + high) / 2
    if not half_width / 2 < abs(move) < 3 * half_width:
        return limits
    return replace(limits, pretrigger=Range(low + move, high + move))
