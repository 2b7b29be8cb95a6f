"""Spectra of products as plain arrays with text, for all formats of columns."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from rixs_pipeline import schema
from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.io import nexus
from rixs_pipeline.io.hdf5 import (
    all_attributes,
    attribute_text,
    member,
    members,
    open_hdf5,
    read_array,
)
from rixs_pipeline.paths import safe_name
from rixs_pipeline.types import FloatArray

_AXES = ("incident_energy", "emission_energy", "energy_loss")
# Attributes that say nothing about a spectrum
_INTERNAL_ATTRIBUTES = (
    "NX_class",
    "default",
    "command",
    "input_hashes",
    "option_hashes",
)


@dataclass(frozen=True)
class Spectrum:
    """A spectrum as plain arrays.

    `metadata` should have `sample`, `edge` (such as Co_L) and `region`;
    `program_version`, `mono` and `time` (ISO 8601) have fields of their own in XDI.
    """

    axis: str  # incident_energy, emission_energy or energy_loss
    energy: FloatArray  # (n,), eV
    columns: dict[str, FloatArray]  # name -> (n,), intensity first
    units: dict[str, str] = field(default_factory=dict)  # column -> unit
    metadata: dict[str, str] = field(default_factory=dict)  # one line of text each

    @property
    def has_numbers(self) -> bool:
        """Whether any point of the first column is a number."""
        first = next(iter(self.columns.values()))
        return bool(np.isfinite(first).any())

    @property
    def channel(self) -> str:
        """The reading of the log that it is; empty: a yield of the map."""
        if "channel" in self.metadata:
            return self.metadata["channel"]
        try:
            region = json.loads(self.metadata.get("definition", "{}"))
        except ValueError:
            return ""
        return str(region.get("channel", "")) if isinstance(region, dict) else ""

    @property
    def is_absorption(self) -> bool:
        """Whether it is an absorption spectrum: a yield against incident energy."""
        is_elastic = self.metadata.get("kind") == "elastic"
        return self.axis == "incident_energy" and not is_elastic


def read_spectra(file: Path) -> dict[str, Spectrum]:
    """Read the spectrum of every entry of a product.

    Parameters
    ----------
    file
        Spectra, or absorption spectra.

    Returns
    -------
    dict of str to Spectrum
        By region or channel. The attributes of the entry become the metadata.

    Raises
    ------
    InputError
        Not such a product.
    """
    with open_hdf5(file, "spectra") as product:
        return {
            region: _read_spectrum(region, entry)
            for region, entry in members(product).items()
        }


def _read_spectrum(region: str, entry: h5py.Group) -> Spectrum:
    """Read the spectrum of an entry: all its variables with a value at each point.

    The definition of the region, attribute `region`, becomes `definition`.
    """
    data = members(member(entry, "data"))
    (axis, *_) = [axis for axis in _AXES if axis in data]
    metadata = _metadata(all_attributes(entry))
    # a reading has no region
    metadata.setdefault("region", metadata.get("channel", ""))
    for key in ("sample", "edge"):
        if key not in metadata:
            raise KeyError(f"entry {region} has no attribute {key}")
    metadata["definition"] = metadata["region"]
    metadata["region"] = region
    variables = schema.spectrum(axis)
    columns = (name for name, v in variables.items() if v.dims == (axis,))
    stored = {name: data[name] for name in columns if name in data and name != axis}
    return Spectrum(
        axis=axis,
        energy=read_array(data[axis]).astype(float),
        columns={
            column: read_array(values).astype(float)
            for column, values in stored.items()
        },
        units={
            column: attribute_text(values, "units") for column, values in stored.items()
        },
        metadata=metadata,
    )


def _metadata(attributes: dict[str, object]) -> dict[str, str]:
    """Return attributes as text, the experiment item by item."""
    metadata = {
        key: str(value)
        for key, value in attributes.items()
        if key not in _INTERNAL_ATTRIBUTES
    }
    experiment = parse_json(metadata.pop("experiment", "{}").encode())
    if not isinstance(experiment, dict):
        raise InputError("attribute experiment is not a mapping")
    for key, value in experiment.items():
        metadata[key] = ", ".join(value) if isinstance(value, list) else str(value)
    return metadata


def read_comparison(file: Path) -> dict[str, Spectrum]:
    """Read the spectra and differences of every entry of a comparison.

    Parameters
    ----------
    file
        The product.

    Returns
    -------
    dict of str to Spectrum
        By region; the columns are named after variable and sample.

    Raises
    ------
    InputError
        Not a product.
    """
    spectra = {}
    for region, dataset in nexus.read_entries(file).items():
        axis = str(dataset["intensity"].dims[1])
        columns, units = {}, {}
        variables = schema.comparison(axis)
        for dim in ("sample", "compared"):
            names = [name for name, v in variables.items() if v.dims == (dim, axis)]
            stored = [name for name in names if name in dataset]
            for row, sample in enumerate(dataset[dim].values):
                for name in stored:
                    column = f"{name}_{safe_name(str(sample))}"
                    columns[column] = dataset[name].values[row]
                    units[column] = str(dataset[name].attrs.get("units", ""))
        metadata = _metadata({str(k): v for k, v in dataset.attrs.items()})
        energy = dataset[axis].values
        spectra[region] = Spectrum(axis, energy, columns, units, metadata)
    return spectra
