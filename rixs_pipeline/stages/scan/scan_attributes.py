"""Attributes of a scan's map: elastic line, clock, response, energy scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import ReferenceSet
from rixs_pipeline.config.reference_sets import known_lines
from rixs_pipeline.core.elastic.elastic_line import elastic_offset
from rixs_pipeline.core.elastic.elastic_trace import ERROR_EV, find_elastic_trace
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.stages.corrections import clock_attributes
from rixs_pipeline.stages.interval.response_tail import average_tail_over_pixels
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.measurement import measurement_attributes
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.scale_variables import with_scan_scale

if TYPE_CHECKING:
    import xarray as xr


def with_scan_attributes(
    dataset: xr.Dataset,
    counted: CountedScan,
    calibrations: SurroundingCalibrations,
    reference: ReferenceSet,
) -> xr.Dataset:
    """Return the map of a scan with what the runs around it determine.

    Parameters
    ----------
    dataset
        As `schema.SCAN_MAP`.
    counted
        The scan with its counts.
    calibrations
        Around it.
    reference
        Emission lines of the calibrations.

    Returns
    -------
    xr.Dataset
        With the offsets of the elastic line and of the clock; with tail, resolution and
        reference set where the photons were calibrated here; with the correction of the
        energy scale where there is one.
    """
    scan = counted.scan
    dataset = with_elastic_offset(dataset, reference)
    dataset = dataset.assign_attrs(clock_attributes(scan))
    dataset = dataset.assign_attrs(measurement_attributes([scan]))
    if scan.photon_list is None:  # otherwise calibrated elsewhere
        tail = average_tail_over_pixels(dataset, calibrations.tails(scan))
        dataset = dataset.assign_attrs(tail)
        resolution = calibrations.resolution(scan, dataset)
        dataset = dataset.assign_attrs(resolution)
        dataset = dataset.assign_attrs(reference.attributes())
    if counted.scale is not None:
        dataset = with_scan_scale(dataset, counted.scale)
    return dataset


def with_elastic_offset(dataset: xr.Dataset, reference: ReferenceSet) -> xr.Dataset:
    """Return the map of a scan with the offset of its elastic line as attributes.

    Parameters
    ----------
    dataset
        As `schema.SCAN_MAP`.
    reference
        Emission lines, which the elastic line must not be confused with.

    Returns
    -------
    xr.Dataset
        With `elastic_offset` (eV, NaN where it cannot be measured), its standard
        deviation and the counts of the line.
    """
    # L lines of other metals are far away; C, N and O are in every sample.
    element = str(dataset.attrs["edge"]).partition("_")[0]
    own_lines = {name: line.energy for name, line in reference.lines.items()}
    lines = {
        name: energy
        for name, energy in (known_lines() | own_lines).items()
        if "_K" in name or name.partition("_")[0] == element
    }
    is_used = dataset["point_status"].values == POINT_USED
    offset = elastic_offset(
        dataset["counts"].values[is_used],
        dataset["incident_energy"].values[is_used],
        dataset["emission_energy_edges"].values,
        lines,
    )
    return dataset.assign_attrs(
        elastic_offset=offset.offset if offset else np.nan,
        elastic_offset_errors=offset.error if offset else np.nan,
        elastic_counts=offset.counts if offset else 0.0,
    )


def check_elastic_trace(dataset: xr.Dataset, name: str) -> list[str]:
    """Return a line if the elastic line is far from the incident energies.

    Parameters
    ----------
    dataset
        Map of a scan, as `schema.SCAN_MAP`.
    name
        Of the scan.

    Returns
    -------
    list of str
        At most one.

    Raises
    ------
    RunFailed
        The line moves against the incident energies.
    """
    is_used = dataset["point_status"].values == POINT_USED
    incident = dataset["incident_energy"].values[is_used]
    trace = find_elastic_trace(
        dataset["counts"].values[is_used], incident, dataset["emission_energy"].values
    )
    if trace.is_reversed:
        raise RunFailed(
            f"{name}: elastic line moves against the incident energies, which are "
            "listed backwards; left out; correct the energies in its log"
        )
    if trace.offset == 0:
        return []
    return [
        f"{name}: elastic line is {trace.offset:+.1f} +- {ERROR_EV:g} eV off the "
        "incident energies; these or the calibration are wrong by as much: check the "
        "monochromator's energies in the log"
    ]
