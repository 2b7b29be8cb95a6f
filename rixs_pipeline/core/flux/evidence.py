"""Whether a change of the incident flux is real: do the photons follow it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

LEAST_FACTOR = 1.5  # of I0: amplifiers have ranges 2 or more apart
LARGE_FACTOR = 3.0  # beyond it nothing but a change of range moves I0 alone
# share of the change of I0, in logarithms, that channels which follow it show at least;
# a small change must be missing entirely, since samples and spots differ by as much
SHARE_OF_LARGE, SHARE_OF_SMALL = 0.5, 0.25
SIGNIFICANCE = 5.0  # standard deviations of the photons, by which they do not follow
STEADY_CHANNEL = 0.15  # largest scatter of a reading between two levels, logarithmic


@dataclass(frozen=True)
class Change:
    """Change of I0 from one level to another, and what else changed.

    Attributes
    ----------
    i0
        Natural logarithm of the ratio of I0.
    photons, photon_error
        The same of the photon rate at equal spectra, and its standard deviation.
    readings
        The same of further channels of the flux, such as TEY and TFY.
    """

    i0: float
    photons: float
    photon_error: float
    readings: tuple[float, ...] = ()

    @property
    def is_range_change(self) -> bool:
        """Whether I0 changed alone, so that its range or unit did and not the beam.

        Photons that do not follow decide; a factor of three is enough to follow, since
        triggers without light remain when the beam is off. Too few photons leave it to
        the readings, if all of them contradict I0 and the photons agree with them.
        """
        size = abs(self.i0)
        if size < np.log(LEAST_FACTOR):
            return False
        sign = np.sign(self.i0)
        is_large = size >= np.log(LARGE_FACTOR)
        share = SHARE_OF_LARGE if is_large else SHARE_OF_SMALL
        followed = min(share * size, np.log(LARGE_FACTOR))
        missing = followed - sign * self.photons
        if missing > SIGNIFICANCE * self.photon_error:
            return True
        if not self.readings or not (is_large or len(self.readings) > 1):
            return False
        photons_agree = sign * self.photons < size / 2
        return bool(photons_agree and all(sign * t < followed for t in self.readings))

    @property
    def excess(self) -> float:
        """Logarithm of the factor by which I0 changed more than the beam.

        The beam is that of the readings where they agree with the photons, which are
        less precise.
        """
        tolerance = SIGNIFICANCE * self.photon_error + STEADY_CHANNEL
        agreeing = [t for t in self.readings if abs(t - self.photons) < tolerance]
        beam = float(np.median(agreeing)) if agreeing else self.photons
        return self.i0 - beam


@dataclass(frozen=True)
class FluxPoints:
    """What is known of the flux in the points of a pass, one after the other.

    Attributes
    ----------
    log_i0
        Natural logarithm of I0, or of its ratio to other passes, f8 (point,); NaN
        where it is not usable.
    counts
        Photons, i8 (point,).
    expected
        Photons expected at equal flux, but for a common factor, f8 (point,).
    reference_counts
        Photons of other passes that `expected` rests on, (point,); infinite: exact.
    log_readings
        Natural logarithms of further channels, as `log_i0`.
    """

    log_i0: FloatArray
    counts: IntArray
    expected: FloatArray
    reference_counts: FloatArray
    log_readings: Sequence[FloatArray] = ()

    def change(self, before: IntArray, after: IntArray) -> Change:
        """Return the change between two sets of points, given by their indices."""
        n_before, n_after = self._photons(before), self._photons(after)
        readings = []
        for reading in self.log_readings:
            levels = [reading[points] for points in (before, after)]
            finite = [level[np.isfinite(level)] for level in levels]
            if all(len(level) for level in finite):
                readings.append(float(np.median(finite[1]) - np.median(finite[0])))
        log_i0 = np.median(self.log_i0[after]) - np.median(self.log_i0[before])
        return Change(
            i0=float(log_i0),
            photons=n_after.log_rate - n_before.log_rate,
            photon_error=float(np.hypot(n_before.error, n_after.error)),
            readings=tuple(readings),
        )

    def _photons(self, points: IntArray) -> _Photons:
        """Return the photons of some points relative to what is expected."""
        counts = float(self.counts[points].sum()) + 0.5  # finite without photons
        expected = float(self.expected[points].sum())
        reference = float(self.reference_counts[points].sum()) + 0.5
        if not expected > 0:
            return _Photons(0.0, np.inf)
        error = np.sqrt(1 / counts + 1 / reference)
        return _Photons(float(np.log(counts / expected)), float(error))


@dataclass(frozen=True)
class _Photons:
    """Logarithm of a photon rate over the expected one, and its error."""

    log_rate: float
    error: float
