"""Windows of a spectrum: where features are measured, and baselines and divisors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.spectrum_data import Limits, is_left_out

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

COLOURS = (style.ORANGE, style.GREY, style.GREEN, style.PURPLE, style.SKY)
ALPHA = 0.18


def shade_windows(axes: Axes, windows: Mapping[str, Limits]) -> None:
    """Shade windows along the horizontal axis, and label them for the legend.

    Parameters
    ----------
    axes : Axes
        The panel.
    windows : mapping of str to Limits
        What a window is for -> its ends, eV.
    """
    for number, (name, window) in enumerate(windows.items()):
        axes.axvspan(
            *window,
            color=COLOURS[number % len(COLOURS)],
            alpha=ALPHA,
            lw=0,
            zorder=0,
            label=labels.escape_math(f"{name}: {window.low:g} to {window.high:g} eV"),
        )


def spectrum_windows(spectrum: xr.Dataset) -> dict[str, Limits]:
    """Return the windows of the features of a spectrum, and those of its scale, eV.

    Parameters
    ----------
    spectrum : Dataset
        As `schema.spectrum`; its attribute `region` is the config's mapping as JSON.

    Returns
    -------
    dict of str to Limits
        What a window is for -> its ends.
    """
    region = json.loads(spectrum.attrs.get("region", "{}"))
    windows = {
        name: Limits(*window) for name, window in (region.get("features") or {}).items()
    }
    scale = region.get("scale", "none")
    if not isinstance(scale, str) and not is_left_out(spectrum):
        windows["divided by the mean over"] = Limits(*scale)
    of_edge = json.loads(spectrum.attrs.get("scale_windows", "{}"))
    for name in ("pre_edge", "post_edge"):
        if name in of_edge:
            windows[name.replace("_", "-")] = Limits(*_ends(of_edge[name]))
    return windows


def _ends(window: Mapping[str, float] | list[float]) -> list[float]:
    """Return the two ends of a window, which products hold by name or in order."""
    return list(window.values()) if isinstance(window, Mapping) else list(window)
