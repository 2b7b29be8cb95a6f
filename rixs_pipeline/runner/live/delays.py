"""How long after the last byte of a scan's log its results are on disk."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath

from rixs_pipeline import paths
from rixs_pipeline.files.opening import open_appending
from rixs_pipeline.io.runs import NS_PER_S, Run
from rixs_pipeline.runner.results.summary import Summary

log = logging.getLogger("rixs_pipeline")


@dataclass(frozen=True)
class RunResult:
    """What a reduction made of a run that it reduced for the first time.

    Attributes
    ----------
    run
        The run.
    made
        Such as map, spectra, figures.
    delay
        From the last byte of its log to the end of the reduction, s; None: the run has
        not ended, or had ended before anything was watched.
    """

    run: Run
    made: tuple[str, ...]
    delay: float | None

    def __str__(self) -> str:
        """Return a line such as ``scan0012: map and spectra 2.3 s after ...``."""
        *first, last = self.made
        made = f"{', '.join(first)} and {last}" if first else last
        if not self.run.complete:
            return f"{self.run.name}: {made} of its first {len(self.run.points)} points"
        if self.delay is None:
            return f"{self.run.name}: {made}"
        return f"{self.run.name}: {made} {self.delay:.1f} s after its log's last byte"


@dataclass
class Delays:
    """The results of runs as they are measured.

    Attributes
    ----------
    since
        Start of the watch, seconds since 1970.
    """

    since: float
    _points: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def find_new(self, summary: Summary) -> list[RunResult]:
        """Return the results of runs that have points that no reduction had before.

        Parameters
        ----------
        summary
            Of a reduction that has just ended.
        """
        results = []
        for run in summary.beamtime.runs:
            made = tuple(_made(run, summary))
            progress = run.complete, len(run.points)
            if not made or self._points.get(run.name) == progress:
                continue
            self._points[run.name] = progress
            written = _written(run)
            delay = None
            if run.complete and written is not None and written >= self.since:
                delay = max(summary.ended - written, 0.0)
            results.append(RunResult(run, made, delay))
        return results


def _written(run: Run) -> float | None:
    """Return when the last byte of a run's log was written, seconds since 1970.

    Or of the photon list or readings, if they came later.
    """
    files = [path for path in (run.log, run.photon_list, run.readings_file) if path]
    try:
        times = [path.stat().st_mtime_ns for path in files]
    except OSError:  # removed meanwhile
        return None
    return max(times) / NS_PER_S if times else None


def _made(run: Run, summary: Summary) -> Iterator[str]:
    """Yield what was made of a run; nothing if its own product was not."""
    executed = set(summary.executed)
    out = summary.out
    is_scan = run.kind == "scan"
    product = paths.scan_product if is_scan else paths.calibration_product
    if str(product(out, run.name).relative_to(out)) not in executed:
        return
    yield "map" if is_scan else "calibration"
    stems = {run.name}
    if is_scan and run.edge is not None:
        spectra = paths.spectra_product(out, run.sample, run.edge)
        stems = {spectra.stem}
        if str(spectra.relative_to(out)) in executed:
            yield "spectra"
    if any(_is_figure_of(PurePath(file), stems) for file in executed):
        yield "figures"


def _is_figure_of(file: PurePath, stems: set[str]) -> bool:
    is_figure = paths.is_figure(file.as_posix())
    return is_figure and any(file.name.startswith(stem) for stem in stems)


def summarise_others(summary: Summary, results: Sequence[RunResult]) -> str:
    """Return a line about products of other runs that were made again; empty: none."""
    own = {result.run.name for result in results}
    counts = {"reference run": 0, "scan": 0}
    folders = {"calibration": "reference run", "scans": "scan"}
    for file in map(PurePath, summary.executed):
        kind = folders.get(file.parent.name)
        if kind and file.suffix == ".nxs" and file.stem not in own:
            counts[kind] += 1
    parts = [
        f"{number} {kind}{'s' if number > 1 else ''}"
        for kind, number in counts.items()
        if number
    ]
    return f"made again: {' and '.join(parts)}" if parts else ""


def append_to_journal(
    summary: Summary, results: Sequence[RunResult], seconds: float
) -> None:
    """Append what a reduction made, and the delays, to the journal.

    Parameters
    ----------
    summary
        Of the reduction.
    results
        Of the runs that were measured lately.
    seconds
        That it took.
    """
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "command": "watch",
        "seconds": round(seconds, 3),
        "made": summary.executed,
        "failed": summary.failed,
        "delays_s": {
            result.run.name: round(result.delay, 3)
            for result in results
            if result.delay is not None
        },
    }
    try:
        with open_appending(summary.out / paths.JOURNAL) as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        log.debug("%s: not written (%s)", paths.JOURNAL, error)
