"""Config files: read with the line of every mistake, and written resolved."""

from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from rixs_pipeline.config import reference_sets
from rixs_pipeline.config.messages import did_you_mean, validate
from rixs_pipeline.config.models import Config
from rixs_pipeline.config.yaml_lines import (
    Document,
    Place,
    from_values,
    merge,
    read_yaml,
    write_yaml,
)
from rixs_pipeline.errors import ConfigError

_REPLACED_SECTIONS = (("regions",),)  # by a later file, as a whole
_YAML_SUFFIXES = (".yaml", ".yml")
# What could run programs, or send work and data to other machines
_NEEDS_TRUST = {
    ("execution", "cluster", "setup"): "runs shell commands",
    ("execution", "cluster", "options"): "passes options to sbatch",
    ("execution", "scheduler"): "sends work to another machine",
}


def load_config(
    path: Path | None,
    site: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    is_trusted: bool = False,
) -> Config:
    """Return the config of the site file < the beamtime's file < the command line.

    Mappings merge key by key; `regions` and everything that is not a mapping is
    replaced. An empty section counts as not given. The path of a reference set is
    relative to the file that names it.

    The file of a beamtime may come from somebody else. What could run programs or send
    work to other machines is refused in it, unless the file is trusted.

    Parameters
    ----------
    path
        The beamtime's file; None: defaults.
    site
        File of the same form for all beamtimes of a beamline.
    overrides
        Sections of the config as nested mappings, from the command line.
    is_trusted
        Whether the beamtime's file may do all that a file of the site may.

    Returns
    -------
    Config
        The validated config.

    Raises
    ------
    ConfigError
        One line a problem, `file:line: key.key: what is wrong`.
    """
    documents = [_read_file(file) for file in (site, path) if file]
    documents.append(from_values(dict(overrides or {}), "command line"))
    merged = Document({}, {(): Place("config")})
    for document in documents:
        merged = merge(merged, _without_empty_sections(document), _REPLACED_SECTIONS)
    config = validate(Config, merged)
    if path and path != site and not is_trusted:
        _check_trust(config, merged, str(path))
    _check_reference(config, merged)
    return config


def _check_trust(config: Config, document: Document, source: str) -> None:
    """Raise a ConfigError for what only the site or the command line may set."""
    execution = config.execution
    is_set = {
        ("execution", "cluster", "setup"): execution.cluster.setup,
        ("execution", "cluster", "options"): execution.cluster.options,
        ("execution", "scheduler"): execution.is_remote,
    }
    problems = [
        document.problem(
            keys,
            f"{effect}; move it to a file for --site, or add --trust if you trust "
            "this file",
        )
        for keys, effect in _NEEDS_TRUST.items()
        if is_set[keys] and document.place(keys).source == source
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _read_file(path: Path) -> Document:
    """Read a config file, and make the path of its own reference set absolute."""
    document = read_yaml(path)
    calibration = document.data.get("calibration")
    if isinstance(calibration, dict):
        reference = calibration.get("reference")
        if isinstance(reference, str) and Path(reference).suffix in _YAML_SUFFIXES:
            calibration["reference"] = str((path.parent / reference).resolve())
    return document


def _without_empty_sections(document: Document) -> Document:
    """Return a document without sections that were left empty."""
    data = {
        section: value for section, value in document.data.items() if value is not None
    }
    return Document(data, document.places)


def _check_reference(config: Config, document: Document) -> None:
    """Raise a ConfigError for a missing reference set, unknown lines or variants."""
    calibration = config.calibration
    try:
        reference_sets.find_set(calibration.reference)
    except ConfigError as error:
        problem = document.problem(("calibration", "reference"), str(error))
        raise ConfigError(problem) from error
    problems = [*_unknown_lines(config, document), *_wrong_hints(config, document)]
    for variant_problem in reference_sets.find_variant_problems(
        calibration.reference, calibration.variants or ""
    ):
        keys = ("calibration", "variants", *variant_problem.keys)
        problems.append(document.problem(keys, variant_problem.text))
    if problems:
        raise ConfigError("\n".join(problems))


def _unknown_lines(config: Config, document: Document) -> Iterator[str]:
    """Yield one line for each line of the config that the reference set lacks."""
    reference, lines = config.calibration.reference, config.calibration.lines
    if not lines:
        return
    names = reference_sets.line_names(reference)
    for number, line in enumerate(lines):
        if line not in names:
            text = f"no line '{line}' in {reference} ({did_you_mean(line, names)})"
            yield document.problem(("calibration", "lines", number), text)


def _wrong_hints(config: Config, document: Document) -> Iterator[str]:
    """Yield a line for each hint of an unknown line, and for hints out of order."""
    reference, hints = config.calibration.reference, config.calibration.hints
    if not hints:
        return
    energies = reference_sets.line_energies(reference)
    for pixel, lines in hints.items():
        keys = ("calibration", "hints", pixel)
        unknown = [line for line in lines.values() if line not in energies]
        for line in unknown:
            text = f"no line '{line}' in {reference} ({did_you_mean(line, energies)})"
            yield document.problem(keys, text)
        if unknown:
            continue
        ascending = [line for _, line in sorted(lines.items())]
        for lower, higher in pairwise(ascending):
            if energies[lower] >= energies[higher]:
                text = (
                    f"{higher} has the higher pulse height, but not the higher energy"
                )
                yield document.problem(keys, f"{text} than {lower}")


def dump_config(config: Config, *, with_execution: bool = True) -> str:
    """Return the whole config as YAML that loads back to an equivalent one.

    Defaults are included, but not those of regions, which presets fill in, and of
    looks of figures.

    Parameters
    ----------
    config
        Resolved.
    with_execution
        Whether to include the section `execution`, which changes no result and may
        contain what counts only from files of the site.

    Returns
    -------
    str
        Ends with a newline.
    """
    values = config.model_dump(exclude=None if with_execution else {"execution"})
    if config.regions is not None:
        values["regions"] = {
            name: region.model_dump(exclude_unset=True)
            for name, region in config.regions.items()
        }
    values["plots"] = config.plots.model_dump(exclude_defaults=True)
    values["figures"] = {
        name: figure.model_dump(exclude_defaults=True)
        for name, figure in config.figures.items()
    }
    return write_yaml(_plain_values(values))


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of a config file."""
    return Config.model_json_schema()


def _plain_values(value: Any) -> Any:
    """Return what YAML can hold: lists for tuples, text for members of an Enum."""
    if isinstance(value, dict):
        return {
            _plain_values(key): _plain_values(entry) for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain_values(entry) for entry in value]
    return value.value if isinstance(value, Enum) else value
