"""All features of all spectra as one table."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rixs_pipeline.io.temporaries import atomic_path

if TYPE_CHECKING:
    import xarray as xr

_VALUES = (
    "area",
    "area_errors",
    "centre",
    "centre_errors",
    "centre_energy_errors",
    "fwhm",
    "fwhm_errors",
)
_COLUMNS = ("sample", "edge", "region", "feature", *_VALUES, "area_units")


def feature_rows(spectra: Mapping[str, "xr.Dataset"]) -> list[dict[str, Any]]:
    """Return a row for each feature of the spectra of a product.

    Parameters
    ----------
    spectra
        Region -> spectrum as `schema.spectrum`.

    Returns
    -------
    list of dict
        Column -> value; energies in eV.
    """
    return [
        {
            "sample": spectrum.attrs["sample"],
            "edge": spectrum.attrs["edge"],
            "region": region,
            "feature": str(feature),
            "area_units": spectrum["feature_area"].attrs.get("units", ""),
            **{name: float(spectrum[f"feature_{name}"][row]) for name in _VALUES},
        }
        for region, spectrum in spectra.items()
        if "feature" in spectrum
        for row, feature in enumerate(spectrum["feature"].values)
    ]


def write_features(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of `feature_rows` as a table; NaN is `nan`.

    Parameters
    ----------
    path
        The file; its folder is created.
    rows
        In their order.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
