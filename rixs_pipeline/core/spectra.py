"""Spectra of regions: counts and exposure stay sums until the one division, with errors and 95 % intervals."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import Region
from rixs_pipeline.core.regions import weights
from rixs_pipeline.core.statistics import fay_feuer

Floats = NDArray[np.float64]
Axis = Literal["incident_energy", "emission_energy"]


@dataclass(frozen=True)
class Spectrum:
    """One spectrum along `axis`; all arrays f8 (energy,).

    `intensity`, its one standard deviation `intensity_errors` and its 95 % interval from `intensity_lower` to
    `intensity_upper` are in `units`, after the division by `scale_factor` (1 for `scale: none`). Where there is no
    exposure they are NaN. `counts` (cut bins by their share) and `exposure` in s are never scaled.
    """

    axis: Axis
    energy: Floats
    intensity: Floats
    intensity_errors: Floats
    intensity_lower: Floats
    intensity_upper: Floats
    counts: Floats
    exposure: Floats
    units: str
    scale_factor: float = 1.0


def extract(
    counts: NDArray[np.int64], exposure: Floats, emission_edges: Floats, incident: Floats, region: Region
) -> Spectrum:
    """The spectrum of a region of a map; with N = sum w n over the region's weights w and X the exposure:

    - pfy, spfy, tfy, elastic, against incident energy: I = N / X, sigma = sqrt(sum w^2 n) / X, in counts/s
    - ipfy: I = X / (N + 1), sigma^2 = X^2 / ((N + 1)^2 (N + 2)), in s/counts: X / N without its bias at few counts
      (the inverse yield: A. J. Achkar et al., Phys. Rev. B 83, 081106 (2011))
    - xes, against emission energy: I = sum w n / sum w X / bin width, sums over incident points, in counts/(s eV)

    `counts` i8 (point, bin), `exposure` s (point,), `emission_edges` eV (bin + 1,), `incident` eV (point,). Points,
    or bins, of which the region takes nothing are not part of the spectrum. Intervals: `statistics.fay_feuer`.
    """
    share = weights(region, incident, emission_edges)
    if region.kind == "xes":
        spectrum = _emission_spectrum(counts, exposure, emission_edges, share)
    elif region.kind == "ipfy":
        spectrum = _inverse_yield(*_sums(counts, exposure, incident, share))
    else:
        spectrum = _yield(*_sums(counts, exposure, incident, share))
    return _scaled(spectrum, region.scale)


def _sums(
    counts: NDArray[np.int64], exposure: Floats, incident: Floats, share: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Energy, N, its variance, the largest weight and X (NaN where there is none) of the points that are taken."""
    taken = share.any(axis=1)
    n, w = counts[taken], share[taken]
    x = np.where(exposure[taken] > 0, exposure[taken], np.nan)
    return incident[taken], (w * n).sum(axis=1), (w**2 * n).sum(axis=1), w.max(axis=1, initial=0.0), x


def _yield(energy: Floats, number: Floats, variance: Floats, largest: Floats, x: Floats) -> Spectrum:
    """Partial or total fluorescence yield, N / X."""
    lower, upper = fay_feuer(number, variance, largest)
    return Spectrum(
        axis="incident_energy",
        energy=energy,
        intensity=number / x,
        intensity_errors=np.sqrt(variance) / x,
        intensity_lower=lower / x,
        intensity_upper=upper / x,
        counts=number,
        exposure=np.nan_to_num(x),
        units="counts/s",
    )


def _inverse_yield(energy: Floats, number: Floats, variance: Floats, largest: Floats, x: Floats) -> Spectrum:
    """Inverse partial fluorescence yield, X / (N + 1); without counts the interval has no upper end (inf)."""
    lower, upper = fay_feuer(number, variance, largest)
    inverse = np.divide(1.0, lower, out=np.full(len(x), np.inf), where=lower > 0)
    return Spectrum(
        axis="incident_energy",
        energy=energy,
        intensity=x / (number + 1),
        intensity_errors=x / (number + 1) / np.sqrt(number + 2),
        intensity_lower=x / upper,
        intensity_upper=x * inverse,
        counts=number,
        exposure=np.nan_to_num(x),
        units="s/counts",
    )


def _emission_spectrum(counts: NDArray[np.int64], exposure: Floats, edges: Floats, share: Floats) -> Spectrum:
    """Emission spectrum: sums over the incident points that have exposure, numerator and denominator alike."""
    taken = share.any(axis=0)
    exposed = exposure > 0
    n, w = counts[exposed][:, taken], share[exposed][:, taken]
    seconds = exposure[exposed] @ w
    number, variance = (w * n).sum(axis=0), (w**2 * n).sum(axis=0)
    lower, upper = fay_feuer(number, variance, w.max(axis=0, initial=0.0))
    divisor = np.where(seconds > 0, seconds, np.nan) * np.diff(edges)[taken]
    return Spectrum(
        axis="emission_energy",
        energy=((edges[1:] + edges[:-1]) / 2)[taken],
        intensity=number / divisor,
        intensity_errors=np.sqrt(variance) / divisor,
        intensity_lower=lower / divisor,
        intensity_upper=upper / divisor,
        counts=number,
        exposure=seconds,
        units="counts/(s eV)",
    )


def _scaled(spectrum: Spectrum, scale: str | tuple[float, float]) -> Spectrum:
    """The spectrum divided by its maximum, its area or its mean in a window; by NaN where that is not positive."""
    if scale == "none":
        return spectrum
    factor = _scale_factor(spectrum.energy, spectrum.intensity, scale)
    factor = factor if factor > 0 else np.nan
    names = ("intensity", "intensity_errors", "intensity_lower", "intensity_upper")
    divided = {name: getattr(spectrum, name) / factor for name in names}
    return replace(spectrum, **divided, scale_factor=factor, units="1/eV" if scale == "area" else "")


def _scale_factor(energy: Floats, intensity: Floats, scale: str | tuple[float, float]) -> float:
    """Maximum, area (trapezoids, in eV) or mean over `low <= E < high` of the finite intensities; 0 without any."""
    order = np.argsort(energy)
    order = order[np.isfinite(intensity[order])]
    x, y = energy[order], intensity[order]
    if scale == "max":
        return float(y.max(initial=0.0))
    if scale == "area":
        return float(np.trapezoid(y, x))
    window = y[(x >= float(scale[0])) & (x < float(scale[1]))]
    return float(window.mean()) if window.size else 0.0
