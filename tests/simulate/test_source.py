import numpy as np
import pytest

from rixs_pipeline.simulate.schedule import plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.source import photon_source, source_of_run

ENERGY = np.linspace(500.0, 510.0, 101)
FLAT = np.ones(101)
RAMP = (ENERGY - 500) / 5


def test_yields_are_the_areas_of_the_spectra():
    source = photon_source(ENERGY, np.stack([FLAT, 3 * RAMP]))
    np.testing.assert_allclose(source.yields, [10, 30])


def test_binned_photons_are_the_areas_of_the_bins():
    source = photon_source(ENERGY, np.stack([FLAT, RAMP]))
    binned = source.binned(np.array([500.0, 505.0, 510.0]))
    np.testing.assert_allclose(binned, [[5, 5], [2.5, 7.5]])


def test_drawn_photons_follow_the_spectrum_of_their_point():
    source = photon_source(ENERGY, np.stack([FLAT, RAMP]))
    number = 100_000
    point = np.repeat([0, 1], number)
    energy = source.draw(point, np.random.default_rng(4))
    flat, ramp = energy[:number], energy[number:]
    assert energy.min() >= 500
    assert energy.max() <= 510
    assert flat.mean() == pytest.approx(505, abs=0.05)
    assert ramp.mean() == pytest.approx(500 + 20 / 3, abs=0.05)


def test_monochromator_has_slipped_in_the_last_reference_run():
    settings = SimulationSettings(points=5, parked_energy=1000.0, monochromator_slip=-5)
    runs = plan_runs(settings)
    edges = np.array([993.0, 997.0, 1003.0])
    first = source_of_run(settings, runs[0]).binned(edges)[0]
    last = source_of_run(settings, runs[-1]).binned(edges)[0]
    assert first[1] > 10 * first[0]
    assert last[0] > 10 * last[1]
