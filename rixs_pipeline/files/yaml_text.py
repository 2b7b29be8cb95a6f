"""YAML of others: values are made from the events of the parser, with limits.

A library that composes documents by recursion in C ends the process on brackets that
are nested by the ten thousand, and aliases of aliases make a document of a few hundred
bytes fill the memory. Here the parser yields one event after the other.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 50  # of lists and mappings in each other; files have up to 8
MAX_SCALAR = 1 << 16  # characters
MAX_DIGITS = 20  # of an integer; those of 64 bits have 19; longer ones stay text
MIN_EXPANDED = 10_000  # values that a short text may have through aliases

Scalars = Mapping[str, Callable[[str], Any]]  # type -> what makes a value of a text

_TAG = "tag:yaml.org,2002:"
_MERGE = "merge"
_WORDS = {"<<": _MERGE}
_WORDS |= dict.fromkeys(["", "~", "null", "Null", "NULL"], "null")
_WORDS |= dict.fromkeys(["true", "True", "TRUE", "false", "False", "FALSE"], "bool")
_NUMBER_STARTS = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?(0b[01_]+|0o[0-7_]+|0x[\da-fA-F_]+|\d[\d_]*)", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\d[\d_]*(\.[\d_]*)?([eE][-+]?\d+)?|\.\d[\d_]*([eE][-+]\d+)?"
    r"|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
    re.ASCII,
)


def parse_int(text: str) -> int | str:
    """Return an integer; one that is too long for 64 bits stays text."""
    digits = text.replace("_", "")
    if len(digits) > MAX_DIGITS:
        return text
    has_prefix = digits.lstrip("+-")[1:2] in ("b", "o", "x")
    return int(digits, 0) if has_prefix else int(digits)


def parse_float(text: str) -> float:
    """Return a number, also infinite or NaN."""
    plain = text.lower().replace("_", "")
    return float(plain.replace(".inf", "inf").replace(".nan", "nan"))


SCALARS: Scalars = {
    "null": lambda _text: None,
    "bool": lambda text: text.lower() == "true",
    "int": parse_int,
    "float": parse_float,
    "str": str,
    "timestamp": str,
    _MERGE: str,
}


class LinedMapping(dict[Any, Any]):
    """A mapping that knows the lines of its keys, from 1; merged keys have none."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Any, int] = {}


class LinedList(list[Any]):
    """A list that knows the lines of its entries, from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[int, int] = {}


class DuplicateKeyError(MarkedYAMLError):
    """A key that a mapping has twice."""

    def __init__(self, key: object, mark: Any) -> None:
        super().__init__(problem=f"duplicate key {key!r}", problem_mark=mark)
        self.key = key


@dataclass(frozen=True)
class _Anchored:
    """A value with an anchor."""

    value: Any
    size: int  # values in it, those behind aliases included
    depth: int  # of lists and mappings in each other


@dataclass
class _Open:
    """A list or mapping that has begun."""

    value: LinedMapping | LinedList
    anchor: str | None
    size: int = 1
    depth: int = 1
    key: Any = None
    has_key: bool = False
    is_merge: bool = False
    merged: list[Any] = field(default_factory=list)


def documents(
    text: str,
    scalars: Scalars | None = None,
    *,
    may_repeat_keys: bool = False,
    is_single: bool = False,
    is_exact: bool = False,
) -> Iterator[Any]:
    """Yield the documents of a YAML 1.2 text, so that a damaged one costs no others.

    Parameters
    ----------
    text
        The YAML.
    scalars
        Replaces entries of `SCALARS`.
    may_repeat_keys
        Whether the last one counts, of keys that a mapping has twice.
    is_single
        Whether a second document is an error.
    is_exact
        Whether the slower parser in Python reads the text, which knows all of YAML 1.2:
        libyaml wants quotes around some texts in brackets.

    Yields
    ------
    plain value
        Mappings are `LinedMapping`, lists are `LinedList`.

    Raises
    ------
    ruamel.yaml.error.YAMLError
        Not YAML, nested too deeply, too many values through aliases, unknown tags, or a
        key given twice.
    """
    composer = _Composer(len(text), {**SCALARS, **(scalars or {})}, may_repeat_keys)
    n_documents = 0
    for event in YAML(typ="safe", pure=is_exact).parse(text):
        composer.add(event)
        if isinstance(event, DocumentEndEvent):
            yield composer.end_document()
            n_documents += 1
        elif isinstance(event, DocumentStartEvent) and is_single and n_documents:
            raise _error("more than one document", event)


class _Composer:
    """Makes documents of events."""

    def __init__(self, length: int, scalars: Scalars, may_repeat_keys: bool) -> None:
        self.max_size = max(length, MIN_EXPANDED)
        self.scalars = scalars
        self.may_repeat_keys = may_repeat_keys
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.document: Any = None
        self.size = 0

    def end_document(self) -> Any:
        """Return the document, and forget its anchors."""
        document = self.document
        self.document = None
        self.anchors.clear()
        self.size = 0
        return document

    def add(self, event: Any) -> None:
        """Add what an event says to the document."""
        if isinstance(event, ScalarEvent):
            self._add_scalar(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end(event)
        elif isinstance(event, AliasEvent):
            anchored = self.anchors.get(event.anchor)
            if anchored is None:
                raise _error(f"undefined alias {event.anchor!r}", event)
            self._add_value(anchored, event)

    def _add_scalar(self, event: Any) -> None:
        text = event.value
        if len(text) > MAX_SCALAR:
            raise _error(f"a text of more than {MAX_SCALAR} characters", event)
        tag = event.tag
        if tag is not None and str(tag) != "!":
            kind = str(tag).removeprefix(_TAG)
        else:
            kind = _implicit_type(text) if event.implicit[0] and tag is None else "str"
        if kind not in self.scalars:
            raise _error(f"unknown tag {tag}", event)
        try:
            value = self.scalars[kind](text)
        except ValueError as error:
            raise _error(f"not of type {kind}", event) from error
        if kind == _MERGE and self.open and not self.open[-1].has_key:
            self.open[-1].is_merge = isinstance(self.open[-1].value, dict)
        anchored = _Anchored(value, size=1, depth=0)
        if event.anchor:
            self.anchors[event.anchor] = anchored
        self._add_value(anchored, event)

    def _begin(self, event: Any) -> None:
        is_mapping = isinstance(event, MappingStartEvent)
        own_tag = f"{_TAG}map" if is_mapping else f"{_TAG}seq"
        if event.tag is not None and str(event.tag) not in ("!", own_tag):
            raise _error(f"unknown tag {event.tag}", event)
        if len(self.open) >= MAX_DEPTH:
            raise _too_deep(event)
        parent = self.open[-1] if self.open else None
        if parent and isinstance(parent.value, dict) and not parent.has_key:
            raise _error("a key that is a list or mapping", event)
        value = LinedMapping() if is_mapping else LinedList()
        self.open.append(_Open(value, event.anchor))

    def _end(self, event: Any) -> None:
        ended = self.open.pop()
        anchored = _Anchored(_with_merged(ended), ended.size, ended.depth)
        if ended.anchor:
            self.anchors[ended.anchor] = anchored
        self._add_value(anchored, event)

    def _add_value(self, anchored: _Anchored, event: Any) -> None:
        """Add a value to what is open, as a key, a value of a key or an entry."""
        if not self.open:
            self.document = anchored.value
            return
        parent = self.open[-1]
        parent.size += anchored.size
        parent.depth = max(parent.depth, anchored.depth + 1)
        if isinstance(event, AliasEvent):
            if len(self.open) + anchored.depth > MAX_DEPTH:
                raise _too_deep(event)
            self.size += anchored.size
        else:
            self.size += 1
        if self.size > self.max_size:
            raise _error("too many values through aliases", event)
        line = event.start_mark.line + 1
        if isinstance(parent.value, list):
            parent.value.lines[len(parent.value)] = line
            parent.value.append(anchored.value)
        elif parent.is_merge and parent.has_key:
            parent.merged.append(_mappings(anchored.value, event))
            parent.is_merge = parent.has_key = False
        elif parent.has_key:
            parent.value[parent.key] = anchored.value
            parent.has_key = False
        else:
            self._add_key(parent, anchored.value, event, line)

    def _add_key(self, parent: _Open, key: Any, event: Any, line: int) -> None:
        if isinstance(key, dict | list):
            raise _error("a key that is a list or mapping", event)
        parent.key, parent.has_key = key, True
        if parent.is_merge:
            return
        if key in parent.value and not self.may_repeat_keys:
            raise DuplicateKeyError(key, event.start_mark)
        parent.value.lines[key] = line


def _implicit_type(text: str) -> str:
    """Return the type of a text without quotes and tag, as YAML 1.2 has it."""
    if text[:1] in _NUMBER_STARTS:
        if _INT.fullmatch(text):
            return "int"
        if _FLOAT.fullmatch(text):
            return "float"
    return _WORDS.get(text, "str")


def _mappings(value: Any, event: Any) -> list[LinedMapping]:
    """Return the mappings that `<<` merges: one, or a list of them."""
    mappings = value if isinstance(value, list) else [value]
    if not all(isinstance(mapping, dict) for mapping in mappings):
        raise _error("`<<` merges mappings only", event)
    return list(mappings)


def _with_merged(ended: _Open) -> LinedMapping | LinedList:
    """Return a list or mapping, with the keys that it merges; its own come first."""
    value = ended.value
    if isinstance(value, dict):
        for mapping in [mapping for merged in ended.merged for mapping in merged]:
            for key, entry in mapping.items():
                value.setdefault(key, entry)
    return value


def _too_deep(event: Any) -> MarkedYAMLError:
    return _error(f"nested too deeply (more than {MAX_DEPTH} levels)", event)


def _error(problem: str, event: Any) -> MarkedYAMLError:
    return MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
