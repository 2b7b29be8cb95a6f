"""Figures of reference runs, and of the line shifts between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.core.drift.jumps import line_shifts
from rixs_pipeline.errors import UsageError
from rixs_pipeline.io import nexus
from rixs_pipeline.paths import FigureFolder
from rixs_pipeline.plots import calibration, corrections, labels
from rixs_pipeline.plots.figure_page import FigurePage
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.stages.figures.draw import PlannedFigure
from rixs_pipeline.stages.figures.options import OptionsByKind
from rixs_pipeline.types import PixelState

if TYPE_CHECKING:
    import xarray as xr

# what `find_line_shifts` reads of a calibration
OF_SHIFTS = ("pixel", "status", "params", "line_energy", "line_name")
RUN_KINDS = ("reference_run", "corrections", "pixel")
MAX_PAGES = 6  # pixels of a reference run with a figure each; the summary shows all


def reference_run_figures(
    out: Path, name: str, options: OptionsByKind
) -> Iterator[PlannedFigure]:
    """Yield the summary of a reference run, its corrections, and pixels not ok.

    Parameters
    ----------
    out : Path
        Folder of the results.
    name : str
        Of the run.
    options : mapping of str to FigureOptions
        Of `RUN_KINDS`.

    Yields
    ------
    PlannedFigure
        At most `MAX_PAGES` pixels have a figure of their own.
    """
    dataset = nexus.read_entry(paths.calibration_product(out, name))
    path = partial(paths.figure, out, FigureFolder.REFERENCE_RUNS, name)
    summary = partial(calibration.calibration_summary_figure, dataset)
    looks = options["reference_run"]
    yield PlannedFigure(path("summary"), dataset, summary, looks)
    effects = partial(corrections.corrections_figure, dataset)
    effects_path = paths.figure(out, FigureFolder.CORRECTIONS, name, "corrections")
    yield PlannedFigure(effects_path, dataset, effects, options["corrections"])
    pixels = select_pixels(dataset)
    yield from pixel_figures(out, name, dataset, pixels, options["pixel"])


def pixel_figures(
    out: Path,
    name: str,
    dataset: xr.Dataset,
    pixels: Iterable[int],
    options: FigureOptions,
) -> Iterator[PlannedFigure]:
    """Yield the figures of single pixels of a reference run.

    Parameters
    ----------
    out : Path
        Folder of the results.
    name : str
        Of the run.
    dataset : Dataset
        As `schema.PIXEL_CALIBRATION`.
    pixels : iterable of int
        Channel numbers.
    options : FigureOptions
        How they look.

    Yields
    ------
    PlannedFigure
        One for each pixel, to be drawn before the next one.
    """
    page = FigurePage()
    for pixel in pixels:
        plot = partial(calibration.calibration_figure, dataset, pixel, page)
        path = paths.pixel_figure(out, name, pixel)
        yield PlannedFigure(path, dataset, plot, options)


def line_shift_figures(
    out: Path, before: str, after: str, options: FigureOptions
) -> Iterator[PlannedFigure]:
    """Yield the figure of the line shifts between two reference runs.

    Parameters
    ----------
    out : Path
        Folder of the results.
    before, after : str
        Names of the runs.
    options : FigureOptions
        How it looks.

    Yields
    ------
    PlannedFigure
        A single one.
    """
    before_path = paths.calibration_product(out, before)
    after_path = paths.calibration_product(out, after)
    before_calibration = nexus.read_entry(before_path, only=OF_SHIFTS)
    after_calibration = nexus.read_entry(after_path, only=OF_SHIFTS)
    dataset = find_line_shifts(before_calibration, after_calibration)
    path = paths.figure(out, FigureFolder.REFERENCE_RUNS, f"{before}-{after}", "moved")
    plot = partial(corrections.line_shifts_figure, dataset)
    yield PlannedFigure(path, dataset, plot, options)


def find_line_shifts(before: xr.Dataset, after: xr.Dataset) -> xr.Dataset:
    """Return the line shifts of the pixels that are ok in two calibrations.

    Parameters
    ----------
    before, after : Dataset
        As `schema.PIXEL_CALIBRATION`.

    Returns
    -------
    Dataset
        As `plots.corrections.line_shifts_figure` takes it.
    """
    was_ok = before["status"].values == PixelState.OK
    is_ok = after["status"].values == PixelState.OK
    earlier = before.isel(pixel=was_ok)
    later = after.isel(pixel=is_ok)
    earlier_channels = earlier["pixel"].values
    later_channels = later["pixel"].values
    shared, earlier_rows, later_rows = np.intersect1d(
        earlier_channels, later_channels, return_indices=True
    )
    earlier_params = earlier["params"].values[earlier_rows]
    later_params = later["params"].values[later_rows]
    energies = before["line_energy"].values
    shifts = line_shifts.line_shifts(earlier_params, later_params, energies)
    values = {
        "pixel": shared,
        "shift": (("pixel", "line"), shifts),
        "has_jumped": ("pixel", line_shifts.have_jumped(shifts)),
    }
    attributes = {
        "before": before.attrs["run"],
        "after": after.attrs["run"],
        "sample": before.attrs.get("sample", ""),
    }
    return before[["line_name"]].assign(values).assign_attrs(attributes)


def select_pixels(dataset: xr.Dataset) -> list[int]:
    """Return the channel numbers of pixels that are not ok.

    One of each reason comes first, then the next of each; at most `MAX_PAGES`.
    """
    channels = dataset["pixel"].values.tolist()
    statuses = dataset["status"].values.tolist()
    counts: Counter[str] = Counter()
    ranked = []
    for channel, status in zip(channels, statuses, strict=True):
        reason = status.partition(":")[0]
        if reason != PixelState.OK:
            ranked.append((counts[reason], channel))
            counts[reason] += 1
    return [channel for _, channel in sorted(ranked)[:MAX_PAGES]]


def check_pixels(
    datasets: Mapping[str, xr.Dataset], pixels: Iterable[int]
) -> list[str]:
    """Check that reference runs have some pixels.

    Parameters
    ----------
    datasets : mapping of str to Dataset
        Name of the run -> as `schema.PIXEL_CALIBRATION`; at least one.
    pixels : iterable of int
        Channel numbers.

    Returns
    -------
    list of str
        A line for each pixel that only some of the runs have.

    Raises
    ------
    UsageError
        No run has the pixel.
    """
    of_runs = {name: dataset["pixel"].values for name, dataset in datasets.items()}
    lines = []
    for pixel in pixels:
        lacking = [name for name, channels in of_runs.items() if pixel not in channels]
        line = f"pixel {pixel}: not in {', '.join(lacking)}"
        if len(lacking) == len(of_runs):
            available = labels.list_channels(np.unique(np.hstack([*of_runs.values()])))
            raise UsageError(f"{line}; available: {available}")
        if lacking:
            lines.append(line)
    return lines
