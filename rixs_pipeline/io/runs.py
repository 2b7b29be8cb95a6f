"""What a beamtime directory holds, as plain frozen records: the hand-over from `io.discovery` to the stages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Points:
    """The points of a run in the order they were measured.

    `incident_energy` f8 (point,) eV; `start_ns`, `end_ns` i8 (point,) ns since 1970, half open:
    a pulse at t belongs to a point when start <= t < end. Windows ascend and do not overlap.
    A reference run has one point, whose energy is that of the parked monochromator (NaN: unknown).
    """

    incident_energy: NDArray[np.float64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.incident_energy)


@dataclass(frozen=True)
class Run:
    """One scan (a pass) or one reference run."""

    kind: Literal["scan", "calibration"]
    number: int  # scan_num, cal number, or htxs
    name: str  # `scan0001`, `cal0000`; with the run directory in front where numbers come back
    directory: str  # run directory relative to the beamtime, parts joined by `-`; "" for a flat beamtime
    sample: str
    edge: (
        str | None
    )  # a name of config.EDGES; None where neither the log nor the incident range tells
    points: Points
    readings: dict[str, NDArray[np.float64]] = field(
        default_factory=dict
    )  # channel -> (point,), NaN where missing
    pulse_files: tuple[Path, ...] = ()  # one OFF file a pixel
    photon_list: Path | None = None  # an already calibrated list instead
    log: Path | None = None
    readings_file: Path | None = None  # the SSRL ASCII file that the readings came from
    reference_run: str | None = (
        None  # what the log names as the calibration to use, as written there
    )
    complete: bool = True  # False: aborted, or still running
    problems: tuple[str, ...] = ()  # one line each, in the user's words


@dataclass(frozen=True)
class Beamtime:
    """All runs in order of time, and everything that did not fit."""

    path: Path
    runs: tuple[Run, ...]
    problems: tuple[str, ...] = ()

    @property
    def scans(self) -> tuple[Run, ...]:
        """The scans, in order of time."""
        return tuple(run for run in self.runs if run.kind == "scan")

    @property
    def calibrations(self) -> tuple[Run, ...]:
        """The reference runs, in order of time."""
        return tuple(run for run in self.runs if run.kind == "calibration")
