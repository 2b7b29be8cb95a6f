"""Errors of the exposure of a map: the noise of I0, and that of a blank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.maps import combine, i0_noise
from rixs_pipeline.core.maps.incident_axis import PassesOnAxis
from rixs_pipeline.schema import COADDED_MAP, READING, Variables, labelled
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr


def exposure_errors(
    scans: Sequence[xr.Dataset], passes: PassesOnAxis, config: NormaliseConfig
) -> xr.DataArray:
    """Return the standard deviation of the exposure of a map, (point,), s.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`, with I0.
    passes
        Their points on the axis of the map.
    config
        Noise of I0.

    Returns
    -------
    xr.DataArray
        `exposure_errors`, common to all emission bins of a point and independent from
        point to point. The noise of I0 is independent from pass to pass; that of the
        blank is the same in all.
    """
    variances = []
    from_blank = []
    for scan in scans:
        exposure = scan["exposure"].values
        variances.append((exposure * _relative_noise(scan, config)) ** 2)
        if "blank_errors" in scan:
            from_blank.append(exposure * np.nan_to_num(scan["blank_errors"].values))
        else:
            from_blank.append(np.zeros(len(exposure)))
    n_points = len(passes.axis.energy)
    variance = combine.add(variances, passes.indices, n_points)
    common = combine.add(from_blank, passes.indices, n_points)
    deviation = np.sqrt(variance + common**2)
    values: Variables = {"exposure_errors": (("incident_energy",), deviation)}
    return labelled(values, COADDED_MAP)["exposure_errors"]


def _relative_noise(scan: xr.Dataset, config: NormaliseConfig) -> FloatArray:
    """Return the relative noise of I0 at the points of a scan, f8 (point,)."""
    n_points = scan.sizes["incident_energy"]
    if config.i0_noise is None:
        return np.zeros(n_points)
    if isinstance(config.i0_noise, float):
        return np.full(n_points, config.i0_noise)
    channel = f"{READING}{config.second_monitor or config.i0}".replace("/", "_")
    if channel not in scan or "dwell" not in scan:
        return i0_noise.counter_noise(scan["i0"].values, config.i0_offset)
    dark = config.i0_offset + config.i0_offset_per_second * scan["dwell"].values
    sign = config.i0_sign
    if config.second_monitor:
        dark, sign = np.full(n_points, config.second_monitor_offset), 1
    net = sign * (scan[channel].values - dark)
    return i0_noise.counter_noise(net, sign * dark)
