"""Config files: read with the line of every mistake, written resolved, and begun for a beamtime."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from rixs_pipeline.config import reference_sets
from rixs_pipeline.config.messages import did_you_mean, validate
from rixs_pipeline.config.models import Config
from rixs_pipeline.config.template import initial_config
from rixs_pipeline.config.yaml_lines import Document, Place, merge, read, said, write
from rixs_pipeline.errors import ConfigError

__all__ = ["Config", "config_schema", "dump_config", "initial_config", "load_config"]

_REPLACED = (("regions",),)  # sections that a later file replaces as a whole


def load_config(
    path: Path | None,
    site: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The config that results from the site file < the beamtime's file < the command line.

    Mappings merge key by key; `regions` and everything that is not a mapping is replaced. An empty section counts as
    not given. The path of a reference set is taken relative to the file that names it.

    Args:
        path: the beamtime's file; None: defaults.
        site: what holds for all beamtimes of a beamline, of the same form.
        overrides: sections of the config as nested mappings, from the command line.

    Raises:
        ConfigError: one line a problem, `file:line: key.key: what is wrong`.
    """
    merged = Document({}, {(): Place("config")})
    for document in [_of_file(file) for file in (site, path) if file] + [
        said(dict(overrides or {}), "command line")
    ]:
        merged = merge(merged, _given(document), _REPLACED)
    config = validate(Config, merged)
    _check_lines(config, merged)
    return config


def _of_file(path: Path) -> Document:
    """A config file, the path of its own reference set made absolute."""
    document = read(path)
    calibration = document.data.get("calibration")
    if isinstance(calibration, dict):
        reference = calibration.get("reference")
        if isinstance(reference, str) and Path(reference).suffix in (".yaml", ".yml"):
            calibration["reference"] = str((path.parent / reference).resolve())
    return document


def _given(document: Document) -> Document:
    """The document without sections that were left empty."""
    data = {
        section: value for section, value in document.data.items() if value is not None
    }
    return Document(data, document.places)


def _check_lines(config: Config, document: Document) -> None:
    """The reference set must exist and hold the lines and variants that are asked for."""
    keys: tuple[Any, ...] = ("calibration", "reference")
    try:
        reference_sets.find(config.calibration.reference)
    except ConfigError as error:
        raise ConfigError(
            f"{document.place(keys)}: {'.'.join(keys)}: {error}"
        ) from error
    names = (
        reference_sets.line_names(config.calibration.reference)
        if config.calibration.lines
        else []
    )
    unknown = [
        (number, line)
        for number, line in enumerate(config.calibration.lines or ())
        if line not in names
    ]
    problems = [
        f"{document.place(('calibration', 'lines', number))}: calibration.lines.{number}: "
        f"no line '{line}' in {config.calibration.reference} ({did_you_mean(line, names)})"
        for number, line in unknown
    ]
    variants = ("calibration", "variants")
    for key, text in reference_sets.variant_problems(
        config.calibration.reference, config.calibration.variants or ""
    ):
        problems.append(
            f"{document.place(variants + key)}: {'.'.join(variants + key)}: {text}"
        )
    if problems:
        raise ConfigError("\n".join(problems))


def dump_config(config: Config) -> str:
    """The whole config, defaults included, as YAML that loads back to one that means the same.

    Regions hold what was said alone: what they leave unsaid, a preset fills in.
    """
    values = config.model_dump()
    if config.regions is not None:
        values["regions"] = {
            name: region.model_dump(exclude_unset=True)
            for name, region in config.regions.items()
        }
    return write(_plain(values))


def config_schema() -> dict[str, Any]:
    """The JSON schema of a config file."""
    return Config.model_json_schema()


def _plain(value: Any) -> Any:
    """Return what YAML can hold: lists for tuples, text for members of an Enum."""
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value.value if isinstance(value, Enum) else value
