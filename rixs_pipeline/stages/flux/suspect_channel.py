"""Passes whose reading of I0 is hardly the incident flux."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rixs_pipeline.core.flux.wrong_channel import WrongChannel, find_wrong_channel
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.schema import POINT_USED, READING
from rixs_pipeline.stages.flux.flux_comparison import FluxComparison
from rixs_pipeline.types import Edge

if TYPE_CHECKING:
    import xarray as xr


def check_channels(
    scans: Sequence[xr.Dataset], channels: Sequence[str], i0: str | None, name: str
) -> FluxComparison:
    """Leave out the passes whose I0 is another channel's, if others have a sound one.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`.
    channels
        Readings that follow the flux.
    i0
        Name of the channel of I0.
    name
        Name of the map, for messages.

    Returns
    -------
    FluxComparison
        Passes with I0 in `scans`.
    """
    suspects = {}
    for scan in scans:
        suspect = _find_suspect(scan, channels)
        if suspect is not None:
            suspects[str(scan.attrs["run"])] = suspect
    is_common = len(suspects) == len(scans)
    if not is_common or len(scans) < 2:
        suspects = {run: s for run, s in suspects.items() if s.is_certain}
    if not suspects:
        return FluxComparison(list(scans))
    reason = next(iter(suspects.values())).reason
    if is_common:
        line = (
            f"{name}: I0 '{i0}' {reason}: wrong channel, or swapped columns of the "
            "logs; check `normalise.i0`"
        )
        return FluxComparison(list(scans), warnings=[line])
    line = (
        f"{name}: {', '.join(suspects)} left out: I0 '{i0}' {reason}, unlike in the "
        "other passes; check the columns of the log and `normalise.i0`"
    )
    kept = [scan for scan in scans if str(scan.attrs["run"]) not in suspects]
    return FluxComparison(
        kept, dict.fromkeys(suspects, "wrong channel of I0"), losses=[line]
    )


def _find_suspect(scan: xr.Dataset, channels: Sequence[str]) -> WrongChannel | None:
    """Return why the I0 of a pass is hardly I0; a blank makes it equal to its own."""
    edge = scan.attrs["edge"]
    if "i0" not in scan or "blank_errors" in scan or not edge:
        return None
    is_used = scan["point_status"].values == POINT_USED
    readings = {
        channel: scan[READING + channel].values[is_used]
        for channel in channels
        if READING + channel in scan
    }
    return find_wrong_channel(
        scan["incident_energy"].values[is_used],
        scan["i0"].values[is_used],
        readings,
        PRESETS[Edge(edge)].edge,
    )
