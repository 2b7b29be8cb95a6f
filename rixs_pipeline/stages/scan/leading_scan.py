"""The leading scan of a sample and edge, which sets the throughput of the pixels."""

from collections.abc import Sequence
from pathlib import Path

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.scan import scan_map
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.surrounding_calibrations import SurroundingCalibrations
from rixs_pipeline.types import are_ok

Throughput = dict[int, float]  # pixel -> relative to the mean pixel


def leading_scan(scans: Sequence[Run], scan: Run) -> Run:
    """Return the scan that sets the pixels' throughput for a scan's sample and edge.

    It is the first complete one with pulses: one scan, not all, so that a scan that is
    added later changes no earlier one.

    Parameters
    ----------
    scans : sequence of Run
        All scans of the beamtime, in order of time.
    scan : Run
        One of them.

    Returns
    -------
    Run
        Maybe the scan itself.
    """
    group = [s for s in scans if (s.sample, s.edge) == (scan.sample, scan.edge)]
    with_pulses = [s for s in group if s.pulse_files or s.photon_list]
    candidates = with_pulses or group
    return next((s for s in candidates if s.complete), candidates[0])


def find_i0_reference(context: RunContext) -> float | None:
    """Return the I0 that all exposures of a beamtime are relative to.

    It is the mean I0 of the first scan that has one; None without I0.
    """
    normalise = context.config.normalise
    for scan in context.beamtime.scans:
        mean = scan_map.i0_reference(scan, normalise)
        if mean:
            return mean
    return None


def estimate_throughput(
    context: RunContext, calibrations: SurroundingCalibrations, counted: CountedScan
) -> Throughput:
    """Estimate the throughput of the pixels from the counts of a leading scan.

    Parameters
    ----------
    context : RunContext
        The reduction.
    calibrations : SurroundingCalibrations
        Of the scan.
    counted : CountedScan
        The leading scan with its counts.

    Returns
    -------
    dict of int to float
        By pixel, relative to the mean pixel of the array.
    """
    brightness = calibrations.brightness(counted.scan)
    normalise = context.config.normalise
    return scan_map.estimate_throughput(counted, normalise, brightness)


def read_throughput(path: Path) -> Throughput | None:
    """Return the throughput of the used pixels from a scan's map; None if damaged."""
    try:
        product = nexus.read_entry(path)
    except InputError:
        return None
    is_used = are_ok(product["pixel_status"].values)
    pixels = product["pixel"].values[is_used].tolist()
    weights = product["throughput"].values[is_used].tolist()
    return dict(zip(pixels, weights, strict=True))
