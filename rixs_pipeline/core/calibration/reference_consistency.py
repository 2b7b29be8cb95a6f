"""Test the reference lines of a set against each other.

A calibration is a smooth curve through lines whose energies come from a table. Where
the curve through the other lines puts a line, compared with the table, tests the table:
an array of pixels does so more precisely than the uncertainties of the table. It cannot
show which of the lines is wrong, or whether all of them are shifted together.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.gain import FORMS, CurveForm, EnergyRange, remainder_covariance
from rixs_pipeline.types import FloatArray, IntArray

# standard deviations from which a line disagrees with the others
MAX_DEVIATIONS = 2.0


@dataclass(frozen=True)
class LineConsistency:
    """Comparison of every line with the others, all attributes (line,).

    Attributes
    ----------
    pixels
        Number of pixels with the line.
    residual
        Mean over the pixels: energy on the fitted scale - reference energy, eV.
    residual_errors
        Standard error of `residual` from the spread, eV.
    spread
        Standard deviation of the residual between pixels, eV.
    left_out
        Mean over the pixels: energy on the curve through the other lines - reference
        energy, eV.
    left_out_errors
        Standard error of `left_out` from the spread, eV.
    ratio
        `left_out` / uncertainty of the reference.
    expected
        Standard deviation of `left_out` that the uncertainties of all lines and the
        freedom of the curve allow, eV.
    deviations
        `left_out` / `expected`.
    """

    pixels: IntArray
    residual: FloatArray
    residual_errors: FloatArray
    spread: FloatArray
    left_out: FloatArray
    left_out_errors: FloatArray
    ratio: FloatArray
    expected: FloatArray
    deviations: FloatArray

    @property
    def conclusions(self) -> list[str]:
        """Conclusion on each line in words."""
        return [self._conclusion(line) for line in range(len(self.pixels))]

    def _conclusion(self, line: int) -> str:
        """Return the conclusion on one line in words."""
        if self.pixels[line] == 0:
            return "not tested: no pixel has this line"
        left_out = self.left_out[line]
        expected = self.expected[line]
        deviations = self.deviations[line]
        if abs(deviations) < MAX_DEVIATIONS:
            return f"agrees with the other lines: {left_out:+.1f} +- {expected:.1f} eV"
        side = "above" if left_out > 0 else "below"
        return (
            "calibration from the other lines places this line "
            f"{abs(left_out):.1f} eV {side} its tabulated energy "
            f"({abs(deviations):.1f} times the combined uncertainty)"
        )


def compare_lines(
    line_energy: FloatArray,
    uncertainty: FloatArray,
    residual: FloatArray,
    left_out: FloatArray,
    curve_form: CurveForm = CurveForm.PHYSICAL,
) -> LineConsistency:
    """Compare the lines of a set with each other.

    Parameters
    ----------
    line_energy
        (line,) reference energies, eV.
    uncertainty
        (line,) one standard deviation of the reference energies, eV.
    residual
        (run, pixel, line) energy on the fitted scale - reference energy, eV; NaN where
        a pixel is not used or lacks the line.
    left_out
        (run, pixel, line) the same on the curve through the other lines.
    curve_form
        Form of the gain curves.

    Returns
    -------
    LineConsistency
        The comparison of every line.

    Notes
    -----
    The runs of a pixel are averaged first: pixels are independent of each other, runs
    of one pixel are not.
    """
    pixel_residual = _mean(residual)
    pixel_left_out = _mean(left_out)
    n_pixels = np.isfinite(pixel_left_out).sum(axis=0)
    mean_left_out = _mean(pixel_left_out)
    left_out_errors = _standard_error(pixel_left_out)
    has_pixels = n_pixels > 0
    expected = np.full(len(line_energy), np.nan)
    expected[has_pixels] = left_out_deviation(
        line_energy[has_pixels], uncertainty[has_pixels], curve_form
    )
    # one pixel has no spread; the freedom of its curve is in what is expected
    expected = np.hypot(expected, np.nan_to_num(left_out_errors))
    return LineConsistency(
        pixels=n_pixels,
        residual=_mean(pixel_residual),
        residual_errors=_standard_error(pixel_residual),
        spread=_standard_deviation(pixel_residual),
        left_out=mean_left_out,
        left_out_errors=left_out_errors,
        ratio=mean_left_out / uncertainty,
        expected=expected,
        deviations=mean_left_out / expected,
    )


def left_out_deviation(
    line_energy: FloatArray,
    uncertainty: FloatArray,
    curve_form: CurveForm = CurveForm.PHYSICAL,
) -> FloatArray:
    """Return how far a line may lie from the curve through the other lines.

    Parameters
    ----------
    line_energy
        (line,) reference energies, eV.
    uncertainty
        (line,) one standard deviation of the reference energies, eV.
    curve_form
        Form of the gain curves.

    Returns
    -------
    FloatArray
        (line,) standard deviation, eV.

    Notes
    -----
    With C the covariance of the smooth remainder plus that of the references, and J the
    derivatives of the form in a typical pixel, the precision after the parameters are
    fitted is P = C^-1 - C^-1 J (J' C^-1 J + prior)^-1 J' C^-1, and the variance of a
    datum left out is 1 / P_ll [1]_.

    References
    ----------
    .. [1] O. Dubrule, Math. Geology 15, 687 (1983).
    """
    form = FORMS[curve_form]
    typical_pixel = form.start(np.ones(1))
    highest = float(line_energy.max(initial=0.0))
    unit = EnergyRange.up_to(highest).energy_unit
    energy = line_energy / unit
    jacobian = form.jacobian(energy, typical_pixel)[0]
    smooth = remainder_covariance(energy, energy)
    inverse = np.linalg.inv(smooth + np.diag((uncertainty / unit) ** 2))
    weighted = inverse @ jacobian
    information = jacobian.T @ weighted + np.diag(form.prior.precision)
    precision = inverse - weighted @ np.linalg.inv(information) @ weighted.T
    return np.asarray(unit / np.sqrt(np.diag(precision)))


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean of the finite values over the first axis; NaN without any."""
    is_finite = np.isfinite(values)
    number = is_finite.sum(axis=0)
    total = np.where(is_finite, values, 0.0).sum(axis=0)
    mean = np.full(total.shape, np.nan)
    return np.asarray(np.divide(total, number, out=mean, where=number > 0))


def _standard_deviation(values: FloatArray) -> FloatArray:
    """Return the standard deviation of pixels (pixel, line); NaN for a single one."""
    number = np.isfinite(values).sum(axis=0)
    mean_square = _mean((values - _mean(values)) ** 2)
    bessel = np.full(len(number), np.nan)
    np.divide(number, number - 1, out=bessel, where=number > 1)
    return np.asarray(np.sqrt(mean_square * bessel))


def _standard_error(values: FloatArray) -> FloatArray:
    """Return the standard error of the mean of pixels (pixel, line)."""
    number = np.isfinite(values).sum(axis=0)
    error = _standard_deviation(values) / np.sqrt(np.maximum(number, 1))
    return np.asarray(error)
