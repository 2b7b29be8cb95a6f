"""Turn joined logs into runs: names, samples, edges, readings, corrections."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rixs_pipeline.config import BeamtimeConfig, ScanCorrection
from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import is_file, one_line
from rixs_pipeline.io.beamtime.join_readings import find_misfit, join_readings
from rixs_pipeline.io.beamtime.joined_runs import JoinedRun
from rixs_pipeline.io.formats import ssrl_ascii
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.formats.ssrl_ascii import AsciiScan
from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import Edge, FloatArray

# Incident range in which an edge is scanned, eV: around the L3, L2 or K threshold, as
# beamtime proposals ask for it
EDGE_WINDOWS = {
    Edge.C_K: (280.0, 310.0),
    Edge.N_K: (395.0, 425.0),
    Edge.Ti_L: (450.0, 475.0),
    Edge.V_L: (508.0, 525.0),
    Edge.O_K: (526.0, 550.0),
    Edge.F_K: (680.0, 699.0),
    Edge.Cr_L: (570.0, 595.0),
    Edge.Mn_L: (635.0, 660.0),
    Edge.Fe_L: (700.0, 730.0),
    Edge.Co_L: (770.0, 805.0),
    Edge.Ni_L: (845.0, 880.0),
    Edge.Cu_L: (925.0, 960.0),
    Edge.Zn_L: (1015.0, 1050.0),
}


# A scan of F K begins before the edge of fluorides (687 to 692 eV) and goes beyond it;
# one of Fe L includes L2 (720 to 723 eV): binding energies of the X-ray data booklet,
# LBNL (2009), and chemical shifts. A scan that does both may be of either, eV.
F_K_LIMITS = (688.0, 695.0)
FE_L_LIMIT = 724.0
_LONGEST_PROBLEM = 1000  # characters
NEAR_EV = 10.0  # of its edge, in which a scan may still be one of this edge


@dataclass(frozen=True)
class BuiltRuns:
    """Runs in order of time, and one line for each ambiguity or unused config key."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]


def possible_edges(incident_energy: FloatArray) -> tuple[Edge, ...]:
    """Return F K, or F K and Fe L, where a scan that begins above Mn L includes them.

    Parameters
    ----------
    incident_energy
        Of the points, (point,), eV.

    Returns
    -------
    tuple of Edge
        Empty where F K is not included: then the ranges of the edges are distinct.
    """
    low = float(incident_energy.min())
    high = float(incident_energy.max())
    is_beyond_manganese = low >= EDGE_WINDOWS[Edge.Mn_L][1]
    if not (is_beyond_manganese and low <= F_K_LIMITS[0] and high >= F_K_LIMITS[1]):
        return ()
    return (Edge.F_K, Edge.Fe_L) if high >= FE_L_LIMIT else (Edge.F_K,)


def find_edge(incident_energy: FloatArray) -> Edge | None:
    """Return the edge whose window overlaps most with the incident energies, eV.

    None where there is none, or where F K and Fe L are both included.
    """
    low = float(incident_energy.min())
    high = float(incident_energy.max())
    possible = possible_edges(incident_energy)
    if possible:
        return possible[0] if len(possible) == 1 else None
    overlaps = {
        edge: min(high, window_high) - max(low, window_low)
        for edge, (window_low, window_high) in EDGE_WINDOWS.items()
    }
    best = max(overlaps, key=lambda edge: overlaps[edge])
    return best if overlaps[best] >= 0 else None


def build_runs(
    joined: Sequence[JoinedRun],
    ascii_scans: Sequence[AsciiScan],
    config: BeamtimeConfig,
    root: Path,
) -> BuiltRuns:
    """Name the runs, correct them, add their readings, leave out excluded ones.

    Parameters
    ----------
    joined
        Logs with their pulses, in order of time.
    ascii_scans
        Files that may hold readings.
    config
        Corrections and exclusions.
    root
        Folder of the beamtime.

    Returns
    -------
    BuiltRuns
        Runs in the order of `joined`.

    Raises
    ------
    InputError
        A file of readings that the config names is missing or does not fit its scan.
    """
    problems: list[str] = []
    names = _name_runs(joined, root, problems)
    named = dict(zip(names, joined, strict=True))
    logs = {name: run.log for name, run in named.items()}
    corrections = {
        name: _find_correction(log, name, config) for name, log in logs.items()
    }
    excluded = {
        name for name, log in logs.items() if _is_meant(log, name, config.exclude.scans)
    }
    configured_files = {
        name: root / correction.readings
        for name, correction in corrections.items()
        if correction.readings
    }
    readings = join_readings(
        scans={name: run for name, run in named.items() if run.log.kind == "scan"},
        files=[
            file for file in ascii_scans if file.path not in configured_files.values()
        ],
        settled=excluded | set(configured_files),
    )
    runs = []
    for name, log in logs.items():
        if name in excluded:
            continue
        run = _build_run(named[name], name, root)
        run = _correct(run, corrections[name], config.samples)
        if log.kind == "scan" and name in configured_files:
            file = _read_configured_file(log, configured_files[name])
            run = _add_readings(run, log, file)
        elif name in readings.files:
            run = _add_readings(run, log, readings.files[name])
        elif name in readings.misfits:
            misfit = make_relative(readings.misfits[name], root)
            run = replace(run, problems=(*run.problems, misfit))
        runs.append(run)
    mentioned = [*readings.misfits.values(), *readings.ambiguous]
    used = [run.readings_file for run in runs]
    settled = {logs[name].number for name in configured_files}
    candidates = [file for file in ascii_scans if file.number not in settled]
    problems += _unused_files(candidates, used, mentioned)
    problems += readings.ambiguous + _check_keys(logs, config)
    return BuiltRuns(tuple(runs), tuple(problems))


def _name_runs(
    joined: Sequence[JoinedRun], root: Path, problems: list[str]
) -> list[str]:
    """Return the names of runs, and add repeated numbers to the problems.

    `scan0001`; with the directory in front where the number is repeated; with `-2` at
    the end where the directory is the same too.
    """
    short_names = [run.log.name for run in joined]
    uses = Counter(short_names)
    repetitions: Counter[str] = Counter()
    names = []
    for run, name in zip(joined, short_names, strict=True):
        directory = _directory(run, root)
        if uses[name] > 1 and directory:
            name = f"{directory}-{name}"
        repetitions[name] += 1
        if repetitions[name] > 1:
            source = run.log.log or (run.pulses and run.pulses.name)
            unique_name = f"{name}-{repetitions[name]}"
            problems.append(
                f"{source}: another run in this folder has the number of {name}; "
                f"renamed {unique_name}"
            )
            name = unique_name
        names.append(name)
    return names


def _directory(run: JoinedRun, root: Path) -> str:
    """Return the folder of the pulses (or of the log), its parts joined by `-`."""
    if run.pulses:
        return "-".join(run.pulses.folder.relative_to(root).parts)
    if run.log.log is None:
        return ""
    parts = run.log.log.parent.relative_to(root).parts
    return "-".join(part for part in parts if part != "logs")


def _build_run(joined: JoinedRun, name: str, root: Path) -> Run:
    """Return a run as its log describes it."""
    log = joined.log
    problems = log.problems + joined.problems
    return Run(
        kind=log.kind,
        number=log.number,
        name=name,
        directory=_directory(joined, root),
        sample=log.sample,
        edge=log.edge,
        points=log.points,
        readings=log.readings,
        pulse_files=joined.pulses.files if joined.pulses else (),
        photon_list=joined.photon_list,
        log=log.log,
        reference_run=log.reference,
        complete=log.complete,
        beamtime=log.beamtime,
        problems=tuple(make_relative(problem, root) for problem in problems),
        label_ns=_find_label(joined),
        clock_offset=joined.clock_offset or log.clock_offset,
    )


def _find_label(joined: JoinedRun) -> tuple[int, int] | None:
    """Return start and end of the state with the label of a run; the nearest one."""
    log = joined.log
    limits = joined.pulses.limits_of_labels.get(log.state, []) if joined.pulses else []
    middle_ns = (log.start_ns + log.end_ns) // 2
    return min(
        limits,
        key=lambda ends: max(ends[0] - middle_ns, middle_ns - ends[1], 0),
        default=None,
    )


def _find_correction(log: LogRun, name: str, config: BeamtimeConfig) -> ScanCorrection:
    """Return the config's correction of a run; of several keys the last one counts."""
    keys = [key for key in config.scans if _is_meant(log, name, (key,))]
    return config.scans[keys[-1]] if keys else ScanCorrection()


def _correct(
    run: Run, correction: ScanCorrection, sample_names: Mapping[str, str]
) -> Run:
    """Return a run with the sample and edge of the config, or the edge of its range."""
    edge = correction.edge or run.edge
    problems = run.problems
    if run.kind == "scan":
        edge_of_range = find_edge(run.points.incident_energy)
        if edge and edge_of_range and not _may_be_at(run, edge):
            source = "`beamtime.scans`" if correction.edge else "the log"
            problems += (
                f"{run.name}: wrong edge {edge} in {source}, whose range the scan "
                f"does not reach; {edge_of_range} used",
            )
            edge = edge_of_range
        edge = edge or edge_of_range
    sample = correction.sample or sample_names.get(run.sample, run.sample)
    return replace(run, sample=sample, edge=edge, problems=problems)


def _may_be_at(run: Run, edge: Edge) -> bool:
    """Whether a scan comes near the range of an edge, or is at one higher energy."""
    low, high = EDGE_WINDOWS[edge]
    energy = run.points.incident_energy
    is_near = energy.min() <= high + NEAR_EV and energy.max() >= low - NEAR_EV
    return bool(is_near or np.ptp(energy) == 0)


def _read_configured_file(log: LogRun, path: Path) -> AsciiScan:
    """Read the file of readings that the config names."""
    key = f"beamtime.scans.{log.number}.readings"
    if not is_file(path):
        raise InputError(f"{one_line(str(path))}: no such file; correct `{key}`")
    file = ssrl_ascii.read(path)
    if misfit := find_misfit(log, file):
        raise InputError(f"{path}: {misfit}; correct `{key}`")
    return file


def _unused_files(
    files: Sequence[AsciiScan], used: Sequence[Path | None], mentioned: Sequence[str]
) -> list[str]:
    """Return a line for each file of readings that no scan uses, nor a line names."""
    return [
        f"{file.path}: belongs to no scan here, by scan number, folder, date and "
        "sample; readings not used"
        for file in files
        if file.path not in used
        and not any(str(file.path) in line for line in mentioned)
    ]


def _add_readings(run: Run, log: LogRun, file: AsciiScan) -> Run:
    """Return a run with the readings of a file; those of its log take precedence."""
    readings = file.readings
    if file.n_rows == log.n_logged:
        readings = {
            channel: values[log.position] for channel, values in readings.items()
        }
    return replace(run, readings=readings | run.readings, readings_file=file.path)


def _is_meant(log: LogRun, name: str, keys: Sequence[int | str]) -> bool:
    """Return whether keys of the config mean a run: its name, or a scan's number."""
    if log.kind == "scan" and (log.number in keys or str(log.number) in keys):
        return True
    return name in keys


def _check_keys(logs: Mapping[str, LogRun], config: BeamtimeConfig) -> list[str]:
    """Return a line for each config key that means several runs, or none."""
    keys = [("scans", key) for key in config.scans]
    keys += [("exclude.scans", key) for key in config.exclude.scans]
    keys += [
        ("exclude.points", key) for key in config.exclude.points if isinstance(key, int)
    ]
    if isinstance(config.clock_offset, Mapping):
        keys += [("clock_offset", key) for key in config.clock_offset]
    problems = []
    for section, key in keys:
        names = [name for name, log in logs.items() if _is_meant(log, name, (key,))]
        if len(names) > 1:
            problems.append(
                f"config: `beamtime.{section}`: {key} matches {len(names)} scans "
                f"({', '.join(names)}); applied to all (use a name to select one)"
            )
        elif not names and section != "exclude.points":  # reported with the pixels
            problems.append(
                f"config: `beamtime.{section}`: no scan {key} in this beamtime"
            )
    log_samples = {log.sample for log in logs.values()}
    for sample in config.samples:
        if sample not in log_samples:
            problems.append(
                f"config: `beamtime.samples`: sample '{sample}' not found in any log; "
                "check the spelling"
            )
    return problems


def make_relative(problem: str, root: Path) -> str:
    """Return a problem on one line, with paths relative to the beamtime.

    Parameters
    ----------
    problem
        One line.
    root
        Folder of the beamtime.

    Returns
    -------
    str
        The line without `root`.
    """
    if root != Path():
        problem = problem.replace(f"{root}{os.sep}", "")
    return one_line(problem, _LONGEST_PROBLEM)
