"""Self-absorption of a thick sample's yield: correction, and check by the iPFY."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.types import BoolArray, FloatArray

# of the yield's ceiling K: beyond, errors are multiplied by more than a hundred
LARGEST_YIELD = 0.9
ITERATIONS = 20  # of the line fit with errors in both variables
LEAST_POINTS = 4  # of that fit


@dataclass(frozen=True)
class Absorption:
    """Absorption in units of the element's own after the edge.

    `values` and standard deviation `errors`, f8 (n,); NaN at the `refused` points,
    whose yield is too near its ceiling.
    """

    values: FloatArray
    errors: FloatArray
    refused: BoolArray


def correct_self_absorption(
    spectrum: Spectrum, post_edge: Limits, background: float, fluorescence: float
) -> Absorption:
    """Return the absorption mu_X behind a fluorescence yield.

    Parameters
    ----------
    spectrum : Spectrum
        The yield, its pre-edge background subtracted.
    post_edge : Limits
        Where the element's own absorption is 1, eV.
    background : float
        mu_b, absorption of everything else, relative to the element's own.
    fluorescence : float
        g mu_f, absorption of the emitted light times the geometry factor, relative to
        the same.

    Returns
    -------
    Absorption
        At all points of the spectrum.

    Raises
    ------
    ValueError
        No points, or no intensity, in `post_edge`.

    Notes
    -----
    I = K mu_X / (mu_X + mu_b + g mu_f). With r = (mu_b + g mu_f) / mu_X after the edge,
    K = I(post_edge) (1 + r) and y = I / K:

        mu_X = r y / (1 - y),   d mu_X / d I = r / (K (1 - y)^2)

    so that the relative error grows by 1 + mu_X / r. The error of I(post_edge), the
    mean of its points, is added. A point with y beyond 0.9, or y + 2 standard
    deviations beyond 1, is refused. Formula: as for the inverse yield, A. J. Achkar et
    al., Phys. Rev. B 83, 081106 (2011).
    """
    intensity = spectrum.intensity
    errors = spectrum.intensity_errors
    window = np.isfinite(intensity) & post_edge.contains(spectrum.energy)
    level = float(intensity[window].mean()) if window.any() else 0.0
    if not level > 0:
        raise ValueError(
            "self_absorption: no positive intensity in the post-edge range "
            f"{list(post_edge)} eV; set `post_edge`"
        )
    ratio = background + fluorescence
    ceiling = level * (1 + ratio)
    y = intensity / ceiling
    deviation = errors / ceiling
    sum_variance = (errors[window] ** 2).sum()
    level_error = float(np.sqrt(sum_variance)) / window.sum() / level
    is_beyond = (y > LARGEST_YIELD) | (y + 2 * deviation > 1)
    refused = np.isfinite(y) & is_beyond
    y = np.where(refused, np.nan, y)
    slope = ratio / (1 - y) ** 2
    absorption_errors = slope * np.hypot(deviation, y * level_error)
    return Absorption(ratio * y / (1 - y), absorption_errors, refused)


@dataclass(frozen=True)
class Agreement:
    """Chi-squared test of absorption = offset + slope x inverse yield."""

    chi2: float
    dof: int
    p: float
    slope: float
    offset: float


def compare_with_inverse_yield(
    values: FloatArray,
    errors: FloatArray,
    inverse: FloatArray,
    inverse_errors: FloatArray,
) -> Agreement | None:
    """Test whether an absorption is linear in the inverse yield.

    Parameters
    ----------
    values, errors : f8 (n,)
        Absorption and one standard deviation; NaN where there is no value.
    inverse, inverse_errors : f8 (n,)
        Inverse yield at the same points: it has an offset and no self-absorption.

    Returns
    -------
    Agreement or None
        Of a line fitted with the errors of both (effective variance); None with fewer
        than four points.
    """
    from scipy.special import chdtrc  # scipy.stats takes a second to load

    is_valid = np.isfinite(values) & np.isfinite(inverse)
    is_valid &= (errors > 0) & np.isfinite(inverse_errors)
    if is_valid.sum() < LEAST_POINTS:
        return None
    x = inverse[is_valid]
    x_errors = inverse_errors[is_valid]
    y = values[is_valid]
    y_errors = errors[is_valid]
    slope = 0.0
    for _ in range(ITERATIONS):
        weight = 1 / (y_errors**2 + (slope * x_errors) ** 2)
        mean_x = np.average(x, weights=weight)
        mean_y = np.average(y, weights=weight)
        # less what noise adds, which would pull the slope to zero
        spread = weight @ ((x - mean_x) ** 2 - x_errors**2)
        covariance = weight @ ((x - mean_x) * (y - mean_y))
        slope = float(covariance / spread) if spread > 0 else 0.0
    offset = float(mean_y - slope * mean_x)
    residuals = y - offset - slope * x
    variance = y_errors**2 + (slope * x_errors) ** 2
    chi2 = float((residuals**2 / variance).sum())
    dof = int(is_valid.sum()) - 2
    return Agreement(chi2, dof, float(chdtrc(dof, chi2)), slope, offset)
