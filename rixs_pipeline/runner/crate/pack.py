"""Pack a reduction: products, config, record, report, figures and environment."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.load import load_config
from rixs_pipeline.config.reference_sets import find_set
from rixs_pipeline.config.yaml_lines import read_yaml, write_yaml
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.files.json_text import read_json
from rixs_pipeline.files.opening import FileKind, open_regular
from rixs_pipeline.io import csv_tables, nexus, temporaries
from rixs_pipeline.runner.crate.contents import (
    CHECKSUMS,
    ENVIRONMENT,
    NEEDED,
    REFERENCES,
    PackedFile,
)
from rixs_pipeline.runner.crate.metadata import METADATA, Described, crate_metadata
from rixs_pipeline.runner.results.lost_products import current_products, warn_excluded
from rixs_pipeline.runner.results.record import Record
from rixs_pipeline.runner.results.summary_file import (
    check_results,
    leftover_products,
    made_products,
)

LOG = logging.getLogger("rixs_pipeline")

SHOWN_PRODUCTS = 5  # of those that are missing or damaged
COPIED_BYTES = 1 << 20  # at a time
COMPRESSED = {".csv", ".html", ".json", ".txt", ".yaml"}  # others are so already
FILE_MODE = 0o100644  # a regular file that everybody may read
FOLDER_MODE = 0o040755


def pack(out: Path, archive: Path) -> list[PackedFile]:
    """Pack the results of a reduction into an RO-Crate.

    Parameters
    ----------
    out
        The folder of the results.
    archive
        The zip file to write; it appears whole or not at all.

    Returns
    -------
    list of PackedFile
        Its files, but the metadata.

    Raises
    ------
    UsageError
        Not a folder of results, its config is not that of the results, or the archive
        is no .zip file.
    InputError
        run.json or a product is missing or cannot be read.
    """
    if archive.suffix.lower() != ".zip" or archive.is_dir():
        raise UsageError(f"{archive}: not the name of a zip file; give -o FILE.zip")
    check_results(out, with_summary=True)
    summary_path = out / paths.RUN_SUMMARY
    record = Record.read(summary_path)
    config = load_config(record.config)
    record.check_config(config)
    _check_products(out)
    warn_excluded(out, leftover_products(out), "packed")
    summary = dict(read_json(summary_path, FileKind.SUMMARY))
    started = _started(summary)
    with temporaries.atomic_path(archive) as temporary:
        writer = _Writer(temporary, started)
        with writer.zip:
            for name, path in _files(out):
                writer.add_file(name, path)
            writer.add_text(ENVIRONMENT, _json(_environment(record)))
            reference = config.calibration.reference
            set_path = find_set(reference)
            if set_path == Path(reference):  # not one that ships with the program
                name = f"{REFERENCES}/{set_path.name}"
                writer.add_file(name, set_path, FileKind.CONFIG)
                writer.add_text(paths.RESOLVED_CONFIG, _with_reference(record, name))
            else:
                writer.add_file(paths.RESOLVED_CONFIG, record.config)
            sums = "".join(f"{file.sha256}  {file.name}\n" for file in writer.files)
            writer.add_text(CHECKSUMS, sums)
            described = Described(
                {**summary, "started": started.isoformat()}, config, writer.files
            )
            files = list(writer.files)
            writer.add_text(METADATA, _json(crate_metadata(described)))
    for key in ("users", "licence"):
        if not getattr(config.experiment, key):
            LOG.warning("%s: no %s; set `experiment.%s`", archive, key, key)
    return files


def _check_products(out: Path) -> None:
    """Check that all products that were made are there, whole.

    Raises
    ------
    InputError
        Names those that are not.
    """
    names = {*made_products(out), *_needed_products(out)}
    problems = [
        f"{name} {problem}"
        for name in sorted(names)
        if (problem := _problem(out / name))
    ]
    if problems:
        more = len(problems) - SHOWN_PRODUCTS
        shown = "; ".join(problems[:SHOWN_PRODUCTS])
        raise InputError(
            f"{out}: {shown}{f'; and {more} more' if more > 0 else ''}: not packed; "
            f"run again: rixs-pipeline run BEAMTIME -o {out}"
        )


def _problem(product: Path) -> str:
    """Return what is wrong with a product; it is read as a whole."""
    if not product.is_file():
        return "is missing"
    try:
        if product.suffix == ".csv":
            csv_tables.read_attributes(product)
        elif product.suffix == ".h5":
            nexus.entry_names(product)  # too large to be read for this
        else:
            for _ in nexus.iterate_entries(product):
                pass
    except InputError as error:
        LOG.debug("%s", error)
        return "cannot be read"
    return ""


def _needed_products(out: Path) -> dict[str, Path]:
    """Return the products that are packed, by name: not those of earlier reductions."""
    return {
        name: path
        for name, path in current_products(out).items()
        if NEEDED.fullmatch(name)
    }


def _files(out: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder of results that are packed, by name."""
    for name, path in sorted(_needed_products(out).items()):
        yield name, path
        attributes = csv_tables.attributes_path(path)
        if path.suffix == ".csv" and attributes.is_file():
            yield attributes.relative_to(out).as_posix(), attributes
    for path in (out / paths.RUN_SUMMARY, paths.report(out), *_figures(out)):
        if path.is_file():
            yield path.relative_to(out).as_posix(), path


def _figures(out: Path) -> list[Path]:
    """Return the figures that are packed: not those of earlier reductions."""
    leftovers = leftover_products(out)
    return [
        path
        for path in sorted(paths.figures_folder(out).rglob("*"))
        if paths.is_figure(name := path.relative_to(out).as_posix())
        and name not in leftovers
    ]


def _started(summary: dict[str, Any]) -> datetime:
    """Return when the reduction was started; now if run.json does not state it."""
    try:
        return datetime.fromisoformat(summary["started"])
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC).replace(microsecond=0)


def _environment(record: Record) -> dict[str, Any]:
    """Return the versions of the reduction, and all packages of this environment."""
    packages = {
        distribution.metadata["Name"]: distribution.version
        for distribution in metadata.distributions()
        if distribution.metadata["Name"]
    }
    return {
        "reduction": dict(record.versions),
        "packed with": dict(sorted(packages.items())),
    }


def _with_reference(record: Record, name: str) -> str:
    """Return the config with the reference set where it is in the crate."""
    values = read_yaml(record.config).data
    values["calibration"]["reference"] = name
    return write_yaml(values)


def _json(values: Any) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


class _Writer:
    """Adds files to an archive, with their digests."""

    def __init__(self, path: Path, time: datetime) -> None:
        self.zip = zipfile.ZipFile(path, "w")
        self.files: list[PackedFile] = []
        self._folders: set[str] = set()
        self._time = max(time.timetuple()[:6], (1980, 1, 1, 0, 0, 0))

    def add_file(
        self, name: str, path: Path, kind: FileKind = FileKind.PRODUCT
    ) -> None:
        """Add a file."""
        self._add_folder(name)
        digest = hashlib.sha256()
        size = 0
        with (
            open_regular(path, kind) as source,
            self.zip.open(self._entry(name), "w", force_zip64=True) as target,
        ):
            while part := source.read(COPIED_BYTES):
                digest.update(part)
                target.write(part)
                size += len(part)
        self.files.append(PackedFile(name, size, digest.hexdigest()))

    def add_text(self, name: str, text: str) -> None:
        """Add a text."""
        content = text.encode()
        with self.zip.open(self._entry(name), "w") as target:
            target.write(content)
        digest = hashlib.sha256(content).hexdigest()
        self.files.append(PackedFile(name, len(content), digest))

    def _add_folder(self, name: str) -> None:
        """Add the folder of a file, for which the metadata have an entity."""
        folder, slash, _ = name.rpartition("/")
        if slash and folder not in self._folders:
            self._folders.add(folder)
            entry = zipfile.ZipInfo(f"{folder}/", self._time)
            entry.external_attr = FOLDER_MODE << 16
            self.zip.writestr(entry, b"")

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, self._time)
        is_text = Path(name).suffix in COMPRESSED
        entry.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
        entry.external_attr = FILE_MODE << 16
        return entry
