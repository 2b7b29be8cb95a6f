"""Points and photons that the limits of the config keep out of the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import MapConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr


def points_outside(incident: FloatArray, config: MapConfig, name: str) -> list[str]:
    """Return a line if points of a map are in none of its incident bins.

    Parameters
    ----------
    incident
        Incident energies of the used points of all passes, (point,), eV.
    config
        The bins of the maps.
    name
        Name of the map, for the line.

    Returns
    -------
    list of str
        One line at most; none without incident bins in the config.

    Raises
    ------
    RunFailed
        No point is in a bin.
    """
    energy = incident[np.isfinite(incident)]
    if config.incident is None or not len(energy):
        return []
    low, high = config.incident
    n_outside = int(((energy < low) | (energy >= high)).sum())
    if not n_outside:
        return []
    bins = f"`map.incident` ({low:g} to {high:g} eV)"
    points = f"{energy.min():.2f} to {energy.max():.2f} eV"
    if n_outside == len(energy):
        raise RunFailed(
            f"{name}: no point within {bins}, scans cover {points}; extend or unset it"
        )
    return [
        f"{name}: {n_outside} of {len(energy)} points outside {bins}, not in the map "
        f"(scans cover {points}); extend it to include them"
    ]


def photons_outside(rixs_map: xr.Dataset, config: MapConfig, name: str) -> list[str]:
    """Return a line if a map was exposed, and all photons are outside its emission.

    Parameters
    ----------
    rixs_map
        As `schema.COADDED_MAP`.
    config
        The bins of the maps.
    name
        Name of the map, for the line.

    Returns
    -------
    list of str
        One line at most.
    """
    is_exposed = rixs_map["exposure"].values.any()
    if not is_exposed or rixs_map["counts"].values.any():
        return []
    low, high = config.emission
    return [f"{name}: no photons within `map.emission` ({low:g} to {high:g} eV)"]
