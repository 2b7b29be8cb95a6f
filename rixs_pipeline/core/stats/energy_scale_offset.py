"""How far the emission scales of two samples stand apart for all that is known, and what that does to their spectra.

Both rest on the same reference runs, so most errors of the scale are shared. What is not: the pixels wander between
the runs, each by itself, and time shares the reference runs' errors out differently. Every pixel is a replica of that.
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import Region

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP_EV = 0.5  # by which scales are moved to see what changes: below the resolution
FEWEST_PIXELS = 4  # fewer do not tell how they scatter


def pixel_means(
    pixels: list[Ints], gains: list[Floats], photons: list[Ints]
) -> tuple[Ints, Floats, Ints]:
    """Numbers i8, mean gains f8 and photons i8 of all pixels of several scans, each (pixel,); a gain that is NaN has no
    weight, and pixels that have none anywhere are left out.

    `pixels`, `gains`, `photons`: (pixel,) of each scan.
    """
    number, gain = np.concatenate(pixels), np.concatenate(gains)
    weight = np.where(np.isfinite(gain), np.concatenate(photons), 0.0)
    known, row = np.unique(number, return_inverse=True)
    total, summed = (
        np.bincount(row, v) for v in (weight, weight * np.nan_to_num(gain))
    )
    seen = total > 0
    return known[seen], summed[seen] / total[seen], total[seen].astype(np.int64)


def scales_apart(first: Floats, second: Floats, photons: Floats) -> tuple[float, int]:
    """Standard deviation of the difference of two samples' scales, relative to the energy, and its degrees of freedom.

    `first`, `second` (pixel,): gains of the pixels relative to each other in the two samples, `photons`: their weights.
    That of a mean of pixels that differ as these do; NaN, 0 where there are fewer than `FEWEST_PIXELS`.
    """
    n = len(photons)
    if n < FEWEST_PIXELS:
        return float("nan"), 0
    weight, difference = photons / photons.sum(), first - second
    scatter = float((weight**2 * (difference - weight @ difference) ** 2).sum())
    return float(np.sqrt(n / (n - 1) * scatter)), n - 1


def relative_slope(
    counts: Ints, region: Region, incident: Floats, edges: Floats, along_emission: bool
) -> Floats:
    """Relative change of a region's counts at each point (point,), or bin, if the emission scale moves up by 1 eV.

    `counts` i8 (point, bin) at `incident` (point,) eV and emission `edges` (bin + 1,) eV. One count is added to those
    of each point, so that few make no steep slope.
    """
    if along_emission:
        middle = region_weights(region, incident, edges)
        taken = np.flatnonzero(middle.any(axis=0))
        seen = np.zeros(len(edges) - 1)
        seen[taken] = (middle * counts).sum(axis=0)[taken]
        reach = STEP_EV / float(np.diff(edges).mean())
        up, down = np.zeros(len(seen)), np.zeros(len(seen))
        up[taken], down[taken] = (
            np.interp(taken - s, taken, seen[taken]) for s in (reach, -reach)
        )
    else:
        up, seen, down = (
            (region_weights(region, incident, edges + shift) * counts).sum(axis=1)
            for shift in (STEP_EV, 0.0, -STEP_EV)
        )
    return np.asarray((up - down) / (2 * STEP_EV) / (seen + 1))
