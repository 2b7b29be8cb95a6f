"""Spectra of regions: sums of counts over sums of exposure, with their errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.backgrounds import (
    BackgroundEstimate,
    estimate_background,
)
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows, find_edge_windows
from rixs_pipeline.core.spectra.normalisation import scale_values
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.region_sums import RegionSums, SpectrumAxis, sum_region
from rixs_pipeline.core.spectra.regions import Limits, Region, RegionKind, Scale
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.stats.intervals import Interval, count_interval, widen_interval
from rixs_pipeline.types import Edge, FloatArray

SHIFT_EV = 1.0  # of the emission scale, for derivatives: about the resolution
# least variance of counts less a background that follows them, over the independent one
LEAST_VARIANCE = 0.01
VARIANCE_TERM = 15 / 4  # of the inverse yield's variance, see `_inverse_intensity`


@dataclass(frozen=True)
class EnergyUncertainty:
    """Uncertainty of the emission scale, linear between known energies.

    `energy` and one standard deviation `deviation`, f8 (n,) each, eV.
    """

    energy: FloatArray
    deviation: FloatArray

    def at(self, energy: FloatArray | float) -> FloatArray:
        """Return the standard deviation at energies in eV."""
        return np.asarray(np.interp(energy, self.energy, self.deviation))


@dataclass(frozen=True)
class ExtractionInputs:
    """What a spectrum depends on besides its map and region.

    Attributes
    ----------
    edge : Edge or None
        Gives the default windows before and after the edge.
    blanks : mapping of str to MapData
        Maps of blank samples.
    energy_uncertainty : EnergyUncertainty or None
        Of the emission scale, reference lines apart.
    reference_uncertainty : EnergyUncertainty or None
        Of the reference lines.
    """

    edge: Edge | None = None
    blanks: Mapping[str, MapData] = field(default_factory=dict)
    energy_uncertainty: EnergyUncertainty | None = None
    reference_uncertainty: EnergyUncertainty | None = None

    def edge_windows(self, region: Region, incident: FloatArray) -> EdgeWindows | None:
        """Return the windows of a region for a scan.

        Parameters
        ----------
        region : Region
            Its windows replace the defaults of the edge.
        incident : f8 (point,)
            Energies of the scan, eV.

        Returns
        -------
        EdgeWindows or None
            None where a window is neither given nor known.
        """
        return find_edge_windows(
            None if self.edge is None else PRESETS[self.edge].edge,
            incident,
            pre_edge=region.pre_edge,
            post_edge=region.post_edge,
        )


def extract_spectrum(
    data: MapData, region: Region, inputs: ExtractionInputs | None = None
) -> Spectrum:
    """Return the spectrum of a region of a map.

    Parameters
    ----------
    data : MapData
        The map.
    region : Region
        The region.
    inputs : ExtractionInputs or None
        What else the spectrum depends on.

    Returns
    -------
    Spectrum
        At the points, or bins, that the region covers.

    Raises
    ------
    ValueError
        A background or scale that cannot be determined.

    Notes
    -----
    With N = sum w n over the region's weights w, V = sum w^2 n, B the background (0
    without) and its variance V_B, X the exposure, w_M the largest weight and r the
    relative error of X:

    - pfy, spfy, tfy, elastic, against incident energy, in counts/s: I = (N - B) / X,
      sigma^2 = (V + w_M^2 + V_B) / X^2 + (r I)^2. V + w_M^2 and not V: with sqrt(N)
      pulls are 14 % too wide at 10 counts, with sqrt(N + 1) 4 %.
    - ipfy, in s/counts: I = X / (N - B + 1), see `_inverse_intensity`.
    - xes, against emission energy or energy loss, in counts/(s eV):
      I = (sum w n - B) / sum w X / bin width, sums over incident points and over the
      bins of the map that are joined; the bin width is that of the map.

    Intervals: `intervals.count_interval` for counts and background; the others are
    added by `intervals.widen_interval`.
    """
    inputs = inputs or ExtractionInputs()
    sums = sum_region(data, region)
    spectrum = _unscaled_spectrum(data, region, sums, inputs)
    uncertainties = {
        "energy_errors": inputs.energy_uncertainty,
        "reference_errors": inputs.reference_uncertainty,
    }
    if any(uncertainties.values()) and sums.is_covered.any():
        change = _change_with_scale(data, region, sums, inputs, spectrum)
        errors: dict[str, Any] = {
            name: change.slope * uncertainty.at(change.emission)
            for name, uncertainty in uncertainties.items()
            if uncertainty is not None
        }
        spectrum = replace(spectrum, **errors)
    if not sums.is_covered.all():
        spectrum = spectrum.select(sums.is_covered)
    if region.scale is Scale.NONE:
        return spectrum
    windows = None
    if region.scale is Scale.EDGE:
        windows = inputs.edge_windows(region, data.incident)
        _check_windows(spectrum, windows)
    return _scale_spectrum(spectrum, region.scale, windows)


def _unscaled_spectrum(
    data: MapData, region: Region, sums: RegionSums, inputs: ExtractionInputs
) -> Spectrum:
    """Return the spectrum at all points or bins, before it is scaled."""
    background = None
    if region.background and sums.weights.any():
        windows = inputs.edge_windows(region, data.incident)
        pre_edge = windows.pre_edge if windows else None
        background = estimate_background(data, region, sums, inputs.blanks, pre_edge)
    count_ends = count_interval(sums.number, sums.variance, sums.largest_weight)
    net = _NetCounts(
        value=sums.number,
        # of one count more
        variance=sums.variance + sums.largest_weight**2,
        lower=count_ends.lower,
        upper=count_ends.upper,
        same_exposure=sums.number,
    )
    if background is not None:
        net = _subtract(net, background)
    if region.kind is RegionKind.IPFY:
        result = _inverse_intensity(sums, net)
    else:
        result = _intensity(sums, net)
    spectrum = Spectrum(
        axis=sums.axis,
        energy=sums.energy,
        intensity=result.value,
        intensity_errors=result.errors,
        intensity_lower=result.lower,
        intensity_upper=result.upper,
        counts=sums.counts,
        exposure=np.nan_to_num(sums.exposure),
        units=result.units,
        i0_errors=result.i0_errors if sums.relative_error.any() else None,
        bin_width=sums.bin_width,
    )
    if background is None:
        return spectrum
    return replace(
        spectrum,
        background=background.value / sums.divisor,
        background_errors=np.sqrt(background.variance) / sums.divisor,
        background_modes=_divide_rows(background.modes, sums.divisor),
        facts=background.facts,
    )


@dataclass(frozen=True)
class _NetCounts:
    """N - B with its variance and 95 % interval, f8 (n,) each.

    `same_exposure`: the part that the error of the exposure belongs to.
    """

    value: FloatArray
    variance: FloatArray
    lower: FloatArray
    upper: FloatArray
    same_exposure: FloatArray


def _subtract(counts: _NetCounts, background: BackgroundEstimate) -> _NetCounts:
    """Return the counts less the background, which may be estimated from them.

    The interval shrinks with the standard deviation.
    """
    net = counts.value - background.value
    independent = counts.variance + background.variance
    least = LEAST_VARIANCE * independent
    variance = np.maximum(independent - 2 * background.count_covariance, least)
    shrink = np.sqrt(variance / np.where(independent > 0, independent, 1.0))
    background_lower, background_upper = background.interval()
    lower_distance = counts.value - counts.lower
    upper_distance = counts.upper - counts.value
    below = np.hypot(lower_distance, background_upper - background.value)
    above = np.hypot(upper_distance, background.value - background_lower)
    return _NetCounts(
        value=net,
        variance=variance,
        lower=net - below * shrink,
        upper=net + above * shrink,
        same_exposure=counts.same_exposure - background.same_exposure,
    )


@dataclass(frozen=True)
class _Intensity:
    """An intensity, its errors and the ends of its 95 % interval, f8 (n,) each."""

    value: FloatArray
    errors: FloatArray
    lower: FloatArray
    upper: FloatArray
    i0_errors: FloatArray
    units: str


def _intensity(sums: RegionSums, net: _NetCounts) -> _Intensity:
    """Return a fluorescence yield or an emission spectrum, (N - B) / X."""
    divisor = sums.divisor
    value = net.value / divisor
    i0_errors = np.abs(net.same_exposure / divisor) * sums.relative_error
    interval = Interval(net.lower / divisor, net.upper / divisor)
    lower, upper = widen_interval(value, interval, i0_errors)
    errors = np.sqrt(net.variance / divisor**2 + i0_errors**2)
    is_yield = sums.axis is SpectrumAxis.INCIDENT
    return _Intensity(
        value=value,
        errors=errors,
        lower=lower,
        upper=upper,
        i0_errors=i0_errors,
        units="counts/s" if is_yield else "counts/(s eV)",
    )


def _inverse_intensity(sums: RegionSums, net: _NetCounts) -> _Intensity:
    """Return an inverse partial fluorescence yield, X / (N + 1), N less the background.

    1 / (N + 1) has the expectation (1 - exp(-mean)) / mean (A. J. Achkar et al., Phys.
    Rev. B 83, 081106 (2011) for the yield). Its variance is estimated without bias by
    1 / ((N + 1)^2 (N + 2)), but that falls where the estimate falls: pulls would be
    17 % too wide at 10 counts. To first order in 1 / mean their variance is
    1 + 15 / (4 mean), so sigma^2 = X^2 (1 + 15 / (4 (N + 1))) / ((N + 1)^2 (N + 2)).
    Without counts the interval has no upper end (inf).
    """
    divisor = sums.divisor
    number = np.maximum(net.value, 0.0)
    value = divisor / (number + 1)
    # variance of a background, or of heavy weights
    excess = np.maximum(net.variance - sums.largest_weight**2 - number, 0.0)
    counting = (1 + VARIANCE_TERM / (number + 1)) / (number + 2)
    relative_variance = counting + excess / (number + 1) ** 2
    same_exposure = np.abs(net.same_exposure)
    i0_errors = same_exposure / (number + 1) * sums.relative_error * value
    lower = divisor * _inverse(net.upper)
    upper = divisor * _inverse(net.lower)
    interval = Interval(np.minimum(lower, value), np.maximum(upper, value))
    lower, upper = widen_interval(value, interval, i0_errors)
    errors = value * np.sqrt(relative_variance + (i0_errors / value) ** 2)
    return _Intensity(
        value=value,
        errors=errors,
        lower=lower,
        upper=upper,
        i0_errors=i0_errors,
        units="s/counts",
    )


def _inverse(values: FloatArray) -> FloatArray:
    """Return 1 / values; inf where they are not positive."""
    infinite = np.full(len(values), np.inf)
    return np.asarray(np.divide(1.0, values, out=infinite, where=values > 0))


@dataclass(frozen=True)
class _ChangeWithScale:
    """How an intensity depends on the emission scale.

    `slope`: change per eV by which the scale moves up, f8 (n,); `emission`: where the
    uncertainty of the scale matters, eV, f8 (n,) or one energy.
    """

    slope: FloatArray
    emission: FloatArray | float


def _change_with_scale(
    data: MapData,
    region: Region,
    sums: RegionSums,
    inputs: ExtractionInputs,
    spectrum: Spectrum,
) -> _ChangeWithScale:
    """Return the change of the intensity if the emission scale moves up.

    Against incident energy the region is evaluated on scales shifted by `SHIFT_EV` both
    ways, with the uncertainty at its mean emission energy; emission spectra are shifted
    themselves.
    """
    if spectrum.axis is SpectrumAxis.INCIDENT:
        intensity = []
        for shift in (SHIFT_EV, -SHIFT_EV):
            shifted_data = data.shift_emission(shift)
            shifted_sums = sum_region(shifted_data, region)
            shifted = _unscaled_spectrum(shifted_data, region, shifted_sums, inputs)
            intensity.append(shifted.intensity)
        change = intensity[0] - intensity[1]
        moment = (sums.weights @ data.centres).sum()
        mean_emission = float(moment / sums.weights.sum())
        return _ChangeWithScale(change / (2 * SHIFT_EV), mean_emission)
    change = _shift(spectrum, SHIFT_EV) - _shift(spectrum, -SHIFT_EV)
    slope = change / (2 * SHIFT_EV)
    if spectrum.axis is SpectrumAxis.EMISSION:
        return _ChangeWithScale(slope, spectrum.energy)
    mean_incident = float(data.incident.mean())
    return _ChangeWithScale(-slope, mean_incident - spectrum.energy)


def _shift(spectrum: Spectrum, shift: float) -> FloatArray:
    """Return the intensity at the same energies of a spectrum shifted up by eV."""
    is_valid = np.isfinite(spectrum.intensity)
    if not is_valid.any():
        return spectrum.intensity
    shifted = spectrum.energy[is_valid] + shift
    return np.interp(spectrum.energy, shifted, spectrum.intensity[is_valid])


def _scale_spectrum(
    spectrum: Spectrum, scale: Scale | Limits, windows: EdgeWindows | None
) -> Spectrum:
    """Return a spectrum divided by what `scale` says; errors follow.

    The common I0 error of an emission spectrum is one factor, which scaling removes.
    """
    i0_errors, errors = spectrum.i0_errors, spectrum.intensity_errors
    if spectrum.axis is not SpectrumAxis.INCIDENT and i0_errors is not None:
        errors = np.sqrt(np.maximum(errors**2 - i0_errors**2, 0.0))
        i0_errors = np.zeros(len(i0_errors))
    scaled = scale_values(spectrum.energy, spectrum.intensity, errors, scale, windows)
    below = (spectrum.intensity - spectrum.intensity_lower) * scaled.stretch
    above = (spectrum.intensity_upper - spectrum.intensity) * scaled.stretch
    facts = spectrum.facts
    if windows is not None:
        scale_windows = {
            "pre_edge": windows.pre_edge,
            "post_edge": windows.post_edge,
            "position": windows.position,
        }
        facts = facts | {"scale_windows": scale_windows}
    energy_errors, reference_errors = (
        None if errors is None else scaled.propagate(errors)
        for errors in (spectrum.energy_errors, spectrum.reference_errors)
    )
    return replace(
        spectrum,
        intensity=scaled.intensity,
        intensity_errors=scaled.errors,
        intensity_lower=scaled.intensity - below,
        intensity_upper=scaled.intensity + above,
        scale_factor=scaled.factor,
        scale_factor_errors=scaled.factor_error,
        i0_errors=_divide(i0_errors, scaled.factor),
        energy_errors=energy_errors,
        reference_errors=reference_errors,
        background=_divide(spectrum.background, scaled.factor),
        background_errors=_divide(spectrum.background_errors, scaled.factor),
        background_modes=_divide(spectrum.background_modes, scaled.factor),
        units="1/eV" if scale is Scale.AREA else "",
        facts=facts,
    )


def _divide_rows(values: FloatArray | None, divisor: FloatArray) -> FloatArray | None:
    return None if values is None else values / divisor[:, None]


def _divide(values: FloatArray | None, factor: float) -> FloatArray | None:
    return None if values is None else values / factor


def _check_windows(spectrum: Spectrum, windows: EdgeWindows | None) -> None:
    """Raise ValueError where a line before or after the edge has too few points."""
    if windows is None:
        raise ValueError("scale edge: edge unknown; set `pre_edge` and `post_edge`")
    energy = spectrum.energy[np.isfinite(spectrum.intensity)]
    span = "none"
    if len(energy):
        span = f"{energy.min():.1f} to {energy.max():.1f} eV"
    for name in ("pre_edge", "post_edge"):
        window: Limits = getattr(windows, name)
        inside = energy[window.contains(energy)]
        if len(np.unique(inside)) < 2:
            raise ValueError(
                f"scale edge: fewer than 2 points in `{name}` {list(window)} eV; "
                f"points of the scan: {span}"
            )
