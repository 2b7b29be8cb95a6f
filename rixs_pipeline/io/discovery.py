"""Find the runs of a beamtime directory.

Walk it, recognise each file by its content, and join logs, pulses and readings.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from rixs_pipeline import paths
from rixs_pipeline.config import BeamtimeConfig
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.build_runs import build_runs, make_relative
from rixs_pipeline.io.formats import (
    experiment_state,
    json_log,
    off,
    photon_list,
    ssrl_ascii,
    ssrl_log,
)
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.join_pulses import PulseSet, join_pulses
from rixs_pipeline.io.runs import Beamtime

_HEAD_BYTES = 4096  # of a file, by which its format is recognised
_DATA_SUFFIXES = {".off", ".ljh", ".dat", ".npz", ".npy", ".h5", ".hdf5", ".spec"}

_PulseSetKey = tuple[Path, str]  # folder, prefix of the file names


@dataclass
class _BeamtimeFiles:
    """The files of a beamtime, by format; logs and SSRL ASCII scans are read."""

    logs: list[LogRun] = field(default_factory=list)
    off_files: dict[_PulseSetKey, list[Path]] = field(
        default_factory=lambda: defaultdict(list)
    )
    state_files: dict[_PulseSetKey, Path] = field(default_factory=dict)
    ascii_scans: list[ssrl_ascii.AsciiScan] = field(default_factory=list)
    photon_lists: list[Path] = field(default_factory=list)
    ljh_files: list[Path] = field(default_factory=list)
    unknown_files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def discover(path: Path, config: BeamtimeConfig | None = None) -> Beamtime:
    """Return the runs of a beamtime directory; reads logs and headers, no pulses.

    Problems are one line each, with the file and what to do: those of a run in
    `Run.problems`, all others in `Beamtime.problems`.

    Parameters
    ----------
    path
        The directory.
    config
        Corrects samples, edges and readings, and excludes scans.

    Returns
    -------
    Beamtime
        Runs in order of time.

    Raises
    ------
    InputError
        Not a directory, no usable run, or the config names a file of readings that is
        missing or does not fit its scan.
    """
    if not path.is_dir():
        raise InputError(f"{path}: not a directory; give the folder of a beamtime")
    files = _collect_files(path)
    pulse_sets = [
        _read_pulse_set(key, off_files, files)
        for key, off_files in sorted(files.off_files.items())
    ]
    joined = join_pulses(files.logs, pulse_sets, files.photon_lists)
    if not joined.runs:
        reasons = [*files.problems, *joined.problems]
        reason = f" ({reasons[0]})" if reasons else ""
        raise InputError(f"{path}: no usable scan or reference run{reason}")
    built = build_runs(joined.runs, files.ascii_scans, config or BeamtimeConfig(), path)
    problems = [
        *files.problems,
        *_unread_files(files),
        *joined.problems,
        *_missing_kinds(path, {run.kind for run in built.runs}),
        *built.problems,
    ]
    relative_problems = tuple(make_relative(problem, path) for problem in problems)
    return Beamtime(path, built.runs, relative_problems)


def _missing_kinds(path: Path, kinds: set[str]) -> list[str]:
    """Return one line for each kind of run that the beamtime lacks."""
    names = {"scan": "scans", "calibration": "reference runs"}
    return [
        f"{path}: no {name}; look for missing or unreadable logs"
        for kind, name in names.items()
        if kind not in kinds
    ]


def _collect_files(root: Path) -> _BeamtimeFiles:
    """Walk the directory and sort its files by format."""
    files = _BeamtimeFiles()
    for path in _walk(root, files.problems):
        try:
            _sort_file(path, files)
        except (InputError, OSError) as error:
            files.problems.append(_read_problem(path, error))
    return files


def _read_problem(path: Path, error: InputError | OSError) -> str:
    """Return one line for a file that cannot be read."""
    if isinstance(error, InputError):
        return str(error)
    return (
        f"{path}: cannot be read ({error.strerror}); check the link and its permissions"
    )


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
        status = Path(folder).stat()
        identity = status.st_dev, status.st_ino
        is_output = {paths.RUN_SUMMARY, paths.RESOLVED_CONFIG} <= set(names)
        if is_output or identity in visited:
            subfolders.clear()
            continue
        visited.add(identity)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _sort_file(path: Path, files: _BeamtimeFiles) -> None:
    """Add one file to those of its format; what does not look like data is ignored."""
    if match := paths.OFF_FILE.fullmatch(path.name):
        files.off_files[path.parent, match["prefix"]].append(path)
        return
    if path.name.endswith(paths.EXPERIMENT_STATE_SUFFIX):
        prefix = path.name.removesuffix(paths.EXPERIMENT_STATE_SUFFIX)
        files.state_files[path.parent, prefix] = path
        return
    if not S_ISREG(path.stat().st_mode):  # a named pipe would block for ever
        return
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if paths.LJH_FILE.fullmatch(path.name) or head.startswith(b"#LJH"):
        files.ljh_files.append(path)
    elif b"file_header: true" in head:
        log = ssrl_log.read(path)
        files.logs.extend(log.runs)
        files.problems.extend(log.problems)
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


def _read_pulse_set(
    key: _PulseSetKey, paths_of_set: list[Path], files: _BeamtimeFiles
) -> PulseSet:
    """Read the headers and experiment states of a set of OFF files.

    Unreadable files are left out and added to the problems.
    """
    folder, prefix = key
    headers: dict[Path, off.OffHeader] = {}
    times: list[int] = []
    for path in sorted(paths_of_set, key=off.pixel_number):
        try:
            headers[path] = off.read_header(path)
            record_times = off.read_record_times(path, headers[path])
        except (InputError, OSError) as error:
            files.problems.append(_read_problem(path, error))
            continue
        if record_times:
            times += [record_times.first_ns, record_times.last_ns]
    states = experiment_state.ExperimentStates()
    if key in files.state_files:
        states = experiment_state.read(files.state_files[key])
        files.problems.extend(states.problems)
    empty = [path for path, header in headers.items() if header.n_records == 0]
    truncated = [path for path, header in headers.items() if header.truncated_bytes]
    if empty:
        files.problems.append(
            f"{folder / prefix}: no pulses in pixel {_pixel_numbers(empty)} (dead or "
            "switched off); pixel not used"
        )
    if truncated:
        files.problems.append(
            f"{folder / prefix}: last record of pixel {_pixel_numbers(truncated)} is "
            "incomplete (file still being written?); record not used"
        )
    return PulseSet(
        folder=folder,
        prefix=prefix,
        files=tuple(headers),
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        states=states.intervals,
    )


def _pixel_numbers(off_files: list[Path]) -> str:
    """Return the pixel numbers of files, such as `3, 5, 7`."""
    return ", ".join(str(off.pixel_number(path)) for path in off_files)


def _unread_files(files: _BeamtimeFiles) -> list[str]:
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
