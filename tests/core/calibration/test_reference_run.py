from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.interpolate import BSpline

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_run import Calibration, calibrate_pixels
from rixs_pipeline.core.drift.jumps import line_shifts
from rixs_pipeline.core.energy import curve_energy, energy_at_any_time, layout
from rixs_pipeline.types import PixelState, PixelStatus
from tests.core.photons import ENERGY, OPTIONS, REFERENCE_LINES, SIX
from tests.core.reference_pulses import draw_array, draw_pixel, make_pulses

if TYPE_CHECKING:
    from conftest import Calibrated

DEAD, NOISY, JUMPING = 5, 9, 13
OK = PixelStatus(PixelState.OK)
LINES = (*SIX, "elastic")
UNCORRECTED = {"correct_phase": False, "correct_drift": False}


def calibrate(
    pulses: list[ReferencePulses], elastic_energy: float = 1000.0, **changes: object
) -> Calibration:
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return calibrate_pixels(pulses, REFERENCE_LINES, options, elastic_energy)


def bias(run: "Calibrated", row: int, line: float) -> float:
    """Return calibrated - true energy of the photons of a line, eV.

    It is the middle of the bulk, without the low-energy tail.
    """
    pulses = run.pulses[row]
    energies = energy_at_any_time(
        pulses.pulse_height,
        pulses.pretrigger_mean,
        pulses.phase,
        run.result.params[row],
    )
    true = run.energy[pulses.pixel]
    is_of_line = run.good[pulses.pixel] & (np.abs(true - line) < 5)
    errors = (energies - true)[is_of_line]
    middle = float(np.median(errors[np.abs(errors) < 6]))
    for _ in range(4):
        middle = float(np.mean(errors[np.abs(errors - middle) < 2]))
    return middle


def line_biases(run: "Calibrated") -> np.ndarray:
    """Return the bias (pixel, line) eV of the pixels that are used."""
    return np.array([[bias(run, row, line) for line in ENERGY] for row in run.ok])


# --- a simulated beamtime


def test_statuses_are_right(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        statuses = map(str, run.result.status)
        texts = dict(zip(run.result.pixel.tolist(), statuses, strict=True))
        assert texts.pop(DEAD) == "dead: no pulses"
        assert texts.pop(NOISY).startswith("noisy")
        assert set(texts.values()) == {"ok"}


def test_the_elastic_line_is_fitted_but_is_not_an_anchor(
    simulated: "list[Calibrated]",
) -> None:
    for run in simulated:
        assert run.result.lines.names == LINES
        assert run.result.lines.is_anchor.tolist() == [True] * 6 + [False]
        assert np.isfinite(run.result.line_residual[run.ok]).all()


def test_calibrated_energies_are_true(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        biases = line_biases(run)
        assert np.abs(biases).max() < 1.0
        assert np.abs(np.median(biases, axis=0)).max() < 0.2


def test_a_slip_of_the_monochromator_does_not_shift_the_scale(
    simulated: "list[Calibrated]",
) -> None:
    """The true energy of the elastic line differs by 2.6 eV between the runs."""
    energies = []
    for run in simulated:
        energy = run.result.line_residual[:, -1] + run.result.lines.energy[-1]
        energies.append({int(run.result.pixel[row]): energy[row] for row in run.ok})
    first, second = energies
    changes = [second[pixel] - first[pixel] for pixel in first.keys() & second.keys()]
    assert np.median(changes) == pytest.approx(-2.6, abs=0.5)


def test_resolution_is_that_of_the_detector(simulated: "list[Calibrated]") -> None:
    """Without correction, arrival phases make the elastic line three times as wide."""
    for run in simulated:
        true = np.array([run.fwhm[int(pixel)] for pixel in run.result.pixel[run.ok]])
        assert (
            0.9
            < np.median(run.result.response.line_resolution.values[run.ok, -1] / true)
            < 1.4
        )
        assert run.result.params[run.ok][:, layout.PHASE].any(axis=1).all()


def test_residuals_belong_to_the_final_scale(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        result = run.result
        for row in run.ok:
            energy = curve_energy(result.line_pulse_height[row], result.params[row])
            expected = result.lines.energy + result.line_residual[row]
            np.testing.assert_allclose(energy, expected, atol=1e-6)
        assert np.abs(result.line_residual[run.ok][:, :6]).max() < 1.0
        assert (result.line_residual_errors[run.ok] < 0.5).all()


def test_covariance_covers_the_scatter_of_the_pixels(
    simulated: "list[Calibrated]",
) -> None:
    for run in simulated:
        pulls = []
        biases = line_biases(run)
        deviations = biases - np.median(biases, axis=0)
        for row, deviation in zip(run.ok, deviations, strict=True):
            heights = run.result.line_pulse_height[row, :6]
            variance = curve_variance(run.result, row, heights)
            pulls.append(deviation / np.sqrt(variance))
        # corrections and the shape of the tail are not part of the covariance
        assert 0.6 < np.std(pulls) < 1.8


def curve_variance(result: Calibration, row: int, heights: np.ndarray) -> np.ndarray:
    """Return the variance (height,) eV^2 of the curve."""
    lowest, step = result.params[row, layout.CURVE_GRID]
    knots = lowest + step * np.arange(-3, layout.N_COEFFICIENTS + 1)
    weights = BSpline.design_matrix(heights, knots, 3).toarray()
    covariance = result.params_covariance[row][layout.CURVE, layout.CURVE]
    return np.asarray(np.einsum("ij,jk,ik->i", weights, covariance, weights))


def test_a_dead_pixel_has_no_energies(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        result = run.result
        dead = int(np.flatnonzero(result.pixel == DEAD)[0])
        assert np.isnan(result.params[dead][layout.CURVE]).all()
        assert np.isnan(result.line_residual[dead]).all()
        assert result.cut_counts[dead].tolist() == [0] * result.cut_counts.shape[1]
        assert np.isnan(result.cut_limits[dead]).all()
        assert np.isfinite(result.params_covariance[run.ok]).all()


def test_cut_counts_are_those_of_the_pulses(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        for pulses, of_cuts, counts in zip(
            run.pulses, run.result.pulses, run.result.cut_counts, strict=True
        ):
            assert counts[0] == len(pulses.pulse_height)
            assert counts[-1] == len(of_cuts.time)
            accepted = np.isin(pulses.time, of_cuts.time)
            assert accepted.sum() == counts[-1]
            assert (np.diff(counts) <= 0).all()
            if pulses.pixel in run.good and pulses.pixel != NOISY:
                is_good = run.good[pulses.pixel]
                assert accepted[is_good].mean() > 0.99
                assert accepted[~is_good].mean() < 0.05


def test_only_the_simulated_gain_jump_is_detected(
    simulated: "list[Calibrated]",
) -> None:
    before, after = (run.result for run in simulated)
    shifts = line_shifts.line_shifts(before.params, after.params, ENERGY)
    assert before.pixel[line_shifts.have_jumped(shifts)].tolist() == [JUMPING]


# --- the real beamtime


def test_real_pixels_have_the_six_lines(real: "list[Calibrated]") -> None:
    assert len(real) == 2
    for run in real:
        assert run.result.pixel.tolist() == [1, 3, 7, 9]
        assert run.result.status == (OK,) * 4
        assert run.result.lines.names == LINES
        limits = np.maximum(2 * run.result.lines.energy_errors[:6], 1.0)
        assert (np.abs(run.result.line_residual[:, :6]) < limits).all()


def test_real_elastic_light_is_near_the_reading(real: "list[Calibrated]") -> None:
    """At 1000 eV, 70 eV above the last line: a test of the curve outside the lines."""
    for run in real:
        heights = run.result.line_pulse_height[:, -1:]
        energies = [
            curve_energy(height, params)[0]
            for height, params in zip(heights, run.result.params, strict=True)
        ]
        assert np.abs(np.array(energies) - 1000).max() < 6


def test_the_gain_of_real_pixel_9_jumps(real: "list[Calibrated]") -> None:
    first, second = (run.result for run in real)
    shifts = line_shifts.line_shifts(first.params, second.params, ENERGY)
    assert line_shifts.have_jumped(shifts).tolist() == [False, False, False, True]
    assert 14 < shifts[3, 0] < 17  # eV, C Ka
    assert 20 < shifts[3, 4] < 27  # eV, Ni La
    assert np.abs(shifts[:3]).max() < 4.3


def test_the_phase_correction_narrows_the_real_elastic_line(
    real: "list[Calibrated]",
) -> None:
    """From 4.2-6.5 eV to 2.5-4 eV; a single pixel may be wider."""
    run = real[0]
    without = calibrate(run.pulses, **UNCORRECTED)
    assert np.median(without.response.line_resolution.values[:, -1]) > 4.0
    assert np.median(run.result.response.line_resolution.values[:, -1]) < 4.0


# --- small arrays


def test_the_order_of_the_pixels_does_not_matter() -> None:
    pulses = draw_array(4)
    result = calibrate(pulses)
    reversed_result = calibrate(pulses[::-1])
    assert set(result.status) == {OK}
    params = reversed_result.params[::-1]
    np.testing.assert_allclose(params, result.params, rtol=1e-6, atol=1e-9)


def test_a_single_pixel_is_calibrated() -> None:
    result = calibrate(draw_array(1))
    assert result.status == (OK,)
    assert result.lines.names == LINES


def test_corrections_can_be_switched_off() -> None:
    result = calibrate(draw_array(3), **UNCORRECTED)
    assert set(result.status) == {OK}
    assert not result.params[:, layout.PHASE].any()
    assert not result.params[:, layout.DRIFT].any()


def test_without_a_reading_the_elastic_line_is_not_fitted() -> None:
    result = calibrate(draw_array(), elastic_energy=np.nan)
    assert result.lines.names == SIX
    assert np.abs(result.line_residual).max() < 1.0


def test_named_lines_are_used() -> None:
    names = ("Cu_La", "C_Ka", "O_Ka", "Ni_La", "N_Ka")
    result = calibrate(draw_array(), line_names=names)
    assert result.lines.names == ("C_Ka", "N_Ka", "O_Ka", "Ni_La", "Cu_La", "elastic")
    assert set(result.status) == {OK}


def test_a_line_missing_from_the_sample_is_not_identified() -> None:
    present = tuple(name for name in SIX if name != "N_Ka")
    result = calibrate(draw_array(lines=present))
    assert result.lines.names == (*present, "elastic")
    assert set(result.status) == {OK}


def test_a_pixel_may_lack_a_line() -> None:
    pulses = draw_array(5)
    present = tuple(name for name in SIX if name != "O_Ka")
    pulses[2] = draw_pixel(2, np.random.default_rng(9), lines=present)
    result = calibrate(pulses)
    assert result.lines.names == LINES
    assert set(result.status) == {OK}
    assert np.isfinite(result.line_residual).sum(axis=1).tolist() == [7, 7, 6, 7, 7]


def test_pixels_with_spurious_triggers_are_not_ok() -> None:
    rng = np.random.default_rng(3)
    noise = [make_pulses(90 + i, rng, rng.exponential(2000, 5000)) for i in range(5)]
    result = calibrate([*draw_array(6, counts=200), *noise])
    assert set(result.status[:6]) == {OK}
    assert OK not in result.status[6:]


def test_pixels_with_flat_spectra_are_not_ok() -> None:
    rng = np.random.default_rng(0)
    noise = [make_pulses(90 + i, rng, rng.uniform(100, 12000, 5000)) for i in range(24)]
    result = calibrate([*draw_array(26, counts=200), *noise])
    assert OK not in result.status[26:]


def test_an_array_of_noise_has_no_calibration() -> None:
    rng = np.random.default_rng(4)
    pulses = [make_pulses(i, rng, rng.uniform(100, 12000, 3000)) for i in range(3)]
    pulses.append(make_pulses(3, rng, np.empty(0)))
    result = calibrate(pulses)
    assert OK not in result.status
    assert result.params.shape == (4, layout.N_PARAMS)
    assert np.isnan(result.line_residual).all()


def test_errors_follow_the_counts() -> None:
    """12 counts a line are below `min_line_counts`; 100 are enough."""
    assert OK not in calibrate(draw_array(counts=12)).status
    weak = calibrate(draw_array(counts=100))
    strong = calibrate(draw_array(counts=1600))
    assert set(weak.status) == set(strong.status) == {OK}
    weak_errors = np.nanmedian(weak.line_residual_errors[:, :6])
    strong_errors = np.nanmedian(strong.line_residual_errors[:, :6])
    assert weak_errors / strong_errors == pytest.approx(4, rel=0.3)
