import numpy as np
import pytest

from rixs_pipeline.core.calibration.energy_scale import (
    MAX_POSITION_ERROR_EV,
    EnergyScale,
    fit_energy_scale,
    line_heights,
)
from rixs_pipeline.core.calibration.identification.line_identification import (
    FittedLines,
    identify_lines,
)
from rixs_pipeline.core.calibration.pixel import (
    Pixel,
    make_pixel,
    start_energy_functions,
)
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.core.gain import CurveForm
from tests.core.photons import REFERENCE_LINES
from tests.core.reference_pulses import draw_array, make_pulses

DEAD = 3  # row of the dead pixel


@pytest.fixture
def pixels() -> list[Pixel]:
    pulses = draw_array(3)
    pulses.append(make_pulses(DEAD, np.random.default_rng(1), np.empty(0)))
    return [make_pixel(pixel_pulses, 6.0) for pixel_pulses in pulses]


@pytest.fixture
def lines(pixels: list[Pixel]) -> FittedLines:
    lines = identify_lines(pixels, REFERENCE_LINES, 1000.0)
    start_energy_functions(pixels)
    return lines


def fit(
    pixels: list[Pixel],
    lines: FittedLines,
    previous: EnergyScale | None = None,
    min_line_counts: int = 30,
) -> EnergyScale:
    return fit_energy_scale(
        pixels,
        lines,
        previous,
        curve_form=CurveForm.PHYSICAL,
        min_line_counts=min_line_counts,
    )


def test_lines_lie_at_their_reference_energies(
    pixels: list[Pixel], lines: FittedLines
) -> None:
    scale = fit(pixels, lines)
    assert scale.is_usable[:DEAD].all()
    assert (scale.fits.shift_errors[:DEAD] < MAX_POSITION_ERROR_EV).all()
    residual = (scale.position - lines.energy)[:DEAD]
    assert np.abs(residual[:, lines.is_anchor]).max() < 0.5


def test_a_pixel_without_energy_function_has_no_lines(
    pixels: list[Pixel], lines: FittedLines
) -> None:
    scale = fit(pixels, lines)
    assert not scale.is_usable[DEAD].any()
    assert np.isnan(scale.position[DEAD]).all()
    assert not pixels[DEAD].has_curve


def test_a_second_turn_changes_little(pixels: list[Pixel], lines: FittedLines) -> None:
    first = fit(pixels, lines)
    second = fit(pixels, lines, first)
    change = (second.position - first.position)[:DEAD, lines.is_anchor]
    errors = first.fits.shift_errors[:DEAD, lines.is_anchor]
    assert (np.abs(change) < errors).all()


def test_lines_of_few_counts_are_not_used(
    pixels: list[Pixel], lines: FittedLines
) -> None:
    scale = fit(pixels, lines, min_line_counts=100_000)
    assert not scale.is_usable.any()
    assert not any(pixel.has_curve for pixel in pixels)


def test_line_heights_invert_the_curves(
    pixels: list[Pixel], lines: FittedLines
) -> None:
    position = fit(pixels, lines).position
    heights = line_heights(pixels, position)
    assert np.isnan(heights[DEAD]).all()
    for row in range(DEAD):
        energy = curve_energy(heights[row], pixels[row].params)
        np.testing.assert_allclose(energy, position[row])
