"""Variables of the product of a reference run, as `schema.PIXEL_CALIBRATION`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import ReferenceSet
from rixs_pipeline.core.calibration import diagnostics
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.pixel import PixelPulses
from rixs_pipeline.core.calibration.reference_run import LINE_TABLES, Calibration
from rixs_pipeline.core.energy import corrected_pulse_height, curve_energy, layout
from rixs_pipeline.core.maps.binning import bin_index, emission_edges
from rixs_pipeline.core.response.resolution import ELASTIC_LINE, REFERENCE_LINES
from rixs_pipeline.schema import Variables
from rixs_pipeline.types import FloatArray, IntArray

# bins of the spectra, eV: of lines up to 2 keV, and of those above
FINE_BIN, COARSE_BIN = 0.25, 1.0
COARSE_FROM = 2000.0  # eV
# The spectra begin at this share of the lowest energy of lines and maps, where noise
# shows, and end above the highest line.
LOW_SHARE, HIGH_SHARE = 0.5, 1.05
CURVE_POINTS = 100  # at which the gain curve of a pixel is drawn

# dimensions of the variables
PIXEL = ("pixel",)
LINE = ("line",)
PARAM = ("param",)
COVARIANCE = ("pixel", "param", "param_2")
DRIFT = ("drift_param", "drift_param_2")
CUT = ("cut",)
CUT_LIMITS = ("pixel", "cut_quantity", "limit")
EMISSION = ("emission_energy",)
CURVE = ("curve_point",)
FITTED_LINE = ("fitted_line",)
PHASE = ("phase_bin",)
TIME = ("time_bin",)


def calibration_variables(
    result: Calibration, reference: ReferenceSet, emission: tuple[float, float]
) -> Variables:
    """Return the variables that hold the calibration of each pixel.

    Parameters
    ----------
    result
        The calibration.
    reference
        Energies of the lines, with their chemical state.
    emission
        Range of the maps, eV.

    Returns
    -------
    dict
        Name -> (dimensions, array). Reference lines are along `line`; the elastic line
        has variables of its own.
    """
    lines = result.lines
    is_anchor = lines.is_anchor
    names = _text(lines.names)[is_anchor]
    variants = [reference.lines[name].variant for name in names]
    status_texts = [str(status) for status in result.status]
    variables: Variables = {
        "pixel": (PIXEL, result.pixel),
        "status": (PIXEL, _text(status_texts)),
        "line_name": (LINE, names),
        "line_energy": (LINE, lines.energy[is_anchor]),
        "line_energy_errors": (LINE, lines.energy_errors[is_anchor]),
        "line_variant": (LINE, _text(variants)),
    }
    for name in LINE_TABLES:
        table = getattr(result, name)
        variables[name] = (PIXEL + LINE, table[:, is_anchor])
    variables |= _response_variables(result)
    variables |= _elastic_line_variables(result)
    edges = spectrum_edges(lines.energy[is_anchor], emission)
    spectra = []
    curve_heights = []
    curve_energies = []
    for pulses, params in zip(result.pulses, result.params, strict=True):
        spectra.append(_spectrum(pulses, params, edges))
        heights = _curve_heights(params)
        curve_heights.append(heights)
        curve_energies.append(curve_energy(heights, params))
    low_edges = edges[:-1]
    high_edges = edges[1:]
    spectrum_centres = (high_edges + low_edges) / 2
    variables |= {
        "misfit_probability": (PIXEL, result.misfit_probability),
        "params": (PIXEL + PARAM, result.params),
        "params_covariance": (COVARIANCE, result.params_covariance),
        "drift_score": (PIXEL + DRIFT[:1], result.drift_score),
        "drift_information": (PIXEL + DRIFT, result.drift_information),
        "cut": (CUT, _text(CUT_NAMES)),
        "cut_counts": (PIXEL + CUT, result.cut_counts),
        "cut_limits": (CUT_LIMITS, result.cut_limits),
        "emission_energy": (EMISSION, spectrum_centres),
        "spectrum": (PIXEL + EMISSION, np.stack(spectra)),
        "curve_pulse_height": (PIXEL + CURVE, np.stack(curve_heights)),
        "curve_energy": (PIXEL + CURVE, np.stack(curve_energies)),
    }
    return variables


def spectrum_edges(
    line_energy: FloatArray, emission: tuple[float, float]
) -> FloatArray:
    """Return the edges (bin + 1,) eV of the spectra of a reference run.

    Parameters
    ----------
    line_energy
        (line,) of the lines that carry the energy scale, eV.
    emission
        Range of the maps, eV.

    Returns
    -------
    FloatArray
        Over the range of both; bins of `FINE_BIN`, and of `COARSE_BIN` from
        `COARSE_FROM` on.
    """
    lowest = line_energy.min(initial=emission[0])
    highest = line_energy.max(initial=0.0)
    low = float(np.floor(LOW_SHARE * lowest))
    high = float(np.ceil(max(HIGH_SHARE * highest, emission[1])))
    if low >= COARSE_FROM:
        return emission_edges((low, high), COARSE_BIN)
    fine = emission_edges((low, min(high, COARSE_FROM)), FINE_BIN)
    if high <= COARSE_FROM:
        return fine
    coarse = emission_edges((COARSE_FROM, high), COARSE_BIN)
    return np.concatenate([fine, coarse[1:]])


def correction_variables(result: Calibration, duration: float) -> Variables:
    """Return the variables that show what phase and drift correction leave.

    Parameters
    ----------
    result
        The calibration.
    duration
        Duration of the run, s.

    Returns
    -------
    dict
        Name -> (dimensions, array): offsets of the line pulses of all good pixels
        against arrival phase and time, with and without the correction.
    """
    is_ok = [status.is_ok for status in result.status]
    good = np.flatnonzero(is_ok).tolist()
    lines = result.lines
    residual = np.nan_to_num(result.line_residual[good])
    offsets = diagnostics.diagnose_corrections(
        pulses=[result.pulses[row] for row in good],
        n_recorded=int(result.cut_counts[good, 0].sum()),
        params=result.params[good],
        line_position=lines.energy + residual,
        duration=duration,
    )
    pretrigger = offsets.pretrigger
    variables: Variables = {
        "fitted_line": (FITTED_LINE, _text(lines.names)),
        "phase_bin": (PHASE, diagnostics.PHASE_BINS),
        "time_bin": (TIME, offsets.bin_time),
        "pretrigger_offset": (TIME, pretrigger.values),
        "pretrigger_offset_errors": (TIME, pretrigger.errors),
    }
    variables |= _offset_variables(
        "phase_offset", FITTED_LINE + PHASE, offsets.by_phase
    )
    variables |= _offset_variables("time_offset", TIME, offsets.by_time)
    return variables


def _offset_variables(
    name: str, dims: tuple[str, ...], offsets: diagnostics.Offsets
) -> Variables:
    """Return the variables of offsets with and without a correction, eV."""
    corrected = offsets.corrected
    uncorrected = offsets.uncorrected
    return {
        name: (dims, corrected.values),
        f"{name}_errors": (dims, corrected.errors),
        f"{name}_uncorrected": (dims, uncorrected.values),
        f"{name}_uncorrected_errors": (dims, uncorrected.errors),
    }


def _response_variables(result: Calibration) -> Variables:
    """Return the resolution of the pixels and the widths of their lines, eV."""
    is_anchor = result.lines.is_anchor
    response = result.response
    resolution = response.resolution
    sources = np.where(resolution.is_elastic, ELASTIC_LINE, REFERENCE_LINES)
    is_known = np.isfinite(resolution.pixel.values)
    variables: Variables = {
        "resolution": (PIXEL, resolution.pixel.values),
        "resolution_errors": (PIXEL, resolution.pixel.errors),
        "resolution_source": (PIXEL, _text(np.where(is_known, sources, "").tolist())),
    }
    for name, widths in (
        ("fwhm", response.line_resolution),
        ("line_width", response.line_width),
    ):
        variables[name] = (PIXEL + LINE, widths.values[:, is_anchor])
        variables[f"{name}_errors"] = (PIXEL + LINE, widths.errors[:, is_anchor])
    return variables


def _elastic_line_variables(result: Calibration) -> Variables:
    """Return the elastic line of the parked monochromator in every pixel, eV.

    All values are NaN where the run shows no elastic line.
    """
    n_pixels = len(result.pixel)
    missing = np.full(n_pixels, np.nan)
    position = missing
    errors = missing
    fwhm = missing
    fwhm_errors = missing
    widths = result.response.line_resolution
    elastic_lines = np.flatnonzero(~result.lines.is_anchor)
    if len(elastic_lines):
        line = elastic_lines[0]
        energy = result.lines.energy[line]
        position = energy + result.line_residual[:, line]
        errors = result.line_residual_errors[:, line]
        fwhm = widths.values[:, line]
        fwhm_errors = widths.errors[:, line]
    return {
        "elastic_energy": (PIXEL, position),
        "elastic_energy_errors": (PIXEL, errors),
        "elastic_fwhm": (PIXEL, fwhm),
        "elastic_fwhm_errors": (PIXEL, fwhm_errors),
    }


def _spectrum(pulses: PixelPulses, params: FloatArray, edges: FloatArray) -> IntArray:
    """Return the spectrum (emission_energy,) of a pixel with parameters (param,)."""
    heights = corrected_pulse_height(
        pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params
    )
    index = bin_index(curve_energy(heights, params), edges)
    is_inside = index >= 0
    n_bins = len(edges) - 1
    counts = np.bincount(index[is_inside], minlength=n_bins)
    return counts.astype(np.int64)


def _curve_heights(params: FloatArray) -> FloatArray:
    """Return the pulse heights at which a gain curve is drawn; NaN without a curve."""
    lowest, step = params[layout.CURVE_GRID]
    n_steps = layout.N_COEFFICIENTS - 3
    places = np.linspace(0.0, n_steps, CURVE_POINTS)
    heights: FloatArray = lowest + step * places
    return heights


def _text(words: Sequence[str]) -> NDArray[np.object_]:
    """Return texts as an array that products can hold."""
    return np.array(words, dtype=object)
