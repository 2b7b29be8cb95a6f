import numpy as np
import pytest

from rixs_pipeline.simulate.absorption import absorption
from rixs_pipeline.simulate.emission import GEOMETRY, intensity, reference_density
from rixs_pipeline.simulate.schedule import SCAN_RANGES, scan_energies
from rixs_pipeline.simulate.settings import Sample

emission_grid = np.linspace(200.0, 1100.0, 3601)
RT, HEATED = Sample(name="RT"), Sample(name="heated", redox=1.4, reduction=0.3)


def window(density, low, high):
    inside = (emission_grid >= low) & (emission_grid < high)
    return density[:, inside].sum(axis=1) * (emission_grid[1] - emission_grid[0])


@pytest.mark.parametrize("edge", SCAN_RANGES)
def test_intensity_is_positive_and_its_mean_yield_is_one(edge):
    incident = scan_energies(edge, 101)
    density = intensity(incident, emission_grid, edge, Sample(name="any"))
    assert (density >= 0).all()
    assert window(density, 200, 1101).mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("edge", SCAN_RANGES)
def test_no_photon_has_more_energy_than_came_in(edge):
    incident = scan_energies(edge, 20)
    density = intensity(incident, emission_grid, edge, RT)
    above = np.array(
        [density[j, emission_grid > e + 3].sum() for j, e in enumerate(incident)]
    )
    assert (above < 1e-5 * density.sum(axis=1)).all()


def test_the_redox_feature_scales_with_the_sample_and_nothing_else_does():
    """At fixed absorption the difference of two samples is the feature: it peaks at 531.0 / 523.6 eV."""
    incident, emission = np.linspace(526, 550, 241), np.linspace(515, 530, 301)
    mu = {
        s.name: absorption(incident, s)[:, None] + GEOMETRY * absorption(emission, s)
        for s in (RT, HEATED)
    }
    maps = {
        s.name: intensity(incident, emission, "O_K", s) * mu[s.name]
        for s in (RT, HEATED)
    }
    difference = maps["heated"] - maps["RT"]
    row, column = np.unravel_index(np.argmax(difference), difference.shape)
    assert (incident[row], emission[column]) == pytest.approx((531.0, 523.6), abs=0.11)
    far = np.abs(incident - 531) > 4
    assert np.abs(difference[far]).max() < 1e-6 * difference.max()


def test_metal_emission_is_the_same_in_both_samples():
    incident = scan_energies("Co_L", 60)
    co = [
        window(intensity(incident, emission_grid, "Co_L", s), 762, 800)
        for s in (RT, HEATED)
    ]
    np.testing.assert_allclose(co[1], co[0], rtol=1e-3)


@pytest.mark.parametrize("edge", ["Mn_L", "Co_L", "Ni_L"])
def test_oxygen_emission_is_the_inverse_of_the_absorption(edge):
    """Achkar et al.: mu_O / N is mu(E_in) + g mu(E_out); mu_O falls smoothly over the edge, as E^-2.7."""
    incident = scan_energies(edge, 80)
    oxygen = window(intensity(incident, emission_grid, edge, RT), 524, 526)
    inverse = incident**-2.7 / oxygen
    expected = (
        absorption(incident, RT) + GEOMETRY * absorption(np.array([525.0]), RT)[0]
    )
    ratio = inverse / expected
    np.testing.assert_allclose(ratio / ratio.mean(), 1, rtol=0.02)


def test_losses_follow_the_incident_energy_and_fluorescence_does_not():
    incident = np.array([780.5, 782.5])
    density = intensity(incident, emission_grid, "Co_L", RT)
    elastic = [
        emission_grid[np.argmax(np.where(emission_grid > e - 1, row, 0))]
        for e, row in zip(incident, density, strict=True)
    ]
    fluorescence = [
        emission_grid[np.argmax(np.where(np.abs(emission_grid - 776) < 2, row, 0))]
        for row in density
    ]
    assert np.diff(elastic) == pytest.approx(2.0, abs=0.3)
    assert fluorescence == pytest.approx([776.25, 776.25], abs=0.6)


def test_the_reference_holds_its_lines_and_contaminants():
    density = reference_density(emission_grid, ("C_Ka", "Ni_La"), ("Mn_La",), 1000.0)[
        None, :
    ]
    assert window(density, 200, 1101)[0] == pytest.approx(1, rel=0.01)
    c, ni, mn, elastic = (
        window(density, e - 4, e + 4)[0] for e in (277, 851.47, 637.44, 1000)
    )
    assert c > 3 * mn > 0
    assert ni > 3 * mn
    assert elastic > 0.1
    assert window(density, 515, 535)[0] < 0.01


def test_an_electrode_without_oxide_has_no_oxygen_emission():
    incident, emission = scan_energies("O_K", 20), np.arange(500.0, 530.0, 0.5)
    whole, none = (
        intensity(incident, emission, "O_K", Sample(name="s", oxide=o))
        for o in (1.0, 0.0)
    )
    band = (emission > 518) & (emission < 526)
    assert none[:, band].sum() < 0.01 * whole[:, band].sum()
    carbon = np.arange(265.0, 290.0, 0.5)
    assert intensity(incident, carbon, "O_K", Sample(name="s", oxide=0.0)).sum() > 0
