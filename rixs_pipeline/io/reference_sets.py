"""Sets of reference lines from YAML files: the energy scale, with the source and uncertainty of every line.

Tables give positions; what a detector sees is a shape. A line without a shape of its own takes the one that was
measured for it (HAUSKat 2024 fits) or, where there is none, a single Lorentzian. Every shape is moved so that its
maximum, seen with a Gaussian resolution of 1 eV FWHM, stands at the line's energy: the maximum of such a line moves
with the resolution, so a position means nothing without one.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rixs_pipeline.config import Model, ReferenceLine, ReferenceSet
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.io.yaml_lines import read
from rixs_pipeline.io.yaml_problems import validate
from rixs_pipeline.paths import configs_folder, reference_set

POSITION_FWHM = 1.0  # eV: the resolution at which positions are meant
DEFAULT_WIDTH = 3.0  # eV: between the L alpha of the 3d metals (about 2) and of their oxides (4 to 5)
_SHAPES = "hauskat2024"
_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))

Positive = Annotated[float, Field(gt=0)]
Shape = tuple[tuple[float, float, float], ...]


class _LineEntry(Model):
    """A line as a person writes it."""

    energy: Positive = Field(description="eV")
    uncertainty: Positive = Field(description="one standard deviation, eV")
    source: str | None = Field(None, description="default: the set's")
    shape: tuple[tuple[float, Positive, Positive], ...] | None = Field(
        None, min_length=1, description="Lorentzians: [position eV from any zero, full width eV, share of the area]"
    )
    sigma: float = Field(0.0, ge=0, description="Gaussian that the Lorentzians are convolved with, eV")
    shape_from: Literal["hauskat2024"] | None = Field(None, description="the set that has the shape of this line")
    satellite_of: str | None = None


class _SetFile(Model):
    """A file of reference lines."""

    name: str | None = Field(None, description="default: the name of the file")
    source: str
    lines: dict[str, _LineEntry] = Field(min_length=3)


def find(name_or_path: str | Path) -> Path:
    """The file of a set: one of those that ship, by name, or the path of a .yaml file.

    Raises:
        ConfigError: there is no such set; the message lists those that ship.
    """
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return Path(name_or_path)
    path = reference_set(str(name_or_path))
    if not path.is_file():
        names = sorted(each.stem for each in (configs_folder() / "references").glob("*.yaml"))
        raise ConfigError(f"no reference set '{name_or_path}'; there are {', '.join(names)}, or give a .yaml file")
    return path


def line_names(name_or_path: str | Path) -> list[str]:
    """The names of the lines of a set, in the order of the file.

    Raises:
        ConfigError: no such set, or a wrong file; with file, line and key.
    """
    return list(_entries(find(name_or_path)).lines)


def load_reference_set(name_or_path: str | Path) -> ReferenceSet:
    """A set of reference lines with their shapes: offsets relative to the line's energy, shares that add up to 1.

    Args:
        name_or_path: `srd128`, `elam`, `ucal`, `hauskat2024`, or the path of a .yaml file like theirs.

    Raises:
        ConfigError: no such set, or a wrong file; with file, line and key.
    """
    path = find(name_or_path)
    entries = _entries(path)
    lines = {name: _line(line, _measured().get(name), entries.source) for name, line in entries.lines.items()}
    return ReferenceSet(name=entries.name or path.stem, source=entries.source, lines=lines)


def _line(line: _LineEntry, measured: _LineEntry | None, source: str) -> ReferenceLine:
    """A line with its shape: its own, the measured one, or where there is none a single Lorentzian."""
    shaped = measured if line.shape is None and measured is not None else line
    shape = shaped.shape or ((0.0, DEFAULT_WIDTH, 1.0),)
    return ReferenceLine(
        energy=line.energy,
        uncertainty=line.uncertainty,
        source=line.source or source,
        shape=_placed(shape, shaped.sigma),
        sigma=shaped.sigma,
        satellite_of=line.satellite_of,
    )


def _entries(path: Path) -> _SetFile:
    """The file as written, with its references between lines checked."""
    document = read(path)
    entries = validate(_SetFile, document)
    for name, line in entries.lines.items():
        main = entries.lines.get(line.satellite_of or name)
        if main is None or main.satellite_of == name:
            place = document.place(("lines", name, "satellite_of"))
            raise ConfigError(f"{place}: lines.{name}.satellite_of: '{line.satellite_of}' is no other line of this set")
        if line.shape_from and (line.shape or line.sigma):
            raise ConfigError(f"{document.place(('lines', name))}: lines.{name}: shape_from allows no shape or sigma")
        if line.shape_from and name not in _measured():
            place = document.place(("lines", name, "shape_from"))
            there = ", ".join(_measured())
            raise ConfigError(f"{place}: lines.{name}.shape_from: {line.shape_from} has no {name}; it has {there}")
    return entries


@cache
def _measured() -> dict[str, _LineEntry]:
    """The lines whose shapes were measured."""
    return _entries(reference_set(_SHAPES)).lines


def _placed(shape: Shape, sigma: float) -> Shape:
    """The shape with its maximum at 0 and its area 1."""
    total = sum(share for _, _, share in shape)
    zero = position(shape, sigma)
    return tuple((float(offset - zero), fwhm, share / total) for offset, fwhm, share in shape)


def position(shape: Shape, sigma: float, fwhm: float = POSITION_FWHM) -> float:
    """Where the maximum of a line stands, seen with a Gaussian resolution, to 1e-4 eV.

    Args:
        shape: (offset eV, FWHM eV, share) of every Lorentzian.
        sigma: the Gaussian part of the emitted shape, eV.
        fwhm: the resolution's full width at half maximum, eV.
    """
    from scipy.special import voigt_profile

    offset, width, share = np.array(shape, dtype=float).T
    grid = np.arange(offset.min() - 2.0, offset.max() + 2.0, 0.01)
    profile = voigt_profile(grid[:, None] - offset, np.hypot(sigma, fwhm * _SIGMA_PER_FWHM), width / 2) @ share
    top = int(np.argmax(profile))
    below, at, above = profile[top - 1 : top + 2]
    # the vertex of the parabola through the three highest points
    return float(grid[top] + 0.01 * 0.5 * (below - above) / (below - 2 * at + above))
