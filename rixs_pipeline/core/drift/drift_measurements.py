"""What is measured of the drift that the pixels of an array have in common."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.drift_equations import Groups
from rixs_pipeline.types import FloatArray, IntArray

REFERENCE_EV = 851.0  # E_0: Ni La, at which sizes of drifts are stated
N_DRIFT = 2  # drift coefficients
# Prior of the coefficients: the largest found in real pixels (relative a unit).
DRIFT_WIDTH = 7e-5
# Spread of the coefficients between the pixels of an array: 3e-5 to 7e-5 in real ones.
PIXEL_WIDTH = 2e-5


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
class ReferenceDrift:
    """Drift coefficients from the pulses of a reference run.

    Attributes
    ----------
    time
        Of the run, s.
    in_use
        Mean coefficients of its pixels, f8 (2,).
    mean
        What its pulses say of them, f8 (2,).
    covariance
        f8 (2, 2).
    """

    time: float
    in_use: FloatArray
    mean: FloatArray
    covariance: FloatArray


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
        Rms at E_0 of the mean of the pixels' own hidden drifts, eV.
    """

    time: FloatArray
    later_share: FloatArray
    references: tuple[ReferenceDrift, ...]
    shifts: ReferenceShifts | None
    pixel_drift: float


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
