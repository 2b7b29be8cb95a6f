r"""Corrections of the pulse height for arrival phase and baseline drift.

They are fitted to the pulses of the lines: the likelihood of all pulses in the windows
of the lines under the fitted line shapes is maximised over the parameters beta of the
correction. For a small shift dE_i = -slope_i h_i sum_j z_ij beta_j of pulse i, Fisher
scoring reads::

    beta += (sum_i I_l z z^T + prior)^-1 sum_i s(E_i) z
    s = d ln p / dE,  I_l = E[s^2]

where p is the profile of the line: tails and background have as little weight as they
should, and no pulse is cut by a window that moves with the correction. Corrections are
cross-validated: each half of the pulses is fitted, and the other half must gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.line_fits import LineDensities
from rixs_pipeline.core.calibration.line_shapes import LineGrid
from rixs_pipeline.core.energy import correction_derivatives, layout
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# Widths of the priors. The largest effects found in real pixels: of the phase 9 eV peak
# to peak at 1000 eV (relative), of the drift relative per unit of pretrigger mean.
PHASE_WIDTH = 5e-3
DRIFT_WIDTH = 7e-5
OPEN_WIDTH = 1e-3  # prior width of a drift without other information
MIN_PULSES = 200  # for a correction
# widths of the prior beyond which Fisher scoring has diverged: a narrow line attracts
# its pulses from a short distance only
DIVERGED_WIDTHS = 20.0
MIN_GAIN = 1.0  # in cross-validated log likelihood: noise brings less
HEIGHT_SLICES = 8  # of pulse height, in each of which the phase is centred
PHASE_PULSES = 4000  # that are enough for it
PHASE_QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class LineProfiles:
    """Fitted shapes of lines, as a likelihood needs them.

    Attributes
    ----------
    grid
        The energy bins.
    log_density
        f8 (..., line, N_GRID).
    score
        d log density / dE, f8 (..., line, N_GRID), 1/eV.
    information
        Mean square of the score, f8 (..., line), 1/eV^2.
    """

    grid: LineGrid
    log_density: FloatArray
    score: FloatArray
    information: FloatArray

    def of_pixel(self, row: int) -> LineProfiles:
        """Return the profiles of one pixel."""
        return LineProfiles(
            self.grid, self.log_density[row], self.score[row], self.information[row]
        )


@dataclass(frozen=True)
class Prior:
    """Gaussian prior of the parameters of a correction.

    Attributes
    ----------
    block
        Which parameters: `layout.PHASE` or `layout.DRIFT`.
    centre
        f8 (parameter,).
    width
        Standard deviation of each of them.
    """

    block: slice
    centre: FloatArray
    width: float


@dataclass(frozen=True)
class LinePulses:
    """Pulses of one pixel in the windows of lines.

    Attributes
    ----------
    pulse_height, pretrigger_mean, phase
        f8 (pulse,).
    line
        Index of the line, (pulse,).
    line_position
        Energies of the lines as fitted, f8 (line,), eV.
    """

    pulse_height: FloatArray
    pretrigger_mean: FloatArray
    phase: FloatArray
    line: IntArray
    line_position: FloatArray


@dataclass(frozen=True)
class Correction:
    """Parameters f8 (N_PARAMS,) with a correction, and its gain in log likelihood."""

    params: FloatArray
    gain: float


@dataclass(frozen=True)
class DriftEvidence:
    """What the pulses of a pixel say of its drift coefficients.

    Attributes
    ----------
    score
        Slope of the log likelihood at the coefficients in use, f8 (2,).
    information
        Its curvature, f8 (2, 2). Both are free of the positions of the lines.
    """

    score: FloatArray
    information: FloatArray


NO_DRIFT_EVIDENCE = DriftEvidence(np.zeros(2), np.zeros((2, 2)))


@dataclass(frozen=True)
class CorrectionUncertainty:
    """How well the pulses of a pixel determine its corrections.

    Attributes
    ----------
    overfit_variance
        Variance of energies that comes from the errors of the corrections, f8 (line,),
        eV^2: the mean of z C z over the pulses of each line, with z the derivatives of
        their energies and C the covariance of the parameters; 0 without pulses. The
        pulses that a correction is fitted to are narrower by as much as other pulses
        are wider.
    drift_evidence
        Zero without a prior of the drift.
    """

    overfit_variance: FloatArray
    drift_evidence: DriftEvidence


@dataclass(frozen=True)
class PhaseReference:
    """Where the phase of pulses of one height is centred.

    Attributes
    ----------
    centre
        Polynomial in the relative pulse height u, f8 (3,).
    half_width
        Half of the range of phases at one height.
    """

    centre: FloatArray
    half_width: float


def prior_without_effect(block: slice) -> Prior:
    """Return the prior that a correction is zero, or as large as in real pixels."""
    width = PHASE_WIDTH if block == layout.PHASE else DRIFT_WIDTH
    return Prior(block, np.zeros(block.stop - block.start), width)


def drift_prior(drifts: FloatArray | None) -> Prior:
    """Return the prior of the drift from that of all pixels (pixel, parameter).

    It is centred at their median; without them it is open. With a prior around zero,
    the pixels would all err to the same side, and lines of low energy with them: a
    drift that falls towards these lines follows from few units of the pretrigger mean,
    against which the prior has weight.
    """
    if drifts is None or not len(drifts):
        no_drift = np.zeros(layout.DRIFT.stop - layout.DRIFT.start)
        return Prior(layout.DRIFT, no_drift, OPEN_WIDTH)
    return Prior(layout.DRIFT, np.median(drifts, axis=0), DRIFT_WIDTH)


def line_profiles(
    densities: LineDensities, is_fitted: BoolArray, grid: LineGrid
) -> LineProfiles:
    """Return the profiles of fitted lines.

    Parameters
    ----------
    densities
        Fitted content of the bins and its derivative by energy.
    is_fitted
        Bins that belong to the fit, bool (line, N_GRID).
    grid
        The bins.

    Returns
    -------
    LineProfiles
        Of all pixels.
    """
    floor = 1e-9 * densities.content.max(axis=-1, keepdims=True) + 1e-12
    density = np.maximum(densities.content, floor)
    score = densities.slope / density
    weight = np.where(is_fitted, density, 0.0)
    total = np.maximum(weight.sum(axis=-1), 1e-12)
    information = (weight * score**2).sum(axis=-1) / total
    return LineProfiles(grid, np.log(density), score, information)


def fit_correction(
    pulses: LinePulses,
    params: FloatArray,
    profiles: LineProfiles,
    prior: Prior,
    *,
    is_validated: bool,
) -> Correction:
    """Fit one correction of one pixel.

    Parameters
    ----------
    pulses
        Pulses of the lines.
    params
        Parameters of the pixel, f8 (N_PARAMS,).
    profiles
        Shapes of the lines of this pixel.
    prior
        Of the parameters to fit.
    is_validated
        Whether the correction is applied only if it passes cross-validation; without,
        it is an intermediate step.

    Returns
    -------
    Correction
        The parameters, zero for this correction where the other halves of the pulses do
        not gain `MIN_GAIN`; and the cross-validated gain.
    """
    block = prior.block
    previous = params[block].copy()
    params = params.copy()
    params[block] = 0.0
    has_no_phase = block == layout.PHASE and np.ptp(pulses.phase) == 0
    if len(pulses.line) < MIN_PULSES or has_no_phase:
        return Correction(params, 0.0)
    from rixs_pipeline.core.energy import correction_kernels as kernels  # numba: slow

    uncorrected = correction_derivatives(
        pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params, block
    )
    # Places and their derivatives in bins of the profiles: the shifts are a few eV,
    # linear to a percent.
    grid = profiles.grid
    lever = uncorrected.derivatives
    lever /= grid.width
    distance = uncorrected.energy - pulses.line_position[pulses.line]
    shifted_pulses = kernels.ShiftedPulses(
        line=pulses.line,
        position=(distance - grid.offsets[0]) / grid.width,
        lever=lever,
    )
    tables = kernels.LineTables(
        score=profiles.score * grid.width,
        log_density=profiles.log_density,
        information=profiles.information * grid.width**2,
    )
    gaussian = kernels.GaussianPrior(prior.centre, prior.width**-2)
    start, gain = np.zeros(len(previous)), 0.0
    if is_validated:
        halves = kernels.cross_validate(shifted_pulses, tables, gaussian, previous)
        start, gain = halves.parameters, halves.gain
    if gain > MIN_GAIN or not is_validated:
        fitted = kernels.fit_correction(shifted_pulses, tables, gaussian, start)
        distance = np.abs(fitted - prior.centre)
        if (distance < DIVERGED_WIDTHS * prior.width).all():
            params[block] = fitted
    return Correction(params, gain)


def estimate_uncertainty(
    pulses: LinePulses,
    params: FloatArray,
    profiles: LineProfiles,
    priors: Sequence[Prior],
) -> CorrectionUncertainty:
    """Return how well the pulses of a pixel determine its corrections.

    Parameters
    ----------
    pulses
        Pulses of the lines.
    params
        Parameters of the pixel, f8 (N_PARAMS,), with the coefficients in use.
    profiles
        Shapes of the lines of this pixel.
    priors
        Of the corrections that were fitted; one that is zero is not applied.

    Returns
    -------
    CorrectionUncertainty
        Zero without pulses.
    """
    from rixs_pipeline.core.energy import correction_kernels as kernels  # numba: slow

    n_lines = len(pulses.line_position)
    levers, precision = [], []
    evidence = NO_DRIFT_EVIDENCE
    for prior in priors:
        is_applied = params[prior.block].any()
        is_drift = prior.block == layout.DRIFT
        if not (is_applied or is_drift):
            continue
        uncorrected = correction_derivatives(
            pulses.pulse_height,
            pulses.pretrigger_mean,
            pulses.phase,
            params,
            prior.block,
        )
        lever = uncorrected.derivatives
        energy = uncorrected.energy
        if is_drift:
            energy += params[layout.DRIFT] @ lever
        kernels.subtract_line_means(lever, pulses.line, n_lines)
        if is_drift:
            evidence = _drift_evidence(pulses, profiles, energy, lever)
        if is_applied:
            levers.append(lever)
            precision += [prior.width**-2] * len(lever)
    if not levers:
        return CorrectionUncertainty(np.zeros(n_lines), evidence)
    lever = np.concatenate(levers)
    information = np.concatenate(
        [(part * profiles.information[pulses.line]) @ lever.T for part in levers]
    )
    covariance = np.linalg.inv(information + np.diag(precision))
    variance = np.einsum("ij,ij->j", lever, covariance @ lever)
    counts = np.maximum(np.bincount(pulses.line, minlength=n_lines), 1)
    overfit = np.bincount(pulses.line, variance, n_lines) / counts
    return CorrectionUncertainty(overfit, evidence)


def _drift_evidence(
    pulses: LinePulses, profiles: LineProfiles, energy: FloatArray, lever: FloatArray
) -> DriftEvidence:
    """Return the evidence of pulses on the drift coefficients.

    Parameters
    ----------
    pulses
        Pulses of the lines.
    profiles
        Shapes of the lines of this pixel.
    energy
        With the coefficients in use, f8 (pulse,), eV.
    lever
        Derivatives of the energy by the coefficients, less their mean over the pulses
        of the line, f8 (2, pulse), eV.

    Returns
    -------
    DriftEvidence
    """
    from rixs_pipeline.core.energy import correction_kernels as kernels  # numba: slow

    grid = profiles.grid
    distance = energy - pulses.line_position[pulses.line]
    place = (distance - grid.offsets[0]) / grid.width
    score = kernels.look_up(profiles.score, pulses.line, place)
    information = (lever * profiles.information[pulses.line]) @ lever.T
    return DriftEvidence(lever @ score, information)


def find_phase_reference(
    pulse_height: FloatArray, phase: FloatArray, height_ref: float
) -> PhaseReference:
    """Return where the phase of pulses of one height is centred, and half its range.

    Photons arrive uniformly within a sample, so that centre and width follow from
    quantiles in slices of pulse height.

    Parameters
    ----------
    pulse_height, phase
        f8 (pulse,).
    height_ref
        Pulse height at which u is 1.

    Returns
    -------
    PhaseReference
        The centre as a polynomial in u = pulse height / `height_ref`.
    """
    step = max(1, len(pulse_height) // PHASE_PULSES)
    pulse_height, phase = pulse_height[::step], phase[::step]
    n_used = len(pulse_height) // HEIGHT_SLICES * HEIGHT_SLICES
    slices = np.argsort(pulse_height)[:n_used].reshape(HEIGHT_SLICES, -1)
    ordered = np.sort(phase[slices], axis=1)
    low, high = PHASE_QUANTILES
    bottom = ordered[:, int(low * ordered.shape[1])]
    top = ordered[:, int(high * ordered.shape[1])]
    half_width = 0.5 * float(np.median((top - bottom) / 0.9))
    relative_height = pulse_height[slices].mean(axis=1) / height_ref
    centre = np.polynomial.polynomial.polyfit(relative_height, (bottom + top) / 2, 2)
    return PhaseReference(centre, half_width if half_width > 0 else 1.0)
