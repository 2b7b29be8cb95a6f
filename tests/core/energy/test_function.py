import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from rixs_pipeline.core.energy import (
    corrected_pulse_height,
    correction_derivatives,
    curve_energy,
    curve_height,
    drift_basis,
    energy,
    energy_at_any_time,
    interpolated_energy,
    kernels,
    layout,
    spline_fit_matrix,
)

some = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
TOP = 12000.0  # pulse height at the upper end of the toy spline
HEIGHT_REF, PRETRIGGER_REF = 11000.0, 5000.0


def toy_params(seed: int = 0, drift: float = 0.0, phase: float = 0.0) -> np.ndarray:
    """A rising curve from 0 to about 1000 eV, and corrections of these sizes."""
    rng = np.random.default_rng(seed)
    params = np.zeros(layout.N_PARAMS)
    params[layout.CURVE_GRID] = -300.0, (TOP + 300.0) / (layout.N_COEFFICIENTS - 3)
    params[layout.CURVE] = (
        np.cumsum(rng.uniform(5.0, 45.0, layout.N_COEFFICIENTS)) - 30.0
    )
    params[layout.HEIGHT_REF], params[layout.PRETRIGGER_REF] = (
        HEIGHT_REF,
        PRETRIGGER_REF,
    )
    params[layout.DRIFT] = drift * rng.normal(0, 1, 2)
    params[layout.PHASE_CENTRE], params[layout.PHASE_HALF_WIDTH] = (
        (-0.1, -0.3, 0.05),
        0.5,
    )
    params[layout.PHASE] = phase * rng.normal(0, 1, 9)
    params[layout.VALIDITY] = -np.inf, np.inf
    return params


def as_bspline(params: np.ndarray) -> BSpline:
    lowest, step = params[layout.CURVE_GRID]
    return BSpline(
        lowest + step * np.arange(-3, layout.N_COEFFICIENTS + 1),
        params[layout.CURVE],
        3,
    )


def ends(params: np.ndarray) -> tuple[float, float]:
    lowest, step = params[layout.CURVE_GRID]
    return lowest, lowest + step * (layout.N_COEFFICIENTS - 3)


@some
@given(SEEDS)
def test_curve_is_the_cubic_bspline(seed: int) -> None:
    params = toy_params(seed)
    heights = np.linspace(*ends(params), 1001)
    heights[-1] -= 1e-6
    spline = as_bspline(params)
    np.testing.assert_allclose(
        curve_energy(heights, params), spline(heights), rtol=1e-12, atol=1e-9
    )
    np.testing.assert_allclose(
        kernels.curve_slopes(heights, params), spline.derivative()(heights), rtol=1e-9
    )


@some
@given(SEEDS, st.sampled_from([layout.N_COEFFICIENTS, 4 * layout.N_COEFFICIENTS]))
def test_the_spline_through_a_spline_is_that_spline(seed: int, n: int) -> None:
    params = toy_params(seed)
    values = curve_energy(np.linspace(*ends(params), n), params)
    np.testing.assert_allclose(
        spline_fit_matrix(n) @ values, params[layout.CURVE], atol=1e-7
    )


@some
@given(SEEDS)
def test_linear_beyond_the_ends(seed: int) -> None:
    params = toy_params(seed)
    low, high = ends(params)
    for end, distance in (
        (low, -np.arange(0.0, 5000.0, 100.0)),
        (high, np.arange(0.0, 5000.0, 100.0)),
    ):
        line = curve_energy(np.array([end]), params) + distance * kernels.curve_slopes(
            np.array([end]), params
        )
        np.testing.assert_allclose(
            curve_energy(end + distance, params), line, rtol=1e-10, atol=1e-7
        )
    assert float(
        np.diff(kernels.curve_slopes(np.array([high, high + 1e4]), params))[0]
    ) == pytest.approx(0, abs=1e-12)


@some
@given(SEEDS)
def test_rising_coefficients_give_a_rising_curve(seed: int) -> None:
    heights = np.linspace(-8000.0, 2 * TOP, 2001)
    assert (np.diff(curve_energy(heights, toy_params(seed))) > 0).all()


@some
@given(SEEDS, st.floats(-0.9, 1.9))
def test_height_of_inverts_the_curve(seed: int, place: float) -> None:
    """Also on the straight parts: one length of the spline beyond either end."""
    params = toy_params(seed)
    low, high = ends(params)
    height = np.array([low + place * (high - low)])
    np.testing.assert_allclose(
        curve_height(curve_energy(height, params), params), height, atol=1e-6
    )


def test_height_of_keeps_the_shape_of_its_argument() -> None:
    params = toy_params()
    energies = np.array([[277.0, 524.9], [704.8, 929.7]])
    assert curve_height(energies, params).shape == (2, 2)


def test_a_pixel_without_a_curve_has_no_energy_and_no_warning() -> None:
    params = np.full(layout.N_PARAMS, np.nan)
    ones = np.ones(3)
    assert np.isnan(energy(ones, ones, ones, ones, params)).all()
    assert np.isnan(kernels.curve_slopes(ones, params)).all()


def test_a_pulse_that_is_no_number_has_no_energy() -> None:
    params = toy_params(drift=1e-5, phase=1e-3)
    height = np.array([5000.0, np.nan, 6000.0])
    values = energy(height, np.full(3, 5010.0), np.zeros(3), np.zeros(3), params)
    assert np.isfinite(values).tolist() == [True, False, True]


@some
@given(SEEDS, st.floats(500.0, TOP))
def test_phase_correction_does_not_move_the_scale(seed: int, height: float) -> None:
    """Over a uniform arrival phase the mean of the corrected height is the height."""
    params = toy_params(seed, phase=1e-2)
    u = height / HEIGHT_REF
    centre = np.polynomial.polynomial.polyval(u, params[layout.PHASE_CENTRE])
    x = (np.arange(2000) + 0.5) / 1000 - 1.0
    corrected = corrected_pulse_height(
        np.full(2000, height),
        np.full(2000, PRETRIGGER_REF),
        centre + params[layout.PHASE_HALF_WIDTH] * x,
        params,
    )
    assert np.ptp(corrected) > 1e-5 * height
    assert corrected.mean() == pytest.approx(
        height, rel=1e-6 * np.abs(params[layout.PHASE]).sum()
    )


def phase_basis(
    height: np.ndarray, phase: np.ndarray, params: np.ndarray
) -> np.ndarray:
    """P_k(x) u^m, (event, 9), as the module's formula says."""
    u = height / HEIGHT_REF
    centre = np.polynomial.polynomial.polyval(u, params[layout.PHASE_CENTRE])
    x = np.clip((phase - centre) / params[layout.PHASE_HALF_WIDTH], -1, 1)
    return np.stack(
        [p * u**m for p in (x, x**2 - 1 / 3, x**3 - 0.6 * x) for m in range(3)], axis=-1
    )


def some_pulses(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(500, TOP, 50),
        rng.normal(PRETRIGGER_REF, 30, 50),
        rng.uniform(-1, 0.5, 50),
    )


@some
@given(SEEDS)
def test_correction_is_the_stated_sum_of_its_basis(seed: int) -> None:
    params = toy_params(seed, drift=5e-5, phase=3e-3)
    height, base, phase = some_pulses(seed)
    effect = drift_basis(height, base, params) @ params[layout.DRIFT]
    effect += phase_basis(height, phase, params) @ params[layout.PHASE]
    np.testing.assert_allclose(
        corrected_pulse_height(height, base, phase, params),
        height * (1 - effect),
        rtol=1e-12,
    )


@some
@given(SEEDS, st.sampled_from([layout.PHASE, layout.DRIFT]))
def test_derivatives_are_those_of_the_energy(seed: int, block: slice) -> None:
    params = toy_params(seed, drift=5e-5, phase=3e-3)
    pulses = some_pulses(seed)
    uncorrected = correction_derivatives(*pulses, params, block)
    bare = params.copy()
    bare[block] = 0.0
    expected = energy_at_any_time(*pulses, bare)
    np.testing.assert_allclose(uncorrected.energy, expected, rtol=1e-12)
    for k, derivative in enumerate(uncorrected.derivatives):
        changed = bare.copy()
        changed[block.start + k] = 1e-8
        difference = energy_at_any_time(*pulses, changed) - uncorrected.energy
        np.testing.assert_allclose(difference, 1e-8 * derivative, rtol=1e-3, atol=1e-9)


def test_drift_is_relative_and_changes_with_height() -> None:
    params = toy_params()
    params[layout.DRIFT] = 5e-5, 3e-5
    height, base = (
        np.array([HEIGHT_REF, HEIGHT_REF / 2]),
        np.full(2, PRETRIGGER_REF + 10),
    )
    corrected = corrected_pulse_height(height, base, np.zeros(2), params)
    np.testing.assert_allclose(
        corrected / height, [1 - 5e-4, 1 - 10 * (5e-5 - 1.5e-5)], rtol=1e-12
    )


def test_phase_beyond_a_sample_counts_as_its_end() -> None:
    params = toy_params(1, phase=3e-3)
    height, base = np.full(3, 8000.0), np.full(3, PRETRIGGER_REF)
    u = 8000.0 / HEIGHT_REF
    end = (
        np.polynomial.polynomial.polyval(u, params[layout.PHASE_CENTRE])
        + params[layout.PHASE_HALF_WIDTH]
    )
    corrected = corrected_pulse_height(
        height, base, end + np.array([0.0, 0.1, 7.0]), params
    )
    np.testing.assert_allclose(corrected, corrected[0], rtol=1e-12)


def test_valid_from_its_start_until_before_its_end() -> None:
    params = toy_params()
    params[layout.VALIDITY] = 100.0, 200.0
    time = np.array([99.999, 100.0, 150.0, 199.999, 200.0])
    five = np.full(5, 5000.0)
    values = energy(five, five, np.zeros(5), time, params)
    assert np.isfinite(values).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(values[1:4], curve_energy(np.full(3, 5000.0), params))


@some
@given(SEEDS, st.floats(1.0, 1e5))
def test_between_two_calibrations_parameters_are_linear_in_time(
    seed: int, hours: float
) -> None:
    early, late = (
        toy_params(seed, drift=5e-5, phase=3e-3),
        toy_params(seed + 1, drift=5e-5, phase=3e-3),
    )
    first, second = 1.58e9, 1.58e9 + hours
    weight = np.array([-3.0, 0.0, 0.25, 0.5, 1.0, 2.0])
    time = first + weight * (second - first)
    pulse = np.full(6, 7000.0), np.full(6, PRETRIGGER_REF + 8), np.full(6, -0.2)
    values = interpolated_energy(*pulse, time, (early, late), (first, second))
    early[layout.VALIDITY] = late[layout.VALIDITY] = 0.0, 2e9
    for k, share in enumerate(np.clip((time - first) / (second - first), 0, 1)):
        one = [column[k : k + 1] for column in pulse]
        params = early + share * (late - early)
        np.testing.assert_allclose(
            values[k], energy_at_any_time(*one, params)[0], rtol=1e-10
        )
    np.testing.assert_allclose(
        values[[1, 4]],
        [energy_at_any_time(*pulse, p)[0] for p in (early, late)],
        rtol=1e-10,
    )


def test_one_calibration_alone_holds_for_all_times() -> None:
    early, late = toy_params(1), toy_params(2)
    pulse = (
        np.full(3, 7000.0),
        np.full(3, PRETRIGGER_REF),
        np.zeros(3),
        np.array([0.0, 1.0, 2.0]),
    )
    np.testing.assert_allclose(
        interpolated_energy(*pulse, (early, late), (1.0, 1.0)),
        energy(*pulse, early),
        rtol=1e-12,
    )
