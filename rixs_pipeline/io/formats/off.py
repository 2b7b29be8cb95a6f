"""OFF files (DASTARD): the filtered pulses of one pixel, read through a memory map."""

import mmap
import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline import bus_error
from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.files.opening import FileKind, one_line, open_regular, reader
from rixs_pipeline.io.formats.record_order import NO_DEFECTS, RecordDefects, in_order
from rixs_pipeline.io.runs import NS_PER_S
from rixs_pipeline.paths import OFF_FILE
from rixs_pipeline.types import BoolArray, FloatArray, IntArray, PulseColumns

VERSIONS = ("0.1.0", "0.2.0", "0.3.0")
DERIVATIVE_LIKE, FILT_VALUE = 1, 2  # columns of `coefs`
# A whole array of pixels may stay mapped: a quarter of the file descriptors that a
# process usually has. Larger files take long to read anyway, so that opening them
# again costs little, and mapped pages count as memory of the process.
MAX_MAPPED_FILES = 256
MAX_MAPPED_BYTES = 1 << 24
_FIRST_READ_BYTES = 1 << 12
_MAX_HEADER_BYTES = 1 << 24  # 0.1.0 has its matrices in the header: some MB at most
_KEPT_HEADERS = 1024  # parsed ones: the file of a pixel grows, its header stays
_KEPT_HEADER_BYTES = 1 << 14  # of one that is kept, at most
_MAX_BASES = 1000  # coefficients of a record; files have 3 to 6
_MAX_FRAME_PERIOD_S = 1.0  # of real files 1e-6 to 1e-4
_HEADER_END = b"\n}\n"
_MATRIX_VALUE_BYTES = 8  # float64


@dataclass(frozen=True)
class OffHeader:
    """Layout of the records, where they start, and how many are complete."""

    version: str
    number_of_bases: int
    frame_period_s: float
    record_dtype: np.dtype[np.void]
    data_offset: int  # bytes before the first record
    n_records: int  # complete ones
    truncated_bytes: int  # of an incomplete last record


@dataclass(frozen=True)
class OffFile:
    """Header and complete records of a file, in order of time, each once.

    Fields of a record: record_samples, record_presamples i4; framecount, unixnano i8;
    pretrigger_mean, residual_stddev f4; from version 0.3.0 on pretrigger_delta f4;
    coefs f4 (number_of_bases,).
    """

    header: OffHeader
    records: NDArray[np.void]  # (record,), read-only
    defects: RecordDefects = NO_DEFECTS  # of the file; its records are put right

    @property
    def dead_time(self) -> float:
        """How long the pixel is blind after a trigger, s; 0 without records.

        recordSamples x FramePeriodSeconds, rounded to ns.
        """
        return self._duration("record_samples")

    @property
    def after_trigger(self) -> float:
        """Duration of the part of a record after its trigger, s; 0 without records.

        (recordSamples - recordPreSamples) x FramePeriodSeconds, rounded to ns.
        """
        return self._duration("record_samples", minus="record_presamples")

    def _duration(self, samples_field: str, minus: str = "") -> float:
        """Return the duration of samples of the first record, s."""
        if len(self.records) == 0:
            return 0.0
        samples = int(self.records[0][samples_field])
        if minus:
            samples -= int(self.records[0][minus])
        return round(samples * self.header.frame_period_s * NS_PER_S) / NS_PER_S


@dataclass(frozen=True)
class FileEnds:
    """First and last record of a file."""

    first_ns: int  # ns since 1970
    last_ns: int  # ns since 1970
    n_records: int
    first_record: bytes


@dataclass(frozen=True)
class Pulses:
    """The pulses of one pixel in order of time, one contiguous array a quantity."""

    time_ns: IntArray  # (pulse,), ns since 1970
    pulse_height: FloatArray  # (pulse,), filtValue
    pretrigger_mean: FloatArray  # (pulse,)
    phase: FloatArray  # (pulse,), derivativeLike / filtValue: arrival within a sample
    residual: FloatArray  # (pulse,), residualStdDev: misfit of the pulse model
    since_last: FloatArray  # (pulse,), s since the previous record; inf: the first
    dead_time_s: float  # after each pulse
    after_trigger_s: float  # a second photon within it distorts the first
    pixel: int

    def __len__(self) -> int:
        return len(self.time_ns)

    def select(self, is_selected: BoolArray) -> "Pulses":
        """Return the pulses where `is_selected`, (pulse,), is true."""
        arrays: dict[str, Any] = {
            name: getattr(self, name)[is_selected] for name in _PULSE_ARRAYS
        }
        return replace(self, **arrays)


_PULSE_ARRAYS = (
    "time_ns",
    "pulse_height",
    "pretrigger_mean",
    "phase",
    "residual",
    "since_last",
)


def concatenate(parts: Sequence[Pulses]) -> Pulses:
    """Return the pulses of one pixel from several runs, one run after the other."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _PULSE_ARRAYS
    }
    return replace(parts[0], **arrays)


def pixel_number(path: Path) -> int:
    """Return the channel number in a file name `<prefix>_chan<N>.off`.

    Raises
    ------
    InputError
        The name has none.
    """
    match = OFF_FILE.fullmatch(path.name)
    if match is None:
        raise InputError(
            f"{path}: no pixel number in the name; expected <prefix>_chan<N>.off"
        )
    return int(match["pixel"])


@reader("broken OFF header", "pixel not used")
def read_header(path: Path) -> OffHeader:
    """Read the header alone; the number of records follows from the size of the file.

    Raises
    ------
    InputError
        Not an OFF file, an unsupported version, or a damaged header.
    """
    with open_regular(path, FileKind.PULSES) as file:
        text = _header_text(file, path)
        file_bytes = file.seek(0, 2)
    parse = (
        _parse_layout if len(text) <= _KEPT_HEADER_BYTES else _parse_layout.__wrapped__
    )
    layout = parse(text, path)
    if not len(text) <= layout.data_offset <= file_bytes:
        raise ValueError(
            f"the header places the first record at byte {layout.data_offset}, outside "
            f"the file ({file_bytes} bytes); copy the file again"
        )
    record_bytes = layout.record_dtype.itemsize
    n_records, truncated_bytes = divmod(file_bytes - layout.data_offset, record_bytes)
    return replace(layout, n_records=n_records, truncated_bytes=truncated_bytes)


@dataclass(frozen=True)
class _Mapped:
    """A file that was opened before, and what it was then."""

    size: int
    mtime_ns: int
    inode: int
    file: OffFile
    last_ns: int  # time of the last record

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Whether the file is what it was."""
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
        return stamp == (self.size, self.mtime_ns, self.inode)

    def reaches(self, status: os.stat_result, until_ns: int) -> bool:
        """Whether a file that has grown since has nothing new before a time."""
        has_grown = status.st_ino == self.inode and status.st_size > self.size
        if self.last_ns < until_ns or not has_grown or self.file.defects.are_any:
            return False
        # another file copied onto it shows in the map
        return int(self.file.records["unixnano"][-1]) == self.last_ns


_mapped: dict[Path, _Mapped] = {}  # the one opened last at the end
_mapped_lock = Lock()


@reader()
def open_file(path: Path, until_ns: int | None = None) -> OffFile:
    """Return the header and a memory map of the complete records, in order of time.

    Records that are not in order, or repeated, are copied into memory.

    Small files opened recently stay mapped while they are unchanged, which saves
    finding their pages again.

    Parameters
    ----------
    path
        The file.
    until_ns
        Only records before this time are needed, ns since 1970. A file that has grown
        while pulses arrive is then not mapped again if what is mapped reaches so far.

    Returns
    -------
    OffFile

    Raises
    ------
    InputError
        As for `read_header`, or the file cannot be read.
    """
    status = path.stat()
    known = _mapped.get(path)
    if known is not None:
        is_enough = until_ns is not None and known.reaches(status, until_ns)
        if is_enough or known.is_unchanged(status):
            return known.file
    file = _map(path, status)
    if status.st_size <= MAX_MAPPED_BYTES:
        with _mapped_lock:
            _mapped.pop(path, None)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
            last_ns = int(file.records["unixnano"][-1]) if len(file.records) else 0
            _mapped[path] = _Mapped(*stamp, file, last_ns)
            if len(_mapped) > MAX_MAPPED_FILES:
                del _mapped[next(iter(_mapped))]
    return file


def _map(path: Path, status: os.stat_result) -> OffFile:
    """Map the records of a file that has a status."""
    header = read_header(path)
    if header.n_records == 0:
        return OffFile(header, np.empty(0, header.record_dtype))
    bus_error.note_size(path, status.st_size)
    # the file may have grown since: map the records that the header counted
    end = header.data_offset + header.n_records * header.record_dtype.itemsize
    with open_regular(path, FileKind.PULSES) as file:
        mapped = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ)
    records = np.frombuffer(
        mapped, header.record_dtype, header.n_records, header.data_offset
    )
    ordered = in_order(records, path, status.st_ino, status.st_mtime_ns)
    return OffFile(header, ordered.records, ordered.defects)


def open_records(path: Path, until_ns: int | None = None) -> NDArray[np.void]:
    """Return the records of `open_file`."""
    return open_file(path, until_ns).records


def columns(records: NDArray[np.void]) -> PulseColumns:
    """Return read-only views of columns of the records."""
    view = records.view()
    view.flags.writeable = False
    return PulseColumns(
        time_ns=view["unixnano"],
        pretrigger_mean=view["pretrigger_mean"],
        residual=view["residual_stddev"],
        coefs=view["coefs"],
    )


def record_range(records: NDArray[np.void], start_ns: int, end_ns: int) -> slice:
    """Return which records have start_ns <= unixnano < end_ns.

    By bisection, which reads a few pages.

    Parameters
    ----------
    records
        (record,) in order of time.
    start_ns, end_ns
        ns since 1970.

    Returns
    -------
    slice
        With integer `start` and `stop`.
    """
    time = records["unixnano"]
    first = bisect_left(time, start_ns)
    return slice(first, bisect_left(time, end_ns, lo=first))


@reader("damaged records", "pixel not used")
def read_ends(path: Path, header: OffHeader) -> FileEnds | None:
    """Read the first and last record without mapping the file.

    Parameters
    ----------
    path
        The OFF file.
    header
        Its header.

    Returns
    -------
    FileEnds or None
        None: no records.
    """
    if header.n_records == 0:
        return None
    record_bytes = header.record_dtype.itemsize
    with open_regular(path, FileKind.PULSES) as file:
        file.seek(header.data_offset)
        first = file.read(record_bytes)
        file.seek(header.data_offset + (header.n_records - 1) * record_bytes)
        last = file.read(record_bytes)
    times = np.frombuffer(first + last, header.record_dtype)["unixnano"]
    return FileEnds(int(times[0]), int(times[1]), header.n_records, first)


def read_pulses(path: Path, start_ns: int, end_ns: int) -> Pulses:
    """Read the pulses of one pixel in a time window.

    Parameters
    ----------
    path
        The OFF file.
    start_ns, end_ns
        The window, start_ns <= time < end_ns, ns since 1970.

    Returns
    -------
    Pulses
        In order of time; `phase` is NaN where the pulse height is 0.

    Raises
    ------
    InputError
        As for `read_header`, or no pixel number in the name of the file.
    """
    file = open_file(path, end_ns)
    rows = record_range(file.records, start_ns, end_ns)
    records = np.array(file.records[rows])
    time = records["unixnano"].astype(np.int64)
    with np.errstate(invalid="ignore"):  # damaged records may hold signalling NaNs
        height = records["coefs"][:, FILT_VALUE].astype(np.float64)
        slope = records["coefs"][:, DERIVATIVE_LIKE].astype(np.float64)
        pretrigger_mean = records["pretrigger_mean"].astype(np.float64)
        residual = records["residual_stddev"].astype(np.float64)
    has_phase = (height != 0) & np.isfinite(height) & np.isfinite(slope)
    phase = np.full(len(records), np.nan)
    np.divide(slope, height, out=phase, where=has_phase)
    previous = file.records["unixnano"][max(rows.start - 1, 0) : rows.start]
    return Pulses(
        time_ns=time,
        pulse_height=height,
        pretrigger_mean=pretrigger_mean,
        phase=phase,
        residual=residual,
        since_last=_since_last(time, previous),
        dead_time_s=file.dead_time,
        after_trigger_s=file.after_trigger,
        pixel=pixel_number(path),
    )


def _since_last(time_ns: IntArray, previous: IntArray) -> FloatArray:
    """Return the time since the previous record, (pulse,), s.

    `previous` holds the time of the record before the first one, or nothing.
    """
    if len(previous) == 0:
        since_last = np.diff(time_ns, prepend=time_ns[:1]) / NS_PER_S
        since_last[:1] = np.inf
        return np.asarray(since_last)
    steps = np.diff(time_ns, prepend=previous[-1])
    return np.asarray(np.maximum(steps, 0) / NS_PER_S)


def _header_text(file: BinaryIO, path: Path) -> bytes:
    """Return all bytes up to and including the line that holds only `}`."""
    text = b""
    while len(text) < _MAX_HEADER_BYTES:
        chunk = file.read(max(_FIRST_READ_BYTES, len(text)))
        text += chunk
        if not text.lstrip().startswith(b"{") or not chunk:
            break
        end = text.find(_HEADER_END)
        if end >= 0:
            return text[: end + len(_HEADER_END)]
    raise InputError(
        f"{path}: no OFF header (a JSON object whose last line is a brace); "
        "probably not an OFF file"
    )


@lru_cache(_KEPT_HEADERS)
def _parse_layout(text: bytes, path: Path) -> OffHeader:
    """Return the checked header, of no records; some versions write numbers as text."""
    header = parse_json(text)
    file_format = header["FileFormat"]
    version = str(header["FileFormatVersion"])
    if file_format != "OFF" or version not in VERSIONS:
        raise InputError(
            f"{path}: {one_line(f'{file_format} {version}')} is not supported; "
            f"supported: OFF {', '.join(VERSIONS)}"
        )
    number_of_bases = int(header["NumberOfBases"])
    if number_of_bases <= FILT_VALUE:
        raise InputError(
            f"{path}: no pulse heights: NumberOfBases is {number_of_bases}, but "
            "filtValue is the third coefficient"
        )
    if number_of_bases > _MAX_BASES:
        raise ValueError(f"`NumberOfBases` is {number_of_bases}")
    data_offset = len(text)
    if version != "0.1.0":  # the matrices follow the header
        projectors = header["ModelInfo"]["Projectors"]
        rows, columns = int(projectors["Rows"]), int(projectors["Cols"])
        if min(rows, columns) < 0:
            raise ValueError(f"projectors of {rows} x {columns}")
        matrix_values = rows * columns
        data_offset += 2 * matrix_values * _MATRIX_VALUE_BYTES
    frame_period_s = float(header["FramePeriodSeconds"])
    if not 0 < frame_period_s <= _MAX_FRAME_PERIOD_S:
        raise ValueError(
            f"invalid `FramePeriodSeconds`: {frame_period_s} s (must be positive, at "
            f"most {_MAX_FRAME_PERIOD_S:g} s)"
        )
    return OffHeader(
        version=version,
        number_of_bases=number_of_bases,
        frame_period_s=frame_period_s,
        record_dtype=record_dtype(version, number_of_bases),
        data_offset=data_offset,
        n_records=0,
        truncated_bytes=0,
    )


def record_dtype(version: str, number_of_bases: int) -> np.dtype[np.void]:
    """Return the layout of a record.

    Parameters
    ----------
    version
        One of `VERSIONS`.
    number_of_bases
        Length of `coefs`.

    Returns
    -------
    numpy.dtype
        Little endian, packed.

    References
    ----------
    Package `off` of DASTARD, https://github.com/usnistgov/dastard.
    """
    fields: list[Any] = [
        ("record_samples", "<i4"),
        ("record_presamples", "<i4"),
        ("framecount", "<i8"),
        ("unixnano", "<i8"),
        ("pretrigger_mean", "<f4"),
    ]
    if version == "0.3.0":
        fields.append(("pretrigger_delta", "<f4"))
    fields += [("residual_stddev", "<f4"), ("coefs", "<f4", (number_of_bases,))]
    return np.dtype(fields)
