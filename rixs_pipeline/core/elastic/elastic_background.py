"""The elastic light in a region of a map, with its errors and their covariance."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.elastic.elastic_fit import fit_elastic
from rixs_pipeline.core.elastic.fitted_line import (
    ElasticFit,
    ElasticOptions,
    ResponsePrior,
)
from rixs_pipeline.core.elastic.fluorescence import MapBand
from rixs_pipeline.core.elastic.line_templates import LineResponse
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.types import FloatArray, IntArray

# Response where no reference run gives one: real arrays are between 1.2 and 4 eV wide,
# with tails of 0.12 to 0.20 and 10 to 30 eV. Errors are relative.
UNKNOWN_RESPONSE = LineResponse(fwhm=2.0, tail_fraction=0.16, tail_length=20.0)
UNKNOWN_ERRORS = (0.5, 0.3, 0.5)
LENGTH_ERROR = 0.3  # relative, of the decay length from reference runs
LEAST_WIDTH_ERROR = 0.1  # relative: scans are aligned less well than reference runs
MARGIN_BELOW_EV = 30.0  # of the fitted band around the incident energies
MARGIN_ABOVE_EV = 14.0
MODES = 1e-6  # variance of a mode of the covariance over the largest one's, to count
# What is stored with the product as the assumption.
ASSUMPTIONS = {
    AmplitudeKind.SMOOTH: "amplitude quadratic in incident energy; a step and "
    "a resonance that follow the yield have expectation 0 and a standard deviation of "
    "the whole amplitude",
    AmplitudeKind.FREE: "amplitude free at every point",
}


@dataclass(frozen=True)
class ElasticEstimate:
    """Elastic light along a spectrum, in units of the region's sum.

    Attributes
    ----------
    value, variance : f8 (n,)
        Counts of elastic light in the region and the variance of that estimate.
    count_covariance : f8 (n,)
        Covariance of the estimate with the region's sum at the same place.
    photon_weight : f8 (n,)
        Largest weight of one photon in it.
    modes : f8 (n, mode)
        The covariance of `value` from point to point is modes @ modes.T.
    facts : dict
        Plain values for the product.
    """

    value: FloatArray
    variance: FloatArray
    count_covariance: FloatArray
    photon_weight: FloatArray
    modes: FloatArray
    facts: dict[str, Any]


def response_prior(data: MapData, fwhm: float | None) -> ResponsePrior:
    """Return the response of the detector as the reference runs give it.

    Parameters
    ----------
    data : MapData
        The map.
    fwhm : float or None
        Resolution to use instead, eV.

    Returns
    -------
    ResponsePrior
    """
    response = UNKNOWN_RESPONSE
    width_error, fraction_error, length_error = UNKNOWN_ERRORS
    tail = data.tail
    if tail is not None and tail.fraction > 0 and tail.length > 0:
        response = replace(
            response, tail_fraction=tail.fraction, tail_length=tail.length
        )
        fraction_error = tail.fraction_error / tail.fraction
        length_error = LENGTH_ERROR
        if tail.length_error > 0:
            length_error = tail.length_error / tail.length
    resolution = data.resolution
    if fwhm is not None:
        response = replace(response, fwhm=fwhm)
        width_error = LEAST_WIDTH_ERROR
    elif resolution is not None and resolution.fwhm > 0:
        response = replace(response, fwhm=resolution.fwhm)
        width_error = max(resolution.error / resolution.fwhm, LEAST_WIDTH_ERROR)
    return ResponsePrior(response, (width_error, fraction_error, length_error))


def estimate_elastic(
    data: MapData,
    weights: FloatArray,
    options: ElasticOptions,
    fwhm: float | None = None,
    *,
    places: IntArray | None,
) -> ElasticEstimate:
    """Estimate the elastic light in a region.

    Parameters
    ----------
    data : MapData
        The map. The fit of one map is made once.
    weights : f8 (point, bin)
        Of the region.
    options : ElasticOptions
        Assumptions.
    fwhm : float or None
        Resolution, eV; None: as in the reference runs.
    places : i8 (bin,) or None
        Along emission energy: to which bin of the spectrum each bin of the map
        belongs, from 0 on. None: the spectrum runs along incident energy.

    Returns
    -------
    ElasticEstimate

    Raises
    ------
    ValueError
        The map does not contain the elastic line.
    """
    order = np.argsort(data.incident, kind="stable")
    fit = _fit(data, order, options, fwhm)
    is_exposed = fit.band.exposure > 0
    count_weights = (weights / data.efficiency)[order] * is_exposed[:, None]
    edges = data.emission_edges
    content = fit.content(edges)
    derivatives = fit.derivatives(edges)
    solution = fit.solution
    first = int(np.searchsorted(edges, fit.band.edges[0] - 1e-6))
    bins = first + solution.columns
    in_windows = np.take_along_axis(count_weights, bins, axis=1)
    noise = (in_windows * solution.variance)[..., None] * solution.sensitivity
    weighted_content = count_weights * content
    weighted_derivatives = count_weights[..., None] * derivatives
    axis = 1 if places is None else 0
    value = weighted_content.sum(axis=axis)
    change = weighted_derivatives.sum(axis=axis)
    largest = count_weights.max(axis=axis, initial=0.0)
    if places is not None:
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        value = np.add.reduceat(value, starts)
        change = np.add.reduceat(change, starts)
        largest = np.maximum.reduceat(largest, starts)
        shared_noise = np.zeros_like(change)
        np.add.at(shared_noise, places[bins], noise)
    else:
        back = np.argsort(order)
        value, change, largest = value[back], change[back], largest[back]
        shared_noise = noise.sum(axis=1)[back]
    propagated = change @ solution.covariance
    variance = (propagated * change).sum(axis=1)
    count_covariance = (propagated * shared_noise).sum(axis=1)
    return ElasticEstimate(
        value=value,
        variance=np.maximum(variance, 0.0),
        count_covariance=count_covariance,
        photon_weight=largest,
        modes=_modes(change, solution.covariance),
        facts={"elastic_line": _facts(fit, options)},
    )


def _fit(
    data: MapData, order: IntArray, options: ElasticOptions, fwhm: float | None
) -> ElasticFit:
    """Return the fit of a map, or the one made before on a shifted emission scale."""
    edges = data.emission_edges
    key = (options, fwhm)
    if key in data.fits:
        first_edge, fit = data.fits[key]
        shift = float(edges[0]) - first_edge
        if options.offset is None or shift == 0:
            shifted: ElasticFit = fit.shift(shift)
            return shifted
    incident = data.incident[order]
    low = np.searchsorted(edges, incident.min() - MARGIN_BELOW_EV)
    high = np.searchsorted(edges, incident.max() + MARGIN_ABOVE_EV)
    exposure = np.nan_to_num(data.exposure[order])
    band = MapBand(
        counts=data.counts[order, low : max(high - 1, low)].astype(float),
        exposure=np.maximum(exposure, 0.0),
        edges=edges[low : max(high, low + 1)],
        incident=incident,
    )
    fit = fit_elastic(band, response_prior(data, fwhm), options)
    data.fits.setdefault(key, (float(edges[0]), fit))
    return fit


def _modes(change: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return a square root (n, mode) of the covariance between points."""
    variances, directions = np.linalg.eigh(covariance)
    root = directions * np.sqrt(np.maximum(variances, 0.0))
    vectors, sizes, _ = np.linalg.svd(change @ root, full_matrices=False)
    is_large = sizes**2 > MODES * sizes.max(initial=0.0) ** 2
    return np.asarray(vectors[:, is_large] * sizes[is_large])


def _facts(fit: ElasticFit, options: ElasticOptions) -> dict[str, Any]:
    """Return what the product says of the fitted elastic line."""
    return {
        "amplitude": options.amplitude.value,
        "assumption": ASSUMPTIONS[options.amplitude],
        "significance": round(fit.significance, 2),
        "offset": round(fit.offset, 4),
        "offset_errors": round(fit.offset_error, 4),
        "fwhm": round(float(fit.response.fwhm), 4),
        "tail_fraction": round(float(fit.response.tail_fraction), 4),
        "tail_length": round(float(fit.response.tail_length), 3),
        "counts": round(float(fit.band.exposure @ fit.amplitude), 2),
    }
