import json

import numpy as np
import pytest
from scipy.optimize import curve_fit

from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(pixels=40)
JUMP_TIMES = JumpTimes(before_last_reference=1e4, in_scan=2e3)
PIXELS = [draw_pixel(SETTINGS, channel, JUMP_TIMES) for channel in SETTINGS.channels]
ENERGY = np.linspace(60, 1100, 3000)


@pytest.mark.parametrize("pixel", PIXELS, ids=lambda pixel: pixel.channel)
def test_pulse_height_ascends_with_energy(pixel):
    assert (np.diff(pixel.pulse_height(ENERGY)) > 0).all()


def test_gains_and_throughputs_differ_twofold():
    energy = np.array([850.0])
    heights = np.array([pixel.pulse_height(energy)[0] for pixel in PIXELS])
    throughputs = np.array([pixel.throughput for pixel in PIXELS])
    assert 1.5 < heights.max() / heights.min() < 2.5
    assert 1.5 < throughputs.max() / throughputs.min() <= 2.0


def test_formula_of_three_parameters_misses_the_gain_by_its_roughness():
    """The best a (1 - exp(-E/b)) + d differs by the rms of the settings."""

    def formula(energy, scale, saturation, offset):
        return scale * (1 - np.exp(-energy / saturation)) + offset

    energy = np.linspace(277, 1000, 200)
    low, high = SETTINGS.gain_roughness
    for pixel in PIXELS[:10]:
        height = pixel.pulse_height(energy)
        best, _ = curve_fit(formula, energy, height, p0=pixel.gain)
        slope = np.gradient(height, energy)
        misfit = (height - formula(energy, *best)) / slope
        assert 0.95 * low < np.std(misfit) < 1.05 * high


@pytest.mark.parametrize(
    ("energy", "low", "high"), [(1000.0, 5, 9.5), (851.0, 2.5, 5.5), (460.0, 0.8, 2.5)]
)
def test_phase_effect_has_zero_mean_and_the_size_of_real_data(energy, low, high):
    phase = (np.arange(2000) + 0.5) / 2000
    sizes = []
    for pixel in PIXELS:
        effect = pixel.phase_effect(np.full_like(phase, energy), phase)
        assert abs(effect.mean()) < 1e-3
        sizes.append(np.ptp(effect))
    assert low < min(sizes)
    assert max(sizes) < high
    assert np.std(sizes) > 0.05


def test_pixel_does_not_depend_on_the_number_of_pixels():
    two_pixels = SimulationSettings(pixels=2)
    assert draw_pixel(two_pixels, 3, JUMP_TIMES) == PIXELS[1]


def test_defects_follow_the_channel():
    by_channel = {pixel.channel: pixel for pixel in PIXELS}
    assert by_channel[9].is_noisy
    assert by_channel[9].fwhm > 3 * by_channel[1].fwhm
    assert by_channel[13].jump_time == 1e4
    assert np.isinf(by_channel[1].jump_time)
    settings = SimulationSettings(scan_jumping_pixels=(3,))
    assert draw_pixel(settings, 3, JUMP_TIMES).jump_time == 2e3


def test_parameters_are_json_values():
    parameters = PIXELS[0].parameters()
    assert json.loads(json.dumps(parameters))["gain"] == list(PIXELS[0].gain)
    assert parameters["jump_time"] is None


def test_detectors_for_hard_lines_are_those_for_soft_ones_in_their_unit():
    soft = PIXELS[0]
    settings = SETTINGS.model_copy(update={"full_scale": 8000.0})
    hard = draw_pixel(settings, soft.channel, JUMP_TIMES)
    phase = np.linspace(0, 1, len(ENERGY))
    np.testing.assert_allclose(hard.pulse_height(8 * ENERGY), soft.pulse_height(ENERGY))
    np.testing.assert_allclose(
        hard.phase_effect(8 * ENERGY, phase), 8 * soft.phase_effect(ENERGY, phase)
    )
    np.testing.assert_allclose(
        hard.relative_drift(8 * ENERGY), soft.relative_drift(ENERGY)
    )
    assert hard.parameters()["energy_unit"] == 8
    assert "energy_unit" not in soft.parameters()
