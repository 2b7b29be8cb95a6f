"""Regions of the config that the maps of the beamtime do not reach, or cut."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rixs_pipeline.config import Piece, Region, Sideband
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.sample.configured_regions import (
    ConfiguredRegions,
    resolve_regions,
    select_regions,
)
from rixs_pipeline.types import FloatArray

CUT_DISTANCE = 1.0  # eV; a point further away than that is not the one that was meant
Range = tuple[float, float]  # lowest and highest, eV


def find_unreached(
    configured: ConfiguredRegions, scans: Sequence[Run], emission: Range
) -> list[str]:
    """Return a line for each region that is outside all maps of its edge.

    Parameters
    ----------
    configured
        The config's regions.
    scans
        All scans of the beamtime.
    emission
        Emission energies of the maps, eV.

    Returns
    -------
    list of str
        With the range that there is. A region of an edge that was not scanned is not
        among them: configs of a site list many.
    """
    return [
        f"region '{name}' touches no data: {problem}"
        for name, problem in _unreached(configured, scans, emission)
    ]


def _unreached(
    configured: ConfiguredRegions, scans: Sequence[Run], emission: Range
) -> Iterator[tuple[str, str]]:
    """Yield the name of each region that is outside all maps of its edge, and why."""
    for name, region in resolve_regions(configured or {}).items():
        incident = [
            scan.points.incident_energy
            for scan in scans
            if scan.edge and region.edge in (None, scan.edge)
        ]
        problem = _find_problem(region, incident, emission) if incident else ""
        if problem:
            yield name, problem


def find_cut(
    configured: ConfiguredRegions, scans: Sequence[Run], emission: Range
) -> list[str]:
    """Return a line for each region whose emission reaches beyond the maps.

    Parameters
    ----------
    configured
        The config's regions; None: the presets of the edges.
    scans
        All scans of the beamtime.
    emission
        Emission energies of the maps, eV.

    Returns
    -------
    list of str
        With both ranges, also of sidebands; none for the regions of `find_unreached`.
    """
    edges = {scan.edge: None for scan in scans if scan.edge}
    regions = {
        name: region
        for edge in edges
        for name, region in select_regions(edge, configured).items()
    }
    lost = {name for name, _ in _unreached(configured, scans, emission)}
    low, high = emission
    lines = []
    for name, region in regions.items():
        limits = [] if name in lost else _all_emission_limits(region)
        beyond = [each for each in limits if each[0] < low or each[1] > high]
        if beyond:
            texts = [f"{lower:g} to {upper:g} eV" for lower, upper in beyond]
            lines.append(
                f"region '{name}': emission {', '.join(texts)} reaches beyond the maps "
                f"({low:g} to {high:g} eV) and is cut there; change its limits or "
                "`map.emission`"
            )
    return lines


def _all_emission_limits(region: Region) -> list[Range]:
    """Return the emission energies of the parts and sidebands of a region, eV."""
    limits = [_emission_limits(piece, region) for piece in region.pieces or (region,)]
    sidebands = [
        window
        for background in region.background or ()
        if isinstance(background, Sideband)
        for window in background.emission
    ]
    return [each for each in (*limits, *sidebands) if each is not None]


def _find_problem(
    region: Region, incident: Sequence[FloatArray], emission: Range
) -> str:
    """Return why a region is outside all maps; nothing where it touches one.

    Every part of the region must be outside; a part counts with the rectangle around
    it.
    """
    problems = []
    for piece in region.pieces or (region,):
        problem = _is_outside(_emission_limits(piece, region), [emission], "emission")
        if not problem:
            ranges = [(float(e.min()), float(e.max())) for e in incident]
            limits = _incident_limits(piece, region)
            problem = _is_outside(limits, ranges, "incident energies")
        problems.append(problem)
    return problems[0] if all(problems) else ""


def _is_outside(limits: Range | None, ranges: Iterable[Range], quantity: str) -> str:
    """Return a line where limits have nothing in common with any range."""
    if limits is None:
        return ""
    low, high = limits
    all_ranges = list(ranges)
    if any(low <= upper and high >= lower for lower, upper in all_ranges):
        return ""
    lowest = min(lower for lower, _ in all_ranges)
    highest = max(upper for _, upper in all_ranges)
    return (
        f"{quantity} {low:g} to {high:g} eV, but the maps have {lowest:.1f} to "
        f"{highest:.1f} eV; correct its limits"
    )


def _common(limits: Iterable[Range | None]) -> Range | None:
    """Return the common part of limits; None where there are none."""
    given = [single for single in limits if single is not None]
    if not given:
        return None
    return max(low for low, _ in given), min(high for _, high in given)


def _emission_limits(piece: Piece, region: Region) -> Range | None:
    """Return the emission energies of a part of a region, eV."""
    return _common(
        [piece.emission, region.emission, _corners(piece, 1), _corners(region, 1)]
    )


def _incident_limits(piece: Piece, region: Region) -> Range | None:
    """Return the incident energies of a part of a region, eV.

    A cut at one energy takes the nearest point.
    """
    cuts = [
        cut if isinstance(cut, tuple) else (cut - CUT_DISTANCE, cut + CUT_DISTANCE)
        for cut in region.cuts  # one at most
    ]
    limits = [piece.incident, region.incident, _corners(piece, 0), _corners(region, 0)]
    return _common([*limits, *cuts])


def _corners(piece: Piece, axis: int) -> Range | None:
    """Return the extent of a polygon along an axis: 0 incident, 1 emission, eV."""
    if piece.polygon is None:
        return None
    energy = np.array(piece.polygon)[:, axis]
    return float(energy.min()), float(energy.max())
