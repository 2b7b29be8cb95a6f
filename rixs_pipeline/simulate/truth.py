"""What is true about a simulated beamtime: written beside it, and computed again."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from rixs_pipeline.errors import InputError
from rixs_pipeline.simulate.emission import (
    EMISSION_GRID,
    ElasticLight,
    LightPart,
    intensity,
)
from rixs_pipeline.simulate.lines import FWHM_PER_SIGMA, LINES
from rixs_pipeline.simulate.pixel import Pixel
from rixs_pipeline.simulate.schedule import PlannedRun, epoch_ns
from rixs_pipeline.simulate.settings import Sample, SimulationSettings
from rixs_pipeline.simulate.source import photon_source
from rixs_pipeline.types import BoolArray, FloatArray

TRUTH_FILE = "truth.json"
EVENTS_FILE = "truth.npz"
FINE_STEP = 0.05  # eV, of the grid on which a detector's response is applied
RESPONSE_WIDTHS = 5  # FWHM at which the kernel of a response is cut off
RESPONSE_TAILS = 8  # decay lengths at which its tail is cut off


@dataclass(frozen=True)
class DetectorResponse:
    """Response of a detector: a Gaussian, and an exponential tail to low energy.

    Attributes
    ----------
    fwhm
        Resolution, eV.
    tail_fraction
        Share of photons in the tail.
    tail_length
        Decay length of the tail, eV.
    """

    fwhm: float
    tail_fraction: float
    tail_length: float


def _find_sample(settings: SimulationSettings, name: str) -> Sample:
    samples = {sample.name: sample for sample in settings.samples}
    if name not in samples:
        raise InputError(f"unknown sample '{name}'; choose one of {', '.join(samples)}")
    return samples[name]


def true_map(
    settings: SimulationSettings,
    edge: str,
    sample: str,
    incident: FloatArray,
    emission_edges: FloatArray,
    *,
    response: DetectorResponse | None = None,
    part: LightPart = LightPart.ALL,
) -> FloatArray:
    """Return the map that an infinitely long measurement gives.

    Parameters
    ----------
    settings
        Settings of the beamtime.
    edge
        A scanned edge.
    sample
        Name of a sample.
    incident
        Incident energies as logged, f8 (point,), eV.
    emission_edges
        Edges of the emission bins, f8 (bin + 1,), eV, ascending.
    response
        Response of the detector; None: an ideal one.
    part
        Which light: all, or fluorescence and elastic light apart.

    Returns
    -------
    ndarray
        f8 (point, bin), photons/s in each bin on a mean pixel with the mean beam.

    Raises
    ------
    InputError
        There is no such sample.
    """
    true_sample = _find_sample(settings, sample)
    energy = EMISSION_GRID
    if response is not None:
        energy = np.arange(EMISSION_GRID[0], EMISSION_GRID[-1], FINE_STEP)
    density = intensity(
        incident + settings.incident_offset,
        energy,
        edge,
        true_sample,
        elastic=ElasticLight(settings.elastic, settings.elastic_resonance),
        part=part,
    )
    if response is not None:
        density = apply_response(density, FINE_STEP, response)
    return settings.rate * photon_source(energy, density).binned(emission_edges)


def apply_response(
    density: FloatArray, step: float, response: DetectorResponse
) -> FloatArray:
    """Convolve spectra with the response of a detector.

    Parameters
    ----------
    density
        Spectra, f8 (..., energy), on an evenly spaced grid.
    step
        Spacing of the grid, eV.
    response
        Response of the detector.

    Returns
    -------
    ndarray
        Shaped like `density`.
    """
    width = RESPONSE_WIDTHS * response.fwhm
    tail_width = RESPONSE_TAILS * response.tail_length
    right = round(width / step) + 1
    offset = np.arange(-round((tail_width + width) / step), right) * step
    tail = np.where(offset <= 0, np.exp(offset / response.tail_length), 0.0)
    no_tail = np.where(np.abs(offset) < step / 2, 1.0, 0.0)
    share = response.tail_fraction
    kernel = (1 - share) * no_tail + share * tail / tail.sum()

    distance = np.arange(-round(width / step), right) * step
    gauss = np.exp(-0.5 * (distance * FWHM_PER_SIGMA / response.fwhm) ** 2)
    kernel = np.convolve(kernel, gauss / gauss.sum(), mode="same")
    convolved = fftconvolve(density, kernel[None, :], axes=-1)
    start = int(np.argmin(np.abs(offset)))
    return np.asarray(convolved[..., start : start + density.shape[-1]])


def _run_truth(run: PlannedRun) -> dict[str, Any]:
    truth = {
        "kind": run.kind,
        "number": run.number,
        "sample": run.sample.name if run.sample else None,
        "edge": run.edge,
        "complete": run.complete,
        "start_ns": int(epoch_ns(run.start[0])),
        "end_ns": int(epoch_ns(run.end[-1])),
        "beam": np.round(run.beam, 6).tolist(),
    }
    if run.clock_offset.any():
        truth["clock_offset"] = np.round(run.clock_offset, 6).tolist()
    return truth


def write_truth(
    beamtime: Path,
    settings: SimulationSettings,
    runs: tuple[PlannedRun, ...],
    pixels: list[Pixel],
    record_counts: dict[int, int],
) -> None:
    """Write `truth.json`: settings, lines, runs, and the parameters of every pixel.

    Parameters
    ----------
    beamtime
        Directory of the beamtime.
    settings
        Settings of the beamtime.
    runs
        All runs in order of time.
    pixels
        All pixels.
    record_counts
        Channel number to number of whole records.
    """
    names = (*settings.lines, *settings.contaminants)
    pixel_truths = []
    for pixel in pixels:
        records = record_counts[pixel.channel]
        pixel_truths.append(pixel.parameters() | {"records": records})
    truth = {
        "settings": settings.as_json(),
        "lines": {name: LINES[name].maximum for name in names},
        "runs": [_run_truth(run) for run in runs],
        "pixels": pixel_truths,
    }
    text = json.dumps(truth, indent=1)
    (beamtime / TRUTH_FILE).write_text(text + "\n", encoding="utf-8")


def read_settings(beamtime: Path) -> SimulationSettings:
    """Read the settings of a simulated beamtime from its `truth.json`."""
    truth = json.loads((beamtime / TRUTH_FILE).read_text(encoding="utf-8"))
    return SimulationSettings.model_validate(truth["settings"])


def append_event_truth(
    archive: zipfile.ZipFile, channel: int, energy: FloatArray, is_good: BoolArray
) -> None:
    """Add the truth about a pixel's records to an open `truth.npz`.

    Parameters
    ----------
    archive
        The open file; it gets the arrays `energy_chan1` and `good_chan1`, for example.
    channel
        Channel number of the pixel.
    energy
        Of the photon that triggered, f8 (record,), eV; NaN where no photon did.
    is_good
        Whether a single photon was recorded well, bool (record,).
    """
    arrays = {f"energy_chan{channel}": energy, f"good_chan{channel}": is_good}
    for name, values in arrays.items():
        # the default date of ZipInfo is fixed, so that equal settings give equal bytes
        entry = zipfile.ZipInfo(f"{name}.npy")
        with archive.open(entry, "w", force_zip64=True) as file:
            np.lib.format.write_array(file, np.asarray(values))
