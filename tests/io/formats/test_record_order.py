import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.formats import off, record_order
from rixs_pipeline.io.formats.record_order import count_between, is_ascending, repair
from tests.io.writers import SECOND, T0, off_records, write_off

N = 300
SOUND = off_records([T0 + i * SECOND for i in range(N)])


def rows(*parts):
    return SOUND[np.concatenate([np.arange(N)[part] for part in parts])]


REPEATED = {
    "a block": rows(slice(0, 200), slice(150, None)),
    "a block later": rows(slice(0, 250), slice(20, 60), slice(250, None)),
    "each record": np.repeat(SOUND, 2),
    "the file": rows(slice(None), slice(None)),
    "the last record": rows(slice(None), slice(N - 1, None)),
}


@pytest.mark.parametrize("records", REPEATED.values(), ids=REPEATED.keys())
def test_repeated_records_are_left_out_and_counted(records):
    assert not is_ascending(records)
    ordered = repair(records)
    np.testing.assert_array_equal(ordered.records, SOUND)
    assert len(ordered.defects.repeated) == len(records) - N
    assert len(ordered.defects.moved) == ordered.defects.damaged == 0


def test_records_out_of_order_are_sorted_and_counted():
    ordered = repair(rows(slice(0, 50), slice(100, None), slice(50, 100)))
    np.testing.assert_array_equal(ordered.records, SOUND)
    np.testing.assert_array_equal(ordered.defects.moved, SOUND["unixnano"][50:100])


@pytest.mark.parametrize("shift", [-1000, 1000], ids=["too early", "too late"])
def test_a_single_wrong_time_moves_one_record(shift):
    records = SOUND.copy()
    records["unixnano"][100] += shift * SECOND
    assert len(repair(records).defects.moved) == 1


def test_different_records_of_one_time_are_kept():
    records = SOUND.copy()
    records["unixnano"][10] = records["unixnano"][11]
    assert is_ascending(records)
    assert len(repair(records).defects.repeated) == 0


def test_records_after_an_incomplete_one_are_damaged():
    content = SOUND.tobytes()
    cut = 100 * SOUND.dtype.itemsize + 17
    shifted = np.frombuffer(content[:cut] + content[cut + 8 :], SOUND.dtype, N - 1)
    ordered = repair(shifted)
    assert ordered.defects.damaged >= N - 102
    np.testing.assert_array_equal(ordered.records[:100], SOUND[:100])


@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=60))
def test_any_selection_becomes_its_distinct_records(selection):
    ordered = repair(SOUND[selection])
    np.testing.assert_array_equal(ordered.records, SOUND[sorted(set(selection))])
    assert len(ordered.defects.repeated) == len(selection) - len(set(selection))


def test_a_file_is_repaired_when_it_is_opened(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", records=REPEATED["a block"])
    file = off.open_file(path)
    np.testing.assert_array_equal(file.records, SOUND)
    assert len(file.defects.repeated) == 50
    assert len(off.read_pulses(path, T0, T0 + N * SECOND)) == N


def test_a_sound_file_is_not_copied_nor_compared_twice(tmp_path, monkeypatch):
    path = write_off(tmp_path / "a_chan1.off", records=SOUND)
    compared = []
    check = record_order.is_ascending
    monkeypatch.setattr(
        record_order,
        "is_ascending",
        lambda records, first: (
            compared.append(len(records) - first) or check(records, first)
        ),
    )
    monkeypatch.setattr(off, "MAX_MAPPED_BYTES", 0)  # as a large file
    for _ in range(2):
        file = off.open_file(path)
        assert not file.defects.are_any
        assert not file.records.flags.owndata
    assert compared == [N]
    with path.open("ab") as stream:
        more = SOUND[:40].copy()
        more["unixnano"] += N * SECOND
        stream.write(more.tobytes())
    assert len(off.open_file(path).records) == N + 40
    assert compared == [N, 41]
    with path.open("ab") as stream:
        stream.write(more.tobytes())
    assert len(off.open_file(path).defects.repeated) == 40


def test_a_file_that_is_overwritten_is_compared_again(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", records=SOUND)
    assert not off.open_file(path).defects.are_any
    write_off(path, records=SOUND[::-1])
    os.utime(path, ns=(T0, T0))
    assert len(off.open_file(path).defects.moved) == N - 1


def test_counts_in_windows():
    times = np.array([1, 5, 5, 9])
    assert count_between(times, np.array([0, 5]), np.array([2, 6])) == 3
    assert count_between(times[:0], np.array([0]), np.array([9])) == 0
