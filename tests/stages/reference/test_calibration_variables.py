import numpy as np
import pytest

from rixs_pipeline.core.energy import curve_energy, energy
from rixs_pipeline.stages.reference.calibration_variables import spectrum_edges
from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses


def test_the_spectrum_holds_the_accepted_pulses_within_its_range(product, run):
    accepted = product["cut_counts"].values[:, -1]
    total = product["spectrum"].values.sum(axis=1)
    assert np.all(total <= accepted) and np.all(total > 0.95 * accepted)
    for row, path in enumerate(run.pulse_files):
        pulses = read_reference_pulses(run, path)
        low, high = product["cut_limits"].values[row].T
        quantities = np.stack(
            [pulses.residual, pulses.pretrigger_mean, pulses.phase, pulses.since_last],
            axis=1,
        )
        passes = np.all((quantities >= low) & (quantities <= high), axis=1)
        is_accepted = passes & (pulses.pulse_height > 0)
        energies = energy(
            pulses.pulse_height,
            pulses.pretrigger_mean,
            pulses.phase,
            np.full(len(passes), product.attrs["time"]),
            product["params"].values[row],
        )
        expected, _ = np.histogram(energies[is_accepted], np.arange(100, 1100.1, 0.25))
        assert is_accepted.sum() == accepted[row]
        np.testing.assert_array_equal(product["spectrum"].values[row], expected)


def test_spectra_of_soft_lines_have_fine_bins():
    edges = spectrum_edges(np.array([277.0, 929.68]), (200.0, 1100.0))
    np.testing.assert_array_equal(edges, np.arange(100.0, 1100.1, 0.25))


def test_spectra_cover_the_lines_and_the_maps():
    """Bins are wider above 2 keV; a range of maps beyond the lines counts too."""
    edges = spectrum_edges(np.array([1739.78, 8047.78]), (2000.0, 9000.0))
    assert edges[[0, -1]].tolist() == [869.0, 9000.0]
    steps = np.diff(edges)
    assert set(steps[edges[:-1] < 2000]) == {0.25}
    assert set(steps[edges[:-1] >= 2000]) == {1.0}
    assert spectrum_edges(np.array([8047.78]), (500.0, 900.0))[-1] == 8451.0


def test_spectra_without_lines_cover_the_maps():
    edges = spectrum_edges(np.empty(0), (5000.0, 9000.0))
    np.testing.assert_array_equal(edges, np.arange(2500.0, 9001.0))


def test_the_drawn_curve_is_the_energy_function(product):
    heights = product["curve_pulse_height"].values
    energies = product["curve_energy"].values
    for row, params in enumerate(product["params"].values):
        np.testing.assert_allclose(energies[row], curve_energy(heights[row], params))
        assert np.all(np.diff(energies[row]) > 0)


def test_offsets_are_given_with_and_without_the_corrections(product, run):
    """A phase effect of some eV is corrected to within counting statistics."""
    names = product["fitted_line"].values.tolist()
    assert names == [*product["line_name"].values.tolist(), "elastic"]
    kinds = ("phase_offset_uncorrected", "phase_offset", "phase_offset_errors")
    before, after, errors = (product[kind].values[-1] for kind in kinds)
    assert np.ptp(before) > 3
    # 12 degrees of freedom: one in 10 000 is above.
    assert np.sum((after / errors) ** 2) < 40
    assert np.isfinite(product["time_offset"].values).all()
    assert np.isfinite(product["pretrigger_offset"].values).all()


def test_the_time_bins_cover_the_run(product, run):
    ends = product["time_bin"].values[[0, -1]]
    assert ends == pytest.approx([run.duration / 24, run.duration * 23 / 24])


def test_the_elastic_line_has_variables_of_its_own(product, run):
    assert "elastic" not in product["line_name"].values
    offset = product["elastic_energy"].values - product.attrs["parked_energy"]
    assert np.abs(offset).max() < 5
    assert np.all(product["elastic_fwhm"].values > 0)
