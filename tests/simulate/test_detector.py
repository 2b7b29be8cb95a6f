import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.simulate.detector import (
    DEAD_TIME,
    draw_pixel,
    tail_of_last,
    triggered,
)
from rixs_pipeline.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(pixels=40)
PIXELS = [draw_pixel(SETTINGS, channel, (1e4, 2e3)) for channel in SETTINGS.channels]
ENERGY = np.linspace(60, 1100, 3000)


def brute_force(time, dead_time):
    keep, last = [], -np.inf
    for t in time:
        keep.append(t >= last + dead_time)
        last = t if keep[-1] else last
    return np.array(keep, bool)


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 30))
def test_dead_time_is_that_of_a_loop_over_the_photons(times, dead_time):
    time = np.sort(np.array(times, float))
    np.testing.assert_array_equal(
        triggered(time, dead_time), brute_force(time, dead_time)
    )


@pytest.mark.parametrize("rate", [2.0, 10.0, 50.0, 250.0])
def test_the_live_share_is_that_of_a_nonparalyzable_dead_time(rate):
    """1 / (1 + r tau); for a renewal process the recorded number has the variance n share^2 (n arrivals)."""
    rng = np.random.default_rng(1)
    n = 200_000
    kept = triggered(np.sort(rng.uniform(0, n / rate, n)), DEAD_TIME).sum()
    share = 1 / (1 + rate * DEAD_TIME)
    assert abs(kept - n * share) < 4 * np.sqrt(n) * share


@pytest.mark.parametrize("pixel", PIXELS, ids=lambda p: p.channel)
def test_pulse_height_ascends_with_energy(pixel):
    assert (np.diff(pixel.pulse_height(ENERGY)) > 0).all()


def test_gains_and_throughputs_differ_twofold():
    heights = np.array([float(p.pulse_height(np.array([850.0]))[0]) for p in PIXELS])
    throughput = np.array([p.throughput for p in PIXELS])
    assert 1.5 < heights.max() / heights.min() < 2.5
    assert 1.5 < throughput.max() / throughput.min() <= 2.0


def test_no_formula_of_three_parameters_describes_the_gain():
    """The best a (1 - exp(-E/b)) + d misses by the rms that the settings state."""
    from scipy.optimize import curve_fit

    energy = np.linspace(277, 1000, 200)
    for pixel in PIXELS[:10]:
        height = pixel.pulse_height(energy)
        best, _ = curve_fit(
            lambda e, a, b, d: a * (1 - np.exp(-e / b)) + d,
            energy,
            height,
            p0=pixel.gain,
        )
        misses = (
            height - best[0] * (1 - np.exp(-energy / best[1])) - best[2]
        ) / np.gradient(height, energy)
        low, high = SETTINGS.gain_roughness
        assert 0.95 * low < np.std(misses) < 1.05 * high


def test_the_phase_effect_has_no_mean_and_the_size_of_real_data():
    phase = (np.arange(2000) + 0.5) / 2000
    for energy, low, high in ((1000.0, 5, 9.5), (851.0, 2.5, 5.5), (460.0, 0.8, 2.5)):
        sizes = []
        for pixel in PIXELS:
            effect = pixel.phase_effect(np.full_like(phase, energy), phase)
            assert abs(effect.mean()) < 1e-3
            sizes.append(np.ptp(effect))
        assert low < min(sizes) and max(sizes) < high
        assert np.std(sizes) > 0.05


def test_a_pixel_is_the_same_however_many_there_are():
    few = SimulationSettings(pixels=2)
    assert draw_pixel(few, 3, (1e4, 2e3)) == PIXELS[1]


def test_defects_follow_the_channel():
    by_channel = {p.channel: p for p in PIXELS}
    assert by_channel[9].noisy and by_channel[9].fwhm > 3 * by_channel[1].fwhm
    assert by_channel[13].jump_time == 1e4
    assert np.isinf(by_channel[1].jump_time)
    scan_jumper = draw_pixel(
        SimulationSettings(scan_jumping_pixels=(3,)), 3, (1e4, 2e3)
    )
    assert scan_jumper.jump_time == 2e3


def test_the_tail_of_a_pulse_decays_and_is_none_unless_asked_for():
    time = np.array([0.0, 0.02, 0.06])
    tail = SimulationSettings(tail_after_pulse=(6.0, 0.02))
    np.testing.assert_allclose(
        tail_of_last(tail, time), [0.0, 6 * np.exp(-1), 6 * np.exp(-2)]
    )
    assert not tail_of_last(SETTINGS, time).any()
