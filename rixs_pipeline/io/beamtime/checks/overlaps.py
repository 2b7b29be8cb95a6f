"""Runs that claim the same time: no pulse may be part of two of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import sqrt

import numpy as np

from rixs_pipeline.io.beamtime.joined_runs import JoinedRun
from rixs_pipeline.io.runs import NS_PER_S, ClockOffset, Points, RefusedRun, Run
from rixs_pipeline.types import FloatArray

# A run is within its own state label, give or take so many seconds or half a point:
# labels come up to some seconds before the first point and end after the last one
LABEL_SLACK = 1.0  # s
# A label gives the time of a run if it is longer than the run by no more than this
# share of a point: then it cannot put pulses into the wrong point.
PLACING_SHARE = 0.1


@dataclass(frozen=True)
class SettledRuns:
    """Runs that do not overlap, and those that are refused."""

    runs: tuple[JoinedRun, ...]
    refused: tuple[RefusedRun, ...]


@dataclass(frozen=True)
class SeparateRuns:
    """Runs that do not overlap, and those that are refused."""

    runs: tuple[Run, ...]
    refused: tuple[RefusedRun, ...]


def settle_overlaps(runs: Sequence[JoinedRun]) -> SettledRuns:
    """Make sure that no pulse is part of two runs.

    A run that ends within the first point of the next one is shortened. Of runs that
    overlap by more, those whose state label confirms their times are kept, if they are
    the only ones that may be right: each other one is placed where its own label is, if
    that gives its time, or refused. Without such labels all of them are refused.

    Parameters
    ----------
    runs
        In any order.

    Returns
    -------
    SettledRuns
        In order of time; changes are among the problems of the runs.
    """
    in_order = sorted(runs, key=lambda run: (run.log.start_ns, run.log.end_ns))
    shortened = _shorten_at_seams(in_order)
    settled: list[JoinedRun] = []
    refused: list[RefusedRun] = []
    for group in _overlapping_groups(shortened):
        if len(group) == 1:
            settled += group
            continue
        confirmed = [run for run in group if _agrees_with_label(run)]
        unconfirmed = [
            run for run in group if not any(run is kept for kept in confirmed)
        ]
        if not 0 < len(confirmed) == len(_overlapping_groups(confirmed)):
            refused += [_refuse(run, group) for run in group]
            continue
        settled += confirmed
        for run in unconfirmed:
            placed = _place_by_label(run, [*shortened, *settled])
            if placed is None:
                refused.append(_refuse(run, group))
            else:
                settled.append(placed)
    settled.sort(key=lambda run: (run.log.start_ns, run.log.end_ns))
    return SettledRuns(tuple(settled), tuple(refused))


def separate(runs: Sequence[Run]) -> SeparateRuns:
    """Make sure that no pulse is part of two runs whose clocks were corrected.

    Parameters
    ----------
    runs
        In order of time.

    Returns
    -------
    SeparateRuns
        A run that overlaps the next one by less than a point of both is shortened. Of
        runs that overlap by more, all are refused.
    """
    separated = list(runs)
    reasons: dict[str, str] = {}
    for row, run in enumerate(runs):
        for later in islice(runs, row + 1, None):
            if later.start_ns >= run.end_ns:
                break
            if not _have_same_pulses(run, later):
                continue
            overlap = overlap_ns(run.points, later.points)
            if overlap == 0:
                continue
            point_ns = min(
                float(np.median(points.end_ns - points.start_ns))
                for points in (run.points, later.points)
            )
            if overlap < point_ns and later.start_ns > run.points.start_ns[-1]:
                end_ns = np.append(run.points.end_ns[:-1], later.start_ns)
                points = replace(run.points, end_ns=end_ns)
                separated[row] = replace(separated[row], points=points)
                continue
            for claimant, rival in ((run, later), (later, run)):
                reasons[claimant.name] = (
                    f"{claimant.name}: claims the same time as {rival.name}; "
                    "not used; correct its log or `beamtime.clock_offset`"
                )
    refused = [RefusedRun(name, reason) for name, reason in reasons.items()]
    kept = [run for run in separated if run.name not in reasons]
    return SeparateRuns(tuple(kept), tuple(refused))


def _have_same_pulses(first: Run, second: Run) -> bool:
    """Return whether two runs take their photons from the same files."""
    if first.photon_list or second.photon_list:
        return first.photon_list == second.photon_list
    return first.pulse_files == second.pulse_files


def overlap_ns(first: Points, second: Points) -> int:
    """Return how long points of two runs coincide, ns."""
    row = np.searchsorted(second.end_ns, first.start_ns, side="right")
    total = 0
    for start, end, begin in zip(first.start_ns, first.end_ns, row, strict=True):
        stop = int(np.searchsorted(second.start_ns, end, side="left"))
        common = np.minimum(second.end_ns[begin:stop], end) - np.maximum(
            second.start_ns[begin:stop], start
        )
        total += int(common.sum())
    return total


def _share_pulses(first: JoinedRun, second: JoinedRun) -> bool:
    """Return whether two runs take their photons from the same detector."""
    if first.pulses is not None or second.pulses is not None:
        return first.pulses is second.pulses
    if first.photon_list is None or second.photon_list is None:
        return False
    return first.photon_list.parent == second.photon_list.parent


def _overlap(first: JoinedRun, second: JoinedRun) -> bool:
    """Return whether a photon may be part of two runs."""
    if first.log.end_ns <= second.log.start_ns or not _share_pulses(first, second):
        return False
    return overlap_ns(first.log.points, second.log.points) > 0


def _shorten_at_seams(runs: Sequence[JoinedRun]) -> list[JoinedRun]:
    """Return runs of which none ends within the first point of the next one."""
    settled = list(runs)
    for row, run in enumerate(settled[:-1]):
        following = []
        for other in islice(settled, row + 1, None):
            if other.log.start_ns >= run.log.end_ns:
                break
            if _overlap(run, other):
                following.append(other)
        if len(following) != 1:
            continue
        points, later = run.log.points, following[0].log.points
        is_seam = (
            points.start_ns[-1] < later.start_ns[0]
            and points.end_ns[-1] <= later.end_ns[0]
        )
        # of two runs of one point each it cannot be told where the seam is
        if not is_seam or len(points) == 1 or len(later) == 1:
            continue
        excess = (points.end_ns[-1] - later.start_ns[0]) / NS_PER_S
        end_ns = np.append(points.end_ns[:-1], later.start_ns[0])
        log = replace(run.log, points=replace(points, end_ns=end_ns))
        problem = (
            f"{_source(run)}: last point overlaps the first point of "
            f"{following[0].log.name} by {excess:.3g} s; shortened"
        )
        settled[row] = replace(run, log=log, problems=(*run.problems, problem))
    return settled


def _overlapping_groups(runs: Sequence[JoinedRun]) -> list[list[JoinedRun]]:
    """Return runs, in order of time, in groups that overlap directly or by others."""
    ended: list[list[JoinedRun]] = []  # before the start of all runs that follow
    groups: list[list[JoinedRun]] = []
    for run in sorted(runs, key=lambda run: (run.log.start_ns, run.log.end_ns)):
        lasting: list[list[JoinedRun]] = []
        overlapping = [run]
        for group in groups:
            if all(member.log.end_ns <= run.log.start_ns for member in group):
                ended.append(group)
            elif any(_overlap(member, run) for member in group):
                overlapping = [*group, *overlapping]
            else:
                lasting.append(group)
        groups = [*lasting, overlapping]
    return [*ended, *groups]


def _label_limits(run: JoinedRun) -> FloatArray:
    """Return start and end of the states with the label of a run, (state, 2), ns."""
    states = run.pulses.states if run.pulses else ()
    limits = [
        (state.start_ns, np.inf if state.end_ns is None else state.end_ns)
        for state in states
        if state.label == run.log.state
    ]
    return np.array(limits, np.float64).reshape(-1, 2)


def _agrees_with_label(run: JoinedRun) -> bool | None:
    """Return whether a run is within its own state label; None: it has no label."""
    limits = _label_limits(run)
    if not len(limits):
        return None
    points = run.log.points
    half_point = float(np.median(points.end_ns - points.start_ns)) / 2
    slack = max(LABEL_SLACK * NS_PER_S, half_point)
    starts_inside = run.log.start_ns >= limits[:, 0] - slack
    ends_inside = run.log.end_ns <= limits[:, 1] + slack
    return bool((starts_inside & ends_inside).any())


def _place_by_label(
    run: JoinedRun, neighbours: Sequence[JoinedRun]
) -> JoinedRun | None:
    """Return a run at the time of its state label; None where that is not clear."""
    limits = _label_limits(run)
    if len(limits) != 1 or not np.isfinite(limits).all():
        return None
    points = run.log.points
    margin_ns = float(limits[0, 1] - limits[0, 0]) - (run.log.end_ns - run.log.start_ns)
    point_ns = float(np.median(points.end_ns - points.start_ns))
    if abs(margin_ns) > PLACING_SHARE * point_ns:
        return None
    offset_ns = round(limits[0, 0] + margin_ns / 2) - run.log.start_ns
    moved = replace(
        points, start_ns=points.start_ns + offset_ns, end_ns=points.end_ns + offset_ns
    )
    placed = replace(run, log=replace(run.log, points=moved))
    if any(
        neighbour is not run and _overlap_any_order(placed, neighbour)
        for neighbour in neighbours
    ):
        return None
    # the offset is anywhere within the margin: a uniform distribution
    error = abs(margin_ns) / NS_PER_S / sqrt(12)
    offset = offset_ns / NS_PER_S
    clock_offset = ClockOffset(-offset, error)
    problem = (
        f"{_source(run)}: times are those of another run and contradict its state "
        f"label {run.log.state}; {run.log.name} moved there, by {offset:+.3f} +- "
        f"{error:.3f} s; correct the log or set `beamtime.clock_offset`"
    )
    problems = (*run.problems, problem)
    return replace(placed, problems=problems, clock_offset=clock_offset)


def _overlap_any_order(first: JoinedRun, second: JoinedRun) -> bool:
    """Return whether a photon may be part of two runs in any order."""
    earlier, later = sorted((first, second), key=lambda run: run.log.start_ns)
    return _overlap(earlier, later)


def _refuse(run: JoinedRun, group: Sequence[JoinedRun]) -> RefusedRun:
    """Return a run of an overlapping group as refused."""
    names = ", ".join(rival.log.name for rival in group if rival is not run)
    agrees = _agrees_with_label(run)
    label = "; no state label gives its time"
    if agrees:
        label = f", although its state label {run.log.state} confirms it"
    elif agrees is False:
        label = f", and its state label {run.log.state} contradicts it"
    return RefusedRun(
        name=run.log.name,
        reason=(
            f"{_source(run)}: {run.log.name} claims the same time as {names}{label}; "
            "not used; correct the times in its log"
        ),
    )


def _source(run: JoinedRun) -> str:
    """Return the log of a run, or the pulses where it has none."""
    return str(run.log.log or (run.pulses and run.pulses.name))
