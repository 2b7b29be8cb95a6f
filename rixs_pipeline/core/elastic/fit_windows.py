"""Windows of a map around its elastic line, and the mean rates of their bins."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.elastic.fluorescence import MapBand
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

NO_ELASTIC_LINE = "the map does not include the elastic line"


@dataclass(frozen=True)
class FitWindows:
    """Bins around the elastic line of each point.

    `columns` i8 (point, bin) of the band, `is_inside` bool (point, bin), whether they
    are in the band, and their `edges` (point, bin + 1), eV.
    """

    columns: IntArray
    is_inside: BoolArray
    edges: FloatArray


def find_windows(
    band: MapBand, offset: float, below: float, above: float
) -> FitWindows:
    """Return the windows of all points around the elastic line.

    Parameters
    ----------
    band : MapBand
        The map.
    offset : float
        Emission - incident energy of the line, eV.
    below, above : float
        Reach of the windows below and above the line, eV.

    Returns
    -------
    FitWindows

    Raises
    ------
    ValueError
        No exposed bin of the map is in a window.
    """
    energy = band.incident + offset
    n_bins = len(band.edges) - 1
    if n_bins < 1:
        raise ValueError(NO_ELASTIC_LINE)
    step = float(np.diff(band.edges).mean())
    width = int(np.ceil((below + above) / step)) + 1
    first = np.floor((energy - below - band.edges[0]) / step).astype(np.int64)
    columns = first[:, None] + np.arange(width)
    is_inside = (columns >= 0) & (columns < n_bins)
    is_inside &= (band.exposure > 0)[:, None]
    if not is_inside.any():
        raise ValueError(NO_ELASTIC_LINE)
    ends = first[:, None] + np.arange(width + 1)
    edges = band.edges[0] + step * ends
    return FitWindows(np.clip(columns, 0, n_bins - 1), is_inside, edges)


def smooth_rate(
    counts: FloatArray, seconds: FloatArray, size: tuple[int, int]
) -> FloatArray:
    """Return the mean rate (point, bin) of the bins around each, without itself.

    Parameters
    ----------
    counts, seconds : f8 (point, bin)
        Photons and exposure.
    size : tuple of int
        Points and bins to average over.

    Returns
    -------
    f8 (point, bin)
        With one count added to those around.
    """
    is_exposed = seconds > 0
    counts_around = _sum_around(np.where(is_exposed, counts, 0.0), size) + 1.0
    seconds_around = _sum_around(np.where(is_exposed, seconds, 0.0), size)
    least = max(float(seconds.max()), 1e-9) * 1e-3
    return np.asarray(counts_around / np.maximum(seconds_around, least))


def _sum_around(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return the sum over the bins around each bin, without itself."""
    from scipy.ndimage import uniform_filter  # takes long to load

    total = uniform_filter(values, size, mode="constant") * np.prod(size)
    return np.asarray(np.maximum(total - values, 0.0))
