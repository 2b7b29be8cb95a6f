"""Spectra with their errors: one, several samples overlaid, all regions of a sample and edge on a page."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import style
from rixs_pipeline.plots.waterfall import waterfall_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Limits = tuple[float, float]

ZOOM_BELOW, ZOOM_ABOVE = (
    60.0,
    10.0,
)  # eV around a region's incident energies, where its emission spectrum is shown
MANY_POINTS = 120  # from here on smaller dots
LITTLE_EXPOSURE = (
    0.1  # of the median: such a point is drawn, but does not set the intensity axis
)
SAME_ENERGY_EV = 1e-3


def spectrum_figure(
    dataset: "xr.Dataset", title: str, sheet: "Figure | None" = None
) -> "Figure":
    """One spectrum with bars of one standard deviation, and its 95 % interval as a band where there is one.

    An emission spectrum that runs far beyond the edge is shown around it, and as a whole in a small panel above.

    Args:
        dataset: as `schema.spectrum`; its attribute `region` (the region's mapping as JSON) tells where the edge is.
        title: of the figure.
        sheet: such a figure of another spectrum, to be drawn anew where it has the same panels: in half of the time.
    """
    window, whole = _window(dataset), _whole(dataset)
    number = 1 if window == whole else 2
    figure = (
        style.wipe(sheet, title)
        if sheet and len(sheet.axes) == number
        else _page(title, number)
    )
    *above, axes = figure.axes
    if above:
        _draw_whole(above[0], dataset, whole, window)
    _draw(axes, dataset, style.BLUE, window)
    _finish(
        axes,
        [dataset],
        window,
        "bars: one standard deviation; band: 95 %" if _has_band(dataset) else "",
    )
    return figure


def _page(title: str, number: int) -> "Figure":
    """Empty axes for a spectrum, and where there are two a low one above them for all of it."""
    figure = style.new_figure(8, 5, title)
    style.grid(figure, number, gaps=(0, 0.3), height_ratios=(1, 3)[-number:]).subplots()
    return figure


def overlay_figure(spectra: "Mapping[str, xr.Dataset]", title: str) -> "Figure":
    """Several samples' spectra of one region; for two on the same energies their difference with its errors below.

    Args:
        spectra: label -> dataset as `schema.spectrum`, at least one, all along the same dimension.
        title: of the figure.
    """
    datasets = list(spectra.values())
    difference = _same_energies(datasets)
    figure = style.new_figure(8, 6.4 if difference else 5, title)
    grid = style.grid(
        figure, 1 + difference, gaps=(0, 0.3), height_ratios=(3, 1)[: 1 + difference]
    )
    rows = grid.subplots(squeeze=False, sharex=True)
    axes = rows[0, 0]
    window = min(_window(d)[0] for d in datasets), max(_window(d)[1] for d in datasets)
    for index, (label, dataset) in enumerate(spectra.items()):
        _draw(axes, dataset, style.SERIES[index % len(style.SERIES)], window, label)
    _finish(axes, datasets, window)
    axes.legend(frameon=False, fontsize=style.TEXT_SIZE)
    if difference:
        axes.set_xlabel("")
        both = _difference(*datasets)
        _draw(rows[1, 0], both, style.BLACK, window)
        _finish(rows[1, 0], [both], window, "{1} − {0}".format(*spectra))
    return figure


def cuts_figure(spectra: "Mapping[str, xr.Dataset]", title: str) -> "Figure":
    """Emission spectra of several incident energies, one above the other, around the edge or the elastic line.

    Args:
        spectra: incident energies as text -> dataset as `schema.spectrum`, ascending.
        title: of the figure.
    """
    windows = [_window(dataset) for dataset in spectra.values()]
    return waterfall_figure(
        spectra, title, (min(w[0] for w in windows), max(w[1] for w in windows))
    )


def overview_figure(spectra: "Mapping[str, xr.Dataset]", title: str) -> "Figure":
    """Small multiples of all regions of a sample and edge, in the order given.

    Args:
        spectra: name of the region -> dataset as `schema.spectrum`.
        title: of the figure.
    """
    columns = min(3, max(1, len(spectra)))
    rows = -(-len(spectra) // columns)
    figure = style.new_figure(4 * columns, 0.6 + 2.7 * max(rows, 1), title)
    grid = style.grid(
        figure, max(rows, 1), columns, (0.7, 0.45, 0.15, 0.75), (0.7, 0.72)
    )
    for index, (name, dataset) in enumerate(spectra.items()):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        window = _window(dataset)
        _draw(axes, dataset, style.BLUE, window)
        _finish(axes, [dataset], window, name, style.SMALL_SIZE)
        axes.locator_params(nbins=5)
    return figure


def _energy(dataset: "xr.Dataset") -> "xr.DataArray":
    """The spectrum's axis, eV."""
    return dataset[str(dataset["intensity"].dims[0])]


def _has_band(dataset: "xr.Dataset") -> bool:
    """Whether it has the 95 % interval."""
    return "intensity_lower" in dataset and "intensity_upper" in dataset


def _columns(dataset: "xr.Dataset", *names: str) -> list[Floats]:
    """Energy and further variables f8 (energy,), energies ascending."""
    order = np.argsort(_energy(dataset).values, kind="stable")
    return [
        _energy(dataset).values[order],
        *(dataset[name].values[order] for name in names),
    ]


def _whole(dataset: "xr.Dataset") -> Limits:
    """All points of a scan; of an emission spectrum the energies that have counts."""
    energy, counts = _columns(dataset, "counts")
    if _energy(dataset).name != "incident_energy":
        return style.where_counts_are(energy, counts, margin=15.0)
    margin = 0.015 * float(np.ptp(energy)) or 0.5
    return float(energy[0]) - margin, float(energy[-1]) + margin


def _window(dataset: "xr.Dataset") -> Limits:
    """The energies worth a close look: for an emission spectrum of an incident band, those around the edge."""
    (low, high), near = _whole(dataset), None
    region = json.loads(dataset.attrs.get("region", "{}"))
    excited = np.ravel(region.get("incident") or region.get("cuts") or [])
    if _energy(dataset).name == "energy_loss":
        near = max(low, -ZOOM_ABOVE), min(high, ZOOM_BELOW)
    elif (
        _energy(dataset).name == "emission_energy"
        and excited.size
        and not region.get("emission")
    ):
        near = (
            max(low, float(excited.min()) - ZOOM_BELOW),
            min(high, float(excited.max()) + ZOOM_ABOVE),
        )
    return near if near and near[0] < near[1] else (low, high)


def _draw(
    axes: "Axes", dataset: "xr.Dataset", colour: str, window: Limits, label: str = ""
) -> None:
    """Values, bars of one standard deviation, the 95 % interval as a band; points without a value are gaps.

    Only the bars in the window are made: a thousand of them take longer than the rest of a figure.

    Incident energies are points, emission energies bins: the one is drawn as dots that are joined, the other as steps.
    """
    energy, intensity, errors = _columns(dataset, "intensity", "intensity_errors")
    bins = _energy(dataset).name != "incident_energy"
    if _has_band(dataset):
        _, lower, upper = _columns(dataset, "intensity_lower", "intensity_upper")
        top = 100 * np.abs(intensity[np.isfinite(intensity)]).max(initial=1.0)
        upper = np.where(
            np.isposinf(upper), top, upper
        )  # an interval without an upper end leaves the axes
        axes.fill_between(
            energy,
            lower,
            upper,
            step="mid" if bins else None,
            color=colour,
            alpha=0.18,
            lw=0,
        )
    line = (
        {"drawstyle": "steps-mid"}
        if bins
        else {"marker": "o", "ms": 3.2 if len(energy) < MANY_POINTS else 2.0}
    )
    axes.plot(energy, intensity, color=colour, lw=0.9, label=style.plain(label), **line)
    good = np.isfinite(intensity) & (energy >= window[0]) & (energy <= window[1])
    axes.errorbar(
        energy[good],
        intensity[good],
        errors[good],
        fmt="none",
        ecolor=colour,
        elinewidth=0.7,
        alpha=0.7,
    )


def _finish(
    axes: "Axes",
    datasets: "list[xr.Dataset]",
    window: Limits,
    title: str = "",
    size: float = style.TEXT_SIZE,
) -> None:
    """Labels, zero line and limits."""
    style.dress(
        axes,
        style.quantity(_energy(datasets[0])),
        style.quantity(datasets[0]["intensity"]),
        title,
        size,
    )
    axes.axhline(0, color=style.GREY, lw=0.8, zorder=0)
    axes.set_xlim(window)
    axes.set_ylim(_intensity_limits(datasets, window))


def _intensity_limits(datasets: "Iterable[xr.Dataset]", window: Limits) -> Limits:
    """Limits that hold zero and all bars in the window, but for those of points with hardly any exposure.

    Bands too, but for what is half as far again as the bars: that of an inverse yield of a few counts has no end.
    """
    ends, bands = [np.zeros(1)], [np.zeros(1)]
    for dataset in datasets:
        energy, intensity, errors, exposure = _columns(
            dataset, "intensity", "intensity_errors", "exposure"
        )
        exposed = exposure >= LITTLE_EXPOSURE * np.median(exposure)
        inside = (
            np.isfinite(intensity)
            & exposed
            & (energy >= window[0])
            & (energy <= window[1])
        )
        bars = np.nan_to_num(errors[inside])
        ends += [intensity[inside] - bars, intensity[inside] + bars]
        if _has_band(dataset):
            bands += [
                end[inside]
                for end in _columns(dataset, "intensity_lower", "intensity_upper")[1:]
            ]
    low, high = np.min(np.concatenate(ends)), np.max(np.concatenate(ends))
    band = np.clip(
        np.nan_to_num(np.concatenate(bands), posinf=np.inf, neginf=-np.inf),
        1.5 * low,
        1.5 * high,
    )
    low, high = min(low, band.min()), max(high, band.max())
    margin = 0.08 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _draw_whole(
    axes: "Axes", dataset: "xr.Dataset", whole: Limits, window: Limits
) -> None:
    """All of an emission spectrum on a logarithmic scale, the window marked."""
    energy, intensity = _columns(dataset, "intensity")
    axes.plot(energy, intensity, drawstyle="steps-mid", color=style.BLUE, lw=0.8)
    axes.axvspan(*window, color=style.ORANGE, alpha=0.2, lw=0)
    axes.set_xlim(whole)
    positive = intensity[intensity > 0]
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(0.7 * positive.min(), 2 * positive.max())
    style.dress(
        axes,
        "",
        "",
        "all emission, logarithmic; marked: the part below",
        style.SMALL_SIZE,
    )
    style.log_ticks(axes.yaxis)


def _same_energies(datasets: "list[xr.Dataset]") -> bool:
    """Whether these are two spectra on the same energies."""
    if len(datasets) != 2 or _energy(datasets[0]).shape != _energy(datasets[1]).shape:
        return False
    (first,), (second,) = (_columns(dataset) for dataset in datasets)
    return bool(np.all(np.abs(first - second) <= SAME_ENERGY_EV))


def _difference(first: "xr.Dataset", second: "xr.Dataset") -> "xr.Dataset":
    """The second spectrum minus the first, points in ascending order; the variances add."""
    names = ("intensity", "intensity_errors", "exposure")
    energy, below, below_errors, below_exposure = _columns(first, *names)
    _, above, above_errors, above_exposure = _columns(second, *names)
    dim = str(_energy(first).name)
    values = {
        dim: ((dim,), energy, _energy(first).attrs),
        "intensity": (
            (dim,),
            above - below,
            first["intensity"].attrs | {"long_name": "difference"},
        ),
        "intensity_errors": ((dim,), np.hypot(above_errors, below_errors)),
        "exposure": ((dim,), np.minimum(above_exposure, below_exposure)),
    }
    return type(first)(values)
