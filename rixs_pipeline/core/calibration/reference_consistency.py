"""What the residual of each line says about the set of reference lines.

A calibration is a smooth curve through lines whose energies are taken from a table. Where the curve through the other
lines puts a line, against what the table says of it, tests the table: an array of pixels does so to better than the
tables' own uncertainties. Which of the lines is wrong, or whether all are off together, it cannot tell.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CurveName
from rixs_pipeline.core.calibration.gain_curve import kernel
from rixs_pipeline.core.calibration.gain_forms import FORMS

Float = NDArray[np.float64]

MIN_PIXELS = 3  # fewer tell nothing of their spread
DISAGREES = 2.0  # standard deviations


@dataclass(frozen=True)
class LineReport:
    """What is known of every line, f8 (line,) in eV, `pixels` and `deviations` plain numbers.

    `residual` is the mean over the pixels of the line on the fitted scale - reference, `spread` its standard deviation
    between pixels; `left_out` the mean of the line on the curve through the other lines - reference. `_errors` are
    standard errors of these means, from the spread. `ratio` is left_out / uncertainty of the reference; `expected`
    the standard deviation of left_out that the uncertainties of all lines and the freedom of the curve allow, and
    `deviations` is left_out in units of it.
    """

    pixels: NDArray[np.int64]
    residual: Float
    residual_errors: Float
    spread: Float
    left_out: Float
    left_out_errors: Float
    ratio: Float
    expected: Float
    deviations: Float

    @property
    def verdicts(self) -> list[str]:
        """A few words for each line."""
        return [
            _verdict(*row)
            for row in zip(
                self.pixels, self.left_out, self.expected, self.deviations, strict=True
            )
        ]


def report(
    line_energy: Float,
    uncertainty: Float,
    residual: Float,
    left_out: Float,
    curve: CurveName = "physical",
) -> LineReport:
    """Compare the lines of a set with each other.

    The runs of a pixel are averaged first: pixels are independent of each other, runs of one pixel are not.

    Args:
        line_energy: f8 (line,), eV.
        uncertainty: f8 (line,), one standard deviation of the reference, eV.
        residual: f8 (run, pixel, line), eV; NaN where a pixel is not used or does not have the line.
        left_out: f8 (run, pixel, line), eV, likewise.
        curve: the form that the gain curves were fitted with.
    """
    of_pixels, others = _mean(residual, 0), _mean(left_out, 0)
    pixels = np.isfinite(others).sum(axis=0)
    spread, errors = _scatter(of_pixels)
    mean, mean_errors = _mean(others, 0), _scatter(others)[1]
    expected = np.full(len(line_energy), np.nan)
    seen = pixels > 0
    expected[seen] = left_out_deviation(line_energy[seen], uncertainty[seen], curve)
    expected = np.hypot(expected, mean_errors)
    return LineReport(
        pixels,
        _mean(of_pixels, 0),
        errors,
        spread,
        mean,
        mean_errors,
        mean / uncertainty,
        expected,
        mean / expected,
    )


def left_out_deviation(
    line_energy: Float, uncertainty: Float, curve: CurveName = "physical"
) -> Float:
    """Standard deviation (line,) eV of a line on the curve through the other lines - its reference.

    With C the covariance of the remainder of the curve plus that of the references, and J the derivatives of the
    curve's form, the precision after the parameters is P = C^-1 - C^-1 J (J' C^-1 J + prior)^-1 J' C^-1, and the
    variance of a datum left out is 1 / P_ll (Dubrule, Math. Geology 15, 687 (1983)). The derivatives are those of a
    typical pixel.

    Args:
        line_energy: f8 (line,), eV.
        uncertainty: f8 (line,), one standard deviation of the references, eV.
        curve: the form of the gain curves.
    """
    form = FORMS[curve]
    typical = form.start(np.ones(1))
    jacobian = form.energy(form.height(line_energy, typical), typical)[1][0]
    inverse = np.linalg.inv(kernel(line_energy, line_energy) + np.diag(uncertainty**2))
    through = inverse @ jacobian
    precision = (
        inverse
        - through
        @ np.linalg.inv(jacobian.T @ through + np.diag(form.prior[1]))
        @ through.T
    )
    return np.asarray(1 / np.sqrt(np.diag(precision)))


def _mean(values: Float, axis: int) -> Float:
    """The mean of what is not NaN; NaN where there is nothing."""
    have = np.isfinite(values)
    number = have.sum(axis=axis)
    total = np.where(have, values, 0.0).sum(axis=axis)
    return np.asarray(
        np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    )


def _scatter(values: Float) -> tuple[Float, Float]:
    """Standard deviation over the rows (pixel, line), and the standard error of their mean; NaN below two rows."""
    number = np.isfinite(values).sum(axis=0)
    squares = _mean((values - _mean(values, 0)) ** 2, 0)
    spread = np.sqrt(
        squares
        * np.divide(
            number, number - 1, out=np.full(len(number), np.nan), where=number > 1
        )
    )
    return spread, spread / np.sqrt(np.maximum(number, 1))


def _verdict(pixels: int, left_out: float, expected: float, deviations: float) -> str:
    if pixels < MIN_PIXELS:
        return f"cannot tell: only {pixels} pixel{'' if pixels == 1 else 's'}"
    if abs(deviations) < DISAGREES:
        return f"agrees with the other lines: {left_out:+.1f} +- {expected:.1f} eV"
    where = "above" if left_out > 0 else "below"
    return (
        f"the other lines put it {abs(left_out):.1f} eV {where} its reference: "
        f"{abs(deviations):.1f} times what the uncertainties allow"
    )
