from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import photon_store as kept_photons

NOTHING: dict = {}
TABLE = {
    "status": np.array(["ok: cal1 alone", "µ"], dtype=object),
    "live_time": np.array([[1.0, np.nan]]),
}


def written(folder: Path, numbers: list[int]) -> tuple[Path, np.ndarray, list[Path]]:
    rng = np.random.default_rng(len(numbers))
    parts, photons = [folder / f"{k}" for k in range(len(numbers))], []
    for pixel, (part, n) in enumerate(zip(parts, numbers, strict=True)):
        part.write_bytes(b"")
        energy, point = (
            rng.uniform(100, 1200, n).astype(np.float32),
            rng.integers(0, 70000, n),
        )
        kept_photons.append(part, energy[: n // 2], point[: n // 2], pixel)
        kept_photons.append(part, energy[n // 2 :], point[n // 2 :], pixel)
        photons.append(np.stack([energy.astype(float), point, np.full(n, pixel)]))
    path = folder / "photons" / "scan0001.h5"
    about = {"run": "scan0001", "sample": "LMR µ", "scan": 1}
    assert kept_photons.write(path, parts, {"pixels": TABLE}, about) == sum(numbers)
    return path, np.concatenate([np.empty((3, 0)), *photons], axis=1), parts


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.integers(0, 300), max_size=5), st.integers(1, 200))
def test_what_is_appended_is_read(
    tmp_path: Path, numbers: list[int], at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_photons, "AT_ONCE", at_once)
        path, expected, _ = written(tmp_path, numbers)
        steps = list(kept_photons.read(path))
    assert all(len(energy) <= at_once for energy, _, _ in steps)
    found = np.concatenate(
        [np.empty((3, 0)), *(np.stack(step) for step in steps)], axis=1
    )
    np.testing.assert_array_equal(found, expected)


def test_columns_say_what_they_are(tmp_path: Path) -> None:
    path, _, _ = written(tmp_path, [50_000, 70_000])
    with h5py.File(path) as file:
        data = file["entry/data"]
        assert {name: item.dtype.str for name, item in data.items()} == {
            "energy": "<f4",
            "pixel": "<i4",
            "point": "<i4",
        }
        assert {(i.compression, i.shuffle, i.chunks) for i in data.values()} == {
            ("lzf", True, (kept_photons.CHUNK,))
        }
        assert data["energy"].attrs["units"] == "eV"
    found = products.read_attributes(path)
    assert (found["run"], found["sample"], found["scan"], found["photons"]) == (
        "scan0001",
        "LMR µ",
        1,
        120_000,
    )
    table = kept_photons.read_table(path, "pixels")
    assert table["status"].tolist() == TABLE["status"].tolist()
    np.testing.assert_array_equal(table["live_time"], TABLE["live_time"])


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _, parts = written(tmp_path, [10])
    path.unlink()
    monkeypatch.setattr(
        kept_photons.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})
    )
    with pytest.raises(OSError, match="no room for the photon list"):
        kept_photons.write(path, parts, NOTHING, NOTHING)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"no hdf5"])
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan0001.h5"
    path.write_bytes(content)
    for read in (
        lambda: list(kept_photons.read(path)),
        lambda: kept_photons.read_table(path, "pixels"),
    ):
        with pytest.raises(
            InputError, match=r"scan0001\.h5: cannot be read as a photon list"
        ):
            read()
