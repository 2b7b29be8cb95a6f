"""Simulate a whole beamtime, pixel by pixel."""

import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from rixs_pipeline.errors import UsageError
from rixs_pipeline.simulate.detector import Pixel, draw_pixel
from rixs_pipeline.simulate.drift import BaseLine, base_line, late_jump, scan_jump
from rixs_pipeline.simulate.pulses import Pulses, Spectra, record_pulses
from rixs_pipeline.simulate.schedule import PlannedRun, plan, with_readings
from rixs_pipeline.simulate.settings import PRESETS, SimulationSettings, preset
from rixs_pipeline.simulate.truth import (
    EVENTS_FILE,
    append_events,
    run_spectra,
    write_truth,
)
from rixs_pipeline.simulate.writers import (
    RUN_FOLDER,
    off_header,
    off_path,
    record_dtype,
    truncate_last_record,
    write_log,
    write_state,
)

__all__ = ["PRESETS", "SimulationSettings", "preset", "simulate"]

Job = tuple[PlannedRun, Spectra]


def simulate(out: Path, settings: SimulationSettings) -> None:
    """Write a beamtime with known truth: OFF files, experiment state, logs, `truth.json` (and `truth.npz`).

    Args:
        out: a folder that does not exist yet, or an empty one.
        settings: what is simulated; equal settings give equal bytes.

    Raises:
        UsageError: `out` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not an empty folder; name a new one")
    (out / RUN_FOLDER).mkdir(parents=True)
    (out / "logs").mkdir()
    jobs = _jobs(settings)
    runs = tuple(run for run, _ in jobs)
    drift = base_line(settings.seed, runs[-1].end[-1], settings.drift)
    jumps = (late_jump(runs), scan_jump(runs))
    pixels = [draw_pixel(settings, channel, jumps) for channel in settings.channels]
    for run in runs:
        write_log(out, run, settings)
    write_state(out, runs)
    records = _write_pixels(out, settings, jobs, pixels, drift)
    write_truth(out, settings, runs, pixels, records)


def _jobs(settings: SimulationSettings) -> list[Job]:
    """Every run with its spectra, which passes of one edge and sample share."""
    runs = plan(settings)
    known: dict[tuple[str | None, str | None, int], Spectra] = {}
    jobs = []
    for run in runs:
        key = (
            run.edge,
            run.sample.name if run.sample else str(run.number),
            len(run.energy),
        )
        if key not in known:
            known[key] = run_spectra(settings, run, last=run is runs[-1])
        jobs.append((with_readings(run, known[key].yields, settings.seed), known[key]))
    return jobs


def _write_pixels(
    out: Path,
    settings: SimulationSettings,
    jobs: list[Job],
    pixels: list[Pixel],
    drift: BaseLine,
) -> dict[int, int]:
    """Write the OFF files one after the other; the number of whole records of each channel."""
    dtype = record_dtype(settings.off_version, settings.bases)
    records = {}
    with ExitStack() as stack:
        archive = (
            stack.enter_context(zipfile.ZipFile(out / EVENTS_FILE, "w"))
            if settings.event_truth
            else None
        )
        for pixel in pixels:
            dead = pixel.channel in settings.dead_pixels
            parts = (
                []
                if dead
                else [
                    record_pulses(settings, pixel, *job, drift, dtype) for job in jobs
                ]
            )
            records[pixel.channel] = _write_pixel(
                out, settings, pixel.channel, parts, dtype
            )
            if archive is not None and parts:
                n = records[pixel.channel]
                energy, good = (
                    np.concatenate([getattr(p, name) for p in parts])[:n]
                    for name in ("energy", "good")
                )
                append_events(archive, pixel.channel, energy, good)
    return records


def _write_pixel(
    out: Path,
    settings: SimulationSettings,
    channel: int,
    parts: list[Pulses],
    dtype: np.dtype[np.void],
) -> int:
    """Write one OFF file; the number of its whole records."""
    number = sum(len(part.records) for part in parts)
    with off_path(out, channel).open("wb") as file:
        file.write(off_header(settings, channel))
        for part in parts:
            file.write(part.records.tobytes())
        if channel in settings.truncated_pixels and number:
            truncate_last_record(file, dtype)
            number -= 1
    return number
