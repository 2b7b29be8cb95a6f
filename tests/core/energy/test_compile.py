from pathlib import Path

import numba
import numpy as np
import pytest

from rixs_pipeline.core.energy import compile as compile_module
from rixs_pipeline.core.energy.compile import (
    compiled,
    compiled_folder,
    digest_of,
    exact,
    prefetch,
)


@pytest.fixture
def fresh_folder():
    """Look for the folder anew, and again for the tests that follow."""
    compiled_folder.cache_clear()
    yield
    compiled_folder.cache_clear()


def test_digest_changes_with_any_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("x = 1")
    second.write_text("y = 1")
    before = digest_of([first, second])
    assert len(before) == 16
    assert digest_of([first, second]) == before
    second.write_text("y = 2")
    assert digest_of([first, second]) != before


def test_folder_is_in_the_users_numba_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_folder: None
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert compiled_folder().parent == tmp_path


@pytest.mark.parametrize("is_read_only", [False, True])
def test_folder_is_beside_the_sources_or_in_the_users_cache(
    is_read_only: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_folder: None,
) -> None:
    beside, in_cache = compile_module.CORE / "__pycache__", tmp_path / "rixs-pipeline"
    writable = [in_cache] if is_read_only else [beside, in_cache]
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(compile_module, "_can_write", writable.__contains__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled_folder().parent == writable[0]


def test_without_a_folder_code_is_compiled_and_not_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fresh_folder: None,
) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file where the folder would be")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache))
    add_one = compiled(lambda x: x + 1)
    assert add_one(1) == 2
    assert compiled_folder() is None
    assert f"(tried {cache})" in caplog.text


def test_the_users_setting_of_numba_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compiled(lambda x: x + 1)
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_exact_rounds_every_operation() -> None:
    """A fused product and sum would see what the rounding of the product loses."""
    rounding_error = exact(lambda a, b, c: a * b + c)
    a = 1.0 + 2.0**-30
    assert rounding_error(a, a, -np.square(a)) == 0.0


def test_prefetch_of_any_address_is_harmless() -> None:
    touch = compiled(_touch)
    values = np.arange(10.0)
    touch(values.ctypes.data)
    touch(0)
    assert values.sum() == 45


def _touch(address: int) -> None:
    prefetch(address)
