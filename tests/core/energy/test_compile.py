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


def test_folder_is_beside_the_sources_or_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_folder: None
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(compile_module.os, "access", lambda path, mode: True)
    assert compiled_folder().parent == compile_module.CORE / "__pycache__"
    compiled_folder.cache_clear()
    monkeypatch.setattr(compile_module.os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled_folder().parent == tmp_path / "rixs-pipeline"


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
