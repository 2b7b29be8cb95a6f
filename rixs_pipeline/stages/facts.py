"""What run.json says of calibrations and scans."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import FloatArray, PixelStatus, are_ok

if TYPE_CHECKING:
    import xarray as xr


LOST_SHARE = 0.5  # of the live pixels: the loss of more is reported last, exit code 1


@dataclass(frozen=True)
class PixelCount:
    """How many pixels have pulses and were to be used, and how many are used.

    Attributes
    ----------
    live, used
        Numbers of pixels.
    reason
        Why most of the pixels that are lost are not used.
    """

    live: int
    used: int
    reason: str

    @classmethod
    def of(cls, statuses: Iterable[object]) -> "PixelCount":
        """Count the statuses that a product stores."""
        parsed = [PixelStatus.parse(str(status)) for status in statuses]
        live = [status for status in parsed if status.state.is_live]
        lost = Counter(str(status) for status in live if not status.is_ok)
        reason = lost.most_common(1)[0][0] if lost else ""
        return cls(len(live), len(live) - lost.total(), reason)

    def losses(self, name: str) -> list[str]:
        """Return a line if more than half of the live pixels of a run are lost."""
        lost = self.live - self.used
        if lost <= LOST_SHARE * self.live:
            return []
        return [
            f"{name}: {lost} of {self.live} live pixels lost, most of them because: "
            f"{self.reason}"
        ]


def calibration_facts(calibration: "xr.Dataset") -> dict[str, Any]:
    """Return the pixels' status, the lines and the cut flow of a calibration."""
    statuses = [str(status) for status in calibration["status"].values]
    not_ok = _bad_pixels(calibration, "status")
    residuals = _line_means(calibration, "line_residual")
    widths = _line_means(calibration, "line_width")
    resolution = _mean_over_pixels(calibration, "resolution")
    return {
        "pixels_ok": len(statuses) - len(not_ok),
        "pixels_live": PixelCount.of(statuses).live,
        "pixels_bad": not_ok,
        "lines": [str(name) for name in calibration["line_name"].values],
        "line_residuals": residuals,
        "line_widths": widths,
        "resolution": resolution,
        "results": [
            *_in_words("lines - reference", residuals, "+.2f"),
            *_in_words("resolution (FWHM)", {"": resolution}, ".2f"),
            *_in_words("widths of lines (FWHM)", widths, ".2f"),
        ],
        "cuts": _cut_flow(calibration),
    }


def _bad_pixels(dataset: "xr.Dataset", name: str) -> dict[int, str]:
    """Return the pixels whose status in a variable is not ok, and their status."""
    statuses = map(str, dataset[name].values)
    return {
        pixel: status
        for pixel, status in zip(
            dataset["pixel"].values.tolist(), statuses, strict=True
        )
        if not PixelStatus.parse(status).is_ok
    }


def _line_means(calibration: "xr.Dataset", name: str) -> dict[str, list[float | None]]:
    """Return the mean over the ok pixels of a variable of each line, and its error."""
    is_ok = are_ok(calibration["status"].values)
    names = map(str, calibration["line_name"].values)
    values = calibration[name].values[is_ok].T
    errors = calibration[f"{name}_errors"].values[is_ok].T
    return dict(zip(names, map(_mean, values, errors), strict=True))


def _mean_over_pixels(calibration: "xr.Dataset", name: str) -> list[float | None]:
    """Return the mean of a variable over the ok pixels and its error, eV."""
    is_ok = are_ok(calibration["status"].values)
    errors = calibration[f"{name}_errors"].values[is_ok]
    return _mean(calibration[name].values[is_ok], errors)


def _mean(values: FloatArray, errors: FloatArray) -> list[float | None]:
    """Return the mean of finite values (pixel,) and its error."""
    is_fitted = np.isfinite(values)
    number = np.count_nonzero(is_fitted)
    if not number:
        return [None, None]
    error = np.sqrt((errors[is_fitted] ** 2).sum()) / number
    return [_number(values[is_fitted].mean()), _number(error)]


def _in_words(
    title: str, means: Mapping[str, list[float | None]], form: str
) -> list[str]:
    """Return means by name in words, as `status` prints them."""
    texts = [
        f"{name} {mean:{form}} +- {error:.2f}".strip()
        for name, (mean, error) in means.items()
        if mean is not None and error is not None
    ]
    return [f"{title}: {', '.join(texts)} eV"] if texts else []


def scan_facts(scan: "xr.Dataset") -> dict[str, Any]:
    """Return the photons, points, pixels and the cut flow of a scan."""
    statuses = Counter(str(status) for status in scan["pixel_status"].values)
    pixels = PixelCount.of(scan["pixel_status"].values)
    return {
        "sample": scan.attrs["sample"],
        "edge": scan.attrs["edge"],
        "photons": int(scan["counts"].values.sum()),
        "line_positions": _line_positions(scan),
        "elastic_offset": _number(scan.attrs["elastic_offset"]),
        "elastic_offset_errors": _number(scan.attrs["elastic_offset_errors"]),
        "points_used": int((scan["point_status"].values == POINT_USED).sum()),
        "points": scan.sizes["incident_energy"],
        "pixels": dict(statuses),
        "pixels_used": pixels.used,
        "pixels_live": pixels.live,
        "pixels_bad": _bad_pixels(scan, "pixel_status"),
        "cuts": _cut_flow(scan),
    }


def _line_positions(scan: "xr.Dataset") -> dict[str, list[float | None]]:
    """Return position and error, eV, of each line of the sample in a scan."""
    if "sample_line" not in scan.variables:
        return {}
    positions = scan["sample_line_position"].values
    errors = scan["sample_line_position_errors"].values
    return {
        str(name): [_number(position), _number(error)]
        for name, position, error in zip(
            scan["sample_line"].values, positions, errors, strict=True
        )
    }


def _number(value: float) -> float | None:
    """Return a rounded number, or None for NaN, which JSON does not have."""
    return round(float(value), 4) if value == value else None


def _cut_flow(dataset: "xr.Dataset") -> dict[str, int]:
    """Return the number of pulses that pass each cut, summed over the pixels."""
    passing = dataset["cut_counts"].values.sum(axis=0)
    names = dataset["cut"].values
    return {str(name): int(number) for name, number in zip(names, passing, strict=True)}
