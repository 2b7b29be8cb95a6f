"""Errors of the energy scale as variables of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift.common_drift.measurements import REFERENCE_EV
from rixs_pipeline.schema import RIXS_MAP, SCAN_MAP, Variables, labelled
from rixs_pipeline.stages.interval.scan_scales import (
    LinePosition,
    ScaleErrors,
    ScanScale,
)
from rixs_pipeline.types import Correction, FloatArray

if TYPE_CHECKING:
    import xarray as xr

CONFIG_KEY = "calibration.scan_drift"


def with_scale_errors(dataset: xr.Dataset, errors: ScaleErrors) -> xr.Dataset:
    """Return a map with the errors of its energy scale.

    Parameters
    ----------
    dataset
        Map of a scan, or co-added.
    errors
        Of its energy scale.

    Returns
    -------
    xr.Dataset
        With `energy_scale_errors`, and the independent errors that they consist of.
    """
    variables = _error_variables(dataset, errors)
    return dataset.assign(labelled(variables, RIXS_MAP).variables)


def _error_variables(dataset: xr.Dataset, errors: ScaleErrors) -> Variables:
    """Return the errors of the energy scale of a map as variables."""
    emission = dataset["emission_energy"].values
    return {
        "energy_scale_errors": (("emission_energy",), errors.at(emission)),
        "scale_energy": (("scale_energy",), errors.energy),
        "scale_mode": (("scale_mode",), np.array(errors.names, dtype=object)),
        "scale_mode_errors": (("scale_mode", "scale_energy"), errors.modes),
    }


def scale_table(scale: ScanScale) -> dict[str, NDArray[Any]]:
    """Return the correction of a scale as arrays that a photon store can keep."""
    return {
        "drift": scale.drift,
        "gain": np.array([scale.gain]),
        "is_applied": np.array([scale.is_applied]),
        "coefficients": np.stack([scale.coefficients, scale.coefficient_errors]),
        "shift": np.array([scale.shift, scale.shift_error]),
        "hidden_size": np.array([scale.hidden_size]),
        "energy": scale.errors.energy,
        "modes": scale.errors.modes,
        "names": np.array(scale.errors.names, dtype=object).astype("S"),
        "lines": np.array(list(scale.lines), dtype=object).astype("S"),
        "positions": np.array(list(scale.lines.values())).reshape(-1, 2),
        "steps": np.array(scale.steps, dtype=object).astype("S"),
    }


def scale_from_table(table: Mapping[str, NDArray[Any]]) -> ScanScale:
    """Return the correction of a scale from the arrays of a photon store."""
    names = tuple(map(str, table["names"]))
    errors = ScaleErrors(table["energy"], table["modes"], names)
    coefficients, coefficient_errors = table["coefficients"]
    shift, shift_error = table["shift"].tolist()
    positions = [LinePosition(*row) for row in table["positions"].tolist()]
    lines = dict(zip(map(str, table["lines"]), positions, strict=True))
    return ScanScale(
        drift=table["drift"],
        gain=float(table["gain"][0]),
        coefficients=coefficients,
        coefficient_errors=coefficient_errors,
        shift=shift,
        shift_error=shift_error,
        hidden_size=float(table["hidden_size"][0]),
        lines=lines,
        errors=errors,
        is_applied=bool(table["is_applied"][0]),
        steps=tuple(map(str, table["steps"])),
    )


def with_scan_scale(dataset: xr.Dataset, scale: ScanScale) -> xr.Dataset:
    """Return the map of a scan with the correction of its scale, and its error.

    Parameters
    ----------
    dataset
        Map of the scan.
    scale
        How its scale was corrected.

    Returns
    -------
    xr.Dataset
        With the errors of the scale, the positions of the lines of the sample, and the
        correction; what makes the energies only where it was applied.
    """
    positions = np.array(list(scale.lines.values())).reshape(-1, 2)
    variables: Variables = {
        **_error_variables(dataset, scale.errors),
        "sample_line": (("sample_line",), np.array(list(scale.lines), dtype=object)),
        "sample_line_position": (("sample_line",), positions[:, 0]),
        "sample_line_position_errors": (("sample_line",), positions[:, 1]),
        "drift_change": (("drift_param",), scale.coefficients),
        "drift_change_errors": (("drift_param",), scale.coefficient_errors),
    }
    if scale.is_applied:
        variables["drift_coefficients"] = (("drift_param",), scale.drift)
        dataset = dataset.assign_attrs(scale_gain=scale.gain)
    dataset = dataset.assign(labelled(variables, SCAN_MAP).variables)
    return dataset.assign_attrs(
        scale_shift=scale.shift,
        scale_shift_errors=scale.shift_error,
        scale_shift_energy=REFERENCE_EV,
        hidden_drift=scale.hidden_size,
    )


def scale_corrections(scale: ScanScale | None, scan: str) -> list[Correction]:
    """Return the corrections of the scale of a scan, as run.json lists them."""
    if scale is None or not scale.is_applied:
        return []
    return [
        Correction(
            "energy scale",
            scan,
            scale.shift,
            scale.shift_error,
            f"eV at {REFERENCE_EV:.0f} eV",
            CONFIG_KEY,
        ),
        Correction(
            "drift coefficient",
            scan,
            float(scale.coefficients[0]),
            float(scale.coefficient_errors[0]),
            "per unit of pretrigger mean",
            CONFIG_KEY,
        ),
    ]


def average_scale_errors(scans: Sequence[xr.Dataset]) -> ScaleErrors | None:
    """Return the errors of the energy scale of co-added scans.

    Errors of one name add up before they are squared; scans count by their photons.
    None where a scan has no errors.
    """
    errors = [read_scale_errors(scan) for scan in scans]
    parts = [part for part in errors if part is not None]
    if not parts or len(parts) < len(errors):
        return None
    if any(not np.array_equal(part.energy, parts[0].energy) for part in parts):
        return None
    photons = np.array([float(scan["counts"].values.sum()) for scan in scans])
    weight = photons / photons.sum() if photons.sum() else np.full(len(scans), 1.0)
    modes: dict[str, FloatArray] = {}
    for share, part in zip(weight, parts, strict=True):
        for name, mode in zip(part.names, part.modes, strict=True):
            modes[name] = modes.get(name, 0.0) + share * mode
    return ScaleErrors(parts[0].energy, np.stack(list(modes.values())), tuple(modes))


def scale_difference_errors(
    first: xr.Dataset, second: xr.Dataset, energy: float
) -> float | None:
    """Return one standard deviation of the difference of the scales of two maps.

    Parameters
    ----------
    first, second
        The maps.
    energy
        Emission energy, eV.

    Returns
    -------
    float or None
        eV; errors that the maps share by name cancel. None where one is unknown.
    """
    errors = [read_scale_errors(rixs_map) for rixs_map in (first, second)]
    differences: dict[str, float] = {}
    for sign, part in zip((1.0, -1.0), errors, strict=True):
        if part is None:
            return None
        for name, mode in zip(part.names, part.modes, strict=True):
            change = sign * float(np.interp(energy, part.energy, mode))
            differences[name] = differences.get(name, 0.0) + change
    return float(np.sqrt(sum(change**2 for change in differences.values())))


def read_scale_errors(dataset: xr.Dataset) -> ScaleErrors | None:
    """Return the errors of the energy scale of a map; None without."""
    if "scale_mode_errors" not in dataset:
        return None
    return ScaleErrors(
        dataset["scale_energy"].values,
        dataset["scale_mode_errors"].values,
        tuple(map(str, dataset["scale_mode"].values)),
    )
