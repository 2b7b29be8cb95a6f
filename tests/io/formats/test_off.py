import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import off
from tests.io.writers import FRAME_S, SAMPLES, SECOND, T0, off_records, write_off

TIMES = [T0 + i * SECOND for i in range(10)]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
@pytest.mark.parametrize("bases", [3, 5])
def test_every_version_is_read_as_written(tmp_path, version, bases):
    written = off_records(TIMES, version, bases)
    path = write_off(
        tmp_path / "a_chan1.off", version=version, bases=bases, records=written
    )
    records = off.open_records(path)
    np.testing.assert_array_equal(records, written)
    assert ("pretrigger_delta" in records.dtype.names) == (version == "0.3.0")
    header = off.read_header(path)
    assert (header.version, header.number_of_bases, header.n_records) == (
        version,
        bases,
        10,
    )
    assert (header.truncated_bytes, header.frame_period_s) == (0, FRAME_S)


def test_a_record_has_the_layout_of_the_format():
    """DASTARD writes the fields one after the other, without padding."""
    dtype = off.record_dtype("0.3.0", 5)
    offsets = {name: dtype.fields[name][1] for name in dtype.names}
    assert offsets == {
        "record_samples": 0,
        "record_presamples": 4,
        "framecount": 8,
        "unixnano": 16,
        "pretrigger_mean": 24,
        "pretrigger_delta": 28,
        "residual_stddev": 32,
        "coefs": 36,
    }
    assert dtype.itemsize == 36 + 5 * 4
    assert off.record_dtype("0.2.0", 3).fields["residual_stddev"][1] == 28
    assert off.record_dtype("0.1.0", 3).itemsize == 32 + 3 * 4


def test_large_header_of_0_1_0_is_read_in_several_pieces(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", TIMES, "0.1.0", Comment="x" * 100_000)
    assert off.read_header(path).data_offset > 100_000
    np.testing.assert_array_equal(off.open_records(path)["unixnano"], TIMES)


def test_cut_short_record_is_ignored_and_reported(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", TIMES, tail=b"\x01" * 17)
    header = off.read_header(path)
    assert (header.n_records, header.truncated_bytes) == (10, 17)
    assert len(off.open_records(path)) == 10


def test_dead_pixel_has_no_records(tmp_path):
    path = write_off(tmp_path / "a_chan1.off")
    records = off.open_records(path)
    header = off.read_header(path)
    assert len(records) == 0
    assert records.dtype == header.record_dtype
    assert off.record_range(records, T0, T0 + SECOND) == slice(0, 0)
    assert off.read_ends(path, header) is None
    assert off.open_file(path).dead_time == 0
    assert off.open_file(path).after_trigger == 0
    assert len(off.read_pulses(path, T0, T0 + SECOND)) == 0


def test_records_are_read_only(tmp_path):
    records = off.open_records(write_off(tmp_path / "a_chan1.off", TIMES))
    with pytest.raises(ValueError, match="read-only"):
        records["unixnano"] = 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no OFF header"),
        (b"\x00" * 100, "no OFF header"),
        (b'{\n "FileFormat": "OFF",\n', "no OFF header"),
        (b'{\n "FileFormat": "OFF",\n}\n', "broken OFF header"),
        (b'{\n "FileFormat": "OFF"\n}\n', "FileFormatVersion"),
    ],
)
def test_broken_header_names_the_file(tmp_path, content, text):
    path = tmp_path / "a_chan1.off"
    path.write_bytes(content)
    with pytest.raises(InputError, match=text) as error:
        off.read_header(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"FileFormatVersion": "0.4.0"},
        {"FileFormat": "LJH"},
        {"NumberOfBases": 2},
        {"NumberOfBases": "many"},
        {"FramePeriodSeconds": 0},
        {"ModelInfo": {}},
        {"ModelInfo": {"Projectors": {"Rows": 5, "Cols": 10_000_000}}},
        {"ModelInfo": {"Projectors": {"Rows": -5, "Cols": 7}}},
    ],
)
def test_header_with_an_unusable_value_is_an_input_error(tmp_path, changes):
    path = write_off(tmp_path / "a_chan1.off", TIMES, **changes)
    with pytest.raises(InputError, match=r"a_chan1\.off"):
        off.read_header(path)


def test_time_range_and_dead_time(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", TIMES, tail=b"123")
    header = off.read_header(path)
    ends = off.read_ends(path, header)
    assert (ends.first_ns, ends.last_ns) == (TIMES[0], TIMES[-1])
    assert ends.n_records == len(TIMES)
    assert ends.first_record == off.open_records(path)[0].tobytes()
    file = off.open_file(path)
    assert file.dead_time == round(SAMPLES * FRAME_S * 1e9) / 1e9
    assert file.after_trigger == round((SAMPLES - 256) * FRAME_S * 1e9) / 1e9


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.integers(0, 3), max_size=30),
    window=st.tuples(st.integers(-2, 60), st.integers(-2, 60)),
)
def test_record_range_selects_what_a_comparison_of_the_column_selects(
    tmp_path_factory, steps, window
):
    times = T0 + np.cumsum(np.array(steps, np.int64))
    path = write_off(tmp_path_factory.mktemp("off") / "a_chan1.off", times)
    start, end = T0 + min(window), T0 + max(window)
    records = off.open_records(path)
    rows = off.record_range(records, start, end)
    selected = np.flatnonzero((times >= start) & (times < end))
    np.testing.assert_array_equal(np.arange(rows.start, rows.stop), selected)


def test_pulses_of_a_range(tmp_path):
    path = write_off(tmp_path / "20260101_run0000_chan17.off", TIMES)
    pulses = off.read_pulses(path, TIMES[2], TIMES[5])
    written = off_records(TIMES)[2:5]
    assert pulses.pixel == 17
    assert pulses.dead_time_s == pytest.approx(SAMPLES * FRAME_S, rel=1e-6)
    assert pulses.after_trigger_s == pytest.approx((SAMPLES - 256) * FRAME_S, rel=1e-6)
    np.testing.assert_array_equal(pulses.time_ns, TIMES[2:5])
    np.testing.assert_allclose(
        pulses.since_last, np.diff(TIMES)[1:4] / 1e9
    )  # the first after one before the range
    assert np.isinf(off.read_pulses(path, TIMES[0], TIMES[5]).since_last[0])
    np.testing.assert_array_equal(pulses.pulse_height, written["coefs"][:, 2])
    np.testing.assert_array_equal(pulses.pretrigger_mean, written["pretrigger_mean"])
    np.testing.assert_array_equal(pulses.residual, written["residual_stddev"])
    np.testing.assert_allclose(
        pulses.phase, written["coefs"][:, 1] / written["coefs"][:, 2], rtol=1e-6
    )
    for array in (
        pulses.time_ns,
        pulses.pulse_height,
        pulses.pretrigger_mean,
        pulses.phase,
        pulses.residual,
    ):
        assert array.flags.c_contiguous
        assert array.dtype in (np.int64, np.float64)


def test_phase_of_a_pulse_without_height_is_nan_without_warning(tmp_path):
    records = off_records(TIMES[:4])
    records["coefs"][:, 1] = [0, 1, np.inf, 3]
    records["coefs"][:, 2] = [0, 0, np.inf, 2]
    pulses = off.read_pulses(
        write_off(tmp_path / "a_chan1.off", records=records), T0, TIMES[-1]
    )
    np.testing.assert_array_equal(pulses.phase, [np.nan, np.nan, np.nan, 1.5])


def test_pulses_of_a_range_are_sorted_stably(tmp_path):
    order = [0, 1, 3, 2, 3, 4]
    records = off_records([TIMES[i] for i in order])
    pulses = off.read_pulses(
        write_off(tmp_path / "a_chan1.off", records=records), T0, TIMES[-1]
    )
    np.testing.assert_array_equal(pulses.time_ns, [TIMES[i] for i in sorted(order)])
    np.testing.assert_array_equal(
        pulses.pulse_height, 8000 + np.array([0, 1, 3, 2, 4, 5])
    )


def test_pixel_number_needs_a_name_with_a_channel(tmp_path):
    with pytest.raises(InputError, match="no pixel number"):
        off.pixel_number(tmp_path / "pulses.off")


@pytest.mark.real
def test_real_files(real_data):
    sizes = {1: 5, 3: 5, 7: 5, 9: 5}
    for pixel, bases in sizes.items():
        path = real_data / f"20200219_chan{pixel}.off"
        header = off.read_header(path)
        assert (header.version, header.number_of_bases, header.truncated_bytes) == (
            "0.3.0",
            bases,
            0,
        )
        records = off.open_records(path)
        assert len(records) == header.n_records > 5000
        assert np.all(np.diff(records["unixnano"]) >= 0)
        assert off.open_file(path).dead_time == round(1024 * 4.8e-6 * 1e9) / 1e9
        ends = off.read_ends(path, header)
        assert ends.first_ns == records["unixnano"][0]
        assert ends.last_ns == records["unixnano"][-1]


@pytest.mark.real
def test_real_reference_pulses_match_the_public_analysis(real_data):
    """Channel 1, first reference run: O Ka at a pulse height of 7792.1."""
    pulses = off.read_pulses(
        real_data / "20200219_chan1.off", 1582151025932277000, 1582152196789819000
    )
    heights = np.sort(pulses.pulse_height[np.abs(pulses.pulse_height - 7800) < 300])
    inside = np.searchsorted(heights, heights + 40) - np.arange(len(heights))
    assert abs(heights[np.argmax(inside)] + 20 - 7792.1) < 40


def test_changed_file_is_reopened(tmp_path):
    """Small files stay mapped from one call to the next while unchanged."""
    path = write_off(tmp_path / "a_chan1.off", TIMES[:4])
    assert off.open_records(path) is off.open_records(path)
    write_off(path, TIMES)
    assert off.open_records(path)["unixnano"].tolist() == list(TIMES)
    other = write_off(tmp_path / "other", [t + 1 for t in TIMES])
    other.replace(path)
    assert off.open_records(path)["unixnano"].tolist() == [t + 1 for t in TIMES]


def test_a_file_that_has_grown_is_mapped_again_only_for_what_is_new(tmp_path):
    path = write_off(tmp_path / "a_chan1.off", TIMES[:4])
    mapped = off.open_records(path)
    write_off(path, TIMES)
    assert off.open_records(path, TIMES[3]) is mapped
    assert len(off.open_records(path, TIMES[3] + 1)) == len(TIMES)
    whole = off.open_records(path)
    write_off(path, TIMES[:4])  # shorter
    assert off.open_records(path, TIMES[0]) is not whole
    mapped = off.open_records(path)
    write_off(path, [t + 1 for t in TIMES])  # another file, copied onto it
    assert off.open_records(path, TIMES[3]) is not mapped
    off.open_records(path)
    write_off(tmp_path / "other", TIMES).replace(path)
    assert len(off.open_records(path, TIMES[3])) == len(TIMES)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"FramePeriodSeconds": float("inf")}, "must be positive, at most 1 s"),
        ({"FramePeriodSeconds": float("nan")}, "must be positive, at most 1 s"),
        ({"FramePeriodSeconds": 1e300}, "must be positive, at most 1 s"),
        ({"NumberOfBases": 10**6}, "`NumberOfBases` is 1000000"),
        (
            {"ModelInfo": {"Projectors": {"Rows": -1, "Cols": -1}}},
            "projectors of -1 x -1",
        ),
        ({"NumberOfBases": float("inf")}, "cannot convert float infinity"),
    ],
)
def test_numbers_of_a_header_are_plausible(tmp_path, changes, problem):
    path = write_off(tmp_path / "a_chan1.off", TIMES, **changes)
    with pytest.raises(
        InputError, match=rf"a_chan1\.off: broken OFF header.*{problem}"
    ):
        off.read_header(path)


def test_damaged_times_that_span_all_of_64_bits_are_put_in_order(tmp_path):
    """The difference of the first two does not fit into 64 bits."""
    records = off_records([2**62 + 2**61, -(2**62) - 2**61, *TIMES])
    path = write_off(tmp_path / "a_chan1.off", records=records)
    times = off.open_records(path)["unixnano"]
    assert times.tolist() == sorted(times.tolist())
