"""The counts of a scan, counted again with plain numpy and a reader of its own."""

import json
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from rixs_pipeline.core.energy import energy, interpolated_energy, layout


@dataclass(frozen=True)
class Recount:
    """Recounted photons of a scan.

    Counts (point, bin), the total number of pulses, and pixel -> counted pulses.
    """

    counts: np.ndarray
    expected: int
    pixel_counts: dict[int, int]


def read_off(path):
    """Read all complete records of an OFF file 0.2.0 or 0.3.0, by its specification."""
    data = path.read_bytes()
    start = data.index(b"\n}\n") + 3
    header = json.loads(data[:start])
    bases = int(header["NumberOfBases"])
    projectors = header["ModelInfo"]["Projectors"]
    start += 2 * 8 * int(projectors["Rows"]) * int(projectors["Cols"])
    delta = [("delta", "<f4")] if header["FileFormatVersion"] == "0.3.0" else []
    dtype = np.dtype(
        [
            ("samples", "<i4"),
            ("presamples", "<i4"),
            ("frame", "<i8"),
            ("ns", "<i8"),
            ("pretrigger", "<f4"),
            *delta,
            ("residual", "<f4"),
            ("coefs", "<f4", (bases,)),
        ]
    )
    return np.fromfile(
        path, dtype, offset=start, count=(len(data) - start) // dtype.itemsize
    )


def ns(seconds):
    """Seconds of a log, which are decimal numbers, as integer ns."""
    return np.array(
        [round(Decimal(repr(float(second))) * 10**9) for second in seconds],
        dtype=np.int64,
    )


def recount(scan, calibrations, files, start_ns, end_ns):
    """Count a scan again, with the cut limits and calibrations stored in products.

    Between two calibrations, energies hold for the middle of a point and are rounded to
    f4, as in the pipeline. Calibrations are aligned and corrected for drift by what the
    product of the scan states.
    `scan`: the scan's product; `calibrations`: run -> product; `files`: pixel -> OFF
    file; windows i8 (point,).
    """
    assert np.all(start_ns < end_ns) and np.all(
        end_ns[:-1] <= start_ns[1:]
    )  # no pulse is in two points
    edges = scan["emission_energy_edges"].values
    counts = np.zeros((len(start_ns), len(edges) - 1), np.int64)
    expected, of_pixel = 0, {}
    corrected = {
        name: _corrected_params(calibration, scan)
        for name, calibration in calibrations.items()
    }
    rows = zip(
        scan["pixel"].values,
        scan["pixel_status"].values,
        scan["cut_limits"].values,
        strict=True,
    )
    for pixel, status, limits in rows:
        if not status.startswith("ok"):
            continue
        records = read_off(files[pixel])
        time = records["ns"]
        point = np.searchsorted(start_ns, time, side="right") - 1
        within = (point >= 0) & (time < end_ns[point])
        height, slope = (records["coefs"][:, k].astype(float) for k in (2, 1))
        values = {
            "height": height,
            "phase": np.where(
                height != 0, slope / np.where(height != 0, height, 1), np.nan
            ),
        }
        values |= {
            name: records[name].astype(float) for name in ("residual", "pretrigger")
        }
        passed = (
            within
            & (height > 0)
            & np.all([np.isfinite(v) for v in values.values()], axis=0)
        )
        values["since_last"] = np.diff(time, prepend=np.iinfo(np.int64).min // 2) / 1e9
        for name, (low, high) in zip(
            ("residual", "pretrigger", "phase", "since_last"), limits, strict=True
        ):
            passed &= (values[name] >= low) & (values[name] <= high)
        middle = (start_ns / 2 + end_ns / 2)[point] / 1e9
        emission = (
            _energy(status, pixel, values, middle, calibrations, corrected)
            .astype(np.float32)
            .astype(float)
        )
        bin_ = np.searchsorted(edges, emission, side="right") - 1
        passed &= (emission >= edges[0]) & (emission < edges[-1])
        np.add.at(counts, (point[passed], bin_[passed]), 1)
        of_pixel[int(pixel)] = int(passed.sum())
        expected += of_pixel[int(pixel)]
    return Recount(counts, expected, of_pixel)


def _corrected_params(calibration, scan):
    """Pixel -> parameters: common drift coefficients, and the gain of scan and pixel.

    The mean drift coefficients of the good pixels become those of the scan.
    """
    params = calibration["params"].values
    is_good = np.array([text == "ok" for text in calibration["status"].values])
    change = scan["drift_coefficients"].values
    change = change - params[is_good, layout.DRIFT].mean(axis=0)
    alignment = dict(zip(scan["pixel"].values, scan["alignment"].values, strict=True))
    result = {}
    for pixel, of_pixel in zip(calibration["pixel"].values, params, strict=True):
        result[pixel] = of_pixel.copy()
        result[pixel][layout.DRIFT] += change
        gain = (1 - scan.attrs["scale_gain"]) * (1 - alignment[pixel])
        result[pixel][layout.CURVE] *= gain
    return result


def _energy(status, pixel, values, time, calibrations, corrected):
    """Calibrate with the runs in `ok: cal0000 to cal0009` or `ok: cal0000 alone, …`."""
    names = status.removeprefix("ok: ").split(",")[0].split()
    used = [name for name in names if name in calibrations]
    assert len(used) == (2 if names[1] == "to" else 1)
    params = [corrected[name][pixel] for name in used]
    pulses = values["height"], values["pretrigger"], values["phase"], time
    if len(used) == 1:
        return energy(*pulses, params[0])
    return interpolated_energy(
        *pulses, tuple(params), tuple(calibrations[name].attrs["time"] for name in used)
    )
