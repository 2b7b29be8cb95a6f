import json

import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import MAX_DEPTH, format_json, parse_json, read_json
from rixs_pipeline.files.opening import FileKind


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[" * MAX_DEPTH + b"[]" + b"]" * MAX_DEPTH, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 21, "an integer of 21 digits"),
        (b"9" * 100_000, "an integer of 100000 digits"),
        (b"[" + b"[]," * 2_000_001 + b"[]]", "more than 4000000 JSON values"),
        (b"[1,\n2,]", "broken JSON at line 2, column 3"),
        (b"\xff", "not a text file in UTF-8"),
        (b"\x00", "broken JSON"),
        (b"", "broken JSON"),
    ],
)
def test_what_has_no_place_in_a_file_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_json(text)


def test_values_of_files_are_read():
    nested = b"[" * (MAX_DEPTH - 1) + b"[]" + b"]" * (MAX_DEPTH - 1)
    assert parse_json(nested) is not None
    assert parse_json(b'{"a": [1, -9223372036854775808, 1e999, "x]]]["]}') == {
        "a": [1, -(2**63), float("inf"), "x]]]["]
    }


def test_a_file_is_named(tmp_path):
    path = tmp_path / "scan0001.json"
    path.write_text("{")
    with pytest.raises(
        InputError, match=r"scan0001\.json: broken JSON at line 1.*; not"
    ):
        read_json(path, FileKind.LOG)
    with pytest.raises(InputError, match=r"b\.json: cannot be read \(No such file"):
        read_json(tmp_path / "b.json", FileKind.LOG)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"items": {}, "warnings": []},
        {"text": "Größe µ \n", "number": 0.1, "nothing": None, "not": float("nan")},
        {
            "items": {"a b": {"status": "fresh", "k": [1, {}]}, "c": 1},
            "lines": ["a", 2],
        },
        {"by number": {1: "one", 2: "two"}},
    ],
)
def test_formatted_json_is_that_of_the_encoder(values):
    text = format_json(values)
    assert str(json.loads(text)) == str(json.loads(json.dumps(values)))


def test_formatted_json_has_a_line_for_each_entry():
    values = {"items": {"a": {"b": 1}, "c": 2}, "lines": ["d"], "e": "f"}
    assert format_json(values).splitlines() == [
        "{",
        ' "items": {',
        '  "a": {"b": 1},',
        '  "c": 2',
        " },",
        ' "lines": [',
        '  "d"',
        " ],",
        ' "e": "f"',
        "}",
    ]
