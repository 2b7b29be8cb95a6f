"""Pulse files that hold the same pulses: no pulse may be counted for two pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rixs_pipeline.io.beamtime.joined_runs import PulseSet
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.formats.off import FileEnds


@dataclass(frozen=True)
class DistinctSets:
    """Sets of pulses without copies, and one line for each copy."""

    pulse_sets: list[PulseSet]
    problems: list[str]


def drop_copies(
    pulse_sets: Sequence[PulseSet], ends: Mapping[Path, FileEnds]
) -> DistinctSets:
    """Return sets of pulses of which none is in another one, nor a file twice in one.

    Files whose first records are equal to the last bit hold the same pulses: noise
    makes those of two pixels differ. The longest copy is kept, then the first by name.

    Parameters
    ----------
    pulse_sets
        All sets.
    ends
        First and last record of each file that has any.

    Returns
    -------
    DistinctSets
        In the order of `pulse_sets`.
    """
    problems: list[str] = []
    distinct = [_without_copies(pulses, ends, problems) for pulses in pulse_sets]
    kept: list[PulseSet] = []
    by_size = sorted(distinct, key=lambda pulses: -_size(pulses, ends))
    for pulses in by_size:
        original = next((o for o in kept if _is_part(pulses, o, ends)), None)
        if original is None:
            kept.append(pulses)
            continue
        problems.append(f"{pulses.name}: same pulses as {original.name}; copy not used")
        if pulses.states and not original.states:
            row = kept.index(original)
            kept[row] = replace(original, states=pulses.states)
    order = {pulses.name: row for row, pulses in enumerate(pulse_sets)}
    kept.sort(key=lambda pulses: order[pulses.name])
    return DistinctSets(kept, problems)


def _without_copies(
    pulses: PulseSet, ends: Mapping[Path, FileEnds], problems: list[str]
) -> PulseSet:
    """Return a set of pulses with one file for each pixel that is different."""
    originals: dict[bytes, Path] = {}
    with_pulses = [path for path in pulses.files if path in ends]
    for path in sorted(with_pulses, key=lambda path: -ends[path].n_records):
        originals.setdefault(ends[path].first_record, path)
    copies = {
        path: original
        for path in with_pulses
        if (original := originals[ends[path].first_record]) != path
    }
    problems += [
        f"{path}: same pulses as pixel {off.pixel_number(original)}; copy not used"
        for path, original in copies.items()
    ]
    files = tuple(path for path in pulses.files if path not in copies)
    return replace(pulses, files=files)


def _is_part(pulses: PulseSet, larger: PulseSet, ends: Mapping[Path, FileEnds]) -> bool:
    """Return whether all pulses of a set are those of another one."""
    first_records = {ends[path].first_record for path in pulses.files if path in ends}
    larger_records = {ends[path].first_record for path in larger.files if path in ends}
    return bool(first_records) and first_records <= larger_records


def _size(pulses: PulseSet, ends: Mapping[Path, FileEnds]) -> int:
    """Return the number of records of a set."""
    return sum(ends[path].n_records for path in pulses.files if path in ends)
