"""Remove the offset of the clock of the logs from the times of all runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rixs_pipeline.config import Config
from rixs_pipeline.io import provenance
from rixs_pipeline.io.beamtime.checks.given_offsets import given_offset
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime, ClockOffset, RefusedRun, Run
from rixs_pipeline.stages.clock.interval_clock import ScanDecision, decide
from rixs_pipeline.stages.clock.pixel_clocks import pixel_clocks
from rixs_pipeline.stages.clock.scan_clock import (
    LABEL_SLACK,
    ScanClock,
    label_range,
    place_by_label,
    widened,
)
from rixs_pipeline.stages.clock.scan_pulses import TimeWindow, window_digest
from rixs_pipeline.stages.earlier_scans import ends_of

CLOCK_KEY = "beamtime.clock_offset"
# Of the duration of a reference run, by which it may be outside its label: the lines of
# the reference sample are in the rest of it
REFERENCE_SLACK = 0.02

Prepare = Callable[[Sequence[ScanClock]], None]


def correct_clocks(
    beamtime: Beamtime,
    config: Config,
    memo: Memo,
    cache: ArrayCache | None = None,
    prepare: Prepare | None = None,
) -> Beamtime:
    """Return a beamtime whose runs have the times of the detector's clock.

    With `auto`, the clock of scans is found from the scans of their interval between
    reference runs, while the interval is open from earlier ones. Runs whose times are
    not corrected stay as they are.

    Parameters
    ----------
    beamtime
        With the times of the logs.
    config
        `beamtime.clock_offset`, excluded pixels, and the names of readings.
    memo
        Decisions that are known already; more are added.
    cache
        Counts of pulses that are known already; more are added.
    prepare
        Called with the clocks of an interval about which no decision is known; may fill
        the cache.

    Returns
    -------
    Beamtime
        Scans that cannot be placed are among its refused runs.
    """
    setting = config.beamtime.clock_offset
    fixed: dict[str, Run] = {}
    refused: list[RefusedRun] = []
    problems = []
    for run in beamtime.runs:
        seconds = given_offset(setting, kind=run.kind, number=run.number, name=run.name)
        if run.clock_offset is not None:  # removed when the logs were read
            fixed[run.name] = run
        elif isinstance(setting, Mapping) and seconds is not None:
            fixed[run.name] = run.with_clock_offset(ClockOffset(seconds, 0.0))
        elif run.kind == "calibration":
            fixed[run.name] = _placed_reference_run(run)
        elif not isinstance(setting, str | Mapping):
            fixed[run.name] = run
    kept = _Kept(memo, cache, prepare)
    for interval in _intervals(beamtime):
        given = [scan for scan in interval.scans if _is_given(scan, config)]
        tests = _decide_interval(
            [fixed[scan.name] for scan in given], interval.is_closed, config, kept
        )
        problems += _contradictions([fixed[scan.name] for scan in given], tests)
        scans = [scan for scan in interval.scans if scan.name not in fixed]
        decisions = _decide_interval(scans, interval.is_closed, config, kept)
        for scan, decision in zip(scans, decisions, strict=True):
            if decision.refusal:
                refused.append(RefusedRun(scan.name, decision.refusal))
                continue
            if decision.warning:
                problems.append(decision.warning)
            fixed[scan.name] = _corrected(scan, decision.offset)
    runs = [fixed[run.name] for run in beamtime.runs if run.name in fixed]
    scans_kept = [run for run in runs if run.kind == "scan"]
    problems += _pixel_clock_lines(scans_kept, config, memo)
    return replace(
        beamtime,
        runs=tuple(sorted(runs, key=lambda run: (run.start_ns, run.end_ns))),
        problems=(*beamtime.problems, *problems),
        refused=(*beamtime.refused, *refused),
    )


def _is_given(scan: Run, config: Config) -> bool:
    """Return whether the config gives the clock offset of a scan."""
    setting = config.beamtime.clock_offset
    name, number = scan.name, scan.number
    return given_offset(setting, kind="scan", number=number, name=name) is not None


def _contradictions(
    scans: Sequence[Run], decisions: Sequence[ScanDecision]
) -> list[str]:
    """Return a line for the first scan that contradicts the offset of the config.

    Parameters
    ----------
    scans
        Without the offset that the config gives.
    decisions
        What their data say of the rest.

    Returns
    -------
    list of str
        At most one.
    """
    for scan, decision in zip(scans, decisions, strict=True):
        rest, given = decision.offset, scan.clock_offset
        if rest is not None and given is not None:
            return [
                f"{scan.name}: `{CLOCK_KEY}` of {given.value:g} s contradicts the "
                f"data, which give {given.value + rest.value:.2f} +- {rest.error:.2g} "
                f"s; applied as configured; correct `{CLOCK_KEY}`"
            ]
    return []


def _pixel_clock_lines(scans: Sequence[Run], config: Config, memo: Memo) -> list[str]:
    """Return the lines about pixels with another clock."""
    lines: list[str] = []
    for clocks in pixel_clocks(scans, config.beamtime.exclude.pixels):
        values = {
            "runs": [
                provenance.digest_run(scan, with_readings=False)
                for scan in clocks.scans
            ],
            "pulses": [
                window_digest(scan, TimeWindow(scan.start_ns, scan.end_ns))
                for scan in clocks.scans
            ],
            "pixel clocks, long lags": sorted(clocks.long_lags.items()),
            "excluded": config.beamtime.exclude.pixels,
        }
        lines += memo.get(values, clocks.lines, _texts)
    return lines


def _texts(values: Any) -> list[str]:
    return [str(value) for value in values]


def _corrected(run: Run, offset: ClockOffset | None) -> Run:
    """Return a run without the offset that was found, if any, and a line about it."""
    if offset is None:
        return run
    problem = (
        f"{run.name}: clock of the log is off by {offset.value:.3f} +- "
        f"{offset.error:.2g} s; corrected (`{CLOCK_KEY}`)"
    )
    return replace(run.with_clock_offset(offset), problems=(*run.problems, problem))


@dataclass(frozen=True)
class _Interval:
    """Scans between two reference runs; closed if there is one after them."""

    scans: tuple[Run, ...]
    is_closed: bool


def _intervals(beamtime: Beamtime) -> Iterator[_Interval]:
    scans: list[Run] = []
    for run in beamtime.runs:
        if run.kind == "scan":
            scans.append(run)
        elif scans:
            yield _Interval(tuple(scans), is_closed=True)
            scans = []
    if scans:
        yield _Interval(tuple(scans), is_closed=False)


@dataclass(frozen=True)
class _Kept:
    """What is kept between reductions, and what may add to it: see `correct_clocks`."""

    memo: Memo
    cache: ArrayCache | None
    prepare: Prepare | None


def _decide_interval(
    scans: Sequence[Run], is_closed: bool, config: Config, kept: _Kept
) -> list[ScanDecision]:
    """Return the decisions about the scans of an interval.

    While the interval is open, a scan depends on itself and earlier ones.
    """
    clocks = [_scan_clock(scan, config, kept.cache) for scan in scans]
    clocks = [clock for clock in clocks if clock.scan.pulse_files]
    options = _digest_options(config)
    groups = [_Group(clocks, len(clocks))] if clocks else []
    if not is_closed:
        groups = [_Group(ends_of(clocks[: n + 1]), 1) for n in range(len(clocks))]
    digests = {clock.scan.name: _digest(clock) for clock in clocks}
    depends_on = [options | group.depends_on(digests) for group in groups]
    undecided = [
        group
        for group, values in zip(groups, depends_on, strict=True)
        if not kept.memo.has(values)
    ]
    if kept.prepare and undecided:
        kept.prepare([clock for group in undecided for clock in group.decided])
    decisions: dict[str, ScanDecision] = {}
    for group, values in zip(groups, depends_on, strict=True):
        found = kept.memo.get(values, group.decide, _from_json)
        names = [clock.scan.name for clock in group.decided]
        decisions |= zip(names, found, strict=True)
    return [decisions.get(scan.name, ScanDecision()) for scan in scans]


@dataclass(frozen=True)
class _Group:
    """Clocks from which those of the last `n_decided` scans are found."""

    clocks: Sequence[ScanClock]
    n_decided: int

    @property
    def decided(self) -> Sequence[ScanClock]:
        return self.clocks[-self.n_decided :]

    def depends_on(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Return what the decisions depend on, from the digests of the clocks."""
        return {
            "decided": [clock.scan.name for clock in self.decided],
            "clocks": [digests[clock.scan.name] for clock in self.clocks],
        }

    def decide(self) -> list[dict[str, Any]]:
        """Return the decisions, as plain JSON."""
        return [
            {
                "offset": [decision.offset.value, decision.offset.error]
                if decision.offset
                else None,
                "refusal": decision.refusal,
                "warning": decision.warning,
            }
            for decision in decide(self.clocks)[-self.n_decided :]
        ]


def _scan_clock(scan: Run, config: Config, cache: ArrayCache | None) -> ScanClock:
    channels = dict.fromkeys(config.xas.channels)
    i0 = scan.readings.get(config.normalise.i0) if config.normalise.i0 else None
    readings = [
        scan.readings[channel] for channel in channels if channel in scan.readings
    ]
    excluded = config.beamtime.exclude.pixels
    return ScanClock(scan, i0, readings, excluded, cache)


def _digest(clock: ScanClock) -> str:
    """Return a digest of what the clock of a scan depends on."""
    values = {
        "run": provenance.digest_run(clock.scan),
        "label": clock.scan.label_ns,
        "pulses": clock.pulses_digest,
    }
    return provenance.digest_values(values)


def _digest_options(config: Config) -> dict[str, Any]:
    return {
        "i0": config.normalise.i0,
        "channels": config.xas.channels,
        "excluded": config.beamtime.exclude.pixels,
    }


def _from_json(decisions: Sequence[Mapping[str, Any]]) -> list[ScanDecision]:
    return [
        ScanDecision(
            ClockOffset(*map(float, values["offset"])) if values["offset"] else None,
            str(values["refusal"]),
            str(values["warning"]),
        )
        for values in decisions
    ]


def _placed_reference_run(run: Run) -> Run:
    """Return a reference run within its state label.

    A reference run has no structure that would show a small offset, and a small one
    does not matter: its lines are the same throughout.
    """
    limits = label_range(run)
    slack = max(LABEL_SLACK, REFERENCE_SLACK * run.duration)
    if limits is None or widened(limits, slack).contains(0.0):
        return run
    offset = place_by_label(run, tolerance=run.duration)
    return _corrected(run, offset)
