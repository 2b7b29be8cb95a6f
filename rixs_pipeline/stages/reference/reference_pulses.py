"""Pulses of a reference run."""

from pathlib import Path

import numpy as np

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import NS_PER_S, Run


def read_reference_pulses(run: Run, path: Path) -> ReferencePulses:
    """Read the pulses of one pixel in a reference run.

    Parameters
    ----------
    run
        The reference run.
    path
        OFF file of the pixel.

    Returns
    -------
    ReferencePulses
        In order of time, which counts from the start of the run; without those in
        gaps between its parts.
    """
    points = run.points
    pulses = off.read_pulses(path, run.start_ns, run.end_ns)
    if len(points) > 1:
        part = np.searchsorted(points.start_ns, pulses.time_ns, side="right") - 1
        pulses = pulses.select(pulses.time_ns < points.end_ns[part])
    return ReferencePulses(
        pixel=pulses.pixel,
        pulse_height=pulses.pulse_height,
        pretrigger_mean=pulses.pretrigger_mean,
        phase=pulses.phase,
        residual=pulses.residual,
        time=(pulses.time_ns - run.start_ns) / NS_PER_S,
        since_last=pulses.since_last,
        record_s=pulses.dead_time_s,
    )
