import numpy as np
import pytest

from rixs_pipeline.core.drift.jumps import line_shifts
from rixs_pipeline.core.energy import layout
from rixs_pipeline.core.gain import LinePositions, fit_gain_curves, fit_splines
from tests.core.photons import ENERGY, height

GAIN = (3e4, 2000.0, 100.0)
BASE = 5000.0


def calibration(
    moved: np.ndarray | float = 0.0,
    base: float = BASE,
    drift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return parameters (1, param) of a pixel whose lines have moved by `moved` eV."""
    heights = height(ENERGY + moved, *GAIN)[None]
    errors = np.full((1, 6), 0.01)
    positions = LinePositions(heights, errors, ENERGY, np.full(6, 0.01))
    params = fit_splines(fit_gain_curves(positions)).params
    params[:, layout.HEIGHT_REF], params[:, layout.PRETRIGGER_REF] = (
        height(np.array([1000.0]), *GAIN)[0],
        base,
    )
    params[:, layout.DRIFT], params[:, layout.PHASE] = drift, 0.0
    params[:, layout.PHASE_CENTRE], params[:, layout.PHASE_HALF_WIDTH] = 0.0, 1.0
    params[:, layout.VALIDITY] = -np.inf, np.inf
    return np.asarray(params)


def test_shifts_equal_those_of_the_simulated_lines() -> None:
    moved = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    shifts = line_shifts.line_shifts(calibration(), calibration(moved), ENERGY)
    np.testing.assert_allclose(shifts[0], moved, atol=0.1)


@pytest.mark.parametrize(
    ("moved", "jump"),
    [
        (0.0, False),
        (4.3, False),
        (-4.3, False),
        (15.0, True),
        (-15.0, True),
        (11.6 + 0.0122 * ENERGY, True),
    ],
    ids=["no shift", "drift up", "drift down", "jump up", "jump down", "the real jump"],
)
def test_jumps_are_distinguished_from_drift(
    moved: np.ndarray | float, jump: bool
) -> None:
    shifts = line_shifts.line_shifts(calibration(), calibration(moved), ENERGY)
    assert line_shifts.have_jumped(shifts).tolist() == [jump]


def test_drift_of_the_baseline_is_no_shift() -> None:
    """A baseline 20 units higher, at 5e-5 a unit, changes the pulse height by 1e-3."""
    early = calibration(drift=(5e-5, 0.0))
    relative = 1e-3
    slope = height(ENERGY + 0.5, *GAIN) - height(ENERGY - 0.5, *GAIN)
    late = calibration(relative * height(ENERGY, *GAIN) / slope, base=BASE + 20)
    np.testing.assert_allclose(
        line_shifts.line_shifts(early, late, ENERGY), 0.0, atol=0.02
    )
    without = line_shifts.line_shifts(calibration(), late, ENERGY)
    assert (np.abs(without) > 0.25).all()


def test_one_bad_line_is_no_jump() -> None:
    shifts = np.array(
        [[0.5, 30.0, 0.7, 0.9, -40.0, 1.2], [np.nan, 16.0, np.nan, 17.0, 18.0, np.nan]]
    )
    assert line_shifts.have_jumped(shifts).tolist() == [False, True]


def test_a_pixel_without_a_calibration_has_no_shifts_and_no_jump() -> None:
    uncalibrated = np.full((1, layout.N_PARAMS), np.nan)
    early = np.concatenate([calibration(), uncalibrated, calibration()])
    late = np.concatenate([uncalibrated, calibration(), calibration(20.0)])
    shifts = line_shifts.line_shifts(early, late, ENERGY)
    assert np.isnan(shifts).all(axis=1).tolist() == [True, True, False]
    assert line_shifts.have_jumped(shifts).tolist() == [False, False, True]
