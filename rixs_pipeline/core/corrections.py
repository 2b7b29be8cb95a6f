"""What moves a pulse's height besides its energy, arrival phase and base line, learned from the lines' own pulses.

The likelihood of all pulses in the lines' windows under the fitted line shapes is maximised over the parameters of
the correction. For a small shift of pulse i by dE_i = -slope_i h_i sum_j z_ij beta_j, Fisher scoring reads

    beta += (sum_i I_l z z^T + prior)^-1 sum_i s(E_i) z,      s = d ln p / dE,   I_l = E[s^2]

with p the line's profile: tails and background weigh in as little as they should, and no pulse is cut by a window
that moves with the correction. Judged by cross-validation: half of the pulses learn, the other half must gain.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core import energy as ef
from rixs_pipeline.core.line_shapes import N_GRID, LineGrid

Float = NDArray[np.float64]
Int = NDArray[np.intp]

ITERATIONS = 6
CONVERGED = 0.05  # gain in log likelihood that the next step would bring, roughly
PHASE_PRIOR = 5e-3  # relative: 9 eV peak to peak at 1000 eV is the largest seen
DRIFT_PRIOR = 7e-5  # relative per unit of pretrigger mean, the largest seen
MIN_PULSES = 200
MIN_GAIN = 1.0  # in cross-validated log likelihood: less is what noise brings


@dataclass(frozen=True)
class Profiles:
    """Log density and score of the lines of one pixel on the bins of `grid`: (line, N_GRID), information (line,)."""

    grid: LineGrid
    log_density: Float
    score: Float
    information: Float


@dataclass(frozen=True)
class LinePulses:
    """Pulses of one pixel that lie in lines' windows, all (pulse,), and the energies (line,) of the lines."""

    pulse_height: Float
    pretrigger_mean: Float
    phase: Float
    line: Int
    line_position: Float


def profiles(fitted: tuple[Float, Float], inside: NDArray[np.bool_], grid: LineGrid) -> Profiles:
    """Profiles from the fitted content of the bins (line, N_GRID) and its derivative by energy."""
    density, slope = fitted
    density = np.maximum(density, 1e-9 * density.max(axis=1, keepdims=True) + 1e-12)
    score = slope / density
    weight = np.where(inside, density, 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-12)
    return Profiles(grid, np.log(density), score, (weight * score**2).sum(axis=1) / total)


@dataclass(frozen=True)
class _Linear:
    """Pulses of one pixel with their energies linear in the parameters of a correction: E = start + lever beta.

    The shifts are a few eV, over which slope and basis change by less than a percent.
    """

    line: Int
    offset: Float  # of the uncorrected energy from the line, (pulse,) eV
    lever: Float  # dE / dbeta, (pulse, parameter)

    def half(self, which: int) -> "_Linear":
        """Every second pulse."""
        take = slice(which, None, 2)
        return _Linear(self.line[take], self.offset[take], self.lever[take])

    def look_up(self, table: Float, beta: Float, grid: LineGrid) -> Float:
        """Linear interpolation of a table (line, N_GRID) at each pulse's offset from its line."""
        x = (self.offset + self.lever @ beta - grid.offsets[0]) / grid.width
        x = np.clip(x, 0.0, N_GRID - 1.001)
        low = x.astype(np.intp)
        share = x - low
        flat = self.line * N_GRID + low
        return np.asarray(table.ravel()[flat] * (1 - share) + table.ravel()[flat + 1] * share)


def _linear(pulses: LinePulses, params: Float, block: slice) -> _Linear:
    """The pulses with the correction in `block` at zero."""
    height = ef.corrected_height(pulses.pulse_height, pulses.pretrigger_mean, pulses.phase, params)
    if block == ef.PHASE:
        basis = ef.phase_basis(pulses.pulse_height, pulses.phase, params)
    else:
        basis = ef.drift_basis(pulses.pulse_height, pulses.pretrigger_mean, params)
    lever = -(ef.curve_slope(height, params) * pulses.pulse_height)[:, None] * basis
    return _Linear(pulses.line, ef.curve(height, params) - pulses.line_position[pulses.line], lever)


def _learn(pulses: _Linear, shapes: Profiles, prior: float) -> Float:
    """Parameters that maximise the posterior of the pulses."""
    z = pulses.lever
    precision = np.eye(z.shape[1]) / prior**2
    information = (z * shapes.information[pulses.line][:, None]).T @ z + precision
    beta = np.zeros(z.shape[1])
    for _ in range(ITERATIONS):
        score = pulses.look_up(shapes.score, beta, shapes.grid) @ z - precision @ beta
        step = np.linalg.solve(information, score)
        beta += step
        if step @ score < CONVERGED:
            break
    return beta


def _gain(pulses: _Linear, beta: Float, shapes: Profiles) -> float:
    """Log likelihood with the correction minus that without."""
    with_it, without = (pulses.look_up(shapes.log_density, b, shapes.grid) for b in (beta, np.zeros_like(beta)))
    return float((with_it - without).sum())


def correct(pulses: LinePulses, params: Float, shapes: Profiles, block: slice, judge: bool) -> tuple[Float, float]:
    """Learn one correction of one pixel, `core.energy.PHASE` or `DRIFT`.

    `judge`: apply it only where it passes cross-validation; without, it is a step on the way.

    Returns:
        The parameters f8 (N_PARAMS,), with the block at zero where the other half's likelihood does not gain
        `MIN_GAIN`, and
        the cross-validated gain in log likelihood.
    """
    params = params.copy()
    params[block] = 0.0
    if len(pulses.line) < MIN_PULSES or (block == ef.PHASE and np.ptp(pulses.phase) == 0):
        return params, 0.0
    prior = PHASE_PRIOR if block == ef.PHASE else DRIFT_PRIOR
    everything = _linear(pulses, params, block)
    gain = 0.0
    if judge:
        halves = everything.half(0), everything.half(1)
        gain = sum(_gain(halves[1 - which], _learn(halves[which], shapes, prior), shapes) for which in (0, 1))
    if gain > MIN_GAIN or not judge:
        params[block] = _learn(everything, shapes, prior)
    return params, gain


def phase_reference(pulse_height: Float, phase: Float, height_ref: float) -> tuple[Float, float]:
    """Where the phase of pulses of one height is centred, polynomial (3,) in u, and half its width.

    Arrival is uniform within a sample, so centre and width follow from quantiles in slices of pulse height.
    """
    u = pulse_height / height_ref
    edges = np.quantile(u, np.linspace(0, 1, 9))
    centres, widths, at = [], [], []
    for low, high in pairwise(edges):
        here = phase[(u >= low) & (u <= high)]
        bottom, top = np.quantile(here, [0.05, 0.95])
        centres.append((bottom + top) / 2)
        widths.append((top - bottom) / 0.9)
        at.append((low + high) / 2)
    half = 0.5 * float(np.median(widths))
    return np.polynomial.polynomial.polyfit(at, centres, 2), half if half > 0 else 1.0
