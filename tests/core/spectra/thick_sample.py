"""A thick sample at the Co L edge, whose light is absorbed by itself."""

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData

EDGES = np.arange(500.0, 820.1, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
INCIDENT = np.arange(770.0, 805.0, 0.25)
MU = (
    0.5
    + np.arctan((INCIDENT - 782) / 0.4) / np.pi
    + 2 * np.exp(-0.5 * ((INCIDENT - 780.5) / 0.9) ** 2)
)
MU_B, G_MU_F = 3.0, 2.0
X = 100.0


def emission_line(energy: float, sigma: float = 1.5) -> np.ndarray:
    shape = np.exp(-0.5 * ((CENTRES - energy) / sigma) ** 2)
    return shape / shape.sum()


def thick_sample(
    rng: np.random.Generator | None = None, rate: float = 8.0, vanadium: float = 0.0
) -> MapData:
    """Return the map of a thick sample at the Co L edge.

    O Ka decreases where Co absorbs and emits Co La; with `vanadium`, a resonant line
    lies within the window of O Ka. Without `rng`, the counts have hardly any noise.
    """
    total = MU + MU_B + G_MU_F
    means = X * rate * (MU_B / total)[:, None] * emission_line(524.9) + X * rate * (
        MU / total
    )[:, None] * emission_line(776.0)
    means = means + X * rate * vanadium * (MU / total)[:, None] * emission_line(530.0)
    counts = np.round(means * 1e6).astype(int) if rng is None else rng.poisson(means)
    return MapData(
        counts,
        np.full(len(INCIDENT), X * (1e6 if rng is None else 1.0)),
        EDGES,
        INCIDENT,
    )
