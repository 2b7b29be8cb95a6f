from pathlib import Path

from rixs_pipeline.io.beamtime.checks.copies import drop_copies
from rixs_pipeline.io.beamtime.joined_runs import PulseSet
from rixs_pipeline.io.formats.experiment_state import StateInterval
from rixs_pipeline.io.formats.off import FileEnds


def pulse_set(folder, contents, states=()):
    """Return a set of files with one first record a pixel, and the files' ends."""
    paths = {
        Path(folder) / f"run_chan{pixel}.off": (record, number)
        for pixel, (record, number) in contents.items()
    }
    ends = {
        path: FileEnds(0, 9, number, record)
        for path, (record, number) in paths.items()
        if number
    }
    return PulseSet(Path(folder), "run", tuple(paths), 0, 9, states), ends


def test_different_pixels_are_all_kept():
    pulses, ends = pulse_set("a", {1: (b"x", 5), 3: (b"y", 5), 5: (b"", 0)})
    distinct = drop_copies([pulses], ends)
    assert distinct.pulse_sets == [pulses]
    assert distinct.problems == []


def test_a_file_under_two_names_is_used_once():
    pulses, ends = pulse_set("a", {1: (b"x", 5), 3: (b"y", 5), 99: (b"y", 5)})
    distinct = drop_copies([pulses], ends)
    assert [path.name for path in distinct.pulse_sets[0].files] == [
        "run_chan1.off",
        "run_chan3.off",
    ]
    assert distinct.problems == [
        "a/run_chan99.off: same pulses as pixel 3; copy not used"
    ]


def test_the_longest_copy_is_used():
    pulses, ends = pulse_set("a", {3: (b"y", 2), 99: (b"y", 5)})
    distinct = drop_copies([pulses], ends)
    assert [path.name for path in distinct.pulse_sets[0].files] == ["run_chan99.off"]


def test_a_copied_folder_is_not_used_but_its_states():
    states = (StateInterval(0, 5, "CAL0"),)
    first, ends = pulse_set("a", {1: (b"x", 5), 3: (b"y", 5)})
    backup, more = pulse_set("b", {1: (b"x", 5), 3: (b"y", 4)}, states)
    other, others = pulse_set("c", {1: (b"z", 5), 3: (b"y", 5)})
    distinct = drop_copies([backup, first, other], ends | more | others)
    assert [pulses.folder for pulses in distinct.pulse_sets] == [Path("a"), Path("c")]
    assert distinct.pulse_sets[0].states == states
    assert distinct.problems == ["b/run: same pulses as a/run; copy not used"]
