"""Join scans with the SSRL ASCII files that hold their readings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from rixs_pipeline.io.beamtime.joined_runs import JoinedRun
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.formats.ssrl_ascii import AsciiScan
from rixs_pipeline.io.runs import NS_PER_S
from rixs_pipeline.types import FloatArray

_DATE_FORMAT = "%a %b %d %H:%M:%S %Y"  # local time
_HOUR = 3600.0  # s
_EARLIEST_ZONE, _LATEST_ZONE = -12 * _HOUR, 14 * _HOUR  # local time - UTC

# Deviation of energies in a file from those of its scan: at least this, eV, or this
# share of the scan's range
MIN_ENERGY_TOLERANCE, TOLERANCE_SHARE = 1.0, 0.1

_Candidate = TypeVar("_Candidate")


@dataclass(frozen=True)
class JoinedReadings:
    """The readings of scans, by name of the scan."""

    files: dict[str, AsciiScan] = field(default_factory=dict)
    misfits: dict[str, str] = field(default_factory=dict)  # one line each
    ambiguous: list[str] = field(default_factory=list)  # one line a scan number


def join_readings(
    scans: Mapping[str, JoinedRun], files: Sequence[AsciiScan], settled: Collection[str]
) -> JoinedReadings:
    """Join scans with the file of their number, where no other match is possible.

    Of several scans of a number, or several files of a scan, the folder, date and
    sample must single out one.

    Parameters
    ----------
    scans
        Name -> scan.
    files
        SSRL ASCII files.
    settled
        Names of scans that need no file; they cause no ambiguity.

    Returns
    -------
    JoinedReadings
        The file of each scan; scans whose files all have another number of rows; and
        numbers whose files may belong to several scans, or scans to several files.
    """
    joined = JoinedReadings()
    for number in sorted({file.number for file in files if file.number is not None}):
        same_number = {
            name: run for name, run in scans.items() if run.log.number == number
        }
        _join_number(
            same_number,
            [file for file in files if file.number == number],
            settled,
            joined,
        )
    return joined


def _join_number(
    scans: Mapping[str, JoinedRun],
    files: Sequence[AsciiScan],
    settled: Collection[str],
    joined: JoinedReadings,
) -> None:
    """Join the scans and files of one number."""
    owners = {
        file.path: _single_out(
            list(scans), [_evidence(run, file) for run in scans.values()]
        )
        for file in files
    }
    candidates: dict[str, list[AsciiScan]] = {}
    for name, run in scans.items():
        possible = [file for file in files if name in owners[file.path]]
        fitting = [file for file in possible if fits(run.log, file)]
        best = _single_out(fitting, [_evidence(run, file) for file in fitting])
        if possible and not fitting:
            misfit = find_misfit(run.log, possible[0])
            joined.misfits[name] = f"{possible[0].path}: {misfit}; readings not used"
        elif len(best) == 1 and owners[best[0].path] == [name]:
            joined.files[name] = best[0]
        elif fitting and name not in settled:
            candidates[name] = fitting
    if candidates:
        paths = dict.fromkeys(
            file.path for fitting in candidates.values() for file in fitting
        )
        owner_names = dict.fromkeys(
            name for file in files if file.path in paths for name in owners[file.path]
        )
        joined.ambiguous.append(
            f"{', '.join(map(str, paths))}: ambiguous by folder, date and sample "
            f"(candidates: {', '.join(owner_names)}); readings not used; set "
            f"`beamtime.scans.<name>.readings` for {', '.join(candidates)}"
        )


def fits(log: LogRun, file: AsciiScan) -> bool:
    """Return whether a file may hold the readings of a run: by its rows and energies.

    Parameters
    ----------
    log
        The run.
    file
        A file of readings.

    Returns
    -------
    bool
        See `find_misfit`.
    """
    return not find_misfit(log, file)


def find_misfit(log: LogRun, file: AsciiScan) -> str:
    """Return why a file cannot hold the readings of a run.

    Parameters
    ----------
    log
        The run.
    file
        A file of readings.

    Returns
    -------
    str
        Nothing where it has a row for each logged, or for each usable, point, at the
        energies of the points in one of its columns of energies, if it has any.
    """
    if file.n_rows not in (log.n_logged, len(log.points)):
        return (
            f"number of rows ({file.n_rows}) differs from the number of points of scan "
            f"{log.number} ({log.n_logged})"
        )
    energy = log.points.incident_energy
    columns = file.energies
    if file.n_rows == log.n_logged:
        columns = {name: values[log.position] for name, values in columns.items()}
    distances = {
        name: float(np.median(np.abs(values - energy)))
        for name, values in columns.items()
    }
    tolerance = _energy_tolerance(energy)
    if not distances or min(distances.values()) <= tolerance:
        return ""
    nearest = min(distances, key=lambda name: distances[name])
    low, high = columns[nearest].min(), columns[nearest].max()
    return (
        f"energies in column {nearest} ({low:.1f} to {high:.1f} eV) differ from those "
        f"of scan {log.number} ({energy.min():.1f} to {energy.max():.1f} eV)"
    )


def _energy_tolerance(energy: FloatArray) -> float:
    """Return how far energies of a file may be from those of a scan, eV.

    The readback of a monochromator differs from the energy that it was sent to, by
    less than a tenth of the scan; of a file of another range, half of the points do.
    """
    return max(MIN_ENERGY_TOLERANCE, TOLERANCE_SHARE * float(np.ptp(energy)))


@dataclass(frozen=True)
class _Evidence:
    """What indicates that a file belongs to a scan."""

    same_folder: bool
    in_time: bool
    same_sample: bool


def _evidence(run: JoinedRun, file: AsciiScan) -> _Evidence:
    """Compare folder, date and sample of a file with those of a scan."""
    folders = [run.pulses.folder] if run.pulses else []
    folders += [run.log.log.parent] if run.log.log else []
    return _Evidence(
        same_folder=file.path.parent in folders,
        in_time=_is_in_time(run.log, file.date),
        same_sample=file.sample.casefold() == run.log.sample.strip().casefold(),
    )


def _is_in_time(log: LogRun, date: str) -> bool:
    """Return whether a date without a time zone can be within the run."""
    try:
        local_time = datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False  # a date in another form
    seconds = local_time.timestamp()
    earliest = log.start_ns + _EARLIEST_ZONE * NS_PER_S
    latest = log.end_ns + _LATEST_ZONE * NS_PER_S
    return earliest <= seconds * NS_PER_S <= latest


def _single_out(
    candidates: Sequence[_Candidate], evidence: Sequence[_Evidence]
) -> list[_Candidate]:
    """Return the candidates that have all evidence that any of them has.

    All candidates where none has: the evidence contradicts itself.
    """
    kinds = [
        kind
        for kind in ("same_folder", "in_time", "same_sample")
        if any(getattr(facts, kind) for facts in evidence)
    ]
    best = [
        candidate
        for candidate, facts in zip(candidates, evidence, strict=True)
        if all(getattr(facts, kind) for kind in kinds)
    ]
    return best or list(candidates)
