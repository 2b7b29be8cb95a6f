import os
import shutil

import h5py
import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.io.formats import off
from rixs_pipeline.stages.scan.count_scans import count_scans
from tests.runner.reductions import SCANS, assert_equal, executed


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


def without_pulses(small):
    """The beamtime with pulses of zero height; file sizes and times are unchanged."""
    for path in small.beamtime.rglob("*.off"):
        status, header = path.stat(), off.read_header(path)
        records = np.memmap(
            path, header.record_dtype, "r+", header.data_offset, (header.n_records,)
        )
        records["coefs"] = 0
        records.flush()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


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
