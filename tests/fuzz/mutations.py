"""Random changes of bytes, and of values that JSON and YAML hold."""

import json
import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    10**19,
    10**30,
    -0.0,
    1.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "nan",
    "1e999",
    "0e999999999",
    "1" * 5000,
    "1" * 5000 + "x",
    "x" * 5000,
    "a\nb\x1b[2J\0",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "\ud800",
    "../../x",
    "2026-01-01T00:00:00",
    [],
    {},
    [[]],
    {"": {}},
)
TOKENS = (
    b"[" * 60,
    b"[" * 60_000,
    b"{" * 2000,
    b'{"a":' * 2000,
    b"- " * 3000,
    b"? " * 3000,
    b"!!python/object:a.b ",
    b"!!binary ",
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b" " * 60_000,
    b"\t" * 3000,
    b"\n" * 3000,
    b"9" * 60_000,
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"0e999999999",
    b"\\ud800",
    b"\xff\xfe",
    b"\0" * 9,
    b"\r\n",
    b"\n}\n",
    b"\n---\n",
    b"...\n",
    b"%YAML 1.1\n---\n",
    b"# ",
    b",",
    b'"',
    b"|\n",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\x93NUMPY\x01\x00",
    b"file_header: true",
    b'"scan_num"',
    b"CAL0",
    b"SCAN" + b"1" * 5000,
)
NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "1000000000",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "9" * 400,
    "9" * 5000,
    "1e308",
    "1e999",
    "nan",
    "1_0",
    "0x10",
    "1.5",
    "-0.0",
    "1e-320",
)
_NUMBER = re.compile(rb"\d[\d.]*")
_BINARY = tuple(
    struct.pack("<q", value) for value in (0, -1, 1, 2**31, 2**63 - 1, -(2**63))
) + tuple(struct.pack("<d", value) for value in (float("nan"), float("inf"), 1e300))
_MAX_BYTES = 1 << 20


def mutate_bytes(random: Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """Return bytes with one or some random changes."""
    for _ in range(1 + int(random.expovariate(0.7))):
        data = random.choice(_CHANGES)(random, data, corpus)
    return data[:_MAX_BYTES]


def _span(random: Random, data: bytes) -> tuple[int, int]:
    first = random.randint(0, len(data))
    longest = random.choice((1, 4, 16, 256, len(data)))
    return first, min(len(data), first + random.randint(0, longest))


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return (
        data[:place]
        + bytes([data[place] ^ 1 << random.randrange(8)])
        + data[place + 1 :]
    )


def _overwrite(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    patch = random.choice((*_BINARY, random.randbytes(1), random.randbytes(4)))
    place = random.randint(0, len(data))
    return data[:place] + patch + data[place + len(patch) :]


def _delete(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    first, stop = _span(random, data)
    return data[:first] + data[stop:]


def _truncate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, len(data))]


def _duplicate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    first, stop = _span(random, data)
    return data[:stop] + data[first:]


def _insert_token(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = random.randint(0, len(data))
    return data[:place] + random.choice(TOKENS) + data[place:]


def _change_number(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(data))
    match = _NUMBER.search(data, start) or _NUMBER.search(data)
    if match is None:
        return data
    return data[: match.start()] + random.choice(NUMBERS).encode() + data[match.end() :]


def _splice(random: Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = random.choice(corpus)
    first, stop = _span(random, other)
    place = random.randint(0, len(data))
    return data[:place] + other[first:stop] + data[_span(random, data)[1] :]


_CHANGES = (
    _flip,
    _overwrite,
    _delete,
    _truncate,
    _duplicate,
    _insert_token,
    _change_number,
    _change_number,
    _splice,
)


def mutate_values(random: Random, value: Any) -> Any:
    """Return JSON-like values with one or some random changes."""
    value = deepcopy(value)
    for _ in range(1 + int(random.expovariate(0.7))):
        value = _mutate_once(random, value)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return all containers in a value with each of their keys."""
    places = []
    stack = [value]
    while stack:
        container = stack.pop()
        keys = (
            list(container)
            if isinstance(container, dict)
            else range(len(container))
            if isinstance(container, list)
            else ()
        )
        for key in keys:
            places.append((container, key))
            stack.append(container[key])
    return places


def _mutate_once(random: Random, value: Any) -> Any:
    places = _places(value)
    if not places or random.random() < 0.01:
        return deepcopy(random.choice(ODD_VALUES))
    container, key = random.choice(places)
    action = random.randrange(7)
    if action == 0:
        del container[key]
    elif action == 1:
        other, other_key = random.choice(places)
        container[key] = deepcopy(other[other_key])
    elif action == 2:
        container[key] = [container[key]] * random.choice((1, 2, 100))
    elif action == 3 and isinstance(container, dict):
        name = random.choice(("", "x" * 300, "0", "-1", "\x1b", str(key) + " "))
        container[name] = container.pop(key)
    elif action == 4:
        for _ in range(random.choice((3, 60, 400))):
            container[key] = {"a": container[key]}
    elif action == 5 and isinstance(container[key], int | float):
        factor = random.choice((-1, 0, 1e-3, 1e3, 1e6, 1e9, 1e300))
        with suppress(OverflowError):  # an integer beyond all floats
            container[key] = container[key] * factor
    else:
        container[key] = deepcopy(random.choice(ODD_VALUES))
    return value


def dump_json(value: Any) -> bytes:
    """Return values as JSON; integers of any length, NaN and infinities too."""
    return json.dumps(value).encode()
