"""Spectra of regions: counts and exposure stay sums until the one division, with errors and 95 % intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.backgrounds import Under, under
from rixs_pipeline.core.spectra.normalisation import EdgeWindows, Limits, scale, within
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import (
    Axis,
    MapData,
    Sums,
    along_emission,
    along_incident,
    along_loss,
)
from rixs_pipeline.core.spectra.regions import Region
from rixs_pipeline.core.stats.intervals import count_interval, mover

Floats = NDArray[np.float64]

__all__ = ["MapData", "Setting", "Spectrum", "extract"]

SHIFT_EV = 1.0  # of the emission scale, to see how much a spectrum depends on it: about the detector's resolution
STUDENT = 15 / 4  # see `_inverse_yield`


@dataclass(frozen=True)
class Setting:
    """What a spectrum needs beside its map: `edge` for the default windows, other samples' maps, and the uncertainty
    of the emission scale: pairs of energies and standard deviations, both (n,) eV, straight lines between."""

    edge: str | None = None
    blanks: Mapping[str, MapData] = field(default_factory=dict)
    energy_uncertainty: tuple[Floats, Floats] | None = None

    def windows(self, region: Region, incident: Floats) -> EdgeWindows | None:
        """Where the lines of `scale: edge` are fitted: the region's word, else the edge's preset as far as the scan
        (point,) eV goes."""
        preset = next(
            (p.edge for name, p in PRESETS.items() if name == self.edge), None
        )
        reached = preset and within(preset, incident)
        pre, post = (
            region.pre_edge or (reached and reached.pre),
            region.post_edge or (reached and reached.post),
        )
        if not (pre and post):
            return None
        inside = preset is not None and pre[1] <= preset.position <= post[0]
        return EdgeWindows(
            pre, post, preset.position if preset and inside else (pre[1] + post[0]) / 2
        )


@dataclass(frozen=True)
class Spectrum:
    """One spectrum along `axis`; all arrays f8 (energy,).

    `intensity`, its one standard deviation `intensity_errors` (counts, background, I0 and scale factor) and its 95 %
    interval from `intensity_lower` to `intensity_upper` are in `units`, after the division by `scale_factor` (1 for
    `scale: none`). Where there is no exposure they are NaN. `i0_errors` is the part that comes from I0: independent
    from point to point along the incident energy, common to all points along the emission energy.
    `energy_errors`, not part of `intensity_errors`: the change, with its sign, if the emission scale moves up by its
    standard deviation, common to all points. `background` and its standard deviation are what was subtracted, in the
    intensity's unit (of iPFY: in counts/s). `counts` (cut bins by their share) and `exposure` in s are never scaled.
    `told`: further facts for the product, plain values.
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
    scale_factor_errors: float = 0.0
    i0_errors: Floats | None = None
    energy_errors: Floats | None = None
    background: Floats | None = None
    background_errors: Floats | None = None
    told: dict[str, Any] = field(default_factory=dict)

    def at(self, taken: NDArray[np.bool_]) -> "Spectrum":
        """Some of its points."""
        arrays: dict[str, Any] = {
            n: v[taken] for n, v in vars(self).items() if isinstance(v, np.ndarray)
        }
        return replace(self, **arrays)


def extract(data: MapData, region: Region, setting: Setting | None = None) -> Spectrum:
    """The spectrum of a region of a map; with N = sum w n over the region's weights w, B the background (0 unless
    asked for) with variance V_B, X the exposure, V = sum w^2 n, w_M the largest weight and r the relative error of X:

    - pfy, spfy, tfy, elastic, against incident energy: I = (N - B) / X, sigma^2 = (V + w_M^2 + V_B) / X^2 + (r I)^2,
      in counts/s. V + w_M^2 and not V: with sqrt(N) pulls are 14 % too wide at 10 counts, with sqrt(N + 1) 4 %.
    - ipfy: I = X / (N - B + 1), see `_inverse_yield`, in s/counts
    - xes, against emission energy or energy loss: I = (sum w n - B) / sum w X / bin width, sums over incident points,
      in counts/(s eV)

    Points, or bins, of which the region takes nothing are not part of the spectrum. Intervals:
    `statistics.count_interval` for counts and background, the others added by `statistics.mover`.

    Raises:
        ValueError: a background that cannot be had; one line.
    """
    setting = setting or Setting()
    spectrum, taken = _unscaled(data, region, setting)
    spectrum = replace(
        spectrum, energy_errors=_energy_errors(spectrum, taken, data, region, setting)
    )
    return _scaled(
        spectrum.at(taken), region.scale, setting.windows(region, data.incident)
    )


def _unscaled(
    data: MapData, region: Region, setting: Setting
) -> tuple[Spectrum, NDArray[np.bool_]]:
    """The spectrum on the whole axis, and which points belong to it."""
    share = region_weights(region, data.incident, data.emission_edges)
    emission = along_loss if region.axis == "loss" else along_emission
    sums = (emission if region.kind == "xes" else along_incident)(data, share)
    windows = setting.windows(region, data.incident)
    below = (
        under(
            data, region, share, sums, setting.blanks, windows.pre if windows else None
        )
        if share.any()
        else None
    )
    make = _inverse_yield if region.kind == "ipfy" else _yield
    return make(sums, below), sums.taken


def _net(
    sums: Sums, below: Under | None
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """N - B, its variance with that of one count, its 95 % interval, and the part that the error of X belongs to."""
    interval = count_interval(sums.number, sums.variance, sums.largest)
    variance = sums.variance + sums.largest**2
    if below is None:
        return sums.number, variance, *interval, sums.number
    net, (low, high) = sums.number - below.value, below.interval()
    lower = net - np.hypot(sums.number - interval[0], high - below.value)
    upper = net + np.hypot(interval[1] - sums.number, below.value - low)
    return net, variance + below.variance, lower, upper, sums.number - below.in_column


def _yield(sums: Sums, below: Under | None) -> Spectrum:
    """Fluorescence yield or emission spectrum, (N - B) / X."""
    net, variance, lower, upper, column = _net(sums, below)
    x = sums.divisor
    i0 = np.abs(column / x) * sums.relative
    lower, upper = mover(net / x, (lower / x, upper / x), i0)
    units = "counts/s" if sums.axis == "incident_energy" else "counts/(s eV)"
    return _spectrum(
        sums,
        below,
        net / x,
        np.sqrt(variance / x**2 + i0**2),
        (lower, upper),
        i0,
        units,
    )


def _inverse_yield(sums: Sums, below: Under | None) -> Spectrum:
    """Inverse partial fluorescence yield, X / (N + 1), with N less the background; without counts the interval has
    no upper end (inf).

    1 / (N + 1) has the expectation (1 - exp(-mean)) / mean (A. J. Achkar et al., Phys. Rev. B 83, 081106 (2011) for
    the yield). Its variance is estimated without bias by 1 / ((N + 1)^2 (N + 2)), but that falls where the estimate
    falls: pulls would be 17 % too wide at 10 counts. To first order in 1 / mean their variance is 1 + 15 / (4 mean),
    so sigma^2 = X^2 (1 + 15 / (4 (N + 1))) / ((N + 1)^2 (N + 2)).
    """
    net, variance, lower, upper, column = _net(sums, below)
    x, number = sums.divisor, np.maximum(net, 0.0)
    beyond = np.maximum(
        variance - sums.largest**2 - number, 0.0
    )  # of a background, or of heavy weights
    value = x / (number + 1)
    relative = (1 + STUDENT / (number + 1)) / (number + 2) + beyond / (number + 1) ** 2
    i0 = np.abs(column) / (number + 1) * sums.relative * value
    least, most = (
        x * np.divide(1.0, end, out=np.full(len(x), np.inf), where=end > 0)
        for end in (upper, lower)
    )
    ends = mover(value, (np.minimum(least, value), np.maximum(most, value)), i0)
    return _spectrum(
        sums,
        below,
        value,
        value * np.sqrt(relative + (i0 / value) ** 2),
        ends,
        i0,
        "s/counts",
    )


def _spectrum(
    sums: Sums,
    below: Under | None,
    intensity: Floats,
    errors: Floats,
    interval: tuple[Floats, Floats],
    i0: Floats,
    units: str,
) -> Spectrum:
    return Spectrum(
        axis=sums.axis,
        energy=sums.energy,
        intensity=intensity,
        intensity_errors=errors,
        intensity_lower=interval[0],
        intensity_upper=interval[1],
        counts=sums.counts,
        exposure=np.nan_to_num(sums.exposure),
        units=units,
        i0_errors=i0 if sums.relative.any() else None,
        background=None if below is None else below.value / sums.divisor,
        background_errors=None
        if below is None
        else np.sqrt(below.variance) / sums.divisor,
        told={} if below is None else below.told,
    )


def _energy_errors(
    spectrum: Spectrum,
    taken: NDArray[np.bool_],
    data: MapData,
    region: Region,
    setting: Setting,
) -> Floats | None:
    """Change of the intensity (energy,) if the emission scale moves up by its standard deviation; None if unknown.

    Against incident energy the region is evaluated on scales moved by `SHIFT_EV` both ways; the uncertainty is that
    at the mean emission energy of the region. Against emission energy the spectrum itself is moved.
    """
    if setting.energy_uncertainty is None or not taken.any():
        return None
    at, deviation = setting.energy_uncertainty
    if spectrum.axis != "incident_energy":
        moved = _moved(spectrum, SHIFT_EV) - _moved(spectrum, -SHIFT_EV)
        emission = spectrum.energy
        if spectrum.axis == "energy_loss":
            moved, emission = -moved, float(data.incident.mean()) - spectrum.energy
        return np.asarray(moved / (2 * SHIFT_EV) * np.interp(emission, at, deviation))
    share = region_weights(region, data.incident, data.emission_edges)
    up, down = (
        _unscaled(data.shifted(s), region, setting)[0].intensity
        for s in (SHIFT_EV, -SHIFT_EV)
    )
    middle = float((share @ data.centres).sum() / share.sum())
    return np.asarray((up - down) / (2 * SHIFT_EV) * np.interp(middle, at, deviation))


def _moved(spectrum: Spectrum, shift: float) -> Floats:
    """The intensity on the same energies if the spectrum stood higher by `shift` eV."""
    good = np.isfinite(spectrum.intensity)
    if not good.any():
        return spectrum.intensity
    return np.interp(
        spectrum.energy, spectrum.energy[good] + shift, spectrum.intensity[good]
    )


def _scaled(
    spectrum: Spectrum, how: str | Limits, windows: EdgeWindows | None
) -> Spectrum:
    """The spectrum divided by its maximum, its area, its mean in a window or its edge jump; errors follow.

    The common I0 error of an emission spectrum is one factor, which scaling takes out.
    """
    if how == "none":
        return spectrum
    i0 = spectrum.i0_errors
    errors = spectrum.intensity_errors
    if spectrum.axis != "incident_energy" and i0 is not None:
        errors, i0 = np.sqrt(np.maximum(errors**2 - i0**2, 0.0)), np.zeros(len(i0))
    if how == "edge":
        _needs_windows(spectrum, windows)
    found = scale(spectrum.energy, spectrum.intensity, errors, how, windows)
    below = (
        spectrum.intensity - spectrum.intensity_lower,
        spectrum.intensity_upper - spectrum.intensity,
    )
    told: dict[str, Any] = {}
    if how == "edge" and windows:
        told = {
            "scale_windows": {
                "pre_edge": windows.pre,
                "post_edge": windows.post,
                "position": windows.position,
            }
        }
    return replace(
        spectrum,
        intensity=found.intensity,
        intensity_errors=found.errors,
        intensity_lower=found.intensity - below[0] * found.stretch,
        intensity_upper=found.intensity + below[1] * found.stretch,
        scale_factor=found.factor,
        scale_factor_errors=found.factor_error,
        i0_errors=None if i0 is None else i0 / found.factor,
        energy_errors=None
        if spectrum.energy_errors is None
        else found.moved(spectrum.energy_errors),
        background=None
        if spectrum.background is None
        else spectrum.background / found.factor,
        background_errors=None
        if spectrum.background_errors is None
        else spectrum.background_errors / found.factor,
        units="1/eV" if how == "area" else "",
        told=spectrum.told | told,
    )


def _needs_windows(spectrum: Spectrum, windows: EdgeWindows | None) -> None:
    """Raises ValueError where a line before or after the edge has too few points."""
    if windows is None:
        raise ValueError(
            "scale edge: needs pre_edge and post_edge, the edge is not known"
        )
    energy = spectrum.energy[np.isfinite(spectrum.intensity)]
    for name, window in (("pre_edge", windows.pre), ("post_edge", windows.post)):
        if len(np.unique(energy[(energy >= window[0]) & (energy < window[1])])) < 2:
            ends = (
                f"{energy.min():.1f} to {energy.max():.1f} eV"
                if len(energy)
                else "no points"
            )
            raise ValueError(
                f"scale edge: fewer than 2 points in {name} {list(window)}; the scan has {ends}"
            )
