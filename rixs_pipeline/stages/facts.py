"""What run.json says of calibrations and scans."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import PixelStatus

if TYPE_CHECKING:
    import xarray as xr


def calibration_facts(calibration: "xr.Dataset") -> dict[str, Any]:
    """Return the pixels' status, the lines and the cut flow of a calibration."""
    statuses = [str(status) for status in calibration["status"].values]
    pixels = calibration["pixel"].values.tolist()
    not_ok = {
        pixel: status
        for pixel, status in zip(pixels, statuses, strict=True)
        if not PixelStatus.parse(status).is_ok
    }
    return {
        "pixels_ok": len(pixels) - len(not_ok),
        "pixels_bad": not_ok,
        "lines": [str(name) for name in calibration["line_name"].values],
        "cuts": _cut_flow(calibration),
    }


def scan_facts(scan: "xr.Dataset") -> dict[str, Any]:
    """Return the photons, points, pixels and the cut flow of a scan."""
    statuses = Counter(str(status) for status in scan["pixel_status"].values)
    return {
        "sample": scan.attrs["sample"],
        "edge": scan.attrs["edge"],
        "photons": int(scan["counts"].values.sum()),
        "elastic_offset": _number(scan.attrs["elastic_offset"]),
        "elastic_offset_errors": _number(scan.attrs["elastic_offset_errors"]),
        "points_used": int((scan["point_status"].values == POINT_USED).sum()),
        "points": scan.sizes["incident_energy"],
        "pixels": dict(statuses),
        "cuts": _cut_flow(scan),
    }


def _number(value: float) -> float | None:
    """Return a rounded number, or None for NaN, which JSON does not have."""
    return round(float(value), 4) if value == value else None


def _cut_flow(dataset: "xr.Dataset") -> dict[str, int]:
    """Return the number of pulses that pass each cut, summed over the pixels."""
    passing = dataset["cut_counts"].values.sum(axis=0)
    names = dataset["cut"].values
    return {str(name): int(number) for name, number in zip(names, passing, strict=True)}
