import numpy as np
import pytest

from rixs_pipeline.simulate.absorption import (
    ABSORBERS,
    absorption,
    element_absorption,
    redox_absorption,
)
from rixs_pipeline.simulate.settings import Sample

RT = Sample(name="RT")
HEATED = Sample(name="heated", redox=1.4, reduction=0.3)


def test_surface_of_the_heated_sample_is_reduced_and_its_bulk_is_not():
    energy = np.array([778.9, 782.4])  # eV, low and high valence
    surface_rt = absorption(energy, RT, surface=True)
    surface_heated = absorption(energy, HEATED, surface=True)
    low, high = surface_heated - surface_rt
    assert low > 0 > high
    bulk_rt = absorption(energy, RT)
    np.testing.assert_allclose(absorption(energy, HEATED), bulk_rt, rtol=1e-9)


@pytest.mark.parametrize("element", ["Mn", "Co", "Ni"])
def test_l2_holes_are_made_above_the_l2_onset_only(element):
    onset = ABSORBERS[element].l2_onset
    energy = np.array([onset - 10, onset + 8])
    below, above = element_absorption(element, energy, RT).l2_share
    assert below < 0.1
    assert above > 0.3


def test_redox_feature_scales_with_its_amplitude():
    energy = np.array([531.0, 540.0])
    ratio = redox_absorption(energy, HEATED)[0] / redox_absorption(energy, RT)[0]
    assert ratio == pytest.approx(1.4)
    assert redox_absorption(energy, RT)[1] < 1e-12
