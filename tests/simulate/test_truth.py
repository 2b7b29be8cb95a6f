import json
import zipfile

import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.simulate.drift import find_jump_times
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.schedule import plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import (
    DetectorResponse,
    append_event_truth,
    apply_response,
    read_settings,
    true_map,
    write_truth,
)

SETTINGS = SimulationSettings(points=10, pixels=2)
RESPONSE = DetectorResponse(fwhm=1.4, tail_fraction=0.15, tail_length=20.0)


def oxygen_map(edges, response=None):
    incident = np.array([530.0, 531.0, 540.0])
    return true_map(SETTINGS, "O_K", "LMR_RT", incident, edges, response=response)


def test_true_maps_add_over_bins():
    fine = oxygen_map(np.linspace(510, 530, 41))
    coarse = oxygen_map(np.linspace(510, 530, 11))
    np.testing.assert_allclose(fine.reshape(3, 10, 4).sum(axis=2), coarse, rtol=1e-9)


def test_response_keeps_the_photons_and_moves_them_to_low_energy():
    whole = np.array([200.0, 1099.0])
    with_response = oxygen_map(whole, RESPONSE)
    np.testing.assert_allclose(with_response, oxygen_map(whole), rtol=5e-3)
    band = np.array([515.0, 530.0])
    assert (oxygen_map(band, RESPONSE) < oxygen_map(band)).all()


def test_true_map_of_an_unknown_sample_is_refused():
    edges = np.array([515.0, 530.0])
    with pytest.raises(InputError, match="choose one of LMR_RT"):
        true_map(SETTINGS, "O_K", "nobody", np.array([530.0]), edges)


def test_response_has_its_width_and_its_tail():
    step = 0.05
    density = np.zeros((1, 8001))
    density[0, 6000] = 1 / step
    blurred = apply_response(density, step, RESPONSE)[0]
    energy = (np.arange(8001) - 6000) * step
    assert blurred.sum() * step == pytest.approx(1, abs=1e-3)
    is_in_tail = energy < -3
    expected = RESPONSE.tail_fraction * np.exp(-3 / RESPONSE.tail_length)
    assert blurred[is_in_tail].sum() * step == pytest.approx(expected, rel=0.02)
    peak = energy[blurred > blurred.max() / 2]
    assert np.ptp(peak) == pytest.approx(RESPONSE.fwhm, abs=0.1)


def test_truth_has_settings_runs_and_pixels(tmp_path):
    runs = plan_runs(SETTINGS)
    jump_times = find_jump_times(runs)
    pixels = [draw_pixel(SETTINGS, channel, jump_times) for channel in (1, 3)]
    write_truth(tmp_path, SETTINGS, runs, pixels, {1: 20, 3: 30})
    assert read_settings(tmp_path) == SETTINGS
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert [run["kind"] for run in truth["runs"]][:2] == ["calibration", "scan"]
    assert [pixel["records"] for pixel in truth["pixels"]] == [20, 30]
    assert truth["pixels"][0]["base_line"] == pixels[0].baseline
    assert truth["lines"]["Ni_La"] == 851.47


def test_event_truth_is_read_by_numpy(tmp_path):
    energy, is_good = np.array([277.0, np.nan]), np.array([True, False])
    with zipfile.ZipFile(tmp_path / "truth.npz", "w") as archive:
        append_event_truth(archive, 3, energy, is_good)
    with np.load(tmp_path / "truth.npz") as events:
        np.testing.assert_array_equal(events["energy_chan3"], energy)
        np.testing.assert_array_equal(events["good_chan3"], is_good)
