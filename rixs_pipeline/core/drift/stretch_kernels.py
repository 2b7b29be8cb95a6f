"""Compiled loop over spectra whose energies are multiplied by a factor."""

import numpy as np

from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.types import FloatArray


@exact
def stretch(counts: FloatArray, edges: FloatArray, gain: float) -> FloatArray:
    """Return spectra after their energies E became E (1 - gain).

    Counts of a bin that a new edge divides are shared by width, as with `np.interp` of
    the counts below each edge.

    Parameters
    ----------
    counts
        f8 (spectrum, bin).
    edges
        Edges of the bins before and after, f8 (bin + 1,), ascending.
    gain
        Relative, far below 1.

    Returns
    -------
    FloatArray
        f8 (spectrum, bin).
    """
    n_spectra, n_bins = counts.shape
    stretched = np.empty((n_spectra, n_bins))
    below = np.zeros(n_bins + 1)
    for row in range(n_spectra):
        for k in range(n_bins):
            below[k + 1] = below[k] + counts[row, k]
        bin_below = 0
        last = 0.0
        for k in range(n_bins + 1):
            old_edge = edges[k] / (1.0 - gain)
            while bin_below < n_bins and edges[bin_below + 1] <= old_edge:
                bin_below += 1
            if old_edge <= edges[0]:
                value = below[0]
            elif bin_below == n_bins or edges[bin_below] == old_edge:
                value = below[bin_below]
            else:
                step = edges[bin_below + 1] - edges[bin_below]
                slope = (below[bin_below + 1] - below[bin_below]) / step
                value = slope * (old_edge - edges[bin_below]) + below[bin_below]
            if k > 0:
                stretched[row, k - 1] = value - last
            last = value
    return stretched
