"""From joined logs to the records that the stages see: names, samples, edges, readings, the config's corrections."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import BeamtimeConfig, ScanCorrection
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import ssrl_ascii
from rixs_pipeline.io.joining import Joined
from rixs_pipeline.io.log_runs import LogRun
from rixs_pipeline.io.runs import Run

# incident range, eV, in which an edge is scanned: proposals around the L3, L2 or K threshold
EDGE_WINDOWS = {
    "C_K": (280.0, 310.0),
    "N_K": (395.0, 425.0),
    "Ti_L": (450.0, 475.0),
    "V_L": (508.0, 525.0),
    "O_K": (526.0, 550.0),
    "Cr_L": (570.0, 595.0),
    "Mn_L": (635.0, 660.0),
    "Fe_L": (700.0, 730.0),
    "Co_L": (770.0, 805.0),
    "Ni_L": (845.0, 880.0),
    "Cu_L": (925.0, 960.0),
    "Zn_L": (1015.0, 1050.0),
}


def edge_of(incident_energy: NDArray[np.float64]) -> str | None:
    """The edge whose window has most of the range of the incident energies (eV) in common; None where none has any."""
    low, high = float(np.min(incident_energy)), float(np.max(incident_energy))
    common = {edge: min(high, window[1]) - max(low, window[0]) for edge, window in EDGE_WINDOWS.items()}
    best = max(common, key=lambda edge: common[edge])
    return best if common[best] >= 0 else None


def finish(
    joined: Sequence[Joined], ascii_scans: Sequence[ssrl_ascii.AsciiScan], config: BeamtimeConfig, root: Path
) -> tuple[tuple[Run, ...], list[str]]:
    """Name the runs, correct them, give them their readings, leave out what the config excludes.

    Returns:
        The runs in the order of `joined`, and one line for what is ambiguous or asked for in vain.

    Raises:
        InputError: a file of readings named in the config is not there or does not fit its scan.
    """
    names, problems = _names(joined, root)
    runs = []
    for run, name in zip(joined, names, strict=True):
        if _chosen(run.log, name, config.exclude.scans):
            continue
        keys = [key for key in config.scans if _chosen(run.log, name, (key,))]
        correction = config.scans[keys[-1]] if keys else ScanCorrection()
        runs.append(_record(run, name, correction, ascii_scans, config, root))
    return tuple(runs), problems + _asked_in_vain(joined, names, config)


def _record(
    run: Joined,
    name: str,
    correction: ScanCorrection,
    ascii_scans: Sequence[ssrl_ascii.AsciiScan],
    config: BeamtimeConfig,
    root: Path,
) -> Run:
    """The final record of one run."""
    log = run.log
    problems = list(log.problems + run.problems)
    from_file = None
    if log.kind == "scan":
        from_file = _readings_file(log, correction, ascii_scans, root, problems)
    columns = from_file.readings if from_file else {}
    readings = {channel: _at_points(log, values) for channel, values in columns.items()}
    edge = correction.edge or log.edge
    if edge is None and log.kind == "scan":
        edge = edge_of(log.points.incident_energy)
    return Run(
        kind=log.kind,
        number=log.number,
        name=name,
        directory=_directory(run, root),
        sample=correction.sample or config.samples.get(log.sample, log.sample),
        edge=edge,
        points=log.points,
        readings=readings | log.readings,
        pulse_files=run.pulses.files if run.pulses else (),
        photon_list=run.photon_list,
        log=log.log,
        readings_file=from_file.path if from_file else None,
        reference_run=log.reference,
        complete=log.complete,
        problems=tuple(relative(problem, root) for problem in problems),
    )


def relative(problem: str, root: Path) -> str:
    """A problem with its paths relative to the beamtime."""
    return problem if root == Path() else problem.replace(f"{root}{os.sep}", "")


def _directory(run: Joined, root: Path) -> str:
    """Where the pulses are, relative to the beamtime, parts joined by `-`; without pulses where the log is."""
    if run.pulses:
        return "-".join(run.pulses.folder.relative_to(root).parts)
    parts = run.log.log.parent.relative_to(root).parts if run.log.log else ()
    return "-".join(part for part in parts if part != "logs")


def _names(joined: Sequence[Joined], root: Path) -> tuple[list[str], list[str]]:
    """`scan0001`; with the directory in front where the number comes back; with `-2` where that is not enough."""
    short = [f"{'scan' if run.log.kind == 'scan' else 'cal'}{run.log.number:04d}" for run in joined]
    often = Counter(short)
    full = [
        f"{_directory(run, root)}-{name}" if often[name] > 1 and _directory(run, root) else name
        for run, name in zip(joined, short, strict=True)
    ]
    names, problems = [], []
    seen: Counter[str] = Counter()
    for run, name in zip(joined, full, strict=True):
        seen[name] += 1
        again = seen[name] > 1
        names.append(f"{name}-{seen[name]}" if again else name)
        if again:
            where = run.log.log or (run.pulses and run.pulses.name)
            problems.append(f"{where}: the number of {name} comes back in the same folder; named {names[-1]}")
    return names, problems


def _chosen(log: LogRun, name: str, keys: Sequence[int | str]) -> bool:
    """Whether the config means this run: scans by number, all runs by name."""
    by_number = log.kind == "scan" and (log.number in keys or str(log.number) in keys)
    return by_number or name in keys


def _asked_in_vain(joined: Sequence[Joined], names: Sequence[str], config: BeamtimeConfig) -> list[str]:
    """One line for each key of the config that no run answers to: most likely a slip."""
    runs = list(zip(joined, names, strict=True))
    asked = [("scans", key) for key in config.scans] + [("exclude.scans", key) for key in config.exclude.scans]
    problems = [
        f"config: beamtime.{section}: no scan {key} in this beamtime"
        for section, key in asked
        if not any(_chosen(run.log, name, (key,)) for run, name in runs)
    ]
    samples = {run.log.sample for run in joined}
    return problems + [
        f"config: beamtime.samples: no log names the sample '{sample}'"
        for sample in config.samples
        if sample not in samples
    ]


def _readings_file(
    log: LogRun,
    correction: ScanCorrection,
    ascii_scans: Sequence[ssrl_ascii.AsciiScan],
    root: Path,
    problems: list[str],
) -> ssrl_ascii.AsciiScan | None:
    """The file that the config names, else the one with the scan's number and as many points."""
    if correction.readings:
        path = root / correction.readings
        if not path.is_file():
            raise InputError(f"{path}: no such file; beamtime.scans.{log.number}.readings names it")
        named = ssrl_ascii.read(path)
        if not _fits(log, named):
            raise InputError(
                f"{path}: {named.n_rows} rows do not fit the {log.logged} points of scan {log.number}; "
                f"beamtime.scans.{log.number}.readings names it"
            )
        return named
    of_number = [scan for scan in ascii_scans if scan.number == log.number]
    fitting = [scan for scan in of_number if _fits(log, scan)]
    if of_number and not fitting:
        problems.append(
            f"{of_number[0].path}: {of_number[0].n_rows} rows do not fit the {log.logged} points of scan "
            f"{log.number}; its readings are not used"
        )
    if len(fitting) > 1:
        problems.append(f"{fitting[1].path}: a second file of scan {log.number}; {fitting[0].path} is used")
    return fitting[0] if fitting else None


def _fits(log: LogRun, scan: ssrl_ascii.AsciiScan) -> bool:
    """A row for each point that the log names, or for each that was completed."""
    return scan.n_rows in (log.logged, len(log.points))


def _at_points(log: LogRun, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of a file at the points that are used, (point,)."""
    return values[log.position] if len(values) == log.logged else values
