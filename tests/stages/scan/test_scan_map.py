from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.schema import (
    POINT_EXCLUDED,
    POINT_I0_UNUSABLE,
    POINT_NO_BEAM,
    POINT_NO_I0,
    SCAN_MAP,
    check,
)
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.counted_scan import SILENT, CountedScan
from rixs_pipeline.stages.scan.exposure_scale import ExposureScale
from rixs_pipeline.stages.scan.incident_flux import find_i0_reference
from rixs_pipeline.stages.scan.scan_map import make_scan_map
from tests.stages.builders import points, scan
from tests.stages.scan.counts import (
    BAD,
    DEAD,
    DWELL,
    EDGES,
    GOOD,
    I0,
    N,
    flux,
    scan_counts,
)


def make_map(
    triggers,
    readings=None,
    energies=None,
    config=I0,
    throughput=None,
    excluded=(),
    i0_ref=1000.0,
):
    run = scan(at=points(N, DWELL), readings=readings or {})
    energies = energies or (GOOD,) * len(triggers)
    counted = CountedScan(run, scan_counts(triggers), energies)
    scale = ExposureScale(i0_ref, throughput or {})
    return make_scan_map(counted, EDGES, config, scale, excluded)


STEADY = [[50] * N, [100] * N]


def test_the_exposure_is_live_time_times_throughput_times_i0():
    i0 = np.array([1000, 1100, 900, 1000, 500, 2000.0])
    product = make_map(STEADY, {"i0": i0, "tey": i0 / 2}, throughput={1: 0.5, 3: 1.5})
    check(product.dataset, SCAN_MAP, "here")
    live = DWELL - np.array([50, 100]) * DEAD
    np.testing.assert_allclose(
        product.dataset["exposure"].values, (0.5 * live[0] + 1.5 * live[1]) * i0 / 1000
    )
    np.testing.assert_allclose(product.dataset["live_time"].values, live.sum())
    np.testing.assert_allclose(product.dataset["pixel_live_time"].values, N * live)
    np.testing.assert_allclose(
        product.dataset["intensity"].values[:, 1],
        150 / product.dataset["exposure"].values,
    )
    np.testing.assert_allclose(
        product.dataset["intensity_errors"].values[:, 1],
        np.sqrt(150) / product.dataset["exposure"].values,
    )
    assert product.dataset["reading_tey"].attrs == {
        "units": "",
        "long_name": "tey, from the log",
    }
    assert (
        product.dataset.attrs["normalisation"],
        product.dataset.attrs["i0_ref"],
        product.warnings,
    ) == ("i0 and live time", 1000.0, [])


def test_pulses_spoiled_by_pile_up_are_no_live_time():
    """The exposure has the factor exp(-r T) of the pulses that pass the cuts.

    There are a hundred pixels with rates of up to 50/s.
    """
    time, n = 0.004, 100
    rate = np.linspace(0.5, 1.5, n)[:, None] * np.array([10.0, 20, 30, 40, 50, 33])
    triggers = np.round(rate * DWELL * 50 / (1 + rate * DEAD)).astype(int)
    live = DWELL * 50 - triggers * DEAD
    accepted = np.round(triggers * np.exp(-rate * time)).astype(int)
    counts = scan_counts(triggers, accepted=accepted, after_trigger=0.0037)
    run = scan(at=points(N, DWELL * 50))
    counted = CountedScan(run, replace(counts, live_time=live), (GOOD,) * n)
    scale = ExposureScale(1.0, {})
    product = make_scan_map(counted, EDGES, NormaliseConfig(i0=None), scale, ())
    spoiling_time, error = (
        product.dataset.attrs["pile_up_time"],
        product.dataset.attrs["pile_up_time_errors"],
    )
    assert spoiling_time == pytest.approx(time, abs=3 * error) and error < 1e-4
    np.testing.assert_allclose(
        product.dataset["live_time"].values,
        (live * np.exp(-rate * spoiling_time)).sum(axis=0),
        rtol=1e-3,
    )


def test_without_i0_a_scan_is_normalised_by_live_time_with_a_warning():
    product = make_map(STEADY)
    assert (
        product.dataset.attrs["normalisation"] == "live time"
        and "i0" not in product.dataset
    )
    assert product.warnings == [
        "scan0001: no reading 'i0' in the log; normalised by live time alone"
    ]
    assert make_map(STEADY, config=NormaliseConfig(i0=None)).warnings == []
    product = make_map(STEADY, flux(*[np.nan] * N))
    assert (
        product.dataset.attrs["normalisation"] == "live time"
        and len(product.warnings) == 1
    )


def test_a_pixel_that_is_not_used_has_no_exposure():
    one = make_map(STEADY, energies=(GOOD, BAD)).dataset
    alone = make_map(STEADY[:1]).dataset
    np.testing.assert_array_equal(one["exposure"].values, alone["exposure"].values)
    assert (
        one["pixel_live_time"].values[1] == 0
        and one["pixel_status"].values[1] == "noisy"
    )


def test_a_silent_pixel_gives_a_warning():
    product = make_map(
        STEADY, energies=(GOOD, PixelEnergy(SILENT)), config=NormaliseConfig(i0=None)
    )
    assert product.warnings == [
        "scan0001: no pulses from pixel 3; not used in this scan"
    ]


@pytest.mark.parametrize("low", [0.0, 50.0, -3.0])
def test_points_without_beam_have_no_exposure(low):
    triggers = [[50, 50, 0, 50, 50, 50], [100, 100, 1, 100, 100, 100]]
    product = make_map(triggers, flux(1000, 1010, low, 1000, 1000, 1000))
    status = product.dataset["point_status"].values.tolist()
    assert status == [0, 0, POINT_NO_BEAM, 0, 0, 0]
    assert product.dataset["exposure"].values[2] == 0
    assert product.dataset["counts"].values[2].sum() == 1
    assert np.isnan(product.dataset["intensity"].values[2]).all()
    assert np.isfinite(product.dataset["exposure"].values).all()
    assert product.warnings == [
        "scan0001: no beam at 1 of 6 points (782.00 eV); not used"
    ]


@pytest.mark.parametrize(
    ("low", "code", "problem"),
    [
        (50.0, POINT_I0_UNUSABLE, "I0 changes and the photons do not"),
        (0.0, POINT_NO_I0, "no positive I0 reading"),
        (-3.0, POINT_NO_I0, "no positive I0 reading"),
        (np.nan, POINT_NO_I0, "no I0 reading"),
    ],
)
def test_points_with_photons_have_beam_whatever_i0_reads(low, code, problem):
    product = make_map(STEADY, flux(1000, 1010, low, 1000, 1000, 1000))
    status = product.dataset["point_status"].values.tolist()
    assert status == [0, 0, code, 0, 0, 0]
    assert product.dataset["exposure"].values[2] == 0
    assert np.isfinite(product.dataset["exposure"].values).all()
    assert "i0_range" not in product.dataset, "an outage is no change of the range"
    assert product.warnings == [
        f"scan0001: {problem} at 1 of 6 points (782.00 eV); not used"
    ]


def test_a_change_of_the_range_of_i0_within_a_scan_is_stored():
    product = make_map(STEADY, flux(1000, 1010, 10_000, 10_100, 9900, 9950))
    status = product.dataset["point_status"].values.tolist()
    assert status == [POINT_I0_UNUSABLE] * 2 + [0] * 4
    expected = [0.1, 0.1, 1, 1, 1, 1]
    np.testing.assert_allclose(product.dataset["i0_range"].values, expected, rtol=0.03)


def test_a_change_of_the_beam_within_a_scan_is_no_change_of_the_range():
    """The photons follow, within their errors and the spectrum."""
    triggers = [[10, 14, 60, 70, 50, 55], [24, 20, 100, 130, 110, 100]]
    product = make_map(triggers, flux(2000, 2010, 10_000, 10_100, 9900, 9950))
    assert not product.dataset["point_status"].values.any()
    assert product.warnings == []


def test_points_without_pulses_are_left_out_at_any_i0():
    silent = [[50, 50, 0, 0, 50, 50], [100, 100, 0, 1, 100, 100]]
    for readings in (flux(*[1000] * N), {}):
        product = make_map(silent, readings)
        assert product.dataset["point_status"].values.tolist() == [
            0,
            0,
            POINT_NO_BEAM,
            POINT_NO_BEAM,
            0,
            0,
        ]
        assert [
            text
            for text in product.warnings
            if "at 2 of 6 points (782.00, 783.00 eV); not used" in text
        ]
    noisy = [
        [50, 50, 0, 0, 50, 50],
        [9000] * N,
    ]  # what a noisy pixel triggers on is no light
    product = make_map(noisy, flux(*[1000] * N), energies=(GOOD, BAD))
    assert product.dataset["point_status"].values.tolist() == [0, 0, 1, 1, 0, 0]


def test_points_with_pulses_for_a_part_of_the_time_are_left_out():
    full = 2**32 - 1
    occupied = np.array([[full] * N] * 2)
    occupied[:, 2] = full >> 16
    counts = scan_counts(STEADY, occupied=occupied)
    run = scan(at=points(N, DWELL), readings=flux(*[1000] * N))
    counted = CountedScan(run, counts, (GOOD, GOOD))
    product = make_scan_map(counted, EDGES, I0, ExposureScale(1000.0, {}), ())
    assert product.dataset["point_status"].values.tolist() == [0, 0, 1, 0, 0, 0]
    assert product.dataset["exposure"].values[2] == 0
    assert product.warnings == [
        "scan0001: no pulses for a part of the time at 1 of 6 points (782.00 eV); "
        "not used"
    ]


def test_few_pulses_may_be_chance():
    product = make_map([[2, 3, 0, 1, 0, 2]], flux(*[1000] * N))
    assert not product.dataset["point_status"].values.any() and product.warnings == []


def test_points_that_the_config_excludes():
    product = make_map(STEADY, flux(*[1000] * N), excluded=(0, 5, 6, -1))
    assert product.dataset["point_status"].values.tolist() == [
        POINT_EXCLUDED,
        0,
        0,
        0,
        0,
        POINT_EXCLUDED,
    ]
    assert product.dataset["exposure"].values[0] == 0
    assert product.warnings == [
        "scan0001: `beamtime.exclude.points` lists points beyond the 6 of this scan"
    ]


def test_the_dark_offset_of_i0_is_subtracted():
    config = NormaliseConfig(i0_offset=100.0)
    product = make_map(STEADY, flux(*[1100] * N), config=config)
    np.testing.assert_array_equal(product.dataset["i0"].values, 1000.0)
    run = scan(at=points(N), readings=flux(*[1100] * N))
    assert find_i0_reference([run], config) == 1000.0


def test_a_pixel_that_the_leading_scan_lacks_is_measured_relative_to_the_others():
    product = make_map([[50] * N, [100] * N], throughput={1: 0.8})
    dead = (DWELL - 50 * DEAD) / (DWELL - 100 * DEAD)
    assert product.dataset["throughput"].values == pytest.approx([0.8, 0.8 * 2 * dead])


def test_a_pixel_silent_for_a_part_of_the_scan_is_not_exposed_there():
    product = make_map(
        [[50] * N, [50] * 3 + [0] * (N - 3)], throughput={1: 1.0, 3: 1.0}
    )
    live = product.dataset["live_time"].values
    assert live[:3] == pytest.approx(2 * (DWELL - 50 * DEAD))
    assert live[3:] == pytest.approx(DWELL - 50 * DEAD)
    assert any(
        "pixel 3 has no pulses at 3 of 6 points" in line for line in product.warnings
    )


def test_a_lost_pixel_does_not_move_the_intensity():
    """Throughputs of 1 to 2, then the better pixel is lost: the expectation stays."""
    weights = {1: 2 / 3, 3: 4 / 3}
    both = make_map([[50] * N, [100] * N], throughput=weights).dataset
    dead = (DWELL - 50 * DEAD) / (DWELL - 100 * DEAD)
    one = make_map([[50] * N], throughput=weights).dataset
    np.testing.assert_allclose(
        one["intensity"].values[:, 1],
        both["intensity"].values[:, 1],
        rtol=abs(1 - dead),
    )  # but for the dead time, the same


def test_a_reading_with_a_slash_stays_a_variable():
    product = make_map(STEADY, {"a/b": np.ones(N)})
    assert "reading_a_b" in product.dataset
