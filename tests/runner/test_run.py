"""What is run, what is fresh, and how it may be executed."""

import json
import os
import shutil

import h5py
import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.runner import watch as watch_module
from rixs_pipeline.runner.config_checks import unmatched_entries
from rixs_pipeline.runner.inspect import initial_config
from rixs_pipeline.runner.inspect import status as find_status
from rixs_pipeline.runner.select_scans import select_scans
from rixs_pipeline.runner.watch import watch
from rixs_pipeline.stages import chunks, report
from rixs_pipeline.stages.scan.count_scans import count_scans

CALIBRATIONS = {"calibration/cal0000.nxs", "calibration/cal0005.nxs"}
SCANS = {f"scans/scan{n:04d}.nxs" for n in (1, 2, 3, 4)}
MAPS = {"maps/LMR_RT-Co_L.nxs", "maps/LMR_100C-Co_L.nxs"}
SPECTRA = {"spectra/LMR_RT-Co_L.nxs", "spectra/LMR_100C-Co_L.nxs"}
LINES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
REFERENCES = {"calibration/references.csv"}
ALL = CALIBRATIONS | REFERENCES | SCANS | MAPS | SPECTRA


def times(out):
    return {
        str(p.relative_to(out)): p.stat().st_mtime_ns
        for p in out.rglob("*")
        if p.suffix in (".nxs", ".csv")
    }


def made(small, config=None, **options):
    """What a run makes: what it says of itself is what happens to the files."""
    before = times(small.out)
    summary = small.run(config, **options)
    assert summary.failed == {}
    after = times(small.out)
    assert set(summary.executed) == {
        name for name in after if after[name] != before.get(name)
    }
    assert (
        json.loads((small.out / "run.json").read_text())["executed"] == summary.executed
    )
    return set(summary.executed)


def tree(folder):
    return {
        str(p.relative_to(folder)): (
            p.stat().st_mtime_ns,
            p.read_bytes() if p.is_file() else b"",
        )
        for p in folder.rglob("*")
    }


# ---- freshness


def test_a_second_run_makes_nothing(small):
    assert made(small) == set()
    assert (
        json.loads((small.out / "run.json").read_text())["items"]["scan0001"]["status"]
        == "fresh"
    )


@pytest.mark.parametrize(
    "execution",
    [{"scheduler": "threads", "workers": 3}, {"scheduler": "serial", "memory": "3GB"}],
    ids=str,
)
def test_how_it_is_executed_makes_nothing_again(small, execution):
    assert made(small, {"execution": execution}) == set()


def of(sample, scan):
    """One scan of a sample and what rests on it."""
    return {
        f"scans/scan{scan:04d}.nxs",
        f"maps/{sample}-Co_L.nxs",
        f"spectra/{sample}-Co_L.nxs",
    }


CHANGES = {
    "region": ({"regions": {"P": {"kind": "pfy", "emission": [770, 790]}}}, SPECTRA),
    "comparison": ({"compare": {"c": {"samples": ["LMR_RT", "LMR_100C"]}}}, set()),
    "emission step": ({"map": {"step": 1.0}}, SCANS | MAPS | SPECTRA),
    "incident bins": (
        {"map": {"incident": [765, 805], "incident_step": 1}},
        MAPS | SPECTRA,
    ),
    "pixel": ({"beamtime": {"exclude": {"pixels": [3]}}}, SCANS | MAPS | SPECTRA),
    "point": ({"beamtime": {"exclude": {"points": {2: [0]}}}}, of("LMR_RT", 2)),
    "point of the scan that sets the scale": (
        {"beamtime": {"exclude": {"points": {1: [0]}}}},
        of("LMR_RT", 1),
    ),
    "scan": ({"beamtime": {"exclude": {"scans": [4]}}}, of("LMR_100C", 4) - SCANS),
    "normalisation": ({"normalise": {"i0": None}}, SCANS | MAPS | SPECTRA),
    "reference": ({"calibration": {"reference": "elam", "lines": list(LINES)}}, ALL),
}


@pytest.mark.parametrize(("config", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_the_config_makes_again_what_rests_on_it(small, config, expected):
    assert made(small, config) == expected
    assert made(small, config) == set()


def test_a_renamed_sample_moves_to_a_map_of_its_own(small):
    config = {"beamtime": {"samples": {"LMR_RT": "pristine"}}}
    assert made(small, config) == {
        "scans/scan0001.nxs",
        "scans/scan0002.nxs",
        "maps/pristine-Co_L.nxs",
        "spectra/pristine-Co_L.nxs",
    }
    summary = small.run(config)
    assert [
        w
        for w in summary.warnings
        if "maps/LMR_RT-Co_L.nxs" in w and "product of an earlier run" in w
    ]


def test_a_new_mtime_without_a_change_makes_nothing(small):
    for path in small.beamtime.rglob("*"):
        os.utime(path)
    assert made(small) == set()


def test_the_same_data_elsewhere_makes_nothing(small, tmp_path):
    small.beamtime = small.beamtime.rename(tmp_path / "moved")
    assert made(small) == set()


def test_what_is_deleted_is_made_again(small):
    (small.out / "scans/scan0002.nxs").unlink()
    assert made(small) == {"scans/scan0002.nxs"}
    (small.out / "calibration/cal0000.nxs").unlink()
    assert made(small) == {"calibration/cal0000.nxs"}
    shutil.rmtree(small.out / "maps")
    (small.out / "run.json").unlink()
    (small.out / ".digests.json").unlink()
    assert made(small) == MAPS


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("scans/scan0003.nxs", -1),
        ("calibration/cal0005.nxs", 5000),
        ("spectra/LMR_RT-Co_L.nxs", 0),
    ],
)
def test_a_truncated_product_is_made_again_with_a_warning(small, name, length):
    path = small.out / name
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    summary = small.run()
    assert summary.executed == [name] and not summary.failed
    assert [w for w in summary.warnings if name in w and "made again" in w]
    with h5py.File(path):
        pass


@pytest.mark.parametrize("text", ["", "[]", '{"items": 3}', "\x00\xff"], ids=repr)
@pytest.mark.parametrize("name", ["run.json", ".digests.json"])
def test_a_damaged_record_of_the_last_run_does_no_harm(small, name, text):
    (small.out / name).write_text(text)
    assert made(small) == set()
    assert json.loads((small.out / name).read_text())


def test_a_product_of_another_version_is_made_again(small):
    with h5py.File(small.out / "maps/LMR_RT-Co_L.nxs", "a") as file:
        file["entry"].attrs["program_version"] = b"0.0.1+0123456789ab"
    assert find_status(small.out)["LMR_RT-Co_L"] == "stale: program version changed"
    assert made(small) == {"maps/LMR_RT-Co_L.nxs"}


def test_force_makes_everything(small):
    assert made(small, force=True) == ALL


def test_a_changed_log_makes_its_scan_again(small):
    log = json.loads(small.log(2).read_text())
    log["point_extras"]["3"]["i0"] *= 1.01
    small.log(2).write_text(json.dumps(log))
    assert made(small) == {
        "scans/scan0002.nxs",
        "maps/LMR_RT-Co_L.nxs",
        "spectra/LMR_RT-Co_L.nxs",
    }


def test_a_changed_pulse_makes_its_run_again(small):
    data = bytearray(small.off(3).read_bytes())
    data[-4] ^= 1  # of the last reference run
    small.off(3).write_bytes(data)
    assert (
        made(small) == {"calibration/cal0005.nxs"} | REFERENCES | SCANS | MAPS | SPECTRA
    )


def test_a_new_scan_is_added_without_touching_the_others(
    small, tmp_path, small_beamtime
):
    """Acquisition appends to the pulse files: first all but the last scan and the reference run after it."""
    shutil.rmtree(small.out)
    last = json.loads(small.log(4).read_text())
    cut = int(last["epoch_time_start_s"][0] * 1e9) - 10**9
    for pixel in (1, 3, 5):
        path, start, dtype = small.off(pixel), *layout(small.off(pixel))
        records = np.fromfile(path, dtype, offset=start)
        whole = path.read_bytes()
        part = start + dtype.itemsize * int(np.searchsorted(records["ns"], cut))
        path.write_bytes(whole[: part + 7])  # in the middle of a record
    (small.beamtime / "logs/calibration0005.json").unlink()
    state = small.pulses / "20260101_run0000_experiment_state.txt"
    state.write_text(state.read_text().partition(", CAL5")[0].rpartition("\n")[0])
    later = small.log(4).rename(tmp_path / "scan0004.json")
    assert made(small) == ALL - {"calibration/cal0005.nxs", "scans/scan0004.nxs"}
    end = max(last["epoch_time_end_s"]) * 1e9 + 1e9
    for pixel in (1, 3, 5):
        path, start, dtype = (
            small_beamtime / small.off(pixel).relative_to(small.beamtime),
            *layout(small.off(pixel)),
        )
        times_ = np.fromfile(path, dtype, offset=start)["ns"]
        data = path.read_bytes()[
            : start + dtype.itemsize * int(np.searchsorted(times_, end))
        ]
        with small.off(pixel).open("r+b") as file:
            file.write(data)
    later.rename(small.log(4))
    assert made(small) == {
        "scans/scan0004.nxs",
        "maps/LMR_100C-Co_L.nxs",
        "spectra/LMR_100C-Co_L.nxs",
    }


def layout(path):
    """Where the records start, and what they are like."""
    data = path.read_bytes()[: 1 << 16]
    start = data.index(b"\n}\n") + 3
    header = json.loads(data[:start])
    shape = header["ModelInfo"]["Projectors"]
    bases = header["NumberOfBases"]
    fields = [
        ("a", "<i4", (2,)),
        ("frame", "<i8"),
        ("ns", "<i8"),
        ("b", "<f4", (3,)),
        ("coefs", "<f4", (bases,)),
    ]
    return start + 16 * shape["Rows"] * shape["Cols"], np.dtype(fields)


def test_a_dry_run_writes_nothing_at_all(small):
    shutil.rmtree(small.out / "maps")
    before = tree(small.out)
    summary = small.run({"map": {"step": 1.0}}, dry_run=True)
    assert tree(small.out) == before
    assert (
        set(summary.planned) >= {"scan0001", "LMR_RT-Co_L", "LMR_RT-Co_L spectra"}
        and summary.executed == []
    )
    small.out = small.out.parent / "new"
    assert len(small.run(dry_run=True).planned) == len(ALL)
    assert not small.out.exists()


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("calibrate", set()),
        ("bin", SCANS),
        ("combine", SCANS | MAPS),
        ("extract", SCANS | MAPS | SPECTRA),
    ],
)
def test_until_a_stage(small, until, expected):
    for name in SCANS | MAPS | SPECTRA:
        (small.out / name).unlink()
    assert made(small, until=until) == expected


def test_an_unknown_stage_is_refused(small):
    with pytest.raises(
        UsageError, match="--until nosuch: no such stage; the stages are calibrate, bin"
    ):
        small.run(until="nosuch")


# ---- selections


def test_only_some_scans(small):
    for folder in ("scans", "maps", "spectra"):
        shutil.rmtree(small.out / folder)
    assert (
        made(small, scans="2,3-4") == (SCANS - {"scans/scan0001.nxs"}) | MAPS | SPECTRA
    )
    assert json.loads(
        open_product(small.out / "maps/LMR_RT-Co_L.nxs").attrs["scans"]
    ) == ["scan0002"]
    alone = open_product(small.out / "scans/scan0002.nxs")
    assert made(small) == {
        "scans/scan0001.nxs",
        "maps/LMR_RT-Co_L.nxs",
        "spectra/LMR_RT-Co_L.nxs",
    }
    (small.out / "scans/scan0002.nxs").unlink()
    assert made(small) == {"scans/scan0002.nxs"}
    assert open_product(small.out / "scans/scan0002.nxs").equals(
        alone
    )  # its scale was that of scan 1 before


@pytest.mark.parametrize(
    "wanted",
    ["99", "1,99", "5-9", "4-3", "scan0001-scan0002", "-1", "1-", "²", "1 2", ","],
)
def test_scans_that_are_not_there_are_refused_before_anything_is_written(small, wanted):
    small.out = small.out.parent / "new"
    with pytest.raises(UsageError, match="--scans"):
        small.run(scans=wanted)
    assert not small.out.exists()


def named(*names):
    points = Points(np.zeros(1), np.zeros(1, np.int64), np.ones(1, np.int64))
    return [Run("scan", int(n[-4:]), n, "", "s", None, points) for n in names]


def test_scans_are_chosen_by_number_and_name():
    scans = named("d1-scan0001", "d1-scan0002", "d2-scan0001", "scan0010")
    assert [s.name for s in select_scans(scans, None)] == [s.name for s in scans]
    assert [s.name for s in select_scans(scans, "10, 1")] == [
        "d1-scan0001",
        "d2-scan0001",
        "scan0010",
    ]
    assert [s.name for s in select_scans(scans, "2-9,2")] == ["d1-scan0002"]
    assert [s.name for s in select_scans(scans, "d2-scan0001")] == ["d2-scan0001"]
    with pytest.raises(
        UsageError, match=r"'11' matches no scan; there are d1-scan0001, d1-scan0002"
    ):
        select_scans(scans, "11")
    with pytest.raises(UsageError, match="there are none"):
        select_scans([], "1")


# ---- execution


@pytest.mark.parametrize(
    ("scheduler", "workers", "block"),
    [
        ("serial", None, 2),
        ("threads", 1, 1),
        ("threads", 3, 1),
        ("threads", 2, 2),
        ("processes", 2, 1),
    ],
)
def test_no_scheduler_changes_what_comes_out(
    small, reduced_small, monkeypatch, scheduler, workers, block
):
    """The reference is what threads made with the default block, in another process."""
    monkeypatch.setattr(chunks, "PIXELS_PER_BLOCK", block)
    for name in of("LMR_RT", 1) | of("LMR_RT", 2):
        (small.out / name).unlink()
    summary = small.run({"execution": {"scheduler": scheduler, "workers": workers}})
    assert not summary.failed and set(summary.executed) == of("LMR_RT", 1) | of(
        "LMR_RT", 2
    )
    for name in of("LMR_RT", 1) | of("LMR_RT", 2):
        found, expected = (
            open_product(folder / name) for folder in (small.out, reduced_small)
        )
        entries = found if isinstance(found, dict) else {"entry": found}
        for entry, dataset in entries.items():
            assert_equal(
                dataset, expected[entry] if isinstance(expected, dict) else expected
            )


@pytest.mark.parametrize("lead_is_there", [True, False])
def test_the_leading_scan_is_counted_again_only_where_it_has_to_be(
    small, reduced_small, monkeypatch, lead_is_there
):
    """As an element of an array does it: a scan alone, beside the product of the scan that sets its throughput."""
    (small.out / "scans/scan0002.nxs").unlink()
    if not lead_is_there:
        (small.out / "scans/scan0001.nxs").unlink()
    counted = []

    def record(context, calibrations, scans, **options):
        counted.extend(scan.name for scan in scans)
        return count_scans(context, calibrations, scans, **options)

    monkeypatch.setattr("rixs_pipeline.stages.bin.count_scans", record)
    summary = small.run(until="bin", scans="2")
    assert summary.executed == ["scans/scan0002.nxs"]
    assert counted == ([] if lead_is_there else ["scan0001"]) + ["scan0002"]
    assert_equal(
        *(
            open_product(folder / "scans/scan0002.nxs")
            for folder in (small.out, reduced_small)
        )
    )


KEEP = {"map": {"keep_photons": True}}
OTHER_BINS = {"emission": [300, 900], "step": 0.2}
LISTS = {f"photons/scan{n:04d}.h5" for n in (1, 2, 3, 4)}


def executed(summary):
    assert summary.failed == {}
    return set(summary.executed)


def without_pulses(small):
    """The beamtime with pulses of no height; sizes and times of the files are as before."""
    for path in small.beamtime.rglob("*.off"):
        status, header = path.stat(), off.read_header(path)
        records = np.memmap(
            path, header.record_dtype, "r+", header.data_offset, (header.n_records,)
        )
        records["coefs"] = 0
        records.flush()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("scheduler", ["serial", "threads", "processes"])
def test_other_bins_are_counted_from_the_photons_that_were_kept(
    small, tmp_path, scheduler
):
    """What is equal is everything of a scan's product, to the last bit."""
    how = {"execution": {"scheduler": scheduler, "workers": 2}}
    assert executed(small.run(KEEP | how)) == LISTS  # the maps are fresh
    assert executed(small.run(KEEP)) == set()
    expected = shutil.copytree(small.out, tmp_path / "expected")
    other, small.out = small.out, expected
    small.run({"map": OTHER_BINS})
    small.out = other
    without_pulses(small)
    assert executed(small.run({"map": OTHER_BINS | KEEP["map"]}, until="bin")) == SCANS
    for name in SCANS:
        assert_equal(open_product(small.out / name), open_product(expected / name))
    assert not [
        path for path in (small.out / "photons").iterdir() if path.suffix != ".h5"
    ]


def test_photons_are_kept_anew_where_they_would_be_others(small):
    small.run(KEEP)
    pixel = KEEP | {"beamtime": {"exclude": {"pixels": [3]}}}
    assert executed(small.run(pixel, until="bin")) == SCANS | LISTS
    assert 3 not in h5py.File(small.out / "photons/scan0001.h5")["entry/data/pixel"][()]
    (small.out / "photons/scan0002.h5").write_bytes(b"damaged")
    assert executed(small.run(pixel, until="bin")) == {"photons/scan0002.h5"}
    dry = small.run(KEEP, dry_run=True)
    assert {f"scan{n:04d} photons" for n in (1, 2, 3, 4)} <= set(dry.planned)


def test_kept_photons_are_exported(small, cli):
    said = cli("export", small.out, "--format", "photons")
    assert (
        said.code == 3
        and "no photon lists; set `map: {keep_photons: true}`" in said.err
    )
    small.run(KEEP)
    assert cli("export", small.out, "--format", "photons").code == 0
    for name in LISTS:
        scan = open_product(small.out / "scans" / name[8:].replace(".h5", ".nxs"))
        with h5py.File(small.out / "export" / name) as file:
            photons = {
                column: values[()] for column, values in file["entry/data"].items()
            }
            assert int(file["entry"].attrs["scan"]) == scan.attrs["number"]
        counts, *_ = np.histogram2d(
            photons["point"],
            photons["energy"].astype(float),
            bins=(
                np.arange(len(scan["incident_energy"]) + 1),
                scan["emission_energy_edges"].values,
            ),
        )
        np.testing.assert_array_equal(counts, scan["counts"].values)
        assert set(photons["pixel"]) <= set(scan["pixel"].values)


def assert_equal(found, expected):
    """Counts to the last one, other numbers to 1e-12, texts word for word."""
    told, known = (
        {k: repr(v) for k, v in one.attrs.items() if k != "command"}
        for one in (found, expected)
    )
    assert told == known  # as text: NaN is not equal to itself
    for name, variable in expected.variables.items():
        values = found[name].values
        assert values.dtype == variable.dtype
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(values, variable.values, rtol=1e-12)
        else:
            assert values.tolist() == variable.values.tolist()


# ---- what the config asks for in vain


def test_what_the_config_asks_for_in_vain_is_said(small_beamtime):
    from rixs_pipeline.config import Config

    config = Config.model_validate(
        {
            "beamtime": {"exclude": {"pixels": [3, 99], "points": {1: [0], 77: [0]}}},
            "compare": {
                "good": {
                    "samples": ["LMR_RT", "LMR_100C"],
                    "regions": ["Co_PFY", "log_tey"],
                },
                "bad": {
                    "samples": ["LMR_RT", "LMR_200C"],
                    "regions": ["Co_PFI"],
                    "feature": {"region": "Co_PFT", "window": [780, 781]},
                },
            },
            "figures": {
                "fig1": {
                    "kind": "xas",
                    "samples": ["LMR_RT", "LMR_200C"],
                    "edges": ["Co_L", "Ni_L"],
                    "channel": ["tey", "drain", "pfy"],
                }
            },
        }
    )
    lines = unmatched_entries(discover(small_beamtime), config)
    assert lines == [
        "config: beamtime.exclude.pixels: no pixel 99 in this beamtime",
        "config: beamtime.exclude.points: no scan 77 in this beamtime",
        "config: compare.bad: no sample 'LMR_200C' in this beamtime",
        "config: compare.bad: no region 'Co_PFI' in this beamtime",
        "config: compare.bad: no region 'Co_PFT' in this beamtime",
        "config: figures.fig1: no sample 'LMR_200C' in this beamtime",
        "config: figures.fig1: no edge Ni_L in this beamtime",
        "config: figures.fig1: no drain of LMR_RT at Co_L in this beamtime",
    ]


# ---- status, first config, watch


def test_status_tells_what_is_fresh_stale_or_failed_and_why(small):
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    log = json.loads(small.log(4).read_text())
    log["var_values"][0] += 0.1
    small.log(4).write_text(json.dumps(log))
    run = json.loads((small.out / "run.json").read_text())
    run["failed"] = {"scan0009": "it was bad"}
    run["beamtime"] = str(small.beamtime)
    (small.out / "run.json").write_text(json.dumps(run))
    before = tree(small.out)
    status = find_status(small.out)
    assert tree(small.out) == before
    assert (
        status["scan0001"]
        == status["cal0000"]
        == status["LMR_RT-Co_L spectra"]
        == "fresh"
    )
    assert status["LMR_RT-Co_L"] == "stale: not made yet"
    assert status["scan0004"] == status["LMR_100C-Co_L"] == "stale: inputs changed"
    assert status["scan0009"] == "failed: it was bad"


@pytest.mark.parametrize("text", [None, "{}", "{", "[]"])
def test_status_of_a_foreign_folder_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"no run\.json there|run\.json"):
        find_status(tmp_path)


def test_a_part_of_a_run_forgets_nothing(small):
    """What --scans and --until leave out is still known afterwards, with its facts."""
    before = json.loads((small.out / "run.json").read_text())["items"]
    made(small, scans="1", until="bin")
    after = json.loads((small.out / "run.json").read_text())["items"]
    assert after.keys() == before.keys()
    assert after["scan0003"]["photons"] == before["scan0003"]["photons"]


def test_the_first_config_fits_and_changes_nothing(small, tmp_path):
    from rixs_pipeline.config.load import load_config

    path = tmp_path / "config.yaml"
    text = initial_config(small.beamtime)
    path.write_text(text)
    assert "Co_PFY" in text and load_config(path).regions is None
    path.write_text(text.replace("#regions:", "regions:").replace("#  Co_", "  Co_"))
    regions = load_config(path).model_dump(mode="json", include={"regions"})
    assert made(small, regions) == set()


def test_watch_adds_what_appears_and_says_things_once(small, monkeypatch, caplog):
    shutil.rmtree(small.out)
    hidden = small.log(4).rename(small.beamtime.parent / "scan0004.json")
    small.off(5).write_bytes(b"nothing")
    rounds = []

    def appears(seconds):
        rounds.append(seconds)
        if len(rounds) == 2:
            hidden.rename(small.log(4))

    monkeypatch.setattr(watch_module.time, "sleep", appears)
    from rixs_pipeline.config import Config

    config = Config.model_validate(
        {"execution": {"scheduler": "serial"}, "regions": {"P": {"kind": "pfy"}}}
    )
    for plan in ("plan_calibrations", "plan_results"):
        monkeypatch.setattr(report, plan, lambda *_: iter(()))
    assert watch(small.beamtime, config, small.out, 7.5, 3) == 0
    assert rounds == [7.5, 7.5]
    assert (small.out / "scans/scan0004.nxs").is_file()
    assert (
        len([r for r in caplog.records if "chan5.off: no OFF header" in r.getMessage()])
        == 1
    )


def test_watch_waits_for_a_beamtime_that_is_still_empty(tmp_path, monkeypatch):
    from rixs_pipeline.config import Config

    monkeypatch.setattr(watch_module.time, "sleep", lambda _: None)
    assert watch(tmp_path / "later", Config(), tmp_path / "out", 1.0, 2) == 3
    assert not (tmp_path / "out").exists()
