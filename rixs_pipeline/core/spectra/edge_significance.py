"""Whether a spectrum shows an absorption edge at all, judged by its own errors.

A sample without an element has no edge, and normalising its spectrum would enlarge
noise. Emission of the element rises at the edge; readings such as TEY have a background
that a smooth curve describes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.response.leak import estimate_leak
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.region_sums import sum_region
from rixs_pipeline.core.spectra.regions import ELASTIC_LOSS, Region, RegionKind
from rixs_pipeline.types import Edge, FloatArray

# standard errors from which on a rise, or a divisor, is significant
SIGNIFICANT = 3.0
# probability of a smooth curve below which readings show an edge
SMOOTH_P = 1e-3
SMOOTH_DEGREE = 2  # of the polynomial in incident energy
LEAST_FREEDOM = 5  # degrees of freedom, for a test of the curve


@dataclass(frozen=True)
class EdgeRise:
    """Rise of an intensity over an edge and its standard error, counts/s."""

    value: float
    error: float

    @property
    def is_significant(self) -> bool:
        """Whether it is positive beyond its error."""
        return self.value > SIGNIFICANT * self.error


def shows_edge_emission(region: Region, edge: Edge) -> bool:
    """Return whether a region is a yield of the emission of the edge itself.

    Parameters
    ----------
    region : Region
        The middle of its emission limits counts.
    edge : Edge
        Of the map.

    Returns
    -------
    bool
        Always no without emission limits, and with a blank subtracted.
    """
    is_partial = region.kind in (RegionKind.PFY, RegionKind.SPFY)
    has_blank = any(background.kind == "blank" for background in region.background)
    if not is_partial or has_blank or region.emission is None:
        return False
    low, high = PRESETS[edge].emission
    middle = (region.emission.low + region.emission.high) / 2
    is_narrow = region.emission.high - region.emission.low < 2 * (high - low)
    return bool(low <= middle < high) and is_narrow


def measure_rise(data: MapData, region: Region, edge: Edge) -> EdgeRise | None:
    """Return by how much the emission of an element rises over its edge.

    Parameters
    ----------
    data : MapData
        The map.
    region : Region
        A yield of the element; its background and scale do not matter.
    edge : Edge
        Gives the pre-edge window unless the region has one.

    Returns
    -------
    EdgeRise or None
        None without exposed points in the pre-edge window, or above the edge: a scan
        may have been aborted.

    Notes
    -----
    Counts over exposure of all points above the pre-edge window, less those of the
    points in it. Elastic light would fall at an edge where it leaves the region; the
    band around it is left out, and so are the photons that its low-energy tail leaks
    into the rest, if the tail is known. The variance of n counts is n + 1.
    """
    plain = replace(region, background=(), exclude_elastic=ELASTIC_LOSS.high)
    sums = sum_region(data, plain)
    window = region.pre_edge or PRESETS[edge].edge.pre_edge
    is_measured = np.isfinite(sums.exposure) & sums.is_covered
    before = is_measured & window.contains(data.incident)
    after = is_measured & (data.incident >= window.high)
    is_reached = (is_measured & (data.incident >= PRESETS[edge].edge.position)).any()
    if not before.any() or not is_reached:
        return None
    number, variance = sums.number, sums.variance
    if data.tail is not None:
        leak = estimate_leak(data, data.tail, sums.weights)
        number = number - leak.value
        variance = variance + leak.variance
    means, variances = [], []
    for points in (before, after):
        exposure = sums.exposure[points].sum()
        counted = variance[points].sum() + sums.largest_weight[points].max() ** 2
        means.append(number[points].sum() / exposure)
        variances.append(counted / exposure**2)
    return EdgeRise(float(means[1] - means[0]), float(np.sqrt(sum(variances))))


def smooth_probability(
    energy: FloatArray,
    passes: Sequence[FloatArray],
    errors: Sequence[FloatArray],
    windows: EdgeWindows,
) -> float:
    """Return the probability that readings follow smooth curves, without an edge.

    Parameters
    ----------
    energy : f8 (point,)
        Incident energies, eV.
    passes : sequence of f8 (point,)
        Readings; NaN where a pass has none.
    errors : sequence of f8 (point,)
        Their standard deviations.
    windows : EdgeWindows
        Before the edge, and its position.

    Returns
    -------
    float
        By chi-squared of a parabola for each pass; NaN where the errors are unknown, or
        where there are no readings before or after the edge.
    """
    from scipy.special import chdtrc  # scipy.stats takes a second to load

    chi_square = 0.0
    freedom = 0
    for values, deviations in zip(passes, errors, strict=True):
        used = np.isfinite(values) & np.isfinite(deviations) & (deviations > 0)
        has_both = windows.pre_edge.contains(energy[used]).any()
        has_both &= (energy[used] >= windows.position).any()
        if not has_both or len(np.unique(energy[used])) <= SMOOTH_DEGREE + 1:
            continue
        x = (energy[used] - energy[used].mean()) / np.ptp(energy[used])
        columns = np.vander(x, SMOOTH_DEGREE + 1) / deviations[used, None]
        readings = values[used] / deviations[used]
        fitted = columns @ np.linalg.lstsq(columns, readings, rcond=None)[0]
        chi_square += float(((readings - fitted) ** 2).sum())
        freedom += int(used.sum()) - SMOOTH_DEGREE - 1
    if freedom < LEAST_FREEDOM:
        return float("nan")
    return float(chdtrc(freedom, chi_square))


def is_significant(value: float, error: float) -> bool:
    """Return whether a divisor is positive beyond its error."""
    return bool(value > SIGNIFICANT * error)
