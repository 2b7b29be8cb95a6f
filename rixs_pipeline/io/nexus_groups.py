"""What NeXus readers expect in an entry beside its data: from the entry's attributes.

References
----------
https://manual.nexusformat.org/classes, base classes and NXxas_pfy
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

SIMULATED = "simulated"  # number of the beamtime in the logs of the simulator
_TERMS = ("doi", "licence")  # of the experiment, which have no field of their own
_EDGES = {"K": "K", "L": "L2,3"}  # shell -> name of NXabsorption_edge
_ELEMENTS = {
    "C": "carbon",
    "N": "nitrogen",
    "O": "oxygen",
    "F": "fluorine",
    "Ti": "titanium",
    "V": "vanadium",
    "Cr": "chromium",
    "Mn": "manganese",
    "Fe": "iron",
    "Co": "cobalt",
    "Ni": "nickel",
    "Cu": "copper",
    "Zn": "zinc",
}
# reference line -> name of NXemission_line
_LINES = {"Ka": "Ka1", "Kb": "Kb1", "La": "La1", "Lb": "Lb1"}


@dataclass
class NexusGroup:
    """A group: its class, its attributes, and its fields and groups by name.

    Fields are text, numbers, or (dimension, values, units).
    """

    nx_class: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, NexusGroup] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, xr.Variable]:
        """Return the fields as variables."""
        import xarray as xr

        variables = {}
        for name, value in self.fields.items():
            dim, values, units = value if isinstance(value, tuple) else ("", value, "")
            dims = (dim,) if dim else ()
            attributes = {"units": units} if units else {}
            variables[name] = xr.Variable(dims, values, attributes)
        return variables


def entry_groups(
    name: str, dataset: xr.Dataset, attributes: Mapping[str, Any]
) -> NexusGroup:
    """Return fields and groups of an entry.

    Parameters
    ----------
    name
        Of the entry.
    dataset
        Its data.
    attributes
        Of the entry, those of the dataset among them.

    Returns
    -------
    NexusGroup
        Without a class: its content goes beside the data.
    """
    experiment = dict(attributes.get("experiment") or {})
    entry = NexusGroup(fields={"title": _title(name, dataset, attributes)})
    texts = {
        "start_time": attributes.get("start_time"),
        "end_time": attributes.get("end_time"),
        "experiment_identifier": experiment.get("proposal"),
        "collection_identifier": experiment.get("beamtime"),
        "experiment_facility": experiment.get("facility"),
    }
    entry.fields |= {key: text for key, text in texts.items() if text}
    for number, user in enumerate(experiment.get("users", []), start=1):
        entry.groups[f"user_{number}"] = NexusGroup("NXuser", {"name": user})
    terms = [f"{key}: {experiment[key]}" for key in _TERMS if key in experiment]
    if terms:
        entry.groups["notes"] = NexusGroup("NXnote", {"description": "; ".join(terms)})
    samples = _samples(dataset, attributes)
    for number, sample in enumerate(samples, start=1):
        key = "sample" if len(samples) == 1 else f"sample_{number}"
        entry.groups[key] = NexusGroup("NXsample", {"name": sample})
    entry.groups["instrument"] = _instrument(dataset, attributes, experiment)
    return entry


def _title(name: str, dataset: xr.Dataset, attributes: Mapping[str, Any]) -> str:
    """Return run, samples, edge and entry, as far as there are."""
    parts = [
        attributes.get("run"),
        *_samples(dataset, attributes),
        attributes.get("edge"),
        None if name == "entry" else name,
    ]
    return " ".join(str(part) for part in parts if part)


def _samples(dataset: xr.Dataset, attributes: Mapping[str, Any]) -> list[str]:
    """Return the sample of an entry, or those that it compares."""
    if "sample" in attributes:
        return [str(attributes["sample"])]
    return list(map(str, dataset["sample"].values)) if "sample" in dataset else []


def _instrument(
    dataset: xr.Dataset, attributes: Mapping[str, Any], experiment: Mapping[str, Any]
) -> NexusGroup:
    """Return source, monochromator and detector."""
    source = NexusGroup("NXsource", {"probe": "x-ray"})
    if "facility" in experiment:
        source.fields["name"] = experiment["facility"]
    monochromator = NexusGroup("NXmonochromator")
    if "monochromator" in experiment:
        monochromator.fields["description"] = experiment["monochromator"]
    parked_energy = float(attributes.get("parked_energy", np.nan))
    if "incident_energy" in dataset:
        energy = dataset["incident_energy"].values
        monochromator.fields["energy"] = ("energy", energy, "eV")
    elif np.isfinite(parked_energy):
        monochromator.fields["energy"] = ("", parked_energy, "eV")
    detector = NexusGroup(
        "NXdetector",
        {"description": "array of transition-edge sensors", "type": "microcalorimeter"},
    )
    groups = {"source": source, "monochromator": monochromator, "detector": detector}
    fields = {"name": experiment["beamline"]} if "beamline" in experiment else {}
    return NexusGroup("NXinstrument", fields, groups)


def is_pfy(attributes: Mapping[str, Any]) -> bool:
    """Return whether NXxas_pfy describes an entry: a PFY of lines of its element."""
    return str(attributes.get("emission_lines", "[]")) != "[]"


def pfy_entry(name: str, dataset: xr.Dataset) -> NexusGroup:
    """Return the entry of a file that follows NXxas_pfy.

    Parameters
    ----------
    name
        Of the region.
    dataset
        As `schema.spectrum`, with the attributes of its entry; see `is_pfy`.

    Returns
    -------
    NexusGroup
        Complete, with a group `data`.
    """
    attributes = dataset.attrs
    experiment = json.loads(attributes.get("experiment", "{}"))
    entry = entry_groups(name, dataset, attributes | {"experiment": experiment})
    element, _, shell = str(attributes["edge"]).partition("_")
    units = str(dataset["intensity"].attrs.get("units", ""))
    window = np.array(json.loads(attributes["emission_window"]), dtype=float)
    spectrum = {
        "energy": ("energy", dataset["incident_energy"].values, "eV"),
        "intensity": ("energy", dataset["intensity"].values, units),
        "intensity_errors": ("energy", dataset["intensity_errors"].values, units),
    }
    entry.nx_class = "NXentry"
    entry.attributes = {"default": "data"}
    entry.fields |= spectrum
    entry.fields |= {
        "definition": "NXxas_pfy",
        "is_experimental": experiment.get("beamtime") != SIMULATED,
        "emission_energy_window": ("limit", window, "eV"),
    }
    plot = {"signal": "intensity", "axes": "energy"}
    entry.groups["data"] = NexusGroup("NXdata", spectrum, attributes=plot)
    entry.groups["element"] = NexusGroup(
        "NXelement", {"symbol": element, "name": _ELEMENTS[element]}
    )
    entry.groups["edge"] = NexusGroup("NXabsorption_edge", {"name": _EDGES[shell]})
    for line in json.loads(attributes["emission_lines"]):
        line_name = _LINES[line.partition("_")[2]]
        group = NexusGroup("NXemission_line", {"name": line_name})
        entry.groups[f"{line_name}_emission_line"] = group
    return entry
