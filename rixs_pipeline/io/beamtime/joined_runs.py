"""Logs joined with their pulses, before they are named."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rixs_pipeline.io.formats.experiment_state import StateInterval
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import ClockOffset, RefusedRun


@dataclass(frozen=True)
class PulseSet:
    """The OFF files of one acquisition: same folder and prefix, one file a pixel."""

    folder: Path
    prefix: str
    files: tuple[Path, ...]  # in order of the pixels
    first_ns: int | None  # first pulse of any pixel, ns since 1970; None: no pulses
    last_ns: int | None  # last pulse of any pixel
    states: tuple[StateInterval, ...] = ()

    @property
    def name(self) -> Path:
        """Common part of the file names, as a path."""
        return self.folder / self.prefix

    @cached_property
    def limits_of_labels(self) -> dict[str, list[tuple[int, int]]]:
        """Start and end of the states of each label, ns since 1970."""
        limits: dict[str, list[tuple[int, int]]] = {}
        for state in self.states:
            if state.end_ns is not None:
                ends = (state.start_ns, state.end_ns)
                limits.setdefault(state.label, []).append(ends)
        return limits

    def overlap_ns(self, log: LogRun) -> int:
        """Return how long the pulses and a run coincide, ns; 0 if they do not."""
        if self.first_ns is None or self.last_ns is None:
            return 0
        start_ns = max(self.first_ns, log.start_ns)
        end_ns = min(self.last_ns + 1, log.end_ns)
        return max(end_ns - start_ns, 0)


@dataclass(frozen=True)
class JoinedRun:
    """A run with its pulses, before it is named."""

    log: LogRun
    pulses: PulseSet | None
    photon_list: Path | None = None
    problems: tuple[str, ...] = ()
    clock_offset: ClockOffset | None = None  # already removed from the points


@dataclass(frozen=True)
class JoinedRuns:
    """Runs in order of time, and one line for each problem of joining."""

    runs: tuple[JoinedRun, ...]
    problems: tuple[str, ...]
    refused: tuple[RefusedRun, ...] = ()
