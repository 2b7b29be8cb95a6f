"""The automatic corrections of calibrations and scans, as run.json lists them."""

from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import Correction

if TYPE_CHECKING:
    import xarray as xr


def calibration_corrections(calibration: "xr.Dataset") -> list[Correction]:
    """Return what the phase and drift corrections of a reference run amount to.

    Each is the largest offset of a line that the correction removes; the offsets that
    remain are `phase_offset` and `time_offset` of the product.
    """
    corrections = []
    for name, variable, key in (
        ("arrival phase", "phase", "calibration.phase"),
        ("drift", "time", "calibration.drift"),
    ):
        offset = calibration[f"{variable}_offset_uncorrected"].values
        error = calibration[f"{variable}_offset_uncorrected_errors"].values
        remaining = calibration[f"{variable}_offset"].values
        removed = np.nan_to_num(np.abs(offset - remaining))
        if not removed.any():
            continue
        largest = np.unravel_index(removed.argmax(), removed.shape)
        correction = Correction(
            name=name,
            subject=str(calibration.attrs["run"]),
            value=float((offset - remaining)[largest]),
            error=float(error[largest]),
            unit="eV",
            config=key,
        )
        corrections.append(correction)
    return corrections


def scan_corrections(scan: "xr.Dataset") -> list[Correction]:
    """Return the automatic corrections of a scan's map.

    Of the alignments of its pixels, the largest one.
    """
    corrections = []
    pile_up = Correction(
        name="pile-up time",
        subject=str(scan.attrs["run"]),
        value=float(scan.attrs["pile_up_time"]),
        error=float(scan.attrs["pile_up_time_errors"]),
        unit="s",
        config="normalise.pile_up",
    )
    if pile_up.error > 0:
        corrections.append(pile_up)
    if "alignment" in scan:
        alignment = np.nan_to_num(scan["alignment"].values)
        if alignment.any():
            largest = int(np.abs(alignment).argmax())
            pixel = int(scan["pixel"].values[largest])
            correction = Correction(
                name=f"largest pixel alignment, pixel {pixel},",
                subject=str(scan.attrs["run"]),
                value=float(100 * alignment[largest]),
                error=float(100 * scan["alignment_errors"].values[largest]),
                unit="% of the energy",
                config="calibration.align",
            )
            corrections.append(correction)
    return corrections


def clock_corrections(run: Run) -> list[Correction]:
    """Return the offset of the clock that was found and removed from a run's times."""
    offset = run.clock_offset
    if offset is None or offset.error == 0:  # none, or from the config
        return []
    correction = Correction(
        name="clock offset",
        subject=run.name,
        value=offset.value,
        error=offset.error,
        unit="s",
        config="beamtime.clock_offset",
    )
    return [correction]


def clock_attributes(run: Run) -> dict[str, float]:
    """Return the offset that was removed from a run's times, s, as attributes."""
    offset = run.clock_offset
    return {
        "clock_offset": offset.value if offset else 0.0,
        "clock_offset_errors": offset.error if offset else 0.0,
    }
