"""What a region takes in that its user may not have meant: the elastic line, another element's emission."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.region_sums import MapData
from rixs_pipeline.core.spectra.regions import Region

Floats = NDArray[np.float64]

ELASTIC_EV = (
    1.0  # half width around emission = incident that is the elastic line itself
)
PEAK_EV, BESIDE_EV = (
    2.0,
    (4.0, 7.0),
)  # where a line is looked for, and what it is compared with
CLEAR = 5.0  # standard deviations from which on a line is there
# of binders and salts, in no reference sample: W. T. Elam et al., Radiat. Phys. Chem. 63, 121 (2002), eV
OTHER_LINES = {"F_Ka": 676.8}
_OWN_EV = 25.0  # so near a line of the edge's own, another cannot be told from it


def unintended(
    region: Region, data: MapData, share: Floats, edge: str, lines: Mapping[str, float]
) -> list[str]:
    """What to tell about a region, one line each; `share` (point, bin) its weights, `lines` name -> eV
    beside `OTHER_LINES`.

    The elastic line is meant where the region has `loss` or says anything of `exclude_elastic`, be it null.
    Only yields over a window are looked at: TFY, emission spectra and the elastic region take in everything by
    intention. A line counts as there when the map has a peak at its place: more counts within 2 eV than 4 to 7 eV
    beside it, by five standard deviations. An inverse yield may hold one line that is not the scanned element's.
    """
    if region.kind not in ("pfy", "spfy", "ipfy"):
        return []
    told = []
    if not region.accepts_elastic and (taken := elastic_points(data, share)):
        told.append(
            f"holds the elastic line at {taken} points; exclude_elastic leaves it out, null says it is meant"
        )
    element, lines = edge.split("_")[0], OTHER_LINES | dict(lines)
    inside = {
        n: e
        for n, e in lines_inside(data, share, lines).items()
        if _is_peak(data, share, e)
    }
    own = {n for n in lines if n.split("_")[0] == element}
    foreign = {n: e for n, e in inside.items() if n not in own}
    if region.kind == "ipfy":
        bad = {n: e for n, e in inside.items() if n in own} or (
            foreign if len(foreign) > 1 else {}
        )
    else:
        near = [e for n, e in lines.items() if n in own]
        bad = {
            n: e for n, e in foreign.items() if all(abs(e - o) > _OWN_EV for o in near)
        }
    if bad:
        told.append(
            "holds emission of "
            + ", ".join(f"{n} ({e:.1f} eV)" for n, e in sorted(bad.items()))
        )
    return told


def elastic_points(data: MapData, share: Floats) -> int:
    """At how many points more than half of the elastic line's core lies in the region."""
    core = np.abs(data.centres[None, :] - data.incident[:, None]) < ELASTIC_EV
    return int(
        np.sum((core * share).sum(axis=1) > 0.5 * np.maximum(core.sum(axis=1), 1))
    )


def lines_inside(
    data: MapData, share: Floats, lines: Mapping[str, float]
) -> dict[str, float]:
    """The lines whose place is in the region, at points that have enough energy to excite them."""
    edges, found = data.emission_edges, {}
    for name, energy in lines.items():
        place = int(np.searchsorted(edges, energy, side="right")) - 1
        if (
            0 <= place < share.shape[1]
            and (share[:, place] * (data.incident > energy + ELASTIC_EV)).any()
        ):
            found[name] = energy
    return found


def _is_peak(data: MapData, share: Floats, energy: float) -> bool:
    """Whether the map's counts stand out at a line, over the points where the region takes it and light excites it."""
    rows = (data.incident > energy + 2 * BESIDE_EV[1]) & share.any(axis=1)
    away = np.abs(data.centres - energy)
    total = data.counts[rows].sum(axis=0)
    on, beside = away < PEAK_EV, (away >= BESIDE_EV[0]) & (away < BESIDE_EV[1])
    if not (on.any() and beside.any()):
        return False
    ratio = on.sum() / beside.sum()
    excess = total[on].sum() - ratio * total[beside].sum()
    return bool(
        excess > CLEAR * np.sqrt(total[on].sum() + ratio**2 * total[beside].sum() + 1)
    )
