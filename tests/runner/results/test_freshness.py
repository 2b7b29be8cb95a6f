"""Keys of products, and digests of pulses; `test_run.py` tests them end to end."""

import os
import signal
import time

import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import csv_tables, nexus, provenance
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime, Points, Run
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.freshness import Freshness
from rixs_pipeline.runner.results.summary import Summary
from tests.stages.builders import points, scan, scan_map, write_off

POINTS = Points(np.array([780.0]), np.array([0]), np.array([10**9]))


def test_ctrl_c_waits_for_the_files_that_are_being_read_alone(tmp_path, monkeypatch):
    files = tuple(tmp_path / f"x_chan{n}.off" for n in range(200))
    run = Run("scan", 1, "scan0001", "", "LMR", "Co_L", POINTS, pulse_files=files)
    summary = Summary(tmp_path, Beamtime(tmp_path, (run,)), Options(until="calibrate"))
    freshness = Freshness(tmp_path, summary, Memo())
    begun = []

    def reads(path, windows):
        begun.append(path)
        if len(begun) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    monkeypatch.setattr(freshness.digests, "digest_records", reads)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            freshness.read_pulses([run])
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0 < len(begun) < len(files) / 2


KEY_OPTIONS, KEY_INPUTS = {"step": 0.5}, {"pulses": "1234"}


@pytest.fixture
def freshness(tmp_path):
    return open_freshness(tmp_path)


def open_freshness(out, until="calibrate", **options):
    summary = Summary(out, Beamtime(out, ()), Options(until=until))
    return Freshness(out, summary, Memo(), **options)


def write_product(freshness, name="scans/scan0001.nxs", **attributes):
    """Write a fresh product, but for some of its attributes."""
    path = freshness.out / name
    attributes = freshness.key(KEY_OPTIONS, KEY_INPUTS) | attributes
    if path.suffix == ".csv":
        csv_tables.write_table(path, {"line": ["C_Ka"]}, attributes)
    else:
        product = {"entry": scan_map([[1]], [780.0])}
        nexus.write_product(path, product, attributes, "counts")
    return path


def why_stale(freshness, path, options=KEY_OPTIONS, inputs=KEY_INPUTS):
    return freshness.why_stale(path, freshness.key(options, inputs))


@pytest.mark.parametrize("name", ["scans/scan0001.nxs", "references.csv"])
def test_a_product_with_its_key_is_fresh(freshness, name):
    path = write_product(freshness, name)
    assert why_stale(freshness, path) == ""
    assert freshness.has_product(path, KEY_OPTIONS, KEY_INPUTS)
    assert not freshness.has_product(path, {"step": 1.0}, KEY_INPUTS)


def test_reasons_why_a_product_is_stale(freshness, tmp_path):
    path = write_product(freshness)
    other_inputs = {"pulses": "5678"}
    assert why_stale(freshness, tmp_path / "none.nxs") == "not made yet"
    assert why_stale(freshness, path, {"step": 1.0}) == "config changed (step)"
    assert why_stale(freshness, path, inputs=other_inputs) == (
        "inputs changed (pulses)"
    )
    assert why_stale(freshness, path, {"step": 1.0}, other_inputs) == (
        "config changed (step), inputs changed (pulses)"
    )
    assert freshness.summary.warnings == []


def test_force_makes_all_products_stale(tmp_path):
    freshness = open_freshness(tmp_path, force=True)
    path = write_product(freshness)
    assert why_stale(freshness, path) == "--force"
    assert why_stale(freshness, tmp_path / "none.nxs") == "not made yet"


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"text"])
def test_a_damaged_product_is_reported(freshness, content):
    path = write_product(freshness)
    path.write_bytes(content)
    assert why_stale(freshness, path) == "damaged"
    assert freshness.summary.warnings == [
        f"{path}: damaged, or not a product of rixs-pipeline; it is regenerated"
    ]


def test_products_of_another_version_are_reported_in_one_line(freshness, tmp_path):
    products = [
        write_product(freshness, f"scans/{n}.nxs", program_version="0.0.1+abc")
        for n in range(3)
    ]
    for path in products:
        assert why_stale(freshness, path) == "program version changed"
    (warning,) = freshness.summary.warnings
    assert warning.startswith(f"{tmp_path}: products of another version")
    assert f"0.0.1+abc, now {provenance.code_version()}" in warning


def test_a_product_that_was_made_just_now_is_there(freshness, tmp_path):
    path = tmp_path / "scans/scan0001.nxs"
    freshness.keys[path] = {}
    assert freshness.has_product(path, KEY_OPTIONS, KEY_INPUTS)


def test_figures_that_changed_or_are_missing_are_not_as_they_were_drawn(freshness):
    shows = {f"figures/{name}.png": name for name in ("same", "changed", "missing")}
    freshness.summary.previous["figures"]["LMR-Co_L"] = {"shows": shows}
    for file in shows:
        path = freshness.out / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"drawn")
        freshness.record(path)
    (freshness.out / "figures/changed.png").write_bytes(b"other")
    (freshness.out / "figures/missing.png").unlink()
    drawn = {"figures/same.png": "same"}
    assert freshness.drawn_figures("LMR-Co_L figures") == drawn
    assert freshness.drawn_figures("LMR-O_K figures") == {}


def test_keys_do_not_depend_on_the_order_of_options(freshness):
    first = freshness.key({"a": 1, "b": 2}, {"x": "1", "y": "2"})
    second = freshness.key({"b": 2, "a": 1}, {"y": "2", "x": "1"})
    assert first == second
    assert first["config_hash"] != freshness.key({"a": 1}, {})["config_hash"]


def test_products_of_an_earlier_run_are_reported(freshness):
    used = write_product(freshness, "scans/scan0001.nxs")
    old = write_product(freshness, "scans/scan0002.nxs")
    freshness.keys[used] = {}
    freshness.warn_leftovers()
    assert freshness.summary.warnings == [
        f"{old}: product of an earlier run, not used; delete it if no longer needed"
    ]
    assert freshness.summary.leftovers == ["scans/scan0002.nxs"]


def test_comparisons_that_are_no_longer_in_the_config_are_reported(tmp_path):
    freshness = open_freshness(tmp_path, until="report")
    used = write_product(freshness, "scans/scan0001.nxs")
    write_product(freshness, "comparisons/heating-Co_L.nxs")
    freshness.keys[used] = {}
    freshness.warn_leftovers()
    assert freshness.summary.leftovers == ["comparisons/heating-Co_L.nxs"]


def test_photons_that_are_no_longer_kept_are_reported(tmp_path):
    freshness = open_freshness(tmp_path, until="report")
    (tmp_path / "photons").mkdir()
    (tmp_path / "photons/scan0001.h5").touch()
    freshness.warn_leftovers()
    assert freshness.summary.leftovers == ["photons/scan0001.h5"]


@pytest.mark.parametrize(("until", "is_complete"), [("report", True), ("xas", False)])
def test_figures_that_no_set_has_are_reported(tmp_path, until, is_complete):
    files = [
        "maps/LMR-Co_L-map.png",
        "maps/LMR-Co_L-map.pdf",
        "maps/Heated-Co_L-map.png",
        "maps/notes.txt",
        "reference_runs/cal0000-pixel013.png",
        "mine/LMR.png",
    ]
    for name in files:
        path = tmp_path / "figures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    freshness = open_freshness(tmp_path, until=until)
    summary = freshness.summary
    shows = {"figures/maps/LMR-Co_L-map.pdf": "digest"}
    deleted_at_the_end = {"figures/maps/Heated-Co_L-map.png": "digest"}
    summary.figures["LMR-Co_L map"] = {"shows": shows}
    summary.previous["figures"]["Heated-Co_L map"] = {"shows": deleted_at_the_end}
    freshness.warn_leftovers()
    assert summary.leftovers == ["figures/maps/LMR-Co_L-map.png"] * is_complete


def test_a_digest_of_pulses_covers_the_time_of_the_run_alone(freshness, tmp_path):
    at = points(n=2)
    time = np.array([at.start_ns[0] + 10**6, at.end_ns[-1] - 10**6])
    file = write_off(tmp_path / "x_chan3.off", time, [777.0, 778.0])
    before = freshness.pulse_digest(scan([file], at))
    later = points(n=2, start_s=5000.0)
    assert freshness.pulse_digest(scan([file], later)) != before
    longer = np.append(time, later.start_ns[0])
    write_off(file, longer, [777.0, 778.0, 779.0])
    assert open_freshness(tmp_path).pulse_digest(scan([file], later)) != before


def test_an_unreadable_pulse_file_is_left_to_the_run_that_needs_it(freshness, tmp_path):
    run = scan([tmp_path / "x_chan3.off"])
    freshness.read_pulses([run])
    with pytest.raises(InputError, match="x_chan3"):
        freshness.pulse_digest(run)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('{"warnings": ["no beam"], "photons": 5}', {"warnings", "photons"}),
        ('{"warnings": 5}', set()),
        ('{"corrections": [{"name": 1}]}', set()),
        ("[1]", set()),
        ("{", set()),
        ("[" * 100_000, set()),
    ],
)
def test_facts_that_are_not_as_expected_are_no_facts(freshness, tmp_path, text, facts):
    path = write_product(freshness, facts=text)
    assert why_stale(freshness, path) == ""
    assert freshness.facts(path).keys() == facts
