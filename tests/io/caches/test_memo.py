"""Decisions that are kept: found once, and again where they are damaged."""

import json
import math
from pathlib import Path

import pytest

from rixs_pipeline.io.caches.memo import Memo


def find_never():
    pytest.fail("found again")


def test_a_value_is_found_once(tmp_path):
    memo = Memo.load(tmp_path / "memo.json")
    assert memo.get({"scan": 1}, lambda: True, bool) is True
    memo.save(is_complete=True)
    later = Memo.load(tmp_path / "memo.json")
    assert later.get({"scan": 1}, find_never, bool) is True
    assert later.get({"scan": 2}, lambda: False, bool) is False


@pytest.mark.parametrize("is_complete", [True, False])
def test_values_that_are_not_used_are_dropped_by_a_complete_reduction(
    tmp_path, is_complete
):
    first = Memo.load(tmp_path / "memo.json")
    first.get({"scan": 1}, lambda: 1, int)
    first.save(is_complete=True)
    second = Memo.load(tmp_path / "memo.json")
    second.get({"scan": 2}, lambda: 2, int)
    second.save(is_complete=is_complete)
    third = Memo.load(tmp_path / "memo.json")
    assert third.get({"scan": 1}, lambda: 7, int) == (7 if is_complete else 1)
    assert third.get({"scan": 2}, find_never, int) == 2


@pytest.mark.parametrize("text", ["", "[1]", "{", '"text"', "[" * 100_000, "\x00"])
def test_a_damaged_file_is_ignored(tmp_path, text):
    path = tmp_path / "memo.json"
    path.write_text(text)
    assert Memo.load(path).get({"scan": 1}, lambda: 3, int) == 3


@pytest.mark.parametrize("damaged", [4, None, {}, "text", [[]]])
def test_a_changed_value_is_found_again(tmp_path, damaged):
    """A plausible one, too: the offset of a clock would move a scan."""
    path = tmp_path / "memo.json"
    memo = Memo.load(path)
    memo.get({"scan": 1}, lambda: 3, int)
    memo.save(is_complete=True)
    content = json.loads(path.read_text())
    content["values"] = dict.fromkeys(content["values"], damaged)
    path.write_text(json.dumps(content))
    assert Memo.load(path).get({"scan": 1}, lambda: 3, int) == 3


def test_values_without_a_digest_are_found_again(tmp_path):
    path = tmp_path / "memo.json"
    memo = Memo.load(path)
    memo.get({"scan": 1}, lambda: 3, int)
    memo.save(is_complete=True)
    path.write_text(json.dumps(json.loads(path.read_text())["values"]))
    assert Memo.load(path).get({"scan": 1}, lambda: 5, int) == 5


def test_nan_is_kept(tmp_path):
    memo = Memo.load(tmp_path / "memo.json")
    memo.get({"scan": 1}, lambda: float("nan"), float)
    memo.save(is_complete=True)
    later = Memo.load(tmp_path / "memo.json")
    assert math.isnan(later.get({"scan": 1}, find_never, float))


def test_without_room_nothing_is_kept_and_nothing_fails(tmp_path):
    (tmp_path / "file").write_text("")
    memo = Memo(tmp_path / "file" / "memo.json")
    assert memo.get({"scan": 1}, lambda: 3, int) == 3
    memo.save(is_complete=True)


def test_a_failure_is_not_kept():
    memo = Memo()
    with pytest.raises(OSError, match="gone"):
        memo.get({"scan": 1}, lambda: (_ for _ in ()).throw(OSError("gone")), int)
    assert memo.get({"scan": 1}, lambda: 3, int) == 3


def test_a_value_is_known_once_it_was_found():
    memo = Memo(known={})
    assert not memo.has({"scan": 1})
    memo.get({"scan": 1}, lambda: 1, int)
    assert memo.has({"scan": 1})
    assert Memo(known=memo.used).has({"scan": 1})


def test_a_folder_without_permission_is_as_if_empty(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "stat", refuse)
    memo = Memo.load(tmp_path / "memo.json")
    assert memo.get({"scan": 1}, lambda: 3, int) == 3
