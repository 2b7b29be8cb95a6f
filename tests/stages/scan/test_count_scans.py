import numpy as np
import pytest

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages import chunks
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.scan.count_scans import count_scans
from tests.stages.builders import points, scan, write_off
from tests.stages.contexts import add_calibration, make_context, reference_run

PIXELS = (1, 3, 5)
CONFIG = {
    "map": {"emission": [500, 1000], "step": 1.0},
    "calibration": {"align": False},
}


def beamline(folder, number, photons=200, energy=776.25):
    """Return a scan of three pixels, all of whose photons have one energy."""
    at = points(start_s=1000.0 + 100 * number)
    rng = np.random.default_rng(number)
    files = []
    for pixel in PIXELS:
        time = np.sort(rng.integers(at.start_ns[0], at.end_ns[-1], photons))
        path = folder / f"run{number}_chan{pixel}.off"
        files.append(write_off(path, time, np.full(photons, energy)))
    return scan(files, at, number=number, name=f"scan{number:04d}")


def count(out, scans, part_folders=None):
    reference = reference_run(0, 500.0)
    context = make_context(out, [reference, *scans], CONFIG)
    add_calibration(context, reference, dict.fromkeys(PIXELS, 0.0))
    outcomes = count_scans(
        context,
        SurroundingCalibrations(context),
        scans,
        photon_stores={},
        part_folders=part_folders or {},
    )
    return list(outcomes)


def test_scans_are_counted_in_order(tmp_path):
    scans = [beamline(tmp_path, 2, energy=600.25), beamline(tmp_path, 1)]
    outcomes = count(tmp_path, scans)
    counted = [outcome.unwrap() for outcome in outcomes]
    assert [item.scan.number for item in counted] == [2, 1]
    for item, line in zip(counted, (100, 276), strict=True):
        counts = item.counts.map_counts
        assert counts.shape == (4, 500)
        assert np.flatnonzero(counts.sum(axis=0)).tolist() == [line]
        assert item.counts.pixel.tolist() == list(PIXELS)
        assert item.is_used.all()


@pytest.mark.parametrize("size", [1, 2])
def test_counts_do_not_depend_on_the_size_of_blocks(tmp_path, monkeypatch, size):
    scans = [beamline(tmp_path, 1)]
    (expected,) = count(tmp_path, scans)
    monkeypatch.setattr(chunks, "PIXELS_PER_BLOCK", size)
    (counted,) = count(tmp_path, scans)
    np.testing.assert_array_equal(
        counted.unwrap().counts.map_counts, expected.unwrap().counts.map_counts
    )
    np.testing.assert_array_equal(
        counted.unwrap().counts.triggers, expected.unwrap().counts.triggers
    )


def test_a_scan_that_cannot_be_counted_does_not_stop_the_others(tmp_path):
    scans = [
        scan(number=1, name="scan0001"),
        beamline(tmp_path, 2),
        beamline(tmp_path, 3),
    ]
    scans[2].pulse_files[1].write_bytes(b"no pulses")
    without_files, good, damaged = count(tmp_path, scans)
    assert isinstance(without_files.error, RunFailed)
    assert str(without_files.error) == "scan0001: has no pulse files"
    assert good.unwrap().counts.map_counts.sum() > 0
    assert damaged.error is None or "chan3.off" in str(damaged.error)


def test_photon_parts_are_written_to_the_requested_folder(tmp_path):
    scans = [beamline(tmp_path, 1), beamline(tmp_path, 2)]
    folder = tmp_path / "parts"
    count(tmp_path, scans, {"scan0002": folder})
    assert any(folder.iterdir())


def test_no_scans(tmp_path):
    assert count(tmp_path, []) == []
