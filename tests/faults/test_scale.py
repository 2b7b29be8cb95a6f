"""Energy scales between and after reference runs: right within their stated errors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.faults.pixels import change_gain, window
from tests.truth.scale import (
    ENOUGH,
    ERRORS,
    WINDOWS,
    fit,
    photon_errors,
    reduce,
    rms,
    stated_error,
)

# One reference run, two samples, a baseline that moves three times as far as usual and
# scatters little, so that the reference run shows little of the drift.
DRIFTING = {
    "seed": 77,
    "pixels": 6,
    "rate": 6.0,
    "calibration_rate": 10.0,
    "calibration_duration": 200.0,
    "calibrations": 1,
    "points": 12,
    "dwell": 30.0,
    "passes": 2,
    "edges": ("Co_L",),
    "samples": ({"name": "first"}, {"name": "second"}),
    "drift": 3.0,
    "pretrigger_scatter": 1.5,
    "projector_samples": 8,
    "bases": 3,
    "dead_pixels": (),
    "noisy_pixels": (),
    "jumping_pixels": (),
    "truncated_pixels": (),
    "beam_dumps": (),
    "event_truth": True,
}


class Reduced:
    """A beamtime that was reduced up to the maps of its scans."""

    def __init__(self, beamtime: Path, out: Path, config: dict | None = None):
        self.beamtime, self.out = beamtime, out
        self.energies = reduce(beamtime, out, config or {})
        self.scans = discover(beamtime).scans

    def product(self, scan):
        return open_product(self.out / "scans" / f"{scan.name}.nxs")

    def errors(self, energy=776.0):
        """The stated errors of all scans at an energy, eV."""
        return np.array([stated_error(self.product(s), energy) for s in self.scans])

    def biases(self):
        """How far scans are off at each line, and the stated error, eV."""
        truth = np.load(self.beamtime / "truth.npz")
        results = []
        for scan in self.scans:
            true, error = photon_errors(scan, self.energies[scan.name], truth)
            for low, high in WINDOWS[scan.edge].values():
                inside = (true > low) & (true < high)
                assert inside.sum() > ENOUGH
                energy = float(np.median(true[inside]))
                bias = fit(error[inside], ERRORS, sigma=0.6).position
                results.append((bias, stated_error(self.product(scan), energy)))
        return np.array(results).T


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drifting") / "beamtime"
    simulate(folder, SimulationSettings.model_validate(DRIFTING))
    return folder


@pytest.fixture(scope="module")
def corrected(beamtime, tmp_path_factory):
    return Reduced(beamtime, tmp_path_factory.mktemp("corrected"))


@pytest.fixture(scope="module")
def uncorrected(beamtime, tmp_path_factory):
    config = {"calibration": {"scan_drift": "off"}}
    return Reduced(beamtime, tmp_path_factory.mktemp("uncorrected"), config)


def test_scales_after_one_reference_run_are_right_within_their_errors(corrected):
    bias, stated = corrected.biases()
    assert np.all(np.abs(bias) < 4 * stated)
    assert rms(bias / stated) < 2
    assert rms(bias) < 0.4


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"seed": 78, "drift": 1.0, "common_drift": (0.4, 5400.0)}, "cal0000"),
        ({"seed": 79, "calibrations": 2, "common_drift": (0.4, 5400.0)}, None),
    ],
    ids=["hidden drift, reference run at the end", "hidden and strong drift"],
)
def test_scales_that_drift_unseen_are_right_within_their_errors(
    change, missing, tmp_path
):
    settings = DRIFTING | {"last_calibration_after": 600.0, "calibrations": 2} | change
    folder = tmp_path / "beamtime"
    simulate(folder, SimulationSettings.model_validate(settings))
    if missing:
        (run,) = [r for r in discover(folder).calibrations if r.name == missing]
        run.log.unlink()
    bias, stated = Reduced(folder, tmp_path / "out").biases()
    # the scans of a beamtime have one error in common, not one each
    assert np.all(np.abs(bias) < 4 * stated)


@pytest.mark.parametrize(
    ("first", "last", "largest_error"),
    [
        ("scan0002", "scan0002", 0.3),
        # all scans of a sample: they may stand too high, or those before too low
        ("scan0004", "scan0006", 2.0),
    ],
    ids=["one scan", "one sample"],
)
def test_a_step_of_all_pixels_moves_its_own_scans_alone(
    first, last, largest_error, tmp_path, caplog
):
    settings = DRIFTING | {"seed": 80, "drift": 1.0, "calibrations": 2, "passes": 3}
    settings |= {"last_calibration_after": 1800.0, "pretrigger_scatter": 3.0}
    folder = tmp_path / "beamtime"
    simulate(folder, SimulationSettings.model_validate(settings))
    start, end = window(folder, first)[0], window(folder, last)[1]
    for path in discover(folder).scans[0].pulse_files:
        change_gain(folder, off.pixel_number(path), 1.004, start, end)
    bias, stated = Reduced(folder, tmp_path / "out").biases()
    assert np.all(np.abs(bias) < 4 * stated)
    assert np.all(stated < largest_error)
    assert f"{first}: the mean energy scale of the pixels steps by +" in caplog.text


def test_a_step_of_half_of_the_pixels_within_a_scan_names_them(tmp_path, caplog):
    settings = DRIFTING | {"seed": 81, "drift": 1.0, "calibrations": 2, "passes": 3}
    settings |= {"last_calibration_after": 1800.0, "pretrigger_scatter": 3.0}
    folder = tmp_path / "beamtime"
    simulate(folder, SimulationSettings.model_validate(settings))
    start, end = window(folder, "scan0002")
    paths = discover(folder).scans[0].pulse_files
    pixels = sorted(map(off.pixel_number, paths))[::2]
    for pixel in pixels:
        change_gain(folder, pixel, 0.9965, (start + end) / 2, end)
    reduce(folder, tmp_path / "out", {})
    names = ", ".join(map(str, pixels))
    assert f"scan0002: the energy scale of 3 pixels ({names}) steps by -" in caplog.text


def test_without_the_correction_the_error_includes_it(corrected, uncorrected):
    bias, stated = uncorrected.biases()
    assert np.all(np.abs(bias) < 4 * stated)
    shifts = [corrected.product(scan).attrs["scale_shift"] for scan in corrected.scans]
    assert np.all(uncorrected.errors(851.0) > 0.95 * np.abs(shifts))


def test_a_stated_hidden_drift_makes_the_error(beamtime, corrected, tmp_path):
    hidden = {"hidden_drift": {"size": 2.0, "period": 3600.0}}
    shutil.copytree(corrected.out, tmp_path / "out")
    stated = Reduced(beamtime, tmp_path / "out", {"calibration": hidden})
    learned = [corrected.product(scan).attrs["hidden_drift"] for scan in stated.scans]
    assert max(learned) < 1
    for scan in stated.scans:
        assert stated.product(scan).attrs["hidden_drift"] == pytest.approx(2.0)
    assert np.all(stated.errors()[1:] > 1.5 * corrected.errors()[1:])


def test_run_json_lists_corrections_and_positions_of_lines(corrected, uncorrected):
    lists = []
    for reduced in (corrected, uncorrected):
        runs = json.loads((reduced.out / "run.json").read_text())
        (items,) = [v for v in runs.values() if isinstance(v, dict) and "scan0001" in v]
        lists.append([items[scan.name] for scan in reduced.scans])
    for facts in lists[0]:
        by_name = {c["name"]: c for c in facts["corrections"]}
        for name in ("energy scale", "drift coefficient"):
            assert by_name[name]["config"] == "calibration.scan_drift"
            assert by_name[name]["error"] > 0
        position, error = facts["line_positions"]["O_Ka"]
        assert abs(position - 525) < 2 and 0 < error < 0.3
    for facts in lists[1]:
        assert "energy scale" not in {c["name"] for c in facts["corrections"]}


def test_the_lines_of_a_sample_stand_still(corrected):
    positions, errors = [], []
    for scan in corrected.scans[:2]:
        product = corrected.product(scan)
        (row,) = np.flatnonzero(product["sample_line"].values == "O_Ka")
        positions.append(float(product["sample_line_position"][row]))
        errors.append(float(product["sample_line_position_errors"][row]))
    assert abs(np.diff(positions)[0]) < 4 * np.hypot(*errors)


def test_while_no_reference_run_follows_a_later_scan_changes_no_earlier_one(
    beamtime, corrected, tmp_path
):
    shorter = tmp_path / "beamtime"
    shutil.copytree(beamtime, shorter)
    last = corrected.scans[-1]
    (shorter / last.log.relative_to(beamtime)).unlink()
    reduced = Reduced(shorter, tmp_path / "out")
    assert len(reduced.scans) == len(corrected.scans) - 1
    for scan in reduced.scans:
        before, after = corrected.product(scan), reduced.product(scan)
        np.testing.assert_array_equal(before["counts"], after["counts"])
        np.testing.assert_array_equal(
            before["energy_scale_errors"], after["energy_scale_errors"]
        )
