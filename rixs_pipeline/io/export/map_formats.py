"""Maps as netCDF and as a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline.io.temporaries import atomic_path

if TYPE_CHECKING:
    import xarray as xr


def write_netcdf(path: Path, rixs_map: xr.Dataset) -> None:
    """Write a map as netCDF-4.

    Parameters
    ----------
    path
        The file; its folder is created.
    rixs_map
        As `schema.RIXS_MAP`, with the attributes of its entry.
    """
    with atomic_path(path) as temporary:
        rixs_map.to_netcdf(temporary, engine="h5netcdf")


def write_map_csv(path: Path, rixs_map: xr.Dataset) -> None:
    """Write the intensities of a map: a row a point, a column an emission bin.

    Parameters
    ----------
    path
        The file; its folder is created. The first line has the emission energies.
    rixs_map
        As `schema.RIXS_MAP`.
    """
    emission = rixs_map["emission_energy"].values.tolist()
    incident = rixs_map["incident_energy"].values.tolist()
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["incident_energy [eV]", *emission])
        for energy, row in zip(
            incident, rixs_map["intensity"].values.tolist(), strict=True
        ):
            writer.writerow([energy, *row])
