import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import ssrl_ascii
from tests.io.writers import write_ascii

COLUMNS = {"MONO": [768.0, 769.0], "I0": [1000.5, 1001.0], "SC": [20.0, 21.25]}


def test_columns_and_header_come_back(tmp_path):
    scan = ssrl_ascii.read(write_ascii(tmp_path / "a.dat", 247, COLUMNS))
    assert (scan.number, scan.sample, scan.date, scan.n_rows) == (
        247,
        "LMR charged",
        "Thu Jan  1 12:00:00 2026",
        2,
    )
    assert list(scan.columns) == list(COLUMNS)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(scan.columns[name], values)


def test_channels_are_in_lower_case_and_the_drain_current_is_the_tey(tmp_path):
    readings = ssrl_ascii.read(write_ascii(tmp_path / "a.dat", 1, COLUMNS)).readings
    assert set(readings) == {"mono", "i0", "sc", "tey"}
    np.testing.assert_array_equal(readings["tey"], COLUMNS["SC"])


def test_a_last_row_that_is_cut_short_is_left_out(tmp_path):
    assert (
        ssrl_ascii.read(
            write_ascii(tmp_path / "a.dat", 1, COLUMNS, tail="  770.0  10")
        ).n_rows
        == 2
    )


def test_a_scan_without_rows(tmp_path):
    assert (
        ssrl_ascii.read(
            write_ascii(tmp_path / "a.dat", 1, {"MONO": [], "I0": []})
        ).n_rows
        == 0
    )


def test_recognised_by_its_header_not_by_its_name(tmp_path):
    path = write_ascii(tmp_path / "anything", 1, COLUMNS)
    assert ssrl_ascii.is_ascii_scan(path.read_bytes()[:200])
    assert not ssrl_ascii.is_ascii_scan(b"# energy i0\n1 2\n3 4\n")
    assert not ssrl_ascii.is_ascii_scan(b"")


@pytest.mark.parametrize(
    ("old", "new"), [("Data:", "data"), ("PTS:", "POINTS:"), ("1000.500", "many")]
)
def test_a_broken_file_is_named(tmp_path, old, new):
    path = write_ascii(tmp_path / "a.dat", 1, COLUMNS)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"a\.dat"):
        ssrl_ascii.read(path)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_file_that_ends_in_its_column_names_is_named(tmp_path, left):
    path = write_ascii(tmp_path / "a.dat", 1, COLUMNS)
    lines = path.read_text().split("\n")
    path.write_text("\n".join(lines[: lines.index("Data:") + 1 + left]))
    with pytest.raises(
        InputError, match=rf"a\.dat: ends after {left} of 3 column names"
    ):
        ssrl_ascii.read(path)
