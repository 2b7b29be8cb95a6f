"""What is measured of the drift that the pixels of an array have in common."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray, IntArray

REFERENCE_EV = 851.0  # E_0: Ni La, at which sizes of drifts are stated
N_DRIFT = 2  # drift coefficients
# Prior of the coefficients: the largest found in real pixels (relative a unit).
DRIFT_WIDTH = 7e-5
# Spread of the coefficients between the pixels of an array: 3e-5 to 7e-5 in real ones.
PIXEL_WIDTH = 2e-5
# How far positions of one line may be apart, standard deviations, eV: between samples
# (chemistry), between edges of a sample, and between pieces of a scan at the resonances
# of the line. Only steps of the scale that are larger are seen from group to group.
LINE_WIDTH = 30.0
SAMPLE_WIDTH = 0.7
EDGE_WIDTH = 0.3
RESONANT_WIDTH = 0.7


@dataclass(frozen=True)
class Groups:
    """What groups of pieces show, (group,) each.

    Indices of line, sample and edge, and whether they are near resonances of the line.
    """

    line: IntArray
    sample: IntArray
    edge: IntArray
    is_resonant: BoolArray

    @cached_property
    def information(self) -> FloatArray:
        """Inverse of the prior covariance of their positions, (group, group), eV^-2."""

        def is_same(index: IntArray) -> FloatArray:
            return np.asarray(index[:, None] == index[None, :], dtype=np.float64)

        line = is_same(self.line)
        sample = line * is_same(self.sample)
        edge = sample * is_same(self.edge)
        covariance = LINE_WIDTH**2 * line + SAMPLE_WIDTH**2 * sample
        covariance += EDGE_WIDTH**2 * edge
        least = 1e-3  # groups of one position are equal
        own = np.where(self.is_resonant, RESONANT_WIDTH, least)
        covariance += np.diag(own**2)
        return np.asarray(np.linalg.inv(covariance), dtype=np.float64)


@dataclass(frozen=True)
class LinePositions:
    """Positions of lines in pieces of scans, (position,) each.

    Attributes
    ----------
    scan
        Index of the scan.
    group
        Index of the group of pieces that show the same emission.
    edge
        Index of what the position may differ by in the group; -1: it does not.
    time
        Middle of the piece, s.
    energy
        Of the line in the table, eV.
    shift, error
        Position relative to it, and the standard deviation, eV.
    lever
        L: change of energy a unit of the drift coefficients, f8 (position, 2), eV.
    in_use
        Mean drift coefficients in use, f8 (position, 2).
    groups
        The groups.
    """

    scan: IntArray
    group: IntArray
    edge: IntArray
    time: FloatArray
    energy: FloatArray
    shift: FloatArray
    error: FloatArray
    lever: FloatArray
    in_use: FloatArray
    groups: Groups


@dataclass(frozen=True)
class TimeOffsets:
    """What the lines of a reference run move by within it, (bin,) each.

    Attributes
    ----------
    time
        Middle of each bin of time, s.
    shift, error
        Position less that of the whole run, and the standard deviation, eV.
    energy
        Mean of the lines, eV.
    lever
        f8 (bin, 2), eV.
    """

    time: FloatArray
    shift: FloatArray
    error: FloatArray
    energy: float
    lever: FloatArray

    @cached_property
    def share(self) -> FloatArray:
        """Share of each bin in means over the run, (bin,)."""
        weight = self.error**-2
        return np.asarray(weight / weight.sum())


@dataclass(frozen=True)
class ReferenceDrift:
    """Drift coefficients from the pulses of a reference run, and how its lines move.

    Attributes
    ----------
    time
        Of the run, s.
    in_use
        Mean coefficients of its pixels, f8 (2,).
    mean
        What its pulses say of them, f8 (2,); with `offsets`, pulses of one bin of time,
        as hidden drift is the same for these.
    covariance
        f8 (2, 2).
    offsets
        What lines move by within the run; None: not known.
    """

    time: float
    in_use: FloatArray
    mean: FloatArray
    covariance: FloatArray
    offsets: TimeOffsets | None = None

    @property
    def times(self) -> FloatArray:
        """Times at which the scale of the run is known, s: its bins, or its middle."""
        return np.array([self.time]) if self.offsets is None else self.offsets.time

    @property
    def shares(self) -> FloatArray:
        """Share of each of `times` in the scale of the run."""
        return np.ones(1) if self.offsets is None else self.offsets.share


@dataclass(frozen=True)
class ReferenceShifts:
    """What lines moved from one reference run to the next, (line,) each.

    Attributes
    ----------
    energy
        eV.
    shift, error
        On the scale of the first run, less the change by the coefficients in use; eV.
    lever
        f8 (line, 2), eV.
    """

    energy: FloatArray
    shift: FloatArray
    error: FloatArray
    lever: FloatArray


@dataclass(frozen=True)
class HiddenDrift:
    """Drift that all pixels share and the baseline does not show: rms at E_0, and s."""

    size: float
    period: float


NO_HIDDEN_DRIFT = HiddenDrift(0.0, np.inf)


@dataclass(frozen=True)
class Interval:
    """Scans between reference runs.

    Attributes
    ----------
    time, later_share
        Middle of each scan, s, and weight of the later reference run, (scan,).
    references
        One or two reference runs.
    shifts
        Between them; None for one.
    pixel_drift
        Rms at E_0 of what the mean of the pixels' own hidden drifts has changed by in
        the scans since the reference runs, eV.
    hidden_drift
        Of all pixels, if it is known; None: to be learned.
    """

    time: FloatArray
    later_share: FloatArray
    references: tuple[ReferenceDrift, ...]
    shifts: ReferenceShifts | None
    pixel_drift: float
    hidden_drift: HiddenDrift | None = None


def combine_pixels(
    drifts: FloatArray, score: FloatArray, information: FloatArray, time: float
) -> ReferenceDrift:
    """Return the mean drift coefficients of an array from those of its pixels.

    Parameters
    ----------
    drifts
        In use, f8 (pixel, 2).
    score, information
        Slope and curvature of each pixel's log likelihood there, (pixel, 2) and
        (pixel, 2, 2).
    time
        Of the reference run, s.

    Returns
    -------
    ReferenceDrift
        Pixels are drawn from a Gaussian of `PIXEL_WIDTH` around an unknown mean, which
        counts where a pixel's own pulses say little.
    """
    if not len(drifts):  # a reference run without a good pixel
        prior = np.eye(N_DRIFT) * DRIFT_WIDTH**2
        return ReferenceDrift(time, np.zeros(N_DRIFT), np.zeros(N_DRIFT), prior)
    spread = np.eye(N_DRIFT) * PIXEL_WIDTH**-2  # its inverse
    pixel_covariance = np.linalg.inv(information + spread)  # given the array's mean
    # information of a pixel on the mean of the array, and its gradient at 0
    pull = information @ drifts[..., None] + score[..., None]
    on_mean = spread - spread @ pixel_covariance @ spread
    array = np.linalg.inv(on_mean.sum(axis=0) + np.eye(N_DRIFT) * DRIFT_WIDTH**-2)
    array_mean = array @ (spread @ pixel_covariance @ pull).sum(axis=0)
    weight = (pixel_covariance @ spread).mean(axis=0)
    mean = (pixel_covariance @ pull).mean(axis=0) + weight @ array_mean
    covariance = (
        pixel_covariance.sum(axis=0) / len(drifts) ** 2 + weight @ array @ weight.T
    )
    return ReferenceDrift(time, drifts.mean(axis=0), mean[:, 0], covariance)
