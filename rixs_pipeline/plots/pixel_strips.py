"""What the figures of reference runs share: tables (pixel, line) as strips, one a line, and lists of channels."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

MAX_CHANNELS = 16  # named in a row
FEW = 20  # pixels, none of whose dots may be hidden


def draw(axes: "Axes", values: Floats, used: NDArray[np.bool_], ends: Floats) -> None:
    """A table (pixel, line) as one strip a line, pixels from left to right; the used ones and `ends` set the limits."""
    low, high = limits(np.concatenate([ends, values[used].ravel()]))
    x = np.arange(values.shape[1]) + np.linspace(-0.38, 0.38, len(values))[:, None]
    size, bars = (
        (5, 1.9) if used.sum() <= FEW else (3, 2.1)
    )  # bars below few dots, above many
    axes.plot(
        x[used].ravel(),
        values[used].ravel(),
        "o",
        ms=size,
        mew=0,
        alpha=0.7,
        color=style.BLUE,
    )
    off = ~used[:, None] & np.isfinite(values)
    if off.any():
        clipped = np.clip(
            values[off], low, high
        )  # far off: at the edge, rather than out of sight
        axes.plot(x[off], clipped, "x", ms=4, color=style.VERMILLION, clip_on=False)
    middle = medians(values, used)
    known = np.flatnonzero(np.isfinite(middle))
    axes.hlines(
        middle[known],
        known - 0.43,
        known + 0.43,
        color=style.BLACK,
        lw=1.8,
        zorder=bars,
    )
    top = axes.get_xaxis_transform()
    for line in known.tolist():
        number = f"{round(middle[line], 2) + 0.0:.2f}".replace("-", "−")
        axes.text(
            line,
            0.985,
            number,
            transform=top,
            ha="center",
            va="top",
            size=style.SMALL_SIZE,
        )
    axes.set_ylim(low, high + 0.08 * (high - low))


def name_lines(axes: "Axes", dataset: "xr.Dataset") -> None:
    """The lines' names along a category axis."""
    names = [
        style.line_label(name) for name in style.texts(dataset["line_name"].values)
    ]
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 7 else 0)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="x", length=0)


def medians(values: Floats, used: NDArray[np.bool_]) -> Floats:
    """Median of each line (line,) over the used pixels of a table (pixel, line); NaN without any."""
    columns = [column[used & np.isfinite(column)] for column in values.T]
    return np.array(
        [np.median(column) if column.size else np.nan for column in columns]
    )


def limits(values: Floats) -> tuple[float, float]:
    """Limits with a margin around all finite values; around 0 without any."""
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=0.0), finite.max(initial=0.0)
    margin = 0.1 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def listed(channels: NDArray[np.int64]) -> str:
    """Channel numbers in a row, as many as fit."""
    more = (
        f" and {len(channels) - MAX_CHANNELS} more"
        if len(channels) > MAX_CHANNELS
        else ""
    )
    return (
        "channel "
        + ", ".join(str(channel) for channel in channels[:MAX_CHANNELS])
        + more
    )
