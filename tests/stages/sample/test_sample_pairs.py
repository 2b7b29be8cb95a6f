"""Pairs of samples: energy-scale offset and test."""

import numpy as np
import pytest

from rixs_pipeline.config import Comparison
from rixs_pipeline.core.spectra.regions import Limits, Region, RegionKind
from rixs_pipeline.stages.sample.sample_pairs import (
    SamplePair,
    compare_pairs,
    compared_points,
    in_window,
    relative_change,
)
from tests.stages.sample.cobalt_scans import EDGES, ENERGY, scan, with_pixels

PFY = Region(kind=RegionKind.PFY, emission=Limits(762, 800))


def pair(first, second, axis="incident_energy", region=PFY):
    return SamplePair(first, second, region, axis)


def comparison(**options):
    return Comparison(samples=("a", "b"), **options)


@pytest.mark.parametrize(
    ("axis", "n_points"),
    [("incident_energy", len(ENERGY)), ("emission_energy", len(EDGES) - 1)],
)
def test_the_axis_gives_the_energies_of_the_spectra(axis, n_points):
    tested = pair(scan(1), scan(2), axis)
    assert len(tested.energy) == n_points
    assert tested.weights.shape == (len(ENERGY), len(EDGES) - 1)
    assert tested.is_along_emission is (axis == "emission_energy")


def test_the_factor_is_fitted_fixed_or_fitted_in_a_window():
    pairs = [pair(scan(1, rate=4000.0), scan(2, rate=4000.0, factor=1.5))]
    free = compare_pairs(pairs, comparison())
    assert free.factors == pytest.approx([1, 1.5], rel=0.05)
    fixed = compare_pairs(pairs, comparison(scale="known"))
    assert fixed.factors.tolist() == [1, 1]
    assert fixed.tests[0].p < 1e-3 < free.tests[0].p
    in_part = compare_pairs(pairs, comparison(scale=(778, 784)))
    assert in_part.factors == pytest.approx([1, 1.5], rel=0.05)


def test_the_intensity_of_an_inverse_yield_is_multiplied_by_the_factor():
    inverse = Region(kind=RegionKind.IPFY, emission=Limits(762, 800))
    pairs = [pair(scan(1), scan(2, factor=2.0), region=inverse)]
    compared = compare_pairs(pairs, comparison())
    np.testing.assert_allclose(compared.scale.divisors, 1 / compared.factors)


def test_samples_without_counts_cannot_be_compared():
    with pytest.raises(ValueError, match="no counts in the region"):
        compare_pairs([pair(scan(1, rate=0.0), scan(2, rate=0.0))], comparison())


def test_a_window_selects_points_and_must_have_some():
    assert in_window(ENERGY, None).all()
    assert ENERGY[in_window(ENERGY, (780.0, 781.0))].tolist() == [780.0, 780.5]
    with pytest.raises(ValueError, match=r"in the window \[1, 2\] eV"):
        in_window(ENERGY, (1, 2))
    assert compared_points(pair(scan(1), scan(2)), comparison()).all()


def test_without_pixels_the_offset_is_unknown_and_changes_nothing():
    unknown = pair(scan(1), scan(2))
    assert relative_change(unknown).tolist() == [0.0] * len(ENERGY)
    known = pair(with_pixels(scan(1), 1, 1e-3), with_pixels(scan(2), 2, 1e-3))
    assert np.abs(relative_change(known)).max() > 0
