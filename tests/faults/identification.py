"""Reference runs that are not what the config assumes: injectors.

Beamtimes are simulated with other lines and detectors; others are spoilt afterwards.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.conftest import SMALL
from tests.test_faults import records

# one short scan: these beamtimes are about their reference runs
REFERENCE_ONLY: dict[str, Any] = SMALL | {
    "pixels": 2,
    "passes": 1,
    "calibrations": 1,
    "samples": [{"name": "LMR_RT"}],
    "calibration_duration": 200.0,
}
HARD: dict[str, Any] = {
    "lines": ["Si_Ka", "S_Ka", "Ca_Ka", "Ti_Ka", "Fe_Ka", "Cu_Ka"],
    "full_scale": 8000.0,
    "fwhm": 5.0,
    "parked_energy": 8500.0,
}
METALS: dict[str, Any] = {"lines": ["Ti_La", "V_La", "Cr_La", "Mn_La", "Co_La"]}
ONE_LINE: dict[str, Any] = {"lines": ["O_Ka"]}
TWO_LINES: dict[str, Any] = {"lines": ["O_Ka", "Fe_La"]}


def make_beamtime(folder: Path, **changes: Any) -> Path:
    """Simulate a beamtime with changed settings."""
    settings = SimulationSettings.model_validate(REFERENCE_ONLY | changes)
    simulate(folder, settings)
    return folder


SIX_EV = np.array([277.0, 392.4, 524.9, 704.8, 851.47, 929.68])  # C N O Fe Ni Cu


def move_lines(root: Path, product: Any, shifts: dict[int, float]) -> None:
    """Move lines of all pixels by energies in eV, as their own calibration has them."""
    for row, pixel in enumerate(product["pixel"].values.tolist()):
        heights = product["line_pulse_height"].values[row]
        for line, shift in shifts.items():
            moved = np.interp(SIX_EV[line] + shift, SIX_EV, heights)
            if SIX_EV[line] + shift > SIX_EV[-1]:
                slope = (heights[-1] - heights[-2]) / (SIX_EV[-1] - SIX_EV[-2])
                moved = heights[line] + shift * slope
            move_line(root, pixel, heights[line], moved / heights[line])


def pulse_file(root: Path, pixel: int) -> Path:
    """Return the pulse file of a pixel."""
    return next(root.rglob(f"*_chan{pixel}.off"))


def change_heights(
    root: Path, pixel: int, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Replace the pulse heights (pulse,) of a pixel by what `change` makes of them."""
    with records(pulse_file(root, pixel)) as holder:
        heights = holder[0]["coefs"][:, 2].astype(np.float64)
        holder[0]["coefs"][:, 2] = change(heights)


def double_gain(root: Path, pixel: int) -> None:
    """Double the gain of a pixel."""
    change_heights(root, pixel, lambda heights: 2 * heights)


def halve_gain(root: Path, pixel: int) -> None:
    """Halve the gain of a pixel."""
    change_heights(root, pixel, lambda heights: heights / 2)


def add_noise_peak(root: Path, pixel: int, share: float) -> None:
    """Turn a share of a pixel's pulses into noise triggers of low pulse height."""
    rng = np.random.default_rng(pixel)

    def noise(heights: np.ndarray) -> np.ndarray:
        is_noise = rng.random(len(heights)) < share
        low = np.abs(rng.normal(300.0, 60.0, len(heights)))
        return np.where(is_noise, low, heights)

    change_heights(root, pixel, noise)


def move_line(root: Path, pixel: int, height: float, factor: float) -> None:
    """Multiply the pulse heights of one line by a factor: it is another line."""

    def move(heights: np.ndarray) -> np.ndarray:
        is_line = np.abs(heights / height - 1) < 0.025
        return np.where(is_line, heights * factor, heights)

    change_heights(root, pixel, move)


def split_line(root: Path, pixel: int, height: float, factor: float) -> None:
    """Multiply the pulse heights of half of the pulses of one line by a factor."""
    rng = np.random.default_rng(pixel)

    def split(heights: np.ndarray) -> np.ndarray:
        is_line = np.abs(heights / height - 1) < 0.025
        is_moved = is_line & (rng.random(len(heights)) < 0.5)
        return np.where(is_moved, heights * factor, heights)

    change_heights(root, pixel, split)
