"""The line that an inverse yield rests on: which one, and whether it keeps its shape while the scan goes over the edge.

A line that does not resonate dims where the sample absorbs, as a whole: its share of counts in every bin stays. A line
that resonates, or that another line overlaps, changes its shape. So the test is one of homogeneity.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.normalisation import Limits
from rixs_pipeline.core.spectra.presets import O_KA, PRESETS
from rixs_pipeline.core.spectra.region_sums import MapData

Floats = NDArray[np.float64]

CANDIDATES: dict[str, Limits] = {
    "O_Ka": O_KA,
    "C_Ka": (265, 290),
    "N_Ka": (380, 402),
    "F_Ka": (665, 690),
}
CLEARANCE_EV = (
    5.0  # between a candidate's window and the scan, or the edge's own emission
)
P_LEAST = 1e-3  # a line with a smaller p is called resonant
_GROUPS, _EXPECTED = 4, 10.0
_RISE_Z, _RISE = 4.0, 0.3


@dataclass(frozen=True)
class LineTest:
    """Homogeneity of a line's shape over the scan: `chi2` with `dof` and `p`; `correlation` of its yield with all
    other emission, and whether it `rises` with it, as a resonance does. Too few counts: p is NaN."""

    chi2: float
    dof: int
    p: float
    correlation: float
    rises: bool

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the line; too few counts do not."""
        return not self.p < P_LEAST and not self.rises

    def told(self) -> dict[str, float | int | bool | None]:
        """As plain values; a p that is not known is None."""
        values = {"chi2": self.chi2, "dof": self.dof, "correlation": self.correlation}
        return values | {
            "p": None if np.isnan(self.p) else self.p,
            "rises": self.rises,
            "passed": self.passed,
        }


def line_test(data: MapData, share: Floats) -> LineTest:
    """Chi-squared test that the emission spectrum within a region has one shape over the scan.

    Contiguous groups of incident points with about equal counts against emission bins, merged until each cell expects
    10 counts. It rises where its yield correlates with that of all bins outside by more than 0.3, at 4 standard
    deviations of the correlation (Fisher's z). `share` (point, bin); bins that count by less than half are left out.
    """
    from scipy.special import chdtrc  # scipy.stats takes a second to load

    inside = share > 0.5
    used = (data.exposure > 0) & inside.any(axis=1)
    table = _cells(
        np.where(inside, data.counts, 0)[used][np.argsort(data.incident[used])]
    )
    statistic, dof, p = 0.0, 0, float("nan")
    if min(table.shape) > 1:
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        statistic = float(((table - expected) ** 2 / expected).sum())
        dof = (table.shape[0] - 1) * (table.shape[1] - 1)
        p = float(chdtrc(dof, statistic))
    own = np.where(inside, data.counts, 0).sum(axis=1)[used] / data.exposure[used]
    rest = np.where(inside, 0, data.counts).sum(axis=1)[used] / data.exposure[used]
    spread = (
        min((float(np.ptp(v)) for v in (own, rest)), default=0.0)
        if used.sum() > 3
        else 0.0
    )
    correlation = float(np.corrcoef(own, rest)[0, 1]) if spread > 0 else 0.0
    significance = np.arctanh(min(correlation, 0.999999)) * np.sqrt(
        max(int(used.sum()) - 3, 0)
    )
    return LineTest(
        statistic,
        dof,
        p,
        correlation,
        bool(correlation > _RISE and significance > _RISE_Z),
    )


def _cells(counts: NDArray[np.int64]) -> Floats:
    """Groups of points by groups of bins (group, cell), of about equal counts each."""
    total = int(counts.sum())
    if not total:
        return np.zeros((1, 1))
    cells = int(max(1, min(total / (_GROUPS * _EXPECTED * 2), 40)))
    rows = np.minimum(
        (np.cumsum(counts.sum(axis=1)) * _GROUPS - 1) // total, _GROUPS - 1
    )
    columns = np.minimum(
        (np.cumsum(counts.sum(axis=0)) * cells - 1) // total, cells - 1
    )
    table = np.zeros((_GROUPS, cells))
    np.add.at(
        table, (np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None, :]), counts
    )
    return np.asarray(table[table.any(axis=1)][:, table.any(axis=0)])


def choose_line(data: MapData, edge: str) -> tuple[str, Limits]:
    """Name and emission window of the brightest candidate that passes `line_test`.

    Candidates are K lines below the whole scan that stay clear of the edge's own emission.

    Raises:
        ValueError: there is none.
    """
    own = next(
        (p.emission for name, p in PRESETS.items() if name == edge), (np.inf, np.inf)
    )
    found: list[tuple[int, str, Limits]] = []
    for name, (low, high) in CANDIDATES.items():
        clear = high + CLEARANCE_EV < data.incident.min() and (
            high + CLEARANCE_EV < own[0] or low > own[1]
        )
        bins = (data.emission_edges[:-1] >= low) & (data.emission_edges[1:] <= high)
        counts = int(data.counts[:, bins].sum())
        if (
            clear
            and counts
            and line_test(data, np.broadcast_to(bins * 1.0, data.counts.shape)).passed
        ):
            found.append((counts, name, (low, high)))
    if not found:
        raise ValueError(
            "ipfy: no line below the scan keeps its shape over it; name a window with emission"
        )
    return max(found)[1:]
