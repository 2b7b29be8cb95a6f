"""Calibrate with half of the pulses and apply the calibration to the other half."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixs_pipeline import open_product
from rixs_pipeline.core.energy import interpolated_energy
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.stages.interval.gain_jumps import find_gain_jumps
from rixs_pipeline.types import are_ok


def write_half(beamtime: Path, out: Path, which: int) -> None:
    """Write a beamtime with every second record of each OFF file.

    `which`: 0 for the first of each pair, 1 for the second.
    """
    out.mkdir(parents=True)
    for path in beamtime.iterdir():
        if path.suffix != ".off":
            shutil.copyfile(path, out / path.name)
            continue
        header, data = off.read_header(path), path.read_bytes()
        records = np.frombuffer(
            data, header.record_dtype, header.n_records, header.data_offset
        )
        (out / path.name).write_bytes(
            data[: header.data_offset] + records[which::2].tobytes()
        )


@dataclass(frozen=True)
class HeldOut:
    """One pixel in one reference run; the calibration did not use these photons."""

    run: str
    pixel: int
    energies: np.ndarray  # (event,) eV
    # (line,) eV, counting statistics of the fitted half; 0 where a line was not fitted
    line_errors: np.ndarray


def read_held_out(beamtime: Path, out: Path) -> list[HeldOut]:
    """Read the photons of the reference runs, calibrated with the products in `out`.

    Energies are interpolated in time between the two reference runs, as in a scan;
    those of a pixel that jumped in between rest on the reference run of the photons.
    Cuts are those of the calibration. Pixels that are not ok are left out.
    """
    runs = discover(beamtime).calibrations
    products = [open_product(out / "calibration" / f"{run.name}.nxs") for run in runs]
    jumped, times = (
        find_gain_jumps(products),
        tuple(float(c.attrs["time"]) for c in products),
    )
    held_out = []
    for run, own in zip(runs, products, strict=True):
        is_ok = are_ok(own["status"].values)
        for row, path in enumerate(run.pulse_files):
            if not is_ok[row]:
                continue
            pulses = off.read_pulses(path, run.start_ns, run.end_ns)
            before, after = (
                c["params"].values[row]
                for c in ((own, own) if pulses.pixel in jumped else products)
            )
            quantities = pulses.pulse_height, pulses.pretrigger_mean, pulses.phase
            # cuts on residual, pretrigger mean and phase, applied here; hold-off is
            # meaningless without every second pulse
            limited = np.stack([pulses.residual, pulses.pretrigger_mean, pulses.phase])
            low, high = own["cut_limits"].values[row][:3].T[:, :, None]
            good = np.all((limited >= low) & (limited <= high), axis=0) & (
                pulses.pulse_height > 0
            )
            energies = interpolated_energy(
                *quantities, pulses.time_ns / 1e9, (before, after), times
            )
            errors = np.nan_to_num(own["line_residual_errors"].values[row])
            held_out.append(HeldOut(run.name, pulses.pixel, energies[good], errors))
    return held_out
