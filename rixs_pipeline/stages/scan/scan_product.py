"""The product of a scan: its map."""

from collections import Counter

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import (
    ExposureScale,
    Throughput,
    estimate_throughput,
)
from rixs_pipeline.stages.scan.incident_flux import read_flux, require_positive_flux
from rixs_pipeline.stages.scan.pixel_warnings import few_pixels_warning
from rixs_pipeline.stages.scan.scan_attributes import (
    check_elastic_trace,
    with_scan_attributes,
)
from rixs_pipeline.stages.scan.scan_map import make_scan_map
from rixs_pipeline.stages.scan.scan_report import report_scan
from rixs_pipeline.stages.stage import Content


def _main_reason(counted: CountedScan) -> str:
    """Return why most of the pixels are not used; live ones if there are any."""
    statuses = [energy.status for energy in counted.energies]
    live = [status for status in statuses if status.state.is_live]
    counts = Counter(map(str, live or statuses)).most_common()
    reason = counts[0][0] if counts else ""
    return f"most of them: {reason}" if len(counts) > 1 else reason


def find_throughput(
    context: RunContext, calibrations: SurroundingCalibrations, counted: CountedScan
) -> Throughput:
    """Return the throughput of the pixels from the counts of a leading scan.

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
    return estimate_throughput(counted, context.config.normalise, brightness)


def map_content(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scale: ExposureScale,
    counted: CountedScan,
) -> Content:
    """Return the map of a scan.

    Parameters
    ----------
    context : RunContext
        The reduction.
    calibrations : SurroundingCalibrations
        Of the scan.
    scale : ExposureScale
        Reference I0, throughput from the leading scan, and responses of I0.
    counted : CountedScan
        The scan with its counts.

    Returns
    -------
    Content
        With the facts for run.json.

    Raises
    ------
    RunFailed
        No pixel can be used, or has pulses, or the incident flux is not positive.
    """
    scan = counted.scan
    is_used = counted.is_used
    if not is_used.any():
        raise RunFailed(f"{scan.name}: no usable pixel ({_main_reason(counted)})")
    if not counted.counts.triggers[is_used].any():
        raise RunFailed(
            f"{scan.name}: no pulses during its points; check its times and pulse files"
        )
    points = context.excluded_points(scan)
    normalise = context.config.normalise
    flux = read_flux(scan, normalise)
    if flux is not None:
        require_positive_flux(scan, flux, normalise)
    scan_map = make_scan_map(counted, context.emission_edges, normalise, scale, points)
    dataset = with_scan_attributes(
        scan_map.dataset, counted, calibrations, context.reference_set
    )
    warnings = [
        *few_pixels_warning(counted, calibrations.best_pixels(scan)),
        *scan_map.warnings,
        *check_elastic_trace(dataset, scan.name),
    ]
    return report_scan(dataset, counted, warnings)
