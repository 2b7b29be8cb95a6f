"""What a result depends on: digests of runs, the config and the code; versions."""

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from rixs_pipeline import __version__
from rixs_pipeline.io.runs import Run

_LIBRARIES = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "h5netcdf",
    "xarray",
    "dask",
    "distributed",
    "matplotlib",
    "pydantic",
    "ruamel.yaml",
)
# one encoder: `json.dumps` makes one for each call
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_DIGEST_BYTES = 16
_CODE_DIGEST_BYTES = 6


def digest_run(run: Run, *, with_readings: bool = True) -> str:
    """Return the digest of what the logs and the config say of a run.

    Paths of files do not count.

    Parameters
    ----------
    run
        The run.
    with_readings
        Whether the readings of its points count.

    Returns
    -------
    str
        32 hex digits.
    """
    arrays = {
        "incident_energy": run.points.incident_energy,
        "start_ns": run.points.start_ns,
        "end_ns": run.points.end_ns,
    }
    readings = run.readings if with_readings else {}
    for channel, values in readings.items():
        arrays[f"reading {channel}"] = values
    content: dict[str, Any] = {
        name: _blake2b(values.tobytes()) for name, values in arrays.items()
    }
    for name in ("kind", "name", "sample", "edge", "reference_run", "complete"):
        content[name] = getattr(run, name)
    if run.beamtime:
        content["beamtime"] = run.beamtime
    if run.clock_offset is not None:
        content["clock_offset"] = [run.clock_offset.value, run.clock_offset.error]
    return digest_values(content)


def digest_values(values: Mapping[str, Any]) -> str:
    """Return the digest (hex, 128 bit) of plain JSON values, in any order of the keys.

    Raises
    ------
    TypeError, ValueError
        As for `canonical_json`.
    """
    return _blake2b(canonical_json(values).encode())


def _blake2b(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def canonical_json(values: Mapping[str, Any]) -> str:
    """Return plain JSON values as text, the same in any order of the keys.

    Raises
    ------
    TypeError, ValueError
        A value has no JSON form, or is NaN or infinite.
    """
    return _CANONICAL.encode(values)


@cache
def code_version() -> str:
    """Return the version with a digest of the sources, such as `0.1.0+3f2a9c1b5d70`."""
    package = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=_CODE_DIGEST_BYTES)
    for source in sorted(package.rglob("*.py")):
        name = source.relative_to(package).as_posix()
        digest.update(f"{name}\0{source.stat().st_size}\0".encode())
        digest.update(source.read_bytes())
    return f"{__version__}+{digest.hexdigest()}"


@cache
def environment() -> dict[str, str]:
    """Return the versions of the program, Python, the platform and main libraries."""
    versions = {
        "rixs_pipeline": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
