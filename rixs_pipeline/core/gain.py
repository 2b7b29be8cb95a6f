"""Gain curves: a physical form, plus what is common to all pixels, plus each pixel's own smooth remainder.

The form h = a (1 - exp(-E/b)) + d (a TES that saturates) describes a real pixel to 0.5-1 eV. What remains is split:

* what a pixel shows beyond the other pixels is its own smooth gain, known to counting statistics;
* what all pixels share is the mean of their own gains, or the references' disagreement (0.5 eV and more). The array
  tells which: where the shared pattern stands out from what the pixels' scatter leaves in a mean of so many, it is the
  references', and the curve follows it only as far as their uncertainties allow.

Both are Gaussian processes over energy (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, ch. 2):
smooth between the lines, and falling back to the physical form outside them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core import energy as ef

Float = NDArray[np.float64]

REMAINDER_EV = 1.0  # amplitude of the smooth remainder, as seen in real pixels
REMAINDER_LENGTH_EV = 200.0  # over which energies it keeps its value: about the distance of the lines
PRIOR_LOG_B = (np.log(2000.0), 0.7)
PRIOR_D_OVER_A = 0.03
UNUSED_EV = 1e4  # the uncertainty of a line that a pixel does not have
CURVE_TOP_EV = 1500.0
N_ALONG = 4 * ef.N_COEFFICIENTS  # heights at which a curve is computed before it becomes a spline
MIN_LINES = 3
WRONG = 8.0  # median absolute deviations
SHRINKAGE = 0.2  # of the covariance between lines towards its diagonal: few pixels leave it singular
CLEAR_GAIN = 2.0  # in log likelihood: two standard deviations for one parameter


@dataclass(frozen=True)
class GainCurves:
    """Curves of all pixels: physical parameters (pixel, 3), remainder's values at the lines (pixel, line) eV, and
    what is needed to evaluate them anywhere."""

    abd: Float
    line_energy: Float
    common: Float  # weights (line,) of the common remainder
    own: Float  # weights (pixel, line) of each pixel's own remainder
    stat_errors: Float  # (pixel, line), UNUSED_EV where a pixel does not have the line
    used: NDArray[np.bool_]  # (pixel,) whether the pixel has enough lines
    remainder: Float  # (pixel, line) eV, reference - physical form; NaN where a pixel does not have the line
    reference_share: float = 1.0  # of the references' uncertainties that shows in the array


def kernel(first: Float, second: Float) -> Float:
    """Covariance (..., n, m) eV^2 of the remainder between energies (..., n) and (..., m) eV."""
    distance = first[..., :, None] - second[..., None, :]
    return np.asarray(REMAINDER_EV**2 * np.exp(-0.5 * (distance / REMAINDER_LENGTH_EV) ** 2))


def fit(heights: Float, height_errors_ev: Float, line_energy: Float, reference_errors: Float) -> GainCurves:
    """Fit the curves of all pixels.

    Args:
        heights: f8 (pixel, line), corrected pulse height of each line; NaN where a pixel does not have it.
        height_errors_ev: f8 (pixel, line), statistical error of the position, eV.
        line_energy: f8 (line,), reference energies, eV.
        reference_errors: f8 (line,), their uncertainties, eV.
    """
    present = np.isfinite(heights) & np.isfinite(height_errors_ev)
    used = present.sum(axis=1) >= MIN_LINES
    stat = np.where(present, np.maximum(height_errors_ev, 1e-3), UNUSED_EV)
    smooth = kernel(line_energy, line_energy)
    abd, remainder = _physical(heights, present & used[:, None], line_energy, stat, reference_errors)
    share = reference_share(remainder, reference_errors)
    if share < 1:
        abd, remainder = _physical(heights, present & used[:, None], line_energy, stat, share * reference_errors)
    raw, error = _common(remainder, stat)
    common = np.linalg.solve(smooth + np.diag(error**2 + (share * reference_errors) ** 2), raw)
    own_data = np.where(np.isfinite(remainder), remainder - raw, 0.0)
    own = np.linalg.solve(smooth + (stat**2)[:, :, None] * np.eye(len(line_energy)), own_data[..., None])[..., 0]
    return GainCurves(abd, line_energy, np.asarray(common), np.asarray(own), stat, used, remainder, share)


def _physical(
    heights: Float, present: NDArray[np.bool_], line_energy: Float, stat: Float, reference_errors: Float
) -> tuple[Float, Float]:
    """Physical parameters (pixel, 3), and the remainder (pixel, line) eV: reference - physical form."""
    used = present.any(axis=1)
    abd = np.full((len(heights), 3), np.nan)
    diagonal = (stat**2 + reference_errors**2)[:, :, None] * np.eye(len(line_energy))
    covariance = kernel(line_energy, line_energy) + diagonal
    if used.any():
        filled = np.where(present, heights, 1.0)
        abd[used] = _fit_physical(filled[used], present[used], line_energy, covariance[used])
    return abd, np.where(present, line_energy - physical_energy(heights, abd), np.nan)


def _common(remainder: Float, stat: Float) -> tuple[Float, Float]:
    """The shared remainder (line,) eV and its statistical error.

    Means, so that the pixels' own remainders around it add up to nothing; a pixel that stands `WRONG` robust
    deviations aside is not counted.
    """
    raw = np.zeros(remainder.shape[1])
    error = np.full(remainder.shape[1], UNUSED_EV)
    for line in range(len(raw)):
        have = remainder[np.isfinite(remainder[:, line]), line]
        if len(have):
            distance = np.abs(have - np.median(have))
            raw[line] = np.mean(have[distance <= WRONG * (np.median(distance) + 1e-3)])
            error[line] = np.median(stat[np.isfinite(remainder[:, line]), line]) / np.sqrt(len(have))
    return raw, error


def reference_share(remainder: Float, reference_errors: Float) -> float:
    """Which share of the references' stated uncertainties shows in the array, 0 to 1.

    The mean remainder over n pixels is taken as N(0, S / n + diag(share x uncertainty)^2), with S the covariance of
    the lines between the pixels; the share that maximises the likelihood counts where it gains `CLEAR_GAIN` over
    none. S matters as a whole: what is left of smooth gains after the physical form is one common mode, in which a
    chance mean moves all lines at once. Fewer than two pixels cannot tell: 1.

    Args:
        remainder: f8 (pixel, line), reference - physical form, eV; NaN where there is none.
        reference_errors: f8 (line,), eV.
    """
    have = np.isfinite(remainder)
    lines = have.sum(axis=0) >= 0.5 * max(have.any(axis=1).sum(), 1)
    rows = remainder[have[:, lines].all(axis=1)][:, lines]
    if len(rows) < 2 or not lines.any():
        return 1.0
    between = np.atleast_2d(np.cov(rows, rowvar=False))
    of_mean = ((1 - SHRINKAGE) * between + SHRINKAGE * np.diag(np.diag(between))) / len(rows)
    of_mean *= (len(rows) - 1) / max(len(rows) - 3, 0.25)  # few pixels know their scatter badly: Student's t
    mean, variances = rows.mean(axis=0), reference_errors[lines] ** 2
    shares = np.linspace(0.0, 1.0, 51)
    total = of_mean + (shares[:, None] ** 2 * variances + 1e-6)[:, :, None] * np.eye(len(mean))
    misfit = (mean * np.linalg.solve(total, np.broadcast_to(mean, shares.shape + mean.shape)[..., None])[..., 0]).sum(1)
    log_likelihood = -0.5 * (misfit + np.linalg.slogdet(total)[1])
    best = int(np.argmax(log_likelihood))
    return float(shares[best]) if log_likelihood[best] - log_likelihood[0] > CLEAR_GAIN else 0.0


def physical_energy(heights: Float, abd: Float) -> Float:
    """E = -b ln(1 - (h - d)/a), heights (pixel, ...) and abd (pixel, 3)."""
    a, b, d = (abd[:, i].reshape((-1,) + (1,) * (heights.ndim - 1)) for i in range(3))
    return np.asarray(-b * np.log1p(-np.clip((heights - d) / a, -1.0, 0.999)))


def physical_height(energies: Float, abd: Float) -> Float:
    """h = a (1 - exp(-E/b)) + d, energies (n,) -> (pixel, n)."""
    a, b, d = (abd[:, i : i + 1] for i in range(3))
    return np.asarray(a * (1 - np.exp(-energies[None, :] / b)) + d)


def _fit_physical(heights: Float, present: NDArray[np.bool_], line_energy: Float, covariance: Float) -> Float:
    """Generalised least squares (Gauss-Newton in log a, log b, d/a) for all pixels at once: (pixel, 3)."""
    weight = np.linalg.inv(covariance)
    slope = np.nanmedian(np.where(present, heights, np.nan) / line_energy, axis=1)
    theta = np.stack([np.log(slope * 2300.0), np.full(len(slope), PRIOR_LOG_B[0]), np.zeros(len(slope))], axis=1)
    prior_centre = np.array([0.0, PRIOR_LOG_B[0], 0.0])
    prior_weight = np.array([0.0, 1 / PRIOR_LOG_B[1] ** 2, 1 / PRIOR_D_OVER_A**2])
    for _ in range(40):
        residual, jacobian = _residual(theta, heights, present, line_energy)
        normal = jacobian.transpose(0, 2, 1) @ weight @ jacobian + np.diag(prior_weight)
        pull = (jacobian.transpose(0, 2, 1) @ weight @ residual[..., None])[..., 0]
        pull += prior_weight * (theta - prior_centre)
        step = -np.linalg.solve(normal + 1e-9 * np.eye(3), pull[..., None])[..., 0]
        theta = theta + np.clip(step, -0.3, 0.3)
        if np.abs(step).max() < 1e-10:
            break
    a = np.exp(theta[:, 0])
    return np.stack([a, np.exp(theta[:, 1]), theta[:, 2] * a], axis=1)


def _residual(theta: Float, heights: Float, present: NDArray[np.bool_], line_energy: Float) -> tuple[Float, Float]:
    """Energy on the curve - reference (pixel, line) and its derivatives (pixel, line, 3)."""
    a, b, c = np.exp(theta[:, :1]), np.exp(theta[:, 1:2]), theta[:, 2:]
    x = np.clip(heights / a - c, -1.0, 0.95)
    energies = -b * np.log1p(-x)
    de_dx = b / (1 - x)
    jacobian = np.stack([-de_dx * heights / a, energies, -de_dx], axis=-1) * present[..., None]
    return np.where(present, energies - line_energy, 0.0), jacobian


def spline_params(curves: GainCurves) -> tuple[Float, NDArray[np.bool_]]:
    """The curves as spline parameters of `core.energy`.

    Returns:
        params (pixel, N_PARAMS) with only the curve filled in, and whether each curve rises everywhere (pixel,).
        Rows of pixels without a curve are NaN.
    """
    params = np.full((len(curves.abd), ef.N_PARAMS), np.nan)
    rising = np.zeros(len(curves.abd), dtype=bool)
    heights, bare = _along(curves)
    weights = (curves.common + curves.own[curves.used])[:, :, None]
    values = bare + (kernel(bare, curves.line_energy) @ weights)[:, :, 0]
    spacing = (heights[:, -1] - heights[:, 0]) / (ef.N_COEFFICIENTS - 3)
    params[curves.used, ef.CURVE_GRID] = np.stack([heights[:, 0], spacing], axis=1)
    params[curves.used, ef.CURVE] = values @ ef.fitting_matrix(N_ALONG).T
    rising[curves.used] = np.all(np.diff(values, axis=1) > 0, axis=1)
    return params, rising


def left_out(curves: GainCurves, reference_errors: Float) -> Float:
    """Where a line would stand if it were not used: its energy on the curve through the other lines - reference, eV.

    f8 (pixel, line), NaN where a pixel has no curve or not the line. The curve is refitted in closed form: for
    universal kriging the residual of a datum left out is (P y)_l / P_ll with P the precision of the data after the
    parameters (Dubrule, Math. Geology 15, 687 (1983)).
    """
    abd = curves.abd[curves.used]
    theta = np.stack([np.log(abd[:, 0]), np.log(abd[:, 1]), abd[:, 2] / abd[:, 0]], axis=1)
    heights = physical_height(curves.line_energy, abd)
    jacobian = _residual(theta, heights, np.ones(heights.shape, dtype=bool), curves.line_energy)[1]
    noise = curves.stat_errors[curves.used] ** 2 + (curves.reference_share * reference_errors) ** 2
    covariance = kernel(curves.line_energy, curves.line_energy) + noise[:, :, None] * np.eye(len(curves.line_energy))
    inverse = np.linalg.inv(covariance)
    prior = np.diag([1e-12, 1 / PRIOR_LOG_B[1] ** 2, 1 / PRIOR_D_OVER_A**2])
    solved = np.linalg.inv(_transposed(jacobian) @ inverse @ jacobian + prior)
    precision = inverse - inverse @ jacobian @ solved @ _transposed(jacobian) @ inverse
    remainder = np.nan_to_num(curves.remainder[curves.used])
    residual = (precision @ remainder[:, :, None])[:, :, 0] / np.einsum("pll->pl", precision)
    result = np.full(curves.remainder.shape, np.nan)
    result[curves.used] = -residual
    result[~np.isfinite(curves.remainder)] = np.nan
    return result


def _along(curves: GainCurves) -> tuple[Float, Float]:
    """Pulse heights over the whole curve of every used pixel, and the physical form's energies: (used, N_ALONG)."""
    abd = curves.abd[curves.used]
    ends = physical_height(np.array([0.0, CURVE_TOP_EV]), abd)
    heights = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.linspace(0.0, 1.0, N_ALONG)
    return heights, physical_energy(heights, abd)


def spline_covariance(curves: GainCurves) -> Float:
    """Covariance (pixel, N_COEFFICIENTS, N_COEFFICIENTS) eV^2 of the curves' coefficients.

    Counting statistics and the freedom of the smooth remainder (universal kriging: Rasmussen & Williams, eq. 2.41);
    the references' uncertainties are not part of it: they are common to all pixels and stand beside.
    """
    heights, bare = _along(curves)
    abd = curves.abd[curves.used]
    theta = np.stack([np.log(abd[:, 0]), np.log(abd[:, 1]), abd[:, 2] / abd[:, 0]], axis=1)
    line_heights = physical_height(curves.line_energy, abd)
    at_lines = _residual(theta, line_heights, np.ones(line_heights.shape, dtype=bool), curves.line_energy)[1]
    at_heights = _residual(theta, heights, np.ones(heights.shape, dtype=bool), bare)[1]
    noise = (curves.stat_errors[curves.used] ** 2)[:, :, None] * np.eye(len(curves.line_energy))
    inverse = np.linalg.inv(kernel(curves.line_energy, curves.line_energy) + noise)
    prior = np.diag([1e-12, 1 / PRIOR_LOG_B[1] ** 2, 1 / PRIOR_D_OVER_A**2])
    parameters = np.linalg.inv(_transposed(at_lines) @ inverse @ at_lines + prior)
    to_coefficients = ef.fitting_matrix(N_ALONG)
    influence = to_coefficients @ kernel(bare, curves.line_energy)
    left = to_coefficients @ at_heights - influence @ inverse @ at_lines
    prior_cov = to_coefficients @ kernel(bare, bare) @ to_coefficients.T
    covariance = np.full((len(curves.abd), ef.N_COEFFICIENTS, ef.N_COEFFICIENTS), np.nan)
    covariance[curves.used] = (
        prior_cov - influence @ inverse @ _transposed(influence) + left @ parameters @ _transposed(left)
    )
    return covariance


def _transposed(matrices: Float) -> Float:
    return matrices.transpose(0, 2, 1)
