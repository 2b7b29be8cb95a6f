"""Maps of passes as they are read: those of the products, with or without counts."""

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io import nexus
from rixs_pipeline.stages.sample.pass_maps import COUNTS, DESCRIPTIONS, NOT_ADDED
from tests.stages.contexts import make_context
from tests.stages.sample.cobalt_scans import scan, with_pixels


@pytest.mark.parametrize("with_counts", [True, False])
def test_passes_are_those_of_the_products(tmp_path, with_counts):
    scan_paths = [tmp_path / "scans" / f"scan000{number}.nxs" for number in (1, 2)]
    for number, path in enumerate(scan_paths):
        rixs_map = with_pixels(scan(number, name=path.stem), seed=1, spread=1e-4)
        rixs_map = rixs_map.assign(throughput=("pixel", np.ones(8)))
        intensity = rixs_map[COUNTS] / rixs_map["exposure"]
        rixs_map = rixs_map.assign(intensity=intensity, intensity_errors=intensity)
        nexus.write_product(path, {"entry": rixs_map}, {}, COUNTS)
    without = {*NOT_ADDED, *DESCRIPTIONS} | (set() if with_counts else {COUNTS})
    assert "throughput" in without and "misalignment" not in without
    expected = [nexus.read_entry(path, without=without) for path in scan_paths]
    for _ in range(2):  # from the products, and from the cache
        context = make_context(tmp_path)
        digests = context.file_digests(scan_paths)
        for _ in range(2):  # and from the memory
            passes = context.pass_maps.read(digests, with_counts=with_counts)
            for read, scan_map in zip(passes, expected, strict=True):
                xr.testing.assert_identical(read, scan_map)


def test_counts_are_not_left_where_they_are_not_wanted(tmp_path):
    path = tmp_path / "scan0001.nxs"
    nexus.write_product(path, {"entry": scan(1)}, {}, COUNTS)
    context = make_context(tmp_path)
    for with_counts in (True, False, True):
        (rixs_map,) = context.pass_maps.read(
            context.file_digests([path]), with_counts=with_counts
        )
        assert (COUNTS in rixs_map) is with_counts


def test_a_product_that_was_made_again_is_read_again(tmp_path):
    path = tmp_path / "scan0001.nxs"
    context = make_context(tmp_path)
    for seed in (1, 2):
        written = scan(seed)
        nexus.write_product(path, {"entry": written}, {}, COUNTS)
        (rixs_map,) = context.pass_maps.read(
            context.file_digests([path]), with_counts=False
        )
        assert np.array_equal(rixs_map["i0"].values, written["i0"].values)


@pytest.mark.parametrize("is_read_before", [True, False])
def test_photons_are_those_of_the_points(tmp_path, is_read_before):
    path = tmp_path / "scan0001.nxs"
    written = scan(1)
    nexus.write_product(path, {"entry": written}, {}, COUNTS)
    context = make_context(tmp_path)
    digests = context.file_digests([path])
    if is_read_before:
        context.pass_maps.read(digests, with_counts=True)
    photons = context.pass_maps.photons(path, digests[path])
    assert np.array_equal(photons, written[COUNTS].values.sum(axis=1))
