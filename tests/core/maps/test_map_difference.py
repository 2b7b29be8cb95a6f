import numpy as np
import pytest

from rixs_pipeline.core.maps.map_difference import (
    MapArrays,
    map_difference,
    rebinned_intensity,
)

GENERATOR = np.random.default_rng(5)
WIDTHS = np.full(80, 0.5)
EXPOSURE = np.where(np.arange(30) == 7, 0.0, 20.0)


def poisson_map(rate, exposure=EXPOSURE):
    """Return a map with an expected rate (point, bin), counts/(s eV)."""
    expected = rate * exposure[:, None] * WIDTHS
    return MapArrays(GENERATOR.poisson(expected), exposure)


def test_merged_bins_have_the_mean_intensity_and_masked_points_none():
    intensity = rebinned_intensity(poisson_map(np.full((30, 80), 0.2)), WIDTHS, 100)
    assert np.isnan(intensity[7]).all()
    others = np.delete(intensity, 7, axis=0)
    assert others.min() > 0.1 and others.max() < 0.3
    assert others.mean() == pytest.approx(0.2, rel=0.05)


def test_equal_maps_differ_by_chance_alone():
    rate = np.full((30, 80), 1.0)
    second = poisson_map(2.0 * rate, EXPOSURE / 3)
    difference = map_difference(poisson_map(rate), second, WIDTHS, 2.0, 40)
    assert np.isnan(difference.intensity[7]).all()
    significance = np.delete(difference.significance, 7, axis=0)
    assert np.nanmax(np.abs(difference.intensity)) < 2.0
    assert np.std(np.unique(significance)) == pytest.approx(1.0, abs=0.15)


def test_what_is_added_is_the_difference():
    rate = np.full((30, 80), 5.0)
    more = rate.copy()
    more[10:15, 30:40] += 3.0
    difference = map_difference(poisson_map(rate), poisson_map(more), WIDTHS, 1.0, 200)
    assert difference.intensity[11:14, 32:38].mean() == pytest.approx(3.0, rel=0.15)
    assert difference.significance[11:14, 32:38].mean() > 3


def test_maps_without_exposure_have_no_intensity():
    empty = MapArrays(np.zeros((3, 80), int), np.zeros(3))
    assert np.isnan(rebinned_intensity(empty, WIDTHS, 25)).all()
    difference = map_difference(empty, empty, WIDTHS, 1.0, 25)
    assert np.isnan(difference.significance).all()
