"""Which products a run makes again, and that the scheduler changes nothing."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.provenance import code_version
from rixs_pipeline.runner.inspect import status
from rixs_pipeline.stages import chunks, context
from tests.runner.reductions import (
    ALL,
    LINES,
    MAPS,
    REFERENCES,
    SCANS,
    SPECTRA,
    assert_equal,
    made,
    products_of,
    tree,
)

# ---- freshness


def test_second_reduction_makes_nothing(small):
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
def test_execution_options_remake_nothing(small, execution):
    assert made(small, {"execution": execution}) == set()


CHANGES = {
    "region": ({"regions": {"P": {"kind": "pfy", "emission": [770, 790]}}}, SPECTRA),
    "comparison": ({"compare": {"c": {"samples": ["LMR_RT", "LMR_100C"]}}}, set()),
    "emission step": ({"map": {"step": 1.0}}, SCANS | MAPS | SPECTRA),
    "incident bins": (
        {"map": {"incident": [765, 805], "incident_step": 1}},
        MAPS | SPECTRA,
    ),
    "pixel": ({"beamtime": {"exclude": {"pixels": [3]}}}, SCANS | MAPS | SPECTRA),
    "point": (
        {"beamtime": {"exclude": {"points": {2: [0]}}}},
        products_of("LMR_RT", 2),
    ),
    "point of the scan that sets the scale": (
        {"beamtime": {"exclude": {"points": {1: [0]}}}},
        products_of("LMR_RT", 1),
    ),
    "scan": (  # the others of its interval share its drift with it
        {"beamtime": {"exclude": {"scans": [4]}}},
        (SCANS - products_of("LMR_100C", 4)) | MAPS | SPECTRA,
    ),
    "normalisation": ({"normalise": {"i0": None}}, SCANS | MAPS | SPECTRA),
    "reference": ({"calibration": {"reference": "elam", "lines": list(LINES)}}, ALL),
}


@pytest.mark.parametrize(("config", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_config_change_remakes_only_dependent_products(small, config, expected):
    assert made(small, config) == expected
    assert made(small, config) == set()


def test_a_renamed_sample_moves_to_a_map_of_its_own(small):
    """Which scans show the same lines matters for the drift of their interval."""
    config = {"beamtime": {"samples": {"LMR_RT": "pristine"}}}
    assert made(small, config) == SCANS | {
        "maps/pristine-Co_L.nxs",
        "maps/LMR_100C-Co_L.nxs",
        "spectra/pristine-Co_L.nxs",
        "spectra/LMR_100C-Co_L.nxs",
    }
    summary = small.run(config)
    assert [
        w
        for w in summary.warnings
        if "maps/LMR_RT-Co_L.nxs" in w and "product of an earlier run" in w
    ]


def test_a_changed_point_makes_the_scans_of_its_interval_again(small):
    log = json.loads(small.log(2).read_text())
    log["epoch_time_end_s"][3] -= 0.5
    small.log(2).write_text(json.dumps(log))
    assert made(small) == SCANS | MAPS | SPECTRA


def test_new_mtime_without_a_change_remakes_nothing(small):
    for path in small.beamtime.rglob("*"):
        os.utime(path)
    assert made(small) == set()


def test_moved_data_remake_nothing(small, tmp_path):
    small.beamtime = small.beamtime.rename(tmp_path / "moved")
    assert made(small) == set()


def test_deleted_products_are_remade(small):
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
    assert [w for w in summary.warnings if name in w and "regenerated" in w]
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
    assert status(small.out).states["LMR_RT-Co_L"] == "stale: program version changed"
    assert made(small) == {"maps/LMR_RT-Co_L.nxs"}


def test_results_of_another_version_are_made_again_once(small):
    """They can be opened and are stale once, with one warning for all of them."""
    version = "0.0.1+0123456789ab"
    for name in ALL - REFERENCES:
        with h5py.File(small.out / name, "a") as file:
            for entry in file.values():
                entry.attrs["program_version"] = version
    for name in REFERENCES:
        path = small.out / Path(name).with_name(f".{Path(name).name}.json")
        text = path.read_text().replace(code_version(), version)
        path.write_text(text)
    for name in ALL - REFERENCES:
        product = open_product(small.out / name)
        entries = product.values() if isinstance(product, dict) else [product]
        assert all(entry.attrs["program_version"] == version for entry in entries)
    states = list(status(small.out).states.values())
    assert states.count("stale: program version changed") == len(ALL)
    never_made = {"stale: not made yet", "stale: not drawn yet"}  # after `extract`
    assert set(states) <= {"stale: program version changed"} | never_made
    summary = small.run()
    assert set(summary.executed) == ALL
    (warning,) = [line for line in summary.warnings if "another version" in line]
    assert f"({version}, now {code_version()}); they are regenerated" in warning
    again = small.run()
    assert again.executed == []
    assert not any("another version" in line for line in again.warnings)


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
    """Acquisition appends the last scan and the last reference run to the files."""
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


# ---- execution


def test_workers_elsewhere_get_absolute_paths(small, monkeypatch):
    monkeypatch.chdir(small.beamtime.parent)
    small.beamtime, small.out = Path("beamtime"), Path("out")
    config = {"execution": {"scheduler": "tcp://127.0.0.1:1"}}
    summary = small.run(config, dry_run=True)
    assert summary.planned == [] and summary.out.is_absolute()
    files = [file for run in summary.beamtime.runs for file in run.pulse_files]
    assert files and all(file.is_absolute() for file in files)


@pytest.mark.parametrize(
    ("scheduler", "workers", "block"),
    [
        ("serial", None, 2),
        ("threads", 1, 1),
        ("threads", 3, 1),
        ("threads", 2, 2),
        pytest.param("processes", 2, 1, marks=pytest.mark.slow),
        pytest.param("auto", 2, 1, marks=pytest.mark.slow),
    ],
)
def test_products_are_equal_on_every_scheduler(
    small, reduced_small, monkeypatch, scheduler, workers, block
):
    """The reference is what threads made with the default block, in another process."""
    monkeypatch.setattr(chunks, "PIXELS_PER_BLOCK", block)
    monkeypatch.setattr(context, "MANY_FILES", 1)  # processes in any case
    for name in products_of("LMR_RT", 1) | products_of("LMR_RT", 2):
        (small.out / name).unlink()
    summary = small.run({"execution": {"scheduler": scheduler, "workers": workers}})
    assert not summary.failed and set(summary.executed) == products_of(
        "LMR_RT", 1
    ) | products_of("LMR_RT", 2)
    for name in products_of("LMR_RT", 1) | products_of("LMR_RT", 2):
        product, expected = (
            open_product(folder / name) for folder in (small.out, reduced_small)
        )
        entries = product if isinstance(product, dict) else {"entry": product}
        for entry, dataset in entries.items():
            assert_equal(
                dataset, expected[entry] if isinstance(expected, dict) else expected
            )


def test_partial_reduction_keeps_the_summary(small):
    """Runs left out by --scans and --until keep their entries in the summary."""
    before = json.loads((small.out / "run.json").read_text())["items"]
    made(small, scans="1", until="bin")
    after = json.loads((small.out / "run.json").read_text())["items"]
    assert after.keys() == before.keys()
    assert after["scan0003"]["photons"] == before["scan0003"]["photons"]


def damage(path, change):
    """Change a product as a program other than this one may."""
    with h5py.File(path, "r+") as file:
        change(file["entry/data"])


def negative(data):
    counts = data["counts"][()].astype(np.int64)
    counts[0, 0] = -5
    data["counts"][...] = counts


def not_a_number(data):
    data["intensity"][0, 0] = np.nan


def linked(data):
    del data["intensity"]
    data["intensity"] = h5py.ExternalLink("elsewhere.nxs", "/entry/data/intensity")


@pytest.mark.parametrize("change", [negative, not_a_number, linked])
def test_a_product_that_was_changed_is_made_again(small, change):
    path = small.out / "scans" / "scan0001.nxs"
    expected = open_product(path)
    damage(path, change)
    summary = small.run()
    assert "scans/scan0001.nxs" in summary.executed
    assert any("content changed since it was written" in w for w in summary.warnings)
    assert_equal(open_product(path), expected)


def test_facts_of_products_are_not_lost_with_run_json(small):
    before = small.run().items
    (small.out / "run.json").unlink()
    assert small.run().items == before


def test_a_product_with_links_is_not_opened(small):
    path = small.out / "scans" / "scan0001.nxs"
    damage(path, linked)
    with pytest.raises(InputError, match="'intensity' is a link"):
        open_product(path)


def test_results_of_another_beamtime_are_named_before_they_are_replaced(small):
    import shutil
    from dataclasses import replace

    small.run()
    moved = small.beamtime.rename(small.beamtime.with_name("moved"))
    summary = replace(small, beamtime=moved).run()
    assert not any("replaced now" in line for line in summary.warnings)
    other = shutil.copytree(moved, moved.with_name("other"))
    (line,) = [
        line
        for line in replace(small, beamtime=other).run().warnings
        if "replaced now" in line
    ]
    assert line.startswith(f"{small.out}: has results of {moved}")


def test_products_are_not_called_left_over_when_scans_fail(small):
    small.run()
    for off in small.pulses.glob("*.off"):
        off.unlink()
    summary = small.run()
    assert summary.failed
    assert not any("delete it" in line for line in summary.warnings)
