from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.beamtime.join_readings import find_misfit, fits, join_readings
from rixs_pipeline.io.beamtime.joined_runs import JoinedRun
from rixs_pipeline.io.formats.ssrl_ascii import AsciiScan
from rixs_pipeline.io.runs import Points
from tests.io.beamtime.test_join_pulses import log_run

NOON = 1_767_268_800_000_000_000  # ns: 2026-01-01 12:00 UTC
DATE = "Thu Jan  1 12:00:00 2026"


def scan(folder="a", sample="LMR"):
    log = log_run(start_ns=NOON, end_ns=NOON + 1000, log=Path(folder, "scan.json"))
    return JoinedRun(replace(log, sample=sample), pulses=None)


def ascii_scan(folder="a", rows=1, date=DATE, sample="LMR", name="x.dat"):
    columns = {"I0": np.arange(float(rows))}
    return AsciiScan(Path(folder, name), 1, sample, date, columns)


def test_single_file_belongs_to_the_single_scan():
    file = ascii_scan("elsewhere", date="yesterday", sample="another")
    joined = join_readings({"scan0001": scan()}, [file], ())
    assert joined.files == {"scan0001": file}
    assert (joined.misfits, joined.ambiguous) == ({}, [])


def test_file_with_a_different_number_of_rows_is_not_used():
    joined = join_readings({"scan0001": scan()}, [ascii_scan(rows=3)], ())
    assert joined.files == {}
    misfit = joined.misfits["scan0001"]
    assert "rows (3) differs from the number of points of scan 1 (1)" in misfit


def test_rows_of_the_logged_or_of_the_usable_points_fit():
    log = replace(log_run(), n_logged=3)
    assert [fits(log, ascii_scan(rows=rows)) for rows in (1, 2, 3)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "evidence", [{"folder": "b"}, {"sample": "LMR charged"}], ids=["folder", "sample"]
)
def test_folder_or_sample_identify_the_scan(evidence):
    scans = {"first": scan(), "second": scan(**evidence)}
    file = ascii_scan(**{"folder": "c", "sample": "another"} | evidence)
    assert join_readings(scans, [file], ()).files == {"second": file}


def test_ambiguous_file_is_reported_unless_all_its_scans_have_readings():
    scans = {"first": scan(), "second": scan()}
    joined = join_readings(scans, [ascii_scan()], ())
    assert joined.files == {}
    assert "a/x.dat: ambiguous" in joined.ambiguous[0]
    assert "(candidates: first, second)" in joined.ambiguous[0]
    assert join_readings(scans, [ascii_scan()], ("first", "second")).ambiguous == []


def test_date_identifies_the_file_in_any_time_zone():
    early = ascii_scan(date="Wed Dec 31 12:00:00 2025", name="early.dat")
    near = ascii_scan(date="Thu Jan  1 23:00:00 2026", name="near.dat")
    joined = join_readings({"scan0001": scan()}, [early, near], ())
    assert joined.files == {"scan0001": near}


def scan_of_energies(energy):
    start = NOON + np.arange(len(energy))
    points = Points(np.array(energy), start, start + 1)
    position = np.arange(len(energy))
    return replace(log_run(), points=points, position=position, n_logged=len(energy))


@pytest.mark.parametrize(
    ("columns", "fitting"),
    [
        ({"MONO": np.linspace(768, 805, 60)}, True),
        ({"ENERGY_ENC": np.linspace(769, 806.1, 60)}, True),
        ({"MONO": np.linspace(500, 560, 60)}, False),
        ({"MONO": np.linspace(805, 768, 60)}, False),
        (
            {"MONO": np.linspace(500, 560, 60), "ENERGY": np.linspace(768, 805, 60)},
            True,
        ),
        ({"MONO": np.linspace(12.1, 12.9, 60)}, True),  # an angle says nothing
        ({"I1": np.linspace(500, 560, 60)}, True),
    ],
)
def test_energies_of_a_file_are_those_of_its_scan(columns, fitting):
    log = scan_of_energies(np.linspace(768, 805, 60))
    file = AsciiScan(Path("x.dat"), 1, "LMR", DATE, {"I0": np.ones(60)} | columns)
    assert fits(log, file) is fitting
    misfit = find_misfit(log, file)
    assert ("MONO" in misfit and "768.0 to 805.0 eV" in misfit) is not fitting


def test_energies_are_compared_at_the_usable_points():
    energy = np.linspace(768, 805, 60)
    log = scan_of_energies(energy[::-1][5:])
    log = replace(log, position=np.arange(60)[::-1][5:], n_logged=60)
    file = AsciiScan(Path("x.dat"), 1, "LMR", DATE, {"MONO": energy})
    assert fits(log, file)
