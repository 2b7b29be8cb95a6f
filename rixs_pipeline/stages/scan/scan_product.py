"""The product of a scan: its map."""

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.corrections import (
    clock_attributes,
    clock_corrections,
    scan_corrections,
)
from rixs_pipeline.stages.facts import PixelCount, scan_facts
from rixs_pipeline.stages.interval.response_tail import average_tail_over_pixels
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.record_defects import describe_record_defects
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import (
    ExposureScale,
    Throughput,
    estimate_throughput,
)
from rixs_pipeline.stages.scan.incident_flux import read_flux, require_positive_flux
from rixs_pipeline.stages.scan.pixel_warnings import baseline_corrections
from rixs_pipeline.stages.scan.scale_variables import scale_corrections, with_scan_scale
from rixs_pipeline.stages.scan.scan_map import make_scan_map, with_elastic_offset
from rixs_pipeline.stages.stage import Content, dataset_writer


def excluded_points(context: RunContext, scan: Run) -> tuple[int, ...]:
    """Return the numbers of a scan's points that the config excludes."""
    points = context.config.beamtime.exclude.points
    by_number = points.get(scan.number, ())
    return points.get(scan.name, by_number)


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
        reasons = sorted({str(energy.status) for energy in counted.energies})
        listed = "; ".join(reasons[:3])
        raise RunFailed(f"{scan.name}: no usable pixel ({listed})")
    if not counted.counts.triggers[is_used].any():
        raise RunFailed(
            f"{scan.name}: no pulses during its points; check its times and pulse files"
        )
    points = excluded_points(context, scan)
    normalise = context.config.normalise
    flux = read_flux(scan, normalise)
    if flux is not None:
        require_positive_flux(scan, flux, normalise)
    scan_map = make_scan_map(counted, context.emission_edges, normalise, scale, points)
    dataset = with_elastic_offset(scan_map.dataset, context.reference_set)
    dataset = dataset.assign_attrs(clock_attributes(scan))
    if scan.photon_list is None:  # otherwise calibrated elsewhere
        tails = calibrations.tails(scan)
        tail = average_tail_over_pixels(dataset, tails)
        dataset = dataset.assign_attrs(tail)
        resolution = calibrations.resolution(scan, dataset)
        dataset = dataset.assign_attrs(resolution)
        reference = context.reference_set.attributes()
        dataset = dataset.assign_attrs(reference)
    if counted.scale is not None:
        dataset = with_scan_scale(dataset, counted.scale)
    write = dataset_writer({"entry": dataset}, "counts")
    losses = PixelCount.of(dataset["pixel_status"].values).losses(scan.name)
    facts = scan_facts(dataset)
    corrections = [
        *clock_corrections(scan),
        *scan_corrections(dataset),
        *baseline_corrections(counted),
        *scale_corrections(counted.scale, scan.name),
    ]
    warnings = [*counted.warnings, *scan_map.warnings, *describe_record_defects(scan)]
    return Content(write, facts, warnings, losses, corrections)
