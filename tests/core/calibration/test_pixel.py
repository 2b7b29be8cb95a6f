import numpy as np
import pytest

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.identification.line_assignment import (
    FreeLines,
    assign_lines,
)
from rixs_pipeline.core.calibration.pixel import (
    HEIGHT_REF_EV,
    Pixel,
    apply_hold_offs,
    make_pixel,
    start_energy_functions,
)
from rixs_pipeline.core.energy import curve_energy, layout
from tests.core.photons import ENERGY
from tests.core.reference_pulses import draw_pixel, make_pulses

CUT_WIDTH = 6.0


@pytest.fixture
def pixel() -> Pixel:
    """A pixel with its energy function."""
    pixel = make_pixel(draw_pixel(3, np.random.default_rng(1)), CUT_WIDTH)
    pixel.assignment = assign_lines(pixel.peaks, FreeLines(ENERGY, np.ones(6), 1000.0))
    start_energy_functions([pixel])
    return pixel


def test_pulses_outside_the_cuts_are_rejected() -> None:
    pulses = draw_pixel(3, np.random.default_rng(1))
    pulses.residual[7] = 1e4
    pixel = make_pixel(pulses, CUT_WIDTH)
    assert pixel.pulses.pixel == 3
    assert pixel.cut_counts[0] == len(pulses.pulse_height)
    assert pixel.cut_counts[-1] == len(pixel.pulses.phase)
    is_accepted = np.isin(pulses.time, pixel.pulses.time)
    assert not is_accepted[7]
    accepted_heights = pulses.pulse_height[is_accepted]
    np.testing.assert_array_equal(pixel.pulses.pulse_height, accepted_heights)
    assert len(pixel.peaks.pulse_height) >= 7


def test_a_pixel_with_few_pulses_has_no_cuts() -> None:
    rng = np.random.default_rng(1)
    pixel = make_pixel(make_pulses(3, rng, rng.uniform(100, 1000, 5)), CUT_WIDTH)
    assert pixel.limits is None
    assert len(pixel.pulses.pulse_height) == 0
    assert pixel.cut_counts.tolist() == [5] + [0] * (len(CUT_NAMES) - 1)
    assert len(pixel.peaks.pulse_height) == 0
    assert not pixel.has_curve


def test_pulses_on_the_tail_of_the_last_pulse_are_rejected() -> None:
    """Pulses within 10 ms of the last one are 0.3 % too high."""
    pixels = []
    for number in range(4):
        rng = np.random.default_rng(number)
        pulses = draw_pixel(number, rng, counts=2000)
        pulses.since_last[:] = rng.exponential(0.1, len(pulses.since_last))
        pulses.pulse_height[pulses.since_last < 0.01] *= 1.003
        pixels.append(make_pixel(pulses, CUT_WIDTH))
    before = [pixel.cut_counts[-1] for pixel in pixels]
    apply_hold_offs(pixels)
    for pixel, count in zip(pixels, before, strict=True):
        assert pixel.limits is not None
        assert 0.009 < pixel.limits.since_last.low < 0.03
        assert pixel.pulses.since_last.min() >= pixel.limits.since_last.low
        assert pixel.cut_counts[-1] == len(pixel.pulses.time) < count


def test_independent_pulses_have_no_hold_off() -> None:
    pixel = make_pixel(draw_pixel(3, np.random.default_rng(1)), CUT_WIDTH)
    before = pixel.pulses.time.copy()
    apply_hold_offs([pixel])
    np.testing.assert_array_equal(pixel.pulses.time, before)


def test_a_known_hold_off_is_applied() -> None:
    pulses = draw_pixel(3, np.random.default_rng(1))
    pulses.since_last[:] = np.linspace(0.0, 0.2, len(pulses.since_last))
    pixel = make_pixel(pulses, CUT_WIDTH)
    apply_hold_offs([pixel], 0.1)
    assert pixel.limits is not None and pixel.limits.since_last.low == 0.1
    assert pixel.pulses.since_last.min() >= 0.1
    assert 0.45 < len(pixel.pulses.time) / len(pulses.time) < 0.51


def test_the_first_energy_function_is_the_assigned_curve(pixel: Pixel) -> None:
    assert pixel.assignment is not None
    assert pixel.has_curve
    heights = pixel.assignment.curve.pulse_height(ENERGY)
    np.testing.assert_allclose(curve_energy(heights, pixel.params), ENERGY, atol=0.01)
    height_ref = pixel.params[layout.HEIGHT_REF]
    energy_ref = curve_energy(np.array([height_ref]), pixel.params)
    np.testing.assert_allclose(energy_ref, HEIGHT_REF_EV)
    assert pixel.params[layout.PRETRIGGER_REF] == pytest.approx(5000, abs=1)
    assert not pixel.params[layout.DRIFT].any()
    assert not pixel.params[layout.PHASE].any()


def test_ambiguous_pixels_get_no_energy_function() -> None:
    pixel = make_pixel(draw_pixel(3, np.random.default_rng(1)), CUT_WIDTH)
    start_energy_functions([pixel])
    assert pixel.assignment is None
    assert not pixel.has_curve


def test_line_pulses_are_those_in_the_windows_of_usable_lines(pixel: Pixel) -> None:
    windows = np.stack([ENERGY - 10, ENERGY + 10], axis=1)
    is_usable = np.array([True, False, True, False, False, True])
    line_pulses = pixel.select_line_pulses(windows, is_usable, ENERGY)
    assert set(line_pulses.line.tolist()) == {0, 2, 5}
    energies = pixel.energies()
    for line in (0, 2, 5):
        is_inside = (energies >= ENERGY[line] - 10) & (energies < ENERGY[line] + 10)
        heights = pixel.pulses.pulse_height[is_inside]
        of_line = line_pulses.pulse_height[line_pulses.line == line]
        np.testing.assert_array_equal(np.sort(of_line), np.sort(heights))
