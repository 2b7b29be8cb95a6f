"""What a reference run says of the drift of the array."""

import numpy as np
import pytest

from rixs_pipeline.config import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.stages.interval.run_drift import read_run_drift
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run

ENERGIES = np.linspace(200.0, 1100.0, 19)


@pytest.fixture(scope="module")
def product(small_beamtime):
    run = discover(small_beamtime).calibrations[0]
    reference = load_reference_set("srd128")
    return calibrate_run(run, reference, CalibrationConfig(), (200.0, 1100.0))


def without_bins(product):
    return product.assign(time_offset=product["time_offset"] * np.nan)


def test_the_lines_of_a_reference_run_move_with_the_baseline_within_it(product):
    drift = read_run_drift(product, ENERGIES).drift
    offsets = drift.offsets
    assert offsets.share.sum() == pytest.approx(1)
    middle = float(product.attrs["time"])
    assert offsets.time.mean() == pytest.approx(middle, abs=1e-3)
    np.testing.assert_array_equal(drift.times, offsets.time)
    # uncorrected offsets are those without the coefficients in use
    removed = product["time_offset_uncorrected"] - product["time_offset"]
    change = -offsets.lever @ drift.in_use
    change -= change.mean() - removed.values.mean()
    np.testing.assert_allclose(removed, change, atol=0.1)


def test_pulses_count_once_within_the_bins_and_once_between_them(product):
    whole = read_run_drift(without_bins(product), ENERGIES).drift
    parts = read_run_drift(product, ENERGIES).drift
    assert whole.offsets is None and whole.times.tolist() == [product.attrs["time"]]
    assert parts.covariance[0, 0] > whole.covariance[0, 0]
    offsets = parts.offsets
    lever = offsets.lever - offsets.share @ offsets.lever
    between = (lever[:, 0] / offsets.error) ** 2
    together = np.linalg.inv(parts.covariance)[0, 0] + between.sum()
    assert together == pytest.approx(np.linalg.inv(whole.covariance)[0, 0], rel=0.3)


def test_bins_without_photons_do_not_count(product):
    offset = product["time_offset"].copy()
    offset[[0, 5]] = np.nan
    drift = read_run_drift(product.assign(time_offset=offset), ENERGIES).drift
    assert len(drift.offsets.time) == len(offset) - 2
    assert np.isfinite(drift.offsets.shift).all()
