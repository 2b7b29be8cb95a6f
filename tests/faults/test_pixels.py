"""Pixels whose baseline, gain or sign changes: no wrong number without a word."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.conftest import SMALL, copied
from tests.faults import pixels as faults

SETTINGS = {
    "seed": 21,
    "pixels": 5,
    "passes": 3,
    "points": 24,
    "dwell": 3.0,
    "rate": 12.0,
    "samples": [{"name": "LMR_RT"}],
}
PIXELS = (1, 3, 5, 7, 9)
SCANS = ("scan0001", "scan0002", "scan0003")
LAST_REFERENCE_RUN = "calibration0004"
FLUX_QUANTUM = 4096.0


@dataclass
class Beamtime:
    """A private beamtime, and its products up to the maps of the scans."""

    path: Path
    out: Path

    def reduce(self, **calibration: object) -> Summary:
        """Reduce it up to the maps of the scans."""
        config = {"execution": {"scheduler": "serial"}, "calibration": calibration}
        options = Options(until="bin")
        return run(self.path, Config.model_validate(config), self.out, options)

    def scan(self, name):
        return open_product(paths.scan_product(self.out, name))

    def statuses(self, name):
        product = self.scan(name)
        pixels = product["pixel"].values.tolist()
        return dict(zip(pixels, map(str, product["pixel_status"].values), strict=True))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Beamtime:
    """A beamtime in which nothing is wrong; read-only."""
    folder = tmp_path_factory.mktemp("sound")
    beamtime = Beamtime(folder / "beamtime", folder / "out")
    simulate(beamtime.path, SimulationSettings.model_validate(SMALL | SETTINGS))
    summary = beamtime.reduce()
    assert not pixel_warnings(summary)
    assert not corrections_of(summary)
    return beamtime


@pytest.fixture
def beamtime(sound, tmp_path) -> Beamtime:
    """A private copy of the sound beamtime and its products."""
    return Beamtime(*copied(sound.path, sound.out, tmp_path))


def pixel_warnings(summary):
    """The warnings of a reduction that are about pixels."""
    return [line for line in summary.warnings if "pixel" in line]


def corrections_of(summary):
    """The corrections of live time in a reduction."""
    corrections = [c for i in summary.items.values() for c in i.get("corrections", [])]
    return [c for c in corrections if "baseline" in c["name"]]


def rates(scan):
    """Rates in the thirds of a scan, and their counts."""
    thirds = np.array_split(np.arange(scan.sizes["incident_energy"]), 3)
    counts = np.array([scan["counts"].values[third].sum() for third in thirds])
    exposure = np.array([scan["exposure"].values[third].sum() for third in thirds])
    return counts / exposure, counts


def assert_same_rates(found, sound, name):
    """Rates agree within 3 standard errors of what the lost photons allow."""
    rate, counts = rates(found.scan(name))
    true_rate, true_counts = rates(sound.scan(name))
    lost = np.abs(1 / counts - 1 / true_counts)
    # the throughput of the other pixels stands for that of the lost ones
    error = np.sqrt(lost + 1 / counts.sum())
    pulls = (rate / true_rate - 1) / error
    assert np.abs(pulls).max() < 3, pulls


# ---- baseline


BASELINES = {
    "to the end": (faults.jump(0.67, 1.0, FLUX_QUANTUM), 0.33),
    "down": (faults.jump(0.2, 0.5, -FLUX_QUANTUM), 0.30),
    "away for most of the scan": (faults.jump(0.3, 1.0, FLUX_QUANTUM), 0.70),
    "half of the scan": (faults.jump(0.0, 0.5, FLUX_QUANTUM), 0.50),
    "small": (faults.jump(0.5, 0.9, 60.0), 0.40),
    "several times": (faults.repeated_jumps(3, 2 * FLUX_QUANTUM), 0.50),
    "slow": (faults.slow_jump(0.4, 0.2, FLUX_QUANTUM), 0.60),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, "scan0002") for kind in BASELINES]
    + [("to the end", "scan0001"), ("away for most of the scan", "scan0001")],
)
def test_a_pixel_is_not_exposed_while_its_baseline_is_away(beamtime, sound, kind, name):
    """`scan0001` leads: it sets the throughput of the pixels in all scans."""
    baseline, share = BASELINES[kind]
    faults.move_baseline(beamtime.path, (1, 7), name, baseline)
    summary = beamtime.reduce()
    for scan in SCANS:
        assert_same_rates(beamtime, sound, scan)
    (warning,) = pixel_warnings(summary)
    assert warning.startswith(f"{name}: baseline away after a jump: pixel 1 (")
    assert warning.endswith("; not exposed there")
    subjects = [c["subject"] for c in corrections_of(summary)]
    assert subjects == [f"{name}: pixel 1", f"{name}: pixel 7"]
    scan = beamtime.scan(name)
    away = scan["pixel_away_time"].values / scan["dwell"].values.sum()
    np.testing.assert_allclose(away, [share, 0, 0, share, 0], atol=0.03)


def test_pulses_that_are_rejected_one_by_one_are_no_jump(beamtime):
    faults.move_baseline(beamtime.path, (3,), "scan0002", faults.stray_baselines(0.3))
    (warning,) = pixel_warnings(beamtime.reduce())
    assert warning.startswith("scan0002: cuts reject 10 % of the pulses at any rate;")
    assert not beamtime.scan("scan0002")["pixel_away_time"].values.any()


def test_without_the_correction_the_live_time_is_kept(beamtime):
    faults.move_baseline(beamtime.path, (1,), "scan0002", BASELINES["to the end"][0])
    (warning,) = pixel_warnings(beamtime.reduce(baseline_jumps=False))
    assert "lose or gain counts" in warning and "pixel 1 by a factor of 0." in warning


def test_a_baseline_that_jumps_between_scans_and_stays_loses_the_pixel(beamtime, sound):
    for name in SCANS[1:]:
        faults.move_baseline(
            beamtime.path, (5,), name, faults.jump(0.0, 1.0, FLUX_QUANTUM)
        )
    beamtime.reduce()
    assert beamtime.statuses("scan0001")[5].startswith("ok")
    for name in SCANS[1:]:
        assert beamtime.statuses(name)[5].startswith("noisy: residual, baseline")
        assert_same_rates(beamtime, sound, name)


def test_a_jump_in_a_reference_run_leaves_the_pixel_calibrated(beamtime, sound):
    """The cuts are those of the level with most pulses."""
    faults.move_baseline(
        beamtime.path, (5,), "calibration0000", faults.jump(0.7, 1.0, FLUX_QUANTUM)
    )
    beamtime.reduce()
    product = open_product(paths.calibration_product(beamtime.out, "cal0000"))
    low, high = product["cut_limits"].values[2, 1]
    assert high - low < FLUX_QUANTUM / 2
    for name in SCANS:
        assert_same_rates(beamtime, sound, name)


# ---- counts


def test_a_pixel_that_loses_pulses_is_reported(beamtime):
    start, end = faults.points(beamtime.path, "scan0002")
    faults.lose_pulses(beamtime.path, (7,), start[10], end[-1], 0.6)
    (warning,) = pixel_warnings(beamtime.reduce())
    name, change, advice = warning.split(": ", 1)[0], *warning.split("; ")[0::2]
    assert name == "scan0002" and change.endswith(" from point 10 on")
    factor = float(change.split("pixel 7 by a factor of ")[1].split()[0])
    assert factor == pytest.approx(0.4, abs=0.08)
    assert advice.startswith("leave out the wrong pixels (`beamtime.exclude.pixels`)")


def test_two_of_five_pixels_that_lose_pulses_leave_it_open_who_is_right(beamtime):
    start, end = faults.points(beamtime.path, "scan0001")
    faults.lose_pulses(beamtime.path, (1, 3), start[5], end[14], 0.5)
    (warning,) = pixel_warnings(beamtime.reduce())
    assert "pixels 1, 3 by a factor of 0." in warning
    assert " at points 5 to 14; " in warning
    assert "which pixels are right is not known" in warning


@pytest.mark.parametrize("part", ["first", "last"])
def test_a_point_in_which_the_detector_stops_is_left_out(beamtime, sound, part):
    start, end = faults.points(beamtime.path, "scan0002")
    middle = (start[6] + end[6]) // 2
    stop = (start[6], middle) if part == "first" else (middle, end[6])
    faults.lose_pulses(beamtime.path, PIXELS, *stop, 1.0)
    summary = beamtime.reduce()
    status = beamtime.scan("scan0002")["point_status"].values
    assert np.flatnonzero(status).tolist() == [6]
    (warning,) = [line for line in summary.warnings if "no pulses for" in line]
    assert "scan0002: no pulses for a part of the time at 1 of 24 points" in warning
    for name in ("scan0001", "scan0003"):
        assert not beamtime.scan(name)["point_status"].values.any()


# ---- gain


def assert_left_out(beamtime, summary, pixel, names):
    """A pixel is displaced in some scans and named, and used in the others."""
    for name in SCANS:
        status = beamtime.statuses(name)[pixel]
        expected = "displaced: " if name in names else "ok"
        assert status.startswith(expected), (name, status)
    lines = [line for line in pixel_warnings(summary) if "displaced" in line]
    assert len(lines) == len(names)
    for name, line in zip(names, sorted(lines), strict=True):
        assert line.startswith(f"{name}: pixel {pixel} displaced by ")


@pytest.mark.parametrize("factor", [1.028, 0.99, 1.006])
def test_a_pixel_that_leaves_and_returns_is_left_out(beamtime, sound, factor):
    start = faults.window(beamtime.path, "scan0002")[0]
    end = faults.window(beamtime.path, "scan0003")[1]
    faults.change_gain(beamtime.path, 7, factor, start, end)
    summary = beamtime.reduce()
    assert_left_out(beamtime, summary, 7, ["scan0002", "scan0003"])
    for name in SCANS:
        assert_same_rates(beamtime, sound, name)


def test_a_pixel_that_leaves_within_a_scan_is_left_out(beamtime):
    start, end = faults.window(beamtime.path, "scan0002")
    third = (end - start) // 3
    faults.change_gain(beamtime.path, 3, 1.02, start + third, end - third)
    assert_left_out(beamtime, beamtime.reduce(), 3, ["scan0002"])
    assert beamtime.statuses("scan0002")[3].endswith("% of the scan")


@pytest.mark.parametrize("factor", [1.035, 0.992])
def test_a_jump_beside_the_only_reference_run_is_found(beamtime, factor):
    faults.forget_first_reference_run(beamtime.path)
    start, end = faults.window(beamtime.path, LAST_REFERENCE_RUN)
    faults.change_gain(beamtime.path, 1, factor, start, end + 1)
    summary = beamtime.reduce()
    assert_left_out(beamtime, summary, 1, list(SCANS))


def test_displaced_pixels_are_only_reported_if_the_config_says_so(beamtime):
    start, end = faults.window(beamtime.path, "scan0002")
    faults.change_gain(beamtime.path, 3, 1.02, start, end)
    summary = beamtime.reduce(displaced_pixels="report")
    assert beamtime.statuses("scan0002")[3].startswith("ok")
    (warning,) = pixel_warnings(summary)
    assert warning.startswith("scan0002: pixels disagree: pixel 3 by +")
    assert not pixel_warnings(beamtime.reduce(displaced_pixels="keep"))


def test_of_two_pixels_that_disagree_none_is_left_out(beamtime):
    for pixel in PIXELS[2:]:
        (path,) = beamtime.path.rglob(f"*_chan{pixel}.off")
        path.unlink()
    start, end = faults.window(beamtime.path, "scan0002")
    faults.change_gain(beamtime.path, 3, 1.02, start, end)
    summary = beamtime.reduce()
    assert all(s.startswith("ok") for s in beamtime.statuses("scan0002").values())
    warning = pixel_warnings(summary)[-1]
    assert warning.startswith("scan0002: pixels disagree: pixel ")
    assert "`beamtime.exclude.pixels`" in warning


def test_a_pixel_that_steps_a_little_is_moved_to_the_others(beamtime, sound):
    start, end = faults.window(beamtime.path, "scan0002")
    faults.change_gain(beamtime.path, 3, 1.003, start, end)
    assert not pixel_warnings(beamtime.reduce())
    scan = beamtime.scan("scan0002")
    gain = scan["alignment"].values
    np.testing.assert_allclose(gain[1], 3e-3, atol=1e-3)
    assert np.abs(np.delete(gain, 1)).max() < 5e-4
    moved = mean_energy(scan) - mean_energy(sound.scan("scan0002"))
    assert abs(moved) < 2 * scale_error(scan) < 0.5


@pytest.mark.parametrize("factor", [1.004, 0.99])
def test_an_array_that_splits_is_reported_with_a_scale_error(beamtime, sound, factor):
    start, end = faults.window(beamtime.path, "scan0002")
    for pixel in (3, 7):
        faults.change_gain(beamtime.path, pixel, factor, start, end)
    summary = beamtime.reduce(displaced_pixels="report")
    # the lines of the sample may show which group has stepped
    (warning,) = [line for line in summary.warnings if "disagree" in line]
    side = "above" if factor > 1 else "below"
    assert warning.startswith("scan0002: pixels disagree: 2 of 5 stand ")
    assert f" eV {side} the others" in warning
    scan = beamtime.scan("scan0002")
    moved = mean_energy(scan) - mean_energy(sound.scan("scan0002"))
    assert abs(moved) < 1.5 * scale_error(scan)
    assert scale_error(scan) > 0.35 * 776 * abs(factor - 1)
    assert np.isnan(beamtime.scan("scan0001")["group_shift"].values).all()


@pytest.mark.parametrize("noise", [0.008, 0.015])
def test_pixels_that_are_far_noisier_than_the_others_are_left_out(beamtime, noise):
    for pixel in (1, 9):
        faults.add_noise(beamtime.path, pixel, noise, "scan0002")
    summary = beamtime.reduce()
    for name in SCANS:
        for pixel, status in beamtime.statuses(name).items():
            is_noisy = name == "scan0002" and pixel in (1, 9)
            assert status.startswith("unlike" if is_noisy else "ok")
    assert len([w for w in pixel_warnings(summary) if "unlike the other" in w]) == 2


@pytest.mark.parametrize(
    ("share", "delay_ms", "height"), [(0.2, 2.0, 0.97), (0.1, 12.0, 0.8)]
)
def test_pulses_that_are_recorded_twice_are_left_out(
    beamtime, sound, share, delay_ms, height
):
    for pixel in PIXELS:
        faults.repeat_pulses(beamtime.path, pixel, share, delay_ms, height)
    summary = beamtime.reduce()
    repeated = [w for w in summary.warnings if "recorded twice in 5 pixels" in w]
    assert len(repeated) == 2
    assert all(
        warning.endswith("the hold-off, check the trigger") for warning in repeated
    )
    corrections = [c for i in summary.items.values() for c in i.get("corrections", [])]
    assert "repeated pulses left out:" in {c["name"] for c in corrections}
    for name in SCANS:
        assert_same_rates(beamtime, sound, name)
    unlimited = beamtime.reduce(hold_off=0.0)
    assert any(
        "they are used, set `calibration.hold_off`" in w for w in unlimited.warnings
    )


def mean_energy(scan):
    """Median energy of the photons between 760 and 800 eV."""
    energy, counts = scan["emission_energy"].values, scan["counts"].values.sum(axis=0)
    is_line = (energy > 760) & (energy < 800)
    below = np.cumsum(counts[is_line])
    return np.interp(below[-1] / 2, below, energy[is_line])


def scale_error(scan):
    """One standard deviation of the energy scale at Co La."""
    energy = scan["emission_energy"].values
    return np.interp(776, energy, scan["energy_scale_errors"].values)


# ---- sign


@pytest.mark.parametrize("with_slope", [True, False])
def test_negative_pulse_heights_are_named_in_the_status(beamtime, with_slope):
    for pixel in (1, 5, 9):
        faults.negate_pulses(beamtime.path, pixel, with_slope=with_slope)
    beamtime.reduce()
    for pixel, status in beamtime.statuses("scan0001").items():
        if pixel in (1, 5, 9):
            assert "negative pulse heights: 100 % of the pulses; filter" in status
        else:
            assert status.startswith("ok")


def test_a_pixel_whose_pulses_turn_negative_after_the_reference_run_is_left_out(
    beamtime, sound
):
    start = faults.window(beamtime.path, "scan0002")[0]
    faults.negate_pulses(beamtime.path, 5, start)
    beamtime.reduce()
    assert beamtime.statuses("scan0001")[5].startswith("ok")
    for name in SCANS[1:]:
        assert beamtime.statuses(name)[5].startswith("noisy: residual, baseline or sig")
        assert_same_rates(beamtime, sound, name)
