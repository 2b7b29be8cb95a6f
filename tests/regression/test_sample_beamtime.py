"""The supplied sample beamtime, reduced, against a plain recount and the truth."""

import json

import numpy as np
import pytest
from scipy import stats

from rixs_pipeline import open_product
from rixs_pipeline.core.drift.jumps import line_shifts
from rixs_pipeline.simulate.truth import DetectorResponse, read_settings, true_map
from tests.regression.recount import ns, read_off, recount

SCANS = range(1, 9)
MAPS = {
    "LMR_RT-Co_L": (1, 2),
    "LMR_RT-O_K": (3, 4),
    "LMR_100C-Co_L": (5, 6),
    "LMR_100C-O_K": (7, 8),
}
PIXELS = (1, 3, 5, 7, 9, 11, 13, 15)
DEAD_TIME_S = 1024 * 4.8e-6
# means of the simulated pixels
RESPONSE = DetectorResponse(fwhm=1.5, tail_fraction=0.16, tail_length=20.0)


@pytest.fixture(scope="module")
def scans(reduced_sample):
    return {n: open_product(reduced_sample / f"scans/scan{n:04d}.nxs") for n in SCANS}


@pytest.fixture(scope="module")
def maps(reduced_sample):
    return {name: open_product(reduced_sample / f"maps/{name}.nxs") for name in MAPS}


@pytest.fixture(scope="module")
def calibrations(reduced_sample):
    return {
        name: open_product(reduced_sample / f"calibration/{name}.nxs")
        for name in ("cal0000", "cal0009")
    }


@pytest.fixture(scope="module")
def files(sample_beamtime):
    return {
        n: sample_beamtime / f"20260101/0000/20260101_run0000_chan{n}.off"
        for n in PIXELS
    }


@pytest.fixture(scope="module")
def truth(sample_beamtime):
    return json.loads((sample_beamtime / "truth.json").read_text())


def windows(beamtime, number):
    log = json.loads((beamtime / f"logs/scan{number:04d}.json").read_text())
    return ns(log["epoch_time_start_s"]), ns(log["epoch_time_end_s"])


@pytest.fixture(scope="module")
def expected(scans, files, truth, sample_beamtime):
    """Expected photons of used pixels in each scan, f8 (point, bin).

    Known shares are lost with bad pulses and with records that contain a second photon.
    The live time is calculated from the records.
    """
    settings = read_settings(sample_beamtime)
    throughput = {pixel["channel"]: pixel["throughput"] for pixel in truth["pixels"]}
    runs = {run["number"]: run for run in truth["runs"]}
    times = {pixel: read_off(path)["ns"] for pixel, path in files.items()}
    result = {}
    for number, scan in scans.items():
        start, end = windows(sample_beamtime, number)
        run, beam = runs[number], np.array(runs[number]["beam"])
        incident, edges = (
            scan["incident_energy"].values,
            scan["emission_energy_edges"].values,
        )
        rates = true_map(
            settings, run["edge"], run["sample"], incident, edges, response=RESPONSE
        )
        total = np.zeros(len(start))
        for pixel, status in zip(
            scan["pixel"].values, scan["pixel_status"].values, strict=True
        ):
            if status.startswith("ok"):
                triggers = np.searchsorted(times[pixel], end) - np.searchsorted(
                    times[pixel], start
                )
                live = (end - start) / 1e9 - triggers * DEAD_TIME_S
                rate = throughput[pixel] * beam * rates.sum(axis=1)
                total += (
                    throughput[pixel]
                    * beam
                    * live
                    * (1 - settings.bad_share)
                    * np.exp(-rate * DEAD_TIME_S)
                )
        result[number] = total[:, None] * rates
    return result


@pytest.mark.parametrize("number", SCANS)
def test_counts_equal_a_plain_recount(
    number, scans, calibrations, files, sample_beamtime
):
    scan = scans[number]
    again = recount(scan, calibrations, files, *windows(sample_beamtime, number))
    np.testing.assert_array_equal(scan["counts"].values, again.counts)
    assert int(scan["counts"].sum()) == again.expected > 4000  # each once
    of_pixel = dict(
        zip(
            scan["pixel"].values.tolist(),
            scan["pixel_counts"].values.tolist(),
            strict=True,
        )
    )
    assert of_pixel == dict.fromkeys(PIXELS, 0) | again.pixel_counts


@pytest.mark.parametrize(("name", "numbers"), MAPS.items())
def test_a_map_is_the_sum_of_its_scans(name, numbers, maps, scans):
    """Points without beam stay out of it. Sum first, divide last."""
    used = [(scans[n]["point_status"].values == 0) for n in numbers]
    order = [np.argsort(scans[n]["incident_energy"].values) for n in numbers]
    for variable in ("counts", "exposure", "live_time"):
        values = [
            scans[n][variable].values
            * u.reshape(-1, *[1] * (scans[n][variable].ndim - 1))
            for n, u in zip(numbers, used, strict=True)
        ]
        total = sum(v[o] for v, o in zip(values, order, strict=True))
        np.testing.assert_allclose(
            maps[name][variable].values,
            total,
            rtol=1e-12 if variable != "counts" else 0,
        )
    assert json.loads(maps[name].attrs["scans"]) == [f"scan{n:04d}" for n in numbers]
    product = maps[name]
    width = np.diff(product["emission_energy_edges"].values)
    ratio = product["counts"].values / product["exposure"].values[:, None] / width
    np.testing.assert_allclose(product["intensity"].values, ratio, rtol=1e-12)


def test_beam_dump_is_left_out_and_reported(scans, maps, reduced_sample):
    status = scans[2]["point_status"].values
    assert np.flatnonzero(status).tolist() == [20, 21, 22] and set(status) == {0, 1}
    assert np.all(scans[2]["exposure"].values[20:23] == 0)
    run = json.loads((reduced_sample / "run.json").read_text())
    assert [w for w in run["warnings"] if "scan0002: no beam at 3 of 60 points" in w]
    assert not any(scans[n]["point_status"].values.any() for n in SCANS if n != 2)


def test_pixel_status_matches_the_simulated_defects(scans, calibrations):
    assert {
        p
        for p, s in zip(PIXELS, calibrations["cal0000"]["status"].values, strict=True)
        if s == "ok"
    } == {1, 3, 7, 11, 13, 15}
    for scan in scans.values():
        status = dict(
            zip(scan["pixel"].values.tolist(), scan["pixel_status"].values, strict=True)
        )
        assert "dead" in status[5] and "noisy" in status[9]
        assert status[13].startswith("ok: cal0000 alone, jumped by")
        assert all(status[p] == "ok: cal0000 to cal0009" for p in (1, 3, 7, 11, 15))


def test_line_positions_are_within_one_ev(calibrations, truth):
    """In both reference runs on their own scale.

    For steady pixels, also those of the second run on the scale of the first.
    """
    steady = [PIXELS.index(pixel) for pixel in (1, 3, 7, 11, 15)]
    for calibration in calibrations.values():
        energy = dict(
            zip(
                calibration["line_name"].values,
                calibration["line_energy"].values,
                strict=True,
            )
        )
        assert energy == pytest.approx(truth["lines"])
        assert (
            np.abs(
                calibration["line_residual"].values[[*steady, PIXELS.index(13)]]
            ).max()
            < 1
        )
    first, last = (product["params"].values for product in calibrations.values())
    shifts = line_shifts.line_shifts(
        first, last, calibrations["cal0000"]["line_energy"].values
    )
    assert np.abs(shifts[steady]).max() < 1
    assert np.nanmedian(shifts[PIXELS.index(13)]) > 10


def test_monochromator_slip_is_measured(calibrations, sample_beamtime):
    """The parked elastic line of the second reference run, in all pixels alike."""
    settings = read_settings(sample_beamtime)
    parked = [
        np.nanmedian(product["elastic_energy"].values)
        for product in calibrations.values()
    ]
    assert parked[0] == pytest.approx(settings.parked_energy, abs=1)
    assert parked[1] - parked[0] == pytest.approx(settings.monochromator_slip, abs=0.5)


@pytest.mark.parametrize("number", SCANS)
def test_counts_match_the_truth(number, scans, expected):
    """Per point and in total, within Poisson limits at a false-alarm rate of 1e-6."""
    points, predicted = (
        scans[number]["counts"].values.sum(axis=1),
        expected[number].sum(axis=1),
    )
    lit = predicted > 5
    chi2 = np.sum((points[lit] - predicted[lit]) ** 2 / predicted[lit])
    assert stats.chi2.sf(chi2, lit.sum()) > 1e-6
    assert abs(points.sum() - predicted.sum()) < 4 * np.sqrt(predicted.sum())


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("LMR_RT-Co_L", (762, 800)),
        ("LMR_RT-Co_L", (510, 540)),
        ("LMR_100C-O_K", (515, 530)),
    ],
)
def test_counts_in_a_window_match_the_truth(name, region, maps, expected):
    emission = maps[name]["emission_energy"].values
    inside = (emission > region[0]) & (emission < region[1])
    predicted = sum(expected[n][:, inside].sum() for n in MAPS[name])
    result = maps[name]["counts"].values[:, inside].sum()
    # 1 %: the response of each pixel is its own, that of the truth is their mean
    assert abs(result - predicted) < 4 * np.sqrt(predicted) + 0.01 * predicted


def test_all_maps_share_one_scale(maps, truth, sample_beamtime):
    """Counts / exposure / truth is the same everywhere: the mean pixel's throughput."""
    settings = read_settings(sample_beamtime)
    ratios, errors = [], []
    for name, rixs_map in maps.items():
        sample, edge = name.rsplit("-", 1)
        incident, edges = (
            rixs_map["incident_energy"].values,
            rixs_map["emission_energy_edges"].values,
        )
        rate = true_map(settings, edge, sample, incident, edges, response=RESPONSE).sum(
            axis=1
        )
        counts = int(rixs_map["counts"].sum())
        ratios.append(counts / np.sum(rate * rixs_map["exposure"].values))
        errors.append(ratios[-1] / np.sqrt(counts))
    mean = np.average(ratios, weights=1 / np.square(errors))
    assert (
        stats.chi2.sf(np.sum(np.square((np.array(ratios) - mean) / errors)), 3) > 1e-4
    )
    used = np.array(
        [
            pixel["throughput"]
            for pixel in truth["pixels"]
            if pixel["channel"] in (1, 3, 7, 11, 13, 15)
        ]
    )
    # bad pulses are lost; what piles up is no live time
    assert mean == pytest.approx(
        np.mean(used) * (1 - settings.bad_share), rel=0.02
    )  # four times its own error


def smooth(values):
    return np.convolve(values, [0.25, 0.5, 0.25], mode="same")


def test_the_cobalt_edge_has_its_two_lines(reduced_sample):
    pfy = open_product(reduced_sample / "spectra/LMR_RT-Co_L.nxs")["Co_PFY"]
    energy, intensity = (
        pfy["incident_energy"].values,
        smooth(np.nan_to_num(pfy["intensity"].values)),
    )
    for expected_at, (low, high) in ((780.5, (775, 788)), (794.5, (789, 800))):
        window = (energy > low) & (energy < high)
        step = np.diff(energy[window]).max()
        assert energy[window][np.argmax(intensity[window])] == pytest.approx(
            expected_at, abs=step + 0.5
        )


def test_the_redox_feature_grows_as_simulated(maps, sample_beamtime):
    """Incident 530-532, emission 523-524."""
    settings = read_settings(sample_beamtime)
    counts, result, predicted = [], [], []
    for sample in ("LMR_RT", "LMR_100C"):
        product = maps[f"{sample}-O_K"]
        incident, emission = (
            product["incident_energy"].values,
            product["emission_energy"].values,
        )
        window = np.ix_(
            (incident > 530) & (incident < 532), (emission > 523) & (emission < 524)
        )
        rate = true_map(
            settings,
            "O_K",
            sample,
            incident,
            product["emission_energy_edges"].values,
            response=RESPONSE,
        )
        counts.append(product["counts"].values[window].sum())
        result.append(counts[-1] / product["exposure"].values[window[0].ravel()].sum())
        predicted.append(rate[window].sum())
    error = np.sqrt(np.sum(1 / np.array(counts)))
    assert result[1] / result[0] == pytest.approx(
        predicted[1] / predicted[0], rel=3.5 * error
    )
