"""Arrays that are kept: returned bit by bit, or computed again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.caches.array_cache import ArrayCache, digest_arrays, keep

ARRAYS = {"counts": np.arange(6.0).reshape(2, 3) / 7, "number": 3}


def test_arrays_come_back_bit_by_bit(tmp_path):
    cache = ArrayCache(tmp_path / "new")
    cache.save("scan0001", "key", ARRAYS)
    arrays = ArrayCache(tmp_path / "new").load("scan0001", "key")
    assert arrays.keys() == ARRAYS.keys()
    assert arrays["counts"].tobytes() == ARRAYS["counts"].tobytes()
    assert arrays["number"] == 3


def test_another_key_or_name_is_not_known(tmp_path):
    cache = ArrayCache(tmp_path)
    cache.save("scan0001", "key", ARRAYS)
    assert cache.load("scan0001", "other") is None
    assert cache.load("scan0002", "key") is None


@pytest.mark.parametrize("kept", [0, 1, 50, 200, -1])
def test_a_damaged_file_is_computed_again(tmp_path, kept):
    cache = ArrayCache(tmp_path)
    cache.save("scan0001", "key", ARRAYS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:kept])
    assert cache.load("scan0001", "key") is None
    cache.save("scan0001", "key", ARRAYS)
    assert cache.load("scan0001", "key") is not None


def test_objects_are_not_unpickled(tmp_path):
    values = {"key": np.array("key"), "counts": np.array([print], object)}
    np.savez(tmp_path / "scan0001.npz", allow_pickle=True, **values)
    assert ArrayCache(tmp_path).load("scan0001", "key") is None


def test_a_dry_run_and_a_full_disk_save_nothing(tmp_path):
    ArrayCache(tmp_path / "dry", is_writable=False).save("scan0001", "key", ARRAYS)
    assert not (tmp_path / "dry").exists()
    (tmp_path / "file").write_text("")
    ArrayCache(tmp_path / "file").save("scan0001", "key", ARRAYS)


@dataclass(frozen=True)
class Counts:
    counts: np.ndarray
    width: float


def test_a_dataclass_is_computed_once(tmp_path):
    cache, calls = ArrayCache(tmp_path), []

    def compute():
        calls.append(1)
        return Counts(np.arange(3), 0.5)

    for key in ("a", "a", "b"):
        kept = keep(cache, "scan0001", key, Counts, compute)
        assert (kept.counts.tolist(), kept.width) == ([0, 1, 2], 0.5)
        assert type(kept.width) is float
    assert len(calls) == 2
    assert keep(None, "scan0001", "b", Counts, compute).width == 0.5
    assert len(calls) == 3
    assert keep(cache, "scan0002", "a", Counts, lambda: None) is None


def test_arrays_are_recognised_by_their_content():
    digest = digest_arrays({"a": np.arange(3), "b": 1.0})
    assert digest == digest_arrays({"a": np.arange(3), "b": 1.0})
    assert digest != digest_arrays({"a": np.arange(3.0), "b": 1.0})
    assert digest != digest_arrays({"a": np.arange(3).reshape(3, 1), "b": 1.0})
    assert digest != digest_arrays({"a": np.arange(3), "b": 2.0})


def test_a_folder_without_permission_is_as_if_empty(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    ArrayCache(tmp_path).save("scan0001", "key", ARRAYS)
    monkeypatch.setattr(Path, "stat", refuse)
    assert ArrayCache(tmp_path).load("scan0001", "key") is None
