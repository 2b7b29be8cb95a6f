"""Shapes of emission lines as the detector sees them, in Fourier space, where every part is a product.

A line is a sum of Lorentzians with a Gaussian of its own (the emitted shape), convolved with a Gaussian (the
resolution) and with (1 - f) delta + f exponential towards low energy (the tail), integrated over the bins. Its
transform, with k the angular wave number in 1/eV, is

    sum_c share_c exp(-ik offset_c - |k| fwhm_c / 2 - sigma_line^2 k^2 / 2)  exp(-sigma^2 k^2 / 2)
    (1 - f + f / (1 - ik tau))  exp(-ik shift)  sinc(k width / 2)

so that derivatives with respect to shift, log sigma, f and log tau are products as well, and thousands of lines are
fitted in one batch of fast transforms. Tail: Fowler et al., Metrologia 54, 494 (2017), as an exponential of
probability f.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Int = NDArray[np.intp]

FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
N_GRID = 384  # bins of the periodic grid: 192 eV at 0.5 eV, wide enough for the tail


@dataclass(frozen=True)
class LineGrid:
    """A periodic grid of `N_GRID` bins of `width` eV around the reference energy of a line (bin centres from -N/2)."""

    width: float

    @cached_property
    def offsets(self) -> Float:
        """Bin centres (N_GRID,) eV relative to the line."""
        return np.asarray(
            (np.arange(N_GRID) - N_GRID // 2 + 0.5) * self.width, dtype=np.float64
        )

    @cached_property
    def k(self) -> Float:
        """Angular wave numbers (N_GRID // 2 + 1,), 1/eV."""
        return np.asarray(
            2 * np.pi * np.fft.rfftfreq(N_GRID, self.width), dtype=np.float64
        )

    @cached_property
    def placement(self) -> Complex:
        """Transform of a unit impulse at offset 0, integrated over a bin: puts the line into the middle."""
        return np.asarray(
            np.exp(1j * self.k * self.offsets[0])
            * np.sinc(self.k * self.width / (2 * np.pi))
        )

    def emitted(
        self, shape: tuple[tuple[float, float, float], ...], sigma: float
    ) -> Complex:
        """Transform (k,) of Lorentzian components (offset eV, FWHM eV, share) convolved with a Gaussian of sigma eV."""
        offset, fwhm, share = np.array(shape, dtype=float).T[:, :, None]
        components = share * np.exp(-1j * self.k * offset - np.abs(self.k) * fwhm / 2)
        return np.asarray(components.sum(axis=0) * np.exp(-0.5 * (sigma * self.k) ** 2))

    def detected(self, emitted: Complex, line: Int, theta: Float) -> Complex:
        """Transforms (n, 5, k) of n unit lines in the detector, then of their derivatives by the columns of `theta`.

        `emitted` (line, k); `line` (n,), which row of it each is; `theta` (n, 4): shift eV, log sigma, f, log tau.
        """
        from rixs_pipeline.core.calibration import line_kernels

        return np.asarray(
            line_kernels.transforms(emitted * self.placement, line, theta, self.k[1])
        )

    def bins(self, transform: Complex) -> Float:
        """Content of the bins (..., N_GRID) of a unit line from its transform (..., k)."""
        return np.fft.irfft(transform, n=N_GRID, axis=-1)
