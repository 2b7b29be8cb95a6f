"""What the readings of a scan say about the rates of photons in its points."""

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

# Quadratic smoothing of readings per I0, keeps a peak of five points: Savitzky and
# Golay, Anal. Chem. 36 (1964) 1627, table I. scipy.signal takes half a second to import
SMOOTHING = np.array([-3.0, 12.0, 17.0, 12.0, -3.0]) / 35.0
SMOOTHING_POINTS = len(SMOOTHING)
# Contrast of a reading over its noise. Below, the noise looks like structure that a fit
# may enlarge; the clearest reading is used whatever its noise.
MIN_CLARITY = 50.0
# Standard deviation of third differences of white noise of standard deviation 1
THIRD_DIFFERENCE = np.sqrt(20.0)
NORMAL_MAD = 1.4826  # standard deviation / median absolute deviation
STEP = 0.3  # relative change of I0 from point to point: the beam changes within a point
DARK = 0.5  # of the median I0, below which a point has another beam than most
MIN_CLEAR = 5.0  # clarity of a reading that has structure at all


def make_channels(
    i0: FloatArray | None, readings: list[FloatArray], energy: FloatArray
) -> FloatArray | None:
    """Return what the rates of photons in the points may be proportional to.

    I0, I0 times the deviation of the incident energy (the elastic line moves through
    the bands), and I0 times the smoothed ratio of readings and I0.

    Parameters
    ----------
    i0
        Incident flux, f8 (point,); None: constant.
    readings
        Such as TEY and TFY, each f8 (point,), NaN where missing.
    energy
        Incident energies, f8 (point,), eV.

    Returns
    -------
    ndarray or None
        f8 (channel, point); None: no reading has structure.
    """
    flux = np.ones(len(energy)) if i0 is None else _filled(i0)
    level = np.median(flux)
    if not level > 0 or len(energy) < SMOOTHING_POINTS + 3:
        return None
    flux = flux / level
    ratios = [_filled(reading) / np.maximum(flux, 1e-3) for reading in readings]
    ratios = [ratio for ratio in ratios if np.ptp(ratio) > 0]
    clarities = [_clarity(ratio) for ratio in ratios]
    if max(clarities, default=0.0) < MIN_CLEAR:
        return None
    least = min(MIN_CLARITY, max(clarities))
    channels = [flux]
    span = np.ptp(energy)
    if span > 0:
        channels.append(flux * (energy - energy.mean()) * 2 / span)
    for ratio, clarity in zip(ratios, clarities, strict=True):
        if clarity >= least:
            smooth = _smoothed(ratio)
            channels.append(flux * (smooth - smooth.mean()) / np.ptp(smooth))
    return np.stack(channels)


def usable_points(i0: FloatArray | None, readings: list[FloatArray]) -> BoolArray:
    """Return the points whose readings describe all of the point, bool (point,).

    Not those without a reading, those with little beam, and those beside a step.
    """
    n_points = len(readings[0]) if readings else len(i0 if i0 is not None else ())
    is_usable = np.ones(n_points, bool)
    for reading in readings:
        is_usable &= np.isfinite(reading)
    if i0 is not None:
        filled = _filled(i0)
        is_usable &= np.isfinite(i0) & (filled > DARK * np.median(filled))
        larger = np.maximum(np.abs(filled[1:]), np.abs(filled[:-1]))
        has_step = np.abs(np.diff(filled)) > STEP * larger
        is_usable[1:] &= ~has_step
        is_usable[:-1] &= ~has_step
    return is_usable


def _smoothed(ratio: FloatArray) -> FloatArray:
    """Return values smoothed by a quadratic, f8 (point,); the outermost ones go on."""
    padded = np.pad(ratio, SMOOTHING_POINTS // 2, mode="edge")
    return np.convolve(padded, SMOOTHING, mode="valid")


def _clarity(ratio: FloatArray) -> float:
    """Return the range of a reading over its noise."""
    differences = np.abs(np.diff(ratio, 3))
    noise = NORMAL_MAD * float(np.median(differences)) / THIRD_DIFFERENCE
    low, high = np.percentile(ratio, [5, 95])
    return float((high - low) / max(noise, 1e-12 * abs(high) + 1e-300))


def _filled(values: FloatArray) -> FloatArray:
    """Return values with missing ones interpolated, f8 (point,); NaN if all miss."""
    is_known = np.isfinite(values)
    if not is_known.any():
        return np.full(len(values), np.nan)
    index = np.arange(len(values))
    return np.interp(index, index[is_known], values[is_known])
