"""What a result rests on: digests of inputs, of the config and of the code, and the versions of the libraries."""

import hashlib
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from io import FileIO
from pathlib import Path
from typing import Any, TypedDict

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.locks import locked
from rixs_pipeline.io.runs import Run

LOG = logging.getLogger(__name__)

_CHUNK = 1 << 20  # bytes
_TAIL = 1 << 16  # bytes at the end of a file by which it is known again
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

Status = list[int]  # size in bytes, mtime in ns, inode


def digest_file_range(path: Path, first: int, stop: int) -> str:
    """SHA-1 (hex) of the bytes first <= i < stop of a file; what is appended later does not change it.

    It tells a change, not a forger, and twice to three times as fast as BLAKE2b.

    Raises:
        InputError: the file cannot be read, or ends before `stop`.
    """
    return digest_file_ranges(path, [(first, stop)])[0]


def digest_file_ranges(path: Path, ranges: Sequence[tuple[int, int]]) -> list[str]:
    """As `digest_file_range`, of several ranges (first, stop) of a file, which is opened once."""
    try:
        with path.open("rb", buffering=0) as file:
            return [_digest(file, path, *one) for one in ranges]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _digest(file: FileIO, path: Path, first: int, stop: int) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    file.seek(first)
    left = stop - first
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    if left > 0:
        raise InputError(
            f"{path}: ends {left} bytes before byte {stop}; it was cut after it was first read"
        )
    return digest.hexdigest()


class _Known(TypedDict):
    """What the cache holds of a file."""

    status: Status
    tail: str  # digest of its last bytes
    ranges: dict[str, str]  # first-stop, bytes -> digest
    windows: dict[
        str, str
    ]  # start-end, ns -> digest; a file that grows may get more records of a window


class DigestCache:
    """Digests of ranges of files, kept in a JSON file, so that nothing is read twice.

    A file is taken as unchanged while its size, mtime in ns and inode are. Of one that has grown the digests stay,
    if the last bytes that it had before are still there: acquisition only appends. Of any other, all are dropped.
    """

    def __init__(self, path: Path) -> None:
        """`path`: the JSON file; it need not exist. One that cannot be used is ignored, with a logged warning."""
        self.path = path
        self._files: dict[str, _Known] = _load(path)
        self._names: dict[
            Path, str
        ] = {}  # of files in the cache: to follow links takes longer than the rest
        self._changed = False

    def get(self, path: Path, first: int, stop: int) -> str:
        """The digest of the bytes first <= i < stop of a file, as `digest_file_range` gives it.

        Raises:
            InputError: the file cannot be read, or ends before `stop`.
        """
        return self._ranges(path, [(first, stop)])[0]

    def file(self, path: Path) -> str:
        """The digest of a whole file.

        Raises:
            InputError: the file cannot be read.
        """
        return self.get(path, 0, self._known(path)["status"][0])

    def records(self, path: Path, windows: Sequence[tuple[int, int]]) -> list[str]:
        """The digests of what runs use of an OFF file: its header and the records with start <= unixnano < end.

        `windows`: start and end of each run, ns. A file whose header is broken counts as a whole: that it cannot be
        read is for the run to say.

        Raises:
            InputError: the file cannot be read.
        """
        known = self._known(path)["windows"]
        missing = [window for window in windows if _named(window) not in known]
        if missing:
            known |= zip(
                map(_named, missing), self._records(path, missing), strict=True
            )
            self._changed = True
        return [known[_named(window)] for window in windows]

    def _records(self, path: Path, windows: Sequence[tuple[int, int]]) -> list[str]:
        try:
            file = off.open_file(path)
        except InputError:
            return [self.file(path)] * len(windows)
        header, size = file.header, file.header.record_dtype.itemsize
        rows = [off.record_range(file.records, *window) for window in windows]
        ranges = [
            (header.data_offset + r.start * size, header.data_offset + r.stop * size)
            for r in rows
        ]
        own, *digests = self._ranges(path, [(0, header.data_offset), *ranges])
        return [config_hash({"header": own, "records": digest}) for digest in digests]

    def _ranges(self, path: Path, ranges: Sequence[tuple[int, int]]) -> list[str]:
        """The digests of ranges of bytes, those that are not known in one go."""
        known = self._known(path)["ranges"]
        missing = [one for one in dict.fromkeys(ranges) if _named(one) not in known]
        if missing:
            known |= zip(
                map(_named, missing), digest_file_ranges(path, missing), strict=True
            )
            self._changed = True
        return [known[_named(one)] for one in ranges]

    def _known(self, path: Path) -> _Known:
        """What is known of a file as it is now."""
        status = _status(path)
        key = self._names.get(path) or self._names.setdefault(path, str(path.resolve()))
        known = self._files.get(key)
        if known is None or known["status"] != status:
            ranges = (
                known["ranges"] if known and _has_grown(path, known, status) else {}
            )
            tail = digest_file_range(path, max(0, status[0] - _TAIL), status[0])
            known = self._files[key] = {
                "status": status,
                "tail": tail,
                "ranges": ranges,
                "windows": {},
            }
            self._changed = True
        return known

    def save(self) -> None:
        """Write the cache, whole or not at all, with what other runs have added; nothing if nothing was added."""
        from rixs_pipeline.io.nexus import atomic_path

        if self._changed:
            with locked(self.path.parent):
                others = _load(self.path)
                for name, known in self._files.items():
                    if name in others and others[name]["status"] == known["status"]:
                        known["ranges"] |= others[name]["ranges"]
                        known["windows"] |= others[name]["windows"]
                self._files = others | self._files
                with atomic_path(self.path) as temporary:
                    temporary.write_text(
                        json.dumps(self._files, indent=0), encoding="utf-8"
                    )
            self._changed = False


def _named(limits: tuple[int, int]) -> str:
    """How the cache calls a range or a window."""
    return f"{limits[0]}-{limits[1]}"


def _status(path: Path) -> Status:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _has_grown(path: Path, known: _Known, status: Status) -> bool:
    """Whether a file is what it was, with something appended."""
    size, _, inode = known["status"]
    if inode != status[2] or size >= status[0]:
        return False
    return digest_file_range(path, max(0, size - _TAIL), size) == known["tail"]


def _load(path: Path) -> dict[str, _Known]:
    """The content of a cache file, checked; empty where there is none or it is damaged."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))
        for known in files.values():
            texts = [
                known["tail"],
                *known["ranges"].values(),
                *known["windows"].values(),
            ]
            if len(known["status"]) != 3 or not all(
                isinstance(each, str) for each in texts
            ):
                raise ValueError("an entry is not of the expected form")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        LOG.warning(
            "%s: the cache of digests is damaged and ignored (%s); inputs are read again",
            path,
            error,
        )
        return {}
    return dict(files)


def run_digest(run: Run) -> str:
    """Hash of what the logs say of a run, the config's corrections included; where the files are does not count."""
    points = run.points
    arrays = {
        "incident_energy": points.incident_energy,
        "start_ns": points.start_ns,
        "end_ns": points.end_ns,
    }
    arrays |= {f"reading {channel}": values for channel, values in run.readings.items()}
    told = {
        name: hashlib.blake2b(values.tobytes(), digest_size=16).hexdigest()
        for name, values in arrays.items()
    }
    told |= {
        name: getattr(run, name)
        for name in ("kind", "name", "sample", "edge", "reference_run", "complete")
    }
    return config_hash(told)


def canonical(values: Mapping[str, Any]) -> str:
    """Plain JSON values as one text, the same whatever the order of their keys.

    Raises:
        TypeError, ValueError: a value has no JSON form, or is NaN or infinite.
    """
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def config_hash(values: Mapping[str, Any]) -> str:
    """Hash (128 bit, hex) of plain JSON values, whatever the order of their keys.

    Raises:
        TypeError, ValueError: as `canonical`.
    """
    return hashlib.blake2b(canonical(values).encode(), digest_size=16).hexdigest()


@cache
def code_version() -> str:
    """The version of the program and a hash of its sources, e.g. `0.1.0+3f2a9c1b5d70`: an edited one is another."""
    package = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=6)
    for source in sorted(package.rglob("*.py")):
        digest.update(
            f"{source.relative_to(package).as_posix()}\0{source.stat().st_size}\0".encode()
        )
        digest.update(source.read_bytes())
    return f"{__version__}+{digest.hexdigest()}"


def environment() -> dict[str, str]:
    """Versions of this program, Python, the platform and the main libraries, without importing them."""
    versions = {
        "rixs_pipeline": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    return versions | {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
