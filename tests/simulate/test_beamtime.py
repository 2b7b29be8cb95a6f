"""The written files, read back with no code of the package but the truth."""

import json
import re

import numpy as np
import pytest

from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.lines import LINES, line_profile
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import (
    BeamDump,
    SimulationSettings,
    preset_settings,
)
from rixs_pipeline.simulate.truth import DetectorResponse, read_settings, true_map

RESPONSE = DetectorResponse(fwhm=1.4, tail_fraction=0.15, tail_length=20.0)
RUN = "20260101/0000/20260101_run0000"
SMALL = SimulationSettings(
    seed=5,
    pixels=4,
    points=12,
    passes=2,
    dwell=4.0,
    calibration_duration=200.0,
    rate=20.0,
    calibration_rate=20.0,
    dead_pixels=(5,),
    noisy_pixels=(),
    jumping_pixels=(3,),
    truncated_pixels=(7,),
    projector_samples=16,
    aborted_scans=(3,),
    beam_dumps=(BeamDump(scan=2, first=4, points=2),),
    event_truth=True,
)


def record_type(bases, delta=True):
    names = [
        "samples",
        "presamples",
        "frame",
        "ns",
        "pretrigger",
        *(["delta"] if delta else []),
        "residual",
        "coefs",
    ]
    formats = [
        "<i4",
        "<i4",
        "<i8",
        "<i8",
        "<f4",
        *(["<f4"] if delta else []),
        "<f4",
        ("<f4", bases),
    ]
    return np.dtype(list(zip(names, formats, strict=True)))


def read_off(path, delta=True, binary_matrices=True):
    data = path.read_bytes()
    start = data.index(b"\n}\n") + 3
    header = json.loads(data[:start])
    shape = header["ModelInfo"]["Projectors"]
    start += 16 * shape["Rows"] * shape["Cols"] * binary_matrices
    dtype = record_type(header["NumberOfBases"], delta)
    number, rest = divmod(len(data) - start, dtype.itemsize)
    return header, np.frombuffer(data, dtype, number, start), rest


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "beamtime"
    simulate(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def truth(beamtime):
    return json.loads((beamtime / "truth.json").read_text())


@pytest.fixture(scope="module")
def events(beamtime):
    with np.load(beamtime / "truth.npz") as archive:
        return dict(archive)


def test_equal_settings_give_equal_bytes(beamtime, tmp_path):
    simulate(tmp_path / "again", SMALL)
    files = sorted(p.relative_to(beamtime) for p in beamtime.rglob("*") if p.is_file())
    assert len(files) == 4 + 1 + 10 + 2
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (
            beamtime / name
        ).read_bytes(), name


def test_a_pixel_does_not_depend_on_the_others_but_on_the_seed(beamtime, tmp_path):
    simulate(tmp_path / "two", SMALL.model_copy(update={"pixels": 2}))
    simulate(tmp_path / "other", SMALL.model_copy(update={"pixels": 1, "seed": 6}))
    one = f"{RUN}_chan1.off"
    assert (tmp_path / "two" / one).read_bytes() == (beamtime / one).read_bytes()
    assert (tmp_path / "other" / one).read_bytes() != (beamtime / one).read_bytes()


def test_a_folder_that_holds_something_is_refused(beamtime):
    with pytest.raises(UsageError, match="empty"):
        simulate(beamtime, SMALL)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_the_file_is_what_its_version_says(tmp_path, version):
    settings = SMALL.model_copy(
        update={"pixels": 1, "off_version": version, "bases": 4, "event_truth": False}
    )
    simulate(tmp_path / "b", settings)
    path = tmp_path / "b" / f"{RUN}_chan1.off"
    header, records, rest = read_off(
        path, delta=version == "0.3.0", binary_matrices=version != "0.1.0"
    )
    assert (header["FileFormat"], header["FileFormatVersion"], rest) == (
        "OFF",
        version,
        0,
    )
    assert set(records["samples"]) == {1024} and set(records["presamples"]) == {259}
    assert ("RowMajorFloat64ValuesBase64" in header["ModelInfo"]["Basis"]) == (
        version == "0.1.0"
    )
    assert (np.diff(records["ns"]) >= 4_915_200 - 4_801).all()
    assert (np.diff(records["frame"]) > 0).all()
    assert records["coefs"].shape[1] == 4


def test_dead_and_truncated_pixels(beamtime, truth):
    records = {p["channel"]: p["records"] for p in truth["pixels"]}
    _, dead, rest = read_off(beamtime / f"{RUN}_chan5.off")
    assert (len(dead), rest, records[5]) == (0, 0, 0)
    _, cut, rest = read_off(beamtime / f"{RUN}_chan7.off")
    assert rest > 0
    assert len(cut) == records[7] > 1000


def test_logs_tell_points_times_and_readings(beamtime):
    log = json.loads((beamtime / "logs/scan0002.json").read_text())
    n = len(log["var_values"])
    assert (
        n
        == 12
        == len(log["epoch_time_start_s"])
        == len(log["epoch_time_end_s"])
        == len(log["point_extras"])
    )
    assert (log["extra"]["edge"], log["sample_id"], log["scan_num"], log["_ended"]) == (
        "Co_L",
        "LMR_RT",
        2,
        True,
    )
    assert log["data_path"].startswith("/") and log["data_path"].endswith(
        f"{RUN}_chan1.off"
    )
    i0 = np.array([log["point_extras"][str(i)]["i0"] for i in range(n)])
    beam_off = np.arange(n) // 2 == 2
    assert (i0[beam_off] < 0.01 * np.median(i0)).all() and (
        i0[~beam_off] > 0.9 * np.median(i0)
    ).all()
    dwell = np.subtract(log["epoch_time_end_s"], log["epoch_time_start_s"])
    assert (dwell >= SMALL.dwell - 1e-5).all()


def test_an_aborted_scan_has_fewer_points_and_no_last_end(beamtime):
    log = json.loads((beamtime / "logs/scan0003.json").read_text())
    assert not log["_ended"]
    assert len(log["epoch_time_start_s"]) == len(log["epoch_time_end_s"]) + 1 == 7


def test_the_state_file_names_every_run_in_order(beamtime):
    lines = (beamtime / f"{RUN}_experiment_state.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    times, labels = zip(
        *(re.fullmatch(r"(\d+), (\w+)", line).groups() for line in lines[1:]),
        strict=True,
    )
    assert (np.diff([int(t) for t in times]) > 0).all()
    runs = [label for label in labels if label not in ("START", "STOP", "PAUSE")]
    assert runs == ["CAL0", *(f"SCAN{i}" for i in range(1, 9)), "CAL9"]


def test_pulses_come_while_runs_go_on(beamtime, truth):
    _, records, _ = read_off(beamtime / f"{RUN}_chan1.off")
    inside = np.zeros(len(records), bool)
    for run in truth["runs"]:
        inside |= (records["ns"] >= run["start_ns"] - 5000) & (
            records["ns"] < run["end_ns"]
        )
    assert inside.all()


def test_the_recorded_rate_is_that_of_beam_yield_and_dead_time(beamtime, truth):
    """Reference run: n photons arrive, the share 1 / (1 + r tau) is recorded."""
    for channel in (1, 3, 7):
        pixel = next(p for p in truth["pixels"] if p["channel"] == channel)
        _, records, _ = read_off(beamtime / f"{RUN}_chan{channel}.off")
        run = truth["runs"][0]
        number = (
            (records["ns"] >= run["start_ns"]) & (records["ns"] < run["end_ns"])
        ).sum()
        rate = SMALL.calibration_rate * pixel["throughput"]
        arrived = rate * SMALL.calibration_duration
        share = 1 / (1 + rate * 1024 * 4.8e-6)
        assert (
            abs(number - arrived * share)
            < 4 * np.sqrt(arrived) * share + 0.01 * arrived
        )  # yield 1 to 1 %


def test_a_point_without_beam_has_no_pulses(beamtime):
    log = json.loads((beamtime / "logs/scan0002.json").read_text())
    _, records, _ = read_off(beamtime / f"{RUN}_chan1.off")
    start, end = (
        np.array(log[f"epoch_time_{which}_s"]) * 1e9 for which in ("start", "end")
    )
    counts = np.array(
        [
            ((records["ns"] >= a) & (records["ns"] < b)).sum()
            for a, b in zip(start, end, strict=True)
        ]
    )
    assert counts[4:6].sum() <= 2
    assert np.delete(counts, [4, 5]).min() > 10


def test_lines_of_the_reference_run_stand_at_their_truth(beamtime, truth, events):
    """Mean true energy within 10 eV of a line against the mean of its profile there."""
    run = truth["runs"][0]
    energies = []
    for channel in (1, 3, 7):
        _, records, _ = read_off(beamtime / f"{RUN}_chan{channel}.off")
        here = (records["ns"] >= run["start_ns"]) & (records["ns"] < run["end_ns"])
        energies.append(events[f"energy_chan{channel}"][here])
    energy = np.concatenate(energies)
    for name in SMALL.lines:
        assert truth["lines"][name] == LINES[name].maximum
        grid = np.arange(LINES[name].maximum - 10, LINES[name].maximum + 10, 0.01)
        profile = line_profile(name, grid)
        mean = np.average(grid, weights=profile)
        spread = np.sqrt(np.average((grid - mean) ** 2, weights=profile))
        seen = energy[np.abs(energy - LINES[name].maximum) < 10]
        assert len(seen) > 500
        assert (
            abs(seen.mean() - mean) < 4 * spread / np.sqrt(len(seen)) + 0.1
        )  # 0.1: background and grid


def test_without_tail_drift_and_phase_the_gain_gives_back_the_energy_to_the_resolution(
    tmp_path,
):
    plain = {
        "drift": 0,
        "hidden_drift": 0,
        "phase": 0,
        "tail_fraction": (0.0, 1e-12),
        "pixels": 1,
    }
    settings = SimulationSettings.model_validate(SMALL.model_dump() | plain)
    simulate(tmp_path / "b", settings)
    pixel = draw_pixel(settings, 1, JumpTimes())
    _, records, _ = read_off(tmp_path / "b" / f"{RUN}_chan1.off")
    with np.load(tmp_path / "b/truth.npz") as events:
        good, energy = events["good_chan1"], events["energy_chan1"]
    assert len(records) == len(good) == len(energy)
    grid = np.linspace(100, 1200, 5000)
    misses = (
        np.interp(records["coefs"][good, 2], pixel.pulse_height(grid), grid)
        - energy[good]
    )
    sigma, n = pixel.fwhm / 2.3548, len(misses)
    assert abs(misses.mean()) < 4 * sigma / np.sqrt(n)
    assert abs(misses.std() / sigma - 1) < 4 / np.sqrt(2 * n)


def test_drift_follows_the_base_line_and_grows_with_the_energy(tmp_path):
    """Between the reference runs, in an otherwise quiet detector, by the pixel's coefficient a unit of base line."""
    quiet = {
        "hidden_drift": 0,
        "phase": 0,
        "tail_fraction": (0.0, 1e-12),
        "pixels": 1,
        "drift": 3.0,
    }
    settings = SimulationSettings.model_validate(SMALL.model_dump() | quiet)
    simulate(tmp_path / "b", settings)
    pixel = draw_pixel(settings, 1, JumpTimes())
    _, records, _ = read_off(tmp_path / "b" / f"{RUN}_chan1.off")
    with np.load(tmp_path / "b/truth.npz") as events:
        good, energy = events["good_chan1"], events["energy_chan1"]
    records, energy = records[good], energy[good]
    change = records["coefs"][:, 2] / pixel.pulse_height(energy) - 1
    expected = -pixel.relative_drift(energy) * (records["pretrigger"] - pixel.baseline)
    slope = (change * expected).sum() / (expected**2).sum()
    assert slope == pytest.approx(
        1, abs=0.05
    )  # from pulse to pulse too: nothing dilutes it


def test_residuals_tell_good_pulses_from_bad_ones(beamtime, events):
    _, records, _ = read_off(beamtime / f"{RUN}_chan1.off")
    good = events["good_chan1"]
    limit = 2 * np.median(records["residual"])
    assert (records["residual"][good] < limit).all()
    assert np.mean(records["residual"][~good] > limit) > 0.8


def test_bad_pulses_are_as_many_as_pile_up_and_the_settings_say(truth, events):
    """Pile-up: a second photon within the record, 1 - exp(-r tau)."""
    pixel = truth["pixels"][0]
    time = SMALL.calibration_duration
    run = slice(
        0, int(0.5 * SMALL.calibration_rate * pixel["throughput"] * time)
    )  # inside the first run
    rate = SMALL.calibration_rate * pixel["throughput"]
    expected = 1 - np.exp(-rate * 1024 * 4.8e-6) * (1 - SMALL.bad_share)
    good = events["good_chan1"][run]
    assert (
        abs(np.mean(~good) - expected)
        < 4 * np.sqrt(expected / len(good)) + 0.01 * expected
    )


def test_the_jumping_pixel_jumps_before_the_last_reference_run(beamtime, truth, events):
    """The residue of pulse height over true energy moves by 15-22 eV, in the base line by 22 units beyond drift."""
    _, records, _ = read_off(beamtime / f"{RUN}_chan3.off")
    first, last = truth["runs"][0], truth["runs"][-1]
    before = (records["ns"] < first["end_ns"]) & events["good_chan3"]
    after = (records["ns"] >= last["start_ns"]) & events["good_chan3"]
    energy = events["energy_chan3"]
    shift = []
    for line in (392.4, 851.47):
        near = np.abs(energy - line) < 1.5
        a, b = (np.median(records["coefs"][m & near, 2]) for m in (before, after))
        slope = np.polyfit(energy[before], records["coefs"][before, 2], 3)
        shift.append((b - a) / np.polyval(np.polyder(slope), line))
    assert 12 < shift[0] < 20 and 17 < shift[1] < 26


def test_recorded_photons_follow_the_true_map(tmp_path):
    """Counts of a scan against the noise-free map, point by point: chi squared of Poisson counts."""
    settings = SMALL.model_copy(
        update={
            "pixels": 3,
            "edges": ("O_K",),
            "passes": 1,
            "rate": 2.0,
            "dwell": 300.0,
            "settle": 0.01,
            "dead_pixels": (),
            "jumping_pixels": (),
            "aborted_scans": (),
            "beam_dumps": (),
        }
    )
    simulate(tmp_path / "b", settings)
    truth = json.loads((tmp_path / "b/truth.json").read_text())
    log = json.loads((tmp_path / "b/logs/scan0001.json").read_text())
    edges = np.array([515.0, 521.0, 523.0, 524.0, 526.0, 530.0])
    expected_map = true_map(
        settings, "O_K", "LMR_RT", np.array(log["var_values"]), edges
    )
    total = true_map(
        settings,
        "O_K",
        "LMR_RT",
        np.array(log["var_values"]),
        np.array([200.0, 1100.0]),
    )[:, 0]
    start, end = (np.array(log[f"epoch_time_{which}_s"]) for which in ("start", "end"))
    beam = np.array(truth["runs"][1]["beam"])
    counts, expected = np.zeros(expected_map.shape), np.zeros(expected_map.shape)
    with np.load(tmp_path / "b/truth.npz") as events:
        for pixel in truth["pixels"]:
            _, records, _ = read_off(
                tmp_path / "b" / f"{RUN}_chan{pixel['channel']}.off"
            )
            time, energy = records["ns"] / 1e9, events[f"energy_chan{pixel['channel']}"]
            time = time[: len(energy)]
            for j in range(len(start)):
                here = (time >= start[j]) & (time < end[j])
                counts[j] += np.histogram(energy[here], edges)[0]
            flux = pixel["throughput"] * beam
            live = 1 / (1 + flux * total * 1024 * 4.8e-6)
            expected += (flux * live * (end - start))[:, None] * expected_map
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert counts.sum() > 10_000
    assert abs(chi2 - counts.size) < 4 * np.sqrt(2 * counts.size)


def test_true_maps_add_over_bins_and_keep_their_photons_in_a_detector():
    incident = np.array([530.0, 531.0, 540.0])
    fine = true_map(SMALL, "O_K", "LMR_RT", incident, np.linspace(510, 530, 41))
    coarse = true_map(SMALL, "O_K", "LMR_RT", incident, np.linspace(510, 530, 11))
    np.testing.assert_allclose(fine.reshape(3, 10, 4).sum(axis=2), coarse, rtol=1e-9)
    whole = np.array([200.0, 1099.0])
    ideal = true_map(SMALL, "O_K", "LMR_RT", incident, whole)
    seen = true_map(SMALL, "O_K", "LMR_RT", incident, whole, response=RESPONSE)
    np.testing.assert_allclose(seen, ideal, rtol=5e-3)
    band = true_map(
        SMALL, "O_K", "LMR_RT", incident, np.array([515.0, 530.0]), response=RESPONSE
    )
    assert (
        band < true_map(SMALL, "O_K", "LMR_RT", incident, np.array([515.0, 530.0]))
    ).all()
    with pytest.raises(InputError, match="LMR_RT"):
        true_map(SMALL, "O_K", "nobody", incident, whole)


def test_the_truth_remembers_the_settings(beamtime):
    assert read_settings(beamtime) == SMALL


def test_the_shipped_sample_is_what_its_preset_makes(sample_beamtime, tmp_path):
    """Values, not bytes: the last bit of an exponential differs between processors."""
    simulate(tmp_path / "again", preset_settings("sample"))
    for path in sorted(sample_beamtime.rglob("*.off")):
        _, shipped, rest = read_off(path)
        _, again, rest_again = read_off(
            tmp_path / "again" / path.relative_to(sample_beamtime)
        )
        assert rest == rest_again
        np.testing.assert_array_equal(again["ns"], shipped["ns"])
        np.testing.assert_allclose(
            again["coefs"][:, 2], shipped["coefs"][:, 2], rtol=1e-5
        )
    for path in sorted(sample_beamtime.glob("logs/*.json")):
        assert (
            json.loads(path.read_text()).keys()
            == json.loads((tmp_path / "again/logs" / path.name).read_text()).keys()
        )
