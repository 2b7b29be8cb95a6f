"""A spectrum with its errors, as plain arrays."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Spectrum:
    """One spectrum along an axis; NaN where there is no exposure.

    Attributes
    ----------
    axis : SpectrumAxis
        What `energy` is.
    energy : f8 (n,)
        eV.
    intensity, intensity_errors : f8 (n,)
        In `units`, after division by `scale_factor`; one standard deviation from
        counts, background, I0 and scale factor.
    intensity_lower, intensity_upper : f8 (n,)
        Ends of the 95 % interval.
    counts : f8 (n,)
        Photons, cut bins by their fraction; never scaled.
    exposure : f8 (n,)
        Seconds; never scaled.
    units : str
        Of the intensity.
    scale_factor, scale_factor_errors : float
        1 and 0 where the spectrum is not scaled.
    i0_errors : f8 (n,) or None
        The part of `intensity_errors` that comes from I0: independent from point to
        point along incident energy, common to all points along emission.
    energy_errors : f8 (n,) or None
        Change of the intensity, with its sign, if the emission scale moves up by its
        standard deviation: common to all points, not part of `intensity_errors`.
    reference_errors : f8 (n,) or None
        The same for the reference lines, which all products share.
    background, background_errors : f8 (n,) or None
        What was subtracted, in units of the intensity (of an iPFY: in counts/s).
    background_modes : f8 (n, mode) or None
        Covariance of the background between points, as modes @ modes.T.
    bin_width : float or None
        Of emission spectra, eV; a bin that is covered in part stands at the mean energy
        of the map's bins in it, weighted with their covered parts.
    facts : dict
        Further plain values for the product.
    """

    axis: SpectrumAxis
    energy: FloatArray
    intensity: FloatArray
    intensity_errors: FloatArray
    intensity_lower: FloatArray
    intensity_upper: FloatArray
    counts: FloatArray
    exposure: FloatArray
    units: str
    scale_factor: float = 1.0
    scale_factor_errors: float = 0.0
    i0_errors: FloatArray | None = None
    energy_errors: FloatArray | None = None
    reference_errors: FloatArray | None = None
    background: FloatArray | None = None
    background_errors: FloatArray | None = None
    background_modes: FloatArray | None = None
    bin_width: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def select(self, points: BoolArray | IntArray) -> "Spectrum":
        """Return the spectrum at points: marked, or by index."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        selected: dict[str, Any] = {
            name: value[points]
            for name, value in values.items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **selected)
