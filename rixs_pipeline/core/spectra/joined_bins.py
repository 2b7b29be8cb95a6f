"""Bins of an emission spectrum that consist of several bins of its map."""

import numpy as np

from rixs_pipeline.core.spectra.regions import Region
from rixs_pipeline.types import FloatArray, IntArray

EDGE_TOLERANCE = 1e-6  # of a bin: a limit so near to an edge is at the edge


def join_emission_bins(region: Region, edges: FloatArray) -> IntArray:
    """Return to which bin of a region's emission spectrum each bin of the map belongs.

    Parameters
    ----------
    region : Region
        Its `joined_bins` are taken together from its lower limit in emission on, or
        from the lower end of the map.
    edges : f8 (bin + 1,)
        Edges of the emission bins, uniform, eV.

    Returns
    -------
    i8 (bin,)
        Ascending from 0; the first and the last bin of the spectrum may have fewer bins
        of the map.
    """
    n_bins = len(edges) - 1
    first = 0
    if region.emission is not None:
        width = (edges[-1] - edges[0]) / n_bins
        position = (region.emission.low - edges[0]) / width
        first = int(np.floor(np.clip(position, 0, n_bins) + EDGE_TOLERANCE))
    return (np.arange(n_bins) + -first % region.joined_bins) // region.joined_bins
