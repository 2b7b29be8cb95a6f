"""The files of a beamtime directory, each recognised by its content."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import FileKind, named_errors, open_regular
from rixs_pipeline.io.beamtime.log_copies import LogCopies
from rixs_pipeline.io.caches.file_status import FileStatus, file_status
from rixs_pipeline.io.formats import json_log, photon_list, ssrl_ascii, ssrl_log
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.formats.values import TimeForm
from rixs_pipeline.io.runs import RefusedRun

# in every folder of results; others may have a config or a run.json, too
_OF_RESULTS = {paths.RUN_SUMMARY, paths.RESOLVED_CONFIG, paths.OWNER_FILE}

_HEAD_BYTES = 4096  # of a file, by which its format is recognised
_DATA_SUFFIXES = {".off", ".ljh", ".dat", ".npz", ".npy", ".h5", ".hdf5", ".spec"}

PulseSetKey = tuple[Path, str]  # folder, prefix of the file names


@dataclass
class BeamtimeFiles:
    """The files of a beamtime, by format; logs and SSRL ASCII scans are read."""

    logs: list[LogRun] = field(default_factory=list)
    off_files: dict[PulseSetKey, list[Path]] = field(
        default_factory=lambda: defaultdict(list)
    )
    state_files: dict[PulseSetKey, Path] = field(default_factory=dict)
    ascii_scans: list[ssrl_ascii.AsciiScan] = field(default_factory=list)
    photon_lists: list[Path] = field(default_factory=list)
    ljh_files: list[Path] = field(default_factory=list)
    unknown_files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: list[RefusedRun] = field(default_factory=list)  # logs that are damaged

    def add(self, others: "BeamtimeFiles") -> None:
        """Add further files."""
        for prefix, paths_of_set in others.off_files.items():
            self.off_files[prefix] += paths_of_set
        self.state_files |= others.state_files
        self.logs += others.logs
        self.ascii_scans += others.ascii_scans
        self.photon_lists += others.photon_lists
        self.ljh_files += others.ljh_files
        self.unknown_files += others.unknown_files
        self.problems += others.problems
        self.refused += others.refused


@dataclass
class FileReader:
    """Reads files, each again only after it has changed."""

    _known: dict[Path, tuple[FileStatus, BeamtimeFiles]] = field(default_factory=dict)

    def read(self, path: Path) -> BeamtimeFiles:
        """Return what one file is, or why it cannot be used; not to be changed."""
        try:
            status = file_status(path)
        except InputError:  # removed since it was listed
            self._known.pop(path, None)
            return _read_file(path)
        known = self._known.get(path)
        if known is not None and known[0] == status:
            return known[1]
        found = _read_file(path)
        if not (found.problems or found.refused):  # permissions may be mended
            self._known[path] = status, found
        return found


def list_files(root: Path) -> dict[Path, FileStatus]:
    """Return the files of a beamtime directory with their sizes and times.

    Folders and files that cannot be read, or that are removed meanwhile, are left out.
    """
    files = {}
    for path in _walk(root, []):
        with suppress(OSError):
            status = path.stat()
            files[path] = FileStatus.of(status)
    return files


def collect_files(
    root: Path, copies: LogCopies | None = None, reader: FileReader | None = None
) -> BeamtimeFiles:
    """Walk the directory and sort its files by format.

    Parameters
    ----------
    root
        The directory.
    copies
        Logs as they were last read whole; they replace those that are half written now.
    reader
        Has read files before.

    Returns
    -------
    BeamtimeFiles
        Of all formats.
    """
    files = BeamtimeFiles()
    reader = reader or FileReader()
    for path in _walk(root, files.problems):
        found = reader.read(path)
        if copies and not (found.off_files or found.state_files):
            found = _last_whole_log(path, found, copies)
        files.add(found)
    return files


def _read_file(path: Path) -> BeamtimeFiles:
    """Return what one file is, or why it cannot be used."""
    found = BeamtimeFiles()
    try:
        with named_errors(path):
            _sort_file(path, found)
    except InputError as error:
        if name := json_log.run_of_file_name(path):
            found.refused.append(RefusedRun(name, str(error)))
        else:
            found.problems.append(str(error))
    return found


def _last_whole_log(
    path: Path, found: BeamtimeFiles, copies: LogCopies
) -> BeamtimeFiles:
    """Return a log as it was last read whole, if it lacks runs that it had then."""
    if found.logs and not found.refused:
        copies.whole.append(path)
        return found
    copy = copies.find(path)
    kept = _read_file(copy) if copy else BeamtimeFiles()
    if {log.name for log in kept.logs} <= {log.name for log in found.logs}:
        return found
    kept.logs = [replace(log, log=path) for log in kept.logs]
    problem = "incomplete (it is being written, or was cut off)"
    if not os.access(path, os.R_OK):
        problem = "cannot be read (check its permissions)"
    kept.problems = [f"{path}: {problem}; used as it was when it was last whole"]
    return kept


def _walk(root: Path, problems: list[str]) -> Iterator[Path]:
    """Yield all files in a stable order, without hidden files and our own products.

    Links are followed, each folder once.
    """

    def report_unreadable(error: OSError) -> None:
        problems.append(
            f"{error.filename}: cannot be read ({error.strerror}); check its "
            f"permissions"
        )

    visited: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(
        root, followlinks=True, onerror=report_unreadable
    ):
        try:
            status = Path(folder).stat()
        except OSError as error:  # removed since it was listed
            report_unreadable(error)
            subfolders.clear()
            continue
        identity = status.st_dev, status.st_ino
        is_output = set(names) >= _OF_RESULTS and Path(folder) != root
        if is_output or identity in visited:
            subfolders.clear()
            continue
        visited.add(identity)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _sort_file(path: Path, files: BeamtimeFiles) -> None:
    """Add one file to those of its format; what does not look like data is ignored."""
    if match := paths.OFF_FILE.fullmatch(path.name):
        files.off_files[path.parent, match["prefix"]].append(path)
        return
    if path.name.endswith(paths.EXPERIMENT_STATE_SUFFIX):
        prefix = path.name.removesuffix(paths.EXPERIMENT_STATE_SUFFIX)
        files.state_files[path.parent, prefix] = path
        return
    with open_regular(path, FileKind.PULSES) as stream:
        head = stream.read(_HEAD_BYTES)
    if paths.LJH_FILE.fullmatch(path.name) or head.startswith(b"#LJH"):
        files.ljh_files.append(path)
    elif b"file_header: true" in head:
        log = ssrl_log.read(path)
        files.logs.extend(log.runs)
        files.problems.extend(log.problems)
        files.refused.extend(log.refusals)
    elif _may_be_json_log(path, head):
        run = json_log.read(path)
        files.logs.extend([run] if run else [])
    elif ssrl_ascii.is_ascii_scan(head):
        files.ascii_scans.append(ssrl_ascii.read(path))
    elif head.startswith(b"PK") and photon_list.is_photon_list(path):
        files.photon_lists.append(path)
    elif path.suffix.lower() in _DATA_SUFFIXES:
        files.unknown_files.append(path)


def _may_be_json_log(path: Path, head: bytes) -> bool:
    """Return whether a file has the name of a JSON log, or its keys.

    A log that is truncated before its keys is known by its name.
    """
    if path.suffix == ".json" and path.name.startswith(("scan", "calibration")):
        return True
    return head.lstrip().startswith(b"{") and b'"scan_num"' in head


def unread_files(files: BeamtimeFiles) -> list[str]:
    """Return one line for each kind of file that looks like data and is not read."""
    problems = []
    if files.ljh_files:
        problems.append(
            f"{files.ljh_files[0]}: {len(files.ljh_files)} LJH files of raw pulses not "
            "read; apply an optimal filter and write OFF files"
        )
    for suffix in sorted({path.suffix.lower() for path in files.unknown_files}):
        first, *further = [
            path for path in files.unknown_files if path.suffix.lower() == suffix
        ]
        count = f" and {len(further)} more {suffix} files" if further else ""
        problems.append(f"{first}{count}: unknown format; not read")
    return problems


def guessed_times(logs: Sequence[LogRun]) -> list[str]:
    """Return one line for each form of times that is recognised by their size."""
    files: dict[TimeForm, list[Path]] = {}
    for log in logs:
        if log.time_form.is_guessed and log.log is not None:
            files.setdefault(log.time_form, []).append(log.log)
    problems = []
    for form, logs_of_form in files.items():
        count = (
            f" and {len(logs_of_form) - 1} more logs" if len(logs_of_form) > 1 else ""
        )
        how = "read as such by the size of the numbers"
        if form is TimeForm.TEXT_WITHOUT_ZONE:
            how = "read as UTC"
        problems.append(f"{logs_of_form[0]}{count}: times are {form}; {how}")
    return problems
