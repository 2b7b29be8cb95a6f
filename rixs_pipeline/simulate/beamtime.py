"""Simulate a whole beamtime, pixel by pixel."""

import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from rixs_pipeline.errors import UsageError
from rixs_pipeline.simulate.detector import Detector
from rixs_pipeline.simulate.drift import (
    draw_baseline_drift,
    draw_common_drift,
    find_jump_times,
)
from rixs_pipeline.simulate.logs import LOG_FOLDER, write_log, write_state_file
from rixs_pipeline.simulate.off_files import RUN_FOLDER, write_off_file
from rixs_pipeline.simulate.pixel import Pixel, draw_pixel
from rixs_pipeline.simulate.pulses import record_pulses
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.source import Measurement, plan_measurements
from rixs_pipeline.simulate.truth import EVENTS_FILE, append_event_truth, write_truth


def simulate(out: Path, settings: SimulationSettings) -> None:
    """Write a beamtime with known truth.

    It consists of OFF files, experiment state, logs, `truth.json` and, if
    `event_truth` is set, `truth.npz`.

    Parameters
    ----------
    out
        A directory that does not exist yet, or an empty one.
    settings
        What is simulated; equal settings give equal bytes.

    Raises
    ------
    UsageError
        `out` exists and is not an empty directory.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out}: not an empty directory; choose a new or empty directory"
        )
    (out / RUN_FOLDER).mkdir(parents=True)
    (out / LOG_FOLDER).mkdir()

    measurements = plan_measurements(settings)
    runs = tuple(measurement.run for measurement in measurements)
    for run in runs:
        write_log(out, run, settings)
    write_state_file(out, runs)

    duration = float(runs[-1].end[-1])
    detector = Detector(
        settings, draw_baseline_drift(settings, duration), draw_common_drift(settings)
    )
    jump_times = find_jump_times(runs)
    pixels = [
        draw_pixel(settings, channel, jump_times) for channel in settings.channels
    ]
    record_counts = _write_pixels(out, detector, pixels, measurements)
    write_truth(out, settings, runs, pixels, record_counts)


def _write_pixels(
    out: Path, detector: Detector, pixels: list[Pixel], measurements: list[Measurement]
) -> dict[int, int]:
    """Write the OFF files one after the other; return whole records by channel."""
    record_counts = {}
    has_event_truth = detector.settings.event_truth
    events = zipfile.ZipFile(out / EVENTS_FILE, "w") if has_event_truth else None
    with events or nullcontext():
        for pixel in pixels:
            number = _write_pixel(out, detector, pixel, measurements, events)
            record_counts[pixel.channel] = number
    return record_counts


def _write_pixel(
    out: Path,
    detector: Detector,
    pixel: Pixel,
    measurements: list[Measurement],
    events: zipfile.ZipFile | None,
) -> int:
    """Write the OFF file of a pixel and its event truth; return its whole records."""
    settings, channel = detector.settings, pixel.channel
    if channel in settings.dead_pixels:
        return write_off_file(out, settings, channel, [])
    pulses = [
        record_pulses(detector, pixel, measurement) for measurement in measurements
    ]
    records = [part.records for part in pulses]
    number = write_off_file(out, settings, channel, records)
    if events is not None:
        energy = np.concatenate([part.energy for part in pulses])[:number]
        is_good = np.concatenate([part.is_good for part in pulses])[:number]
        append_event_truth(events, channel, energy, is_good)
    return number
