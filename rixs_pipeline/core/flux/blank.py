"""Double normalisation: the response of I0, as a blank or a second monitor shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray

# The noise of neighbouring points in y_j - (y_(j-1) + y_(j+1)) / 2 has variance 3/2.
SECOND_DIFFERENCE_VARIANCE = 1.5


@dataclass(frozen=True)
class Response:
    """Reading of a blank over I0, relative to its mean.

    Attributes
    ----------
    energy
        Incident energies, f8 (point,), ascending, eV.
    values
        f8 (point,), 1 on average.
    error
        One standard deviation of each, from the scatter between neighbours.
    """

    energy: FloatArray
    values: FloatArray
    error: float

    def as_json(self) -> list[float | list[float]]:
        """Return all numbers as plain JSON values, for digests."""
        return [self.energy.tolist(), self.values.tolist(), self.error]

    def at(self, incident: FloatArray) -> InterpolatedResponse:
        """Return the response at incident energies (point,), eV."""
        values = np.interp(incident, self.energy, self.values, np.nan, np.nan)
        last = len(self.energy) - 1
        above = np.clip(np.searchsorted(self.energy, incident), 1, last)
        low, high = self.energy[above - 1], self.energy[above]
        share = np.clip((incident - low) / (high - low), 0.0, 1.0)
        errors = self.error * np.sqrt(share**2 + (1 - share) ** 2)
        return InterpolatedResponse(values, np.where(np.isnan(values), np.nan, errors))


@dataclass(frozen=True)
class InterpolatedResponse:
    """Response and its standard deviation, f8 (point,); NaN outside its range."""

    values: FloatArray
    errors: FloatArray


def response_of_blank(
    energy: FloatArray, reading: FloatArray, i0: FloatArray
) -> Response | None:
    """Return the response of I0 from the scan of a blank.

    Parameters
    ----------
    energy
        Incident energies in any order, f8 (point,), eV.
    reading
        Of the blank, f8 (point,).
    i0
        f8 (point,); NaN where it is not usable.

    Returns
    -------
    Response or None
        None with fewer than three usable points. Repeated energies are averaged.

    Notes
    -----
    A blank absorbs without structure, so that its reading follows the true flux: its
    ratio to I0 shows what I0 has of its own (contaminated meshes), and

        (reading of the sample / I0) / (reading of the blank / I0)

    is free of it. The noise is that of the second differences, by their median, which
    sharp structure does not move. B. Watts, L. Thomsen, P. C. Dastoor, J. Electron
    Spectrosc. 151, 105 (2006).
    """
    is_usable = (reading > 0) & (i0 > 0) & np.isfinite(energy)
    grid, place = np.unique(energy[is_usable], return_inverse=True)
    if len(grid) < 3:
        return None
    ratio = reading[is_usable] / i0[is_usable]
    mean = np.bincount(place, ratio) / np.bincount(place)
    values = mean / mean.mean()
    curvature = values[1:-1] - (values[:-2] + values[2:]) / 2
    deviation = 1.4826 * np.median(np.abs(curvature))
    error = float(deviation / np.sqrt(SECOND_DIFFERENCE_VARIANCE))
    return Response(grid, values, error)
