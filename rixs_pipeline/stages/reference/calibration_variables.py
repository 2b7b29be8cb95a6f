"""Variables of the product of a reference run, as `schema.PIXEL_CALIBRATION`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import ReferenceSet
from rixs_pipeline.core.calibration import diagnostics
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_run import LINE_TABLES, Calibration
from rixs_pipeline.core.energy import corrected_pulse_height, curve_energy, layout
from rixs_pipeline.core.maps.binning import bin_index, emission_edges
from rixs_pipeline.schema import Variables
from rixs_pipeline.types import FloatArray, IntArray

SPECTRUM_EDGES = emission_edges((100.0, 1100.0), 0.25)  # eV
CURVE_POINTS = 100  # at which the gain curve of a pixel is drawn

PIXEL = ("pixel",)
LINE = ("line",)


def calibration_variables(
    result: Calibration, pulses: Sequence[ReferencePulses], reference: ReferenceSet
) -> Variables:
    """Return the variables that hold the calibration of each pixel.

    Parameters
    ----------
    result
        The calibration.
    pulses
        Pulses of each pixel, in the order of its rows.
    reference
        Energies of the lines, with their chemical state.

    Returns
    -------
    dict
        Name -> (dimensions, array). Reference lines are along `line`; the elastic line
        has variables of its own.
    """
    is_anchor = result.lines.is_anchor
    names = np.array(result.lines.names, dtype=object)[is_anchor]
    variants = [reference.lines[name].variant for name in names]
    variables: Variables = {
        "pixel": (PIXEL, result.pixel),
        "status": (PIXEL, _text([str(status) for status in result.status])),
        "line_name": (LINE, names),
        "line_energy": (LINE, result.lines.energy[is_anchor]),
        "line_energy_errors": (LINE, result.lines.energy_errors[is_anchor]),
        "line_variant": (LINE, _text(variants)),
    }
    for name in LINE_TABLES:
        variables[name] = (("pixel", "line"), getattr(result, name)[:, is_anchor])
    variables |= _elastic_line_variables(result)
    spectra = [_spectrum(pixel, result, row) for row, pixel in enumerate(pulses)]
    spectrum_centres = (SPECTRUM_EDGES[1:] + SPECTRUM_EDGES[:-1]) / 2
    variables |= {
        "params": (("pixel", "param"), result.params),
        "params_covariance": (("pixel", "param", "param_2"), result.params_covariance),
        "cut": (("cut",), _text(CUT_NAMES)),
        "cut_counts": (("pixel", "cut"), result.cut_counts),
        "cut_limits": (("pixel", "cut_quantity", "limit"), result.cut_limits),
        "emission_energy": (("emission_energy",), spectrum_centres),
        "spectrum": (("pixel", "emission_energy"), np.stack(spectra)),
    }
    heights, energies = [], []
    for params in result.params:
        curve_heights = _curve_heights(params)
        heights.append(curve_heights)
        energies.append(curve_energy(curve_heights, params))
    dims = ("pixel", "curve_point")
    variables["curve_pulse_height"] = (dims, np.stack(heights))
    variables["curve_energy"] = (dims, np.stack(energies))
    return variables


def correction_variables(
    result: Calibration, pulses: Sequence[ReferencePulses], duration: float
) -> Variables:
    """Return the variables that show what phase and drift correction leave.

    Parameters
    ----------
    result
        The calibration.
    pulses
        Pulses of each pixel, in the order of its rows.
    duration
        Duration of the run, s.

    Returns
    -------
    dict
        Name -> (dimensions, array): offsets of the line pulses of all good pixels
        against arrival phase and time, with and without the correction.
    """
    good = [row for row, status in enumerate(result.status) if status.is_ok]
    line_position = result.lines.energy + np.nan_to_num(result.line_residual[good])
    offsets = diagnostics.diagnose_corrections(
        [pulses[row] for row in good],
        [result.accepted[row] for row in good],
        result.params[good],
        line_position,
        duration,
    )
    per_time = ("time_bin",)
    variables: Variables = {
        "fitted_line": (("fitted_line",), _text(result.lines.names)),
        "phase_bin": (("phase_bin",), diagnostics.PHASE_BINS),
        "time_bin": (per_time, offsets.bin_time),
        "pretrigger_offset": (per_time, offsets.pretrigger.values),
        "pretrigger_offset_errors": (per_time, offsets.pretrigger.errors),
    }
    per_phase = ("fitted_line", "phase_bin")
    variables |= _offset_variables("phase_offset", per_phase, offsets.by_phase)
    variables |= _offset_variables("time_offset", per_time, offsets.by_time)
    return variables


def _offset_variables(
    name: str, dims: tuple[str, ...], offsets: diagnostics.Offsets
) -> Variables:
    """Return the variables of offsets with and without a correction, eV."""
    return {
        name: (dims, offsets.corrected.values),
        f"{name}_errors": (dims, offsets.corrected.errors),
        f"{name}_uncorrected": (dims, offsets.uncorrected.values),
        f"{name}_uncorrected_errors": (dims, offsets.uncorrected.errors),
    }


def _elastic_line_variables(result: Calibration) -> Variables:
    """Return the elastic line of the parked monochromator in every pixel, eV.

    All values are NaN where the run shows no elastic line.
    """
    position = errors = fwhm = np.full(len(result.pixel), np.nan)
    elastic_lines = np.flatnonzero(~result.lines.is_anchor)
    if len(elastic_lines):
        line = elastic_lines[0]
        position = result.lines.energy[line] + result.line_residual[:, line]
        errors = result.line_residual_errors[:, line]
        fwhm = result.fwhm[:, line]
    return {
        "elastic_energy": (PIXEL, position),
        "elastic_energy_errors": (PIXEL, errors),
        "elastic_fwhm": (PIXEL, fwhm),
    }


def _spectrum(pulses: ReferencePulses, result: Calibration, row: int) -> IntArray:
    """Return the calibrated spectrum (emission_energy,) of the pixel in a row."""
    params = result.params[row]
    heights = corrected_pulse_height(
        pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params
    )
    energies = curve_energy(heights, params)[result.accepted[row]]
    index = bin_index(energies, SPECTRUM_EDGES)
    counts = np.bincount(index[index >= 0], minlength=len(SPECTRUM_EDGES) - 1)
    return counts.astype(np.int64)


def _curve_heights(params: FloatArray) -> FloatArray:
    """Return the pulse heights at which a gain curve is drawn; NaN without a curve."""
    lowest, step = params[layout.CURVE_GRID]
    places = np.linspace(0.0, layout.N_COEFFICIENTS - 3, CURVE_POINTS)
    return np.asarray(lowest + step * places)


def _text(words: Sequence[str]) -> NDArray[np.object_]:
    """Return texts as an array that products can hold."""
    return np.array(words, dtype=object)
