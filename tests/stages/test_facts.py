"""Facts that run.json states."""

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.facts import PixelCount, calibration_facts, scan_facts

CUTS = {
    "cut": ("cut", np.array(["all", "finite"], dtype=object)),
    "cut_counts": (("pixel", "cut"), [[5, 4], [0, 0], [7, 7]]),
}


def test_calibration():
    status = np.array(["ok", "dead: no pulses", "ok"], dtype=object)
    dataset = xr.Dataset(
        {
            "pixel": ("pixel", [1, 3, 5]),
            "status": ("pixel", status),
            "line_name": ("line", np.array(["C_Ka"], dtype=object)),
            "line_residual": (("pixel", "line"), [[0.5], [np.nan], [0.3]]),
            "line_residual_errors": (("pixel", "line"), [[0.3], [np.nan], [0.4]]),
            "line_width": (("pixel", "line"), [[2.5], [np.nan], [2.7]]),
            "line_width_errors": (("pixel", "line"), [[0.3], [np.nan], [0.4]]),
            "resolution": ("pixel", [np.nan, 9.0, 1.9]),
            "resolution_errors": ("pixel", [np.nan, 1.0, 0.1]),
            **CUTS,
        }
    )
    assert calibration_facts(dataset) == {
        "pixels_ok": 2,
        "pixels_live": 2,
        "pixels_bad": {3: "dead: no pulses"},
        "lines": ["C_Ka"],
        "line_residuals": {"C_Ka": [0.4, 0.25]},
        "line_widths": {"C_Ka": [2.6, 0.25]},
        "resolution": [1.9, 0.1],
        "results": [
            "lines - reference: C_Ka +0.40 +- 0.25 eV",
            "resolution (FWHM): 1.90 +- 0.10 eV",
            "widths of lines (FWHM): C_Ka 2.60 +- 0.25 eV",
        ],
        "cuts": {"all": 12, "finite": 11},
    }


@pytest.mark.parametrize(("offset", "expected"), [(np.nan, None), (0.123456, 0.1235)])
def test_scan(offset, expected):
    status = np.array(["ok: cal0000 alone", "ok: cal0000 alone", "dead"], dtype=object)
    dataset = xr.Dataset(
        {
            "pixel_status": ("pixel", status),
            "pixel": [1, 3, 9],
            "counts": (("incident_energy", "bin"), [[1, 2], [3, 4]]),
            "point_status": ("incident_energy", [0, 1]),
            **CUTS,
        },
        attrs={
            "sample": "LMR",
            "edge": "Co_L",
            "elastic_offset": offset,
            "elastic_offset_errors": offset,
        },
    )
    facts = scan_facts(dataset)
    assert (facts["photons"], facts["points"], facts["points_used"]) == (10, 2, 1)
    assert facts["elastic_offset"] == facts["elastic_offset_errors"] == expected
    assert facts["pixels"] == {"ok: cal0000 alone": 2, "dead": 1}
    assert (facts["pixels_used"], facts["pixels_live"]) == (2, 2)
    assert facts["pixels_bad"] == {9: "dead"}


@pytest.mark.parametrize("bad", range(5))
def test_loss_of_more_than_half_of_the_live_pixels(bad):
    statuses = ["ok"] * (4 - bad) + ["noisy: 5 eV"] * bad
    statuses += ["dead: no pulses", "excluded by the config", "no pulses in this scan"]
    statuses += ["not among the best resolved pixels: 4 used"]
    pixels = PixelCount.of(statuses)
    assert (pixels.live, pixels.used) == (4, 4 - bad)
    expected = [
        f"scan0001: {bad} of 4 live pixels lost, most of them because: noisy: 5 eV"
    ]
    assert pixels.losses("scan0001") == (expected if bad > 2 else [])
