"""Sets of reference lines from YAML files: the energy scale, with source and errors.

Tables give positions; a detector measures a shape. A line without a shape of its own
takes the one that was measured for it (HAUSKat 2024 fits) or, where there is none, a
single Lorentzian. Every shape is shifted so that its maximum, at a Gaussian resolution
of 1 eV FWHM, is at the line's energy: the maximum of such a line depends on the
resolution, so a position needs one.

A line may have variants, such as the oxide's beside the metal's: positions,
uncertainties and shapes of their own, or a shift from the line. The config chooses;
the set records the choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import hypot
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from rixs_pipeline.config.base import Model
from rixs_pipeline.config.calibration import ReferenceLine, ReferenceSet
from rixs_pipeline.config.messages import did_you_mean, validate
from rixs_pipeline.config.yaml_lines import Document, read_yaml
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.files.opening import is_file, one_line
from rixs_pipeline.paths import configs_folder, reference_set

# of binders and salts, in no set: W. T. Elam et al., Radiat. Phys. Chem. 63, 121 (2002)
FLUORINE_EV = 676.8
POSITION_FWHM = 1.0  # eV: resolution at which positions are defined
# eV: between the L alpha lines of the 3d metals (about 2) and of their oxides (4 to 5)
DEFAULT_WIDTH = 3.0
_SHAPES_SET = "hauskat2024"
_GRID_POINTS = 1 << 14  # periodic over 160 eV, far beyond any shape
_GRID_STEP = 0.01  # eV
_FOURIER_SIGMAS = 8  # beyond them the Gaussian's Fourier transform is below 2e-14
_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))

_LARGEST_EV = 1e6  # of any number in eV
_LARGEST_WIDTH = 100.0  # eV, of a Lorentzian or Gaussian
_LARGEST_SPREAD = 70.0  # eV, of the Lorentzians of a line: within the grid

Positive = Annotated[float, Field(gt=0, le=_LARGEST_EV)]
Position = Annotated[float, Field(ge=-_LARGEST_EV, le=_LARGEST_EV)]
Width = Annotated[float, Field(gt=0, le=_LARGEST_WIDTH)]
Share = Annotated[float, Field(ge=1e-6, le=1e6)]
Shape = tuple[tuple[float, float, float], ...]  # offset eV, FWHM eV, share of the area
# one word for all lines that have such a variant, or line -> word
Variants = str | Mapping[str, str]


class _Shaped(Model):
    """Shape of a line as it leaves the sample."""

    shape: tuple[tuple[Position, Width, Share], ...] | None = Field(
        None,
        min_length=1,
        description="Lorentzians: [position relative to an arbitrary zero, FWHM, "
        "fraction of the area], positions and widths in eV",
    )
    sigma: float = Field(
        0.0,
        ge=0,
        le=_LARGEST_WIDTH,
        description="standard deviation of the Gaussian that the Lorentzians are "
        "convolved with, eV",
    )

    @field_validator("shape")
    @classmethod
    def _check_spread(cls, shape: Shape | None) -> Shape | None:
        positions = [position for position, _, _ in shape or ((0.0, 1.0, 1.0),)]
        spread = max(positions) - min(positions)
        if spread > _LARGEST_SPREAD:
            raise ValueError(
                f"the positions differ by {spread:g} eV; those of a line by at most "
                f"{_LARGEST_SPREAD:g} eV"
            )
        return shape


class _VariantEntry(_Shaped):
    """The line in another chemical state.

    Either `energy` and `uncertainty`, or a `shift`; without a shape, the line's.
    """

    energy: Positive | None = Field(None, description="energy of the line, eV")
    uncertainty: Positive | None = Field(
        None, description="standard deviation of the energy, eV"
    )
    shift: tuple[Position, Positive] | None = Field(
        None,
        description="[offset from the line, standard deviation of the offset], "
        "eV; the standard deviation is added in quadrature to the uncertainty of "
        "the line",
    )
    source: str


class _LineEntry(_Shaped):
    """A line as a person writes it."""

    energy: Positive = Field(description="energy of the line, eV")
    uncertainty: Positive = Field(description="standard deviation of the energy, eV")
    source: str | None = Field(
        None,
        description="literature source of the energy; default: that of the reference "
        "set",
    )
    material: str = Field(
        "",
        description="material on which the line was measured, such as metal; as a "
        "variant, it selects the line itself",
    )
    variants: dict[str, _VariantEntry] = Field(
        {}, description="variant -> the line in this chemical state"
    )
    shape_from: Literal["hauskat2024"] | None = Field(
        None, description="reference set that contains the shape of this line"
    )
    satellite_of: str | None = None


class _SetFile(Model):
    """A file of reference lines."""

    name: str | None = Field(
        None, description="name of the set; default: the name of the file"
    )
    source: str
    lines: dict[str, _LineEntry] = Field(min_length=3)


@dataclass(frozen=True)
class VariantProblem:
    """What is wrong with a requested variant."""

    keys: tuple[str, ...]  # the line; empty: one word for all lines
    text: str


def find_set(name_or_path: str | Path) -> Path:
    """Return the file of a set: a set that ships, by name, or the path of a .yaml file.

    Raises
    ------
    ConfigError
        No such set; the message lists those that ship.
    """
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return Path(name_or_path)
    path = reference_set(str(name_or_path))
    if not is_file(path):
        names = sorted(
            path.stem for path in (configs_folder() / "references").glob("*.yaml")
        )
        raise ConfigError(
            f"no reference set '{one_line(str(name_or_path))}'; choose from "
            f"{', '.join(names)}, or give a .yaml file"
        )
    return path


def line_names(name_or_path: str | Path) -> list[str]:
    """Return the names of the lines of a set, in the order of the file.

    Raises
    ------
    ConfigError
        No such set, or an invalid file; with file, line and key.
    """
    return list(_read_entries(find_set(name_or_path)).lines)


def line_energies(name_or_path: str | Path) -> dict[str, float]:
    """Return the energies of the lines of a set, eV.

    Raises
    ------
    ConfigError
        No such set, or an invalid file; with file, line and key.
    """
    lines = _read_entries(find_set(name_or_path)).lines
    return {name: line.energy for name, line in lines.items()}


@cache
def known_lines() -> dict[str, float]:
    """Return the energies of the lines of all sets that ship, eV.

    Those of different sets differ by up to 3 eV: a line has an entry for each set,
    named after line and set, such as `Co_La elam`.
    """
    folder = configs_folder() / "references"
    lines = {"F_Ka": FLUORINE_EV}
    for path in sorted(folder.glob("*.yaml")):
        for name, energy in line_energies(path).items():
            lines[f"{name} {path.stem}"] = energy
    return lines


def load_reference_set(
    name_or_path: str | Path, variants: Variants = ""
) -> ReferenceSet:
    """Return a set of reference lines with their shapes.

    Parameters
    ----------
    name_or_path
        `srd128`, `elam`, `ucal`, `hauskat2024`, or the path of a similar .yaml file.
    variants
        Line -> variant, or one word for all lines that have such a variant; default:
        the lines themselves.

    Returns
    -------
    ReferenceSet
        Shapes have offsets relative to the line's energy, and shares that sum to 1.

    Raises
    ------
    ConfigError
        No such set or variant, or an invalid file; with file, line and key.
    """
    path = find_set(name_or_path)
    problems = find_variant_problems(path, variants)
    if problems:
        texts = [f"variants: {problem.text}" for problem in problems]
        raise ConfigError("\n".join(texts))
    entries = _read_entries(path)
    lines: dict[str, ReferenceLine] = {}
    chosen: dict[str, str] = {}
    for name, entry in entries.lines.items():
        word = variants if isinstance(variants, str) else variants.get(name, "")
        if word in entry.variants:
            chosen[name] = word
            entry = _apply_variant(entry, word)
        lines[name] = _to_line(entry, _measured_lines().get(name), entries.source)
    return ReferenceSet(
        name=entries.name or path.stem,
        source=entries.source,
        lines=lines,
        variants=chosen,
    )


def find_variant_problems(
    name_or_path: str | Path, variants: Variants
) -> list[VariantProblem]:
    """Return which of the requested variants a set lacks.

    Parameters
    ----------
    name_or_path
        As for `load_reference_set`.
    variants
        As for `load_reference_set`.

    Returns
    -------
    list of VariantProblem
        Empty: none.

    Raises
    ------
    ConfigError
        No such set, or an invalid file; with file, line and key.
    """
    path = find_set(name_or_path)
    lines = _read_entries(path).lines
    words = {name: _variant_words(line) for name, line in lines.items()}
    if isinstance(variants, str):
        all_words = set().union(*words.values())
        if variants and variants not in all_words:
            text = (
                f"no variant '{variants}' in {path.stem}; available: "
                f"{_listed(all_words)}"
            )
            return [VariantProblem((), text)]
        return []
    problems = []
    for name, word in variants.items():
        text = ""
        if name not in lines:
            text = f"no line '{name}' in {path.stem} ({did_you_mean(name, lines)})"
        elif word not in words[name]:
            text = (
                f"no variant '{word}' of {name} in {path.stem}; available: "
                f"{_listed(words[name])}"
            )
        if text:
            problems.append(VariantProblem((name,), text))
    return problems


def _variant_words(line: _LineEntry) -> set[str]:
    """Return the names of a line's variants, including that of the line itself."""
    return {word for word in (*line.variants, line.material) if word}


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words)) or "none"


def _apply_variant(line: _LineEntry, word: str) -> _LineEntry:
    """Return a line with the values of its variant."""
    variant = line.variants[word]
    changes: dict[str, Any] = {
        "material": word,
        "source": variant.source,
        "energy": variant.energy,
        "uncertainty": variant.uncertainty,
    }
    if variant.shift is not None:
        shift, shift_error = variant.shift
        changes["energy"] = line.energy + shift
        changes["uncertainty"] = hypot(line.uncertainty, shift_error)
    if variant.shape:
        changes |= {"shape": variant.shape, "sigma": variant.sigma}
    return line.model_copy(update=changes)


def _to_line(
    entry: _LineEntry, measured: _LineEntry | None, source: str
) -> ReferenceLine:
    """Return a line with its own shape, the measured one, or a single Lorentzian."""
    has_measured_shape = entry.shape is None and measured is not None
    shaped = measured if has_measured_shape and measured else entry
    shape = shaped.shape or ((0.0, DEFAULT_WIDTH, 1.0),)
    return ReferenceLine(
        energy=entry.energy,
        uncertainty=entry.uncertainty,
        source=entry.source or source,
        variant=entry.material,
        shape=_normalised_shape(shape, shaped.sigma),
        sigma=shaped.sigma,
        satellite_of=entry.satellite_of,
    )


def _read_entries(path: Path) -> _SetFile:
    """Read and check a file; one that has not changed is read once."""
    status = path.stat() if is_file(path) else None
    version = (status.st_mtime_ns, status.st_size) if status else None
    return _read_version(path, version)


@cache
def _read_version(path: Path, _version: tuple[int, int] | None) -> _SetFile:
    document = read_yaml(path)
    entries = validate(_SetFile, document)
    for name, line in entries.lines.items():
        _check_satellite(name, entries, document)
        _check_shape_source(name, line, document)
        _check_variants(name, line, document)
    return entries


def _error(document: Document, keys: tuple[str, ...], text: str) -> ConfigError:
    return ConfigError(document.problem(keys, text))


def _check_satellite(name: str, entries: _SetFile, document: Document) -> None:
    """Raise an error if a satellite's main line is missing, or a satellite of it."""
    main_name = entries.lines[name].satellite_of
    if not main_name:
        return
    main = entries.lines.get(main_name)
    if main is None or main.satellite_of == name:
        keys = ("lines", name, "satellite_of")
        text = f"must name another line of this set, not '{main_name}'"
        raise _error(document, keys, text)


def _check_shape_source(name: str, line: _LineEntry, document: Document) -> None:
    """Raise an error if a line takes its shape from two places, or from none."""
    if not line.shape_from:
        return
    if line.shape or line.sigma:
        text = "`shape_from` excludes `shape` and `sigma`; remove one or the other"
        raise _error(document, ("lines", name), text)
    if name not in _measured_lines():
        names = ", ".join(_measured_lines())
        text = f"no shape of {name} in {line.shape_from}; available: {names}"
        raise _error(document, ("lines", name, "shape_from"), text)


def _check_variants(name: str, line: _LineEntry, document: Document) -> None:
    """Raise an error unless every variant has a name of its own and one position."""
    for word, variant in line.variants.items():
        keys = ("lines", name, "variants", word)
        if word == line.material:
            text = "is the `material` of the line itself; choose another name"
            raise _error(document, keys, text)
        has_energy = variant.energy is not None
        has_uncertainty = variant.uncertainty is not None
        has_shift = variant.shift is not None
        if has_energy != has_uncertainty or has_energy == has_shift:
            text = "set either `energy` and `uncertainty`, or `shift`"
            raise _error(document, keys, text)
        if variant.sigma and not variant.shape:
            text = "requires `shape`; set `shape` too, or remove `sigma`"
            raise _error(document, (*keys, "sigma"), text)


@cache
def _measured_lines() -> dict[str, _LineEntry]:
    """Return the lines whose shapes were measured."""
    return _read_entries(reference_set(_SHAPES_SET)).lines


@cache
def _normalised_shape(shape: Shape, sigma: float) -> Shape:
    """Return a shape with its maximum at 0 and an area of 1."""
    area = sum(share for _, _, share in shape)
    maximum = maximum_position(shape, sigma)
    return tuple(
        (float(offset - maximum), fwhm, share / area) for offset, fwhm, share in shape
    )


def maximum_position(shape: Shape, sigma: float, fwhm: float = POSITION_FWHM) -> float:
    """Return the maximum of a line at a Gaussian resolution, to 1e-4 eV.

    Parameters
    ----------
    shape
        Lorentzians of the line.
    sigma
        Gaussian part of the emitted shape, standard deviation, eV.
    fwhm
        Full width at half maximum of the resolution, eV.

    Returns
    -------
    float
        Relative to the zero of the offsets, eV.

    Notes
    -----
    The sum of Voigt profiles is computed as the inverse Fourier transform of
    sum_j share_j exp(-i k offset_j - |k| fwhm_j / 2 - (k s)^2 / 2), where s is the
    total Gaussian standard deviation. Its maximum is the vertex of the parabola through
    the three highest points.
    """
    offset, width, share = np.array(shape, dtype=float).T
    total_sigma = np.hypot(sigma, fwhm * _SIGMA_PER_FWHM)
    centre = offset.mean()
    wave_number = 2 * np.pi * np.fft.rfftfreq(_GRID_POINTS, _GRID_STEP)
    k = wave_number[wave_number < _FOURIER_SIGMAS / total_sigma]
    lorentzians = np.exp(-k[:, None] * (1j * (offset - centre) + width / 2)) @ share
    transform = lorentzians * np.exp(-0.5 * (total_sigma * k) ** 2)
    profile = np.fft.fftshift(np.fft.irfft(transform, _GRID_POINTS))
    top = int(np.argmax(profile))
    below, highest, above = profile[top - 1 : top + 2]
    shift = 0.5 * (below - above) / (below - 2 * highest + above)
    vertex = top - _GRID_POINTS // 2 + shift
    return float(centre + _GRID_STEP * vertex)
