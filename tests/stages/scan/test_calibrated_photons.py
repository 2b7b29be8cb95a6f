"""Photons that were kept, counted into other bins, beside the pulses counted into these."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.maps.binning import emission_edges
from rixs_pipeline.io import photon_store as kept_photons
from rixs_pipeline.stages.scan import calibrated_photons as photons
from rixs_pipeline.stages.scan.count_pulses import BinTask, add_blocks, bin_block
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from tests.stages.builders import LIMITS, params, points, scan, write_off

GOOD = PixelEnergy(
    "ok",
    (params(), params(3.0)),
    LIMITS,
    (1000.0, 1010.0),
    alignment=1e-3,
    alignment_error=1e-4,
)
BAD = PixelEnergy("dead")


def blocks(folder, seed, edges, keep):
    """Two blocks of two pixels, of which one is not used; some pulses are taken by cuts."""
    rng, at = np.random.default_rng(seed), points()
    both = []
    for k, pixels in enumerate(((1, 2), (10, 30))):
        files = []
        for pixel in pixels:
            time = np.sort(
                rng.integers(at.start_ns[0] - 10**9, at.end_ns[-1] + 10**9, 300)
            )
            files.append(
                write_off(
                    folder / f"x_chan{pixel}.off", time, rng.uniform(450, 1050, 300)
                )
            )
        task = BinTask(tuple(files), (GOOD, BAD if k else GOOD), at, edges, 1.0)
        both.append(replace(task, keep=folder / f"part{k}") if keep else task)
    return scan(at=at), [bin_block(task) for task in both]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.3, 0.5]), st.integers(1, 500))
def test_other_bins_count_as_the_pulses_do(tmp_path, seed, step, at_once):
    wide, other = (
        emission_edges((500.0, 1000.0), 0.5),
        emission_edges((600.0, 600.0 + 1000 * step), step),
    )
    functions = (GOOD, GOOD, GOOD, BAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_photons, "AT_ONCE", at_once)
        run, (first, second) = blocks(tmp_path, seed, wide, keep=True)
        parts = [tmp_path / "part0", tmp_path / "part1"]
        path = tmp_path / "photons" / "scan0001.h5"
        number = photons.write(
            path, run, add_blocks(first, second), functions, parts, {}
        )
        found, again = photons.read(path, other)
    expected = add_blocks(*blocks(tmp_path, seed, other, keep=False)[1])
    assert (
        number == first.accepted.sum() + second.accepted.sum() > found.counts.sum() > 0
    )
    for field in fields(expected):
        np.testing.assert_array_equal(
            getattr(found, field.name),
            getattr(expected, field.name),
            err_msg=field.name,
        )
    assert [f.used for f in again] == [True, True, True, False]
    assert [(f.status, f.alignment) for f in again] == [
        (f.status, f.alignment) for f in functions
    ]
