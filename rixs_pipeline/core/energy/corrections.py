"""What moves a pulse's height besides its energy, arrival phase and base line, learned from the lines' own pulses.

The likelihood of all pulses in the lines' windows under the fitted line shapes is maximised over the parameters of
the correction. For a small shift of pulse i by dE_i = -slope_i h_i sum_j z_ij beta_j, Fisher scoring reads

    beta += (sum_i I_l z z^T + prior)^-1 sum_i s(E_i) z,      s = d ln p / dE,   I_l = E[s^2]

with p the line's profile: tails and background weigh in as little as they should, and no pulse is cut by a window
that moves with the correction. Judged by cross-validation: half of the pulses learn, the other half must gain.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_fits import LineDensities
from rixs_pipeline.core.calibration.line_shapes import LineGrid
from rixs_pipeline.core.energy import correction_derivatives, layout

Float = NDArray[np.float64]
Int = NDArray[np.intp]

PHASE_WIDTH = 5e-3  # relative: 9 eV peak to peak at 1000 eV is the largest seen
DRIFT_WIDTH = 7e-5  # relative per unit of pretrigger mean, the largest seen
OPEN_WIDTH = 1e-3  # says nothing of a drift
MIN_PULSES = 200
SLICES, ENOUGH = 8, 4000  # of pulse height, and pulses that tell where the phase lies
MIN_GAIN = 1.0  # in cross-validated log likelihood: less is what noise brings


@dataclass(frozen=True)
class Profiles:
    """Log density and score on the bins of `grid`, (..., line, N_GRID), and information (..., line) of lines."""

    grid: LineGrid
    log_density: Float
    score: Float
    information: Float

    def pixel(self, row: int) -> "Profiles":
        """Those of one pixel."""
        return Profiles(
            self.grid, self.log_density[row], self.score[row], self.information[row]
        )


@dataclass(frozen=True)
class Prior:
    """What is known of the parameters of a correction beforehand: Gaussians, `centre` (parameter,) and one `width`."""

    centre: Float
    width: float


def no_effect(block: slice) -> Prior:
    """Of `core.energy.PHASE` or `DRIFT`, where nothing else is known: none, or one as large as arrays show."""
    return Prior(
        np.zeros(block.stop - block.start),
        PHASE_WIDTH if block == layout.PHASE else DRIFT_WIDTH,
    )


def drift_prior(drifts: Float | None) -> Prior:
    """Of a pixel's drift, from that of all pixels (pixel, parameter): around their median; without them, open.

    Around zero, pixels would all err to the same side, and lines of low energy with them: a drift that falls towards
    them is told by few units of the base line, against which the prior has weight.
    """
    if drifts is None or not len(drifts):
        return Prior(np.zeros(layout.DRIFT.stop - layout.DRIFT.start), OPEN_WIDTH)
    return Prior(np.median(drifts, axis=0), DRIFT_WIDTH)


@dataclass(frozen=True)
class LinePulses:
    """Pulses of one pixel that lie in lines' windows, all (pulse,), and the energies (line,) of the lines."""

    pulse_height: Float
    pretrigger_mean: Float
    phase: Float
    line: Int
    line_position: Float


def profiles(
    fitted: LineDensities, inside: NDArray[np.bool_], grid: LineGrid
) -> Profiles:
    """Profiles from the fitted content of the bins (..., line, N_GRID) and its derivative by energy."""
    floor = 1e-9 * fitted.content.max(axis=-1, keepdims=True) + 1e-12
    density = np.maximum(fitted.content, floor)
    score = fitted.slope / density
    weight = np.where(inside, density, 0.0)
    total = np.maximum(weight.sum(axis=-1), 1e-12)
    return Profiles(
        grid, np.log(density), score, (weight * score**2).sum(axis=-1) / total
    )


def correct(
    pulses: LinePulses,
    params: Float,
    profiles: Profiles,
    block: slice,
    prior: Prior,
    judge: bool,
) -> tuple[Float, float]:
    """Learn one correction of one pixel, `core.energy.PHASE` or `DRIFT`.

    `judge`: apply it only where it passes cross-validation; without, it is a step on the way.

    Returns:
        The parameters f8 (N_PARAMS,), with the block at zero where the other half's likelihood does not gain
        `MIN_GAIN`, and the cross-validated gain in log likelihood.
    """
    params, before = params.copy(), params[block].copy()
    params[block] = 0.0
    if len(pulses.line) < MIN_PULSES or (
        block == layout.PHASE and np.ptp(pulses.phase) == 0
    ):
        return params, 0.0
    from rixs_pipeline.core.energy import correction_kernels as kernels

    uncorrected = correction_derivatives(
        pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params, block
    )
    # Places and their derivatives in bins of the profiles: the shifts are a few eV,
    # linear to a percent.
    grid = profiles.grid
    distance = uncorrected.energy - pulses.line_position[pulses.line]
    shifted_pulses = kernels.ShiftedPulses(
        line=pulses.line,
        position=(distance - grid.offsets[0]) / grid.width,
        lever=uncorrected.derivatives / grid.width,
    )
    tables = kernels.LineTables(
        score=profiles.score * grid.width,
        log_density=profiles.log_density,
        information=profiles.information * grid.width**2,
    )
    gaussian = kernels.GaussianPrior(prior.centre, prior.width**-2)
    start, gain = np.zeros(len(before)), 0.0
    if judge:
        halves = kernels.cross_validate(shifted_pulses, tables, gaussian, before)
        start, gain = halves.parameters, halves.gain
    if gain > MIN_GAIN or not judge:
        params[block] = kernels.fit_correction(shifted_pulses, tables, gaussian, start)
    return params, gain


def phase_reference(
    pulse_height: Float, phase: Float, height_ref: float
) -> tuple[Float, float]:
    """Where the phase of pulses of one height is centred, polynomial (3,) in u, and half its width.

    Arrival is uniform within a sample, so centre and width follow from quantiles in slices of pulse height.
    """
    every = max(1, len(pulse_height) // ENOUGH)
    pulse_height, phase = pulse_height[::every], phase[::every]
    sliced = np.argsort(pulse_height)[: len(pulse_height) // SLICES * SLICES].reshape(
        SLICES, -1
    )
    ordered = np.sort(phase[sliced], axis=1)
    bottom, top = (
        ordered[:, int(0.05 * ordered.shape[1])],
        ordered[:, int(0.95 * ordered.shape[1])],
    )
    half = 0.5 * float(np.median((top - bottom) / 0.9))
    at = pulse_height[sliced].mean(axis=1) / height_ref
    return np.polynomial.polynomial.polyfit(
        at, (bottom + top) / 2, 2
    ), half if half > 0 else 1.0
