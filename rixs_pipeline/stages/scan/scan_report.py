"""What is reported of a scan's map: facts, warnings, losses and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rixs_pipeline.stages.corrections import clock_corrections, scan_corrections
from rixs_pipeline.stages.facts import PixelCount, scan_facts
from rixs_pipeline.stages.record_defects import describe_record_defects
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.pixel_warnings import baseline_corrections
from rixs_pipeline.stages.scan.scale_variables import scale_corrections
from rixs_pipeline.stages.stage import Content, dataset_writer

if TYPE_CHECKING:
    import xarray as xr


def report_scan(
    dataset: xr.Dataset, counted: CountedScan, map_warnings: Sequence[str]
) -> Content:
    """Return the map of a scan with what is reported of it.

    Parameters
    ----------
    dataset
        As `schema.SCAN_MAP`, with all attributes.
    counted
        The scan with its counts.
    map_warnings
        From making the map.

    Returns
    -------
    Content
        With the facts for run.json.
    """
    scan = counted.scan
    write = dataset_writer({"entry": dataset}, "counts")
    losses = PixelCount.of(dataset["pixel_status"].values).losses(scan.name)
    facts = scan_facts(dataset)
    corrections = [
        *clock_corrections(scan),
        *scan_corrections(dataset),
        *baseline_corrections(counted),
        *scale_corrections(counted.scale, scan.name),
    ]
    steps = counted.scale.steps if counted.scale else ()
    warnings = [
        *counted.warnings,
        *map_warnings,
        *describe_record_defects(scan),
        *steps,
    ]
    return Content(write, facts, warnings, losses, corrections)
