"""Real reference runs, calibrated with every second pulse and tested on the others.

The line of the parked monochromator at 1000 eV is not a reference line. Its width alone
shows whether gain, drift and arrival phase are corrected for photons that were not
fitted. Its position is not a test: the monochromator moved between the two runs.
"""

import numpy as np
import pytest
from scipy.stats import binom

from rixs_pipeline import open_product
from rixs_pipeline.config.reference_sets import load_reference_set
from tests.benchmarks.peak_fits import fit, half_maximum_width
from tests.regression.cross_validation import read_held_out, write_half

pytestmark = pytest.mark.real

PIXELS, RUNS = (1, 3, 7, 9), ("cal0245", "cal0288")
LINES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
SCANS = (247, 248, 249, 251, 252, 253)
LINE_WINDOW, ELASTIC_WINDOW, PARKED = (-25.0, 28.0), (-15.0, 12.0), 1000.0  # eV
PIXEL_FWHM, POOLED_FWHM = 4.0, 3.3  # eV, at most
MOVED = 0.3  # eV, at most between the two runs, or two standard errors

halves = pytest.mark.parametrize(
    "half", [0, 1], ids=["first half fitted", "second half fitted"]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, real_data, command_line):
    """Beamtimes of every second pulse (`half0`, `half1`); products `out0`, `out1`."""
    folder = tmp_path_factory.mktemp("halves")
    for half in (0, 1):
        write_half(real_data, folder / f"half{half}", half)
        done = command_line("bin", folder / f"half{half}", "-o", folder / f"out{half}")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def held_out(folder):
    """Half that was fitted -> the other half's photons."""
    return [
        read_held_out(folder / f"half{1 - half}", folder / f"out{half}")
        for half in (0, 1)
    ]


@halves
@pytest.mark.parametrize("run", RUNS)
def test_all_lines_are_identified_with_half_of_the_pulses(folder, half, run):
    calibration = open_product(folder / f"out{half}/calibration/{run}.nxs")
    assert set(calibration["status"].values) == {"ok"}
    assert tuple(calibration["line_name"].values) == LINES
    assert (
        np.nanmax(np.abs(calibration["line_residual"].values)) < 3
    )  # a line taken for another is off by 70 eV


@halves
def test_pixel_with_gain_jump_is_used_in_all_scans(folder, half):
    for number in SCANS:
        scan = open_product(folder / f"out{half}/scans/scan{number:04d}.nxs")
        status = dict(
            zip(scan["pixel"].values.tolist(), scan["pixel_status"].values, strict=True)
        )
        assert status[9].startswith("ok: cal0245 alone, jumped by +2")
        assert {status[pixel] for pixel in (1, 3, 7)} == {"ok: cal0245 to cal0288"}


@halves
@pytest.mark.parametrize("run", RUNS)
def test_the_elastic_line_is_sharp(held_out, half, run):
    centred = []
    for pixel_photons in (h for h in held_out[half] if h.run == run):
        peak = fit(pixel_photons.energies - PARKED, ELASTIC_WINDOW, sigma=1.3)
        if np.isfinite(peak.position):  # fewer than ten photons say nothing
            assert peak.fwhm <= PIXEL_FWHM + 2 * peak.fwhm_error, (
                pixel_photons.pixel,
                peak,
            )
            centred.append(pixel_photons.energies - PARKED - peak.position)
    assert len(centred) >= len(PIXELS) - 1
    pooled = fit(np.concatenate(centred), ELASTIC_WINDOW, sigma=1.3)
    assert pooled.fwhm <= POOLED_FWHM, pooled
    # without a model, with the tail: single photons move the half maximum this far
    assert half_maximum_width(np.concatenate(centred), ELASTIC_WINDOW) == pytest.approx(
        pooled.fwhm, abs=0.2 + 4 * pooled.fwhm_error
    )


def _places(held_out):
    """Return line positions relative to the references, eV, and their standard errors.

    Both are (run, pixel, line); errors include those of the fit.
    """
    reference = load_reference_set("srd128").lines
    place = np.full((2, len(PIXELS), len(LINES)), np.nan)
    error = place.copy()
    for pixel_photons in held_out:
        for line, name in enumerate(LINES):
            emitted = reference[name]
            offset = pixel_photons.energies - emitted.energy
            peak = fit(offset, LINE_WINDOW, (emitted.shape, emitted.sigma), sigma=1.3)
            where = (
                RUNS.index(pixel_photons.run),
                PIXELS.index(pixel_photons.pixel),
                line,
            )
            place[where], error[where] = (
                peak.position,
                np.hypot(peak.position_error, pixel_photons.line_errors[line]),
            )
    return place, error


def test_line_positions_are_stable_over_six_hours(held_out):
    moved, error = [], []
    for half in held_out:
        place, errors = _places(half)
        moved.append(place[1] - place[0])
        error.append(np.hypot(errors[0], errors[1]))
    moved, error = np.array(moved), np.array(error)  # (half, pixel, line)
    # each line of the array, of either half
    weight = 1 / error**2
    mean, its_error = (
        (weight * moved).sum(axis=1) / weight.sum(axis=1),
        weight.sum(axis=1) ** -0.5,
    )
    assert np.all(np.abs(mean) <= np.maximum(MOVED, 2 * its_error)), np.round(mean, 2)
    # lines of single pixels: no more than expected by chance beyond two standard errors
    beyond = np.abs(moved) > np.maximum(MOVED, 2 * error)
    assert beyond.sum() <= binom.ppf(0.975, moved.size, 0.0455), np.round(moved, 2)
    assert np.sqrt(np.mean((moved / error) ** 2)) < 1 + 3 / np.sqrt(2 * moved.size)
