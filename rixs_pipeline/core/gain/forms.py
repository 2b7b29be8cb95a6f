"""Forms of a gain curve: formulae with three or four parameters a pixel.

A gain curve is such a form plus a smooth remainder (see `curves`). The forms are
functions of z = h / s, the pulse height h over a scale s of the pixel, so that pixels
whose gains differ by any factor look alike:

* ``physical``: E = -b ln(1 - (z - c)), a sensor that saturates. With a = s and d = c s
  this is h = a (1 - exp(-E / b)) + d;
* ``gain``: E / h = (600 eV / s) (1 + c1 y + c2 y^2 + c3 y^3) with y = z - 1, a cubic
  polynomial of the gain;
* ``loglog``: ln(E / 600 eV) = p1 x + p2 x^2 + p3 x^3 with x = ln z, a cubic polynomial
  of the logarithms.

``gain`` and ``loglog`` are coordinates that the mass package offers (`curvetype`). How
well each form describes a pixel is measured in docs/explanation/calibration.md.

The parameters have priors, centred on a sensor with b = 2000 eV and d = 0 and wider
than the differences between real pixels. They keep a curve through few lines from
bending outside these lines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rixs_pipeline.types import FloatArray

# energy of z = 1 of the polynomials: the middle of the usual reference lines
MIDDLE_EV = 600.0
# scale s of the physical form over the pulse height per eV of a line at 600 eV, with
# b = 2000 eV: 600 eV / (1 - exp(-600 / 2000)), rounded
SATURATION_SCALE_EV = 2300.0
# z of about 180 and 1150 eV: the tangents continue a polynomial beyond them
POLYNOMIAL_RANGE = (0.3, 1.7)
# range of z - c of the physical form, whose energy diverges at 1
PHYSICAL_RANGE = (-1.0, 0.999)
# inverse variance of ln s, which has no prior
FREE_PRECISION = 1e-12
# Newton's method for the pulse height of an energy: steps, largest step and range of z
NEWTON_STEPS = 12
NEWTON_MAX_STEP = 0.5
NEWTON_RANGE = (-1.0, 6.0)


class CurveForm(StrEnum):
    """Names of the forms."""

    PHYSICAL = "physical"
    GAIN = "gain"
    LOGLOG = "loglog"


@dataclass(frozen=True)
class FormValues:
    """A form at n values of z for each pixel.

    Attributes
    ----------
    energy
        (pixel, n) eV.
    slope
        (pixel, n) derivative by z, eV.
    shape_derivatives
        (pixel, n, k) derivatives by the k shape parameters, eV.
    """

    energy: FloatArray
    slope: FloatArray
    shape_derivatives: FloatArray


@dataclass(frozen=True)
class FormEnergies:
    """Energies of n pulse heights for each pixel.

    Attributes
    ----------
    energy
        (pixel, n) eV.
    jacobian
        (pixel, n, 1 + k) derivatives by the parameters (ln s, shape), eV.
    """

    energy: FloatArray
    jacobian: FloatArray


@dataclass(frozen=True)
class ParameterPrior:
    """Gaussian prior of the parameters (ln s, shape).

    Attributes
    ----------
    centre
        (1 + k,).
    precision
        (1 + k,) inverse variance.
    """

    centre: FloatArray
    precision: FloatArray


@dataclass(frozen=True)
class GainForm:
    """A family of curves E(z; shape); the parameters of a pixel are (ln s, *shape).

    Attributes
    ----------
    evaluate
        Function of z (pixel, n) and shape (pixel, k) that returns `FormValues`.
    scale
        Start value of s over the pulse height per eV of the lines, eV.
    centre, width
        Gaussian prior of the shape, (k,).
    """

    evaluate: Callable[[FloatArray, FloatArray], FormValues]
    scale: float
    centre: tuple[float, ...]
    width: tuple[float, ...]

    @property
    def n_parameters(self) -> int:
        """Number of parameters of a pixel."""
        return 1 + len(self.centre)

    @property
    def prior(self) -> ParameterPrior:
        """Prior of all parameters; the scale is free."""
        width = np.array(self.width)
        return ParameterPrior(
            centre=np.append(0.0, self.centre),
            precision=np.append(FREE_PRECISION, 1 / width**2),
        )

    def start(self, slope: FloatArray) -> FloatArray:
        """Return start values of the parameters.

        Parameters
        ----------
        slope
            (pixel,) approximate pulse height per eV.

        Returns
        -------
        FloatArray
            (pixel, 1 + k) with the shape at the centre of its prior.
        """
        n_pixels = len(slope)
        parameters = np.empty((n_pixels, self.n_parameters))
        parameters[:, 0] = np.log(slope * self.scale)
        parameters[:, 1:] = self.centre
        return parameters

    def energies(self, heights: FloatArray, parameters: FloatArray) -> FormEnergies:
        """Return the energies of pulse heights.

        Parameters
        ----------
        heights
            (pixel, n).
        parameters
            (pixel, 1 + k).

        Returns
        -------
        FormEnergies
            Energies with their derivatives by the parameters.
        """
        log_scale = parameters[:, :1]
        shape = parameters[:, 1:]
        z = heights * np.exp(-log_scale)
        values = self.evaluate(z, shape)
        by_log_scale = -(z * values.slope)
        jacobian = np.concatenate(
            [by_log_scale[..., None], values.shape_derivatives], axis=-1
        )
        return FormEnergies(values.energy, jacobian)

    def heights(self, energies: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the pulse heights of energies, by Newton's method.

        Parameters
        ----------
        energies
            (n,) eV.
        parameters
            (pixel, 1 + k).

        Returns
        -------
        FloatArray
            (pixel, n) ; arbitrary where the form does not reach an energy.
        """
        log_scale = parameters[:, :1]
        shape = parameters[:, 1:]
        start = energies / self.scale
        n_pixels = len(parameters)
        z = np.tile(start, (n_pixels, 1))
        for _ in range(NEWTON_STEPS):
            values = self.evaluate(z, shape)
            slope = np.maximum(values.slope, 1.0)
            step = (values.energy - energies) / slope
            step = np.clip(step, -NEWTON_MAX_STEP, NEWTON_MAX_STEP)
            z = np.clip(z - step, *NEWTON_RANGE)
        heights: FloatArray = z * np.exp(log_scale)
        return heights

    def jacobian(self, energies: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the derivatives of the energy where the form reaches given energies.

        Parameters
        ----------
        energies
            (n,) eV.
        parameters
            (pixel, 1 + k).

        Returns
        -------
        FloatArray
            (pixel, n, 1 + k) derivatives by the parameters, eV.
        """
        heights = self.heights(energies, parameters)
        return self.energies(heights, parameters).jacobian


def _physical(z: FloatArray, shape: FloatArray) -> FormValues:
    """Evaluate the physical form; its shape is (ln b, c)."""
    log_saturation = shape[:, :1]
    offset = shape[:, 1:]
    saturation = np.exp(log_saturation)
    x = np.clip(z - offset, *PHYSICAL_RANGE)
    energy = -saturation * np.log1p(-x)
    slope = saturation / (1 - x)
    shape_derivatives = np.stack([energy, -slope], axis=-1)
    return FormValues(energy, slope, shape_derivatives)


def _gain(z: FloatArray, shape: FloatArray) -> FormValues:
    """Evaluate the cubic polynomial of the gain; its shape is (c1, c2, c3)."""
    n_pixels, degree = shape.shape
    inside = np.clip(z, *POLYNOMIAL_RANGE)
    z_inside = inside[..., None]
    beyond = (z - inside)[..., None]
    powers = _powers(inside - 1, degree)
    power_slopes = _power_slopes(powers)
    # the energy is linear in 1, c1, c2, c3: these are the functions that they multiply
    basis_slopes = MIDDLE_EV * (powers + z_inside * power_slopes)
    basis_inside = MIDDLE_EV * z_inside * powers
    basis = basis_inside + beyond * basis_slopes
    coefficients = np.ones((n_pixels, 1 + degree, 1))
    coefficients[:, 1:, 0] = shape
    energy = basis @ coefficients
    slope = basis_slopes @ coefficients
    return FormValues(
        energy=energy[..., 0], slope=slope[..., 0], shape_derivatives=basis[..., 1:]
    )


def _loglog(z: FloatArray, shape: FloatArray) -> FormValues:
    """Evaluate the cubic polynomial of the logarithms; its shape is (p1, p2, p3)."""
    degree = shape.shape[1]
    coefficients = shape[:, :, None]
    inside = np.clip(z, *POLYNOMIAL_RANGE)
    relative_distance = (z - inside) / inside
    beyond = relative_distance[..., None]
    all_powers = _powers(np.log(inside), degree)
    all_slopes = _power_slopes(all_powers)
    # the polynomial has no constant term
    powers = all_powers[..., 1:]
    power_slopes = all_slopes[..., 1:]
    log_energy = powers @ coefficients
    log_slope = power_slopes @ coefficients
    energy_inside = MIDDLE_EV * np.exp(log_energy)
    tangent = 1 + beyond * log_slope
    energy = energy_inside * tangent
    slope = energy_inside * log_slope
    log_derivatives = powers * tangent + beyond * power_slopes
    return FormValues(
        energy=energy[..., 0],
        slope=slope[..., 0] / inside,
        shape_derivatives=energy_inside * log_derivatives,
    )


def _powers(x: FloatArray, highest: int) -> FloatArray:
    """Return x^0 ... x^highest, (..., highest + 1)."""
    powers = np.ones((*x.shape, highest + 1))
    for exponent in range(highest):
        lower = powers[..., exponent]
        powers[..., exponent + 1] = lower * x
    return powers


def _power_slopes(powers: FloatArray) -> FloatArray:
    """Return the derivatives by x of the powers x^0, x^1, ... (..., power)."""
    n_powers = powers.shape[-1]
    exponents = np.arange(1, n_powers)
    lower_powers = powers[..., :-1]
    slopes = np.zeros_like(powers)
    slopes[..., 1:] = lower_powers * exponents
    return slopes


# Centres of the polynomials: the expansion of a physical form with b = 2000 eV, d = 0.
FORMS: dict[CurveForm, GainForm] = {
    CurveForm.PHYSICAL: GainForm(
        evaluate=_physical,
        scale=SATURATION_SCALE_EV,
        centre=(float(np.log(2000.0)), 0.0),
        width=(0.7, 0.03),
    ),
    CurveForm.GAIN: GainForm(
        evaluate=_gain,
        scale=MIDDLE_EV,
        centre=(0.163, 0.031, 0.004),
        width=(0.2, 0.1, 0.05),
    ),
    CurveForm.LOGLOG: GainForm(
        evaluate=_loglog,
        scale=MIDDLE_EV,
        centre=(1.166, 0.107, 0.045),
        width=(0.2, 0.06, 0.03),
    ),
}
