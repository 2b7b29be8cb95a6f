import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.gain import FORMS, CurveForm

ENERGIES = np.array([0.0, 5.0, 100.0, 277.0, 600.0, 930.0, 1300.0, 1500.0])  # eV
SHAPE_OFFSETS = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3)


def draw_parameters(curve_form: CurveForm, offsets: list[float]) -> np.ndarray:
    """Return parameters (1, k) within a third of the prior's width of its centre.

    The pulse height is 2e4 at z = 1.
    """
    form = FORMS[curve_form]
    widths = np.array(form.width)
    shape = np.array(form.centre) + widths * np.array(offsets)[: len(widths)] / 3
    return np.array([[np.log(2e4), *shape]])


@pytest.mark.parametrize("curve_form", CurveForm)
@given(offsets=SHAPE_OFFSETS)
def test_heights_rise_and_invert_the_energies(
    curve_form: CurveForm, offsets: list[float]
) -> None:
    form = FORMS[curve_form]
    parameters = draw_parameters(curve_form, offsets)
    heights = form.heights(ENERGIES, parameters)
    assert (np.diff(heights) > 0).all()
    energies = form.energies(heights, parameters).energy[0]
    np.testing.assert_allclose(energies, ENERGIES, atol=1e-6)


@pytest.mark.parametrize("curve_form", CurveForm)
@given(offsets=SHAPE_OFFSETS)
def test_jacobian_equals_the_numerical_derivatives(
    curve_form: CurveForm, offsets: list[float]
) -> None:
    form = FORMS[curve_form]
    parameters = draw_parameters(curve_form, offsets)
    heights = form.heights(ENERGIES, parameters)
    jacobian = form.energies(heights, parameters).jacobian
    for k in range(form.n_parameters):
        step = np.zeros(form.n_parameters)
        step[k] = 1e-6
        above = form.energies(heights, parameters + step).energy
        below = form.energies(heights, parameters - step).energy
        slope = (above - below) / 2e-6
        np.testing.assert_allclose(jacobian[..., k], slope, rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(form.jacobian(ENERGIES, parameters), jacobian)


@pytest.mark.parametrize("curve_form", CurveForm)
def test_slope_equals_the_numerical_derivative(curve_form: CurveForm) -> None:
    form = FORMS[curve_form]
    shape = np.array([form.centre])
    z = form.heights(ENERGIES, np.array([[0.0, *form.centre]]))
    above = form.evaluate(z + 1e-6, shape).energy
    below = form.evaluate(z - 1e-6, shape).energy
    slope = form.evaluate(z, shape).slope
    np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=1e-6)


def test_all_priors_are_centred_on_the_same_curve() -> None:
    """A saturating sensor with b = 2000 eV, to 1 % from 200 to 1100 eV."""
    energies = np.linspace(200.0, 1100.0, 50)

    def central_heights(curve_form: CurveForm) -> np.ndarray:
        form = FORMS[curve_form]
        return form.heights(energies, np.array([[0.0, *form.centre]]))[0]

    physical = central_heights(CurveForm.PHYSICAL)
    for curve_form in (CurveForm.GAIN, CurveForm.LOGLOG):
        ratio = physical / central_heights(curve_form)
        assert np.ptp(ratio) / ratio.mean() < 0.01
