"""Sets of reference lines from YAML files: the energy scale, with the source and uncertainty of every line.

Tables give positions; what a detector sees is a shape. A line without a shape of its own takes the one that was
measured for it (HAUSKat 2024 fits) or, where there is none, a single Lorentzian. Every shape is moved so that its
maximum, seen with a Gaussian resolution of 1 eV FWHM, stands at the line's energy: the maximum of such a line moves
with the resolution, so a position means nothing without one.

A line may have variants, such as the oxide's beside the metal's: positions, uncertainties and shapes of their own, or
a shift from the line. The config chooses; the set that comes out tells what was chosen.
"""

from collections.abc import Mapping
from functools import cache
from math import hypot
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rixs_pipeline.config.messages import did_you_mean, validate
from rixs_pipeline.config.models import Model, ReferenceLine, ReferenceSet
from rixs_pipeline.config.yaml_lines import Document, read
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.paths import configs_folder, reference_set

POSITION_FWHM = 1.0  # eV: the resolution at which positions are meant
DEFAULT_WIDTH = 3.0  # eV: between the L alpha of the 3d metals (about 2) and of their oxides (4 to 5)
_SHAPES = "hauskat2024"
_GRID, _GRID_STEP = (
    1 << 14,
    0.01,
)  # points, eV: periodic over 160 eV, far beyond any shape
_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))

Positive = Annotated[float, Field(gt=0)]
Shape = tuple[tuple[float, float, float], ...]
Variants = (
    str | Mapping[str, str]
)  # one word for all lines that have it, or line -> word


class _Shaped(Model):
    """The emitted shape."""

    shape: tuple[tuple[float, Positive, Positive], ...] | None = Field(
        None,
        min_length=1,
        description="Lorentzians: [position eV from any zero, full width eV, share of the area]",
    )
    sigma: float = Field(
        0.0, ge=0, description="Gaussian that the Lorentzians are convolved with, eV"
    )


class _VariantEntry(_Shaped):
    """The line in another chemical state: `energy` and `uncertainty`, or a `shift`; without a shape, the line's."""

    energy: Positive | None = Field(None, description="eV")
    uncertainty: Positive | None = Field(None, description="one standard deviation, eV")
    shift: tuple[float, Positive] | None = Field(
        None,
        description="from the line and one standard deviation of that, eV: added to the line's in quadrature",
    )
    source: str


class _LineEntry(_Shaped):
    """A line as a person writes it."""

    energy: Positive = Field(description="eV")
    uncertainty: Positive = Field(description="one standard deviation, eV")
    source: str | None = Field(None, description="default: the set's")
    material: str = Field(
        "",
        description="what it was measured on: the name of the line itself among its variants",
    )
    variants: dict[str, _VariantEntry] = Field(
        {}, description="the line in other chemical states, by name"
    )
    shape_from: Literal["hauskat2024"] | None = Field(
        None, description="the set that has the shape of this line"
    )
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
        names = sorted(
            each.stem for each in (configs_folder() / "references").glob("*.yaml")
        )
        raise ConfigError(
            f"no reference set '{name_or_path}'; there are {', '.join(names)}, or give a .yaml file"
        )
    return path


def line_names(name_or_path: str | Path) -> list[str]:
    """The names of the lines of a set, in the order of the file.

    Raises:
        ConfigError: no such set, or a wrong file; with file, line and key.
    """
    return list(_entries(find(name_or_path)).lines)


def load_reference_set(
    name_or_path: str | Path, variants: Variants = ""
) -> ReferenceSet:
    """A set of reference lines with their shapes: offsets relative to the line's energy, shares that add up to 1.

    Args:
        name_or_path: `srd128`, `elam`, `ucal`, `hauskat2024`, or the path of a .yaml file like theirs.
        variants: line -> variant, or one word for all lines that have a variant of that name; default: the lines
            themselves.

    Raises:
        ConfigError: no such set or variant, or a wrong file; with file, line and key.
    """
    path = find(name_or_path)
    problems = variant_problems(path, variants)
    if problems:
        raise ConfigError("\n".join(f"variants: {text}" for _, text in problems))
    entries, lines, chosen = _entries(path), {}, {}
    for name, line in entries.lines.items():
        word = variants if isinstance(variants, str) else variants.get(name, "")
        if word in line.variants:
            line, chosen[name] = _as_variant(line, word), word
        lines[name] = _line(line, _measured().get(name), entries.source)
    return ReferenceSet(
        name=entries.name or path.stem,
        source=entries.source,
        lines=lines,
        variants=chosen,
    )


def variant_problems(
    name_or_path: str | Path, variants: Variants
) -> list[tuple[tuple[str, ...], str]]:
    """What the set does not have of the variants asked for: the key (empty for one word for all), and what is wrong.

    Raises:
        ConfigError: no such set, or a wrong file; with file, line and key.
    """
    path = find(name_or_path)
    lines = _entries(path).lines
    problems: list[tuple[tuple[str, ...], str]] = []
    if isinstance(variants, str):
        words = {word for line in lines.values() for word in _words(line)}
        if variants and variants not in words:
            problems.append(
                ((), f"no variant '{variants}' in {path.stem}; it has {_listed(words)}")
            )
        return problems
    for name, word in variants.items():
        if name not in lines:
            problems.append(
                (
                    (name,),
                    f"no line '{name}' in {path.stem} ({did_you_mean(name, lines)})",
                )
            )
        elif word not in (words := _words(lines[name])):
            problems.append(
                (
                    (name,),
                    f"no variant '{word}' of {name} in {path.stem}; it has {_listed(words)}",
                )
            )
    return problems


def _words(line: _LineEntry) -> set[str]:
    """The names of a line's variants, its own among them where it has one."""
    return {*line.variants, *filter(None, [line.material])}


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words)) or "none"


def _as_variant(line: _LineEntry, word: str) -> _LineEntry:
    """The line with what its variant says otherwise."""
    variant = line.variants[word]
    said = {
        "material": word,
        "source": variant.source,
        "energy": variant.energy,
        "uncertainty": variant.uncertainty,
    }
    if variant.shift is not None:
        by, error = variant.shift
        said |= {
            "energy": line.energy + by,
            "uncertainty": hypot(line.uncertainty, error),
        }
    return line.model_copy(
        update=said
        | ({"shape": variant.shape, "sigma": variant.sigma} if variant.shape else {})
    )


def _line(line: _LineEntry, measured: _LineEntry | None, source: str) -> ReferenceLine:
    """A line with its shape: its own, the measured one, or where there is none a single Lorentzian."""
    shaped = measured if line.shape is None and measured is not None else line
    shape = shaped.shape or ((0.0, DEFAULT_WIDTH, 1.0),)
    return ReferenceLine(
        energy=line.energy,
        uncertainty=line.uncertainty,
        source=line.source or source,
        variant=line.material,
        shape=_placed(shape, shaped.sigma),
        sigma=shaped.sigma,
        satellite_of=line.satellite_of,
    )


def _entries(path: Path) -> _SetFile:
    """The file as written, with its references between lines checked; read once while it does not change."""
    status = path.stat() if path.is_file() else None
    return _read_entries(path, status and (status.st_mtime_ns, status.st_size))


@cache
def _read_entries(path: Path, _: tuple[int, int] | None) -> _SetFile:
    document = read(path)
    entries = validate(_SetFile, document)
    for name, line in entries.lines.items():
        main = entries.lines.get(line.satellite_of or name)
        if main is None or main.satellite_of == name:
            place = document.place(("lines", name, "satellite_of"))
            raise ConfigError(
                f"{place}: lines.{name}.satellite_of: '{line.satellite_of}' is no other line of this set"
            )
        if line.shape_from and (line.shape or line.sigma):
            raise ConfigError(
                f"{document.place(('lines', name))}: lines.{name}: shape_from allows no shape or sigma"
            )
        if line.shape_from and name not in _measured():
            place = document.place(("lines", name, "shape_from"))
            there = ", ".join(_measured())
            raise ConfigError(
                f"{place}: lines.{name}.shape_from: {line.shape_from} has no {name}; it has {there}"
            )
        _check_variants(name, line, document)
    return entries


def _check_variants(name: str, line: _LineEntry, document: Document) -> None:
    """A variant has a name of its own and one position."""
    for word, variant in line.variants.items():
        keys = ("lines", name, "variants", word)
        place = f"{document.place(keys)}: {'.'.join(keys)}"
        if word == line.material:
            raise ConfigError(
                f"{place}: is the material of the line itself; choose another name"
            )
        said = (
            variant.energy is not None,
            variant.uncertainty is not None,
            variant.shift is not None,
        )
        if said not in ((True, True, False), (False, False, True)):
            raise ConfigError(f"{place}: give either energy and uncertainty, or shift")
        if variant.sigma and not variant.shape:
            raise ConfigError(f"{place}.sigma: is part of a shape; give shape too")


@cache
def _measured() -> dict[str, _LineEntry]:
    """The lines whose shapes were measured."""
    return _entries(reference_set(_SHAPES)).lines


@cache
def _placed(shape: Shape, sigma: float) -> Shape:
    """The shape with its maximum at 0 and its area 1."""
    total = sum(share for _, _, share in shape)
    zero = position(shape, sigma)
    return tuple(
        (float(offset - zero), fwhm, share / total) for offset, fwhm, share in shape
    )


def position(shape: Shape, sigma: float, fwhm: float = POSITION_FWHM) -> float:
    """Where the maximum of a line stands, seen with a Gaussian resolution, to 1e-4 eV.

    Args:
        shape: (offset eV, FWHM eV, share) of every Lorentzian.
        sigma: the Gaussian part of the emitted shape, eV.
        fwhm: the resolution's full width at half maximum, eV.
    """
    offset, width, share = np.array(shape, dtype=float).T
    seen, middle = np.hypot(sigma, fwhm * _SIGMA_PER_FWHM), offset.mean()
    # the Fourier transform of Voigt profiles, as far as the Gaussian leaves anything of it
    k = 2 * np.pi * np.fft.rfftfreq(_GRID, _GRID_STEP)
    k = k[k < 8 / seen]
    transform = (
        np.exp(-k[:, None] * (1j * (offset - middle) + width / 2))
        @ share
        * np.exp(-0.5 * (seen * k) ** 2)
    )
    profile = np.fft.fftshift(np.fft.irfft(transform, _GRID))
    top = int(np.argmax(profile))
    below, at, above = profile[top - 1 : top + 2]
    # the vertex of the parabola through the three highest points
    vertex = top - _GRID // 2 + 0.5 * (below - above) / (below - 2 * at + above)
    return float(middle + _GRID_STEP * vertex)
