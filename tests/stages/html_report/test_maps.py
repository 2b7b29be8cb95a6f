"""Maps as the report has them."""

import base64
import zlib

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import Config
from rixs_pipeline.stages.html_report.maps import packed_map


def rixs_map(counts, incident=(770.0, 772.0, 771.0)):
    edges = 700.0 + 0.5 * np.arange(counts.shape[1] + 1)
    point = "incident_energy"
    return xr.Dataset(
        {
            "counts": ((point, "emission_energy"), counts),
            "exposure": (point, [1.0, 2.0, 0.0]),
            "exposure_errors": (point, [0.1, 0.1, 0.0]),
            "emission_energy_edges": ("emission_energy_edge", edges),
        },
        coords={point: list(incident), "emission_energy": (edges[1:] + edges[:-1]) / 2},
        attrs={"sample": "A", "edge": "Co_L"},
    )


def unpacked(packed):
    content = zlib.decompress(base64.b64decode(packed["packed"]))
    counts = np.frombuffer(content, f"<u{packed['item_bytes']}")
    return counts.reshape(-1, packed["n_bins"])


@pytest.mark.parametrize("largest, n_bytes", [(200, 1), (300, 2), (70_000, 4)])
def test_counts_are_packed_in_order_of_incident_energy(largest, n_bytes):
    counts = np.zeros((3, 200), np.int64)
    counts[0, 50], counts[1, 60], counts[2, 99] = 1, 2, largest
    packed = packed_map(rixs_map(counts), Config())
    assert packed["item_bytes"] == n_bytes
    assert packed["first_bin"] == 50
    np.testing.assert_array_equal(unpacked(packed), counts[[0, 2, 1], 50:100])
    assert packed["incident"] == [770.0, 771.0, 772.0]
    assert packed["relative_errors"] == [0.1, 0.0, 0.05]


def test_nearly_all_photons_are_shown():
    counts = np.zeros((3, 200), np.int64)
    counts[:, 60:80] = 5
    assert packed_map(rixs_map(counts), Config())["shown"] == [720.0, 750.0]


def test_a_map_without_photons_is_packed_too():
    packed = packed_map(rixs_map(np.zeros((3, 20), np.int64)), Config())
    assert unpacked(packed).sum() == 0
    assert packed["shown"] == [700.0, 710.0]


def test_regions_that_limits_describe_are_offered():
    regions = {
        "P": {
            "kind": "pfy",
            "emission": [770, 790],
            "background": {"kind": "constant"},
        },
        "X": {"kind": "xes", "cuts": [780.0, 785.0]},
        "polygon": {"kind": "pfy", "polygon": [[770, 700], [780, 700], [775, 720]]},
        "inverse": {"kind": "ipfy"},
        "of_oxygen": {"kind": "pfy", "edge": "O_K"},
    }
    config = Config.model_validate({"regions": regions})
    counts = np.ones((3, 20), np.int64)
    offered = packed_map(rixs_map(counts), config)["regions"]
    assert [region["name"] for region in offered] == [
        "P (no background)",
        "X_780",
        "X_785",
    ]
    assert offered[0]["region"]["emission"] == [770, 790]
    assert offered[1]["region"]["cut"] == 780.0


def test_the_efficiency_of_the_detector_is_kept():
    config = Config.model_validate(
        {"normalise": {"efficiency": [[700, 0.5], [710, 1.0]]}}
    )
    packed = packed_map(rixs_map(np.ones((3, 20), np.int64)), config)
    assert len(packed["efficiency"]) == 20
    assert packed["efficiency"][0] == pytest.approx(0.5125)
