from pathlib import Path

import pytest
from ruamel.yaml import YAML

from rixs_pipeline.config.yaml_lines import (
    Place,
    from_values,
    merge,
    read_yaml,
    show_value,
    write_yaml,
)


def test_keys_and_list_items_have_lines(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a:\n  b: 1\n  c:\n  - 2\n  - {d: 3}\n")
    document = read_yaml(path)
    assert document.data == {"a": {"b": 1, "c": [2, {"d": 3}]}}
    assert document.place(("a", "b")) == Place(str(path), 2)
    assert str(document.place(("a", "c", 1, "d"))) == f"{path}:5"


def test_a_key_without_a_place_has_that_of_its_section(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a:\n  b: 1\n")
    document = read_yaml(path)
    assert document.place(("a", "missing", 3)).line == 1
    assert document.place(("missing",)) == Place(str(path))


def test_documents_merge_key_by_key_with_their_places() -> None:
    base = from_values({"a": {"b": 1, "c": 2}, "d": {"e": 1}}, "site")
    over = from_values({"a": {"b": 3}, "d": {"f": 2}}, "beamtime")
    merged = merge(base, over, replaced=(("d",),))
    assert merged.data == {"a": {"b": 3, "c": 2}, "d": {"f": 2}}
    assert merged.place(("a", "b")) == Place("beamtime")
    assert merged.place(("a", "c")) == Place("site")
    assert merged.place(("d", "e")) == Place("beamtime")
    assert base.data == {"a": {"b": 1, "c": 2}, "d": {"e": 1}}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ("a", "'a'"), (1.5, "1.5"), ([1], "[1]")],
)
def test_values_are_shown_in_yaml_notation(value: object, text: str) -> None:
    assert show_value(value) == text
    assert len(show_value("x" * 100)) == 60


@pytest.mark.parametrize("text", ["1e3", "089", "0o12", "yes", "null", "a: b", "#", ""])
def test_text_is_not_converted(text: str) -> None:
    assert YAML(typ="safe").load(write_yaml({"key": text})) == {"key": text}


def test_one_line() -> None:
    assert write_yaml({"a": {"b": [1, 2]}}, one_line=True) == "{a: {b: [1, 2]}}\n"
    assert write_yaml({"a": {"b": [1, 2]}}) == "a:\n  b: [1, 2]\n"
