"""JSON of others: bounded depth, number of values and digits of integers."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import FileKind, named_errors, read_bytes

MAX_DEPTH = 50  # of lists and mappings in each other; files have up to 6
MAX_VALUES = 4_000_000  # each takes up to 130 bytes of memory
MAX_DIGITS = 20  # of an integer; those of 64 bits have 19
_CONTAINERS = (dict, list)
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOO_DEEP = f"JSON nested too deeply (more than {MAX_DEPTH} levels)"


def read_json(path: Path, kind: FileKind) -> Any:
    """Read a file that holds one JSON value; NaN and infinities are allowed.

    Parameters
    ----------
    path
        The file.
    kind
        Of the file, which limits its size.

    Returns
    -------
    JSON value

    Raises
    ------
    InputError
        It cannot be read, or as for `parse_json`.
    """
    with named_errors(path):
        text = read_bytes(path, kind)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: {error}; not used") from error


def parse_json(text: bytes) -> Any:
    """Return the JSON value of a text in UTF-8.

    Parameters
    ----------
    text
        The JSON.

    Returns
    -------
    JSON value

    Raises
    ------
    ValueError
        Not JSON (the message has line and column), nested too deeply, too many values,
        or an integer of more than `MAX_DIGITS` digits.
    """
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} JSON values")
    try:
        # a function for each integer is called only where one may be too long
        may_be_long = b"0" * MAX_DIGITS in text.translate(_AS_ZEROS)
        value = _loads(text.decode("utf-8"), _parse_int if may_be_long else None)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"not a text file in UTF-8 ({error.reason} at byte {error.start})"
        ) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def format_json(values: Mapping[str, Any]) -> str:
    """Return a JSON object as text, with lines that people can read.

    The encoder that indents is written in Python, and ten times slower.

    Parameters
    ----------
    values
        JSON values by name.

    Returns
    -------
    str
        A line for each value, and for each entry of those that are mappings or lists.
    """
    entries = [f" {json.dumps(name)}: {_entries(v)}" for name, v in values.items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _entries(value: Any) -> str:
    """Return a JSON value as text, with a line for each of its entries."""
    if isinstance(value, Mapping) and value:
        # a mapping of one entry, since JSON makes text of all keys
        lines = [json.dumps({key: entry})[1:-1] for key, entry in value.items()]
        brackets = "{}"
    elif isinstance(value, list) and value:
        lines = [json.dumps(entry) for entry in value]
        brackets = "[]"
    else:
        return json.dumps(value)
    inner = ",\n  ".join(lines)
    return f"{brackets[0]}\n  {inner}\n {brackets[1]}"


def _loads(text: str, parse_int: Callable[[str], int] | None) -> Any:
    """Return a value without halves of surrogate pairs, which no file can hold."""
    value = json.loads(text, parse_int=parse_int)
    if _SURROGATE.search(text):
        whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(whole, parse_int=parse_int)
    return value


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _is_deeper(value: Any, limit: int) -> bool:
    """Return whether lists and mappings are nested more deeply than `limit`."""
    level = [value]
    for _ in range(limit + 1):
        containers = [
            entry.values() if isinstance(entry, dict) else entry
            for entry in level
            if isinstance(entry, _CONTAINERS)
        ]
        if not containers:
            return False
        level = [
            entry
            for container in containers
            for entry in container
            if isinstance(entry, _CONTAINERS)
        ]
    return True
