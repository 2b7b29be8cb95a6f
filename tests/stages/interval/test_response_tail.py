import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.interval.response_tail import (
    FRACTION,
    FRACTION_ERRORS,
    LENGTH,
    average_tail_over_lines,
    average_tail_over_pixels,
    average_tail_over_scans,
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


CALIBRATION = calibration(
    [[0.1, 0.2], [0.2, np.nan], [0.4, 0.4]],
    [[10, 20], [30, np.nan], [99, 99]],
    [[3, 1], [5, 0], [9, 9]],
)


def test_means_over_lines_by_counts_and_over_pixels_by_photons() -> None:
    tail = average_tail_over_pixels(scan(), average_tail_over_lines([CALIBRATION]))
    first = (3 * 0.1 + 0.2) / 4
    assert tail[FRACTION] == pytest.approx(0.75 * first + 0.25 * 0.2)
    mean_loss = 0.75 * (3 * 0.1 * 10 + 0.2 * 20) / 4 + 0.25 * 0.2 * 30
    assert tail[LENGTH] == pytest.approx(mean_loss / tail[FRACTION]), (
        "the mean loss stays"
    )
    assert tail[FRACTION_ERRORS] > 0.15 * tail[FRACTION]


def test_without_a_fit_the_tail_is_nan() -> None:
    unfitted = calibration(*[np.full((3, 2), np.nan)] * 2, np.zeros((3, 2)))
    assert all(
        np.isnan(v)
        for v in average_tail_over_pixels(
            scan(), average_tail_over_lines([unfitted])
        ).values()
    )
    assert average_tail_over_scans([scan(), scan(tail_fraction=np.nan)]) == {}


def test_a_map_has_the_mean_of_its_scans_by_photons() -> None:
    scans = [
        scan((30, 0, 0), **dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), 1.0)),
        scan((10, 0, 0), **dict.fromkeys((FRACTION, FRACTION_ERRORS, LENGTH), 5.0)),
        scan(),
    ]
    assert average_tail_over_scans(scans) == dict.fromkeys(
        (FRACTION, FRACTION_ERRORS, LENGTH), 2.0
    )
