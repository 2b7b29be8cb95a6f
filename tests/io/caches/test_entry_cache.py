"""Entries that are kept: equal to those of the product, whatever the cache holds."""

import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.caches.digest_cache import digest_range
from rixs_pipeline.io.caches.entry_cache import EntryCache

WITHOUT = ("intensity", "intensity_errors")


def write(path, first=0.1):
    """Write a product with numbers of all kinds, texts, and odd values."""
    i0 = [first, np.nan, -0.0]
    dataset = xr.Dataset(
        {
            "incident_energy": ("incident_energy", [1.0, 2.0, 3.0], {"units": "eV"}),
            "counts": (("incident_energy", "bin"), np.arange(12).reshape(3, 4)),
            "intensity": (("incident_energy", "bin"), np.ones((3, 4))),
            "largest": ("line", np.array([0, 2**63 - 1])),
            "lowest": ("line", np.array([-(2**63), 300])),
            "nothing": ("none", np.zeros(0, np.int64)),
            "i0": ("incident_energy", i0, {"long_name": "incident flux"}),
            "is_used": ("incident_energy", np.array([1, 0, 1], np.int8)),
            "limits": (("pixel", "limit"), np.zeros((0, 2))),
            "line": ("line", np.array(["O_Ka", "Kα ', \""], object)),
            "total": ((), 7),
        },
        attrs={"run": "scan0001", "offset": np.nan, "number": 3, "i0_ref": 0.1 + 0.2},
    )
    nexus.write_product(path, {"entry": dataset}, {"points": [1, 2]}, "counts")


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "scan0001.nxs"
    write(path)
    return path


def digest(path):
    return digest_range(path, (0, path.stat().st_size))


def make_cache(path):
    arrays = ArrayCache(path.parent / "cache", is_compressed=True)
    return EntryCache(arrays, WITHOUT)


def assert_bitwise_equal(first, second):
    xr.testing.assert_identical(first, second)
    for name, variable in first.variables.items():
        assert variable.dtype == second[name].dtype
        if variable.dtype != object:
            assert variable.values.tobytes() == second[name].values.tobytes()
    types = {name: type(value) for name, value in second.attrs.items()}
    assert {name: type(value) for name, value in first.attrs.items()} == types


def test_a_kept_entry_is_that_of_the_product(product, monkeypatch):
    expected = nexus.read_entry(product, without=WITHOUT)
    assert_bitwise_equal(make_cache(product).read(product, digest(product)), expected)
    monkeypatch.setattr(nexus, "read_entry", lambda *_, **__: pytest.fail("read"))
    assert_bitwise_equal(make_cache(product).read(product, digest(product)), expected)


def test_a_product_with_other_content_is_read_again(product):
    cache = make_cache(product)
    cache.read(product, digest(product))
    write(product, first=0.2)
    assert cache.read(product, digest(product))["i0"].values[0] == 0.2
    assert cache.read(product, digest(product))["i0"].values[0] == 0.2


def test_an_entry_with_other_variables_is_read_again(product):
    make_cache(product).read(product, digest(product))
    cache = EntryCache(ArrayCache(product.parent / "cache"), ())
    expected = nexus.read_entry(product)
    assert_bitwise_equal(cache.read(product, digest(product)), expected)


def test_damaged_bytes_never_change_a_value(product):
    cache = make_cache(product)
    expected = cache.read(product, digest(product))
    (kept,) = (product.parent / "cache").iterdir()
    content = kept.read_bytes()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        kept.write_bytes(damaged)
        assert_bitwise_equal(cache.read(product, digest(product)), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"variables": []},
        {"variables": {"i0": {}}},
        {"variables": {"i0": {"dims": [], "shape": [9], "kept as": "float64"}}},
        {"variables": {"i0": None}},
        {"attributes": 3},
    ],
)
def test_a_damaged_layout_is_read_from_the_product(product, change):
    cache = make_cache(product)
    expected = cache.read(product, digest(product))
    (kept,) = (product.parent / "cache").iterdir()
    with np.load(kept) as archive:
        arrays = dict(archive)
    layout = json.loads(arrays["layout"].tobytes()) | change
    arrays["layout"] = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    np.savez(kept, **arrays)
    assert_bitwise_equal(cache.read(product, digest(product)), expected)
    del arrays["layout"]
    np.savez(kept, **arrays)
    assert_bitwise_equal(cache.read(product, digest(product)), expected)


def test_a_damaged_product_is_an_error(product):
    product.write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        make_cache(product).read(product, digest(product))
