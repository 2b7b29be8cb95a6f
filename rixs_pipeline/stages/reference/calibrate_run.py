"""Reference runs -> pixel calibrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CalibrationConfig, ReferenceSet
from rixs_pipeline.core.calibration import diagnostics
from rixs_pipeline.core.calibration import reference_run as core
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.energy import corrected_pulse_height, curve_energy, layout
from rixs_pipeline.core.maps.binning import bin_index, emission_edges
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.schema import PIXEL_CALIBRATION, check, labelled

if TYPE_CHECKING:
    import xarray as xr

LINE_TABLES = (
    "line_pulse_height",
    "line_residual",
    "line_residual_errors",
    "line_left_out",
    "line_counts",
    "fwhm",
    "tail_fraction",
    "tail_length",
)
SPECTRUM_EDGES = emission_edges((100.0, 1100.0), 0.25)


def calibrate_run(
    run: Run, reference: ReferenceSet, config: CalibrationConfig
) -> xr.Dataset:
    """Calibrate all pixels of one reference run.

    Returns:
        A dataset as `schema.PIXEL_CALIBRATION`, with the time of the run in its attributes.

    Raises:
        RunFailed: no pixel has a pulse in the run.
        ConfigError: the config names a line that the reference set does not have.
    """
    pulses = [read_reference_pulses(run, path) for path in run.pulse_files]
    if not any(len(one.pulse_height) for one in pulses):
        raise RunFailed(
            f"{run.name}: no pixel has pulses in this reference run; check its times and pulse files"
        )
    parked = float(run.points.incident_energy[0])
    result = core.calibrate(pulses, reference, config, parked)
    dataset = to_dataset(
        result, [spectrum(one, result, row) for row, one in enumerate(pulses)]
    )
    dataset = dataset.assign(
        labelled(offsets(pulses, result, run.duration), PIXEL_CALIBRATION).variables
    )
    dataset["line_variant"] = line_variants(
        reference, [str(name) for name in dataset["line_name"].values]
    )
    dataset.attrs |= {
        "run": run.name,
        "sample": run.sample,
        "time": run.middle,
        "parked_energy": parked,
    }
    dataset.attrs |= reference.attributes()
    check(dataset, PIXEL_CALIBRATION, run.name)
    return dataset


def line_variants(reference: ReferenceSet, names: list[str]) -> xr.Variable:
    """The chemical state of each line's reference, (line,); empty where the set states none."""
    import xarray as xr

    words = np.array([reference.lines[name].variant for name in names], dtype=object)
    attributes = {"units": "", "long_name": PIXEL_CALIBRATION["line_variant"].long_name}
    return xr.Variable(("line",), words, attributes)


def read_reference_pulses(run: Run, path: Path) -> core.ReferencePulses:
    """The pulses of one pixel in the run."""
    pulses = off.read_pulses(path, run.start_ns, run.end_ns)
    return core.ReferencePulses(
        pixel=pulses.pixel,
        pulse_height=pulses.pulse_height,
        pretrigger_mean=pulses.pretrigger_mean,
        phase=pulses.phase,
        residual=pulses.residual,
        time=(pulses.time_ns - run.start_ns) / 1e9,
        since_last=pulses.since_last,
    )


def spectrum(
    pulses: core.ReferencePulses, result: core.Calibration, row: int
) -> NDArray[np.int64]:
    """The pixel's calibrated reference run, i8 (emission_energy,)."""
    energies = curve_energy(
        corrected_pulse_height(
            pulses.pulse_height,
            pulses.pretrigger_mean,
            pulses.phase,
            result.params[row],
        ),
        result.params[row],
    )[result.accepted[row]]
    index = bin_index(energies, SPECTRUM_EDGES)
    return np.bincount(index[index >= 0], minlength=len(SPECTRUM_EDGES) - 1)


def offsets(
    pulses: list[core.ReferencePulses], result: core.Calibration, duration: float
) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
    """Where the line pulses of the good pixels stand against arrival phase and time; `duration` of the run, s."""
    used = [row for row, status in enumerate(result.status) if status.is_ok]
    position = result.lines.energy + np.nan_to_num(result.line_residual[used])
    found = diagnostics.diagnose_corrections(
        [pulses[row] for row in used],
        [result.accepted[row] for row in used],
        result.params[used],
        position,
        duration,
    )
    by_phase, by_time = ("fitted_line", "phase_bin"), ("time_bin",)
    values: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
        "fitted_line": (("fitted_line",), np.array(result.lines.names, dtype=object)),
        "phase_bin": (("phase_bin",), diagnostics.PHASE_BINS),
        "time_bin": (by_time, found.bin_time),
        "pretrigger_offset": (by_time, found.pretrigger.values),
        "pretrigger_offset_errors": (by_time, found.pretrigger.errors),
    }
    for name, dims, which in (
        ("phase_offset", by_phase, found.by_phase),
        ("time_offset", by_time, found.by_time),
    ):
        values[name], values[f"{name}_errors"] = (
            (dims, which.corrected.values),
            (dims, which.corrected.errors),
        )
        values[f"{name}_uncorrected"] = dims, which.uncorrected.values
        values[f"{name}_uncorrected_errors"] = dims, which.uncorrected.errors
    return values


def to_dataset(
    result: core.Calibration, spectra: list[NDArray[np.int64]]
) -> xr.Dataset:
    """The product's dataset from the calibration's tables: reference lines along `line`, the elastic line apart."""
    lines, pixel_line = result.lines, ("pixel", "line")
    heights = np.stack([curve_heights(params) for params in result.params])
    values: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
        "pixel": (("pixel",), result.pixel),
        "status": (
            ("pixel",),
            np.array([str(status) for status in result.status], dtype=object),
        ),
        "line_name": (("line",), np.array(lines.names, dtype=object)[lines.anchors]),
        "line_energy": (("line",), lines.energy[lines.anchors]),
        "line_energy_errors": (("line",), lines.errors[lines.anchors]),
    }
    for name in LINE_TABLES:
        values[name] = (pixel_line, getattr(result, name)[:, lines.anchors])
    values |= elastic(result)
    values |= {
        "params": (("pixel", "param"), result.params),
        "params_covariance": (("pixel", "param", "param_2"), result.params_covariance),
        "cut": (("cut",), np.array(CUT_NAMES, dtype=object)),
        "cut_counts": (("pixel", "cut"), result.cut_counts),
        "cut_limits": (("pixel", "cut_quantity", "limit"), result.cut_limits),
        "emission_energy": (
            ("emission_energy",),
            (SPECTRUM_EDGES[1:] + SPECTRUM_EDGES[:-1]) / 2,
        ),
        "spectrum": (("pixel", "emission_energy"), np.stack(spectra).astype(np.int64)),
        "curve_pulse_height": (("pixel", "curve_point"), heights),
        "curve_energy": (
            ("pixel", "curve_point"),
            np.stack(
                [
                    curve_energy(h, params)
                    for h, params in zip(heights, result.params, strict=True)
                ]
            ),
        ),
    }
    return labelled(values, PIXEL_CALIBRATION)


def elastic(
    result: core.Calibration,
) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    """The parked monochromator's line in every pixel; NaN where it was not seen."""
    seen = np.flatnonzero(~result.lines.anchors)
    if not len(seen):
        nothing = np.full(len(result.pixel), np.nan)
        columns = nothing, nothing, nothing
    else:
        line = seen[0]
        position = result.lines.energy[line] + result.line_residual[:, line]
        columns = position, result.line_residual_errors[:, line], result.fwhm[:, line]
    names = ("elastic_energy", "elastic_energy_errors", "elastic_fwhm")
    return {
        name: (("pixel",), column) for name, column in zip(names, columns, strict=True)
    }


def curve_heights(params: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pulse heights (100,) over which the pixel's curve is drawn; NaN where it has none."""
    lowest, step = params[layout.CURVE_GRID]
    return np.asarray(lowest + step * np.linspace(0.0, layout.N_COEFFICIENTS - 3, 100))
