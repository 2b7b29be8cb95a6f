import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.config.models import CurveName
from rixs_pipeline.core.calibration.gain_forms import FORMS

CURVES = sorted(FORMS)
ENERGIES = np.array([0.0, 5.0, 100.0, 277.0, 600.0, 930.0, 1300.0, 1500.0])
UNIT = st.floats(-1.0, 1.0)


def drawn(curve: CurveName, places: list[float]) -> np.ndarray:
    """Parameters (1, k) within a third of a prior's width of its centre; pulse heights of 2e4 at z = 1."""
    form = FORMS[curve]
    shape = (
        np.array(form.centre)
        + np.array(form.width) * np.array(places)[: len(form.centre)] / 3
    )
    return np.array([[np.log(2e4), *shape]])


@pytest.mark.parametrize("curve", CURVES)
@given(places=st.lists(UNIT, min_size=3, max_size=3))
def test_heights_and_energies_are_inverse_and_rise(
    curve: CurveName, places: list[float]
) -> None:
    parameters = drawn(curve, places)
    heights = FORMS[curve].height(ENERGIES, parameters)
    assert (np.diff(heights) > 0).all()
    np.testing.assert_allclose(
        FORMS[curve].energy(heights, parameters)[0][0], ENERGIES, atol=1e-6
    )


@pytest.mark.parametrize("curve", CURVES)
@given(places=st.lists(UNIT, min_size=3, max_size=3))
def test_derivatives_are_those_of_the_energies(
    curve: CurveName, places: list[float]
) -> None:
    form, parameters = FORMS[curve], drawn(curve, places)
    heights = form.height(ENERGIES, parameters)
    jacobian = form.energy(heights, parameters)[1]
    for k in range(parameters.shape[1]):
        step = np.zeros(parameters.shape[1])
        step[k] = 1e-6
        slope = (
            form.energy(heights, parameters + step)[0]
            - form.energy(heights, parameters - step)[0]
        ) / 2e-6
        np.testing.assert_allclose(jacobian[..., k], slope, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("curve", CURVES)
def test_slopes_are_those_of_the_energies(curve: CurveName) -> None:
    form = FORMS[curve]
    shape = np.array([form.centre])
    z = form.height(ENERGIES, np.array([[0.0, *form.centre]]))
    _, slope, _ = form.evaluate(z, shape)
    numeric = (
        form.evaluate(z + 1e-6, shape)[0] - form.evaluate(z - 1e-6, shape)[0]
    ) / 2e-6
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)


def test_the_forms_are_centred_on_the_same_curve() -> None:
    """Priors of the polynomials: the expansion of a saturating sensor of b = 2000 eV, to 1 % from 200 to 1100 eV."""
    at = np.linspace(200.0, 1100.0, 50)
    physical, *others = (
        FORMS[curve].height(at, np.array([[0.0, *FORMS[curve].centre]]))[0]
        for curve in ("physical", "gain", "loglog")
    )
    for other in others:
        ratio = physical / other
        assert np.ptp(ratio) / ratio.mean() < 0.01
