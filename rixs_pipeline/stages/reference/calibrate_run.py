"""Calibrate the pixels by one reference run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import CalibrationConfig, ReferenceSet
from rixs_pipeline.core.calibration.hints import Hint, Hints
from rixs_pipeline.core.calibration.line_identification import ReferenceLine
from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_run import (
    Calibration,
    CalibrationOptions,
    calibrate_pixels,
)
from rixs_pipeline.core.gain import CurveForm
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import NS_PER_S, Run
from rixs_pipeline.schema import PIXEL_CALIBRATION, check, labelled
from rixs_pipeline.stages.interval.response_tail import tail_attributes
from rixs_pipeline.stages.reference.calibration_variables import (
    calibration_variables,
    correction_variables,
)
from rixs_pipeline.stages.reference.height_spectra import height_variables

if TYPE_CHECKING:
    import xarray as xr


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
    pulses = [read_reference_pulses(run, path) for path in run.pulse_files]
    if not any(len(pixel.pulse_height) for pixel in pulses):
        raise RunFailed(
            f"{run.name}: no pixel has pulses in this reference run; "
            "check its times and pulse files"
        )
    parked_energy = float(run.points.incident_energy[0])
    result = calibrate_pixels(
        pulses, reference_lines(reference), calibration_options(config), parked_energy
    )
    variables = calibration_variables(result, pulses, reference, emission)
    variables |= height_variables(result, pulses)
    variables |= correction_variables(result, pulses, run.duration)
    dataset = labelled(variables, PIXEL_CALIBRATION)
    dataset.attrs = {
        "run": run.name,
        "sample": run.sample,
        "time": run.middle,
        "parked_energy": parked_energy,
        "hint_problems": json.dumps(result.hint_problems),
        "narrowest_share": _narrowest_share(result),
    }
    dataset.attrs |= tail_attributes(result.response.tail)
    dataset.attrs |= reference.attributes()
    check(dataset, PIXEL_CALIBRATION, run.name)
    return dataset


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


def calibration_options(config: CalibrationConfig) -> CalibrationOptions:
    """Return the options of a calibration that the config sets."""
    hints = {
        key: tuple(Hint(height, line) for height, line in sorted(peaks.items()))
        for key, peaks in config.hints.items()
    }
    by_pixel = {key: peaks for key, peaks in hints.items() if isinstance(key, int)}
    return CalibrationOptions(
        line_names=config.lines,
        curve_form=CurveForm(config.curve),
        correct_phase=config.phase,
        correct_drift=config.drift,
        cut_width=config.residual_cut,
        min_line_counts=config.min_line_counts,
        hold_off=None if config.hold_off == "auto" else config.hold_off,
        hints=Hints(hints.get("all", ()), by_pixel),
    )


def reference_lines(reference: ReferenceSet) -> list[ReferenceLine]:
    """Return the lines of a reference set."""
    return [
        ReferenceLine(
            name=name,
            energy=line.energy,
            uncertainty=line.uncertainty,
            shape=line.shape,
            sigma=line.sigma,
            is_satellite=line.satellite_of is not None,
        )
        for name, line in reference.lines.items()
    ]


def read_reference_pulses(run: Run, path: Path) -> ReferencePulses:
    """Read the pulses of one pixel in a reference run.

    Parameters
    ----------
    run
        The reference run.
    path
        OFF file of the pixel.

    Returns
    -------
    ReferencePulses
        In order of time, which counts from the start of the run; without those in
        gaps between its parts.
    """
    points = run.points
    pulses = off.read_pulses(path, run.start_ns, run.end_ns)
    if len(points) > 1:
        part = np.searchsorted(points.start_ns, pulses.time_ns, side="right") - 1
        pulses = pulses.select(pulses.time_ns < points.end_ns[part])
    return ReferencePulses(
        pixel=pulses.pixel,
        pulse_height=pulses.pulse_height,
        pretrigger_mean=pulses.pretrigger_mean,
        phase=pulses.phase,
        residual=pulses.residual,
        time=(pulses.time_ns - run.start_ns) / NS_PER_S,
        since_last=pulses.since_last,
    )
