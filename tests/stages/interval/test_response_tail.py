import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.core.response.tail_fit import TailFit
from rixs_pipeline.stages.interval.response_tail import (
    ATTRIBUTES,
    CORRELATION,
    FRACTION,
    FRACTION_ERRORS,
    LENGTH,
    LENGTH_ERRORS,
    NO_TAILS,
    average_tail_over_pixels,
    average_tail_over_scans,
    tail_attributes,
    tails_between_reference_runs,
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
    tails = tails_between_reference_runs([CALIBRATION])
    tail = average_tail_over_pixels(scan(), tails)
    first = (3 * 0.1 + 0.2) / 4
    assert tail[FRACTION] == pytest.approx(0.75 * first + 0.25 * 0.2)
    mean_loss = 0.75 * (3 * 0.1 * 10 + 0.2 * 20) / 4 + 0.25 * 0.2 * 30
    assert tail[LENGTH] == pytest.approx(mean_loss / tail[FRACTION]), (
        "the mean loss stays"
    )
    assert tail[FRACTION_ERRORS] == pytest.approx(0.15 * tail[FRACTION])


def test_the_array_together_has_the_tail_of_its_added_spectra() -> None:
    """Single lines say how pixels differ; their scale is that of the joint fit."""
    covariance = np.array([[0.01**2, 0.5 * 0.01 * 0.1], [0.5 * 0.01 * 0.1, 0.1**2]])
    fit = tail_attributes(TailFit(0.3, 25.0, covariance))
    assert fit[LENGTH_ERRORS] == pytest.approx(2.5)
    tails = tails_between_reference_runs([CALIBRATION.assign_attrs(fit)])
    by_counts = average_tail_over_pixels(scan(photons=(4, 5, 0)), tails)
    for name in ATTRIBUTES:
        assert by_counts[name] == pytest.approx(fit[name]), name
    first, second = (tails.by_pixel[pixel].fraction for pixel in (1, 3))
    assert first / second == pytest.approx((3 * 0.1 + 0.2) / 4 / 0.2)


def test_two_reference_runs_are_averaged_by_their_precision() -> None:
    precise = TailFit(0.16, 20.0, np.diag([0.01**2, 0.1**2]))
    rough = TailFit(0.20, 30.0, np.diag([0.10**2, 1.0]))
    products = [CALIBRATION.assign_attrs(tail_attributes(f)) for f in (precise, rough)]
    tail = average_tail_over_pixels(scan(), tails_between_reference_runs(products))
    alone = average_tail_over_pixels(scan(), tails_between_reference_runs(products[:1]))
    assert tail[FRACTION] == pytest.approx(alone[FRACTION], rel=0.01)
    assert tail[FRACTION_ERRORS] < alone[FRACTION_ERRORS]
    assert tail[CORRELATION] == pytest.approx(0.0, abs=1e-9)


def test_without_a_joint_fit_the_attributes_are_nan() -> None:
    assert np.isnan(list(tail_attributes(None).values())).all()
    assert tails_between_reference_runs([]) is NO_TAILS


def test_without_a_fit_the_tail_is_nan() -> None:
    unfitted = calibration(*[np.full((3, 2), np.nan)] * 2, np.zeros((3, 2)))
    assert all(
        np.isnan(v)
        for v in average_tail_over_pixels(
            scan(), tails_between_reference_runs([unfitted])
        ).values()
    )
    assert average_tail_over_scans([scan(), scan(tail_fraction=np.nan)]) == {}


def test_a_map_has_the_mean_of_its_scans_by_photons() -> None:
    scans = [
        scan((30, 0, 0), **dict.fromkeys(ATTRIBUTES, 1.0)),
        scan((10, 0, 0), **dict.fromkeys(ATTRIBUTES, 5.0)),
        scan(),
    ]
    assert average_tail_over_scans(scans) == dict.fromkeys(ATTRIBUTES, 2.0)
