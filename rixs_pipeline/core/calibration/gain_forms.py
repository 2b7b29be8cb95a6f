"""The forms of a gain curve: what is known of the curve before its smooth remainder.

All are functions of z = h / s, the pulse height over a scale of the pixel's own, so that gains that differ by any
factor look alike:

* `physical`: E = -b ln(1 - (z - c)), a sensor that saturates: h = a (1 - exp(-E/b)) + d with a = s, d = c s;
* `gain`: E / h = (600 eV / s) (1 + c1 y + c2 y^2 + c3 y^3) with y = z - 1, a cubic polynomial in the gain;
* `loglog`: ln(E / 600 eV) = p1 x + p2 x^2 + p3 x^3 with x = ln z, a cubic polynomial in log-log.

Gain and log-log are the coordinates that the mass package offers (`curvetype`). How well each form describes a pixel
is measured in docs/explanation/calibration.md. The parameters have priors, centred on a sensor with b = 2000 eV and
d = 0 and wider than real pixels differ, that keep few lines from bending a curve outside them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CurveName

Float = NDArray[np.float64]

MIDDLE_EV = 600.0  # energy of z = 1 of the polynomials: the middle of the lines
INSIDE = (
    0.3,
    1.7,
)  # z of about 180 and 1150 eV, beyond which a polynomial is continued by its tangents


@dataclass(frozen=True)
class Form:
    """One family of curves E(z; shape); a pixel's parameters are (ln s, *shape).

    `evaluate` takes z (pixel, n) and shape (pixel, k) to E (pixel, n) eV, dE/dz (pixel, n) and dE/dshape
    (pixel, n, k). `scale` is the energy (eV) of z = 1 for a detector that were linear; `centre` and `width` are the
    Gaussian prior of the shape.
    """

    evaluate: Callable[[Float, Float], tuple[Float, Float, Float]]
    scale: float
    centre: tuple[float, ...]
    width: tuple[float, ...]

    @property
    def prior(self) -> tuple[Float, Float]:
        """Centre and inverse variance of all parameters; the scale has no prior."""
        return np.array([0.0, *self.centre]), np.array(
            [1e-12, *(1 / w**2 for w in self.width)]
        )

    def start(self, slope: Float) -> Float:
        """First parameters (pixel, 1 + k) of pixels whose pulse height per eV is about `slope` (pixel,)."""
        return np.concatenate(
            [
                np.log(slope * self.scale)[:, None],
                np.tile(self.centre, (len(slope), 1)),
            ],
            axis=1,
        )

    def energy(self, heights: Float, parameters: Float) -> tuple[Float, Float]:
        """Energies (pixel, n) eV of pulse heights (pixel, n), and their derivatives (pixel, n, 1 + k)."""
        z = heights * np.exp(-parameters[:, :1])
        values, slope, shape = self.evaluate(z, parameters[:, 1:])
        return values, np.concatenate([-(z * slope)[..., None], shape], axis=-1)

    def height(self, energies: Float, parameters: Float) -> Float:
        """Pulse heights (pixel, n) at which the form reaches the energies (n,) eV, by Newton's method; where it never
        does, some other height."""
        z = np.tile(energies / self.scale, (len(parameters), 1))
        for _ in range(12):
            values, slope, _ = self.evaluate(z, parameters[:, 1:])
            z = np.clip(
                z - np.clip((values - energies) / np.maximum(slope, 1.0), -0.5, 0.5),
                -1.0,
                6.0,
            )
        return np.asarray(z * np.exp(parameters[:, :1]))

    def jacobian(self, energies: Float, parameters: Float) -> Float:
        """Derivatives (pixel, n, 1 + k) of the energies where the form reaches the energies (n,) eV."""
        return self.energy(self.height(energies, parameters), parameters)[1]


def _physical(z: Float, shape: Float) -> tuple[Float, Float, Float]:
    b = np.exp(shape[:, :1])
    x = np.clip(z - shape[:, 1:], -1.0, 0.999)
    energy, slope = -b * np.log1p(-x), b / (1 - x)
    return energy, slope, np.stack([energy, -slope], axis=-1)


def _powers(x: Float, highest: int) -> tuple[Float, Float]:
    """x^0 ... x^highest (..., highest + 1), and their derivatives."""
    powers = np.ones((*x.shape, highest + 1))
    np.cumprod(
        np.broadcast_to(x[..., None], (*x.shape, highest)), axis=-1, out=powers[..., 1:]
    )
    slopes = np.zeros_like(powers)
    slopes[..., 1:] = powers[..., :-1] * np.arange(1, highest + 1)
    return powers, slopes


def _gain(z: Float, shape: Float) -> tuple[Float, Float, Float]:
    inside = np.clip(z, *INSIDE)
    powers, slopes = _powers(inside - 1, shape.shape[1])
    slopes = MIDDLE_EV * (powers + inside[..., None] * slopes)
    basis = (MIDDLE_EV * inside)[..., None] * powers + (z - inside)[..., None] * slopes
    factors = np.concatenate([np.ones_like(shape[:, :1]), shape], axis=1)[:, :, None]
    return (basis @ factors)[..., 0], (slopes @ factors)[..., 0], basis[..., 1:]


def _loglog(z: Float, shape: Float) -> tuple[Float, Float, Float]:
    inside = np.clip(z, *INSIDE)
    beyond = ((z - inside) / inside)[..., None]
    powers, slopes = (
        values[..., 1:] for values in _powers(np.log(inside), shape.shape[1])
    )
    exponential = MIDDLE_EV * np.exp(powers @ shape[:, :, None])
    power = slopes @ shape[:, :, None]
    rise = 1 + beyond * power
    by_shape = exponential * (powers * rise + beyond * slopes)
    return (
        (exponential * rise)[..., 0],
        (exponential * power)[..., 0] / inside,
        by_shape,
    )


FORMS: dict[CurveName, Form] = {
    "physical": Form(_physical, 2300.0, (float(np.log(2000.0)), 0.0), (0.7, 0.03)),
    "gain": Form(_gain, MIDDLE_EV, (0.163, 0.031, 0.004), (0.2, 0.1, 0.05)),
    "loglog": Form(_loglog, MIDDLE_EV, (1.166, 0.107, 0.045), (0.2, 0.06, 0.03)),
}
