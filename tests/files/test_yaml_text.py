import math
import time
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rixs_pipeline.files.yaml_text import (
    MAX_DEPTH,
    DuplicateKeyError,
    LinedMapping,
    documents,
)
from rixs_pipeline.paths import configs_folder


def load(text, **options):
    (document,) = documents(text, **options)
    return document


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 50_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("- " * 50_000 + "a", "nested too deeply"),
        ("? " * 50_000 + "a", "a key that is a list or mapping|nested too deeply"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested too deeply"),
        (BOMB, "too many values through aliases"),
        (MERGE_BOMB + "h: {<<: *g}", "too many values through aliases|merges mappings"),
        ("&a [*a]", "undefined alias 'a'"),
        ("a: *b", "undefined alias 'b'"),
        ("&a x\n---\n*a", "undefined alias 'a'"),
        ("[a, b]: 1", "a key that is a list or mapping"),
        ("!!python/object/apply:os.system [ls]", "unknown tag"),
        ("!x {a: 1}", "unknown tag"),
        ("!!set {a}", "unknown tag"),
        ("!!int x", "not of type int"),
        ("x" * 70_000, "more than 65536 characters"),
        ("{<<: 5}", "merges mappings"),
    ],
)
@pytest.mark.parametrize("is_exact", [False, True])
def test_what_has_no_place_in_a_file_is_refused(text, problem, is_exact):
    start = time.process_time()
    with pytest.raises(MarkedYAMLError, match=problem):
        list(documents(text, is_exact=is_exact))
    assert time.process_time() - start < 2


def test_documents_before_a_damaged_one_are_kept():
    read = []
    with pytest.raises(YAMLError):
        for document in documents("a: 1\n---\n[2]\n---\n{a: [\n"):
            read.append(document)
    assert read == [{"a": 1}, [2]]


@pytest.mark.parametrize(
    "text",
    [
        "{a: 1, b: [1.5, .inf, -.inf, 1e3, 1_000, 0x1F, 0o17, 0b11, 017, -.5, +1.]}",
        "[true, False, yes, null, ~, '', \"null\", 'true', !!str 5, !!float 5]",
        "a:\nb: ''\n",
        "- &x {a: 1}\n- *x\n- {<<: *x, b: 2}\n- {a: 3, <<: *x}\n"
        "- {<<: [*x, {a: 7, c: 8}]}",
        "a: |\n  text\n  more\nb: >\n  folded\n  text\n",
        "",
        "# nothing\n",
        "--- a\n",
        "? a\n: b\n",
        "{3: a, 2.5: b, true: c, null: d}",
    ],
)
def test_values_are_those_of_ruamel(text):
    expected = list(YAML(typ="safe", pure=True).load_all(text))
    assert list(documents(text)) == expected


TEXT = st.text(max_size=8)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False),
    TEXT,
)


@given(
    st.recursive(
        PLAIN,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)
        ),
        max_leaves=15,
    )
)
def test_what_ruamel_writes_is_read(value):
    from io import StringIO

    stream = StringIO()
    YAML(typ="safe", pure=True).dump(value, stream)
    try:
        expected = YAML(typ="safe", pure=True).load(stream.getvalue())
    except YAMLError:  # it does not read all that it writes, such as {?': null}
        reject()
    assert load(stream.getvalue(), is_exact=True) == expected


@pytest.mark.parametrize("path", sorted(configs_folder().rglob("*.yaml")))
def test_configs_that_ship(path: Path):
    text = path.read_text(encoding="utf-8")
    assert load(text) == YAML(typ="safe", pure=True).load(text)


def test_lines():
    document = load("a: 1\nb:\n  - x\n  - {c: 2}\n")
    assert document.lines == {"a": 1, "b": 2}
    assert document["b"].lines == {0: 3, 1: 4}
    assert document["b"][1].lines == {"c": 4}
    merged = load("a: &x {b: 1}\nc: {<<: *x, d: 2}")["c"]
    assert isinstance(merged, LinedMapping) and merged.lines == {"d": 2}


def test_a_repeated_key():
    with pytest.raises(DuplicateKeyError) as error:
        load("a: 1\nb: 2\na: 3\n")
    assert (error.value.key, error.value.problem_mark.line) == ("a", 2)
    assert load("a: 1\na: 3\n", may_repeat_keys=True) == {"a": 3}


def test_a_single_document():
    with pytest.raises(MarkedYAMLError, match="more than one document"):
        list(documents("a: 1\n---\nb: 2\n", is_single=True))


def test_long_integers_stay_text_and_nan_is_a_number():
    assert load("9" * 5000) == "9" * 5000
    assert math.isnan(load(".nan"))
