"""Where the elastic line is in a map as a whole, without a fit: roughly, but anywhere.

The fit of the line needs to know where it is, to half its width. Here the excess of
photons along a diagonal of the map is compared with that of all diagonals nearby. The
expected counts are those of a map whose spectrum is the same at all incident energies:
fluorescence lines, whatever their intensity, leave little excess.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

HALF_WIDTH_EV = 1.75  # of the diagonals: a resolution of up to 3.5 eV FWHM
REACH_EV = 14.0  # largest offset
STEP_EV = 0.5
SURROUNDINGS_EV = 30.0  # emission energies below and above the scanned range
NEAR_EV = 3.0  # offsets that monochromators and calibrations have in practice
# Uncertainty of the offset: inelastic light beside the line, and the step
ERROR_EV = 1.5
# Standard deviations: excess along a diagonal that holds the line, and above those of
# all others that may hold it. The wrong direction of a map shows none.
MIN_EXCESS, MIN_DIFFERENCE = 8.0, 6.0
MIN_EXCESS_REVERSED, MIN_DIFFERENCE_REVERSED = 6.0, 4.0
MIN_POINTS = 8
MIN_SPAN_EV = 10.0  # of incident energies; light with a loss follows in parallel


@dataclass(frozen=True)
class ElasticTrace:
    """Where the elastic line is.

    Attributes
    ----------
    is_reversed
        Whether it moves against the incident energies, which are then listed backwards.
    offset
        Emission - incident energy if that is far from 0, else 0, eV.
    """

    is_reversed: bool
    offset: float


def find_elastic_trace(
    counts: IntArray, incident: FloatArray, emission: FloatArray
) -> ElasticTrace:
    """Find the elastic line in a map.

    Parameters
    ----------
    counts
        i8 (point, bin).
    incident
        f8 (point,), eV, in the order of the points.
    emission
        Centres of the bins, f8 (bin,), eV.

    Returns
    -------
    ElasticTrace
        Neither reversed nor offset where nothing stands out.
    """
    if len(incident) < MIN_POINTS or np.ptp(incident) < MIN_SPAN_EV:
        return ElasticTrace(is_reversed=False, offset=0.0)
    low = incident.min() - SURROUNDINGS_EV
    high = incident.max() + SURROUNDINGS_EV
    is_near = (emission > low) & (emission < high)
    counts, emission = counts[:, is_near], emission[is_near]
    offsets = np.arange(-REACH_EV, REACH_EV + STEP_EV / 2, STEP_EV)
    forwards = _excesses(counts, incident, emission, offsets)
    backwards = _excesses(counts, incident[::-1], emission, offsets)
    is_usual = np.abs(offsets) <= NEAR_EV
    usual = float(forwards[is_usual].max())
    best = int(forwards.argmax())
    reverse, forward = float(backwards[is_usual].max()), float(forwards[best])
    is_line = reverse >= MIN_EXCESS_REVERSED
    if is_line and reverse >= forward + MIN_DIFFERENCE_REVERSED:
        return ElasticTrace(is_reversed=True, offset=0.0)
    is_line = forward >= MIN_EXCESS and forward >= usual + MIN_DIFFERENCE
    is_far = is_line and not is_usual[best]
    return ElasticTrace(False, float(offsets[best]) if is_far else 0.0)


def _excesses(
    counts: IntArray, incident: FloatArray, emission: FloatArray, offsets: FloatArray
) -> FloatArray:
    """Return the excess along each diagonal, (offset,), standard deviations."""
    total = max(float(counts.sum()), 1.0)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    difference = emission[None, :] - incident[:, None]
    excesses = []
    for offset in offsets:
        is_on = np.abs(difference - offset) < HALF_WIDTH_EV
        number = float(expected[is_on].sum())
        excess = float(counts[is_on].sum()) - number
        excesses.append(excess / np.sqrt(max(number, 1.0)))
    return np.array(excesses)
