"""YAML files in which every key knows its line, and how several of them merge."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.scalarbool import ScalarBoolean

from rixs_pipeline.errors import ConfigError

Keys = tuple[Any, ...]  # that lead to a value: names of mappings, indices of lists

_DUPLICATE_KEY = re.compile(r'found duplicate key "?(.+?)"? with value')
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w.+/-]*", re.ASCII)
_SHOWN_LENGTH = 60  # characters of a value in a message
_LINE_WIDTH = 10_000  # characters: never break a line


@dataclass(frozen=True, order=True)
class Place:
    """Where a value comes from: a line of a file, or the command line."""

    source: str
    line: int = 0  # 0: no lines

    def __str__(self) -> str:
        """Return `file:line`."""
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True)
class Document:
    """Plain Python values with the places of keys and list items."""

    data: dict[Any, Any]
    places: dict[Keys, Place] = field(default_factory=dict)

    def place(self, keys: Keys) -> Place:
        """Return the place of a key, or of the nearest section that contains it."""
        length = len(keys)
        while keys[:length] not in self.places:
            length -= 1
        return self.places[keys[:length]]

    def problem(self, keys: Keys, text: str) -> str:
        """Return one line for what is wrong at a key.

        Parameters
        ----------
        keys
            Keys that lead to the value; empty: the whole document.
        text
            What is wrong.

        Returns
        -------
        str
            `file:line: key.key: what is wrong`.
        """
        dotted_keys = ".".join(map(str, keys))
        parts = [str(self.place(keys)), dotted_keys, text]
        return ": ".join(part for part in parts if part)


def read_yaml(path: Path) -> Document:
    """Read a YAML 1.2 file that holds one mapping; an empty file is an empty mapping.

    Raises
    ------
    ConfigError
        No such file, not text, not YAML, a key given twice, or not a mapping; with line
        and column.
    """
    places: dict[Keys, Place] = {(): Place(str(path))}
    try:
        node = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
        data = {} if node is None else _plain_values(node, (), places, str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error
    except YAMLError as error:
        raise ConfigError(_syntax_problem(path, error)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}:1: expected a mapping of keys to values, not {show_value(data)}"
        )
    return Document(data, places)


def _syntax_problem(path: Path, error: YAMLError) -> str:
    """Return one line for the first problem that the parser met."""
    problem, mark = None, None
    if isinstance(error, MarkedYAMLError):
        problem, mark = error.problem, error.problem_mark or error.context_mark
    text = str(problem or str(error).splitlines()[0])
    if mark is None:
        return f"{path}: invalid YAML: {text}"
    if duplicate := _DUPLICATE_KEY.match(text):
        return (
            f"{path}:{mark.line + 1}: {duplicate[1]}: duplicate key; remove one of "
            "the two"
        )
    return f"{path}:{mark.line + 1}:{mark.column + 1}: invalid YAML: {text}"


def _plain_values(node: Any, keys: Keys, places: dict[Keys, Place], source: str) -> Any:
    """Return a node as plain Python values, and add the places of what it contains."""
    if isinstance(node, CommentedMap | CommentedSeq):
        pairs = node.items() if isinstance(node, CommentedMap) else enumerate(node)
        entries = dict(pairs)
        # key or index -> [line, column, ...] from 0; keys merged by << have none
        lines = node.lc.data or {}
        for key in entries:
            if key in lines:
                places[(*keys, key)] = Place(source, lines[key][0] + 1)
        values = {
            key: _plain_values(value, (*keys, key), places, source)
            for key, value in entries.items()
        }
        return values if isinstance(node, CommentedMap) else list(values.values())
    if isinstance(node, bool | ScalarBoolean):
        return bool(node)
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def from_values(values: dict[Any, Any], source: str) -> Document:
    """Return values that come from no file, such as options of the command line.

    Parameters
    ----------
    values
        Nested mappings.
    source
        What messages name as their place.

    Returns
    -------
    Document
        Every key at the same place.
    """
    places: dict[Keys, Place] = {}

    def add_place(value: Any, keys: Keys) -> None:
        places[keys] = Place(source)
        if isinstance(value, dict):
            for key, entry in value.items():
                add_place(entry, (*keys, key))

    add_place(values, ())
    return Document(values, places)


def merge(base: Document, over: Document, replaced: Iterable[Keys] = ()) -> Document:
    """Return one document on top of another; mappings merge key by key.

    Parameters
    ----------
    base
        What holds unless `over` has another value.
    over
        Replaces values that are not mappings.
    replaced
        Keys of mappings that are replaced too, as a whole.

    Returns
    -------
    Document
        The merged values with their places.
    """
    places = dict(base.places)

    def _merge(below: Any, above: Any, keys: Keys) -> Any:
        are_mappings = isinstance(below, dict) and isinstance(above, dict)
        if are_mappings and keys not in replaced:
            merged = {
                key: _merge(below.get(key), value, (*keys, key))
                for key, value in above.items()
            }
            return below | merged
        for hidden in [place for place in places if place[: len(keys)] == keys]:
            del places[hidden]
        return above

    data = _merge(base.data, over.data, ())
    return Document(data, places | over.places)


def show_value(value: Any) -> str:
    """Return a value as YAML has it, short enough for one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    is_plain = isinstance(value, str | list | dict | int | float)
    text = repr(value) if is_plain else str(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."


class _QuotingRepresenter(SafeRepresenter):
    """Quotes all text but plain words: ruamel leaves some that it reads as numbers."""

    def represent_str(self, data: str) -> ScalarNode:
        """Return text as a node, quoted unless it is a plain word."""
        style = None if _PLAIN_WORD.fullmatch(data) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_QuotingRepresenter.add_representer(str, _QuotingRepresenter.represent_str)


def write_yaml(values: Any, one_line: bool = False) -> str:
    """Return plain Python values as YAML 1.2.

    Parameters
    ----------
    values
        Mappings, lists, numbers, texts, booleans and None.
    one_line
        Everything on one line; default: lists and mappings without further ones.

    Returns
    -------
    str
        Ends with a newline.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _QuotingRepresenter
    yaml.default_flow_style = True if one_line else None
    # ruamel.yaml has no types for its options
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = _LINE_WIDTH
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
