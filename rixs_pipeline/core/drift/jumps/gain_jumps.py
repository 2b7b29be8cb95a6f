"""Time of a gain jump between two calibrations, from the photons in between.

A pulse has one energy on the earlier calibration and another on the later one. The
pixels that did not jump show what the sample emits: p(E). The log likelihood ratio of a
pulse, ln p(E_before) - ln p(E_after), is positive while the earlier calibration holds,
so the jump is where its running sum is highest, the maximum likelihood change point
[1]_.

References
----------
.. [1] D. V. Hinkley, Biometrika 57, 1 (1970).
"""

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

STEP_EV = 1.0
# top of the density: at least, and relative to the energy that 99 % do not exceed
TOP_EV = 1500.0
TOP_QUANTILE, TOP_MARGIN = 0.99, 1.2
SMOOTHING_EV = 2.0  # wider than the drift between scans, narrower than a jump
BACKGROUND_SHARE = 0.02  # flat, so that a stray pulse decides nothing


def emission_density(energies: FloatArray) -> FloatArray:
    """Return the density of emitted photons, per bin of `STEP_EV` from 0 on.

    Parameters
    ----------
    energies
        (photon,) eV, of pixels that did not jump.

    Returns
    -------
    float array
        (bin,) smoothed, with a sum of 1.
    """
    from scipy.ndimage import gaussian_filter1d

    finite = energies[np.isfinite(energies)]
    usual_top = float(np.quantile(finite, TOP_QUANTILE)) if len(finite) else 0.0
    high = TOP_MARGIN * usual_top
    n_bins = int(max(TOP_EV, high) / STEP_EV)
    energy_range = (0.0, n_bins * STEP_EV)
    counts, _ = np.histogram(energies, n_bins, energy_range)
    counts = counts.astype(np.float64)
    width = SMOOTHING_EV / STEP_EV
    smooth = gaussian_filter1d(counts, width, mode="constant")
    total = max(smooth.sum(), 1.0)
    emitted = (1 - BACKGROUND_SHARE) * smooth / total
    background = BACKGROUND_SHARE / n_bins
    density: FloatArray = emitted + background
    return density


def log_ratio(before: FloatArray, after: FloatArray, density: FloatArray) -> FloatArray:
    """Return how much better pulses fit the earlier calibration than the later one.

    Parameters
    ----------
    before, after
        (pulse,) energies on the two calibrations, eV.
    density
        (bin,) from `emission_density`.

    Returns
    -------
    float array
        (pulse,) ln p(E_before) - ln p(E_after).
    """
    log_before = _log_density(before, density)
    log_after = _log_density(after, density)
    return log_before - log_after


def _log_density(energies: FloatArray, density: FloatArray) -> FloatArray:
    """Return the logarithm of the density (pulse,) at energies (pulse,) eV."""
    last = len(density) - 1
    place = np.nan_to_num(energies) / STEP_EV
    inside = np.clip(place, 0, last)
    bins = inside.astype(np.intp)
    log_density: FloatArray = np.log(density[bins])
    return log_density


def jump_time(time_ns: IntArray, log_ratios: FloatArray) -> float:
    """Return the time of the gain jump of a pixel.

    Parameters
    ----------
    time_ns
        (pulse,) ns since 1970, ascending.
    log_ratios
        (pulse,) from `log_ratio`.

    Returns
    -------
    float
        s since 1970; -inf if all pulses fit the later calibration, inf if all fit the
        earlier one.

    Raises
    ------
    ValueError
        Without pulses.
    """
    if not len(time_ns):
        raise ValueError("no pulses in between: time of the gain jump undetermined")
    n_pulses = len(time_ns)
    running_sum = np.zeros(n_pulses + 1)
    np.cumsum(log_ratios, out=running_sum[1:])
    n_before = int(np.argmax(running_sum))
    if n_before == 0:
        return -np.inf
    if n_before == n_pulses:
        return np.inf
    last_before = int(time_ns[n_before - 1])
    first_after = int(time_ns[n_before])
    return (last_before + first_after) / 2e9
