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
    pre_edge, post_edge : (low, high)
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
    pre_edge, post_edge : (low, high) or None
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
        return EdgeWindows(pre_edge, post_edge, (pre_edge[1] + post_edge[0]) / 2)
    reached = default if incident is None else _fit_to_scan(default, incident)
    unreached = []
    if pre_edge is None and reached.pre_edge != default.pre_edge:
        unreached.append("pre_edge")
    if post_edge is None and reached.post_edge != default.post_edge:
        unreached.append("post_edge")
    before = pre_edge or reached.pre_edge
    after = post_edge or reached.post_edge
    position = default.position
    if not before[1] <= position <= after[0]:
        position = (before[1] + after[0]) / 2
    return EdgeWindows(before, after, position, tuple(unreached))


def _fit_to_scan(default: EdgeWindows, incident: FloatArray) -> EdgeWindows:
    """Return default windows, replaced where a scan holds too few energies in them."""
    energies = np.unique(incident)
    low, high = float(energies[0]), float(energies[-1])
    outermost = OUTERMOST * (high - low)
    pre_edge, post_edge = default.pre_edge, default.post_edge
    if _count_inside(energies, pre_edge) < LEAST_ENERGIES:
        pre_edge = (low, max(min(low + outermost, default.position), low))
    if _count_inside(energies, post_edge) < LEAST_ENERGIES:
        start = min(max(high - outermost, default.position), high)
        post_edge = (start, float(np.nextafter(high, np.inf)))
    return EdgeWindows(pre_edge, post_edge, default.position)


def _count_inside(energies: FloatArray, window: Limits) -> int:
    return int(((energies >= window[0]) & (energies < window[1])).sum())
