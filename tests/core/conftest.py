"""A small simulated beamtime, calibrated once for all tests that look at the result."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_run import Calibration, calibrate_pixels
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses
from tests.core.photons import OPTIONS, REFERENCE_LINES


@dataclass(frozen=True)
class Calibrated:
    """A reference run: its pulses, its calibration, and the truth of its records."""

    run: Run
    pulses: list[ReferencePulses]
    result: Calibration
    energy: dict[int, np.ndarray]  # pixel -> true energies (record,), eV
    good: dict[int, np.ndarray]  # pixel -> (record,) single photons, recorded well
    fwhm: dict[int, float]  # pixel -> true resolution, eV

    @property
    def ok(self) -> np.ndarray:
        """Rows of the pixels that are used."""
        return np.flatnonzero([status.is_ok for status in self.result.status])


def calibrated(
    run: Run, truth: dict[str, np.ndarray], fwhm: dict[int, float]
) -> Calibrated:
    pulses = [read_reference_pulses(run, path) for path in run.pulse_files]
    result = calibrate_pixels(
        pulses, REFERENCE_LINES, OPTIONS, float(run.points.incident_energy[0])
    )
    energy, good = {}, {}
    for path, pixel_pulses in zip(run.pulse_files, pulses, strict=True):
        pixel = pixel_pulses.pixel
        if len(pixel_pulses.pulse_height) and f"energy_chan{pixel}" in truth:
            records = off.open_records(path)
            in_run = off.record_range(records, run.start_ns, run.end_ns)
            energy[pixel] = truth[f"energy_chan{pixel}"][in_run]
            good[pixel] = truth[f"good_chan{pixel}"][in_run]
    return Calibrated(run, pulses, result, energy, good, fwhm)


@pytest.fixture(scope="session", params=[11, 12])
def simulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Calibrated]:
    """Both reference runs of a beamtime of 10 pixels.

    Pixel 5 is dead, pixel 9 is noisy, and the gain of pixel 13 jumps between them.
    """
    from rixs_pipeline.simulate.beamtime import simulate
    from rixs_pipeline.simulate.settings import SimulationSettings

    folder = tmp_path_factory.mktemp("beamtime") / "simulated"
    settings = {
        "seed": request.param,
        "pixels": 10,
        "edges": ["Co_L"],
        "passes": 1,
        "points": 5,
        "samples": [{"name": "LMR"}],
        "beam_dumps": [],
        "event_truth": True,
        "projector_samples": 8,
    }
    simulate(folder, SimulationSettings.model_validate(settings))
    with np.load(folder / "truth.npz") as truth:
        arrays = dict(truth)
    pixels = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["pixels"]
    fwhm = {pixel["channel"]: pixel["fwhm"] for pixel in pixels}
    return [calibrated(run, arrays, fwhm) for run in discover(folder).calibrations]


@pytest.fixture(scope="session")
def real(real_data: Path) -> list[Calibrated]:
    """Both reference runs of the real beamtime."""
    return [calibrated(run, {}, {}) for run in discover(real_data).calibrations]
