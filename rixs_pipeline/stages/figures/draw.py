"""Figures that are drawn together, of which only those are drawn again that would show something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.io import provenance
from rixs_pipeline.plots.style import save

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

HOW_MADE = (
    "config_hash",
    "input_hashes",
    "program_version",
    "command",
)  # attributes that no figure shows
Shown = dict[str, str]  # file, relative to the output folder -> digest of what it shows


@dataclass
class Reused:
    """Makes figures, each in the one before it, which is saved by then: axes take longer to make than to fill."""

    make: Callable[..., Figure]  # its last argument: a figure to draw in, or None
    last: Figure | None = None

    def __call__(self, *what: Any) -> Figure:
        """The figure of that."""
        self.last = self.make(*what, self.last)
        return self.last


@dataclass
class Drawing:
    """The figures of one set, as they are added."""

    out: Path
    known: Mapping[str, str]  # of the figures that are there: as `shown`
    shown: Shown = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)

    def add(self, path: Path, shows: Any, make: Callable[[], Figure]) -> None:
        """Draw a figure, unless the file is there and shows just this already.

        Args:
            path: of the figure.
            shows: datasets and plain JSON values, in lists and dicts: all that the figure depends on.
            make: the figure.
        """
        name = str(path.relative_to(self.out))
        self.shown[name] = _digest(shows)
        if self.known.get(name) != self.shown[name] or not path.is_file():
            save(make(), path)
            self.drawn.append(name)


def _digest(shows: Any) -> str:
    """Of datasets and plain JSON values, and of the code that draws them."""
    text = json.dumps(
        [shows, provenance.code_version()], sort_keys=True, default=_contents
    )
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _contents(dataset: xr.Dataset) -> dict[str, Any]:
    """A dataset's values as digests, and what is said of them, but for how they were made."""
    found: dict[str, Any] = {
        name: value for name, value in dataset.attrs.items() if name not in HOW_MADE
    }
    for name, variable in dataset.variables.items():
        values = np.asarray(variable.values)
        data = (
            repr(values.tolist()).encode()
            if values.dtype.kind == "O"
            else values.tobytes()
        )
        found[f"variable {name}"] = [
            variable.dims,
            variable.attrs,
            hashlib.blake2b(data).hexdigest(),
        ]
    return found
