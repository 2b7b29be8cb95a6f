"""Calibrated photons counted into other bins, compared with the pulses."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.maps.binning import emission_edges
from rixs_pipeline.core.maps.scan_counts import merge_blocks
from rixs_pipeline.io import photon_store
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.calibrated_photons import (
    count_calibrated_photons,
    write_calibrated_photons,
)
from rixs_pipeline.stages.scan.count_pulses import CountTask, count_block
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from tests.stages.builders import CUTS, DEAD, OK, params, points, scan, write_off

GOOD = PixelEnergy(
    OK,
    (params(), params(3.0)),
    CUTS,
    (1000.0, 1010.0),
    alignment=1e-3,
    alignment_error=1e-4,
)
BAD = PixelEnergy(DEAD)


def count_blocks(folder, seed, edges, keep):
    """Return a scan and the counts of two blocks of its pixels.

    One of four pixels is not used; cuts reject some of the pulses.
    """
    rng, scan_points = np.random.default_rng(seed), points()
    first_ns, last_ns = scan_points.start_ns[0], scan_points.end_ns[-1]
    blocks = []
    for k, (pixels, energies) in enumerate(
        [((1, 2), (GOOD, GOOD)), ((10, 30), (GOOD, BAD))]
    ):
        files = []
        for pixel in pixels:
            time = np.sort(rng.integers(first_ns - 10**9, last_ns + 10**9, 300))
            energy = rng.uniform(450, 1050, 300)
            files.append(write_off(folder / f"x_chan{pixel}.off", time, energy))
        task = CountTask(tuple(files), energies, scan_points, edges, 1.0)
        if keep:
            task = replace(task, photon_part=folder / f"part{k}")
        blocks.append(count_block(task))
    return scan(at=scan_points), blocks


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.3, 0.5]), st.integers(1, 500))
def test_other_bins_count_as_the_pulses_do(tmp_path, seed, step, at_once):
    map_edges = emission_edges((500.0, 1000.0), 0.5)
    other_edges = emission_edges((600.0, 600.0 + 1000 * step), step)
    energies = (GOOD, GOOD, GOOD, BAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photon_store, "MAX_PHOTONS", at_once)
        run, blocks = count_blocks(tmp_path, seed, map_edges, keep=True)
        counts = merge_blocks(*blocks)
        parts = [tmp_path / "part0", tmp_path / "part1"]
        path = tmp_path / "photons" / "scan0001.h5"
        counted = CountedScan(run, counts, energies)
        number = write_calibrated_photons(path, counted, parts, {})
        recounted = count_calibrated_photons(run, path, other_edges)
    _, blocks = count_blocks(tmp_path, seed, other_edges, keep=False)
    expected = merge_blocks(*blocks)
    assert number == counts.accepted.sum() > recounted.counts.map_counts.sum() > 0
    for field in fields(expected):
        np.testing.assert_array_equal(
            getattr(recounted.counts, field.name),
            getattr(expected, field.name),
            err_msg=field.name,
        )
    assert recounted.is_used.tolist() == [True, True, True, False]
    for before, after in zip(energies, recounted.energies, strict=True):
        assert (after.status, after.alignment) == (before.status, before.alignment)
