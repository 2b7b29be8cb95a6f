"""Logs and pulse files with faults: right, or it says so."""

import json
import shutil
import warnings

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from tests.conftest import AS_CALIBRATED, Small, made_once
from tests.faults import logs as faults
from tests.io.writers import write_ascii

SCANS = ("scan0001", "scan0002", "scan0003", "scan0004")


def counts(out, name):
    path = paths.scan_product(out, name)
    return open_product(path)["counts"].values if path.exists() else None


def reported(summary):
    return "\n".join([*summary.problems, *summary.warnings, *summary.losses])


def assert_equal_counts(small, expected, scans=SCANS):
    for name in scans:
        np.testing.assert_array_equal(
            counts(small.out, name), counts(expected, name), err_msg=name
        )


@pytest.fixture(scope="module")
def as_calibrated(tmp_path_factory, small_beamtime, reduced_small):
    """The sound beamtime, where no scan changes the energies of another; read-only."""

    def make(folder):
        shutil.copytree(reduced_small, folder)
        summary = Small(small_beamtime, folder).run(AS_CALIBRATED, until="bin")
        assert summary.exit_code == 0

    return made_once(tmp_path_factory, "small_as_calibrated", make)


# ---- what can be read: the same counts as the sound beamtime


FORMS = {
    "ms": (faults.all_logs, lambda t: 1e3 * t, "milliseconds since 1970"),
    "us, integers": (faults.scan_logs, lambda t: round(1e6 * t), "microseconds"),
    "ns as text": (faults.scan_logs, lambda t: str(round(1e6 * t) * 1000), "nanosec"),
    "ms in one log": (
        lambda _: ["scan0002"],
        lambda t: 1e3 * t,
        "scan0002.json: times",
    ),
    "text, Z": (faults.all_logs, lambda t: faults.iso(t).replace("+00:00", "Z"), ""),
    "text, offset": (faults.all_logs, lambda t: faults.iso(t, 5.5), ""),
    "text, no zone": (faults.all_logs, lambda t: faults.iso(t, None), "read as UTC"),
    "numbers as text": (faults.all_logs, str, ""),
}


@pytest.mark.parametrize(("logs", "write", "words"), FORMS.values(), ids=FORMS.keys())
def test_forms_of_times(small, reduced_small, logs, write, words):
    faults.write_times(small.beamtime, logs(small.beamtime), write)
    summary = small.run(until="bin")
    assert_equal_counts(small, reduced_small)
    assert summary.exit_code == 0
    lines = [line for line in reported(summary).splitlines() if "times are" in line]
    assert len(lines) == bool(words)
    assert words in "".join(lines)


def test_all_numbers_as_text(small, reduced_small):
    for run in faults.all_logs(small.beamtime):
        faults.edit_log(
            small.beamtime, run, lambda log: log.update(faults.numbers_to_text(log))
        )
    assert small.run(until="bin").exit_code == 0
    assert_equal_counts(small, reduced_small)


REPETITIONS = {
    "block": faults.repeat_block(0.4, 0.5),
    "small block": faults.repeat_block(0.5, 0.503),
    "each": faults.repeat_each,
    "file": faults.repeat_file,
}


@pytest.mark.parametrize("change", REPETITIONS.values(), ids=REPETITIONS.keys())
def test_repeated_records_are_counted_once(small, reduced_small, change):
    faults.edit_records(small.beamtime, 3, change)
    summary = small.run(until="bin")
    assert_equal_counts(small, reduced_small)
    lines = reported(summary).splitlines()
    assert any("of pixel 3 are in the pulse file twice" in line for line in lines)


def test_records_out_of_order_are_sorted(small, reduced_small):
    faults.edit_records(small.beamtime, 3, faults.move_block(0.4, 0.5, 0.8))
    summary = small.run(until="bin")
    assert_equal_counts(small, reduced_small)
    assert "of pixel 3 are out of order in the pulse file" in reported(summary)


def test_the_same_pulses_under_two_names(small, reduced_small):
    faults.copy_pixel(small.beamtime, 3, 99)
    faults.copy_folder(small.beamtime)
    summary = small.run(until="bin")
    assert_equal_counts(small, reduced_small)
    text = reported(summary)
    assert "chan99.off: same pulses as pixel 3; copy not used" in text
    assert "backup/0000/20260101_run0000: same pulses as 20260101/0000/" in text


def test_a_log_in_two_forms_is_one_run(small, reduced_small):
    copy = small.beamtime / "20260101" / "0000" / "logs"
    shutil.copytree(small.beamtime / "logs", copy)
    faults.write_times(small.beamtime, ["scan0002"], faults.iso)
    summary = small.run(until="bin")
    assert summary.exit_code == 0
    assert_equal_counts(small, reduced_small)


# ---- runs that claim the same time


def test_a_scan_with_the_times_of_another_one_is_placed_by_its_label(
    small, as_calibrated
):
    faults.take_times_of(small.beamtime, "scan0002", "scan0001")
    summary = small.run(AS_CALIBRATED, until="bin")
    assert summary.exit_code == 0
    assert_equal_counts(small, as_calibrated, ("scan0001", "scan0003", "scan0004"))
    sound, placed = counts(as_calibrated, "scan0002"), counts(small.out, "scan0002")
    # points of the other scan last a little longer or shorter
    assert np.abs(placed - sound).sum() < 0.05 * sound.sum()
    assert "contradict its state label SCAN2; scan0002 moved there" in reported(summary)
    corrections = summary.items["scan0002"]["corrections"]
    assert "clock offset" in [c["name"] for c in corrections]


@pytest.mark.parametrize(
    "shift", [0.0, 3.0, -10.0], ids=["same", "overlapping", "earlier"]
)
def test_scans_of_the_same_time_without_labels_are_refused(small, as_calibrated, shift):
    faults.forget_labels(small.beamtime, "SCAN1", "SCAN2")
    faults.take_times_of(small.beamtime, "scan0002", "scan0001", shift)
    for name in ("scan0001", "scan0002"):
        paths.scan_product(small.out, name).unlink()
    summary = small.run(AS_CALIBRATED, until="bin")
    assert summary.exit_code == 1
    assert counts(small.out, "scan0001") is counts(small.out, "scan0002") is None
    assert_equal_counts(small, as_calibrated, ("scan0003", "scan0004"))
    assert "claims the same time as scan000" in summary.text()[-1]


def test_a_scan_in_the_time_of_a_reference_run_is_refused(small):
    faults.forget_labels(small.beamtime, "SCAN2")
    faults.take_times_of(small.beamtime, "scan0002", "calibration0000", 10.0)

    def many_points(log):
        start = log["epoch_time_start_s"][0]
        number = len(log["var_values"])
        log["epoch_time_start_s"] = [start + 4.1 * i for i in range(number)]
        log["epoch_time_end_s"] = [start + 4.1 * i + 4 for i in range(number)]

    faults.edit_log(small.beamtime, "scan0002", many_points)
    summary = small.run(until="bin")
    assert summary.exit_code == 1
    assert "scan0002 claims the same time as cal0000" in reported(summary)


# ---- reference runs


@pytest.mark.parametrize(("parts", "share"), [(2, 0.5), (3, 0.8), (10, 0.95)])
def test_gaps_are_not_part_of_a_reference_run(small, parts, share):
    faults.interrupt_reference_run(small.beamtime, "calibration0000", parts, share)
    log = json.loads(faults.log_path(small.beamtime, "calibration0000").read_text())
    windows = np.array([log[key] for key in faults.TIME_KEYS])
    summary = small.run(until="calibrate")
    product = open_product(paths.calibration_product(small.out, "cal0000"))
    cuts = dict(zip(product["pixel"].values, product["cut_counts"].values, strict=True))
    for pixel in (1, 3, 5):
        found = []
        faults.edit_records(
            small.beamtime, pixel, lambda records, f=found: f.append(records) or records
        )
        time = found[0]["unixnano"][:, None] / 1e9
        inside = ((time >= windows[0]) & (time < windows[1])).any(axis=1)
        assert abs(int(cuts[pixel][0]) - inside.sum()) <= 2 * parts
    assert not summary.failed


# ---- energies


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1e-3, "look like keV"), (1e3, "look like meV"), (1e-6, "outside 30 eV")],
)
def test_energies_in_other_units_are_refused(small, as_calibrated, factor, words):
    faults.change_energies(
        small.beamtime, "scan0002", lambda energy: [factor * e for e in energy]
    )
    paths.scan_product(small.out, "scan0002").unlink()
    summary = small.run(AS_CALIBRATED, until="bin")
    assert summary.exit_code == 1
    assert counts(small.out, "scan0002") is None
    assert "scan0002.json: scan0002: incident energies of" in reported(summary)
    assert words in reported(summary)
    assert_equal_counts(small, as_calibrated, ("scan0001", "scan0003", "scan0004"))


def test_no_usable_scan_at_all(small, cli):
    for run in faults.scan_logs(small.beamtime):
        faults.change_energies(
            small.beamtime, run, lambda energy: [e / 1e3 for e in energy]
        )
    result = cli("bin", small.beamtime, "-o", small.out)
    assert result.code == 3
    assert "look like keV" in result.err + result.out


@pytest.mark.parametrize("value", [0.0, -780.0, None, "", float("nan")])
def test_points_without_an_energy_are_left_out(small, as_calibrated, value):
    faults.change_energies(
        small.beamtime, "scan0002", lambda energy: [*energy[:3], value, *energy[4:]]
    )
    summary = small.run(AS_CALIBRATED, until="bin")
    assert summary.exit_code == 0
    expected = np.delete(counts(as_calibrated, "scan0002"), 3, axis=0)
    np.testing.assert_array_equal(counts(small.out, "scan0002"), expected)
    assert "1 of 12 points have no positive, finite incident energy" in reported(
        summary
    )


@pytest.mark.parametrize(
    "sample", ["both scans", pytest.param("one scan", marks=pytest.mark.slow)]
)
def test_one_incident_energy_gives_an_emission_spectrum(small, sample):
    changed = ("scan0001", "scan0002")  # of one sample
    for run in changed:
        faults.change_energies(
            small.beamtime, run, lambda energy: [785.0] * len(energy)
        )
    config = {}
    if sample == "one scan":
        config = {"beamtime": {"exclude": {"scans": [2]}}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = small.run(config, until="report")
    assert summary.exit_code == 0, reported(summary)
    spectra = open_product(small.out / "spectra" / "LMR_RT-Co_L.nxs")
    assert list(spectra) == ["Co_XES"]
    rixs_map = open_product(paths.map_product(small.out, "LMR_RT", "Co_L"))
    assert rixs_map.sizes["incident_energy"] == 1
    assert spectra["Co_XES"]["counts"].sum() == rixs_map["counts"].sum()
    assert "measured at one incident energy (785.00 eV)" in reported(summary)


@pytest.mark.parametrize(
    ("limits", "edge"), [((680, 712), "F_K"), ((684, 720), "F_K"), ((700, 730), "Fe_L")]
)
def test_fluorine_and_iron_are_told_apart_by_the_range(small, limits, edge):
    spread(small, limits)
    small.run(until="bin")
    product = open_product(paths.scan_product(small.out, "scan0001"))
    assert product.attrs["edge"] == edge


def test_a_range_with_fluorine_and_iron_asks_for_the_edge(small):
    spread(small, (680, 740))
    summary = small.run(until="combine")
    words = "scan0001: edge unknown (F_K or Fe_L); not included in any map"
    assert words in reported(summary)
    summary = small.run({"beamtime": {"scans": {1: {"edge": "F_K"}}}}, until="extract")
    assert (small.out / "spectra" / "LMR_RT-F_K.nxs").exists()
    assert words not in reported(summary)


def spread(small, limits):
    def change(log):
        log["var_values"] = np.linspace(*limits, len(log["var_values"])).tolist()
        log["extra"] = {}

    faults.edit_log(small.beamtime, "scan0001", change)


# ---- what is malformed, and what touches nothing


MALFORMED = {
    "a word": ({"var_values": ["x"] * 12}, "`var_values`: 'x' is not a number"),
    "a date": ({"epoch_time_end_s": ["1/2/2026"] * 12}, "`epoch_time_end_s`: '1/2"),
    "fewer starts": ({"epoch_time_start_s": [1.7e9]}, "1 starts and 12 ends"),
    "no list": ({"var_values": "780.0"}, "`var_values` is not a list"),
}


@pytest.mark.parametrize(("change", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_logs_are_lost_with_file_and_key(small, change, words):
    faults.edit_log(small.beamtime, "scan0002", lambda log: log.update(change))
    summary = small.run(until="bin")
    assert summary.exit_code == 1
    (loss,) = summary.losses
    assert loss.startswith("logs/scan0002.json: ")
    assert words in loss
    partial = small.run(until="bin", scans="1,3")
    assert (partial.losses, partial.exit_code) == ([], 0)


def test_times_in_two_forms_are_refused(small):
    def change(log):
        log["epoch_time_end_s"] = [1e3 * time for time in log["epoch_time_end_s"]]

    faults.edit_log(small.beamtime, "scan0002", change)
    (loss,) = small.run(until="bin").losses
    assert "`epoch_time_start_s`" in loss and "`epoch_time_end_s`" in loss


def test_readings_of_another_range_are_not_used(small):
    energy = np.linspace(500, 560, 12)
    write_ascii(small.beamtime / "a.dat", 2, {"MONO": energy, "I1": np.ones(12)})
    write_ascii(small.beamtime / "b.dat", 77, {"MONO": energy, "I1": np.ones(12)})
    summary = small.run(until="bin")
    scan = open_product(paths.scan_product(small.out, "scan0002"))
    assert "reading_i1" not in scan
    assert "a.dat: energies in column MONO (500.0 to 560.0 eV)" in reported(summary)
    assert "b.dat: belongs to no scan here" in reported(summary)


def test_a_region_that_touches_no_data_is_lost(small):
    regions = {
        "Co_PFY": {"edge": "Co_L", "kind": "pfy", "emission": [762, 800]},
        "far": {"kind": "pfy", "emission": [1262, 1300]},
        "iron": {"edge": "Fe_L", "kind": "pfy", "emission": [690, 725]},
    }
    summary = small.run({"regions": regions})
    assert summary.exit_code == 1
    (loss,) = summary.losses
    assert "region 'far' touches no data: emission 1262 to 1300 eV" in loss
    assert "200.0 to 1100.0 eV" in loss


def test_sound_logs_are_not_mentioned(small):
    summary = small.run(until="extract")
    assert summary.losses == []
    assert not [line for line in summary.problems if "times are" in line]
