"""Pulses of one pixel into the map, beside numpy's histogram of as many values."""

import numpy as np
import pytest

from rixs_pipeline.core.calibration.reference_run import calibrate_pixels
from rixs_pipeline.core.energy import energy
from rixs_pipeline.core.maps.binning import emission_edges, histogram_points
from rixs_pipeline.core.maps.kernel_arguments import PointSlices
from tests.core.photons import OPTIONS, REFERENCE_LINES

PULSES, POINTS = 1_000_000, 240
EDGES = emission_edges((200.0, 1100.0), 0.5)
LIMITS = np.linspace(0, PULSES, POINTS + 1).astype(np.int64)
SLICES = PointSlices(LIMITS[:-1], LIMITS[1:])


@pytest.fixture(scope="module")
def pixel(reference_pulses):
    """A pixel's pulses, repeated, and its parameters.

    Pulses have pulse height, pretrigger mean, phase and time.
    """
    result = calibrate_pixels(reference_pulses[:8], REFERENCE_LINES, OPTIONS, 1000.0)
    row = [status.is_ok for status in result.status].index(True)
    pulses = reference_pulses[row]
    columns = [
        np.resize(values, PULSES)
        for values in (pulses.pulse_height, pulses.pretrigger_mean, pulses.phase)
    ]
    return *columns, np.linspace(0.0, 500.0, PULSES), result.params[row]


@pytest.fixture(scope="module")
def energies(pixel):
    return energy(*pixel)


@pytest.fixture(scope="module")
def expected(energies):
    points = np.repeat(np.arange(POINTS), np.diff(LIMITS))
    return np.histogram2d(points, energies, bins=(np.arange(POINTS + 1) - 0.5, EDGES))[
        0
    ]


def test_numpy_histogram2d(timed, energies):
    points = np.repeat(np.arange(POINTS), np.diff(LIMITS))
    bins = np.arange(POINTS + 1) - 0.5, EDGES
    timed(
        "bin",
        "np.histogram2d of energies",
        lambda: np.histogram2d(points, energies, bins=bins),
        PULSES,
        "pulses",
    )


def test_counts(timed, energies, expected):
    counts = timed(
        "bin",
        "histogram_points of energies",
        lambda: histogram_points(energies, SLICES, EDGES),
        PULSES,
        "pulses",
    )
    assert np.array_equal(counts, expected)


def test_energies(timed, pixel, energies):
    pulse_energies = timed(
        "bin", "energy of pulses", lambda: energy(*pixel), PULSES, "pulses"
    )
    assert np.array_equal(pulse_energies, energies)


def test_pulses_into_the_map(timed, pixel, expected):
    def run():
        return histogram_points(energy(*pixel), SLICES, EDGES)

    assert np.array_equal(
        timed("bin", "energy and histogram_points of pulses", run, PULSES, "pulses"),
        expected,
    )
