"""Figures of single pixels of reference runs, drawn on request.

No set of figures has them, and run.json does not list them. A reduction keeps them as
long as the calibration that they show is not made again, and then deletes them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline import paths
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io import nexus
from rixs_pipeline.paths import FigureFolder
from rixs_pipeline.runner.results import summary_file
from rixs_pipeline.schema import PIXEL_CALIBRATION, SCHEMA_VERSION, check
from rixs_pipeline.stages.figures.options import options_by_kind
from rixs_pipeline.stages.figures.reference_runs import check_pixels, pixel_figures

if TYPE_CHECKING:
    import xarray as xr

LOG = logging.getLogger("rixs_pipeline")


def draw_pixel_figures(
    out: Path, pixels: Sequence[str], runs: Sequence[str] = ()
) -> Iterator[Path]:
    """Draw the figures of pixels from the calibrations in a folder of results.

    Everything is checked before the first one is drawn.

    Parameters
    ----------
    out : Path
        Folder of the results. Its config says how the figures look.
    pixels : sequence of str
        Channel numbers.
    runs : sequence of str
        Names of reference runs; empty: all.

    Yields
    ------
    Path
        Of each file, when it is written.

    Raises
    ------
    UsageError
        Not a folder of results, there is no such run, or no run has such a pixel.
    InputError
        There are no calibrations, or they cannot be read.
    """
    channels = _channel_numbers(pixels)
    summary_file.check_results(out, with_summary=False)
    names = _select_runs(out, runs)
    datasets = {name: _read_calibration(out, name) for name in names}
    for line in check_pixels(datasets, channels):
        LOG.warning("%s; not drawn", line)
    config = load_config(out / paths.RESOLVED_CONFIG, is_trusted=True)
    options = options_by_kind(config.plots, "pixel")["pixel"]
    for name, dataset in datasets.items():
        present = [channel for channel in channels if channel in dataset["pixel"]]
        for figure in pixel_figures(out, name, dataset, present, options):
            files = figure.files()
            figure.draw(files)
            yield from files


def find_outdated_figures(out: Path) -> list[str]:
    """Return the figures of pixels that are older than the calibrations they show.

    Relative to the folder of the results. Those that a reduction has drawn are among
    them if it has not drawn them again.
    """
    folder = paths.figures_folder(out) / FigureFolder.REFERENCE_RUNS
    outdated = []
    # folders that cannot be read are named by the products that fail
    with suppress(PermissionError):
        for path in sorted(folder.glob("*-pixel*")):
            match = paths.PIXEL_FIGURE.fullmatch(path.name)
            if match and _is_older(path, paths.calibration_product(out, match["run"])):
                outdated.append(str(path.relative_to(out)))
    return outdated


def _is_older(path: Path, source: Path) -> bool:
    """Return whether a file is older than its source, or the source is missing."""
    if not source.is_file():
        return True
    return path.lstat().st_mtime_ns < source.stat().st_mtime_ns


def _channel_numbers(pixels: Sequence[str]) -> list[int]:
    wrong = [text for text in pixels if not (text.isascii() and text.isdecimal())]
    if wrong or not pixels:
        raise UsageError(
            f"--pixel {','.join(wrong)}: not a channel number; give one or several, "
            "such as 13,14"
        )
    return list(dict.fromkeys(map(int, pixels)))


def _select_runs(out: Path, runs: Sequence[str]) -> list[str]:
    """Return the names of those reference runs that are asked for."""
    folder = paths.calibration_product(out, "").parent
    in_summary = [out / name for name in summary_file.made_products(out)]
    made = [path for path in in_summary if path.parent == folder]
    files = {*folder.glob("*.nxs"), *(path for path in made if path.suffix == ".nxs")}
    available = sorted(path.stem for path in files)
    if not available:
        raise InputError(
            f"{out}: no calibrations; make them first: rixs-pipeline run BEAMTIME "
            f"-o {out}"
        )
    wrong = [name for name in runs if name not in available]
    if wrong:
        raise UsageError(
            f"--run {','.join(wrong)}: no calibration of this run; available: "
            f"{', '.join(available)}"
        )
    return [name for name in available if name in runs or not runs]


def _read_calibration(out: Path, name: str) -> xr.Dataset:
    path = paths.calibration_product(out, name)
    again = f"repeat: rixs-pipeline run BEAMTIME -o {out}"
    if not path.is_file():
        raise InputError(f"{path}: missing; {again}")
    dataset = nexus.read_entry(path)
    try:
        check(dataset, PIXEL_CALIBRATION, name)
        is_readable = str(dataset.attrs.get("schema_version")) == str(SCHEMA_VERSION)
    except InputError as error:
        LOG.debug("%s", error)
        is_readable = False
    if not is_readable:
        version = dataset.attrs.get("program_version", "unknown")
        raise InputError(f"{path}: product of another version ({version}); {again}")
    return dataset
