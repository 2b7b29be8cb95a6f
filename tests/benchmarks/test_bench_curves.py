"""Compare the forms of the gain curve: deviation from the truth, and speed.

Prints the table of docs/explanation/calibration.md.
"""

import numpy as np
import pytest

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.core.gain import (
    FORMS,
    LinePositions,
    fit_gain_curves,
    fit_splines,
    left_out_residuals,
    spline_covariance,
)
from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import SimulationSettings

SIX = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
STAT = 0.07  # eV: about 1000 counts in a line
SMOOTH, ROUGH = (0.0, 1e-6), (0.5, 1.0)
RANGES = ((200, 270), (300, 380), (410, 510), (545, 690), (730, 840), (995, 1100))  # eV
ALONG = np.arange(200.0, 1101.0, 5.0)
# roughness of the gains, lines, whether the references are off by their uncertainties
CASES = {
    "six lines": (ROUGH, SIX, False),
    "six lines, no roughness": (SMOOTH, SIX, False),
    "C O Fe Cu": (ROUGH, ("C_Ka", "O_Ka", "Fe_La", "Cu_La"), False),
    "O Fe Ni Cu": (ROUGH, ("O_Ka", "Fe_La", "Ni_La", "Cu_La"), False),
    "six lines, references off": (ROUGH, SIX, True),
}


def array(seed, pixels, case):
    """Simulate an array of pixels.

    Returns pulse heights (pixel, line) as measured, line energies and uncertainties,
    and true pulse heights at `ALONG`.
    """
    roughness, names, off = CASES[case]
    reference = load_reference_set("srd128").lines
    energy, uncertainty = np.array(
        [(reference[name].energy, reference[name].uncertainty) for name in names]
    ).T
    rng = np.random.default_rng(seed)
    settings = SimulationSettings(seed=seed, pixels=pixels, gain_roughness=roughness)
    drawn = [
        draw_pixel(settings, channel, JumpTimes()) for channel in settings.channels
    ]
    shifted = energy + off * rng.normal(0, uncertainty)
    heights = np.stack(
        [
            gain.pulse_height(shifted + rng.normal(0, STAT, len(energy)))
            for gain in drawn
        ]
    )
    true = np.stack(
        [gain.pulse_height(np.concatenate([ALONG, energy])) for gain in drawn]
    )
    return heights, energy, uncertainty, true


def errors(seed, case, curve, pixels=24):
    """Energy on the curve - true energy (pixel, [ALONG, lines]), eV.

    The second array is whether each curve rises (pixel,).
    """
    heights, energy, uncertainty, true = array(seed, pixels, case)
    stat_errors = np.full(heights.shape, STAT)
    positions = LinePositions(heights, stat_errors, energy, uncertainty)
    splines = fit_splines(fit_gain_curves(positions, curve))
    on_curve = [curve_energy(h, p) for h, p in zip(true, splines.params, strict=True)]
    return np.stack(on_curve) - np.concatenate([ALONG, energy]), splines.is_rising


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("curve", FORMS)
def test_errors_of_the_forms(curve, case, benchmark, capsys):
    results = benchmark.pedantic(
        lambda: [errors(seed, case, curve) for seed in range(12)], rounds=1
    )
    miss = np.stack([misses for misses, _ in results])
    mean = miss.mean(axis=1, keepdims=True)
    places = [np.arange(len(ALONG), miss.shape[2])]
    places += [np.flatnonzero((low <= ALONG) & (high >= ALONG)) for low, high in RANGES]
    cells = [
        f"{np.sqrt(np.mean(mean[..., at] ** 2)):.2f} / "
        f"{np.std((miss - mean)[..., at]):.2f}"
        for at in places
    ]
    with capsys.disabled():
        print(f"\n| {case} | `{curve}` | {' | '.join(cells)} |", end="")
    assert all(rising.all() for _, rising in results)


@pytest.mark.parametrize("curve", FORMS)
def test_240_pixels(timed, curve):
    heights, energy, uncertainty, _ = array(0, 240, "six lines")
    stat_errors = np.full(heights.shape, STAT)
    positions = LinePositions(heights, stat_errors, energy, uncertainty)

    def run():
        curves = fit_gain_curves(positions, curve)
        splines = fit_splines(curves)
        spline_covariance(curves)
        left_out_residuals(curves, uncertainty)
        return splines

    name = f"240 gain curves, {curve}"
    splines = timed("curves", name, run, 240, "pixels", rounds=5)
    assert splines.is_rising.all()
