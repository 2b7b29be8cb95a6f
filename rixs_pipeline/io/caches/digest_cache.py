"""Digests of input files, cached so that nothing is read twice."""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import format_json, parse_json
from rixs_pipeline.files.opening import FileKind, open_regular, read_bytes, reader
from rixs_pipeline.io.caches.file_status import FileStatus, file_status
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.locks import locked
from rixs_pipeline.io.provenance import digest_values
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.types import Outcome

LOG = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
N_THREADS = 2  # more of them keep the interpreter's lock from other work
_MOST_DIGITS = 19  # of a time in ns
_TAIL_BYTES = 1 << 12  # at the end of a file, by which a grown file is recognised

Limits = tuple[int, int]  # first byte and the one after the last; or start and end, ns


@reader()
def digest_range(path: Path, limits: Limits) -> str:
    """Return the SHA-1 (hex) of a range of bytes; appended bytes do not change it.

    SHA-1 detects changes, not forgery, two to three times as fast as BLAKE2b.

    Parameters
    ----------
    path
        The file.
    limits
        First byte, and the one after the last.

    Returns
    -------
    str
        40 hex digits.

    Raises
    ------
    InputError
        The file cannot be read, or ends before the range.
    """
    first, stop = limits
    digest = hashlib.sha1(usedforsecurity=False)
    missing_bytes = stop - first
    with open_regular(path, FileKind.PULSES, buffering=0) as file:
        file.seek(first)
        while missing_bytes > 0:
            chunk = file.read(min(_CHUNK_BYTES, missing_bytes))
            if not chunk:
                raise InputError(
                    f"{path}: truncated since it was first read ({missing_bytes} bytes "
                    f"missing before byte {stop}); copy it again"
                )
            digest.update(chunk)
            missing_bytes -= len(chunk)
    return digest.hexdigest()


@dataclass
class _FileDigests:
    """Cached digests of one file."""

    status: FileStatus
    tail: str  # digest of the last bytes
    ranges: dict[str, str] = field(default_factory=dict)  # "first-stop" -> digest
    windows: dict[str, str] = field(default_factory=dict)  # "start-end" in ns -> digest
    last_ns: int = 0  # time of the last record that windows were digested with


class DigestCache:
    """Digests of ranges of files, kept in a JSON file.

    A file counts as unchanged while its size, mtime and inode are the same. Digests of
    ranges of a file that has grown stay, if the last bytes that it had before are still
    there: acquisition only appends. All others are dropped.
    """

    def __init__(self, path: Path) -> None:
        """Load the cache; one that is damaged is ignored with a warning.

        Parameters
        ----------
        path
            The JSON file; it need not exist.
        """
        self.path = path
        self._loaded = _status(path)
        self._files: dict[str, _FileDigests] = _load(path)
        self._resolved: dict[Path, str] = {}  # following links takes longer than lookup
        self._has_changed = False

    def digest_range(self, path: Path, limits: Limits) -> str:
        """Return the digest of a range of bytes.

        Parameters
        ----------
        path
            The file.
        limits
            First byte, and the one after the last.

        Returns
        -------
        str
            As `digest_range` of this module.

        Raises
        ------
        InputError
            The file cannot be read, or ends before the range.
        """
        cached, key = self._current(path).ranges, _key(limits)
        if key not in cached:
            cached[key] = digest_range(path, limits)
            self._has_changed = True
        return cached[key]

    def digest_file(self, path: Path) -> str:
        """Return the digest of a whole file.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        return self.digest_range(path, (0, self._current(path).status.size))

    def digest_files(
        self, windows: Mapping[Path, Sequence[Limits]]
    ) -> dict[Path, list[str]]:
        """Return `digest_records` of several files, without those that cannot be read.

        Parameters
        ----------
        windows
            Of each file.

        Returns
        -------
        dict of Path to list of str
            One digest a window.
        """
        with self.reading(windows):
            pass
        digests = {
            path: Outcome.of(self.digest_records, path, windows[path])
            for path in windows
        }
        return {
            path: outcome.unwrap()
            for path, outcome in digests.items()
            if outcome.error is None
        }

    @contextmanager
    def reading(self, windows: Mapping[Path, Sequence[Limits]]) -> Iterator[None]:
        """Digest new files in threads while the block runs; wait for them at its end.

        Hashing releases the interpreter's lock. Files that have grown are left out:
        little of them is read, and threads would wait for each other longer than that
        takes. Errors are raised where the digests are needed.

        Parameters
        ----------
        windows
            Of each file.
        """
        new = [path for path in windows if self._name(path) not in self._files]
        pool = ThreadPoolExecutor(N_THREADS)
        try:
            futures = [
                pool.submit(self.digest_records, path, windows[path]) for path in new
            ]
            yield
            wait(futures)
        finally:  # Ctrl-C waits only for the files that are being read
            pool.shutdown(cancel_futures=True)

    def digest_records(self, path: Path, windows: Sequence[Limits]) -> list[str]:
        """Return the digests of what runs use of an OFF file: its header and records.

        Parameters
        ----------
        path
            The OFF file. One with a damaged header counts as a whole: the run reports
            that it cannot be read.
        windows
            Start and end of each run, start <= unixnano < end, ns since 1970.

        Returns
        -------
        list of str
            One digest a window.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        cached = self._current(path).windows
        missing = [window for window in windows if _key(window) not in cached]
        if missing:
            digests = self._digest_windows(path, missing)
            cached.update(zip(map(_key, missing), digests, strict=True))
            self._has_changed = True
        return [cached[_key(window)] for window in windows]

    def _digest_windows(self, path: Path, windows: Sequence[Limits]) -> list[str]:
        """Return digests of the records of windows, each with that of the header."""
        try:
            file = off.open_file(path)
        except InputError:
            return [self.digest_file(path)] * len(windows)
        if file.defects.are_any:  # its records are not where the file has them
            return [_digest_repaired(file, window) for window in windows]
        if len(file.records):
            self._current(path).last_ns = int(file.records[-1]["unixnano"])
        header = self.digest_range(path, (0, file.header.data_offset))
        return [
            digest_values({"header": header, "records": _digest_window(file, window)})
            for window in windows
        ]

    def _current(self, path: Path) -> _FileDigests:
        """Return the cached digests that hold for a file as it is now."""
        status = file_status(path)
        name = self._name(path)
        cached = self._files.get(name)
        if cached is not None and cached.status == status:
            return cached
        has_grown = cached is not None and _has_grown(path, cached, status)
        current = _FileDigests(status, _digest_tail(path, status.size))
        if cached is not None and has_grown:
            current.ranges = cached.ranges
            current.windows = _complete_windows(path, cached)
            current.last_ns = cached.last_ns
        self._files[name] = current
        self._has_changed = True
        return current

    def _name(self, path: Path) -> str:
        """Return the name of a file in the cache."""
        if path not in self._resolved:
            self._resolved[path] = str(path.resolve())
        return self._resolved[path]

    def save(self) -> None:
        """Write the cache with what other processes added meanwhile, if it changed.

        A disk that is full does no harm here: products report it.
        """
        if not self._has_changed:
            return
        with locked(self.path.parent):
            if _status(self.path) != self._loaded:
                self._merge(_load(self.path))
            content = {name: vars(cached) for name, cached in self._files.items()}
            try:
                with atomic_path(self.path) as temporary:
                    temporary.write_text(format_json(content), encoding="utf-8")
            except OSError as error:
                LOG.debug("%s: not saved (%s)", self.path, error)
                return
            self._loaded = _status(self.path)
        self._has_changed = False

    def _merge(self, on_disk: dict[str, _FileDigests]) -> None:
        """Add what other processes have written."""
        for name, cached in self._files.items():
            if name in on_disk and on_disk[name].status == cached.status:
                cached.ranges |= on_disk[name].ranges
                cached.windows |= on_disk[name].windows
        self._files = on_disk | self._files


def _digest_repaired(file: off.OffFile, window: Limits) -> str:
    """Return a digest of the records in a window, and of the layout of all records."""
    content = _digest_window(file, window)
    return digest_values({"header": repr(file.header), "records": content})


def _digest_window(file: off.OffFile, window: Limits) -> str:
    """Return the SHA-1 (hex) of the records in a window.

    They are read from the memory map, whose pages other steps use too.
    """
    records = file.records[off.record_range(file.records, *window)]
    return hashlib.sha1(records.data, usedforsecurity=False).hexdigest()


def _key(limits: Limits) -> str:
    """Return a range of bytes or a time window as a key of the cache."""
    return f"{limits[0]}-{limits[1]}"


def _digest_tail(path: Path, size: int) -> str:
    """Return the digest of the last of the first `size` bytes."""
    return digest_range(path, (max(0, size - _TAIL_BYTES), size))


def _has_grown(path: Path, cached: _FileDigests, status: FileStatus) -> bool:
    """Return whether a file is what it was, with something appended."""
    if cached.status.inode != status.inode or cached.status.size >= status.size:
        return False
    return _digest_tail(path, cached.status.size) == cached.tail


def _complete_windows(path: Path, cached: _FileDigests) -> dict[str, str]:
    """Return the digests of windows to which a file that has grown adds no record."""
    try:
        if off.open_file(path).defects.are_any:  # such as records out of order
            return {}
    except InputError:
        return {}
    return {
        window: digest
        for window, digest in cached.windows.items()
        if _end_ns(window) <= cached.last_ns
    }


def _end_ns(window: str) -> float:
    """Return the end of a window from its key; of a damaged key it never comes."""
    end = window.rpartition("-")[2]
    return int(end) if end.isdecimal() and len(end) <= _MOST_DIGITS else math.inf


def _status(path: Path) -> FileStatus | None:
    """Return the status of a cache; None where there is none."""
    try:
        return file_status(path)
    except InputError:
        return None


def _load(path: Path) -> dict[str, _FileDigests]:
    """Return the content of a cache; empty where there is none or it is damaged."""
    if not path.exists():
        return {}
    try:
        return _read_cache(path)
    except InputError as error:
        LOG.warning("%s", error)
        return {}


@reader("digest cache damaged", "reading all input files again")
def _read_cache(path: Path) -> dict[str, _FileDigests]:
    content = parse_json(read_bytes(path, FileKind.DIGESTS))
    return {name: _parse_entry(entry) for name, entry in content.items()}


def _parse_entry(entry: dict[str, Any]) -> _FileDigests:
    """Return the checked entry of a file."""
    status = FileStatus(*entry["status"])
    if not all(isinstance(number, int) for number in status):
        raise ValueError("the status of a file is not of integers")
    digests = _FileDigests(
        status=status,
        tail=entry["tail"],
        ranges=dict(entry["ranges"]),
        windows=dict(entry["windows"]),
        last_ns=int(entry.get("last_ns", 0)),
    )
    texts = [digests.tail, *digests.ranges.values(), *digests.windows.values()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a digest is not text")
    return digests
