from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.interpolate import BSpline

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_run import Calibration, calibrate_pixels
from rixs_pipeline.core.drift import line_shifts
from rixs_pipeline.core.energy import curve_energy, energy, layout
from rixs_pipeline.types import PixelState, PixelStatus
from tests.core.photons import (
    ENERGY,
    OPTIONS,
    REFERENCE_LINES,
    SIX,
    emitted,
    height,
    seen,
)

if TYPE_CHECKING:
    from conftest import Calibrated

DEAD, NOISY, JUMPING = 5, 9, 13
OK = PixelStatus(PixelState.OK)
LINES = (*SIX, "elastic")


def calibrate(
    pulses: list[ReferencePulses], elastic_energy: float = 1000.0, **changes: object
) -> Calibration:
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return calibrate_pixels(pulses, REFERENCE_LINES, options, elastic_energy)


def energies(run: "Calibrated", row: int) -> np.ndarray:
    """Energies (pulse,) eV of all pulses of one pixel."""
    pulses = run.pulses[row]
    time = np.zeros(len(pulses.pulse_height))
    return energy(
        pulses.pulse_height,
        pulses.pretrigger_mean,
        pulses.phase,
        time,
        run.result.params[row],
    )


def bias(run: "Calibrated", row: int, line: float) -> float:
    """Where photons of a line are put, minus where they were: the middle of the bulk, without the low-energy tail."""
    pixel = run.pulses[row].pixel
    near = run.good[pixel] & (np.abs(run.energy[pixel] - line) < 5)
    off = (energies(run, row) - run.energy[pixel])[near]
    middle = float(np.median(off[np.abs(off) < 6]))
    for _ in range(4):
        middle = float(np.mean(off[np.abs(off - middle) < 2]))
    return middle


# --- a simulated beamtime


def test_every_pixel_has_the_right_word(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        words = {
            int(pixel): str(status)
            for pixel, status in zip(run.result.pixel, run.result.status, strict=True)
        }
        assert words.pop(DEAD) == "dead: no pulses"
        assert words.pop(NOISY).startswith("noisy")
        assert set(words.values()) == {"ok"}


def test_the_lines_are_found_and_the_elastic_one_carries_nothing(
    simulated: "list[Calibrated]",
) -> None:
    for run in simulated:
        assert run.result.lines.names == LINES
        assert run.result.lines.is_anchor.tolist() == [True] * 6 + [False]
        assert np.isfinite(run.result.line_residual[run.ok]).all()


def test_lines_stand_where_they_were(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        found = np.array([[bias(run, row, line) for line in ENERGY] for row in run.ok])
        assert np.abs(found).max() < 1.0
        assert np.abs(np.median(found, axis=0)).max() < 0.2


def test_the_monochromator_slips_and_the_scale_does_not(
    simulated: "list[Calibrated]",
) -> None:
    """True energies of the elastic line differ by 2.6 eV between the runs; so must the calibrated ones."""
    stands = []
    for run in simulated:
        residual = run.result.line_residual[:, -1] + run.result.lines.energy[-1]
        stands.append({int(run.result.pixel[row]): residual[row] for row in run.ok})
    moved = [
        stands[1][pixel] - stands[0][pixel] for pixel in stands[0] if pixel in stands[1]
    ]
    assert np.median(moved) == pytest.approx(-2.6, abs=0.5)


def test_the_resolution_is_that_of_the_detector(simulated: "list[Calibrated]") -> None:
    """Uncorrected, the arrival phase alone makes the elastic line three times as wide."""
    for run in simulated:
        true = np.array([run.fwhm[int(pixel)] for pixel in run.result.pixel[run.ok]])
        assert 0.9 < np.median(run.result.fwhm[run.ok, -1] / true) < 1.4
        assert run.result.params[run.ok][:, layout.PHASE].any(axis=1).all()


def test_residuals_are_those_of_the_finished_scale(
    simulated: "list[Calibrated]",
) -> None:
    for run in simulated:
        result = run.result
        for row in run.ok:
            at = curve_energy(result.line_pulse_height[row], result.params[row])
            np.testing.assert_allclose(
                at, result.lines.energy + result.line_residual[row], atol=1e-6
            )
        assert np.abs(result.line_residual[run.ok][:, :6]).max() < 1.0
        assert (result.line_residual_errors[run.ok] < 0.5).all()


def test_errors_of_the_curve_cover_the_pixels_scatter(
    simulated: "list[Calibrated]",
) -> None:
    """At the lines, from the covariance: the pixels scatter around their median as much as is stated."""
    for run in simulated:
        result, pulls = run.result, []
        found = np.array([[bias(run, row, line) for line in ENERGY] for row in run.ok])
        for row, off in zip(run.ok, found - np.median(found, axis=0), strict=True):
            sigma = np.sqrt(
                curve_variance(result, row, result.line_pulse_height[row, :6])
            )
            pulls.append(off / sigma)
        assert (
            0.6 < np.std(pulls) < 1.8
        )  # corrections and the shape of the tail are not part of it


def curve_variance(result: Calibration, row: int, heights: np.ndarray) -> np.ndarray:
    """Variance (height,) eV^2 of the curve, which is linear in its coefficients."""
    lowest, step = result.params[row, layout.CURVE_GRID]
    weights = BSpline.design_matrix(
        heights, lowest + step * np.arange(-3, layout.N_COEFFICIENTS + 1), 3
    ).toarray()
    return np.asarray(
        np.einsum(
            "ij,jk,ik->i",
            weights,
            result.params_covariance[row][layout.CURVE, layout.CURVE],
            weights,
        )
    )


def test_what_is_not_used_has_no_energy_or_says_why(
    simulated: "list[Calibrated]",
) -> None:
    for run in simulated:
        result = run.result
        dead = int(np.flatnonzero(result.pixel == DEAD)[0])
        assert np.isnan(result.params[dead][layout.CURVE]).all()
        assert np.isnan(result.line_residual[dead]).all()
        assert result.cut_counts[dead].tolist() == [0] * result.cut_counts.shape[1]
        assert np.isnan(result.cut_limits[dead]).all()
        assert np.isfinite(result.params_covariance[run.ok]).all()


def test_cut_flow_is_that_of_the_pulses(simulated: "list[Calibrated]") -> None:
    for run in simulated:
        for pulses, accepted, left in zip(
            run.pulses, run.result.accepted, run.result.cut_counts, strict=True
        ):
            assert left[0] == len(pulses.pulse_height) == len(accepted)
            assert left[-1] == accepted.sum()
            assert (np.diff(left) <= 0).all()
            if pulses.pixel in run.good and pulses.pixel != NOISY:
                assert accepted[run.good[pulses.pixel]].mean() > 0.99
                assert accepted[~run.good[pulses.pixel]].mean() < 0.05


def test_the_jump_is_found_and_no_other(simulated: "list[Calibrated]") -> None:
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
        uncertainty = run.result.lines.energy_errors[:6]
        assert (
            np.abs(run.result.line_residual[:, :6]) < np.maximum(2 * uncertainty, 1.0)
        ).all()


def test_real_elastic_light_is_near_the_reading(real: "list[Calibrated]") -> None:
    """1000 eV is 70 eV above the last line: it tests how the curve goes on, and the monochromator."""
    for run in real:
        heights = run.result.line_pulse_height[:, -1:]
        stands = [
            curve_energy(at, params)[0]
            for at, params in zip(heights, run.result.params, strict=True)
        ]
        assert np.abs(np.array(stands) - 1000).max() < 6


def test_real_pixel_9_jumped(real: "list[Calibrated]") -> None:
    shifts = line_shifts.line_shifts(
        real[0].result.params, real[1].result.params, ENERGY
    )
    assert line_shifts.have_jumped(shifts).tolist() == [False, False, False, True]
    assert 14 < shifts[3, 0] < 17 and 20 < shifts[3, 4] < 27  # eV, C Ka and Ni La
    assert np.abs(shifts[:3]).max() < 4.3


def test_real_phase_correction_narrows_the_elastic_line(
    real: "list[Calibrated]",
) -> None:
    """4.2-6.5 eV without, 2.5-4 with; one pixel may do worse."""
    run = real[0]
    without = calibrate(run.pulses, correct_phase=False, correct_drift=False)
    assert np.median(without.fwhm[:, -1]) > 4.0
    assert np.median(run.result.fwhm[:, -1]) < 4.0


# --- small arrays made by hand


def pixel(
    number: int,
    rng: np.random.Generator,
    counts: int = 400,
    lines: tuple[str, ...] = SIX,
    elastic: bool = True,
) -> ReferencePulses:
    """A pixel with a random gain and neither phase nor drift effect."""
    gain = (
        3e4 * 2 ** rng.uniform(-0.5, 0.5),
        rng.uniform(1800, 2200),
        rng.uniform(-300, 300),
    )
    light = [emitted(rng, name, counts) for name in lines] + [
        np.full(counts * elastic, 1000.0)
    ]
    return pulses_of(number, rng, height(seen(rng, np.concatenate(light), 1.6), *gain))


def pulses_of(
    number: int, rng: np.random.Generator, heights: np.ndarray
) -> ReferencePulses:
    n = len(heights)
    rng.shuffle(heights)
    base, phase, residual = (
        rng.normal(5000, 4.5, n),
        rng.uniform(-0.7, 0.3, n),
        rng.normal(30, 2, n),
    )
    return ReferencePulses(
        number,
        heights,
        base,
        phase,
        residual,
        np.linspace(0, 600, n),
        np.full(n, np.inf),
    )


def array(n: int = 4, seed: int = 0, **options: object) -> list[ReferencePulses]:
    return [pixel(i, np.random.default_rng([seed, i]), **options) for i in range(n)]  # type: ignore[arg-type]


def test_the_order_of_the_pixels_does_not_matter() -> None:
    pulses = array(4)
    one, other = (calibrate(order) for order in (pulses, pulses[::-1]))
    assert set(one.status) == {OK}
    np.testing.assert_allclose(other.params[::-1], one.params, rtol=1e-6, atol=1e-9)


def test_one_pixel_alone() -> None:
    result = calibrate(array(1))
    assert result.status == (OK,)
    assert result.lines.names == LINES


def test_nothing_is_corrected_where_the_config_forbids_it() -> None:
    result = calibrate(array(3), correct_phase=False, correct_drift=False)
    assert set(result.status) == {OK}
    assert (
        not result.params[:, layout.PHASE].any()
        and not result.params[:, layout.DRIFT].any()
    )


def test_without_a_reading_the_elastic_line_is_left_out() -> None:
    result = calibrate(array(), elastic_energy=np.nan)
    assert result.lines.names == SIX
    assert np.abs(result.line_residual).max() < 1.0


def test_lines_that_the_config_names_are_taken() -> None:
    names = ("Cu_La", "C_Ka", "O_Ka", "Ni_La", "N_Ka")
    result = calibrate(array(), line_names=names)
    assert result.lines.names == ("C_Ka", "N_Ka", "O_Ka", "Ni_La", "Cu_La", "elastic")
    assert set(result.status) == {OK}


def test_a_line_that_the_sample_lacks_is_not_invented() -> None:
    present = tuple(name for name in SIX if name != "N_Ka")
    result = calibrate(array(lines=present))
    assert result.lines.names == (*present, "elastic")
    assert set(result.status) == {OK}


def test_a_line_that_one_pixel_lacks_costs_that_pixel_the_line() -> None:
    pulses = array(5)
    pulses[2] = pixel(
        2, np.random.default_rng(9), lines=tuple(name for name in SIX if name != "O_Ka")
    )
    result = calibrate(pulses)
    assert result.lines.names == LINES
    assert set(result.status) == {OK}
    assert np.isfinite(result.line_residual).sum(axis=1).tolist() == [7, 7, 6, 7, 7]


def test_spurious_triggers_are_not_ok() -> None:
    rng = np.random.default_rng(3)
    noise = [pulses_of(90 + i, rng, rng.exponential(2000, 5000)) for i in range(5)]
    result = calibrate([*array(6, counts=200), *noise])
    assert set(result.status[:6]) == {OK}
    assert OK not in result.status[6:]


def test_a_flat_spectrum_is_not_ok() -> None:
    rng = np.random.default_rng(0)
    noise = [pulses_of(90 + i, rng, rng.uniform(100, 12000, 5000)) for i in range(24)]
    result = calibrate([*array(26, counts=200), *noise])
    assert OK not in result.status[26:]


def test_an_array_of_noise_does_not_crash() -> None:
    rng = np.random.default_rng(4)
    pulses = [pulses_of(i, rng, rng.uniform(100, 12000, 3000)) for i in range(3)]
    pulses.append(pulses_of(3, rng, np.empty(0)))
    result = calibrate(pulses)
    assert OK not in result.status
    assert result.params.shape == (4, layout.N_PARAMS)


def test_few_counts_say_so() -> None:
    """25 counts a line are below what is asked for; 100 are enough, with wider errors than 1600."""
    assert OK not in calibrate(array(counts=12)).status
    few, many = (calibrate(array(counts=n)) for n in (100, 1600))
    assert set(few.status) == set(many.status) == {OK}
    ratio = np.nanmedian(few.line_residual_errors[:, :6]) / np.nanmedian(
        many.line_residual_errors[:, :6]
    )
    assert ratio == pytest.approx(4, rel=0.3)
