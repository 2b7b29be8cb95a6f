import csv
from pathlib import Path

import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.csv_tables import read_attributes, write_table

ATTRIBUTES = {"reference_set": "srd128", "input_hashes": '{"cal0000": "a\n"}'}


def test_table_is_a_csv_with_its_sources(tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "references.csv"
    write_table(
        path,
        {
            "line": ["C_Ka", "N_Ka"],
            "residual": [0.12345, float("nan")],
            "pixels": [3, 0],
        },
        ATTRIBUTES,
    )
    assert read_attributes(path) == ATTRIBUTES
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"line": "C_Ka", "residual": "0.1235", "pixels": "3"},
            {"line": "N_Ka", "residual": "", "pixels": "0"},
        ]


def test_pandas_reads_a_table_without_options(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "t.csv"
    write_table(path, {"line": ["C_Ka"], "residual": [float("nan")]}, ATTRIBUTES)
    table = pandas.read_csv(path)
    assert table.columns.tolist() == ["line", "residual"]
    assert table["line"].tolist() == ["C_Ka"] and table["residual"].isna().all()


@pytest.mark.parametrize("content", ["", "not json", "[1]", None])
def test_tables_without_attributes_are_reported(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "t.csv"
    write_table(path, {"a": [1]}, {})
    beside = tmp_path / ".t.csv.json"
    if content is None:
        beside.unlink()
    else:
        beside.write_text(content)
    with pytest.raises(InputError, match=r"t\.csv"):
        read_attributes(path)


def test_columns_of_different_lengths_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(ValueError, match="shorter"):
        write_table(path, {"a": [1, 2], "b": [1]}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["# config_hash: not json\n", b"# \xff: 1\n", None])
def test_data_without_table_form_are_reported(
    tmp_path: Path, content: str | bytes | None
) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        InputError,
        match=r"t\.csv: (not a table of rixs-pipeline \(.*\); delete|cannot be read)",
    ):
        read_attributes(path)
