"""What a region includes unintentionally: the elastic line, another element's lines."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import (
    ElasticBackground,
    Limits,
    Region,
    RegionKind,
)
from rixs_pipeline.types import Edge, FloatArray

ELASTIC_EV = 1.0  # half width of the elastic line itself, around emission = incident
PEAK_EV = 2.0  # half width in which the counts of a line are summed
COMPARED_EV = Limits(4.0, 7.0)  # distances whose counts they are compared with
PEAK_DEVIATIONS = 5.0  # standard deviations from which on a line is present
# of binders and salts, in no reference sample:
# W. T. Elam et al., Radiat. Phys. Chem. 63, 121 (2002), eV
ADDITIONAL_LINES = {"F_Ka": 676.8}
OVERLAP_EV = 25.0  # lines this near to one of the edge cannot be distinguished from it
EXCLUDED_SHARE = 0.03  # of the emission, from which on its exclusion is reported
ELASTIC_PERCENTILE = 10  # of the rates in the excluded band: the elastic line alone
YIELDS = (RegionKind.PFY, RegionKind.SPFY, RegionKind.IPFY)


def find_unintended(
    region: Region,
    data: MapData,
    weights: FloatArray,
    edge: Edge,
    lines: Mapping[str, float],
) -> list[str]:
    """Return what a region includes that its user may not want, one line each.

    Parameters
    ----------
    region : Region
        Only yields over a window are checked: TFY, emission spectra and the elastic
        region include everything by intention.
    data : MapData
        The map.
    weights : f8 (point, bin)
        Of the region.
    edge : Edge
        Of the map.
    lines : mapping of str to float
        Emission lines, eV, besides `ADDITIONAL_LINES`; e.g. Fe_La.

    Returns
    -------
    list of str
        The elastic line is intended where the region has `loss` or sets
        `exclude_elastic`, be it to null. An inverse yield may hold one line that is not
        the scanned element's.
    """
    if region.kind not in YIELDS:
        return []
    findings = []
    if region.exclude_elastic is not None:
        share = excluded_share(region, data, weights)
        if share > EXCLUDED_SHARE:
            findings.append(
                f"excludes {100 * share:.0f} % of its emission with the elastic line; "
                "integrate it (`exclude_elastic: null`) or subtract it "
                "(`background: {kind: elastic}`)"
            )
    is_subtracted = any(
        isinstance(background, ElasticBackground) for background in region.background
    )
    if not (region.accepts_elastic or is_subtracted):
        n_points = count_elastic_points(data, weights)
        if n_points:
            findings.append(
                f"includes the elastic line at {n_points} points; "
                "subtract it (`background: {kind: elastic}`), or accept it "
                "(`exclude_elastic: null`)"
            )
    all_lines = ADDITIONAL_LINES | dict(lines)
    inside = select_lines_inside(data, weights, all_lines)
    present = {
        name: energy
        for name, energy in inside.items()
        if _is_peak(data, weights, energy)
    }
    if present:
        unwanted = _select_unwanted(region, edge, present, all_lines)
        names = [
            f"{name} ({energy:.1f} eV)" for name, energy in sorted(unwanted.items())
        ]
        if names:
            findings.append(f"includes emission of {', '.join(names)}")
    return findings


def _select_unwanted(
    region: Region, edge: Edge, present: Mapping[str, float], lines: Mapping[str, float]
) -> dict[str, float]:
    """Return the lines present in a region that spoil its yield, eV."""
    edge_lines = {
        name: energy
        for name, energy in lines.items()
        if name.partition("_")[0] == edge.element
    }
    resonant, foreign, distinct = {}, {}, {}
    edge_energies = np.array(list(edge_lines.values()))
    for name, energy in present.items():
        if name in edge_lines:
            resonant[name] = energy
            continue
        foreign[name] = energy
        distances = np.abs(energy - edge_energies)
        if np.all(distances > OVERLAP_EV):
            distinct[name] = energy
    if region.kind is not RegionKind.IPFY:
        return distinct
    if resonant:
        return resonant
    return foreign if len(foreign) > 1 else {}


def excluded_share(region: Region, data: MapData, weights: FloatArray) -> float:
    """Return the share of a region's emission that its `exclude_elastic` cuts out.

    Parameters
    ----------
    region : Region
        The region, with `exclude_elastic`.
    data : MapData
        The map.
    weights : f8 (point, bin)
        Of the region.

    Returns
    -------
    float
        Of the emission at the bright points (more than half of the highest rate),
        elastic light apart.

    Notes
    -----
    Elastic light is in the excluded band at every point. Where the band does not cross
    the fluorescence, it holds nothing else; so the rate there, the least of all
    points, is what the elastic line accounts for.
    """
    uncut_weights = region_weights(
        replace(region, exclude_elastic=None), data.incident, data.emission_edges
    )
    cut = ((uncut_weights - weights) * data.counts).sum(axis=1)
    total = (uncut_weights * data.counts).sum(axis=1)
    is_usable = (data.exposure > 0) & (uncut_weights > weights).any(axis=1)
    if not total[is_usable].any():
        return 0.0
    exposure = data.exposure[is_usable]
    cut_rate = cut[is_usable] / exposure
    total_rate = total[is_usable] / exposure
    elastic_rate = float(np.percentile(cut_rate, ELASTIC_PERCENTILE))
    is_bright = total_rate > total_rate.max() / 2
    cut_counts = np.maximum(cut_rate - elastic_rate, 0.0) * exposure
    total_counts = total_rate * exposure - elastic_rate * exposure
    bright_total = float(total_counts[is_bright].sum())
    if not bright_total > 0:
        return 0.0
    return float(cut_counts[is_bright].sum()) / bright_total


def count_elastic_points(data: MapData, weights: FloatArray) -> int:
    """Count the points where more than half of the elastic line is in a region.

    Parameters
    ----------
    data : MapData
        The map.
    weights : f8 (point, bin)
        Of the region.

    Returns
    -------
    int
        Number of points.
    """
    incident = data.incident[:, None]
    distance = np.abs(data.centres - incident)
    is_elastic = distance < ELASTIC_EV
    n_bins = np.maximum(is_elastic.sum(axis=1), 1)
    weight_inside = (is_elastic * weights).sum(axis=1)
    return int(np.sum(weight_inside > 0.5 * n_bins))


def select_lines_inside(
    data: MapData, weights: FloatArray, lines: Mapping[str, float]
) -> dict[str, float]:
    """Return the lines in a region, at points with enough energy to excite them.

    Parameters
    ----------
    data : MapData
        The map.
    weights : f8 (point, bin)
        Of the region.
    lines : mapping of str to float
        Emission lines, eV.

    Returns
    -------
    dict of str to float
        Those whose bin has a weight there.
    """
    inside = {}
    for name, energy in lines.items():
        next_edge = np.searchsorted(data.emission_edges, energy, side="right")
        bin_index = int(next_edge) - 1
        if not 0 <= bin_index < weights.shape[1]:
            continue
        is_excited = data.incident > energy + ELASTIC_EV
        if weights[is_excited, bin_index].any():
            inside[name] = energy
    return inside


def _is_peak(data: MapData, weights: FloatArray, energy: float) -> bool:
    """Return whether the map has a peak at a line.

    Counts within 2 eV exceed those 4 to 7 eV away by five standard deviations, over the
    points where the region has a weight and the line is excited.
    """
    is_excited = data.incident > energy + 2 * COMPARED_EV.high
    points = is_excited & weights.any(axis=1)
    counts = data.counts[points].sum(axis=0)
    distance = np.abs(data.centres - energy)
    peak = distance < PEAK_EV
    sides = COMPARED_EV.contains(distance)
    if not (peak.any() and sides.any()):
        return False
    ratio = peak.sum() / sides.sum()
    peak_counts = counts[peak].sum()
    side_counts = counts[sides].sum()
    excess = peak_counts - ratio * side_counts
    variance = peak_counts + ratio**2 * side_counts + 1
    return bool(excess > PEAK_DEVIATIONS * np.sqrt(variance))
