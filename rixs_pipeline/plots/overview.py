"""What a scan over an edge shows at once: the map, its yields above it, its emission beside it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import maps, style, waterfall

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

Limits = tuple[float, float]
Shown = tuple["xr.Dataset", Mapping[str, "xr.Dataset"], "xr.Dataset"]

BLOCK = 5.6, 4.6  # inches of an edge
COLUMNS = 2


def overview_sheet(
    sample: str, edges: "Mapping[str, Shown]", emission: Limits | None
) -> "Figure":
    """A block an edge.

    Args:
        sample: for the title.
        edges: edge -> map, yields by name against incident energy, and the emission spectrum of all points.
        emission: what the maps show, eV; default: where the counts are.
    """
    columns = min(COLUMNS, len(edges))
    rows = -(-len(edges) // columns)
    figure = style.new_figure(
        BLOCK[0] * columns,
        0.4 + BLOCK[1] * rows,
        f"{sample}: maps, yields and emission",
    )
    blocks = style.grid(figure, rows, columns, (0.75, 0.55, 0.15, 0.75), (0.85, 0.95))
    for index, (edge, shown) in enumerate(edges.items()):
        _block(figure, blocks[index // columns, index % columns], edge, shown, emission)
    return figure


def _block(
    figure: "Figure",
    place: "SubplotSpec",
    edge: str,
    shown: Shown,
    emission: Limits | None,
) -> None:
    """The map below on the left; yields, each over its maximum, share its incident axis, emission its other one."""
    rixs_map, yields, spectrum = shown
    inner = place.subgridspec(
        2, 2, height_ratios=(1, 2.2), width_ratios=(2.4, 1), hspace=0.08, wspace=0.1
    )
    above, below, beside = (
        figure.add_subplot(inner[at]) for at in ((0, 0), (1, 0), (1, 1))
    )
    window = emission or maps.counts_window(rixs_map)
    maps.draw_map(below, maps.image_of(rixs_map).cropped(*window), "sqrt")
    below.set_ylim(window)
    for colour, (name, dataset) in zip(style.SERIES, yields.items(), strict=False):
        energy, values, _ = waterfall.columns(dataset, None)
        above.plot(
            energy,
            values / (np.nanmax(values, initial=0.0) or 1.0),
            color=colour,
            lw=1.0,
            label=style.plain(name),
        )
    energy, values, _ = waterfall.columns(spectrum, window)
    beside.plot(values, energy, color=style.BLACK, lw=0.8)
    style.dress(below, "incident energy (eV)", "emission energy (eV)", size=9)
    style.dress(above, "", "yield / maximum", edge.replace("_", " ") + " edge", 9)
    style.dress(beside, "counts/(s eV)", "", size=9)
    above.set(xlim=below.get_xlim(), xticklabels=[])
    beside.set(ylim=window, yticklabels=[], xlim=(0, None))
    beside.locator_params(axis="x", nbins=3, prune="lower")
    above.legend(frameon=False, fontsize=style.SMALL_SIZE)
