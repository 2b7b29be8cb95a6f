"""Scale of all exposures: reference I0, and throughput from the leading scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.flux.blank import Response
from rixs_pipeline.core.maps import exposure
from rixs_pipeline.core.maps.live_time import effective_live_time
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.scan.incident_flux import read_flux
from rixs_pipeline.stages.scan.point_status import find_dark_points
from rixs_pipeline.types import FloatArray, are_ok

if TYPE_CHECKING:
    from rixs_pipeline.stages.scan.counted_scan import CountedScan

Throughput = dict[int, float]  # pixel -> relative to the mean pixel


@dataclass(frozen=True)
class ExposureScale:
    """Reference I0 and throughput that all scans of a group share."""

    i0_ref: float  # one number for the beamtime and I0 channel
    throughput: Mapping[int, float]  # by pixel, relative to the mean pixel of the array
    blanks: Sequence[Response] = ()  # of I0, for double normalisation

    def complete_throughput(
        self, counted: CountedScan, live_time: FloatArray
    ) -> FloatArray:
        """Return the throughput (pixel,) of a scan: `exposure.complete_throughput`."""
        return exposure.complete_throughput(self.throughput, counted.counts, live_time)

    def exposure(
        self, live_time: FloatArray, weight: FloatArray, i0: FloatArray | None
    ) -> FloatArray:
        """Return the exposure (point,), s, of a scan: `exposure.exposure`."""
        return exposure.exposure(live_time, weight, i0, self.i0_ref)


def leading_scan(scans: Sequence[Run], scan: Run) -> Run:
    """Return the scan that sets the pixels' throughput for a scan's sample and edge.

    It is the first complete one with pulses of its interval between reference runs: one
    scan, not all, so that a scan that is added later changes no earlier one.

    Parameters
    ----------
    scans : sequence of Run
        Those that may correct the scan, in order of time:
        `SurroundingCalibrations.companions`.
    scan : Run
        One of them.

    Returns
    -------
    Run
        Maybe the scan itself.
    """
    group = []
    for candidate in scans:
        is_same_sample = candidate.sample == scan.sample
        if is_same_sample and candidate.edge == scan.edge:
            group.append(candidate)
    with_pulses = []
    for candidate in group:
        if candidate.pulse_files or candidate.photon_list:
            with_pulses.append(candidate)
    group = with_pulses or group
    complete = [candidate for candidate in group if candidate.complete]
    return complete[0] if complete else group[0]


def estimate_throughput(
    counted: CountedScan, config: NormaliseConfig, brightness: Mapping[int, float]
) -> Throughput:
    """Estimate the throughput of pixels from the photons of the leading scan.

    It is relative to the mean pixel of the array: the reference run shows how the
    pixels that are used in this scan compare with all others. So scans in which
    different pixels are lost share a scale.

    Parameters
    ----------
    counted
        The leading scan of a sample and edge with its counts.
    config
        Names the channel of I0.
    brightness
        Accepted pulses of each good pixel in a reference run.

    Returns
    -------
    dict of int to float
        By pixel; pixels without photons are missing.
    """
    scan = counted.scan
    counts = counted.counts
    has_photons = counted.is_used & (counts.pixel_counts > 0)
    flux = read_flux(scan, config)
    is_dark = find_dark_points(counted, flux, config.beam_off_below)
    live = effective_live_time(counts, has_photons, config.pile_up_time)
    live_time = (live.seconds * ~is_dark).sum(axis=1)
    live_time = np.where(has_photons, live_time, 0.0)
    photons = np.where(has_photons, counts.pixel_counts, 0)
    relative_rate = exposure.throughput(photons, live_time)
    pixels = counts.pixel[has_photons].tolist()
    rates = relative_rate[has_photons].tolist()
    throughput = dict(zip(pixels, rates, strict=True))
    in_scan = [brightness[pixel] for pixel in throughput if pixel in brightness]
    scale = 1.0
    if any(in_scan):
        array_mean = np.mean(list(brightness.values()))
        scale = float(np.mean(in_scan) / array_mean)
    return {pixel: value * scale for pixel, value in throughput.items()}


def read_throughput(path: Path) -> Throughput | None:
    """Return the throughput of the used pixels from a scan's map; None if damaged."""
    try:
        pixels = nexus.read_values(path, "pixel")
        is_used = are_ok(nexus.read_values(path, "pixel_status"))
        weights = nexus.read_values(path, "throughput")
    except InputError:
        return None
    return {
        pixel: weight
        for pixel, is_ok, weight in zip(pixels, is_used, weights, strict=True)
        if is_ok
    }
