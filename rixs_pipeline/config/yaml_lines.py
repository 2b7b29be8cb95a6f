"""YAML files whose every key knows its line, and how several of them add up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from rixs_pipeline.errors import ConfigError

Keys = tuple[Any, ...]


@dataclass(frozen=True, order=True)
class Place:
    """Where a value was said: a file and a line, or the command line."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True)
class Document:
    """Plain Python values, and the place of every key and list item by the keys that lead to it."""

    data: dict[Any, Any]
    places: dict[Keys, Place] = field(default_factory=dict)

    def place(self, keys: Keys) -> Place:
        """The place of a key, or of the nearest section around it that was said."""
        return next(
            self.places[keys[:n]]
            for n in range(len(keys), -1, -1)
            if keys[:n] in self.places
        )


def read(path: Path) -> Document:
    """Read a YAML 1.2 file that holds one mapping; an empty file is an empty mapping.

    Raises:
        ConfigError: no such file, not text, not YAML, a key given twice, not a mapping; with line and column.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        node = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
        places: dict[Keys, Place] = {(): Place(str(path))}
        data = {} if node is None else _plain(node, (), places, str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file in UTF-8") from error
    except YAMLError as error:
        raise ConfigError(_not_yaml(path, error)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply") from error
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}:1: a mapping of keys to values is expected, not {show(data)}"
        )
    return Document(data, places)


def _not_yaml(path: Path, error: Exception) -> str:
    """One line for what the parser found; it stops at the first problem."""
    problem = str(getattr(error, "problem", None) or str(error).splitlines()[0])
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return f"{path}: not YAML: {problem}"
    if duplicate := re.match(r'found duplicate key "?(.+?)"? with value', problem):
        return f"{path}:{mark.line + 1}: {duplicate[1]}: the key is given twice; remove one of the two"
    return f"{path}:{mark.line + 1}:{mark.column + 1}: not YAML: {problem}"


def _plain(node: Any, keys: Keys, places: dict[Keys, Place], source: str) -> Any:
    """A node as plain Python values; the places of what is in it are noted on the way."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarbool import ScalarBoolean

    if isinstance(node, CommentedMap | CommentedSeq):
        lines = (
            node.lc.data or {}
        )  # key or index -> [line, column, ...] from 0; merged keys (<<) have none
        items = list(
            node.items() if isinstance(node, CommentedMap) else enumerate(node)
        )
        for key, _ in items:
            if key in lines:
                places[(*keys, key)] = Place(source, lines[key][0] + 1)
        values = {
            key: _plain(value, (*keys, key), places, source) for key, value in items
        }
        return values if isinstance(node, CommentedMap) else list(values.values())
    if isinstance(node, bool | ScalarBoolean):
        return bool(node)
    return next(
        (kind(node) for kind in (int, float, str) if isinstance(node, kind)), node
    )


def said(data: dict[Any, Any], source: str) -> Document:
    """Values that come from no file, such as the options of a command line."""
    places: dict[Keys, Place] = {}

    def note(value: Any, keys: Keys) -> None:
        places[keys] = Place(source)
        if isinstance(value, dict):
            for key, item in value.items():
                note(item, (*keys, key))

    note(data, ())
    return Document(data, places)


def merge(base: Document, over: Document, replaced: Iterable[Keys] = ()) -> Document:
    """`over` on top of `base`: mappings merge key by key, all else, and the mappings at `replaced`, is replaced."""
    places = dict(base.places)

    def put(below: Any, above: Any, keys: Keys) -> Any:
        if isinstance(below, dict) and isinstance(above, dict) and keys not in replaced:
            return below | {
                key: put(below.get(key), value, (*keys, key))
                for key, value in above.items()
            }
        for old in [old for old in places if old[: len(keys)] == keys]:
            del places[old]
        return above

    data = put(base.data, over.data, ())
    return Document(data, places | over.places)


def show(value: Any) -> str:
    """A value as one would write it in YAML, short enough for one line."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = (
        repr(value)
        if isinstance(value, str | list | dict | int | float)
        else str(value)
    )
    return text if len(text) <= 60 else f"{text[:57]}..."


def write(value: Any, one_line: bool = False) -> str:
    """Plain Python values as YAML 1.2; by default what holds no further list or mapping stands on one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Representer(SafeRepresenter):
        """Quotes all text but plain words: left to itself, ruamel writes some that it reads as something else."""

        def represent_str(self, data: str) -> Any:
            style = None if re.fullmatch(r"[A-Za-z_][\w.+/-]*", data, re.ASCII) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Representer.add_representer(str, Representer.represent_str)
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = True if one_line else None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000
    stream = StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()
