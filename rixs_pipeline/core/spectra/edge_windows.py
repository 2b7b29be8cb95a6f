"""Windows before and after an absorption edge: the config's, or the edge's defaults."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.types import FloatArray

LEAST_ENERGIES = 3  # of a scan in a default window, for the line through it
OUTERMOST = 0.1  # of a scan's span: the window where the scan misses the default


@dataclass(frozen=True)
class EdgeWindows:
    """Where lines before and after an edge are fitted, and where their distance counts.

    Attributes
    ----------
    pre_edge, post_edge : Limits
        Windows of incident energy, eV.
    position : float
        The edge jump is taken here, eV.
    unreached : tuple of str
        Names of the windows whose default a scan does not reach.
    """

    pre_edge: Limits
    post_edge: Limits
    position: float
    unreached: tuple[str, ...] = ()


def find_edge_windows(
    default: EdgeWindows | None,
    incident: FloatArray | None = None,
    *,
    pre_edge: Limits | None = None,
    post_edge: Limits | None = None,
) -> EdgeWindows | None:
    """Return the windows before and after an edge: those given, or the defaults.

    Parameters
    ----------
    default : EdgeWindows or None
        Those of the edge; None: the edge is unknown.
    incident : f8 (point,) or None
        Energies of a scan, eV: a default window that holds fewer than
        `LEAST_ENERGIES` of them is replaced by the outermost `OUTERMOST` of the scan on
        its side of the edge. None: take the defaults as they are.
    pre_edge, post_edge : Limits or None
        Windows of the config, eV; None: the default.

    Returns
    -------
    EdgeWindows or None
        The position is the default one, or the middle between the windows where they do
        not enclose it. None if a window is neither given nor known.
    """
    if default is None:
        if pre_edge is None or post_edge is None:
            return None
        return EdgeWindows(pre_edge, post_edge, _middle(pre_edge, post_edge))
    reached = default if incident is None else _fit_to_scan(default, incident)
    unreached = []
    if pre_edge is None:
        pre_edge = reached.pre_edge
        if pre_edge != default.pre_edge:
            unreached.append("pre_edge")
    if post_edge is None:
        post_edge = reached.post_edge
        if post_edge != default.post_edge:
            unreached.append("post_edge")
    position = default.position
    if not pre_edge.high <= position <= post_edge.low:
        position = _middle(pre_edge, post_edge)
    return EdgeWindows(pre_edge, post_edge, position, tuple(unreached))


def _middle(pre_edge: Limits, post_edge: Limits) -> float:
    return (pre_edge.high + post_edge.low) / 2


def _fit_to_scan(default: EdgeWindows, incident: FloatArray) -> EdgeWindows:
    """Return default windows, replaced where a scan holds too few energies in them."""
    energies = np.unique(incident)
    first = float(energies[0])
    last = float(energies[-1])
    outermost = OUTERMOST * (last - first)
    pre_edge = default.pre_edge
    post_edge = default.post_edge
    if pre_edge.contains(energies).sum() < LEAST_ENERGIES:
        end = min(first + outermost, default.position)
        pre_edge = Limits(first, max(end, first))
    if post_edge.contains(energies).sum() < LEAST_ENERGIES:
        start = max(last - outermost, default.position)
        beyond_last = float(np.nextafter(last, np.inf))
        post_edge = Limits(min(start, last), beyond_last)
    return EdgeWindows(pre_edge, post_edge, default.position)
