"""Photons at and around the limits of points and bins, and their counts one by one."""

import numpy as np

EDGES = np.arange(500, 1000.5, 0.5)  # eV, of the emission bins


def draw_photons(seed, points, number=400):
    """Return times before, in, between and after the points, and energies.

    The energies lie in the emission bins and on either side of them.
    """
    rng = np.random.default_rng(seed)
    first, last = points.start_ns[0], points.end_ns[-1]
    time = np.sort(rng.integers(first - 10**9, last + 10**9, number))
    time[:2] = first, last  # the limits themselves
    return np.sort(time), np.round(rng.uniform(480, 1020, number), 1)


def count_one_by_one(time, energy, points):
    """Return the counts (point, bin), photon by photon in plain Python."""
    counts = np.zeros((len(points), len(EDGES) - 1), np.int64)
    for t, e in zip(time.tolist(), energy.tolist(), strict=True):
        for j in range(len(points)):
            is_in_point = points.start_ns[j] <= t < points.end_ns[j]
            if is_in_point and EDGES[0] <= e < EDGES[-1]:
                counts[j, int((np.float32(10 * e) * 0.1 - 500) // 0.5)] += 1
    return counts
