import numpy as np
import pytest

from rixs_pipeline.plots.spectrum_data import (
    Limits,
    bin_ends,
    curve_points,
    find_counts_window,
    highest_intensity,
    sort_spectrum,
    spectrum_axis,
    whole_bins,
)


def test_stray_counts_do_not_widen_the_window():
    energy = np.arange(0.0, 1000.0)
    counts = np.zeros(1000)
    counts[500:520] = 1000
    counts[[3, 990]] = 1
    assert find_counts_window(energy, counts, 10.0) == (490.0, 529.0)


def test_without_counts_the_window_is_all_energies():
    energy = np.arange(0.0, 1000.0)
    assert find_counts_window(energy, np.zeros(1000), 10.0) == (0.0, 999.0)


def test_spectra_are_sorted_and_cut_to_a_window(make_spectrum):
    spectrum = make_spectrum(masked=())
    reverse = spectrum.isel(incident_energy=slice(None, None, -1))
    assert sort_spectrum(reverse).identical(spectrum)
    inside = spectrum_axis(sort_spectrum(reverse, Limits(780, 790))).values
    assert inside.min() >= 780 and inside.max() <= 790
    assert np.all(np.diff(inside) > 0)


def test_the_highest_intensity_is_that_of_the_window(make_spectrum):
    low, high = make_spectrum(), make_spectrum(height=10.0)
    everywhere = Limits(0, 2000)
    expected = float(high["intensity"].max())
    assert highest_intensity([low, high], everywhere) == pytest.approx(expected)
    assert highest_intensity([low], Limits(0, 1)) == 0


def test_bins_that_are_covered_in_part_are_drawn_whole():
    energy = np.array([515.5625, 516.5, 517.5, 518.5, 519.15])
    low = np.arange(515.0, 520.0)
    expected = np.column_stack((low, low + 1))
    np.testing.assert_allclose(bin_ends(energy), expected, atol=1e-5)
    assert whole_bins(energy, Limits(516, 518)) == pytest.approx((516, 518))
    assert whole_bins(energy, Limits(400, 401)) == (400, 401)
    assert bin_ends(np.array([515.6])).tolist() == [[515.1, 516.1]]


def test_a_curve_goes_along_its_bins_and_breaks_between_others():
    points = curve_points("emission_energy", np.array([1.25, 1.75, 3.25, 3.75]))
    ends = [1, 1.5, 1.5, 2, np.nan, 3, 3.5, 3.5, 4]
    np.testing.assert_allclose(points.energy, ends)
    assert points.rows.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3]
    scan = np.array([770.0, 771.0, 773.0])
    points = curve_points("incident_energy", scan)
    assert points.energy is scan and points.rows.tolist() == [0, 1, 2]
    assert curve_points("energy_loss", np.empty(0)).rows.size == 0
