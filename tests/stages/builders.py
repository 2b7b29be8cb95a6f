"""Pulses, calibrations and scans that are simple enough to know what must come out."""

import json

import numpy as np
import xarray as xr

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.core.energy import layout
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.schema import PIXEL_CALIBRATION, labelled
from rixs_pipeline.types import PixelState, PixelStatus

SECOND = 10**9
SAMPLES, FRAME_S = 1000, 5e-6  # of a record: 5 ms of dead time
DEAD_S = SAMPLES * FRAME_S
DTYPE = np.dtype(
    [
        ("samples", "<i4"),
        ("presamples", "<i4"),
        ("frame", "<i8"),
        ("ns", "<i8"),
        ("pretrigger", "<f4"),
        ("residual", "<f4"),
        ("coefs", "<f4", (3,)),
    ]
)


def write_off(path, time_ns, energy, residual=20.0, phase=0.5):
    """Write an OFF file 0.2.0 of clean pulses; pulse heights are 10 x energies."""
    header = {
        "FileFormat": "OFF",
        "FileFormatVersion": "0.2.0",
        "NumberOfBases": 3,
        "FramePeriodSeconds": FRAME_S,
        "ModelInfo": {"Projectors": {"Rows": 3, "Cols": 2}},
    }
    rng = np.random.default_rng(len(time_ns))
    records = np.zeros(len(time_ns), DTYPE)
    records["samples"], records["ns"] = SAMPLES, time_ns
    records["pretrigger"] = 7000 + rng.normal(0, 3, len(time_ns))
    records["residual"] = residual + rng.normal(0, 1, len(time_ns))
    records["coefs"][:, 2] = 10 * np.asarray(energy)
    records["coefs"][:, 1] = records["coefs"][:, 2] * (
        phase + rng.normal(0, 0.01, len(time_ns))
    )
    path.write_bytes(
        json.dumps(header, indent=1).encode()
        + b"\n"
        + bytes(2 * 8 * 6)
        + records.tobytes()
    )
    return path


def params(shift=0.0, gain=0.1):
    """Energy = gain x pulse height + shift, in eV, constant and without corrections."""
    values = np.zeros(layout.N_PARAMS)
    lowest, step = 500.0, 400.0
    values[layout.CURVE_GRID] = lowest, step
    values[layout.CURVE] = (
        gain * (lowest + step * (np.arange(layout.N_COEFFICIENTS) - 1)) + shift
    )
    values[layout.HEIGHT_REF] = values[layout.PHASE_HALF_WIDTH] = 1.0
    values[layout.VALIDITY] = -np.inf, np.inf
    return values


LIMITS = np.array(
    [[0.0, 100.0], [6000.0, 8000.0], [0.0, 1.0], [0.0, np.inf]]
)  # in the order of CUT_NAMES[2:]
CUTS = CutLimits.from_table(LIMITS)


OK = PixelStatus(PixelState.OK)
NOISY = PixelStatus(PixelState.NOISY)
DEAD = PixelStatus(PixelState.DEAD)


def calibration(run, time_s, pixels, fwhm=2.0):
    """A product of a reference run.

    `pixels` maps a pixel number to a shift in eV, or to the reason of a bad pixel.
    """
    number, n = np.array(list(pixels)), len(pixels)
    good = [not isinstance(verdict, str) for verdict in pixels.values()]
    rows = [
        params(v) if ok else np.full(layout.N_PARAMS, np.nan)
        for v, ok in zip(pixels.values(), good, strict=True)
    ]
    status = [
        PixelState.OK if ok else v for v, ok in zip(pixels.values(), good, strict=True)
    ]
    values = {
        "pixel": (("pixel",), number),
        "status": (("pixel",), np.array(status, dtype=object)),
        "line_energy": (("line",), np.array([277.0, 525.0, 930.0])),
        "fwhm": (
            ("pixel", "line"),
            np.broadcast_to(np.atleast_1d(fwhm).astype(float)[:, None], (n, 3)).copy(),
        ),
        "resolution": (("pixel",), np.broadcast_to(fwhm, n).astype(float)),
        "line_residual": (("pixel", "line"), np.zeros((n, 3))),
        "line_residual_errors": (("pixel", "line"), np.full((n, 3), 0.05)),
        "params": (("pixel", "param"), np.array(rows)),
        "params_covariance": (
            ("pixel", "param", "param_2"),
            np.zeros((n, layout.N_PARAMS, layout.N_PARAMS)),
        ),
        "cut_limits": (
            ("pixel", "cut_quantity", "limit"),
            np.broadcast_to(LIMITS, (n, *LIMITS.shape)).copy(),
        ),
    }
    return labelled(values, PIXEL_CALIBRATION).assign_attrs(run=run, time=float(time_s))


def points(n=4, dwell_s=2.0, first=780.0, start_s=1000.0):
    """Points 1 eV apart with pauses of half a second."""
    start = np.round((start_s + np.arange(n) * (dwell_s + 0.5)) * SECOND).astype(
        np.int64
    )
    return Points(first + np.arange(n), start, start + round(dwell_s * SECOND))


def scan(files=(), at=None, **more):
    """A scan of the Co L edge."""
    told = {
        "kind": "scan",
        "number": 1,
        "name": "scan0001",
        "directory": "",
        "sample": "LMR",
        "edge": "Co_L",
    }
    return Run(**told | {"points": at or points(), "pulse_files": tuple(files)} | more)


def scan_map(counts, incident, exposure=None, name="scan0001", status=None, **readings):
    """A product of a scan with bins of 1 eV from 500 eV on."""
    counts = np.asarray(counts, dtype=np.int64)
    n, m = counts.shape
    axis = ("incident_energy",)
    values = {
        "incident_energy": (axis, np.asarray(incident, dtype=float)),
        "emission_energy": (("emission_energy",), 500.5 + np.arange(m)),
        "emission_energy_edges": (("emission_energy_edge",), 500.0 + np.arange(m + 1)),
        "counts": (("incident_energy", "emission_energy"), counts),
        "exposure": (
            axis,
            np.ones(n) if exposure is None else np.asarray(exposure, dtype=float),
        ),
        "live_time": (axis, np.full(n, 2.0)),
        "point_status": (
            axis,
            np.zeros(n, np.int64) if status is None else np.asarray(status),
        ),
    }
    values |= {
        key: (axis, np.asarray(value, dtype=float)) for key, value in readings.items()
    }
    attributes = {
        "run": name,
        "sample": "LMR",
        "edge": "Co_L",
        "normalisation": "live time",
    }
    return xr.Dataset(values, attrs=attributes | {"elastic_offset": np.nan})
