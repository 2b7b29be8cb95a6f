import numpy as np
import pytest

from rixs_pipeline.config.models import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.energy import curve_energy, energy, layout
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.discovery import discover
from rixs_pipeline.schema import PIXEL_CALIBRATION, check
from rixs_pipeline.stages.reference import calibrate_run as calibrate
from tests.stages.builders import points, scan, write_off


@pytest.fixture(scope="module")
def run(small_beamtime):
    return discover(small_beamtime).calibrations[0]


@pytest.fixture(scope="module")
def product(run):
    return calibrate.calibrate_run(
        run, load_reference_set("srd128"), CalibrationConfig()
    )


def test_it_keeps_to_the_schema_and_says_where_it_comes_from(product, run):
    check(product, PIXEL_CALIBRATION, "here")
    assert product.sizes["param"] == layout.N_PARAMS and product[
        "pixel"
    ].values.tolist() == [1, 3, 5]
    assert (product.attrs["run"], product.attrs["sample"]) == (
        "cal0000",
        "reference_mix",
    )
    assert (
        product.attrs["reference_set"] == "srd128" and product.attrs["reference_source"]
    )
    assert product.attrs["time"] * 1e9 == pytest.approx(
        (run.points.start_ns[0] + run.points.end_ns[0]) / 2, abs=1e3
    )
    assert all(
        variable.attrs.keys() >= {"units", "long_name"}
        for variable in product.variables.values()
    )


def test_the_spectrum_holds_the_accepted_pulses_between_its_ends(product, run):
    accepted = product["cut_counts"].values[:, -1]
    total = product["spectrum"].values.sum(axis=1)
    assert np.all(total <= accepted) and np.all(total > 0.95 * accepted)
    for row, path in enumerate(run.pulse_files):
        pulses = calibrate.read_reference_pulses(run, path)
        low, high = product["cut_limits"].values[row].T
        quantities = np.stack(
            [pulses.residual, pulses.pretrigger_mean, pulses.phase, pulses.since_last],
            axis=1,
        )
        good = np.all((quantities >= low) & (quantities <= high), axis=1) & (
            pulses.pulse_height > 0
        )
        params = product["params"].values[row]
        time = np.full(len(good), product.attrs["time"])
        energies = energy(
            pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, time, params
        )[good]
        expected, _ = np.histogram(energies, np.arange(100, 1100.1, 0.25))
        assert good.sum() == accepted[row]
        np.testing.assert_array_equal(product["spectrum"].values[row], expected)


def test_the_curve_is_the_energy_function(product):
    heights, params = product["curve_pulse_height"].values, product["params"].values
    for row in range(len(params)):
        np.testing.assert_allclose(
            product["curve_energy"].values[row], curve_energy(heights[row], params[row])
        )
        assert np.all(np.diff(product["curve_energy"].values[row]) > 0)


def test_the_corrections_are_shown_with_and_without(product, run):
    """All that is left of a phase effect of some eV are counting statistics; the time bins span the run."""
    names = product["fitted_line"].values.tolist()
    assert names == [*product["line_name"].values.tolist(), "elastic"]
    kinds = ("phase_offset_uncorrected", "phase_offset", "phase_offset_errors")
    before, after, errors = (product[kind].values[-1] for kind in kinds)
    assert np.ptp(before) > 3
    assert (
        np.sum((after / errors) ** 2) < 40
    )  # 12 degrees of freedom: one in 10 000 is above
    seconds = (run.points.end_ns[-1] - run.points.start_ns[0]) / 1e9
    assert product["time_bin"].values[[0, -1]] == pytest.approx(
        [seconds / 24, seconds * 23 / 24]
    )
    assert (
        np.isfinite(product["time_offset"].values).all()
        and np.isfinite(product["pretrigger_offset"].values).all()
    )


def test_a_run_without_a_pulse_fails(tmp_path):
    file = write_off(tmp_path / "x_chan1.off", [], [])
    run = scan([file], points(1), kind="calibration", name="cal0007")
    with pytest.raises(
        RunFailed, match="cal0007: no pixel has pulses in this reference run"
    ):
        calibrate.calibrate_run(run, load_reference_set("srd128"), CalibrationConfig())


def test_only_pulses_within_the_run_are_read(tmp_path):
    at = points(1)
    times = [at.start_ns[0] - 1, at.start_ns[0], at.end_ns[0] - 1, at.end_ns[0]]
    file = write_off(tmp_path / "x_chan7.off", times, [500, 501, 502, 503])
    pulses = calibrate.read_reference_pulses(scan([file], at), file)
    assert (pulses.pixel, pulses.pulse_height.tolist()) == (7, [5010.0, 5020.0])
    assert pulses.time == pytest.approx(
        [0.0, (at.end_ns[0] - 1 - at.start_ns[0]) / 1e9]
    )
