"""Shapes of the elastic line and of inelastic light in the detector.

The detector convolves every line with its response: a Gaussian, and for the fraction f
of the photons an exponential of decay length tau towards low energy. Elastic light has
no width of its own. Shapes are kept as cumulative functions on a fine grid, so that
their contents in the bins of any point are differences of interpolated values.
"""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.calibration.line_shapes import FWHM_PER_SIGMA
from rixs_pipeline.types import FloatArray

STEP_EV = 0.05  # of the fine grid
REACH_SIGMAS = 6.0  # of the Gaussian, beyond which it is 0
REACH_TAILS = 6.0  # decay lengths, beyond which the tail is 0
SPLINE_DEGREE = 2


@dataclass(frozen=True)
class LineResponse:
    """Response of the detector to light of one energy.

    Attributes
    ----------
    fwhm : float
        Resolution, of the Gaussian, eV.
    tail_fraction : float
        Fraction of the photons in the low-energy tail.
    tail_length : float
        Decay length of the tail, eV.
    """

    fwhm: float
    tail_fraction: float
    tail_length: float

    def scaled(self, logarithms: FloatArray) -> "LineResponse":
        """Return the response with its values times exp(logarithms), (3,)."""
        width, fraction, length = np.exp(logarithms)
        return replace(
            self,
            fwhm=self.fwhm * width,
            tail_fraction=min(self.tail_fraction * fraction, 1.0),
            tail_length=self.tail_length * length,
        )


@dataclass(frozen=True)
class Shape:
    """A function of energy on a fine grid.

    Attributes
    ----------
    start : float
        Energy of the first element, eV.
    density : f8 (..., n)
        Its area in each step of `STEP_EV`.
    """

    start: float
    density: FloatArray

    @property
    def energy(self) -> FloatArray:
        """Energies (n,) of the elements, eV."""
        n_steps = self.density.shape[-1]
        return np.asarray(self.start + STEP_EV * np.arange(n_steps))

    def bins(self, edges: FloatArray) -> FloatArray:
        """Return the area of one shape in bins with edges (..., bin + 1), eV."""
        upper = self.energy + STEP_EV / 2
        cumulative = np.cumsum(self.density)
        last = cumulative[-1]
        return np.diff(np.interp(edges, upper, cumulative, 0.0, last), axis=-1)

    def rows_in_bins(self, edges: FloatArray) -> FloatArray:
        """Return the areas (row, m, bin) of shapes (row, m, n) in bins of each row.

        The edges are (row, bin + 1), eV.
        """
        cumulative = np.cumsum(self.density, axis=-1)
        zero = np.zeros((*cumulative.shape[:-1], 1))
        cumulative = np.concatenate([zero, cumulative], axis=-1)
        position = (edges - self.start) / STEP_EV + 0.5
        position = np.clip(position, 0.0, cumulative.shape[-1] - 1 - 1e-9)
        index = position.astype(np.int64)
        part = position - index
        lower = np.take_along_axis(cumulative, index[:, None, :], axis=-1)
        upper = np.take_along_axis(cumulative, index[:, None, :] + 1, axis=-1)
        part = part[:, None, :]
        values = lower * (1 - part) + upper * part
        return np.diff(values, axis=-1)


def detected_line(response: LineResponse) -> Shape:
    """Return a line of area 1 at energy 0 in the detector."""
    sigma = response.fwhm / FWHM_PER_SIGMA
    above = round(REACH_SIGMAS * sigma / STEP_EV) + 1
    below = round(REACH_TAILS * response.tail_length / STEP_EV) + above
    energy = np.arange(-below, above + 1) * STEP_EV
    gauss = np.exp(-0.5 * (energy / sigma) ** 2)
    tail = np.exp(np.minimum(energy, 0.0) / response.tail_length)
    tail = np.where(energy <= 0, tail, 0.0)
    core = np.zeros(len(energy))
    core[below] = 1.0
    fraction = response.tail_fraction
    losses = (1 - fraction) * core + fraction * tail / tail.sum()
    line = _convolve(losses, gauss / gauss.sum(), below)
    return Shape(-below * STEP_EV, line)


def detect(emitted: Shape, line: Shape) -> Shape:
    """Return emitted shapes as the detector shows them.

    Parameters
    ----------
    emitted : Shape
        One or more shapes.
    line : Shape
        From `detected_line`.

    Returns
    -------
    Shape
        On the grid of `emitted`.
    """
    zero = round(-line.start / STEP_EV)
    return Shape(emitted.start, _convolve(emitted.density, line.density, zero))


def _convolve(first: FloatArray, second: FloatArray, zero: int) -> FloatArray:
    """Return `first` (..., n) convolved with `second`, whose element `zero` is at 0."""
    from scipy.fft import irfft, next_fast_len, rfft

    # as scipy.signal.fftconvolve, which takes half a second to import
    length = next_fast_len(first.shape[-1] + len(second) - 1, real=True)
    convolved = irfft(rfft(first, length) * rfft(second, length), length)
    return np.asarray(convolved[..., zero : zero + first.shape[-1]])


def uniform_spline(spacing: float) -> Shape:
    """Return a B-spline of area 1 from energy 0 on, its knots `spacing` eV apart."""
    width = round(spacing / STEP_EV)
    box = np.full(width, 1 / width)
    spline = box
    for _ in range(SPLINE_DEGREE):
        spline = np.convolve(spline, box)
    return Shape(0.0, spline)
