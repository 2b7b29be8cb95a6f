"""`ro-crate-metadata.json`: what is in a packed reduction, in terms of schema.org.

References
----------
RO-Crate 1.1, https://w3id.org/ro/crate/1.1; Process Run Crate 0.5,
https://w3id.org/ro/wfrun/process/0.5
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rixs_pipeline.config import Config
from rixs_pipeline.runner.crate.contents import DESCRIPTIONS, PackedFile

METADATA = "ro-crate-metadata.json"
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
_RO_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_PROGRAM = "#rixs-pipeline"
_REDUCTION = "#reduction"
_RAW_DATA = "#beamtime"
_LICENCE_NAME = re.compile(r"[A-Za-z0-9.+-]+")  # such as CC-BY-4.0
_DOI = re.compile(
    r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(?P<doi>10\.\d{4,9}/\S+)", re.IGNORECASE
)
_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".nxs": "application/x-hdf5",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """What the metadata are made from.

    Attributes
    ----------
    summary
        The content of run.json.
    config
        Of the reduction.
    files
        Of the crate, but the metadata themselves.
    """

    summary: Mapping[str, Any]
    config: Config
    files: Sequence[PackedFile]


def crate_metadata(described: Described) -> Entity:
    """Return the content of the metadata file.

    Parameters
    ----------
    described
        The reduction and its files.

    Returns
    -------
    dict
        JSON-LD.
    """
    people = [_person(name) for name in described.config.experiment.users]
    licence = _licence(described.config.experiment.licence)
    graph = [
        _descriptor(),
        _root(described, people, licence),
        {
            "@id": _PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        _program(described.summary),
        _reduction(described, people),
        _raw_data(described.config),
        *people,
        *([licence] if isinstance(licence, dict) else []),
        *_folders(described.files),
        *map(_file, described.files),
    ]
    return {"@context": _CONTEXT, "@graph": graph}


def _references(names: Sequence[str]) -> Entity | list[Entity]:
    """Return references to entities; one alone is no list, as RO-Crate asks for."""
    references = [{"@id": name} for name in names]
    return references[0] if len(references) == 1 else references


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _RO_CRATE},
        "about": {"@id": "./"},
    }


def _root(
    described: Described, people: Sequence[Entity], licence: Entity | str
) -> Entity:
    experiment = described.config.experiment
    places = [
        text for text in (experiment.facility, experiment.beamline) if text is not None
    ]
    where = f" measured at {', '.join(places)}" if places else ""
    top = list(dict.fromkeys(map(_top, described.files)))
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": _PROFILE},
        "name": f"Reduction of RIXS data{where}",
        "description": (
            "Calibrated RIXS maps and spectra with their errors, from the pulses of a "
            f"TES spectrometer{where}, with the config, the versions of the program "
            "and its libraries, and the checksums of all files"
        ),
        "datePublished": described.summary["started"],
        "license": {"@id": licence["@id"]} if isinstance(licence, dict) else licence,
        "hasPart": _references(top),
        "mentions": {"@id": _REDUCTION},
    }
    if people:
        root["author"] = _references([person["@id"] for person in people])
    identifiers = [
        f"{name} {value}"
        for name, value in (
            ("proposal", experiment.proposal),
            ("beamtime", experiment.beamtime),
        )
        if value
    ]
    if identifiers:
        root["identifier"] = ", ".join(identifiers)
    return root


def _licence(licence: str | None) -> Entity | str:
    """Return the entity of a licence that has a short name, or its text."""
    if licence is None:
        return "not stated"
    if licence.startswith(("https://", "http://")):
        return {"@id": licence, "@type": "CreativeWork", "name": licence}
    if _LICENCE_NAME.fullmatch(licence):
        address = f"https://spdx.org/licenses/{licence}"
        return {"@id": address, "@type": "CreativeWork", "name": licence}
    return licence


def _person(name: str) -> Entity:
    identifier = re.sub(r"\W+", "-", name).strip("-") or "unnamed"
    return {"@id": f"#{identifier}", "@type": "Person", "name": name}


def _program(summary: Mapping[str, Any]) -> Entity:
    return {
        "@id": _PROGRAM,
        "@type": "SoftwareApplication",
        "name": "rixs_pipeline",
        "softwareVersion": summary["program_version"],
    }


def _reduction(described: Described, people: Sequence[Entity]) -> Entity:
    summary = described.summary
    names = {file.name for file in described.files}
    inputs = [name for name in ("config.yaml",) if name in names]
    inputs += sorted(name for name in names if name.startswith("references/"))
    action: Entity = {
        "@id": _REDUCTION,
        "@type": "CreateAction",
        "name": "reduction",
        "description": summary.get("command") or "rixs-pipeline run",
        "instrument": {"@id": _PROGRAM},
        "startTime": summary["started"],
        "object": _references([*inputs, _RAW_DATA]),
        "result": _references(
            [file.name for file in described.files if file.is_result]
        ),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    if people:
        action["agent"] = _references([person["@id"] for person in people])
    return action


def _raw_data(config: Config) -> Entity:
    """Return the entity of the raw data, which are not in the crate."""
    experiment = config.experiment
    raw_data: Entity = {
        "@id": _RAW_DATA,
        "@type": "CreativeWork",
        "name": "raw data: pulses and logs of the beamtime",
    }
    if experiment.doi:
        doi = _DOI.fullmatch(experiment.doi)
        raw_data["identifier"] = (
            f"https://doi.org/{doi['doi']}" if doi else experiment.doi
        )
    return raw_data


def _top(file: PackedFile) -> str:
    """Return the folder of a file, or the file if it has none."""
    folder = PurePosixPath(file.name).parent.as_posix()
    return file.name if folder == "." else f"{folder}/"


def _folders(files: Sequence[PackedFile]) -> list[Entity]:
    parts: dict[str, list[str]] = {}
    for file in files:
        if (folder := _top(file)) != file.name:
            parts.setdefault(folder, []).append(file.name)
    return [
        {
            "@id": folder,
            "@type": "Dataset",
            "name": folder.removesuffix("/"),
            "description": DESCRIPTIONS.get(folder.split("/")[0], "files"),
            "hasPart": _references(names),
        }
        for folder, names in parts.items()
    ]


def _file(file: PackedFile) -> Entity:
    path = PurePosixPath(file.name)
    entity: Entity = {
        "@id": file.name,
        "@type": "File",
        "name": path.name,
        "contentSize": str(file.size),
    }
    if path.name in DESCRIPTIONS:
        entity["description"] = DESCRIPTIONS[path.name]
    if path.suffix in _MEDIA_TYPES:
        entity["encodingFormat"] = _MEDIA_TYPES[path.suffix]
    return entity
