"""The automatic corrections of numbers in products, as run.json lists them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import Correction

if TYPE_CHECKING:
    import xarray as xr


# kinds of backgrounds that are estimated from a fit or from the detector's response
ESTIMATED_LIGHT = {"elastic": "elastic light", "leak": "tails of lines above"}


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
    return corrections + _repeated_pulses(calibration)


def _repeated_pulses(calibration: "xr.Dataset") -> list[Correction]:
    """Return the repeated pulses that a reference run leaves out."""
    repeated = json.loads(calibration.attrs.get("repeated_pulses", "{}"))
    if not repeated:
        return []
    return [
        Correction(
            name="repeated pulses left out:",
            subject=str(calibration.attrs["run"]),
            value=100 * repeated["share"],
            error=100 * repeated["error"],
            unit="% of the pulses",
            config="calibration.hold_off",
        )
    ]


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


def map_corrections(rixs_map: "xr.Dataset", name: str) -> list[Correction]:
    """Return the automatic corrections of a co-added map, called `name`."""
    if "elastic_offset_applied" not in rixs_map.attrs:
        return []
    correction = Correction(
        name="incident energies shifted by the offset of the elastic line,",
        subject=name,
        value=float(rixs_map.attrs["elastic_offset_applied"]),
        error=float(rixs_map.attrs["elastic_offset_errors"]),
        unit="eV",
        config="map.elastic_offset",
    )
    return [correction]


def spectrum_corrections(
    spectra: Mapping[str, "xr.Dataset"], name: str
) -> list[Correction]:
    """Return what was estimated from the data and subtracted from spectra.

    Parameters
    ----------
    spectra
        As `schema.spectrum`, by region.
    name
        Of the map's spectra.

    Returns
    -------
    list of Correction
        Elastic light and leaks of lines: their share of the whole spectrum; and the
        offset of the elastic line if it was fitted.
    """
    corrections = []
    for region, spectrum in spectra.items():
        configured = json.loads(spectrum.attrs["region"]).get("background") or []
        subject, key = f"{name}: region '{region}'", f"regions.{region}.background"
        for background in configured:
            if background["kind"] in ESTIMATED_LIGHT:
                light = ESTIMATED_LIGHT[background["kind"]]
                corrections.append(_subtracted_share(spectrum, light, subject, key))
            if background["kind"] == "elastic" and background.get("offset") is None:
                line = json.loads(spectrum.attrs["elastic_line"])
                offset, error = line["offset"], line["offset_errors"]
                offset_name = "offset of the subtracted elastic line"
                correction = Correction(
                    offset_name, subject, offset, error, "eV", f"{key}.offset"
                )
                corrections.append(correction)
    return corrections


def _subtracted_share(
    spectrum: "xr.Dataset", light: str, subject: str, key: str
) -> Correction:
    """Return the share of the whole spectrum that is subtracted, and its error."""
    background = np.nan_to_num(spectrum["background"].values)
    whole = float((background + np.nan_to_num(spectrum["intensity"].values)).sum())
    if "background_modes" in spectrum:
        modes = np.nan_to_num(spectrum["background_modes"].values)
        error = float(np.sqrt((modes.sum(axis=0) ** 2).sum()))
    else:  # errors that the points have in common
        error = float(np.nansum(spectrum["background_errors"].values))
    percent = 100 / whole if whole > 0 else np.nan
    return Correction(
        name=f"{light} subtracted:",
        subject=subject,
        value=percent * float(background.sum()),
        error=percent * error,
        unit="% of the whole",
        config=key,
    )


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
