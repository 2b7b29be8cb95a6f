"""YAML files in which every key knows its line, and how several of them merge."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from rixs_pipeline.errors import ConfigError, InputError
from rixs_pipeline.files.opening import FileKind, named_errors, one_line, read_text
from rixs_pipeline.files.yaml_text import (
    DuplicateKeyError,
    LinedList,
    LinedMapping,
    documents,
)

Keys = tuple[Any, ...]  # that lead to a value: names of mappings, indices of lists

_PLAIN_WORD = re.compile(r"[A-Za-z_][\w.+/-]*", re.ASCII)
_LONGEST_PROBLEM = 1000  # characters; names may be of any length
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
        line = ": ".join(part for part in parts if part)
        return one_line(line, _LONGEST_PROBLEM)


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
        with named_errors(path):
            values = _single_document(path)
            data = {} if values is None else _plain_values(values, (), places, path)
    except InputError as error:
        is_missing = isinstance(error.__cause__, FileNotFoundError)
        text = f"{path}: no such file" if is_missing else str(error)
        raise ConfigError(text) from error
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}:1: expected a mapping of keys to values, not {show_value(data)}"
        )
    return Document(data, places)


def _single_document(path: Path) -> Any:
    """Return the only document of a file; None: it has none."""
    text = read_text(path, FileKind.CONFIG, errors="strict")
    try:
        return next(iter([*documents(text, is_single=True, is_exact=True)]), None)
    except YAMLError as error:
        raise ConfigError(_syntax_problem(path, error)) from error


def _syntax_problem(path: Path, error: YAMLError) -> str:
    """Return one line for the first problem that the parser met."""
    problem, mark = None, None
    if isinstance(error, MarkedYAMLError):
        problem, mark = error.problem, error.problem_mark or error.context_mark
    text = one_line(str(problem or str(error).splitlines()[0]))
    if mark is None:
        return f"{path}: invalid YAML: {text}"
    if isinstance(error, DuplicateKeyError):
        key = one_line(str(error.key))
        return f"{path}:{mark.line + 1}: {key}: duplicate key; remove one of the two"
    return f"{path}:{mark.line + 1}:{mark.column + 1}: invalid YAML: {text}"


def _plain_values(node: Any, keys: Keys, places: dict[Keys, Place], path: Path) -> Any:
    """Return a node as plain Python values, and add the places of what it contains."""
    if not isinstance(node, LinedMapping | LinedList):
        return node
    entries = node.items() if isinstance(node, LinedMapping) else enumerate(node)
    values = {}
    for key, value in entries:
        if key in node.lines:
            places[(*keys, key)] = Place(str(path), node.lines[key])
        values[key] = _plain_values(value, (*keys, key), places, path)
    return values if isinstance(node, LinedMapping) else list(values.values())


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
