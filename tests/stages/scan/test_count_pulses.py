from functools import reduce

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.core.maps.scan_counts import PIXEL_ARRAYS, merge_blocks
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.count_pulses import CountTask, count_block
from tests.stages.builders import (
    CUTS,
    DEAD,
    DEAD_S,
    LIMITS,
    OK,
    params,
    points,
    write_off,
)
from tests.stages.scan.photons import EDGES, count_one_by_one, draw_photons

GOOD = PixelEnergy(OK, (params(), params()), CUTS)
FAST = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def count(files, energies, scan_points):
    """The counts of pixels, as a block."""
    task = CountTask(
        tuple(files), tuple(energies), scan_points, EDGES, 6.0, timed=frozenset(files)
    )
    return count_block(task)


@FAST
@given(seed=st.integers(0, 2**31))
def test_every_pulse_in_a_window_is_counted_once(tmp_path, seed):
    scan_points = points()
    time, energy = draw_photons(seed, scan_points)
    # Not at the edge of a bin, where the last digit of a float32 decides.
    energy = np.floor(energy) + 0.25
    counts = count(
        [write_off(tmp_path / "x_chan3.off", time, energy)], [GOOD], scan_points
    )
    np.testing.assert_array_equal(
        counts.map_counts, count_one_by_one(time, energy, scan_points)
    )
    inside = sum(
        ((time >= s) & (time < e)).astype(int)
        for s, e in zip(scan_points.start_ns, scan_points.end_ns, strict=True)
    )
    assert counts.triggers.sum() == inside.sum() == counts.cut_counts[0, 0]
    assert counts.pixel.tolist() == [3]
    assert counts.pixel_counts.tolist() == [counts.map_counts.sum()]
    np.testing.assert_allclose(
        counts.live_time, np.maximum(2.0 - counts.triggers * DEAD_S, 0)
    )
    np.testing.assert_array_equal(counts.countable, counts.triggers)
    # The records have no samples before the trigger.
    assert counts.after_trigger.tolist() == [DEAD_S]


def test_a_rejected_record_is_a_trigger_but_no_photon(tmp_path):
    """It makes the pixel dead for as long as any other record."""
    scan_points = points(1)
    time = scan_points.start_ns[0] + np.arange(300) * 10**6
    residual = np.full(300, 20.0)
    residual[::10] = 900.0
    path = write_off(tmp_path / "x_chan1.off", time, np.full(300, 700.25), residual)
    counts = count([path], [GOOD], scan_points)
    assert (counts.triggers.sum(), counts.map_counts.sum()) == (300, 270)
    assert counts.cut_counts.tolist() == [[300, 300, 270, 270, 270, 270]]
    assert counts.cut_limits.shape == (1, 4, 2) and counts.cut_limits[0, 0, 1] < 900
    assert (counts.countable.tolist(), counts.accepted.tolist()) == ([[300]], [[270]])


@pytest.mark.parametrize("n", [40, 400])  # too few to learn their cuts here, and enough
def test_a_hold_off_removes_pulses_and_time_alike(tmp_path, n):
    """Two of three pulses come within 30 ms of the previous one.

    The first pulse of the scan follows one before the scan.
    """
    scan_points = points(1, dwell_s=0.1 * n)
    start, ms = scan_points.start_ns[0], 10**6
    time = start + np.arange(n)[:, None] * 100 * ms + np.array([0, 20, 40]) * ms
    time = np.concatenate([[start - 20 * ms], time.ravel()])
    path = write_off(tmp_path / "x_chan1.off", time, np.full(len(time), 700.25))
    limits = LIMITS.copy()
    limits[3, 0] = 0.03
    energy = PixelEnergy(OK, (params(), params()), CutLimits.from_table(limits))
    counts = count([path], [energy], scan_points)
    assert counts.triggers.tolist() == [[3 * n]]
    assert counts.countable.tolist() == [[n - 1]]
    assert counts.map_counts.sum() == counts.accepted.sum() == n - 1
    assert counts.live_time[0, 0] == pytest.approx(0.03 * n)
    np.testing.assert_array_equal(counts.cut_limits[0, 3], limits[3])


def test_few_pulses_are_cut_as_in_the_reference_run(tmp_path):
    scan_points = points(1)
    time = scan_points.start_ns[0] + np.arange(50) * 10**6
    path = write_off(
        tmp_path / "x_chan1.off", time, np.full(50, 700.25), np.full(50, 99.0)
    )
    limits = LIMITS.copy()
    limits[0] = 0, 98  # of a residual around 99 +- 1
    energy = PixelEnergy(OK, (params(), params()), CutLimits.from_table(limits))
    counts = count([path], [energy], scan_points)
    assert 0 < counts.map_counts.sum() < 25
    np.testing.assert_array_equal(counts.cut_limits[0], limits)


def test_a_pixel_that_is_not_used_is_counted_as_triggers_alone(tmp_path):
    scan_points = points(1)
    path = write_off(
        tmp_path / "x_chan1.off",
        scan_points.start_ns[0] + np.arange(9),
        np.full(9, 700.0),
    )
    counts = count([path], [PixelEnergy(DEAD)], scan_points)
    assert (counts.map_counts.sum(), counts.triggers.sum()) == (0, 9)
    assert counts.cut_counts.tolist() == [[9, 0, 0, 0, 0, 0]]
    assert np.isnan(counts.cut_limits).all()


def test_between_two_calibrations_the_energy_moves_with_time(tmp_path):
    scan_points = points(5, dwell_s=10.0)
    middle = (scan_points.start_ns + scan_points.end_ns) // 2
    path = write_off(
        tmp_path / "x_chan1.off", np.repeat(middle, 60), np.full(300, 700.25)
    )
    span = middle[0] / 1e9, middle[-1] / 1e9
    moving = PixelEnergy(OK, (params(0.0), params(8.0)), CUTS, span)
    counts = count([path], [moving], scan_points)
    emission = EDGES[counts.map_counts.argmax(axis=1)]
    np.testing.assert_allclose(emission, 700 + np.array([0, 2, 4, 6, 8]))


@pytest.mark.parametrize("n_blocks", [1, 2, 3])
def test_blocks_add_up_whatever_they_hold(tmp_path, n_blocks):
    scan_points = points()
    files = []
    for pixel in (9, 1, 5, 3):
        path = tmp_path / f"x_chan{pixel}.off"
        files.append(write_off(path, *draw_photons(pixel, scan_points)))
    whole = count(files, [GOOD] * 4, scan_points)
    blocks = [files[k::n_blocks] for k in range(n_blocks)]
    parts = [count(block, [GOOD] * len(block), scan_points) for block in blocks]
    total = reduce(merge_blocks, parts)
    np.testing.assert_array_equal(total.map_counts, whole.map_counts)
    if n_blocks > 1:
        assert total.pixel.tolist() == [1, 3, 5, 9]
        order = np.argsort(whole.pixel)
        for name in PIXEL_ARRAYS:
            expected = getattr(whole, name)[order]
            np.testing.assert_array_equal(getattr(total, name), expected)
