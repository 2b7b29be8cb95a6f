"""What is true about a simulated beamtime, written beside it and computed from it again."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.simulate.detector import Pixel
from rixs_pipeline.simulate.emission import intensity, reference_density
from rixs_pipeline.simulate.lines import FWHM, LINES
from rixs_pipeline.simulate.pulses import Spectra, spectra
from rixs_pipeline.simulate.schedule import PlannedRun, epoch_ns
from rixs_pipeline.simulate.settings import SimulationSettings

Array = NDArray[np.float64]

TRUTH_FILE, EVENTS_FILE = "truth.json", "truth.npz"
EMISSION = np.linspace(
    200.0, 1100.0, 3601
)  # the grid on which spectra are computed, eV
FINE = 0.05  # eV, of the grid on which a detector's response is applied


def run_spectra(settings: SimulationSettings, run: PlannedRun, last: bool) -> Spectra:
    """The spectra of a run's points; in the last reference run the monochromator has slipped."""
    if run.sample is not None and run.edge is not None:
        return spectra(EMISSION, intensity(run.energy, EMISSION, run.edge, run.sample))
    parked = settings.parked_energy + (
        settings.monochromator_slip if last and run.number else 0.0
    )
    return spectra(
        EMISSION,
        reference_density(EMISSION, settings.lines, settings.contaminants, parked)[
            None, :
        ],
    )


def true_map(
    settings: SimulationSettings,
    edge: str,
    sample: str,
    incident: Array,
    emission_edges: Array,
    response: tuple[float, float, float] | None = None,
) -> Array:
    """The map that an infinitely long measurement gives.

    Args:
        settings: the beamtime's.
        edge: a scanned edge.
        sample: name of a sample.
        incident: f8 (n,), eV.
        emission_edges: f8 (m + 1,), eV, ascending.
        response: of a detector: FWHM eV, share in the low-energy tail, its decay length eV; None: an ideal one.

    Returns:
        f8 (n, m), photons/s in each bin on a mean pixel with the mean beam.

    Raises:
        InputError: there is no such sample.
    """
    found = [s for s in settings.samples if s.name == sample]
    if not found:
        raise InputError(
            f"sample '{sample}' was not simulated; there are {[s.name for s in settings.samples]}"
        )
    energy = (
        EMISSION if response is None else np.arange(EMISSION[0], EMISSION[-1], FINE)
    )
    density = intensity(incident, energy, edge, found[0])
    if response is not None:
        density = blurred(density, FINE, *response)
    return settings.rate * spectra(energy, density).binned(emission_edges)


def blurred(
    density: Array, step: float, fwhm: float, tail_fraction: float, tail_length: float
) -> Array:
    """Densities (…, energy) on a grid of `step` eV as a detector sees them: Gaussian, and a tail to low energy."""
    from scipy.signal import fftconvolve

    offset = (
        np.arange(
            -round((8 * tail_length + 5 * fwhm) / step), round(5 * fwhm / step) + 1
        )
        * step
    )
    tail = np.where(offset <= 0, np.exp(offset / tail_length), 0.0)
    delta = np.where(np.abs(offset) < step / 2, 1.0, 0.0)
    kernel = (1 - tail_fraction) * delta + tail_fraction * tail / tail.sum()
    around = np.arange(-round(5 * fwhm / step), round(5 * fwhm / step) + 1) * step
    gauss = np.exp(-0.5 * (around * FWHM / fwhm) ** 2)
    kernel = np.convolve(kernel, gauss / gauss.sum(), mode="same")
    full = fftconvolve(density, kernel[None, :], axes=-1)
    start = int(np.argmin(np.abs(offset)))
    return np.asarray(full[..., start : start + density.shape[-1]])


def _run_truth(run: PlannedRun) -> dict[str, Any]:
    return {
        "kind": run.kind,
        "number": run.number,
        "sample": run.sample.name if run.sample else None,
        "edge": run.edge,
        "complete": run.complete,
        "start_ns": int(epoch_ns(run.start[0])),
        "end_ns": int(epoch_ns(run.end[-1])),
        "beam": np.round(run.beam, 6).tolist(),
    }


def write_truth(
    beamtime: Path,
    settings: SimulationSettings,
    runs: tuple[PlannedRun, ...],
    pixels: list[Pixel],
    records: dict[int, int],
) -> None:
    """Write `truth.json`: settings, lines, samples, runs, and every pixel's parameters and whole records."""
    truth = {
        "settings": settings.model_dump(mode="json"),
        "lines": {
            name: LINES[name].maximum
            for name in (*settings.lines, *settings.contaminants)
        },
        "runs": [_run_truth(run) for run in runs],
        "pixels": [
            pixel.parameters() | {"records": records[pixel.channel]} for pixel in pixels
        ],
    }
    (beamtime / TRUTH_FILE).write_text(
        json.dumps(truth, indent=1) + "\n", encoding="utf-8"
    )


def read_settings(beamtime: Path) -> SimulationSettings:
    """The settings a beamtime was simulated with, from its `truth.json`."""
    truth = json.loads((beamtime / TRUTH_FILE).read_text(encoding="utf-8"))
    return SimulationSettings.model_validate(truth["settings"])


def append_events(
    archive: zipfile.ZipFile, channel: int, energy: Array, good: NDArray[np.bool_]
) -> None:
    """Add the truth about a pixel's records to an open `truth.npz`: `energy_chan1` f8 eV, `good_chan1` bool."""
    for name, values in (
        (f"energy_chan{channel}", energy),
        (f"good_chan{channel}", good),
    ):
        with archive.open(
            zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True
        ) as file:  # a fixed date: equal bytes
            np.lib.format.write_array(file, np.asarray(values))
