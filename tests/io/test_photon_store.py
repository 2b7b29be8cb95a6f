from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus, photon_store

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
        photon_store.append(part, energy[: n // 2], point[: n // 2], pixel)
        photon_store.append(part, energy[n // 2 :], point[n // 2 :], pixel)
        photons.append(np.stack([energy.astype(float), point, np.full(n, pixel)]))
    path = folder / "photons" / "scan0001.h5"
    about = {"run": "scan0001", "sample": "LMR µ", "scan": 1}
    assert photon_store.write(path, parts, {"pixels": TABLE}, about) == sum(numbers)
    return path, np.concatenate([np.empty((3, 0)), *photons], axis=1), parts


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.integers(0, 300), max_size=5), st.integers(1, 200))
def test_appended_photons_are_read(
    tmp_path: Path, numbers: list[int], max_photons: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photon_store, "MAX_PHOTONS", max_photons)
        path, expected, _ = written(tmp_path, numbers)
        blocks = list(photon_store.read(path))
    assert all(len(photons) <= max_photons for photons in blocks)
    columns = [
        np.stack([photons.energy, photons.point, photons.pixel]) for photons in blocks
    ]
    photons_read = np.concatenate([np.empty((3, 0)), *columns], axis=1)
    np.testing.assert_array_equal(photons_read, expected)


def test_columns_have_units_and_names(tmp_path: Path) -> None:
    path, _, _ = written(tmp_path, [50_000, 70_000])
    with h5py.File(path) as file:
        data = file["entry/data"]
        assert {name: column.dtype.str for name, column in data.items()} == {
            "energy": "<f4",
            "pixel": "<i4",
            "point": "<i4",
        }
        assert {
            (column.compression, column.shuffle, column.chunks)
            for column in data.values()
        } == {("lzf", True, (photon_store.CHUNK,))}
        assert data["energy"].attrs["units"] == "eV"
    attributes = nexus.read_attributes(path)
    assert attributes["run"] == "scan0001"
    assert attributes["sample"] == "LMR µ"
    assert attributes["scan"] == 1
    assert attributes["photons"] == 120_000
    table = photon_store.read_table(path, "pixels")
    assert table["status"].tolist() == TABLE["status"].tolist()
    np.testing.assert_array_equal(table["live_time"], TABLE["live_time"])


def test_a_full_disk_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _, parts = written(tmp_path, [10])
    path.unlink()
    monkeypatch.setattr(
        photon_store.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})
    )
    with pytest.raises(OSError, match="no disk space left for the photon list"):
        photon_store.write(path, parts, NOTHING, NOTHING)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"no hdf5"])
def test_invalid_photon_stores_are_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan0001.h5"
    path.write_bytes(content)
    for read in (
        lambda: list(photon_store.read(path)),
        lambda: photon_store.read_table(path, "pixels"),
    ):
        with pytest.raises(
            InputError, match=r"scan0001\.h5: cannot be read as a photon list"
        ):
            read()
