import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.scan.response import (
    FRACTION,
    FRACTION_ERRORS,
    LENGTH,
    map_response,
    pixel_tails,
    scan_response,
)


def calibration(fractions, lengths, counts, status=("ok", "ok", "noisy")) -> xr.Dataset:
    dims = ("pixel", "line")
    return xr.Dataset(
        {
            "pixel": ("pixel", [1, 3, 5]),
            "status": ("pixel", np.array(status, dtype=object)),
            "tail_fraction": (dims, np.array(fractions, float)),
            "tail_length": (dims, np.array(lengths, float)),
            "line_counts": (dims, np.array(counts, float)),
        }
    )


def scan(photons=(300, 100, 50), **attributes) -> xr.Dataset:
    return xr.Dataset(
        {
            "pixel": ("pixel", [1, 3, 5]),
            "pixel_counts": ("pixel", list(photons)),
            "counts": (
                ("incident_energy", "emission_energy"),
                [[sum(photons), 0], [7, 7]],
            ),
            "point_status": ("incident_energy", [0, 1]),
        },
        attrs=attributes,
    )


ONE = calibration(
    [[0.1, 0.2], [0.2, np.nan], [0.4, 0.4]],
    [[10, 20], [30, np.nan], [99, 99]],
    [[3, 1], [5, 0], [9, 9]],
)


def test_means_over_lines_by_counts_and_over_pixels_by_photons() -> None:
    found = scan_response(scan(), pixel_tails([ONE]))
    first = (3 * 0.1 + 0.2) / 4
    assert found[FRACTION] == pytest.approx(0.75 * first + 0.25 * 0.2)
    lost = 0.75 * (3 * 0.1 * 10 + 0.2 * 20) / 4 + 0.25 * 0.2 * 30
    assert found[LENGTH] == pytest.approx(lost / found[FRACTION]), "the mean loss stays"
    assert found[FRACTION_ERRORS] > 0.15 * found[FRACTION]


def test_without_a_fit_it_is_not_known() -> None:
    none = calibration(*[np.full((3, 2), np.nan)] * 2, np.zeros((3, 2)))
    assert all(np.isnan(v) for v in scan_response(scan(), pixel_tails([none])).values())
    assert map_response([scan(), scan(tail_fraction=np.nan)]) == {}


def test_a_map_has_the_mean_of_its_scans_by_photons() -> None:
    both = [
        scan((30, 0, 0), **dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), 1.0)),
        scan((10, 0, 0), **dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), 5.0)),
        scan(),
    ]
    assert map_response(both) == dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), 2.0)
