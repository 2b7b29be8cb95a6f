"""From joined logs to the records that the stages see: names, samples, edges, readings, the config's corrections."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import BeamtimeConfig, ScanCorrection
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import ssrl_ascii
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.joining import Joined, fits, join_readings
from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import Edge

# incident range, eV, in which an edge is scanned: proposals around the L3, L2 or K threshold
EDGE_WINDOWS = {
    Edge.C_K: (280.0, 310.0),
    Edge.N_K: (395.0, 425.0),
    Edge.Ti_L: (450.0, 475.0),
    Edge.V_L: (508.0, 525.0),
    Edge.O_K: (526.0, 550.0),
    Edge.Cr_L: (570.0, 595.0),
    Edge.Mn_L: (635.0, 660.0),
    Edge.Fe_L: (700.0, 730.0),
    Edge.Co_L: (770.0, 805.0),
    Edge.Ni_L: (845.0, 880.0),
    Edge.Cu_L: (925.0, 960.0),
    Edge.Zn_L: (1015.0, 1050.0),
}


def edge_of(incident_energy: NDArray[np.float64]) -> Edge | None:
    """The edge whose window has most of the range of the incident energies (eV) in common; None where none has any."""
    low, high = float(np.min(incident_energy)), float(np.max(incident_energy))
    common = {
        edge: min(high, window[1]) - max(low, window[0])
        for edge, window in EDGE_WINDOWS.items()
    }
    best = max(common, key=lambda edge: common[edge])
    return best if common[best] >= 0 else None


def finish(
    joined: Sequence[Joined],
    ascii_scans: Sequence[ssrl_ascii.AsciiScan],
    config: BeamtimeConfig,
    root: Path,
) -> tuple[tuple[Run, ...], list[str]]:
    """Name the runs, correct them, give them their readings, leave out what the config excludes.

    Returns:
        The runs in the order of `joined`, and one line for what is ambiguous or asked for in vain.

    Raises:
        InputError: a file of readings named in the config is not there or does not fit its scan.
    """
    names, problems = _names(joined, root)
    scans = {
        name: run
        for run, name in zip(joined, names, strict=True)
        if run.log.kind == "scan"
    }
    corrections = {
        name: _correction(run.log, name, config)
        for run, name in zip(joined, names, strict=True)
    }
    excluded = {
        name
        for run, name in zip(joined, names, strict=True)
        if _chosen(run.log, name, config.exclude.scans)
    }
    named = {
        name: root / one.readings for name, one in corrections.items() if one.readings
    }
    spare = [file for file in ascii_scans if file.path not in named.values()]
    readings, misfits, unclear = join_readings(scans, spare, excluded | set(named))
    runs = []
    for run, name in zip(joined, names, strict=True):
        if name in excluded:
            continue
        more: tuple[str, ...] = ()
        from_file = readings.get(name)
        if name in scans and name in named:
            from_file = _named_readings(run.log, named[name])
        elif name in misfits:
            more = (misfits[name],)
        runs.append(
            _record(run, name, corrections[name], from_file, more, config, root)
        )
    return tuple(runs), problems + unclear + _asked_wrongly(joined, names, config)


def _correction(log: LogRun, name: str, config: BeamtimeConfig) -> ScanCorrection:
    """What the config says of a run; the last key that means it counts."""
    keys = [key for key in config.scans if _chosen(log, name, (key,))]
    return config.scans[keys[-1]] if keys else ScanCorrection()


def _record(
    run: Joined,
    name: str,
    correction: ScanCorrection,
    from_file: ssrl_ascii.AsciiScan | None,
    more: tuple[str, ...],
    config: BeamtimeConfig,
    root: Path,
) -> Run:
    """The final record of one run; `more`: problems of its readings."""
    log = run.log
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
        problems=tuple(
            relative(problem, root) for problem in log.problems + run.problems + more
        ),
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
    short = [
        f"{'scan' if run.log.kind == 'scan' else 'cal'}{run.log.number:04d}"
        for run in joined
    ]
    often = Counter(short)
    full = [
        f"{_directory(run, root)}-{name}"
        if often[name] > 1 and _directory(run, root)
        else name
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
            problems.append(
                f"{where}: the number of {name} comes back in the same folder; named {names[-1]}"
            )
    return names, problems


def _chosen(log: LogRun, name: str, keys: Sequence[int | str]) -> bool:
    """Whether the config means this run: scans by number, all runs by name."""
    by_number = log.kind == "scan" and (log.number in keys or str(log.number) in keys)
    return by_number or name in keys


def _asked_wrongly(
    joined: Sequence[Joined], names: Sequence[str], config: BeamtimeConfig
) -> list[str]:
    """One line for each key of the config that no run answers to, or several do: most likely a slip."""
    asked = [("scans", key) for key in config.scans] + [
        ("exclude.scans", key) for key in config.exclude.scans
    ]
    asked += [
        ("exclude.points", key) for key in config.exclude.points if isinstance(key, int)
    ]
    problems = []
    for section, key in asked:
        meant = [
            name
            for run, name in zip(joined, names, strict=True)
            if _chosen(run.log, name, (key,))
        ]
        if len(meant) > 1:
            problems.append(
                f"config: beamtime.{section}: {key} names {len(meant)} scans ({', '.join(meant)}): all are meant; "
                "use the name for one"
            )
        elif (
            not meant and section != "exclude.points"
        ):  # those in vain are told with the pixels'
            problems.append(
                f"config: beamtime.{section}: no scan {key} in this beamtime"
            )
    samples = {run.log.sample for run in joined}
    return problems + [
        f"config: beamtime.samples: no log names the sample '{sample}'"
        for sample in config.samples
        if sample not in samples
    ]


def _named_readings(log: LogRun, path: Path) -> ssrl_ascii.AsciiScan:
    """The file of readings that the config names."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; beamtime.scans.{log.number}.readings names it"
        )
    named = ssrl_ascii.read(path)
    if not fits(log, named):
        raise InputError(
            f"{path}: {named.n_rows} rows do not fit the {log.n_logged} points of scan {log.number}; "
            f"beamtime.scans.{log.number}.readings names it"
        )
    return named


def _at_points(log: LogRun, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of a file at the points that are used, (point,)."""
    return values[log.position] if len(values) == log.n_logged else values
