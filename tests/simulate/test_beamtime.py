"""The written files, read without the readers of the package."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.lines import LINES, line_profile
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import (
    BeamDump,
    SimulationSettings,
    preset_settings,
)
from rixs_pipeline.simulate.truth import read_settings, true_map

DEAD_TIME = 1024 * 4.8e-6  # s
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


def record_type(bases, *, has_delta):
    fields = [
        ("samples", "<i4"),
        ("presamples", "<i4"),
        ("frame", "<i8"),
        ("ns", "<i8"),
        ("pretrigger", "<f4"),
        ("delta", "<f4"),
        ("residual", "<f4"),
        ("coefs", "<f4", (bases,)),
    ]
    if not has_delta:
        fields = [field for field in fields if field[0] != "delta"]
    return np.dtype(fields)


@dataclass
class OffFile:
    """Header, whole records, and bytes of a record that is cut short."""

    header: dict
    records: np.ndarray
    rest: int


def read_off(path, *, version="0.3.0"):
    data = path.read_bytes()
    start = data.index(b"\n}\n") + 3
    header = json.loads(data[:start])
    shape = header["ModelInfo"]["Projectors"]
    if version != "0.1.0":  # projectors and basis follow in binary
        start += 16 * shape["Rows"] * shape["Cols"]
    dtype = record_type(header["NumberOfBases"], has_delta=version == "0.3.0")
    number, rest = divmod(len(data) - start, dtype.itemsize)
    records = np.frombuffer(data, dtype, number, start)
    return OffFile(header, records, rest)


def read_pixel(beamtime, channel):
    return read_off(beamtime / f"{RUN}_chan{channel}.off").records


def read_scan_log(beamtime, number):
    return json.loads((beamtime / f"logs/scan{number:04d}.json").read_text())


def read_truth(beamtime):
    return json.loads((beamtime / "truth.json").read_text())


def read_events(beamtime):
    with np.load(beamtime / "truth.npz") as archive:
        return dict(archive)


def is_within_run(records, run):
    return (records["ns"] >= run["start_ns"]) & (records["ns"] < run["end_ns"])


def point_limits(log):
    """Starts and ends of the points, ns."""
    start = np.array(log["epoch_time_start_s"]) * 1e9
    end = np.array(log["epoch_time_end_s"]) * 1e9
    return start, end


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "beamtime"
    simulate(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def truth(beamtime):
    return read_truth(beamtime)


@pytest.fixture(scope="module")
def events(beamtime):
    return read_events(beamtime)


def test_equal_settings_give_equal_bytes(beamtime, tmp_path):
    simulate(tmp_path / "again", SMALL)
    paths = [path for path in beamtime.rglob("*") if path.is_file()]
    assert len(paths) == 4 + 1 + 10 + 2
    for path in paths:
        name = path.relative_to(beamtime)
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_pixel_depends_on_the_seed_and_not_on_the_number_of_pixels(beamtime, tmp_path):
    fewer_pixels = SMALL.model_copy(update={"pixels": 2})
    new_seed = SMALL.model_copy(update={"pixels": 1, "seed": 6})
    simulate(tmp_path / "fewer_pixels", fewer_pixels)
    simulate(tmp_path / "new_seed", new_seed)
    name = f"{RUN}_chan1.off"
    expected = (beamtime / name).read_bytes()
    assert (tmp_path / "fewer_pixels" / name).read_bytes() == expected
    assert (tmp_path / "new_seed" / name).read_bytes() != expected


def test_directory_that_is_not_empty_is_refused(beamtime):
    with pytest.raises(UsageError, match="not an empty directory"):
        simulate(beamtime, SMALL)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_layout_of_the_off_file_follows_its_version(tmp_path, version):
    settings = SMALL.model_copy(
        update={"pixels": 1, "off_version": version, "bases": 4, "event_truth": False}
    )
    simulate(tmp_path / "b", settings)
    off_file = read_off(tmp_path / "b" / f"{RUN}_chan1.off", version=version)
    header, records = off_file.header, off_file.records
    assert header["FileFormat"] == "OFF"
    assert header["FileFormatVersion"] == version
    assert off_file.rest == 0
    has_encoded_basis = "RowMajorFloat64ValuesBase64" in header["ModelInfo"]["Basis"]
    assert has_encoded_basis == (version == "0.1.0")
    assert set(records["samples"]) == {1024}
    assert set(records["presamples"]) == {259}
    assert (np.diff(records["ns"]) >= 4_915_200 - 4_801).all()
    assert (np.diff(records["frame"]) > 0).all()
    assert records["coefs"].shape[1] == 4


def test_dead_and_truncated_pixels(beamtime, truth):
    counts = {pixel["channel"]: pixel["records"] for pixel in truth["pixels"]}
    dead = read_off(beamtime / f"{RUN}_chan5.off")
    assert (len(dead.records), dead.rest, counts[5]) == (0, 0, 0)
    truncated = read_off(beamtime / f"{RUN}_chan7.off")
    assert truncated.rest > 0
    assert len(truncated.records) == counts[7] > 1000


def test_log_has_points_times_and_readings(beamtime):
    log = read_scan_log(beamtime, 2)
    assert log["extra"]["edge"] == "Co_L"
    assert log["sample_id"] == "LMR_RT"
    assert log["scan_num"] == 2
    assert log["_ended"] is True
    assert log["data_path"].startswith("/")
    assert log["data_path"].endswith(f"{RUN}_chan1.off")
    points = len(log["var_values"])
    assert points == 12
    assert len(log["point_extras"]) == points
    start, end = point_limits(log)
    assert len(start) == len(end) == points
    assert (end - start >= (SMALL.dwell - 1e-5) * 1e9).all()


def test_i0_is_zero_where_the_beam_is_dumped(beamtime):
    extras = read_scan_log(beamtime, 2)["point_extras"]
    i0 = np.array([extras[str(point)]["i0"] for point in range(len(extras))])
    assert (i0[4:6] < 0.01 * np.median(i0)).all()
    assert np.delete(i0, [4, 5]).min() > 0.9 * np.median(i0)


def test_aborted_scan_has_fewer_points_and_no_last_end(beamtime):
    log = read_scan_log(beamtime, 3)
    assert not log["_ended"]
    assert len(log["epoch_time_start_s"]) == 7
    assert len(log["epoch_time_end_s"]) == 6


def test_state_file_lists_every_run_in_order(beamtime):
    lines = (beamtime / f"{RUN}_experiment_state.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    rows = [re.fullmatch(r"(\d+), (\w+)", line).groups() for line in lines[1:]]
    times = [int(time) for time, _ in rows]
    assert (np.diff(times) > 0).all()
    runs = [label for _, label in rows if label not in ("START", "STOP", "PAUSE")]
    assert runs == ["CAL0", *(f"SCAN{number}" for number in range(1, 9)), "CAL9"]


def test_pulses_arrive_during_runs_only(beamtime, truth):
    records = read_pixel(beamtime, 1)
    is_in_a_run = np.zeros(len(records), bool)
    for run in truth["runs"]:
        starts_before = records["ns"] >= run["start_ns"] - 5000
        is_in_a_run |= starts_before & (records["ns"] < run["end_ns"])
    assert is_in_a_run.all()


@pytest.mark.parametrize("channel", [1, 3, 7])
def test_recorded_rate_follows_from_rate_and_dead_time(beamtime, truth, channel):
    """Reference run: n photons arrive, the share 1 / (1 + r tau) is recorded."""
    pixel = next(pixel for pixel in truth["pixels"] if pixel["channel"] == channel)
    records = read_pixel(beamtime, channel)
    number = is_within_run(records, truth["runs"][0]).sum()
    rate = SMALL.calibration_rate * pixel["throughput"]
    arrived = rate * SMALL.calibration_duration
    share = 1 / (1 + rate * DEAD_TIME)
    # the yield is 1 to 1 %
    limit = 4 * np.sqrt(arrived) * share + 0.01 * arrived
    assert abs(number - arrived * share) < limit


def test_point_without_beam_has_no_pulses(beamtime):
    time = read_pixel(beamtime, 1)["ns"]
    start, end = point_limits(read_scan_log(beamtime, 2))
    counts = np.searchsorted(time, end) - np.searchsorted(time, start)
    assert counts[4:6].sum() <= 2
    assert np.delete(counts, [4, 5]).min() > 10


def test_lines_of_the_reference_run_are_at_their_true_energy(beamtime, truth, events):
    """Mean true energy within 10 eV of a line against that of its profile."""
    energies = []
    for channel in (1, 3, 7):
        is_in_run = is_within_run(read_pixel(beamtime, channel), truth["runs"][0])
        energies.append(events[f"energy_chan{channel}"][is_in_run])
    energy = np.concatenate(energies)
    for name in SMALL.lines:
        maximum = LINES[name].maximum
        assert truth["lines"][name] == maximum
        grid = np.arange(maximum - 10, maximum + 10, 0.01)
        profile = line_profile(name, grid)
        mean = np.average(grid, weights=profile)
        spread = np.sqrt(np.average((grid - mean) ** 2, weights=profile))
        near_line = energy[np.abs(energy - maximum) < 10]
        assert len(near_line) > 500
        # 0.1 eV: background and grid
        limit = 4 * spread / np.sqrt(len(near_line)) + 0.1
        assert abs(near_line.mean() - mean) < limit


@pytest.fixture
def quiet_beamtime(tmp_path):
    """Build a beamtime of one pixel without drift, phase effect and tail."""

    def build(**changes):
        quiet = {
            "pixels": 1,
            "drift": 0,
            "hidden_drift": 0,
            "phase": 0,
            "tail_fraction": (0.0, 1e-12),
        }
        values = SMALL.model_dump() | quiet | changes
        settings = SimulationSettings.model_validate(values)
        simulate(tmp_path / "b", settings)
        return settings, tmp_path / "b"

    return build


def test_gain_inverts_pulse_heights_to_the_resolution(quiet_beamtime):
    settings, folder = quiet_beamtime()
    pixel = draw_pixel(settings, 1, JumpTimes())
    records, events = read_pixel(folder, 1), read_events(folder)
    is_good, energy = events["good_chan1"], events["energy_chan1"]
    assert len(records) == len(is_good) == len(energy)
    grid = np.linspace(100, 1200, 5000)
    height = records["coefs"][is_good, 2]
    apparent = np.interp(height, pixel.pulse_height(grid), grid)
    misfit = apparent - energy[is_good]
    sigma, number = pixel.fwhm / 2.3548, len(misfit)
    assert abs(misfit.mean()) < 4 * sigma / np.sqrt(number)
    assert abs(misfit.std() / sigma - 1) < 4 / np.sqrt(2 * number)


def test_drift_follows_the_baseline_and_grows_with_the_energy(quiet_beamtime):
    """By the pixel's coefficient a unit of baseline, from pulse to pulse too."""
    settings, folder = quiet_beamtime(drift=3.0)
    pixel = draw_pixel(settings, 1, JumpTimes())
    events = read_events(folder)
    is_good = events["good_chan1"]
    records = read_pixel(folder, 1)[is_good]
    energy = events["energy_chan1"][is_good]
    change = records["coefs"][:, 2] / pixel.pulse_height(energy) - 1
    baseline_change = records["pretrigger"] - pixel.baseline
    expected = -pixel.relative_drift(energy) * baseline_change
    slope = (change * expected).sum() / (expected**2).sum()
    assert slope == pytest.approx(1, abs=0.05)


def test_residuals_separate_good_pulses_from_bad_pulses(beamtime, events):
    residual = read_pixel(beamtime, 1)["residual"]
    is_good = events["good_chan1"]
    limit = 2 * np.median(residual)
    assert (residual[is_good] < limit).all()
    assert np.mean(residual[~is_good] > limit) > 0.8


def test_share_of_bad_pulses_follows_from_pile_up_and_settings(truth, events):
    """Pile-up: a second photon within the record, 1 - exp(-r tau)."""
    pixel = truth["pixels"][0]
    rate = SMALL.calibration_rate * pixel["throughput"]
    share = 1 - np.exp(-rate * DEAD_TIME) * (1 - SMALL.bad_share)
    # half of the first run
    number = int(0.5 * rate * SMALL.calibration_duration)
    is_good = events["good_chan1"][:number]
    limit = 4 * np.sqrt(share / len(is_good)) + 0.01 * share
    assert abs(np.mean(~is_good) - share) < limit


@pytest.mark.parametrize(("line", "low", "high"), [(392.4, 12, 20), (851.47, 17, 26)])
def test_gain_jump_before_the_last_reference_run(
    beamtime, truth, events, line, low, high
):
    """Pulse heights of equal energies increase by 15-22 eV, besides drift."""
    records = read_pixel(beamtime, 3)
    energy, is_good = events["energy_chan3"], events["good_chan3"]
    height = records["coefs"][:, 2]
    is_before = is_good & (records["ns"] < truth["runs"][0]["end_ns"])
    is_after = is_good & (records["ns"] >= truth["runs"][-1]["start_ns"])
    is_near = np.abs(energy - line) < 1.5
    gain = np.polyfit(energy[is_before], height[is_before], 3)
    height_before = np.median(height[is_before & is_near])
    height_after = np.median(height[is_after & is_near])
    slope = np.polyval(np.polyder(gain), line)
    assert low < (height_after - height_before) / slope < high


def test_recorded_photons_follow_the_true_map(tmp_path):
    """Chi squared of the Poisson counts of a scan against the noise-free map."""
    changes = {
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
    settings = SMALL.model_copy(update=changes)
    folder = tmp_path / "b"
    simulate(folder, settings)
    truth, events = read_truth(folder), read_events(folder)
    log = read_scan_log(folder, 1)
    incident = np.array(log["var_values"])
    edges = np.array([515.0, 521.0, 523.0, 524.0, 526.0, 530.0])
    whole = np.array([200.0, 1100.0])
    rates = true_map(settings, "O_K", "LMR_RT", incident, edges)
    total_rate = true_map(settings, "O_K", "LMR_RT", incident, whole)[:, 0]
    start, end = point_limits(log)
    duration = (end - start) / 1e9
    beam = np.array(truth["runs"][1]["beam"])

    counts, expected = np.zeros(rates.shape), np.zeros(rates.shape)
    for pixel in truth["pixels"]:
        energy = events[f"energy_chan{pixel['channel']}"]
        time = read_pixel(folder, pixel["channel"])["ns"][: len(energy)]
        for point in range(len(start)):
            is_in_point = (time >= start[point]) & (time < end[point])
            counts[point] += np.histogram(energy[is_in_point], edges)[0]
        flux = pixel["throughput"] * beam
        live_share = 1 / (1 + flux * total_rate * DEAD_TIME)
        expected += (flux * live_share * duration)[:, None] * rates
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert counts.sum() > 10_000
    assert abs(chi_squared - counts.size) < 4 * np.sqrt(2 * counts.size)


def test_truth_includes_the_settings(beamtime):
    assert read_settings(beamtime) == SMALL


def test_shipped_sample_equals_its_preset(sample_beamtime, tmp_path):
    """Values, not bytes: the last bit of an exponential differs between processors."""
    simulate(tmp_path / "again", preset_settings("sample"))
    for path in sorted(sample_beamtime.rglob("*.off")):
        shipped = read_off(path)
        again = read_off(tmp_path / "again" / path.relative_to(sample_beamtime))
        assert again.rest == shipped.rest
        np.testing.assert_array_equal(again.records["ns"], shipped.records["ns"])
        again_height = again.records["coefs"][:, 2]
        shipped_height = shipped.records["coefs"][:, 2]
        np.testing.assert_allclose(again_height, shipped_height, rtol=1e-5)
    for path in sorted(sample_beamtime.glob("logs/*.json")):
        shipped_log = json.loads(path.read_text())
        again_log = json.loads((tmp_path / "again/logs" / path.name).read_text())
        assert again_log.keys() == shipped_log.keys()
