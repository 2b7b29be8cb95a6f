"""Find the runs of a beamtime directory: walk it, recognise every file by its content, join what belongs together."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from rixs_pipeline import paths
from rixs_pipeline.config.models import BeamtimeConfig
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import build_runs as run_records
from rixs_pipeline.io import joining
from rixs_pipeline.io.formats import experiment_state, off, ssrl_ascii
from rixs_pipeline.io.formats import json_log as json_logs
from rixs_pipeline.io.formats import photon_list as photon_lists
from rixs_pipeline.io.formats import ssrl_log as ssrl_logs
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import Beamtime

_HEAD_BYTES = 4096
_DATA_SUFFIXES = {".off", ".ljh", ".dat", ".npz", ".npy", ".h5", ".hdf5", ".spec"}


@dataclass
class _Found:
    """What the walk met, by kind."""

    logs: list[LogRun] = field(default_factory=list)
    off_files: dict[tuple[Path, str], list[Path]] = field(
        default_factory=lambda: defaultdict(list)
    )
    state_files: dict[tuple[Path, str], Path] = field(default_factory=dict)
    ascii_scans: list[ssrl_ascii.AsciiScan] = field(default_factory=list)
    photon_lists: list[Path] = field(default_factory=list)
    ljh_files: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def discover(path: Path, config: BeamtimeConfig | None = None) -> Beamtime:
    """What a beamtime directory holds; reads logs and the headers of pulse files, no pulses.

    `config` corrects samples, edges and readings, and leaves out scans. What does not fit is a problem, one line
    that names the file and what to do: of a run in `Run.problems`, of everything else in `Beamtime.problems`.

    Raises:
        InputError: not a directory, nothing in it that can be used, or the config names a file of readings
            that is not there or does not fit its scan.
    """
    if not path.is_dir():
        raise InputError(f"{path}: not a directory; give the folder of a beamtime")
    found = _collect(path)
    sets = [
        _pulse_set(key, files, found) for key, files in sorted(found.off_files.items())
    ]
    joined, problems = joining.join(found.logs, sets, found.photon_lists)
    if not joined:
        reasons = found.problems + problems
        raise InputError(
            f"{path}: no scan and no calibration that can be used"
            + (f" ({reasons[0]})" if reasons else "")
        )
    runs, config_problems = run_records.finish(
        joined, found.ascii_scans, config or BeamtimeConfig(), path
    )
    for kind in ("scan", "calibration"):
        if not any(run.kind == kind for run in runs):
            problems.append(f"{path}: no {kind}s; look for missing or unreadable logs")
    everything = found.problems + _not_read(found) + problems + config_problems
    return Beamtime(
        path, runs, tuple(run_records.relative(problem, path) for problem in everything)
    )


def _collect(root: Path) -> _Found:
    """Walk the tree and sort its files; a file that cannot be read is a problem."""
    found = _Found()
    for file in _files(root, found.problems):
        try:
            _sort(file, found)
        except InputError as error:
            found.problems.append(str(error))
        except OSError as error:
            found.problems.append(
                f"{file}: cannot be read ({error.strerror}); check the link and its permissions"
            )
    return found


def _files(root: Path, problems: list[str]) -> Iterator[Path]:
    """All files in a stable order; links are followed, each folder once; what the pipeline wrote is left out."""

    def unreadable(error: OSError) -> None:
        problems.append(
            f"{error.filename}: cannot be read ({error.strerror}); check its permissions"
        )

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(
        root, followlinks=True, onerror=unreadable
    ):
        about = Path(folder).stat()
        is_output = {paths.RUN_SUMMARY, paths.RESOLVED_CONFIG} <= set(names)
        if is_output or (about.st_dev, about.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (
            Path(folder, name) for name in sorted(names) if not name.startswith(".")
        )


def _sort(file: Path, found: _Found) -> None:
    """Put one file where it belongs; what is neither known nor looks like data is left alone."""
    if match := paths.OFF_FILE.fullmatch(file.name):
        found.off_files[file.parent, match["prefix"]].append(file)
        return
    if file.name.endswith(paths.EXPERIMENT_STATE_SUFFIX):
        found.state_files[
            file.parent, file.name.removesuffix(paths.EXPERIMENT_STATE_SUFFIX)
        ] = file
        return
    if not S_ISREG(file.stat().st_mode):  # a named pipe would block for ever
        return
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if paths.LJH_FILE.fullmatch(file.name) or head.startswith(b"#LJH"):
        found.ljh_files.append(file)
    elif b"file_header: true" in head:
        log = ssrl_logs.read(file)
        found.logs.extend(log.runs)
        found.problems.extend(log.problems)
    elif _may_be_json_log(file, head):
        run = json_logs.read(file)
        found.logs.extend([run] if run else [])
    elif ssrl_ascii.is_ascii_scan(head):
        found.ascii_scans.append(ssrl_ascii.read(file))
    elif head.startswith(b"PK") and photon_lists.is_photon_list(file):
        found.photon_lists.append(file)
    elif file.suffix.lower() in _DATA_SUFFIXES:
        found.unknown.append(file)


def _may_be_json_log(file: Path, head: bytes) -> bool:
    """By its keys; a log that broke before the first of them is known by its name."""
    named = file.suffix == ".json" and file.name.startswith(("scan", "calibration"))
    return named or (head.lstrip().startswith(b"{") and b'"scan_num"' in head)


def _pulse_set(
    key: tuple[Path, str], files: list[Path], found: _Found
) -> joining.PulseSet:
    """Read the headers of one set of OFF files and its experiment states; broken files are left out."""
    folder, prefix = key
    headers: dict[Path, off.OffHeader] = {}
    times: list[int] = []
    for file in sorted(files, key=off.pixel_number):
        try:
            headers[file] = off.read_header(file)
            record_times = off.read_record_times(file, headers[file])
            if record_times:
                times += [record_times.first_ns, record_times.last_ns]
        except InputError as error:
            found.problems.append(str(error))
        except OSError as error:
            found.problems.append(
                f"{file}: cannot be read ({error.strerror}); check the link and its permissions"
            )
    states = experiment_state.ExperimentStates()
    if key in found.state_files:
        states = experiment_state.read(found.state_files[key])
        found.problems.extend(states.problems)
    name = folder / prefix
    empty = [
        off.pixel_number(file)
        for file, header in headers.items()
        if header.n_records == 0
    ]
    cut = [
        off.pixel_number(file)
        for file, header in headers.items()
        if header.truncated_bytes
    ]
    if empty:
        found.problems.append(
            f"{name}: no pulses in pixel {_listed(empty)} (dead or switched off): left out"
        )
    if cut:
        found.problems.append(
            f"{name}: the last record of pixel {_listed(cut)} is cut short (file still written?): ignored"
        )
    return joining.PulseSet(
        folder,
        prefix,
        tuple(headers),
        min(times, default=None),
        max(times, default=None),
        states.intervals,
    )


def _not_read(found: _Found) -> list[str]:
    """One line for each kind of file that looks like data and is not read."""
    problems = []
    if found.ljh_files:
        problems.append(
            f"{found.ljh_files[0]}: raw pulses; {len(found.ljh_files)} LJH files are not read: "
            "they need an optimal filter first, make OFF files of them"
        )
    for suffix in sorted({file.suffix.lower() for file in found.unknown}):
        files = [file for file in found.unknown if file.suffix.lower() == suffix]
        more = f" and {len(files) - 1} more {suffix} files" if len(files) > 1 else ""
        problems.append(f"{files[0]}{more}: not a format that is known here; not read")
    return problems


def _listed(numbers: list[int]) -> str:
    """`3, 5, 7`."""
    return ", ".join(str(number) for number in numbers)
