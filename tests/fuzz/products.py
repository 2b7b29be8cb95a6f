"""Products that are changed as objects: other types, shapes, links and attributes."""

from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import xarray as xr

from rixs_pipeline import open_product
from rixs_pipeline.errors import RixsError
from rixs_pipeline.io import export, nexus, photon_store
from tests.fuzz.mutations import mutate_bytes

_BIG = 10**12


@cache
def PRODUCT_SEEDS() -> list[bytes]:
    """A spectrum with text, and a photon list."""
    energy = np.arange(5.0)
    spectrum = xr.Dataset(
        {
            "intensity": ("incident_energy", energy, {"units": "1"}),
            "intensity_errors": ("incident_energy", energy),
            "status": ("pixel", np.array(["ok", "dead"], dtype=object)),
            "counts": (("incident_energy", "pixel"), np.zeros((5, 2), np.int32)),
        },
        coords={"incident_energy": energy},
        attrs={"sample": "a", "edge": "Co_L", "region": "{}", "passes": 3},
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        nexus.write_product(folder / "a.nxs", {"A": spectrum}, {}, "intensity")
        part = folder / "part"
        photon_store.append(part, energy.astype("f4"), np.arange(5), 3)
        tables = {"points": {"energy": energy, "status": np.array(["a", "b"])}}
        photon_store.write(folder / "a.h5", [part], tables, {"sample": "a"})
        return [(folder / file).read_bytes() for file in ("a.nxs", "a.h5")]


def read_product(data: bytes, folder: Path) -> None:
    """Read a product in every way that the package has."""
    path = folder / "a.nxs"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    readers: tuple[Callable[[], object], ...] = (
        lambda: open_product(path),
        lambda: nexus.read_attributes(path),
        lambda: nexus.read_values(path, "status", "A"),
        lambda: export.read_spectra(path),
        lambda: list(photon_store.read(path)),
        lambda: photon_store.has_table(path, "points"),
        lambda: photon_store.read_table(path, "points"),
    )
    for read in readers:
        try:
            read()
        except RixsError as error:
            if "\n" in str(error) or "Unable to allocate" in str(error):
                raise AssertionError(str(error)) from error


def mutate_product(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """Change an object of a product; a file that HDF5 cannot open, as bytes."""
    stream = BytesIO(data)
    try:
        with h5py.File(stream, "r+") as file:
            for _ in range(random.randint(1, 3)):
                _change(random, file)
    except Exception:  # HDF5 refuses what makes no sense
        if not stream.getvalue():
            return mutate_bytes(random, data, corpus)
    return stream.getvalue()


def _change(random: Random, file: h5py.File) -> None:
    names: list[str] = []
    file.visit(names.append)
    name = random.choice(names) if names else "x"
    target = file[name]
    parent, key = target.parent, name.rsplit("/", 1)[-1]
    action = random.randrange(8)
    if action == 0:
        del parent[key]
    elif action == 1:
        del parent[key]
        parent[key] = random.choice(_links(random, names))
    elif action == 2:
        del parent[key]
        parent[key] = random.choice(_VALUES)
    elif action == 3:
        del parent[key]
        options = random.choice(_LAYOUTS)
        parent.create_dataset(key, **options)
    elif action == 4 and target.attrs:
        attribute = random.choice(list(target.attrs))
        target.attrs[attribute] = random.choice(_VALUES)
    elif action == 5:
        attribute = random.choice(("schema_version", "NAME", "CLASS", "units", "x"))
        target.attrs[attribute] = random.choice(_VALUES)
    elif action == 6 and target.attrs:
        del target.attrs[random.choice(list(target.attrs))]
    elif isinstance(target, h5py.Dataset) and target.ndim:
        other = file[random.choice(names)]
        if isinstance(other, h5py.Dataset):
            other.make_scale(random.choice(("", "x", "../../y")))
            target.dims[random.randrange(target.ndim)].attach_scale(other)


_VALUES: tuple[Any, ...] = (
    0,
    -1,
    float("nan"),
    "text",
    "",
    b"\xff\xfe",
    np.array([b"a", b"\xff"]),
    np.arange(3),
    np.zeros((2, 3, 4)),
    np.zeros(0),
    np.array(["a", "bc"], dtype=object),
    np.zeros(3, [("a", "i4"), ("b", "S3")]),
    np.array([1 + 2j]),
    h5py.Empty("f8"),
    np.void(b"abc"),
    np.array([True]),
    "x" * 10_000,
)
_LAYOUTS: tuple[dict[str, Any], ...] = (
    {"shape": (_BIG,), "dtype": "f8", "chunks": (1000,)},
    {"shape": (3, _BIG), "dtype": "S9", "chunks": (1, 1000)},
    {"shape": (10**7,), "dtype": "f4", "chunks": (10**6,), "compression": "gzip"},
    {"shape": (3,), "dtype": "f4", "external": [("/dev/zero", 0, 12)]},
    {"shape": (3,), "dtype": h5py.ref_dtype},
    {"shape": (3,), "dtype": h5py.vlen_dtype("i4")},
    {"shape": (), "dtype": "i8"},
    {"shape": (5,), "dtype": "f8", "fillvalue": float("inf")},
    {"shape": (5,), "dtype": ">f2"},
    {"shape": (2,), "dtype": "S70000"},
)


def _links(random: Random, names: list[str]) -> list[Any]:
    return [
        h5py.SoftLink("/" + random.choice(names)),
        h5py.SoftLink("/nowhere"),
        h5py.ExternalLink("/dev/zero", "/x"),
        h5py.ExternalLink("a.nxs", "/"),
    ]
