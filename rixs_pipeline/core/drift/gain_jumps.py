"""When a pixel jumped between two calibrations, told by the photons that it saw in between.

A pulse has one energy on the earlier calibration and another on the later one. What the sample emits is known from
the pixels that did not jump: p(E). The log likelihood ratio of a pulse, ln p(E_before) - ln p(E_after), is positive
while the earlier calibration holds, so the time of the jump is where its running sum is highest (the maximum
likelihood change point; Hinkley, Biometrika 57, 1 (1970)).
"""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

STEP_EV = 1.0
TOP_EV = 1500.0
SMOOTH_EV = 2.0  # wider than the drift between scans, narrower than a jump
FLOOR = 0.02  # share of a flat background: a stray pulse decides nothing


def emission_density(energies: Float) -> Float:
    """Density (bin,) per bin of `STEP_EV` from 0 to `TOP_EV`, of photons at energies (photon,) eV of good pixels."""
    from scipy.ndimage import gaussian_filter1d

    bins = int(TOP_EV / STEP_EV)
    counts = np.histogram(energies, bins, (0.0, TOP_EV))[0].astype(float)
    smooth = gaussian_filter1d(counts, SMOOTH_EV / STEP_EV, mode="constant")
    return np.asarray((1 - FLOOR) * smooth / max(smooth.sum(), 1.0) + FLOOR / bins)


def log_ratio(before: Float, after: Float, density: Float) -> Float:
    """ln p(E_before) - ln p(E_after) of pulses (pulse,) whose energies on the two calibrations are given, eV."""

    def log_density(energies: Float) -> Float:
        inside = np.clip(np.nan_to_num(energies) / STEP_EV, 0, len(density) - 1).astype(
            np.intp
        )
        return np.asarray(np.log(density[inside]))

    return log_density(before) - log_density(after)


def jump_time(time_ns: Int, ratio: Float) -> float:
    """The time of the jump, seconds since 1970, from pulses (pulse,) in order of time and their log ratios.

    -inf if all of them fit the later calibration, inf if all fit the earlier.

    Raises:
        ValueError: there are no pulses.
    """
    if not len(time_ns):
        raise ValueError("without pulses there is no telling when the pixel jumped")
    running = np.concatenate([[0.0], np.cumsum(ratio)])
    best = int(np.argmax(running))
    if best == 0:
        return -np.inf
    if best == len(time_ns):
        return np.inf
    return (int(time_ns[best - 1]) + int(time_ns[best])) / 2e9
