"""Where the truth puts the reference lines on the scale that was fitted: photons without noise, from the simulator.

A fitted position errs by the noise of the line's own photons; their true energies and errors share that noise, so that
comparing with them would make the error look smaller than it is. Photons of the line's energy that arrive all over the
run at every phase, without resolution and tail, tell the same without it.
"""

from dataclasses import replace

import numpy as np

from rixs_pipeline.core.energy import corrected_pulse_height, curve_energy
from rixs_pipeline.simulate.detector import JUMP_BASE_LINE, draw_pixel, measured_height
from rixs_pipeline.simulate.drift import base_line, late_jump, scan_jump
from rixs_pipeline.simulate.pulses import BASE_LINE_FLICKER
from rixs_pipeline.simulate.schedule import plan
from rixs_pipeline.types import are_ok

PROBES = 3000  # photons a line: 0.3 eV of scatter leave 0.005 eV
PHASE_NOISE = 0.04  # of derivativeLike / filtValue, as recorded


def line_errors(settings, calibration, number, energies):
    """How far off the fitted scale is at `energies` (line,) eV in a reference run, (pixel, line) eV; NaN: not ok.

    `number`: of the run, 0 the first and -1 the last.
    """
    runs = plan(settings)
    jumps, drift = (
        (late_jump(runs), scan_jump(runs)),
        base_line(settings.seed, runs[-1].end[-1], settings.drift),
    )
    run, rng = runs[number], np.random.default_rng(1)
    time = np.linspace(run.start[0], run.end[-1], PROBES)
    phase = rng.permutation((np.arange(PROBES) + 0.5) / PROBES)
    found = np.full((len(calibration["pixel"]), len(energies)), np.nan)
    is_ok = are_ok(calibration["status"].values)
    for row, channel in enumerate(calibration["pixel"].values):
        if not is_ok[row]:
            continue
        pixel = replace(
            draw_pixel(settings, int(channel), jumps), fwhm=0.0, tail_fraction=0.0
        )
        base = (
            pixel.base_line
            + pixel.base_line_scale * drift.at(time)
            + JUMP_BASE_LINE * (time >= pixel.jump_time)
        )
        flicker = rng.normal(0, BASE_LINE_FLICKER, PROBES)
        base = base + flicker
        for line, true in enumerate(energies):
            energy = np.full(PROBES, true)
            height = measured_height(
                pixel, settings, energy, time, phase, drift, flicker, rng
            )
            reading = pixel.phase_reading(energy, phase) + rng.normal(
                0, PHASE_NOISE, PROBES
            )
            params = calibration["params"].values[row]
            corrected = corrected_pulse_height(height, base, reading, params)
            found[row, line] = np.mean(curve_energy(corrected, params)) - true
    return found


def pulls(settings, calibration, number):
    """(Fitted - true position of a line on the fitted scale) / its error, (pixel, line); NaN where not fitted."""
    truth = line_errors(
        settings, calibration, number, calibration["line_energy"].values
    )
    return (calibration["line_residual"].values - truth) / calibration[
        "line_residual_errors"
    ].values
