"""Calibrations of the pixels of a reference run, read from its product."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.types import FloatArray, PixelStatus

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class PixelCalibration:
    """Calibration of one pixel by one reference run."""

    status: PixelStatus
    params: FloatArray  # (N_PARAMS,), see `core.energy.function`
    cut_limits: CutLimits | None  # None: no pulse is accepted


@dataclass(frozen=True)
class RunCalibration:
    """Calibrations of all pixels by one reference run."""

    run: str
    time: float  # middle of the run, seconds since 1970
    line_energy: FloatArray  # (line,), eV
    pixels: dict[int, PixelCalibration]  # by channel number

    @cached_property
    def good_pixels(self) -> dict[int, PixelCalibration]:
        """Pixels whose status is ok, by channel number."""
        return {
            pixel: calibration
            for pixel, calibration in self.pixels.items()
            if calibration.status.is_ok
        }


def read_run_calibration(product: xr.Dataset) -> RunCalibration:
    """Read the calibrations of all pixels from the product of a reference run."""
    status = [PixelStatus.parse(str(text)) for text in product["status"].values]
    params = product["params"].values
    cut_limits = product["cut_limits"].values
    pixels = {}
    for row, pixel in enumerate(product["pixel"].values.tolist()):
        limits = CutLimits.from_table(cut_limits[row])
        pixels[pixel] = PixelCalibration(status[row], params[row], limits)
    return RunCalibration(
        run=str(product.attrs["run"]),
        time=float(product.attrs["time"]),
        line_energy=product["line_energy"].values,
        pixels=pixels,
    )
