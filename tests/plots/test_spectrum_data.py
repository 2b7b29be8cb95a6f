import numpy as np
import pytest

from rixs_pipeline.plots.spectrum_data import (
    Limits,
    find_counts_window,
    highest_intensity,
    sort_spectrum,
    spectrum_axis,
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
