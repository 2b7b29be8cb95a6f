"""What a region includes unintentionally: the elastic line, another element's lines."""

from collections.abc import Mapping

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.regions import Limits, Region, RegionKind
from rixs_pipeline.types import Edge, FloatArray

ELASTIC_EV = 1.0  # half width of the elastic line itself, around emission = incident
PEAK_EV = 2.0  # half width in which the counts of a line are summed
COMPARED_EV = Limits(4.0, 7.0)  # distances whose counts they are compared with
PEAK_DEVIATIONS = 5.0  # standard deviations from which on a line is present
# of binders and salts, in no reference sample:
# W. T. Elam et al., Radiat. Phys. Chem. 63, 121 (2002), eV
ADDITIONAL_LINES = {"F_Ka": 676.8}
OVERLAP_EV = 25.0  # lines this near to one of the edge cannot be distinguished from it
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
    if not region.accepts_elastic:
        n_points = count_elastic_points(data, weights)
        if n_points:
            findings.append(
                f"includes the elastic line at {n_points} points; "
                "set `exclude_elastic`, or null to accept it"
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
