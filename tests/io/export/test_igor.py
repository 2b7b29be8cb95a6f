import re

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io.export import Spectrum
from rixs_pipeline.io.export.igor import write_map_waves, write_waves

NAN = float("nan")


def read_waves(path):
    """Wave -> values, by the grammar of Igor text files; and the commands."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines.pop(0) == "IGOR"
    waves, commands = {}, []
    while lines:
        line = lines.pop(0)
        if line.startswith("X "):
            commands.append(line[2:])
            continue
        shape, names = re.fullmatch(r"WAVES/D/O(?:/N=\((\S+)\))? (.+)", line).groups()
        assert lines.pop(0) == "BEGIN"
        end = lines.index("END")
        rows = [list(map(float, row.split("\t"))) for row in lines[:end]]
        del lines[: end + 1]
        table = np.array(rows)
        if shape:
            assert table.shape == tuple(map(int, shape.split(",")))
            waves[names] = table
        else:
            columns = names.split(" ")
            assert table.shape[1] == len(columns)
            waves |= dict(zip(columns, table.T, strict=True))
    return waves, commands


def test_columns_are_waves_of_one_length(tmp_path):
    columns = {
        "intensity": np.array([1 / 3, NAN]),
        "difference of a long sample name, number 1": np.ones(2),
        "difference of a long sample name, number 2": np.zeros(2),
    }
    spectrum = Spectrum(
        "incident_energy",
        np.array([770.0, 771.0]),
        columns,
        {"intensity": "counts/s"},
        {"sample": 'a "b" \\ c'},
    )
    write_waves(tmp_path / "a.itx", spectrum)
    waves, commands = read_waves(tmp_path / "a.itx")
    assert len(waves) == 4 and all(
        re.fullmatch(r"[A-Za-z]\w{0,30}", name) for name in waves
    )
    np.testing.assert_array_equal(waves["incident_energy"], spectrum.energy)
    for values, expected in zip(
        list(waves.values())[1:], columns.values(), strict=True
    ):
        np.testing.assert_array_equal(values, expected)
    assert 'SetScale d 0,0,"eV", incident_energy' in commands
    assert 'SetScale d 0,0,"counts/s", intensity' in commands
    assert r'Note intensity, "sample: a \"b\" \\ c"' in commands


@pytest.mark.parametrize("bins", [1, 4])
def test_a_map_is_a_matrix_with_its_axes(tmp_path, bins):
    incident, emission = np.array([770.0, 770.3, 771.0]), 500.25 + 0.5 * np.arange(bins)
    values = np.arange(3.0 * bins).reshape(3, bins)
    values[1] = NAN
    rixs_map = xr.Dataset(
        {"intensity": (("incident_energy", "emission_energy"), values)},
        {"incident_energy": incident, "emission_energy": emission},
    )
    write_map_waves(tmp_path / "a.itx", rixs_map)
    waves, commands = read_waves(tmp_path / "a.itx")
    np.testing.assert_array_equal(waves["intensity"], values)
    np.testing.assert_array_equal(waves["incident_energy"], incident)
    np.testing.assert_array_equal(waves["emission_energy"], emission)
    step = "0.5" if bins > 1 else "1.0"
    assert f'SetScale/P y 500.25,{step},"eV", intensity' in commands
