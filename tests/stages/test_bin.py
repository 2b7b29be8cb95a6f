import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.io.caches.file_status import file_status
from rixs_pipeline.io.formats import off
from rixs_pipeline.stages.bin import Bin
from rixs_pipeline.stages.scan.count_scans import count_scans
from tests.runner.reductions import SCANS, assert_equal, executed
from tests.stages.contexts import (
    add_calibration,
    make_context,
    numbered_scan,
    reference_run,
)

KEEP = {"map": {"keep_photons": True}}
LEADING = numbered_scan(1, 1000.0)
LATER = numbered_scan(2, 1100.0)
REFERENCE_RUNS = (reference_run(0, 500.0), reference_run(5, 1500.0))
RUNS = (REFERENCE_RUNS[0], LEADING, LATER, REFERENCE_RUNS[1])


def make_stage(out, config=None, runs=RUNS, shift=0.0):
    """Return the stage with calibrations; `shift` (eV) is a gain jump of pixel 3."""
    context = make_context(out, runs, config)
    add_calibration(context, REFERENCE_RUNS[0], {1: 0.0, 3: 0.0})
    add_calibration(context, REFERENCE_RUNS[1], {1: 0.0, 3: shift})
    return Bin(context)


def by_name(stage):
    return {product.name: product for product in stage.products()}


def changed_parts(before, after):
    return {name for name in before if before[name] != after[name]}


def test_maps_of_leading_scans_come_first_and_photons_last(tmp_path):
    early = numbered_scan(7, 900.0, complete=False)
    stage = make_stage(tmp_path, KEEP, (REFERENCE_RUNS[0], early, *RUNS[1:]))
    assert list(by_name(stage)) == [
        "scan0001",
        "scan0007",
        "scan0002",
        "scan0007 photons",
        "scan0001 photons",
        "scan0002 photons",
    ]


def test_photons_are_kept_only_where_the_config_asks_for_it(tmp_path):
    assert list(by_name(make_stage(tmp_path))) == ["scan0001", "scan0002"]
    runs = (numbered_scan(1, photon_list=tmp_path / "photons.npz"),)
    assert list(by_name(make_stage(tmp_path, KEEP, runs))) == ["scan0001"]


@pytest.mark.parametrize(
    ("change", "of_map", "of_photons"),
    [
        ({"map": {"step": 1.0}}, {"map"}, set()),
        ({"map": {"emission": [300, 900]}}, {"map"}, set()),
        ({"map": {"best_pixels": {"Co_L": 2}}}, {"best_pixels"}, {"best_pixels"}),
        ({"map": {"best_pixels": {"O_K": 2}}}, set(), set()),
        ({"beamtime": {"exclude": {"pixels": [3]}}}, {"pixels"}, {"pixels"}),
        ({"beamtime": {"exclude": {"points": {2: [0]}}}}, {"points"}, set()),
        ({"beamtime": {"exclude": {"points": {1: [0]}}}}, set(), set()),
        ({"calibration": {"align": False}}, {"align"}, {"align"}),
        ({"calibration": {"reference": "elam"}}, {"reference"}, set()),
        ({"normalise": {"i0": None}}, {"normalise"}, set()),
        ({"normalise": {"i0_noise": 0.05}}, set(), set()),  # of combining
        ({"map": {"incident": [765, 805], "incident_step": 1}}, set(), set()),
        ({"execution": {"workers": 7}}, set(), set()),
    ],
    ids=str,
)
def test_options_that_change_maps_and_photons(tmp_path, change, of_map, of_photons):
    keep = KEEP["map"]
    before = make_stage(tmp_path, KEEP)
    after = make_stage(tmp_path, change | {"map": change.get("map", {}) | keep})
    for name, expected in (("scan0002", of_map), ("scan0002 photons", of_photons)):
        product = by_name(before)[name]
        changes = changed_parts(before.options(product), after.options(product))
        assert changes == expected


def test_the_reference_i0_is_an_option_of_every_map(tmp_path):
    readings = {"i0": np.full(4, 2.0)}
    runs = (*RUNS[:1], numbered_scan(1, 1000.0, readings=readings), *RUNS[2:])
    before, after = make_stage(tmp_path), make_stage(tmp_path, runs=runs)
    product = by_name(before)["scan0002"]
    changes = changed_parts(before.options(product), after.options(product))
    assert changes == {"i0_ref"}
    assert after.options(product)["i0_ref"] == 2.0


def test_pulses_log_and_calibrations_are_inputs(tmp_path):
    stage = make_stage(tmp_path)
    product = by_name(stage)["scan0002"]
    before = stage.inputs(product)
    stage.context.products.pulses["scan0002"] = "more pulses"
    assert changed_parts(before, stage.inputs(product)) == {"pulses"}
    path = paths.calibration_product(tmp_path, "cal0005")
    stage.context.products.add(path, key="changed")
    assert "reference runs" in changed_parts(before, stage.inputs(product))


def test_the_counts_of_the_leading_scan_are_an_input_of_the_others(tmp_path):
    stage = make_stage(tmp_path)
    products = by_name(stage)
    before = {name: stage.inputs(products[name]) for name in products}
    stage.context.products.pulses["scan0001"] = "more pulses"
    after = {name: stage.inputs(products[name]) for name in products}
    assert changed_parts(before["scan0002"], after["scan0002"]) == {
        "first scan of the sample"
    }
    assert changed_parts(before["scan0001"], after["scan0001"]) == {"pulses"}


def test_points_excluded_from_the_leading_scan_are_no_input_of_the_others(tmp_path):
    config = {"beamtime": {"exclude": {"points": {1: [0]}}}}
    before, after = make_stage(tmp_path), make_stage(tmp_path, config)
    product = by_name(before)["scan0002"]
    assert before.inputs(product) == after.inputs(product)


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_the_pulses_of_the_whole_interval_are_inputs(tmp_path, shift):
    before, after = (make_stage(tmp_path, KEEP, shift=shift) for _ in range(2))
    after.context.products.pulses["scan0001"] = "more pulses"
    product = by_name(before)["scan0002 photons"]
    assert changed_parts(before.inputs(product), after.inputs(product)) == {
        "other scans of the interval"
    }


@pytest.mark.parametrize("lead_is_there", [True, False])
def test_the_leading_scan_is_counted_again_only_where_it_has_to_be(
    small, reduced_small, monkeypatch, lead_is_there
):
    """Like a job of an array: one scan, next to the scan that sets the throughput."""
    (small.out / "scans/scan0002.nxs").unlink()
    if not lead_is_there:
        (small.out / "scans/scan0001.nxs").unlink()
    counted = []

    def record(context, calibrations, scans, **options):
        counted.extend(scan.name for scan in scans)
        return count_scans(context, calibrations, scans, **options)

    monkeypatch.setattr("rixs_pipeline.stages.scan.count_scans.count_scans", record)
    summary = small.run(until="bin", scans="2")
    assert summary.executed == ["scans/scan0002.nxs"]
    assert counted == ([] if lead_is_there else ["scan0001"]) + ["scan0002"]
    assert_equal(
        *(
            open_product(folder / "scans/scan0002.nxs")
            for folder in (small.out, reduced_small)
        )
    )


OTHER_BINS = {"emission": [300, 900], "step": 0.2}


LISTS = {f"photons/scan{n:04d}.h5" for n in (1, 2, 3, 4)}


def without_pulses(small):
    """The beamtime with pulses of zero height, taken for those that were digested."""
    store = small.out / paths.DIGEST_CACHE
    digests = json.loads(store.read_text())
    for path in small.beamtime.rglob("*.off"):
        header = off.read_header(path)
        records = np.memmap(
            path, header.record_dtype, "r+", header.data_offset, (header.n_records,)
        )
        records["coefs"] = 0
        records.flush()
        digests[str(path.resolve())]["status"] = list(file_status(path))
    store.write_text(json.dumps(digests))


@pytest.mark.parametrize(
    "scheduler",
    ["serial", "threads", pytest.param("processes", marks=pytest.mark.slow)],
)
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
        and "no calibrated photons; set `map: {keep_photons: true}`" in said.err
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


INTERVALS = (  # two that a reference run closes, and an open one
    reference_run(0, 500.0),
    numbered_scan(1, 1000.0),
    numbered_scan(2, 1100.0),
    reference_run(3, 1500.0),
    numbered_scan(4, 2000.0),
    numbered_scan(5, 2100.0),
    reference_run(6, 2500.0),
    numbered_scan(7, 3000.0),
    numbered_scan(8, 3100.0),
)


def scan_inputs(out, runs):
    """Return the inputs of the map of each scan, by name."""
    context = make_context(out, runs)
    for run in context.beamtime.calibrations:
        add_calibration(context, run, {1: 0.0, 3: 40.0 if run.number else 0.0})
    stage = Bin(context)
    return {name: stage.inputs(product) for name, product in by_name(stage).items()}


def changed_scans(before, after):
    common = before.keys() & after.keys()
    return {int(name[-4:]) for name in common if before[name] != after[name]}


@pytest.mark.parametrize(
    ("number", "allowed"), [(1, {2}), (2, {1}), (5, {4}), (7, {8}), (8, set())]
)
def test_leaving_out_a_scan_redoes_its_interval_alone(tmp_path, number, allowed):
    before = scan_inputs(tmp_path, INTERVALS)
    is_left_out = {f"scan{number:04d}"}
    runs = [run for run in INTERVALS if run.name not in is_left_out]
    assert changed_scans(before, scan_inputs(tmp_path, runs)) <= allowed


def renamed(run):
    return replace(run, sample="another sample")


def with_i0(run):
    return replace(run, readings={"i0": np.full(len(run.points), 2.0)})


def shortened(run):
    return replace(run, points=replace(run.points, end_ns=run.points.end_ns - 10**8))


@pytest.mark.parametrize(
    ("change", "companions"), [(renamed, True), (shortened, True), (with_i0, False)]
)
@pytest.mark.parametrize(
    ("number", "interval"),
    [(1, {1, 2}), (2, {1, 2}), (5, {4, 5}), (7, {7, 8}), (8, {8})],
)
def test_a_changed_log_redoes_scans_of_its_interval_alone(
    tmp_path, change, companions, number, interval
):
    """Readings do not count for the other scans, except those of the leading scan."""
    before = scan_inputs(tmp_path, INTERVALS)
    name = f"scan{number:04d}"
    runs = [change(run) if run.name == name else run for run in INTERVALS]
    changed = changed_scans(before, scan_inputs(tmp_path, runs))
    is_leading = number == min(interval)
    assert changed == (interval if companions or is_leading else {number})


def test_closing_an_interval_redoes_it_alone(tmp_path):
    before = scan_inputs(tmp_path, INTERVALS)
    runs = [*INTERVALS, reference_run(9, 3500.0)]
    assert changed_scans(before, scan_inputs(tmp_path, runs)) == {7, 8}
