from pathlib import Path

import numpy as np

from rixs_pipeline.io.beamtime.inspection import as_text, describe
from rixs_pipeline.io.runs import Beamtime, Points, Run
from rixs_pipeline.types import Edge
from tests.io.writers import SECOND, T0, write_off


def run(files, energies):
    start_ns = T0 + np.arange(len(energies)) * SECOND
    points = Points(np.array(energies), start_ns, start_ns + SECOND)
    return Run("scan", 1, "scan0001", "", "LMR", Edge.Co_L, points, pulse_files=files)


def beamtime(tmp_path, energies=(778.0, 780.0)):
    times = [T0 + i * SECOND // 2 for i in range(10)]
    files = (
        write_off(tmp_path / "x_chan1.off", times),
        write_off(tmp_path / "x_chan3.off"),
    )
    return Beamtime(Path("bt"), (run(files, energies),), ("a problem",))


def test_a_run_is_described_with_the_pulses_in_its_window(tmp_path):
    description = describe(beamtime(tmp_path))
    (scan,) = description["runs"]
    assert (scan["events"], scan["pixels"], scan["dead_pixels"]) == (4, 2, [3])
    assert (scan["incident_energy"], scan["duration_s"]) == ([778.0, 780.0], 2.0)
    assert description["problems"] == ["a problem"]


def test_an_unknown_energy_is_null(tmp_path):
    description = describe(beamtime(tmp_path, (np.nan,)))
    assert description["runs"][0]["incident_energy"] is None


def test_the_table_has_a_row_for_each_run_and_the_problems(tmp_path):
    lines = as_text(describe(beamtime(tmp_path))).splitlines()
    assert lines[0] == "bt"
    assert lines[1].split()[:3] == ["run", "kind", "sample"]
    assert "778.00 - 780.00" in lines[2]
    assert "1/2" in lines[2]
    assert lines[-1] == "problem: a problem"
    one_point = as_text(describe(beamtime(tmp_path, (778.0,))))
    assert " 778.00 " in one_point
