"""A RIXS map as plain arrays."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray


@dataclass(frozen=True)
class ResponseTail:
    """Low-energy tail of the detector's response.

    `fraction` of a line in its tail and `length` of the exponential decay in eV, with
    their standard deviations and the `correlation` of both.
    """

    fraction: float
    fraction_error: float
    length: float
    length_error: float = 0.0
    correlation: float = 0.0


@dataclass(frozen=True)
class Resolution:
    """Gaussian resolution of the pixels: full width at half maximum and error, eV."""

    fwhm: float
    error: float


@dataclass(frozen=True)
class MapData:
    """A RIXS map as plain arrays.

    Attributes
    ----------
    counts : i8 (point, bin)
        Photons.
    exposure : f8 (point,)
        Seconds.
    emission_edges : f8 (bin + 1,)
        Edges of the emission bins, uniform, eV.
    incident : f8 (point,)
        Incident energies, eV.
    exposure_errors : f8 (point,) or None
        Independent standard deviations of the exposures, from I0, s.
    efficiency : f8 (bin,) or float
        Of the detector: counts are divided by it.
    tail : ResponseTail or None
        Of the detector's response, if known.
    resolution : Resolution or None
        Of the detector, if known.
    fits : dict
        Fits to this map that were made already; maps on shifted scales share them.
    """

    counts: IntArray
    exposure: FloatArray
    emission_edges: FloatArray
    incident: FloatArray
    exposure_errors: FloatArray | None = None
    efficiency: FloatArray | float = 1.0
    tail: ResponseTail | None = None
    resolution: Resolution | None = None
    fits: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def centres(self) -> FloatArray:
        """Middles of the emission bins (bin,), eV."""
        return np.asarray((self.emission_edges[1:] + self.emission_edges[:-1]) / 2)

    @property
    def bin_width(self) -> float:
        """Width of an emission bin, eV."""
        return float(np.diff(self.emission_edges).mean())

    @property
    def relative_exposure_errors(self) -> FloatArray:
        """Relative standard deviations of the exposures (point,)."""
        relative_errors = np.zeros(len(self.incident))
        if self.exposure_errors is not None:
            is_exposed = self.exposure > 0
            np.divide(
                self.exposure_errors,
                self.exposure,
                out=relative_errors,
                where=is_exposed,
            )
        return relative_errors

    def shift_emission(self, shift: float) -> "MapData":
        """Return the map on an emission scale that is higher by `shift` eV."""
        return replace(self, emission_edges=self.emission_edges + shift)
