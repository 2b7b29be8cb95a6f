from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.config.models import NormaliseConfig
from rixs_pipeline.schema import POINT_EXCLUDED, POINT_NO_BEAM, SCAN_MAP, check
from rixs_pipeline.stages.scan.count_pulses import SILENT, Binned
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.scan_map import (
    Scale,
    i0_reference,
    relative_throughput,
    scan_dataset,
)
from tests.stages.builders import points, scan

EDGES = np.arange(500.0, 504.0)
GOOD, BAD = PixelEnergy("ok: cal1 alone", calibrated=True), PixelEnergy("noisy")
I0 = NormaliseConfig()
N, DWELL, DEAD = 6, 2.0, 0.005


def binned(triggers, pixel_counts=None, accepted=None, after_trigger=0.0):
    """Two or more pixels; photons only for the total. Without an `after_trigger` time nothing piles up."""
    triggers = np.array(triggers)
    n = len(triggers)
    photons = np.array(triggers.sum(axis=1) if pixel_counts is None else pixel_counts)
    counts = np.zeros((triggers.shape[1], len(EDGES) - 1), np.int64)
    counts[:, 1] = triggers.sum(axis=0)
    live = np.maximum(DWELL - triggers * DEAD, 0.0)
    accepted = triggers if accepted is None else accepted
    after = np.full(n, after_trigger)
    return Binned(
        counts,
        np.arange(1, 2 * n, 2),
        triggers,
        triggers,
        accepted,
        live,
        after,
        photons,
        np.zeros((n, 6), np.int64),
        np.full((n, 4, 2), np.nan),
    )


def dataset(
    triggers,
    readings=None,
    functions=None,
    config=I0,
    throughput=None,
    excluded=(),
    i0_ref=1000.0,
):
    run = scan(at=points(N, DWELL), readings=readings or {})
    functions = functions or (GOOD,) * len(triggers)
    scale = Scale(i0_ref, throughput or {})
    return scan_dataset(
        run, binned(triggers), functions, EDGES, config, scale, excluded
    )


def flux(*values):
    return {"i0": np.array(values, dtype=float)}


STEADY = [[50] * N, [100] * N]


def test_the_exposure_is_live_time_times_throughput_times_i0():
    i0 = np.array([1000, 1100, 900, 1000, 500, 2000.0])
    found, warnings = dataset(
        STEADY, {"i0": i0, "tey": i0 / 2}, throughput={1: 0.5, 3: 1.5}
    )
    check(found, SCAN_MAP, "here")
    live = DWELL - np.array([50, 100]) * DEAD
    np.testing.assert_allclose(
        found["exposure"].values, (0.5 * live[0] + 1.5 * live[1]) * i0 / 1000
    )
    np.testing.assert_allclose(found["live_time"].values, live.sum())
    np.testing.assert_allclose(found["pixel_live_time"].values, N * live)
    np.testing.assert_allclose(
        found["intensity"].values[:, 1], 150 / found["exposure"].values
    )
    np.testing.assert_allclose(
        found["intensity_errors"].values[:, 1], np.sqrt(150) / found["exposure"].values
    )
    assert found["reading_tey"].attrs == {"units": "", "long_name": "tey, from the log"}
    assert (found.attrs["normalisation"], found.attrs["i0_ref"], warnings) == (
        "i0 and live time",
        1000.0,
        [],
    )


def test_what_a_second_photon_spoils_is_no_live_time():
    """A hundred pixels at rates up to 50/s, of which exp(-r T) pass the cuts: exposure has the same factor."""
    time, n = 0.004, 100
    rate = np.linspace(0.5, 1.5, n)[:, None] * np.array([10.0, 20, 30, 40, 50, 33])
    triggers = np.round(rate * DWELL * 50 / (1 + rate * DEAD)).astype(int)
    live = DWELL * 50 - triggers * DEAD
    accepted = np.round(triggers * np.exp(-rate * time)).astype(int)
    one = replace(
        binned(triggers, accepted=accepted, after_trigger=0.0037), live_time=live
    )
    found, _ = scan_dataset(
        scan(at=points(N, DWELL * 50)),
        one,
        (GOOD,) * n,
        EDGES,
        NormaliseConfig(i0=None),
        Scale(1.0, {}),
        (),
    )
    told, error = found.attrs["pile_up_time"], found.attrs["pile_up_time_errors"]
    assert told == pytest.approx(time, abs=3 * error) and error < 1e-4
    np.testing.assert_allclose(
        found["live_time"].values, (live * np.exp(-rate * told)).sum(axis=0), rtol=1e-3
    )


def test_without_i0_it_is_live_time_alone_and_said():
    found, warnings = dataset(STEADY)
    assert found.attrs["normalisation"] == "live time" and "i0" not in found
    assert warnings == [
        "scan0001: no reading 'i0' in its log: normalised by live time alone"
    ]
    assert dataset(STEADY, config=NormaliseConfig(i0=None))[1] == []
    found, warnings = dataset(STEADY, flux(*[np.nan] * N))
    assert found.attrs["normalisation"] == "live time" and len(warnings) == 1


def test_a_pixel_that_is_not_used_has_no_exposure():
    one, _ = dataset(STEADY, functions=(GOOD, BAD))
    alone, _ = dataset(STEADY[:1])
    np.testing.assert_array_equal(one["exposure"].values, alone["exposure"].values)
    assert (
        one["pixel_live_time"].values[1] == 0
        and one["pixel_status"].values[1] == "noisy"
    )


def test_a_pixel_that_was_silent_is_said():
    _, warnings = dataset(
        STEADY, functions=(GOOD, PixelEnergy(SILENT)), config=NormaliseConfig(i0=None)
    )
    assert warnings == ["scan0001: no pulses from pixel 3: left out of this scan"]


@pytest.mark.parametrize("low", [0.0, 50.0, -3.0, np.nan])
def test_points_without_beam_keep_their_counts_and_have_no_exposure(low):
    found, warnings = dataset(STEADY, flux(1000, 1000, low, 1000, 1000, 1000))
    assert found["point_status"].values.tolist() == [0, 0, POINT_NO_BEAM, 0, 0, 0]
    assert found["exposure"].values[2] == 0 and found["counts"].values[2].sum() == 150
    assert (
        np.isnan(found["intensity"].values[2]).all()
        and np.isfinite(found["exposure"].values).all()
    )
    assert warnings == ["scan0001: no beam at 1 of 6 points (782.00 eV): left out"]


def test_points_without_pulses_are_left_out_whatever_i0_says():
    silent = [[50, 50, 0, 0, 50, 50], [100, 100, 0, 1, 100, 100]]
    for readings in (flux(*[1000] * N), {}):
        found, warnings = dataset(silent, readings)
        assert found["point_status"].values.tolist() == [
            0,
            0,
            POINT_NO_BEAM,
            POINT_NO_BEAM,
            0,
            0,
        ]
        assert [
            text
            for text in warnings
            if "at 2 of 6 points (782.00, 783.00 eV): left out" in text
        ]
    noisy = [
        [50, 50, 0, 0, 50, 50],
        [9000] * N,
    ]  # what a noisy pixel triggers on is no light
    found, _ = dataset(noisy, flux(*[1000] * N), functions=(GOOD, BAD))
    assert found["point_status"].values.tolist() == [0, 0, 1, 1, 0, 0]


def test_few_pulses_may_be_chance():
    found, warnings = dataset([[2, 3, 0, 1, 0, 2]], flux(*[1000] * N))
    assert not found["point_status"].values.any() and warnings == []


def test_points_that_the_config_leaves_out():
    found, warnings = dataset(STEADY, flux(*[1000] * N), excluded=(0, 5, 6, -1))
    assert found["point_status"].values.tolist() == [
        POINT_EXCLUDED,
        0,
        0,
        0,
        0,
        POINT_EXCLUDED,
    ]
    assert found["exposure"].values[0] == 0
    assert warnings == ["scan0001: exclude.points names points beyond its 6 points"]


def test_the_dark_offset_of_i0_is_taken_off():
    config = NormaliseConfig(i0_offset=100.0)
    found, _ = dataset(STEADY, flux(*[1100] * N), config=config)
    np.testing.assert_array_equal(found["i0"].values, 1000.0)
    assert (
        i0_reference(scan(at=points(N), readings=flux(*[1100] * N)), config) == 1000.0
    )


def test_the_reference_of_i0_is_the_mean_where_there_is_beam():
    assert (
        i0_reference(scan(at=points(4), readings=flux(1000, 1200, 0, np.nan)), I0)
        == 1100
    )
    assert i0_reference(scan(at=points(2), readings=flux(0, 0)), I0) is None
    assert i0_reference(scan(at=points(2)), I0) is None


def test_throughput_is_relative_to_the_mean_of_the_used_pixels():
    run, functions = scan(at=points(N, DWELL)), (GOOD, GOOD, BAD)
    counts = binned([[50] * N, [100] * N, [900] * N])
    found = relative_throughput(counts, run, functions, I0, {})
    rate = {1: 50 / (DWELL - 50 * DEAD), 3: 100 / (DWELL - 100 * DEAD)}
    mean = sum(rate.values()) / 2
    assert found == {
        pixel: pytest.approx(value / mean) for pixel, value in rate.items()
    }
    assert relative_throughput(binned([[0] * N]), run, (GOOD,), I0, {}) == {}


def test_throughput_of_a_scan_without_its_best_pixel_stays_on_the_scale_of_the_array():
    """The reference run knows how the pixels that are left compare with all of them."""
    run, counts = scan(at=points(N, DWELL)), binned([[50] * N, [50] * N])
    brightness = {1: 100.0, 3: 100.0, 5: 400.0}
    found = relative_throughput(counts, run, (GOOD, GOOD), I0, brightness)
    assert found == {1: pytest.approx(0.5), 3: pytest.approx(0.5)}


def test_a_pixel_that_the_leading_scan_did_not_have_is_measured_beside_the_others():
    found, _ = dataset([[50] * N, [100] * N], throughput={1: 0.8})
    dead = (DWELL - 50 * DEAD) / (DWELL - 100 * DEAD)
    assert found["throughput"].values == pytest.approx([0.8, 0.8 * 2 * dead])


def test_a_pixel_silent_for_a_part_of_the_scan_is_not_exposed_there():
    found, warnings = dataset(
        [[50] * N, [50] * 3 + [0] * (N - 3)], throughput={1: 1.0, 3: 1.0}
    )
    live = found["live_time"].values
    assert live[:3] == pytest.approx(2 * (DWELL - 50 * DEAD))
    assert live[3:] == pytest.approx(DWELL - 50 * DEAD)
    assert any("pixel 3 silent at 3 of 6 points" in line for line in warnings)


def test_a_lost_pixel_does_not_move_the_intensity():
    """Throughputs of 1 to 2, then the better pixel is lost: the expectation stays."""
    weights = {1: 2 / 3, 3: 4 / 3}
    both, _ = dataset([[50] * N, [100] * N], throughput=weights)
    dead = (DWELL - 50 * DEAD) / (DWELL - 100 * DEAD)
    one, _ = dataset([[50] * N], throughput=weights)
    np.testing.assert_allclose(
        one["intensity"].values[:, 1],
        both["intensity"].values[:, 1],
        rtol=abs(1 - dead),
    )  # but for the dead time, the same


def test_a_reading_with_a_slash_stays_a_variable():
    found, _ = dataset(STEADY, {"a/b": np.ones(N)})
    assert "reading_a_b" in found
