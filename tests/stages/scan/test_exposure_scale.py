import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io.nexus import write_product
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import (
    estimate_throughput,
    leading_scan,
    read_throughput,
)
from tests.stages.builders import points, scan
from tests.stages.scan.counts import BAD, DEAD, DWELL, GOOD, I0, N, scan_counts


def test_throughput_is_relative_to_the_mean_of_the_used_pixels():
    run = scan(at=points(N, DWELL))
    counts = scan_counts([[50] * N, [100] * N, [900] * N])
    found = estimate_throughput(CountedScan(run, counts, (GOOD, GOOD, BAD)), I0, {})
    rate = {1: 50 / (DWELL - 50 * DEAD), 3: 100 / (DWELL - 100 * DEAD)}
    mean = sum(rate.values()) / 2
    assert found == {
        pixel: pytest.approx(value / mean) for pixel, value in rate.items()
    }
    silent = CountedScan(run, scan_counts([[0] * N]), (GOOD,))
    assert estimate_throughput(silent, I0, {}) == {}


def test_throughput_of_a_scan_without_its_best_pixel_stays_on_the_scale_of_the_array():
    """The reference run shows how the remaining pixels compare with all of them."""
    run, counts = scan(at=points(N, DWELL)), scan_counts([[50] * N, [50] * N])
    brightness = {1: 100.0, 3: 100.0, 5: 400.0}
    counted = CountedScan(run, counts, (GOOD, GOOD))
    found = estimate_throughput(counted, I0, brightness)
    assert found == {1: pytest.approx(0.5), 3: pytest.approx(0.5)}


def test_the_first_complete_scan_with_pulses_leads_its_sample_and_edge(tmp_path):
    files = [tmp_path / "x_chan1.off"]
    aborted = scan(files, name="aborted", complete=False)
    no_pulses = scan(name="no pulses")
    other_sample = scan(files, name="other", sample="NMC")
    first, second = scan(files, name="first"), scan(files, name="second")
    scans = [aborted, no_pulses, other_sample, first, second]
    assert leading_scan(scans, second) is first
    assert leading_scan(scans, other_sample) is other_sample
    assert leading_scan([aborted, no_pulses], no_pulses) is aborted
    assert leading_scan([no_pulses], no_pulses) is no_pulses


def test_throughput_is_read_from_the_map_of_the_leading_scan(tmp_path):
    product = xr.Dataset(
        {
            "pixel": ("pixel", [1, 3]),
            "throughput": ("pixel", [0.8, 1.2]),
            "pixel_status": ("pixel", np.array(["ok: cal1", "dead"], dtype=object)),
        }
    )
    path = tmp_path / "scan0001.nxs"
    write_product(path, {"entry": product}, {}, "throughput")
    assert read_throughput(path) == {1: 0.8}
    path.write_bytes(b"damaged")
    assert read_throughput(path) is None
