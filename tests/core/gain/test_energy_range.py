import numpy as np
import pytest

from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.core.gain import (
    EnergyRange,
    LinePositions,
    curve_misfits,
    fit_gain_curves,
    fit_splines,
)
from tests.core.photons import ENERGY, UNCERTAINTY, height


@pytest.mark.parametrize(
    ("highest", "unit"),
    [(np.nan, 1), (280, 1), (1035, 1), (1740, 2), (3692, 4), (8048, 8), (9700, 8)],
)
def test_the_unit_follows_the_highest_line(highest: float, unit: float) -> None:
    assert EnergyRange.up_to(highest).energy_unit == unit


def test_curves_of_hard_lines_are_those_of_soft_ones_in_their_unit() -> None:
    heights = height(ENERGY, 3e4, 2000.0, 100.0)[None]
    errors = np.full((1, 6), 0.05)
    soft = LinePositions(heights, errors, ENERGY, UNCERTAINTY)
    hard = LinePositions(heights, 8 * errors, 8 * ENERGY, 8 * UNCERTAINTY)
    soft_params = fit_splines(fit_gain_curves(soft)).params[0]
    curves = fit_gain_curves(hard, energy_range=EnergyRange(8.0))
    hard_params = fit_splines(curves).params[0]
    between = height(np.linspace(280.0, 920.0, 30), 3e4, 2000.0, 100.0)
    expected = 8 * curve_energy(between, soft_params)
    np.testing.assert_allclose(curve_energy(between, hard_params), expected)


def test_lines_that_contradict_each_other_are_improbable() -> None:
    """Two of six lines 8 eV from where the others have them; one line may be 1 eV."""
    from scipy.special import chdtrc

    probabilities = []
    for shift in (0.0, 1.0, 8.0):
        moved = ENERGY + np.array([0, 0, shift, 0, -shift, 0])
        heights = height(moved, 3e4, 2000.0, 100.0)[None]
        lines = LinePositions(heights, np.full((1, 6), 0.05), ENERGY, UNCERTAINTY)
        misfits = curve_misfits(fit_gain_curves(lines), np.hypot(UNCERTAINTY, 0.8))
        assert misfits.freedom.tolist() == [5.0]
        probabilities.append(chdtrc(5, misfits.chi_squared[0]))
    assert probabilities[0] > 0.9
    assert probabilities[1] > 0.1
    assert probabilities[2] < 1e-4
