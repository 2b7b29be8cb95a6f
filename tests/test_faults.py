"""Faults at a beamtime: one line each, and only dependent products are lost."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import temporaries
from rixs_pipeline.runner import run as runner
from rixs_pipeline.stages.interval import compare_pixels
from tests.conftest import AS_CALIBRATED

PIXELS = (1, 3, 5)
SCANS = ("scan0001", "scan0002", "scan0003", "scan0004")


# ---- to damage a beamtime


def layout(data):
    """Return the offset of the records of an OFF file, and their dtype."""
    start = data.index(b"\n}\n") + 3
    header = json.loads(data[:start])
    shape, bases = header["ModelInfo"]["Projectors"], header["NumberOfBases"]
    fields = [
        ("samples", "<i4", (2,)),
        ("frame", "<i8"),
        ("ns", "<i8"),
        ("values", "<f4", (3,)),
    ]
    return start + 16 * shape["Rows"] * shape["Cols"], np.dtype(
        [*fields, ("coefs", "<f4", (bases,))]
    )


@contextmanager
def records(path):
    """The records of an OFF file, to be changed in place in a list of one array."""
    data = path.read_bytes()
    start, dtype = layout(data)
    holder = [np.frombuffer(data, dtype, offset=start).copy()]
    yield holder
    path.write_bytes(data[:start] + holder[0].tobytes())


@contextmanager
def log(path):
    """A JSON log, to be changed in place."""
    content = json.loads(path.read_text())
    yield content
    path.write_text(json.dumps(content))


def windows(small, number):
    """Starts and ends of a scan's points, ns."""
    content = json.loads(small.log(number).read_text())
    return tuple(
        np.array(content[f"epoch_time_{end}_s"]) * 1e9 for end in ("start", "end")
    )


def silence(small, start_ns, end_ns):
    """Take the pulses of all pixels in a time."""
    for pixel in PIXELS:
        with records(small.off(pixel)) as holder:
            holder[0] = holder[0][
                (holder[0]["ns"] < start_ns) | (holder[0]["ns"] >= end_ns)
            ]


def forget_label(small, label):
    """Remove a label from the experiment states."""
    state = small.pulses / "20260101_run0000_experiment_state.txt"
    text = state.read_text()
    assert f"{label}\n" in text
    state.write_text(text.replace(f"{label}\n", "IGNORE\n"))


def forget_calibration(small, number):
    """Remove a reference run from the logs and the experiment states."""
    (small.beamtime / f"logs/calibration{number:04d}.json").unlink()
    forget_label(small, f"CAL{number}")


def reduced(small, config=None, *, failed=(), **options):
    """Reduce; only the named runs fail, with one-line reasons and no internal error."""
    summary = small.run(config, **options)
    assert set(summary.failed) == set(failed), summary.failed
    for text in [*summary.failed.values(), *summary.warnings, *summary.problems]:
        assert "\n" not in text and "defect" not in text, text
    hidden = {path.name for path in small.out.rglob(".*")}
    assert hidden <= {
        paths.DIGEST_CACHE,
        paths.LOCK_FILE,
        paths.OWNER_FILE,
        ".references.csv.json",
        paths.ARRAY_CACHE,
    }
    return summary


def scan(small, name):
    return open_product(paths.scan_product(small.out, name))


def rixs_map(small, sample="LMR_RT", edge="Co_L"):
    return open_product(paths.map_product(small.out, sample, edge))


def statuses(dataset):
    return dict(
        zip(
            dataset["pixel"].values.tolist(),
            dataset["pixel_status"].values.tolist(),
            strict=True,
        )
    )


# ---- where the results go


def test_folder_blocked_by_a_file_loses_only_its_products(small):
    shutil.rmtree(small.out / "maps")
    (small.out / "maps").write_text("")
    summary = reduced(small, failed=["LMR_RT-Co_L", "LMR_100C-Co_L"])
    assert all("maps" in reason for reason in summary.failed.values())
    (small.out / "maps").unlink()
    assert set(reduced(small).executed) == {
        "maps/LMR_RT-Co_L.nxs",
        "maps/LMR_100C-Co_L.nxs",
    }


def test_product_blocked_by_a_folder_is_the_only_loss(small):
    (small.out / "scans/scan0002.nxs").unlink()
    (small.out / "scans/scan0002.nxs").mkdir()
    reason = reduced(small, failed=["scan0002"]).failed["scan0002"]
    assert reason == (
        f"{small.out}/scans/scan0002.nxs: Is a directory; move it away and repeat the "
        "command"
    )


def test_caches_that_cannot_be_used_cost_time_alone(small):
    shutil.rmtree(small.out / paths.ARRAY_CACHE)
    (small.out / paths.ARRAY_CACHE).write_text("")
    (small.out / paths.DIGEST_CACHE).unlink(missing_ok=True)
    (small.out / paths.DIGEST_CACHE).mkdir()
    summary = reduced(small, {"map": {"step": 1.0}}, until="combine")
    (line,) = [line for line in summary.warnings if paths.ARRAY_CACHE in line]
    assert line.startswith(f"{small.out / paths.ARRAY_CACHE}: cannot be used")
    assert summary.exit_code == 0 and "scans/scan0001.nxs" in summary.executed
    record = json.loads((small.out / "run.json").read_text())
    assert record["executed"] == summary.executed


@contextmanager
def without_permission(path):
    """Take all permissions of a file or folder."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("modes do not bind this user")
        yield
    finally:
        path.chmod(mode)


def test_a_folder_without_permission_loses_only_its_products(small):
    with without_permission(small.out / "maps"):
        summary = reduced(small, failed=["LMR_RT-Co_L", "LMR_100C-Co_L"])
    line = f"{small.out}/maps: Permission denied; check its permissions and repeat"
    assert all(reason.startswith(line) for reason in summary.failed.values())
    assert reduced(small).executed == []


def test_caches_without_permission_cost_time_alone(small):
    with without_permission(small.out / paths.ARRAY_CACHE):
        summary = reduced(small, {"map": {"step": 1.0}})
    assert len([line for line in summary.warnings if ".cache: cannot be" in line]) == 1
    assert summary.exit_code == 0 and "scans/scan0001.nxs" in summary.executed


def test_files_without_permission_lose_one_pixel_and_one_scan(small):
    shutil.rmtree(small.out)
    with without_permission(small.off(3)), without_permission(small.log(2)):
        summary = reduced(small, until="combine")
    (pixel,) = [line for line in summary.problems if "Permission denied" in line]
    assert "chan3.off: cannot be read (Permission denied); check" in pixel
    (run,) = summary.losses
    assert run.startswith("logs/scan0002.json: cannot be read (Permission denied)")
    assert summary.exit_code == 1
    assert scan(small, "scan0001")["pixel"].values.tolist() == [1, 5]


def test_dry_run_lists_a_damaged_calibration_as_stale(small):
    (small.out / "calibration/cal0000.nxs").write_bytes(b"no HDF5")
    summary = reduced(small, dry_run=True)
    assert "cal0000" in summary.planned and "cal0005" not in summary.planned


def test_full_disk_loses_only_products_that_do_not_fit(small, monkeypatch):
    for name in ("scan0001", "scan0002"):
        paths.scan_product(small.out, name).unlink()
    entry_groups = products.entry_groups

    def fails(name, dataset, attributes):
        if attributes.get("run") == "scan0002":
            raise OSError(errno.ENOSPC, "No space left on device")
        return entry_groups(name, dataset, attributes)

    monkeypatch.setattr(products, "entry_groups", fails)
    summary = reduced(small, failed=["scan0002"])
    assert "No space left on device" in summary.failed["scan0002"]
    assert json.loads(rixs_map(small).attrs["scans"]) == ["scan0001"]
    monkeypatch.undo()
    assert "scans/scan0002.nxs" in reduced(small).executed
    assert json.loads(rixs_map(small).attrs["scans"]) == ["scan0001", "scan0002"]


def contents(out):
    """What is in a folder of results, without what is hidden: who uses it, caches."""
    files = [path for path in out.glob("[!.]*/**/*") if path.is_file()]
    files += [path for path in out.glob("[!.]*") if path.is_file()]
    return {path: path.read_bytes() for path in files}


def test_disk_without_space_is_one_line(small, cli, monkeypatch):
    @contextmanager
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
        yield

    (small.out / "config.yaml").unlink()
    before = contents(small.out)
    monkeypatch.setattr(temporaries, "atomic_path", full)
    result = cli("extract", small.beamtime, "-o", small.out)
    assert (
        result.code == 3
        and len(result.err.splitlines()) == 1
        and "No space left on device" in result.err
    )
    assert contents(small.out) == before


@pytest.mark.parametrize("limit", [3000, 20_000])
def test_failed_writes_are_one_line(small, limit):
    """Writes fail beneath HDF5, which would print tracebacks and crash.

    Small files still fit with the higher limit only.
    """
    for path in (small.out / "scans").iterdir():
        path.unlink()
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from rixs_pipeline.cli import main\nmain()"
    )
    command = [
        sys.executable,
        "-B",
        "-c",
        code,
        "bin",
        str(small.beamtime),
        "-o",
        str(small.out),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 3, done.stderr  # no scan is usable
    assert all("File too large" in line and "defect" not in line for line in lines), (
        lines
    )
    # one of all scans; the summary does not fit either
    assert len(lines) == 1 + (limit < 10_000)
    assert list((small.out / "scans").iterdir()) == []


# ---- pulse files


@pytest.mark.parametrize("damage", ["header", "short", "text", "empty"])
def test_pixel_with_a_broken_file_is_the_only_loss(small, damage):
    data = small.off(3).read_bytes()
    start, _ = layout(data)
    content = {
        "header": data.replace(b'"NumberOfBases": 5', b'"NumberOfBases": x'),
        "short": data[: start // 2],
        "text": b"not a pulse in here\n",
        "empty": b"",
    }[damage]
    small.off(3).write_bytes(content)
    summary = reduced(small, until="combine")
    assert [text for text in summary.problems if "chan3.off" in text]
    assert scan(small, "scan0001")["pixel"].values.tolist() == [1, 5]
    assert int(rixs_map(small)["counts"].sum()) > 2000


def test_pixel_without_pulses_is_dead(small):
    data = small.off(3).read_bytes()
    small.off(3).write_bytes(data[: layout(data)[0]])
    reduced(small, until="combine")
    dataset = scan(small, "scan0001")
    assert "dead" in statuses(dataset)[3]
    assert (
        dataset["pixel_counts"].values.tolist()[1] == 0
        and dataset["pixel_live_time"].values[1] == 0
    )


def test_invalid_records_are_not_counted(small):
    rng = np.random.default_rng(1)
    with records(small.off(3)) as holder:
        for column in (holder[0]["coefs"], holder[0]["values"]):
            column[:] = rng.integers(0, 2**32, column.shape, dtype=np.uint32).view(
                "<f4"
            )  # NaN and infinity too
            column[::3] = rng.choice([0, 1, -1, 1e30, -1e30, 1e-30], column[::3].shape)
    reduced(small, until="combine")
    assert not statuses(scan(small, "scan0001"))[3].startswith("ok")
    assert int(scan(small, "scan0001")["counts"].sum()) > 1000


def test_file_deleted_during_the_reduction_is_reported(small, monkeypatch):
    discover = runner.discovery.discover

    def discovered(*arguments):
        beamtime = discover(*arguments)
        small.off(3).unlink()
        return beamtime

    monkeypatch.setattr(runner.discovery, "discover", discovered)
    summary = reduced(small, failed=["cal0000", "cal0005", *SCANS])
    assert all(
        "chan3.off: cannot be read (No such file" in reason
        for reason in summary.failed.values()
    )
    monkeypatch.undo()
    assert reduced(small).exit_code == 0


def test_scan_without_aligned_pixels_is_the_only_failure(small, monkeypatch):
    (small.out / "scans/scan0002.nxs").unlink()
    (small.out / "scans/scan0003.nxs").unlink()
    align = compare_pixels.align_pixels

    def fail_for_one_scan(run, *arguments):
        if run.name == "scan0002":
            raise RunFailed("scan0002: no way")
        return align(run, *arguments)

    monkeypatch.setattr(compare_pixels, "align_pixels", fail_for_one_scan)
    summary = reduced(small, failed=["scan0002"])
    assert (
        summary.failed["scan0002"] == "scan0002: no way"
        and "scans/scan0003.nxs" in summary.executed
    )


def test_single_pixel_can_be_reduced(small):
    for pixel in (3, 5):
        small.off(pixel).unlink()
    reduced(small)
    dataset = scan(small, "scan0001")
    assert dataset["pixel"].values.tolist() == [1] and dataset[
        "throughput"
    ].values.tolist() == [1.0]
    assert rixs_map(small)["exposure"].values.sum() > 0


def test_pixel_lost_in_one_scan_leaves_the_intensity_unchanged(small):
    """Weighting by throughput: fewer pixels mean less exposure, not less intensity."""
    start, end = windows(small, 2)
    with records(small.off(1)) as holder:
        holder[0] = holder[0][
            (holder[0]["ns"] < start[0]) | (holder[0]["ns"] >= end[-1])
        ]
    before = scan(small, "scan0002")
    summary = reduced(small, until="combine")
    after = scan(small, "scan0002")
    assert [
        text for text in summary.warnings if "scan0002" in text and "pixel 1" in text
    ]
    assert statuses(after)[1] == "no pulses in this scan"
    ratio = float(
        (after["counts"].sum() / after["exposure"].sum())
        / (before["counts"].sum() / before["exposure"].sum())
    )
    assert ratio == pytest.approx(1, abs=4 / np.sqrt(float(after["counts"].sum())))


# ---- logs


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_log_loses_only_its_scan(small, share):
    text = small.log(2).read_text()
    small.log(2).write_text(text[: int(share * len(text))])
    summary = reduced(small)
    (loss,) = summary.losses
    assert "scan0002.json" in loss
    assert summary.exit_code == 1
    assert json.loads(rixs_map(small).attrs["scans"]) == ["scan0001"]


def test_complete_points_of_an_aborted_scan_are_counted(small):
    with log(small.log(2)) as content:
        content["_ended"] = False
        content["epoch_time_end_s"] = content["epoch_time_end_s"][:5]
        content["epoch_time_start_s"] = content["epoch_time_start_s"][:6]
    summary = reduced(small)
    assert [
        problem for problem in summary.problems if "aborted or still running" in problem
    ]
    whole, part = scan(small, "scan0001"), scan(small, "scan0002")
    assert part.sizes["incident_energy"] == 5 and part.attrs["complete"] == "false"
    total = rixs_map(small)["counts"].values
    assert np.array_equal(total[5:], whole["counts"].values[5:])
    assert total.sum() == int(whole["counts"].sum() + part["counts"].sum())


def test_first_scan_without_pulse_files_is_the_only_failure(small):
    with log(small.log(1)) as content:
        for name in ("epoch_time_start_s", "epoch_time_end_s"):
            content[name] = [second - 86400 for second in content[name]]
    forget_label(small, "SCAN1")  # which would correct its clock
    summary = reduced(small, failed=["scan0001"])
    assert summary.failed["scan0001"] == "scan0001: has no pulse files"
    assert json.loads(rixs_map(small).attrs["scans"]) == ["scan0002"]


def test_repeated_scan_numbers_get_their_date(small):
    """A second day with the same scan numbers, and no reference run of its own."""
    day = 86_400
    second = small.beamtime / "20260102" / "0000"
    second.mkdir(parents=True)
    for pixel in PIXELS:
        path = second / small.off(pixel).name.replace("20260101", "20260102")
        shutil.copy(small.off(pixel), path)
        with records(path) as holder:
            holder[0]["ns"] += day * 10**9
    for number in (1, 2, 3, 4):
        path = small.beamtime / "logs" / "second" / f"scan{number:04d}.json"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(small.log(number), path)
        with log(path) as content:
            content["sample_id"] = content["sample_desc"] = "late"
            content["data_path"] = content["data_path"].replace("20260101", "20260102")
            for name in ("epoch_time_start_s", "epoch_time_end_s"):
                content[name] = [second_ + day for second_ in content[name]]
    reduced(small, until="combine")
    names = {path.stem for path in (small.out / "scans").glob("2026*.nxs")}
    assert names == {
        f"2026010{d}-0000-scan000{n}" for d in (1, 2) for n in (1, 2, 3, 4)
    }
    first, late = (
        scan(small, "20260101-0000-scan0001"),
        scan(small, "20260102-0000-scan0001"),
    )
    assert statuses(late)[1] == "ok: cal0005 alone"
    assert abs(int(first["counts"].sum()) - int(late["counts"].sum())) < 0.01 * int(
        first["counts"].sum()
    )
    others = 2 + 1  # reference runs, and their table
    assert len(reduced(small, until="bin", scans="1", force=True).items) == others + 2
    assert (
        len(
            reduced(
                small,
                until="bin",
                scans="20260102-0000-scan0001,20260101-0000-scan0003",
            ).items
        )
        == others + 2
    )


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (
            ("LMR charged, 4.8 V", "größe/µm"),
            ("LMR_charged_4.8_V-Co_L", "größe_µm-Co_L"),
        ),
        (("../../etc/passwd", "日本"), ("etc_passwd-Co_L", "日本-Co_L")),
        (("", "%&?"), ("unnamed-Co_L", "unnamed-Co_L")),
    ],
)
def test_any_sample_name_gives_a_file_inside_the_folder(small, names, files):
    config = {
        "beamtime": {"samples": dict(zip(("LMR_RT", "LMR_100C"), names, strict=True))}
    }
    clash = [f"{names[1]}-Co_L"] if len(set(files)) == 1 else []
    reduced(small, config, failed=clash, until="extract")
    for name, file in list(zip(names, files, strict=True))[: 2 - len(clash)]:
        opened = open_product(small.out / "maps" / f"{file}.nxs")
        assert opened.attrs["sample"] == name.encode(errors="backslashreplace").decode()
        assert (small.out / "spectra" / f"{file}.nxs").is_file()
    assert {path.parent.name for path in small.out.parent.rglob("*.nxs")} == {
        "calibration",
        "scans",
        "maps",
        "spectra",
    }


def test_samples_with_the_same_file_name_are_not_mixed(small):
    config = {"beamtime": {"samples": {"LMR_RT": "a b", "LMR_100C": "a/b"}}}
    summary = reduced(small, config, failed=["a/b-Co_L"])
    assert (
        "samples 'a b' and 'a/b' have the same file names; "
        "rename one in `beamtime.samples`" in summary.failed["a/b-Co_L"]
    )
    assert json.loads(rixs_map(small, "a b").attrs["scans"]) == ["scan0001", "scan0002"]


def test_a_reading_may_have_any_name(small):
    with log(small.log(1)) as content:
        for extra in content["point_extras"].values():
            extra.update({"det/1 (raw)": 3.5, "größe": 1.0, "": 2.0})
    reduced(small)
    dataset = scan(small, "scan0001")
    assert np.all(dataset["reading_det_1 (raw)"].values == 3.5) and np.all(
        dataset["reading_größe"].values == 1.0
    )


def test_passes_with_different_points_are_binned_and_reported(small):
    with log(small.log(2)) as content:
        content["var_values"] = [value + 0.3 for value in content["var_values"]]
    summary = reduced(small)
    assert [
        text
        for text in summary.warnings
        if "passes have different incident points" in text
    ]
    assert rixs_map(small).attrs["incident_binning"] == "bins"
    total = int(
        scan(small, "scan0001")["counts"].sum()
        + scan(small, "scan0002")["counts"].sum()
    )
    assert 0.8 * total < int(rixs_map(small)["counts"].sum()) <= total


def test_single_point_passes_are_combined(small):
    for number in (1, 2):
        with log(small.log(number)) as content:
            for name in ("var_values", "epoch_time_start_s", "epoch_time_end_s"):
                content[name] = content[name][3 + number : 4 + number]
            content["point_extras"] = {}
    reduced(small)
    assert rixs_map(small).sizes["incident_energy"] == 2
    reduced(small, {"map": {"incident": [760, 810], "incident_step": 5}})
    assert rixs_map(small).sizes["incident_energy"] == 10


def test_scan_without_a_known_edge_is_binned_and_reported(small):
    for number in (1, 2, 3, 4):
        with log(small.log(number)) as content:
            content["extra"] = {}
            content["var_values"] = [value - 600 for value in content["var_values"]]
    summary = reduced(small, until="extract")
    assert (
        len([text for text in summary.warnings if "set `beamtime.scans." in text]) == 4
    )
    reduced(
        small,
        {"beamtime": {"scans": {n: {"edge": "Co_L"} for n in (1, 2, 3, 4)}}},
        until="combine",
    )


# ---- beam and detector


def test_points_without_pulses_are_left_out(small):
    """Energies that the other points have no part in, so that counts are the same."""
    reduced(small, AS_CALIBRATED, until="combine")
    before = rixs_map(small)
    start, end = windows(small, 2)
    silence(small, start[4], end[6])
    summary = reduced(small, AS_CALIBRATED, until="combine")
    assert (
        scan(small, "scan0002")["point_status"].values.tolist()
        == [0] * 4 + [1] * 3 + [0] * 5
    )
    assert [
        text
        for text in summary.warnings
        if "scan0002: no pulses at 3 of 12 points" in text
    ]
    after, first = rixs_map(small), scan(small, "scan0001")
    assert np.array_equal(after["counts"].values[4:7], first["counts"].values[4:7])
    np.testing.assert_allclose(
        after["exposure"].values[4:7], first["exposure"].values[4:7]
    )
    np.testing.assert_array_equal(
        after["counts"].values[:4], before["counts"].values[:4]
    )


@pytest.mark.parametrize("number", [1, 2])
def test_scan_without_pulses_is_lost_and_adds_no_exposure(small, number):
    start, end = windows(small, number)
    silence(small, start[0], end[-1])
    summary = reduced(small)
    assert summary.exit_code == 1
    (loss,) = summary.losses
    assert loss == (
        f"scan{number:04d}: no pulses between its first and last point, but before or "
        "after, although its times agree with its state label; check beam, shutter and "
        "pulse files during the scan"
    )
    assert json.loads(rixs_map(small).attrs["scans"]) == [f"scan{3 - number:04d}"]


# ---- reference runs


def test_without_calibration_every_scan_fails_with_the_reason(small):
    forget_calibration(small, 0)
    forget_calibration(small, 5)
    summary = reduced(small, failed=SCANS)
    assert summary.failed["scan0003"] == "scan0003: no usable pixel (no calibration)"
    assert [problem for problem in summary.problems if "no reference runs" in problem]


@pytest.mark.parametrize(("lost", "left"), [(5, "cal0000"), (0, "cal0005")])
def test_single_calibration_before_or_after_the_scans(small, lost, left):
    forget_calibration(small, lost)
    reduced(small, until="combine")
    assert set(statuses(scan(small, "scan0001")).values()) == {f"ok: {left} alone"}
    assert int(rixs_map(small)["counts"].sum()) > 3000


def test_reference_run_without_log(small):
    """The parked energy is unknown then; the reference lines have to be configured."""
    before = open_product(small.out / "calibration/cal0005.nxs")
    (small.beamtime / "logs/calibration0005.json").unlink()
    lines = ["C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"]
    reduced(small, {"calibration": {"lines": lines}}, until="combine")
    after = open_product(small.out / "calibration/cal0005.nxs")
    assert after["status"].values.tolist() == ["ok"] * 3
    assert (
        np.abs(after["line_residual"].values - before["line_residual"].values).max()
        < 1.0
    )
    assert set(statuses(scan(small, "scan0001")).values()) == {"ok: cal0000 to cal0005"}


def test_reference_run_without_pulses_is_replaced_by_the_other(small):
    content = json.loads((small.beamtime / "logs/calibration0000.json").read_text())
    silence(
        small,
        content["epoch_time_start_s"][0] * 1e9,
        content["epoch_time_end_s"][0] * 1e9,
    )
    summary = reduced(small, failed=["cal0000"], until="combine")
    assert summary.failed["cal0000"].startswith(
        "cal0000: no pixel has pulses in this reference run"
    )
    assert set(statuses(scan(small, "scan0002")).values()) == {"ok: cal0005 alone"}


def test_too_short_reference_run_is_reported(small):
    forget_calibration(small, 5)
    with log(small.beamtime / "logs/calibration0000.json") as content:
        content["epoch_time_end_s"] = [content["epoch_time_start_s"][0] + 0.5]
    summary = reduced(small, failed=SCANS)
    (loss,) = summary.losses
    assert loss.startswith("cal0000: no pixel could be calibrated; most of them: ")
    assert summary.exit_code == 3
    assert all(
        "pulses pass the cuts in cal0000" in reason
        for reason in summary.failed.values()
    )


# ---- what the config leaves out


def test_excluded_pixel(small):
    before = scan(small, "scan0001")
    reduced(small, {"beamtime": {"exclude": {"pixels": [3]}}}, until="combine")
    after = scan(small, "scan0001")
    assert statuses(after)[3] == "excluded by the config"
    row = after["pixel"].values.tolist().index(3)
    assert (
        int(before["counts"].sum() - after["counts"].sum())
        == int(before["pixel_counts"].values[row])
        > 0
    )
    assert (
        after["pixel_counts"].values[row] == 0
        and after["pixel_live_time"].values[row] == 0
    )


def test_all_pixels_excluded(small):
    summary = reduced(
        small, {"beamtime": {"exclude": {"pixels": list(PIXELS)}}}, failed=SCANS
    )
    assert (
        summary.failed["scan0001"]
        == "scan0001: no usable pixel (excluded by the config)"
    )


def test_excluded_points_and_scans(small):
    config = {
        "beamtime": {
            "exclude": {
                "scans": [4, 44],
                "points": {"scan0001": [2, 99, -1]},
                "pixels": [77],
            }
        }
    }
    summary = reduced(small, config)
    assert (
        scan(small, "scan0001")["point_status"].values.tolist() == [0, 0, 2] + [0] * 9
    )
    assert json.loads(rixs_map(small, "LMR_100C").attrs["scans"]) == ["scan0003"]
    first, both = (
        scan(small, "scan0002")["counts"].values,
        rixs_map(small)["counts"].values,
    )
    assert np.array_equal(both[2], first[2]) and both[3].sum() > first[3].sum()
    messages = " / ".join(summary.warnings + summary.problems)
    for text in (
        "scan0001: `beamtime.exclude.points` lists points b",
        "no scan 44",
        "no pixel 77",
    ):
        assert text in messages


def test_comparison_with_an_unknown_sample_is_reported(small):
    config = {"compare": {"heating": {"samples": ["LMR_RT", "LMR_200C"]}}}
    assert (
        "config: `compare.heating`: no sample 'LMR_200C' in this beamtime; there are: "
        "LMR_100C, LMR_RT"
    ) in reduced(small, config).warnings


def test_emission_range_without_photons(small):
    reduced(small, {"map": {"emission": [2000, 2100]}}, until="combine")
    assert int(rixs_map(small)["counts"].sum()) == 0


def test_regions_outside_the_map(small):
    config = {
        "regions": {
            "A": {"kind": "pfy", "emission": [5000, 5100]},
            "B": {"kind": "tfy"},
        }
    }
    summary = reduced(small, config)
    warning, _ = [line for line in summary.warnings if "has no spectrum" in line]
    assert warning.startswith(
        "LMR_RT-Co_L: region 'A' has no spectrum: it contains no bin of the map: "
    )
    assert warning.endswith("emission 200 to 1100 eV")
    assert set(open_product(small.out / "spectra/LMR_RT-Co_L.nxs")) == {
        "B",
        "log_tey",
        "log_tfy",
    }


# ---- photons that are calibrated already


@pytest.fixture
def photon_lists(small):
    """The beamtime as photon lists, with the pipeline's energies and no pulse files."""
    forget_calibration(small, 0)
    forget_calibration(small, 5)
    shutil.rmtree(small.out)
    rng = np.random.default_rng(3)
    for number in (1, 2, 3, 4):
        start, end = windows(small, number)
        n = 3000
        time = np.sort(rng.integers(int(start[0]), int(end[-1]), n))
        np.savez(
            small.pulses / f"20260101_run0000_SCAN{number}.npz",
            timestamps=time,
            energies=rng.normal(776, 5, n),
            channels=rng.choice(PIXELS, n),
        )
    for pixel in PIXELS:
        small.off(pixel).unlink()
    (small.pulses / "20260101_run0000_experiment_state.txt").unlink()
    return small


def photons(small, number):
    with np.load(small.pulses / f"20260101_run0000_SCAN{number}.npz") as archive:
        return {name: archive[name] for name in archive}


def test_photon_lists_need_no_calibration(photon_lists):
    reduced(photon_lists)
    dataset, listed = scan(photon_lists, "scan0002"), photons(photon_lists, 2)
    assert set(statuses(dataset).values()) == {"ok: calibrated list"}
    start, end = windows(photon_lists, 2)
    point = np.searchsorted(start, listed["timestamps"], side="right") - 1
    inside = (
        (point >= 0)
        & (listed["timestamps"] < end[point])
        & (listed["energies"] >= 200)
        & (listed["energies"] < 1100)
    )
    edges = dataset["emission_energy_edges"].values
    counts = np.zeros(dataset["counts"].shape, int)
    np.add.at(
        counts,
        (
            point[inside],
            np.searchsorted(edges, listed["energies"][inside], side="right") - 1,
        ),
        1,
    )
    np.testing.assert_array_equal(dataset["counts"].values, counts)
    assert reduced(photon_lists).executed == []


def test_a_pixel_of_a_photon_list_can_be_left_out(photon_lists):
    reduced(photon_lists, {"beamtime": {"exclude": {"pixels": [3]}}}, until="combine")
    dataset, listed = scan(photon_lists, "scan0002"), photons(photon_lists, 2)
    start, end = windows(photon_lists, 2)
    point = np.searchsorted(start, listed["timestamps"], side="right") - 1
    inside = (listed["timestamps"] < end[point]) & (listed["channels"] != 3)
    assert int(dataset["counts"].sum()) == inside.sum()
    assert statuses(dataset)[3] == "excluded by the config"


@pytest.mark.parametrize("damage", ["empty", "cut", "unsorted", "pickled", "lengths"])
def test_damaged_photon_list(photon_lists, damage):
    path = photon_lists.pulses / "20260101_run0000_SCAN2.npz"
    listed = photons(photon_lists, 2)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "empty":
        np.savez(path, **{name: values[:0] for name, values in listed.items()})
    elif damage == "unsorted":
        np.savez(path, **{name: values[::-1] for name, values in listed.items()})
    elif damage == "pickled":
        np.savez(path, **listed | {"energies": np.array([{}] * 3000, dtype=object)})
    else:
        np.savez(path, **listed | {"energies": listed["energies"][:7]})
    summary = reduced(
        photon_lists,
        failed=[] if damage == "unsorted" else ["scan0002"],
        until="combine",
    )
    if damage != "unsorted":
        assert json.loads(rixs_map(photon_lists).attrs["scans"]) == ["scan0001"], (
            summary.failed
        )
