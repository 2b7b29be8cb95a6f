import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.simulate.detector import (
    DEAD_TIME,
    Detector,
    Photons,
    draw_pulse_heights,
    find_pile_up,
    find_triggers,
    tail_of_previous_photon,
)
from rixs_pipeline.simulate.drift import BaselineDrift, JumpTimes
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(pixels=40)
PIXELS = [
    draw_pixel(SETTINGS, channel, JumpTimes(1e4, 2e3)) for channel in SETTINGS.channels
]
ENERGY = np.linspace(60, 1100, 3000)

# a detector without drift, phase effect and tail
QUIET = SimulationSettings(drift=0, hidden_drift=0, phase=0, tail_fraction=(0, 1e-12))
NO_DRIFT = BaselineDrift(time=np.array([0.0]), value=np.array([0.0]))


def loop_over_photons(times, dead_time):
    is_recorded, last_record = [], -np.inf
    for time in times:
        is_recorded.append(time >= last_record + dead_time)
        if is_recorded[-1]:
            last_record = time
    return np.array(is_recorded, bool)


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 30))
def test_dead_time_equals_that_of_a_loop_over_the_photons(times, dead_time):
    time = np.sort(np.array(times, float))
    expected = loop_over_photons(time, dead_time)
    np.testing.assert_array_equal(find_triggers(time, dead_time), expected)


@pytest.mark.parametrize("rate", [2.0, 10.0, 50.0, 250.0])
def test_live_share_is_that_of_a_nonparalysable_dead_time(rate):
    """1 / (1 + r tau).

    For a renewal process the number of records has the variance n share^2 (n arrivals).
    """
    rng = np.random.default_rng(1)
    number = 200_000
    time = np.sort(rng.uniform(0, number / rate, number))
    records = find_triggers(time, DEAD_TIME).sum()
    share = 1 / (1 + rate * DEAD_TIME)
    assert abs(records - number * share) < 4 * np.sqrt(number) * share


def test_tail_of_a_pulse_decays_and_is_zero_by_default():
    time = np.array([0.0, 0.02, 0.06])
    with_tail = SimulationSettings(tail_after_pulse=(6.0, 0.02))
    expected = [0.0, 6 * np.exp(-1), 6 * np.exp(-2)]
    tail = tail_of_previous_photon(with_tail, time)
    np.testing.assert_allclose(tail, expected)
    assert not tail_of_previous_photon(SimulationSettings(), time).any()


def test_pile_up_adds_height_of_a_second_photon_within_the_record():
    """Close photons add up; late ones add little; only unrecorded ones pile up."""
    time = np.array([0.0, 1e-6, 1.0, 1.004, 2.0])
    height = np.full(5, 1000.0)
    is_recorded = find_triggers(time, DEAD_TIME)
    pile_up = find_pile_up(time, height, is_recorded)
    np.testing.assert_array_equal(pile_up.is_piled_up, [True, True, False])
    close, late, alone = pile_up.added_height
    assert close == pytest.approx(1000, rel=0.01)
    assert 0 < late < 100
    assert alone == 0
    assert pile_up.added_residual[1] > pile_up.added_residual[2] == 0


def photons_of(energy):
    number = len(energy)
    zero = np.zeros(number)
    return Photons(
        energy, time=np.arange(number, dtype=float), phase=zero, flicker=zero
    )


def test_resolution_of_pulse_heights_is_that_of_the_pixel():
    pixel = draw_pixel(QUIET, 1, JumpTimes())
    detector = Detector(QUIET, NO_DRIFT)
    energy = np.full(20_000, 700.0)
    rng = np.random.default_rng(3)
    height = draw_pulse_heights(detector, pixel, photons_of(energy), rng)
    grid = np.linspace(600, 800, 4001)
    apparent = np.interp(height, pixel.pulse_height(grid), grid)
    sigma = pixel.fwhm / 2.3548
    assert abs(apparent.mean() - 700) < 4 * sigma / np.sqrt(len(energy))
    assert apparent.std() == pytest.approx(sigma, rel=0.03)


def test_gain_jump_raises_the_energy_by_15_to_22_ev():
    settings = QUIET.model_copy(update={"jumping_pixels": (1,), "fwhm": 1e-6})
    pixel = draw_pixel(settings, 1, JumpTimes(before_last_reference=1.5))
    detector = Detector(settings, NO_DRIFT)
    energy = np.array([277.0, 277.0, 277.0, 851.5])
    rng = np.random.default_rng(3)
    height = draw_pulse_heights(detector, pixel, photons_of(energy), rng)
    grid = np.linspace(200, 900, 70_001)
    shift = np.interp(height, pixel.pulse_height(grid), grid) - energy
    np.testing.assert_allclose(shift, [0, 0, 15.0, 22.0], atol=0.1)
