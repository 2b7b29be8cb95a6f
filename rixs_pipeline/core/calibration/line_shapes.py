"""Shapes of emission lines in the detector, in Fourier space.

The emitted shape is a sum of Lorentzians, broadened with a Gaussian of the line. The
detector convolves it with a Gaussian (the resolution) and, for the share f of the
photons, with an exponential towards low energy (the tail) [1]_. The result is
integrated over the bins. With k the angular wave number in 1/eV, the transform is

    sum_c share_c exp(-ik offset_c - |k| fwhm_c / 2 - sigma_line^2 k^2 / 2)
    exp(-sigma^2 k^2 / 2)  (1 - f + f / (1 - ik tau))
    exp(-ik shift)  sinc(k width / 2)

The derivatives with respect to shift, log sigma, f and log tau are products too, so
that thousands of lines are fitted in one batch of fast transforms.

References
----------
.. [1] J. W. Fowler et al., Metrologia 54, 494 (2017).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray

ComplexArray = NDArray[np.complex128]

_HALF_WIDTH = np.sqrt(2 * np.log(2))  # at half maximum, over sigma
FWHM_PER_SIGMA = float(2 * _HALF_WIDTH)
SOFT_BIN_EV = 0.5  # bins of the fits of lines up to 1 keV
N_GRID = 384  # bins of the periodic grid: 192 eV at 0.5 eV, wide enough for the tail

# Parameters theta of a line fit: shift in eV; log of sigma in eV, f and log of tau in
# eV, which are the shape; log of the counts, and of the background in counts per bin.
SHIFT = 0
LOG_SIGMA = 1
TAIL = 2
LOG_TAU = 3
LOG_COUNTS = 4
LOG_BACKGROUND = 5
N_FIT = 6
N_DETECTOR = 4  # the first four, on which the detected shape depends
SHAPE = slice(LOG_SIGMA, LOG_TAU + 1)
N_SHAPE = 3

BATCH = 64  # lines whose transforms and bins stay in the second-level cache


class ShapePrior(NamedTuple):
    """Gaussian priors of the shape parameters log sigma, f and log tau."""

    centre: FloatArray  # (..., 3)
    width: FloatArray  # (..., 3) standard deviations


def batches(n_lines: int) -> list[slice]:
    """Return slices of `n_lines` detected lines, `BATCH` at a time."""
    return [slice(first, first + BATCH) for first in range(0, n_lines, BATCH)]


@dataclass(frozen=True)
class LineGrid:
    """A periodic grid of `N_GRID` bins around the reference energy of a line."""

    width: float  # of a bin, eV

    @property
    def width_unit(self) -> float:
        """Widths of lines relative to those of a detector for 1 keV."""
        return self.width / SOFT_BIN_EV

    @cached_property
    def offsets(self) -> FloatArray:
        """Bin centres (N_GRID,) relative to the line, eV."""
        place = np.arange(N_GRID) - N_GRID // 2 + 0.5
        return np.asarray(place * self.width, dtype=np.float64)

    @cached_property
    def k(self) -> FloatArray:
        """Angular wave numbers (N_GRID // 2 + 1,), 1/eV."""
        frequencies = np.fft.rfftfreq(N_GRID, self.width)
        return np.asarray(2 * np.pi * frequencies, dtype=np.float64)

    @cached_property
    def placement(self) -> ComplexArray:
        """Transform (k,) of a unit impulse at offset 0, integrated over the bins."""
        first_bin = self.offsets[0]
        shift = np.exp(1j * self.k * first_bin)
        half_phase = self.k * self.width / (2 * np.pi)
        bin_average = np.sinc(half_phase)
        placement: ComplexArray = shift * bin_average
        return placement

    def emitted_transform(
        self, shape: tuple[tuple[float, float, float], ...], sigma: float
    ) -> ComplexArray:
        """Return the transform of an emitted line.

        Parameters
        ----------
        shape
            Lorentzian components: offset in eV, FWHM in eV, share.
        sigma
            Standard deviation of the Gaussian that broadens the line, eV.

        Returns
        -------
        complex array
            (k,)
        """
        columns = np.array(shape, dtype=float).T
        offset, fwhm, share = columns[:, :, None]
        decay = np.abs(self.k) * fwhm / 2
        phase = -1j * self.k * offset
        components = share * np.exp(phase - decay)
        line = components.sum(axis=0)
        broadening = np.exp(-0.5 * (sigma * self.k) ** 2)
        transform: ComplexArray = line * broadening
        return transform

    def detected_transforms(
        self, emitted: ComplexArray, line: NDArray[np.intp], theta: FloatArray
    ) -> ComplexArray:
        """Return the transforms of lines of area 1 in the detector.

        Parameters
        ----------
        emitted
            (line, k) transforms of the emitted lines.
        line
            (n,) row of `emitted` for each of n detected lines.
        theta
            (n, >= 4) shift, log sigma, f, log tau.

        Returns
        -------
        complex array
            (n, 5, k) the lines, then their derivatives by the parameters.
        """
        from rixs_pipeline.core.calibration.line_kernels import (  # numba: slow import
            transform_lines,
        )

        placed = emitted * self.placement
        dk = self.k[1]
        return transform_lines(placed, line, theta, dk)

    def bin_contents(self, transforms: ComplexArray) -> FloatArray:
        """Return the contents (..., N_GRID) of the bins from transforms (..., k)."""
        return np.fft.irfft(transforms, n=N_GRID, axis=-1)
