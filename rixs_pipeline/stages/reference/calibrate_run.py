"""Calibrate the pixels by one reference run."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import CalibrationConfig, ReferenceSet
from rixs_pipeline.core.calibration.reference_run import Calibration, calibrate_pixels
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run
from rixs_pipeline.schema import PIXEL_CALIBRATION, check, labelled
from rixs_pipeline.stages.interval.response_tail import tail_attributes
from rixs_pipeline.stages.reference.calibration_options import (
    calibration_options,
    reference_lines,
)
from rixs_pipeline.stages.reference.calibration_variables import (
    calibration_variables,
    correction_variables,
)
from rixs_pipeline.stages.reference.height_spectra import height_variables
from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses

if TYPE_CHECKING:
    import xarray as xr

SAME_PEAK_EV = 5.0  # largest distance of a peak in two pixels, for lines up to 1 keV


def calibrate_run(
    run: Run,
    reference: ReferenceSet,
    config: CalibrationConfig,
    emission: tuple[float, float],
) -> xr.Dataset:
    """Calibrate all pixels by one reference run.

    Parameters
    ----------
    run
        The reference run.
    reference
        Energies and shapes of the emission lines.
    config
        Options of the calibration.
    emission
        Range of the maps, eV, which the spectra of the run cover.

    Returns
    -------
    xr.Dataset
        As `schema.PIXEL_CALIBRATION`.

    Raises
    ------
    RunFailed
        No pixel has a pulse in the run.
    ConfigError
        The config names a line that is not in the reference set.
    """
    no_pulses = RunFailed(
        f"{run.name}: no pixel has pulses in this reference run; "
        "check its times and pulse files"
    )
    if not run.pulse_files:
        raise no_pulses
    # one pixel after the other: those of all take as much memory as all accepted ones
    pulses = (read_reference_pulses(run, path) for path in run.pulse_files)
    parked_energy = float(run.points.incident_energy[0])
    result = calibrate_pixels(
        pulses, reference_lines(reference), calibration_options(config), parked_energy
    )
    if not result.cut_counts[:, 0].any():
        raise no_pulses
    variables = calibration_variables(result, reference, emission)
    variables |= height_variables(result)
    variables |= correction_variables(result, run.duration)
    dataset = labelled(variables, PIXEL_CALIBRATION)
    dataset.attrs = {
        "run": run.name,
        "sample": run.sample,
        "time": run.middle,
        "parked_energy": parked_energy,
        "hint_problems": json.dumps(result.hint_problems),
        "narrowest_share": _narrowest_share(result),
        "repeated_pulses": json.dumps(_repeated_pulses(result)),
        "unexplained_peaks": json.dumps(unexplained_energies(result)),
        "set_lines": json.dumps(_set_lines(reference)),
    }
    dataset.attrs |= tail_attributes(result.response.tail)
    dataset.attrs |= reference.attributes()
    check(dataset, PIXEL_CALIBRATION, run.name)
    return dataset


def _set_lines(reference: ReferenceSet) -> dict[str, float]:
    """Return all lines of a reference set with their energies, eV."""
    return {name: line.energy for name, line in reference.lines.items()}


def unexplained_energies(result: Calibration) -> list[float]:
    """Return the energies, eV, of strong peaks of most ok pixels that are no line."""
    rows = [row for row, status in enumerate(result.status) if status.is_ok]
    energies = [
        curve_energy(result.evidence[row].unexplained, result.params[row])
        for row in rows
    ]
    ascending = np.sort(np.concatenate([*energies, np.empty(0)]))
    distance = SAME_PEAK_EV * result.lines.energy_range.width_unit
    is_gap = np.diff(ascending) > distance
    peaks = np.split(ascending, np.flatnonzero(is_gap) + 1)
    return [
        round(float(peak.mean()), 1) for peak in peaks if 2 * len(peak) > len(rows) > 0
    ]


def _repeated_pulses(result: Calibration) -> dict[str, float]:
    """Return the largest repetition of pulses of a pixel; empty without any."""
    largest = max(result.repeated, key=lambda repeated: repeated.share)
    if not largest.share:
        return {}
    pixels = sum(repeated.share > 0 for repeated in result.repeated)
    return asdict(largest) | {"pixels": float(pixels)}


def _narrowest_share(result: Calibration) -> float:
    """Return the share of lines whose resolution is at the fit's lower limit.

    0 without lines in ok pixels.
    """
    is_ok = np.array([status.is_ok for status in result.status], dtype=bool)
    is_anchor = result.lines.is_anchor
    is_fitted = np.isfinite(result.line_residual[is_ok][:, is_anchor])
    is_narrowest = result.is_narrowest[is_ok][:, is_anchor]
    n_fitted = int(np.count_nonzero(is_fitted))
    n_narrowest = int(np.count_nonzero(is_narrowest & is_fitted))
    return n_narrowest / max(n_fitted, 1)
