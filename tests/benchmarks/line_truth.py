"""Positions of the reference lines on the fitted scale, from noise-free photons.

A fitted position has the noise of the line's photons. True energies and errors of the
same photons share that noise, so a comparison with them would underestimate the error.
Simulated photons of the line energy, spread over the whole run and all phases, without
resolution and tail, give the position without that noise.
"""

from dataclasses import replace

import numpy as np

from rixs_pipeline.core.energy import corrected_pulse_height, curve_energy
from rixs_pipeline.simulate.detector import (
    JUMP_BASELINE,
    Detector,
    Photons,
    draw_pulse_heights,
)
from rixs_pipeline.simulate.drift import draw_baseline_drift, find_jump_times
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.pulses import PHASE_NOISE
from rixs_pipeline.simulate.schedule import plan_runs
from rixs_pipeline.simulate.settings import BASELINE_FLICKER
from rixs_pipeline.types import are_ok

PROBES = 3000  # photons a line: 0.3 eV of scatter leave 0.005 eV


def line_errors(settings, calibration, number, energies):
    """Errors of the fitted scale at `energies` (line,) in a reference run.

    The result is (pixel, line) eV, NaN where the pixel is not ok.

    `number`: of the run, 0 the first and -1 the last.
    """
    return probe_lines(settings, calibration, number, energies)[0]


def probe_lines(settings, calibration, number, energies):
    """Errors of the scale and scatter of photons without resolution, as `line_errors`.

    The scatter is what phase, baseline and drift add to the resolution: (pixel, line),
    standard deviation, eV.
    """
    runs = plan_runs(settings)
    jump_times = find_jump_times(runs)
    drift = draw_baseline_drift(settings, runs[-1].end[-1])
    detector = Detector(settings, drift)
    run, rng = runs[number], np.random.default_rng(1)
    time = np.linspace(run.start[0], run.end[-1], PROBES)
    phase = rng.permutation((np.arange(PROBES) + 0.5) / PROBES)
    errors = np.full((len(calibration["pixel"]), len(energies)), np.nan)
    scatter = errors.copy()
    is_ok = are_ok(calibration["status"].values)
    for row, channel in enumerate(calibration["pixel"].values):
        if not is_ok[row]:
            continue
        pixel = draw_pixel(settings, int(channel), jump_times)
        pixel = replace(pixel, fwhm=0.0, tail_fraction=0.0)
        flicker = rng.normal(0, BASELINE_FLICKER, PROBES)
        common_drift = pixel.baseline_scale * drift.at(time)
        jump = JUMP_BASELINE * (time >= pixel.jump_time)
        baseline = pixel.baseline + common_drift + jump + flicker
        params = calibration["params"].values[row]
        for line, true_energy in enumerate(energies):
            energy = np.full(PROBES, true_energy)
            photons = Photons(energy, time, phase, flicker)
            height = draw_pulse_heights(detector, pixel, photons, rng)
            ratio = pixel.phase_ratio(energy, phase)
            ratio = ratio + rng.normal(0, PHASE_NOISE, PROBES)
            corrected = corrected_pulse_height(height, baseline, ratio, params)
            fitted_energy = curve_energy(corrected, params)
            errors[row, line] = np.mean(fitted_energy) - true_energy
            scatter[row, line] = np.std(fitted_energy)
    return errors, scatter


def pulls(settings, calibration, number):
    """(Fitted - true position on the fitted scale) / its error, (pixel, line).

    NaN where the line was not fitted.
    """
    truth = line_errors(
        settings, calibration, number, calibration["line_energy"].values
    )
    return (calibration["line_residual"].values - truth) / calibration[
        "line_residual_errors"
    ].values
