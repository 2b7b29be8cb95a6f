import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.scan.count_photon_list import count_photon_list
from tests.stages.builders import points, scan
from tests.stages.scan.photons import EDGES, count_one_by_one, draw_photons


def write_photon_list(path, time, energy, pixel):
    np.savez(path, timestamps=time, energies=energy, channels=pixel)
    return path


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**31), excluded=st.sampled_from([(), (1,), (1, 3)]))
def test_photons_of_a_list_are_counted_once(tmp_path, seed, excluded):
    scan_points = points(start_s=1.7e9)  # in ns by their size
    time, energy = draw_photons(seed, scan_points)
    energy = np.floor(energy) + 0.25
    pixel = np.random.default_rng(seed).choice([1, 3, 7], len(time))
    path = write_photon_list(tmp_path / "x_SCAN1.npz", time, energy, pixel)
    counted = count_photon_list(scan(at=scan_points, photon_list=path), EDGES, excluded)
    counts, keep = counted.counts, ~np.isin(pixel, excluded)
    expected = count_one_by_one(time[keep], energy[keep], scan_points)
    np.testing.assert_array_equal(counts.map_counts, expected)
    assert counted.is_used.tolist() == [p not in excluded for p in (1, 3, 7)]
    assert counts.pixel_counts.sum() == counts.map_counts.sum()
    assert (counts.pixel_counts > 0).tolist() == counted.is_used.tolist()
    assert counts.cut_counts.shape == (3, len(CUT_NAMES))
    assert [str(energy.status) for energy in counted.energies] == [
        "excluded by the config" if p in excluded else "ok: calibrated list"
        for p in (1, 3, 7)
    ]


@pytest.mark.parametrize("has_list", [True, False])
def test_a_run_without_photons_fails(tmp_path, has_list):
    empty, path = np.empty(0), None
    if has_list:
        path = write_photon_list(tmp_path / "x_SCAN1.npz", empty, empty, empty)
    with pytest.raises(RunFailed, match="scan0001: no pulse files, and no photons in"):
        count_photon_list(scan(photon_list=path), EDGES, ())


def test_what_is_wrong_with_a_list_is_reported(tmp_path):
    scan_points = points(start_s=1.7e9)
    time, energy = draw_photons(1, scan_points)
    pixel = np.ones(len(time), int)
    sound = write_photon_list(tmp_path / "x_SCAN1.npz", time, energy, pixel)
    twice = write_photon_list(
        tmp_path / "y_SCAN1.npz",
        np.tile(time, 2) // 1000,  # microseconds
        np.tile(energy, 2),
        np.tile(pixel, 2),
    )
    counted = [
        count_photon_list(scan(at=scan_points, photon_list=path), EDGES, ())
        for path in (sound, twice)
    ]
    assert counted[0].warnings == ()
    assert counted[1].warnings == (
        f"scan0001: {len(time)} photons are in y_SCAN1.npz twice; each counted once",
        "scan0001: times in y_SCAN1.npz are microseconds since 1970; read as such by "
        "the size of the numbers",
    )
    totals = [count.counts.map_counts.sum() for count in counted]
    assert totals[1] == pytest.approx(totals[0], abs=2)  # at limits of points
