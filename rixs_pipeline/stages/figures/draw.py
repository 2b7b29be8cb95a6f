"""Draw figures, except those that would look the same as before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.io import provenance
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.plots.options import (
    NO_OPTIONS,
    FigureOptions,
    figure_texts,
    finish,
    using_options,
)
from rixs_pipeline.plots.style import encode_figure
from rixs_pipeline.stages.stage import FigureFiles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# attributes of products that no figure shows
PROVENANCE = {
    "config_hash",
    "option_hashes",
    "input_hashes",
    "program_version",
    "command",
}


@dataclass(frozen=True)
class PlannedFigure:
    """A figure, before it is drawn.

    Attributes
    ----------
    path : Path
        Of the file, without the suffix of its format.
    content : JSON values, datasets, arrays and dataclasses of them
        All that the figure depends on, apart from the code and the options.
    plot : callable
        Returns the figure.
    options : FigureOptions
        How it looks, and in which formats it is saved.
    """

    path: Path
    content: Any
    plot: Callable[[], Figure]
    options: FigureOptions = NO_OPTIONS

    def digest(self) -> str:
        """Return a digest of what the figure shows, and of the code that draws it."""
        looks = replace(self.options, formats=())
        content = [self.content, looks, provenance.code_version()]
        text = json.dumps(content, sort_keys=True, default=_describe)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def files(self) -> list[Path]:
        """Return its files, one a format."""
        stem = self.path.name
        return [self.path.with_name(f"{stem}.{f}") for f in self.options.formats]

    def draw(self, files: Iterable[Path]) -> tuple[str, ...]:
        """Draw the figure, and save it in some of its files.

        Returns
        -------
        tuple of str
            The texts as they are without labels; empty if there are no labels.
        """
        with using_options(self.options):
            figure = self.plot()
            texts = figure_texts(figure) if self.options.labels else ()
            finish(figure)
            for path in files:
                content = encode_figure(figure, path.suffix.removeprefix("."))
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
        return texts


@dataclass(frozen=True)
class FigureSet:
    """Figures that are made from the same products.

    Attributes
    ----------
    name : str
        As `status` lists it.
    sources : tuple of Path
        The products.
    options : JSON values
        What the figures depend on besides the sources.
    plan : callable
        Reads the sources and yields the figures; can be sent to another process.
    """

    name: str
    sources: tuple[Path, ...]
    options: Any
    plan: Callable[[], Iterable[PlannedFigure]]


@dataclass(frozen=True)
class FigureTask:
    """The work of drawing a set of figures.

    Attributes
    ----------
    out : Path
        Folder of the results.
    plan : callable
        As in `FigureSet`.
    digests : mapping of str to str
        Files that are there as they were drawn, relative to `out` -> digest of what
        they show.
    part, n_parts : int
        Which figures of the set: each `n_parts`-th one, from number `part` on.
    """

    out: Path
    plan: Callable[[], Iterable[PlannedFigure]]
    digests: Mapping[str, str]
    part: int = 0
    n_parts: int = 1

    def split(self, n_parts: int) -> list[FigureTask]:
        """Return tasks that draw the figures together."""
        return [replace(self, part=part, n_parts=n_parts) for part in range(n_parts)]


def draw_figures(task: FigureTask) -> FigureFiles:
    """Draw those figures of a set that are missing or would look different.

    Raises
    ------
    OSError
        Some of them cannot be written; the others are.
    """
    errors: list[OSError] = []
    digests: dict[str, str] = {}
    new_files: list[str] = []
    texts: dict[str, tuple[str, ...]] = {}
    drawn = (figure for figure in task.plan() if figure.options.draw)
    for figure in islice(drawn, task.part, None, task.n_parts):
        digest = figure.digest()
        names = {str(path.relative_to(task.out)): path for path in figure.files()}
        digests |= dict.fromkeys(names, digest)
        try:
            stale = {
                name: path
                for name, path in names.items()
                if task.digests.get(name) != digest or not path.is_file()
            }
            new_texts = figure.draw(stale.values()) if stale else ()
        except OSError as error:
            errors.append(error)
            continue
        new_files += stale
        if new_texts:
            section = figure.options.section
            texts |= dict.fromkeys(stale, (section, *new_texts))
    if errors:
        raise errors[0]
    return FigureFiles(digests, tuple(new_files), texts)


def join_figures(first: FigureFiles, second: FigureFiles) -> FigureFiles:
    """Return the figures of two parts of a set."""
    new_files = (*first.new_files, *second.new_files)
    texts = {**first.texts, **second.texts}
    return FigureFiles({**first.digests, **second.digests}, new_files, texts)


def _describe(value: Any) -> Any:
    """Return arrays, dataclasses and datasets as JSON values."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value):
        return vars(value)
    return _describe_dataset(value)


def _describe_dataset(dataset: xr.Dataset) -> dict[str, Any]:
    """Return attributes, and digests of the variables, of a dataset."""
    described: dict[str, Any] = {
        name: value for name, value in dataset.attrs.items() if name not in PROVENANCE
    }
    for name, variable in dataset.variables.items():
        values = np.asarray(variable.values)
        is_text = values.dtype.kind == "O"
        data = repr(values.tolist()).encode() if is_text else values.tobytes()
        digest = hashlib.blake2b(data).hexdigest()
        described[f"variable {name}"] = [variable.dims, variable.attrs, digest]
    return described
