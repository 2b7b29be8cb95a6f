from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.scan import count_pulses as stage
from rixs_pipeline.stages.scan.count_pulses import (
    Binned,
    BinTask,
    add_blocks,
    bin_block,
    bin_photon_list,
    without_silent,
)
from rixs_pipeline.stages.scan.pixel_energies import (
    PixelEnergy,
    best_resolved,
    pixel_energies,
)
from tests.stages.builders import (
    DEAD_S,
    LIMITS,
    calibration,
    params,
    points,
    scan,
    write_off,
)

EDGES = np.arange(500, 1000.5, 0.5)
GOOD = PixelEnergy("ok", (params(), params()), LIMITS)
FAST = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def pulses(seed, at, n=400):
    """Times before, in, between and after the points, and energies around the edges of the map."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(at.start_ns[0] - 10**9, at.end_ns[-1] + 10**9, n))
    time[:2] = at.start_ns[0], at.end_ns[-1]  # the limits themselves
    return np.sort(time), np.round(rng.uniform(480, 1020, n), 1)


def counted(time, energy, at):
    """Pulse by pulse, in plain Python."""
    counts = np.zeros((len(at), len(EDGES) - 1), np.int64)
    for t, e in zip(time.tolist(), energy.tolist(), strict=True):
        for j in range(len(at)):
            if at.start_ns[j] <= t < at.end_ns[j] and EDGES[0] <= e < EDGES[-1]:
                counts[j, int((np.float32(10 * e) * 0.1 - 500) // 0.5)] += 1
    return counts


def task(files, functions, at):
    return BinTask(tuple(files), tuple(functions), at, EDGES, 6.0)


@FAST
@given(seed=st.integers(0, 2**31))
def test_every_pulse_in_a_window_is_counted_once(tmp_path, seed):
    at = points()
    time, energy = pulses(seed, at)
    energy = (
        np.floor(energy) + 0.25
    )  # not at the edge of a bin, where the last digit of a float32 decides
    binned = bin_block(
        task([write_off(tmp_path / "x_chan3.off", time, energy)], [GOOD], at)
    )
    np.testing.assert_array_equal(binned.counts, counted(time, energy, at))
    inside = sum(
        ((time >= s) & (time < e)).astype(int)
        for s, e in zip(at.start_ns, at.end_ns, strict=True)
    )
    assert binned.triggers.sum() == inside.sum() == binned.cut_counts[0, 0]
    assert binned.pixel.tolist() == [3] and binned.pixel_counts.tolist() == [
        binned.counts.sum()
    ]
    np.testing.assert_allclose(
        binned.live_time, np.maximum(2.0 - binned.triggers * DEAD_S, 0)
    )
    np.testing.assert_array_equal(binned.countable, binned.triggers)
    assert binned.after_trigger.tolist() == [
        DEAD_S
    ]  # its records have no samples before the trigger


def test_what_a_cut_takes_is_a_trigger_but_no_photon(tmp_path):
    """It blinds the pixel all the same."""
    at = points(1)
    time = at.start_ns[0] + np.arange(300) * 10**6
    residual = np.full(300, 20.0)
    residual[::10] = 900.0
    path = write_off(tmp_path / "x_chan1.off", time, np.full(300, 700.25), residual)
    binned = bin_block(task([path], [GOOD], at))
    assert (binned.triggers.sum(), binned.counts.sum()) == (300, 270)
    assert binned.cut_counts.tolist() == [[300, 300, 270, 270, 270, 270]]
    assert binned.cut_limits.shape == (1, 4, 2) and binned.cut_limits[0, 0, 1] < 900
    assert (binned.countable.tolist(), binned.accepted.tolist()) == ([[300]], [[270]])


@pytest.mark.parametrize("n", [40, 400])  # too few to learn their cuts here, and enough
def test_a_hold_off_takes_pulses_and_time_alike(tmp_path, n):
    """Two of three pulses come within 30 ms of the one before; the first of the scan follows one before the scan."""
    at = points(1, dwell_s=0.1 * n)
    time = (
        at.start_ns[0]
        + np.arange(n)[:, None] * 100_000_000
        + np.array([0, 20_000_000, 40_000_000])
    )
    time = np.concatenate([[at.start_ns[0] - 20_000_000], time.ravel()])
    path = write_off(tmp_path / "x_chan1.off", time, np.full(len(time), 700.25))
    limits = LIMITS.copy()
    limits[3, 0] = 0.03
    binned = bin_block(
        task([path], [PixelEnergy("ok", (params(), params()), limits)], at)
    )
    assert binned.triggers.tolist() == [[3 * n]] and binned.countable.tolist() == [
        [n - 1]
    ]
    assert binned.counts.sum() == binned.accepted.sum() == n - 1
    assert binned.live_time[0, 0] == pytest.approx(0.03 * n)
    np.testing.assert_array_equal(binned.cut_limits[0, 3], limits[3])


def test_few_pulses_are_cut_as_in_the_reference_run(tmp_path):
    at = points(1)
    time = at.start_ns[0] + np.arange(50) * 10**6
    path = write_off(
        tmp_path / "x_chan1.off", time, np.full(50, 700.25), np.full(50, 99.0)
    )
    limits = LIMITS.copy()
    limits[0] = 0, 98  # of a residual around 99 +- 1
    binned = bin_block(
        task([path], [PixelEnergy("ok", (params(), params()), limits)], at)
    )
    assert 0 < binned.counts.sum() < 25
    np.testing.assert_array_equal(binned.cut_limits[0], limits)


def test_a_pixel_that_is_not_used_is_counted_as_triggers_alone(tmp_path):
    at = points(1)
    path = write_off(
        tmp_path / "x_chan1.off", at.start_ns[0] + np.arange(9), np.full(9, 700.0)
    )
    binned = bin_block(task([path], [PixelEnergy("dead")], at))
    assert (binned.counts.sum(), binned.triggers.sum(), binned.cut_counts.tolist()) == (
        0,
        9,
        [[9, 0, 0, 0, 0, 0]],
    )
    assert np.isnan(binned.cut_limits).all()


def test_between_two_calibrations_the_energy_moves_with_time(tmp_path):
    at = points(5, dwell_s=10.0)
    middle = (at.start_ns + at.end_ns) // 2
    path = write_off(
        tmp_path / "x_chan1.off", np.repeat(middle, 60), np.full(300, 700.25)
    )
    span = middle[0] / 1e9, middle[-1] / 1e9
    moving = PixelEnergy("ok", (params(0.0), params(8.0)), LIMITS, span)
    binned = bin_block(task([path], [moving], at))
    emission = EDGES[binned.counts.argmax(axis=1)]
    np.testing.assert_allclose(emission, 700 + np.array([0, 2, 4, 6, 8]))


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_blocks_add_up_whatever_they_hold(tmp_path, blocks):
    at = points()
    files = []
    for pixel in (9, 1, 5, 3):
        files.append(write_off(tmp_path / f"x_chan{pixel}.off", *pulses(pixel, at)))
    whole = bin_block(task(files, [GOOD] * 4, at))
    parts = [
        bin_block(task(files[k::blocks], [GOOD] * len(files[k::blocks]), at))
        for k in range(blocks)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = add_blocks(total, part)
    np.testing.assert_array_equal(total.counts, whole.counts)
    order = np.argsort(whole.pixel)
    if blocks > 1:
        assert total.pixel.tolist() == [1, 3, 5, 9]
        for name in (
            field.name
            for field in fields(Binned)
            if field.name not in ("counts", "pixel")
        ):
            np.testing.assert_array_equal(
                getattr(total, name), getattr(whole, name)[order]
            )


# ---- pixels that are silent


def binned_of(triggers):
    triggers = np.array(triggers)[:, None]
    n = len(triggers)
    return Binned(
        np.zeros((1, 1), np.int64),
        np.arange(n),
        triggers,
        triggers,
        triggers,
        np.ones((n, 1)),
        np.zeros(n),
        triggers[:, 0],
        np.zeros((n, 6), np.int64),
        np.full((n, 4, 2), np.nan),
    )


def test_a_pixel_that_is_silent_while_others_are_not_is_left_out():
    bad = PixelEnergy("noisy")
    functions = without_silent(binned_of([500, 0, 1, 0]), (GOOD, GOOD, GOOD, bad))
    assert [f.status for f in functions] == ["ok", stage.SILENT, "ok", "noisy"]
    few = (GOOD, GOOD)
    assert without_silent(binned_of([stage.MANY, 0]), few) is few  # that may be chance
    assert (
        without_silent(binned_of([0, 0]), few) is few
    )  # no beam, or no detector: not for a pixel to tell
    noise = without_silent(
        binned_of([9999, 0]), (bad, GOOD)
    )  # the pulses of a bad pixel are no photons
    assert [f.status for f in noise] == ["noisy", "ok"]


# ---- which energy function a pixel has


FILES = (Path("x_chan1.off"), Path("x_chan3.off"))


def status(calibrations, excluded=(), span=(50.0, 60.0), **more):
    return [
        f.status for f in pixel_energies(FILES, span, calibrations, excluded, **more)
    ]


EARLY, LATE = (
    calibration("cal1", 0, {1: 0.0, 3: 0.0}),
    calibration("cal2", 100, {1: 1.0, 3: -1.0}),
)


def test_the_calibrations_around_a_scan_are_interpolated():
    before, after = (
        calibration("cal0", -50, {1: 5.0, 3: 5.0}),
        calibration("cal3", 200, {1: 5.0, 3: 5.0}),
    )
    assert status([before, EARLY, LATE, after]) == ["ok: cal1 to cal2"] * 2
    first = pixel_energies(FILES, (50.0, 60.0), [EARLY, LATE], ())[0]
    assert first.used and first.reference_times == (0.0, 100.0)
    np.testing.assert_array_equal(first.params, [params(0.0), params(1.0)])


def test_a_scan_with_one_calibration_rests_on_it():
    assert status([EARLY]) == ["ok: cal1 alone"] * 2
    assert status([LATE]) == ["ok: cal2 alone"] * 2
    assert status([EARLY, LATE], span=(150.0, 160.0)) == ["ok: cal2 alone"] * 2


def test_without_a_good_calibration_a_pixel_is_not_used():
    assert status([]) == ["no calibration"] * 2
    bad = (
        calibration("cal1", 0, {1: "noisy: 9 eV"}),
        calibration("cal2", 100, {1: "dead", 3: 0.0}),
    )
    functions = pixel_energies(FILES, (50.0, 60.0), bad, ())
    assert [f.status for f in functions] == [
        "cal1: noisy: 9 eV; cal2: dead",
        "ok: cal2 alone",
    ]
    assert [f.used for f in functions] == [False, True]


def test_a_pixel_that_the_config_excludes_is_not_used():
    assert status([EARLY, LATE], excluded=(1,)) == [
        "excluded by the config",
        "ok: cal1 to cal2",
    ]


@pytest.mark.parametrize(
    ("jump", "expected", "times"),
    [
        (None, "ok: cal1 alone, jumped by -20.0 eV before cal2", (0.0, 0.0)),
        (70.0, "ok: cal1 alone, jumped by -20.0 eV before cal2", (0.0, 0.0)),
        (20.0, "ok: cal2 alone, jumped by -20.0 eV after cal1", (0.0, 0.0)),
        (
            54.0,
            "ok: cal1, then cal2 from 4 s on, when it jumped by -20.0 eV",
            (54.0, 54.0),
        ),
    ],
)
def test_a_pixel_that_jumped_changes_its_calibration_at_the_jump(jump, expected, times):
    jumped = calibration("cal2", 100, {1: 20.0, 3: 1.0})
    at = {} if jump is None else {1: jump}
    functions = pixel_energies(FILES, (50.0, 60.0), [EARLY, jumped], (), at)
    assert [f.status for f in functions] == [expected, "ok: cal1 to cal2"]
    assert functions[0].reference_times == pytest.approx(times, abs=1e-3)


def test_only_the_best_resolved_pixels_are_used():
    one = calibration("cal1", 0, {1: 0.0, 3: 0.0}, fwhm=[3.0, 2.0])
    functions = pixel_energies(FILES, (50.0, 60.0), [one], ())
    left = best_resolved(FILES, functions, [one], 1)
    assert [f.status for f in left] == [
        "not among the 1 best resolved pixels",
        "ok: cal1 alone",
    ]
    assert (
        best_resolved(FILES, functions, [one], None)
        is functions
        is best_resolved(FILES, functions, [one], 2)
    )


# ---- photon lists


def photon_list(path, time, energy, pixel):
    np.savez(path, timestamps=time, energies=energy, channels=pixel)
    return path


@FAST
@given(seed=st.integers(0, 2**31), excluded=st.sampled_from([(), (1,), (1, 3)]))
def test_photons_of_a_list_are_counted_once(tmp_path, seed, excluded):
    at = points()
    time, energy = pulses(seed, at)
    energy = np.floor(energy) + 0.25
    pixel = np.random.default_rng(seed).choice([1, 3, 7], len(time))
    run = scan(
        at=at, photon_list=photon_list(tmp_path / "x_SCAN1.npz", time, energy, pixel)
    )
    binned, functions = bin_photon_list(run, EDGES, excluded)
    keep = ~np.isin(pixel, excluded)
    np.testing.assert_array_equal(binned.counts, counted(time[keep], energy[keep], at))
    assert [f.used for f in functions] == [p not in excluded for p in (1, 3, 7)]
    assert binned.pixel_counts.sum() == binned.counts.sum()
    assert [bool(n) for n in binned.pixel_counts] == [f.used for f in functions]
    assert binned.cut_counts.shape == (3, len(cuts.CUT_NAMES))


@pytest.mark.parametrize("empty", [True, False])
def test_a_run_without_photons_fails(tmp_path, empty):
    nothing = np.empty(0)
    path = (
        photon_list(tmp_path / "x_SCAN1.npz", nothing, nothing, nothing)
        if empty
        else None
    )
    with pytest.raises(
        RunFailed,
        match="scan0001: has neither pulse files nor a photon list that holds photons",
    ):
        bin_photon_list(scan(photon_list=path), EDGES, ())
