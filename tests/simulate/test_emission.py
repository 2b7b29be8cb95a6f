import numpy as np
import pytest

from rixs_pipeline.simulate.absorption import absorption
from rixs_pipeline.simulate.emission import (
    EMISSION_GRID,
    GEOMETRY,
    intensity,
    reference_density,
    reference_grid,
)
from rixs_pipeline.simulate.schedule import SCAN_RANGES, scan_energies
from rixs_pipeline.simulate.settings import Sample

emission_grid = np.linspace(200.0, 1100.0, 3601)
STEP = emission_grid[1] - emission_grid[0]
RT = Sample(name="RT")
HEATED = Sample(name="heated", redox=1.4, reduction=0.3)


def sum_window(density, low, high):
    """Photons of each point from `low` to `high` eV."""
    is_inside = (emission_grid >= low) & (emission_grid < high)
    return density[:, is_inside].sum(axis=1) * STEP


@pytest.mark.parametrize("edge", SCAN_RANGES)
def test_intensity_is_positive_and_its_mean_yield_is_one(edge):
    incident = scan_energies(edge, 101)
    density = intensity(incident, emission_grid, edge, Sample(name="any"))
    assert (density >= 0).all()
    assert sum_window(density, 200, 1101).mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("edge", SCAN_RANGES)
def test_no_photon_has_more_energy_than_came_in(edge):
    incident = scan_energies(edge, 20)
    density = intensity(incident, emission_grid, edge, RT)
    is_above = emission_grid > incident[:, None] + 3
    above = np.sum(density * is_above, axis=1)
    assert (above < 1e-5 * density.sum(axis=1)).all()


def test_samples_differ_by_the_redox_feature_only():
    """At equal absorption the difference is the feature, at 531.0 / 523.6 eV."""
    incident, emission = np.linspace(526, 550, 241), np.linspace(515, 530, 301)
    maps = []
    for sample in (RT, HEATED):
        absorption_in = absorption(incident, sample)[:, None]
        attenuation = absorption_in + GEOMETRY * absorption(emission, sample)
        maps.append(intensity(incident, emission, "O_K", sample) * attenuation)
    difference = maps[1] - maps[0]
    row, column = np.unravel_index(np.argmax(difference), difference.shape)
    assert incident[row] == pytest.approx(531.0, abs=0.11)
    assert emission[column] == pytest.approx(523.6, abs=0.11)
    is_far = np.abs(incident - 531) > 4
    assert np.abs(difference[is_far]).max() < 1e-6 * difference.max()


def test_metal_emission_is_equal_in_both_samples():
    incident = scan_energies("Co_L", 60)
    rt, heated = (
        sum_window(intensity(incident, emission_grid, "Co_L", sample), 762, 800)
        for sample in (RT, HEATED)
    )
    np.testing.assert_allclose(heated, rt, rtol=1e-3)


@pytest.mark.parametrize("edge", ["Mn_L", "Co_L", "Ni_L"])
def test_oxygen_emission_is_the_inverse_of_the_absorption(edge):
    """Achkar et al.: mu_O / N is mu(E_in) + g mu(E_out).

    mu_O falls smoothly over the edge, as E^-2.7.
    """
    incident = scan_energies(edge, 80)
    oxygen = sum_window(intensity(incident, emission_grid, edge, RT), 524, 526)
    inverse = incident**-2.7 / oxygen
    absorption_out = absorption(np.array([525.0]), RT)[0]
    expected = absorption(incident, RT) + GEOMETRY * absorption_out
    ratio = inverse / expected
    np.testing.assert_allclose(ratio / ratio.mean(), 1, rtol=0.02)


def find_maxima(density, is_searched):
    """Emission energy of the maximum of each point, where `is_searched`."""
    return emission_grid[np.argmax(np.where(is_searched, density, 0), axis=1)]


def test_elastic_line_follows_the_incident_energy_and_fluorescence_does_not():
    incident = np.array([780.5, 782.5])
    density = intensity(incident, emission_grid, "Co_L", RT)
    elastic = find_maxima(density, emission_grid > incident[:, None] - 1)
    fluorescence = find_maxima(density, np.abs(emission_grid - 776) < 2)
    assert np.diff(elastic) == pytest.approx(2.0, abs=0.3)
    assert fluorescence == pytest.approx([776.25, 776.25], abs=0.6)


def test_reference_spectrum_has_its_lines_and_contaminants():
    lines, contaminants = ("C_Ka", "Ni_La"), ("Mn_La",)
    density = reference_density(emission_grid, lines, contaminants, 1000.0)[None, :]
    assert sum_window(density, 200, 1101)[0] == pytest.approx(1, rel=0.01)
    carbon, nickel, manganese, elastic = (
        sum_window(density, energy - 4, energy + 4)[0]
        for energy in (277, 851.47, 637.44, 1000)
    )
    assert carbon > 3 * manganese > 0
    assert nickel > 3 * manganese
    assert elastic > 0.1
    assert sum_window(density, 515, 535)[0] < 0.01


def test_electrode_without_oxide_has_no_oxygen_emission():
    incident = scan_energies("O_K", 20)
    no_oxide = Sample(name="no oxide", oxide=0.0)
    with_oxide = intensity(incident, emission_grid, "O_K", RT)
    without_oxide = intensity(incident, emission_grid, "O_K", no_oxide)
    oxygen = sum_window(with_oxide, 518, 526).sum()
    assert sum_window(without_oxide, 518, 526).sum() < 0.01 * oxygen
    assert sum_window(without_oxide, 265, 290).sum() > 0


def test_reference_runs_reach_beyond_hard_lines() -> None:
    soft = reference_grid(("C_Ka", "Cu_La"), 1000.0)
    assert soft is EMISSION_GRID
    hard = reference_grid(("Si_Ka", "Cu_Ka"), 1000.0)
    assert hard[-1] > 8600
    step = hard[1] - hard[0]
    assert step == EMISSION_GRID[1] - EMISSION_GRID[0]
    density = reference_density(hard, ("Si_Ka", "Cu_Ka"), (), 1000.0)
    assert density.sum() * step == pytest.approx(1.0, abs=0.01)
    assert hard[np.argmax(density)] == pytest.approx(1739.8, abs=1)
