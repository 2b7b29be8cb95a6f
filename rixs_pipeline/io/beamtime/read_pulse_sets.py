"""Sets of OFF files, from the headers, first and last records, and states."""

from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime.find_files import BeamtimeFiles, PulseSetKey
from rixs_pipeline.io.beamtime.joined_runs import PulseSet
from rixs_pipeline.io.formats import experiment_state, off

SHOWN_PIXELS = 12  # in a line


@dataclass(frozen=True)
class PulseSets:
    """All sets of OFF files, and the first and last record of each file with any."""

    pulse_sets: list[PulseSet]
    ends: dict[Path, off.FileEnds]


def read_pulse_sets(files: BeamtimeFiles) -> PulseSets:
    """Read headers, first and last records, and experiment states of all OFF files.

    Unreadable files are left out and added to the problems of `files`.
    """
    ends: dict[Path, off.FileEnds] = {}
    pulse_sets = [
        _read_pulse_set(key, off_files, files, ends)
        for key, off_files in sorted(files.off_files.items())
    ]
    return PulseSets(pulse_sets, ends)


def _read_pulse_set(
    key: PulseSetKey,
    paths_of_set: list[Path],
    files: BeamtimeFiles,
    ends: dict[Path, off.FileEnds],
) -> PulseSet:
    """Read the headers and experiment states of a set of OFF files.

    Unreadable files are left out and added to the problems; first and last records are
    added to `ends`.
    """
    folder, prefix = key
    headers: dict[Path, off.OffHeader] = {}
    times: list[int] = []
    for path in sorted(paths_of_set, key=off.pixel_number):
        try:
            headers[path] = off.read_header(path)
            file_ends = off.read_ends(path, headers[path])
        except InputError as error:
            files.problems.append(str(error))
            continue
        if file_ends:
            ends[path] = file_ends
            times += [file_ends.first_ns, file_ends.last_ns]
    states = experiment_state.ExperimentStates()
    if key in files.state_files:
        try:
            states = experiment_state.read(files.state_files[key])
        except InputError as error:
            files.problems.append(str(error))
        files.problems.extend(states.problems)
    empty = [path for path, header in headers.items() if header.n_records == 0]
    truncated = [path for path, header in headers.items() if header.truncated_bytes]
    if empty:
        files.problems.append(
            f"{folder / prefix}: no pulses in pixel {_pixel_numbers(empty)} (dead or "
            "switched off); pixel not used"
        )
    if truncated:
        files.problems.append(
            f"{folder / prefix}: last record of pixel {_pixel_numbers(truncated)} is "
            "incomplete (file still being written?); record not used"
        )
    return PulseSet(
        folder=folder,
        prefix=prefix,
        files=tuple(headers),
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        states=states.intervals,
    )


def _pixel_numbers(off_files: list[Path]) -> str:
    """Return the pixel numbers of files, such as `3, 5, 7`; of many, the first ones."""
    numbers = ", ".join(
        str(off.pixel_number(path)) for path in off_files[:SHOWN_PIXELS]
    )
    if len(off_files) <= SHOWN_PIXELS:
        return numbers
    return f"{numbers}, ... ({len(off_files)} pixels)"
