"""Options of figures, from the config."""

from __future__ import annotations

from collections.abc import Mapping

from rixs_pipeline.config import MapOptions, PlotOptions, PlotsConfig
from rixs_pipeline.config.plots import COLUMN_WIDTHS, AxisLimits
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.plots.spectrum_data import Limits

# kind of built-in figure -> options; kinds that are not configured are not in it
OptionsByKind = Mapping[str, FigureOptions]

# keys of `limits` -> dimension
AXES = {
    "incident": "incident_energy",
    "emission": "emission_energy",
    "loss": "energy_loss",
}


def options_by_kind(plots: PlotsConfig, *kinds: str) -> dict[str, FigureOptions]:
    """Return the options of kinds of built-in figures.

    Parameters
    ----------
    plots : PlotsConfig
        The section of the config.
    *kinds : str
        Names of its fields.

    Returns
    -------
    dict of str to FigureOptions
        Without kinds that are drawn on request and not configured.
    """
    of_kinds = {kind: getattr(plots, kind) for kind in kinds}
    return {
        kind: figure_options(plots.defaults, options, f"plots.{kind}")
        for kind, options in of_kinds.items()
        if options is not None
    }


def figure_options(
    defaults: MapOptions, options: PlotOptions, section: str
) -> FigureOptions:
    """Return the options of a figure, completed by the defaults.

    Parameters
    ----------
    defaults : MapOptions
        Of all figures.
    options : PlotOptions
        Of a kind of figures or of a multi-panel figure; those that are set win. Labels
        and limits are merged.
    section : str
        Where in the config they are.

    Returns
    -------
    FigureOptions
    """
    values = dict(defaults) | {
        key: value for key, value in options if value is not None
    }
    width, height = _inches(values["size"])
    own_limits = getattr(options, "limits", AxisLimits())
    limits = dict(defaults.limits) | {
        axis: value for axis, value in own_limits if value is not None
    }
    intensity = limits.pop("intensity")
    return FigureOptions(
        formats=tuple(dict.fromkeys(values["format"] or ("png",))),
        width=width,
        height=height,
        font_size=values["font_size"],
        dpi=values["dpi"],
        title=values["title"],
        cmap=values["cmap"],
        labels={**defaults.labels, **options.labels},
        limits={
            AXES[axis]: tuple(Limits(*limit) for limit in ranges)
            for axis, ranges in limits.items()
            if ranges
        },
        intensity=Limits(*intensity) if intensity else None,
        draw=values["draw"] is not False,
        section=section,
    )


def _inches(
    size: str | tuple[float, float] | None,
) -> tuple[float | None, float | None]:
    """Return width and height of a figure; None where they are not set."""
    if size is None:
        return None, None
    return (COLUMN_WIDTHS[size], None) if isinstance(size, str) else size
