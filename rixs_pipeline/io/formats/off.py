"""OFF files (DASTARD): the filtered pulses of one pixel, read through a memory map."""

import json
import mmap
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.paths import OFF_FILE
from rixs_pipeline.types import PulseColumns

VERSIONS = ("0.1.0", "0.2.0", "0.3.0")
DERIVATIVE_LIKE, FILT_VALUE = 1, 2  # columns of `coefs`
# Files that stay mapped: a whole array, and a quarter of the descriptors that a process may have as a rule. To open a
# larger one takes little beside reading it, and what is mapped counts as memory of the process.
KEPT_OPEN, KEPT_BYTES = 256, 1 << 24
_FIRST_READ = 1 << 12
_LARGEST_HEADER = 1 << 26  # 0.1.0 holds its matrices in the header: some MB at most


@dataclass(frozen=True)
class OffHeader:
    """What is needed to read the records: their layout, where they start, and how many are whole."""

    version: str
    number_of_bases: int
    frame_period_s: float
    record_dtype: np.dtype[np.void]
    data_offset: int  # bytes before the first record
    n_records: int
    truncated_bytes: (
        int  # of a last record that is cut short; it is not part of n_records
    )


@dataclass(frozen=True)
class Pulses:
    """The pulses of one pixel in order of time, one contiguous array a quantity, all (pulse,)."""

    time_ns: NDArray[np.int64]
    pulse_height: NDArray[np.float64]  # filtValue
    pretrigger_mean: NDArray[np.float64]
    phase: NDArray[
        np.float64
    ]  # derivativeLike / filtValue: arrival within a sample; NaN where filtValue is 0
    residual: NDArray[np.float64]  # residualStdDev: misfit of the pulse model
    since_last: NDArray[
        np.float64
    ]  # s since the pixel's previous record, wherever that lies; inf for the file's first
    dead_time_s: float  # after each pulse
    after_trigger_s: float  # the part of a record that follows its trigger: a second photon in it spoils the first
    pixel: int

    def __len__(self) -> int:
        return len(self.time_ns)

    def take(self, which: NDArray[np.bool_]) -> "Pulses":
        """Some of the pulses, `which` bool (pulse,)."""
        columns: dict[str, Any] = {
            name: getattr(self, name)[which] for name in _COLUMNS
        }
        return replace(self, **columns)


_COLUMNS = (
    "time_ns",
    "pulse_height",
    "pretrigger_mean",
    "phase",
    "residual",
    "since_last",
)


def joined(parts: Sequence[Pulses]) -> Pulses:
    """Pulses of one pixel from one or several runs, one after the other."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _COLUMNS
    }
    return replace(parts[0], **columns)


def pixel_number(path: Path) -> int:
    """The channel number in a file name `<prefix>_chan<N>.off`.

    Raises:
        InputError: the name has none.
    """
    match = OFF_FILE.fullmatch(path.name)
    if match is None:
        raise InputError(
            f"{path}: no pixel number in the name; expected <prefix>_chan<N>.off"
        )
    return int(match["pixel"])


def read_header(path: Path) -> OffHeader:
    """Read the header alone; the number of records follows from the size of the file.

    Raises:
        InputError: not an OFF file, a version that is not known, or a header that is broken.
    """
    try:
        with path.open("rb") as file:
            text = _header_text(file, path)
            size = file.seek(0, 2)
        return _parse_header(json.loads(text), len(text), size, path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: broken OFF header ({error!r}); the pixel cannot be read"
        ) from error


def open_file(path: Path) -> tuple[OffHeader, NDArray[np.void]]:
    """The header, and all whole records, (record,), as a read-only memory map; without records a plain empty array.

    Fields: record_samples, record_presamples i4; framecount, unixnano i8; pretrigger_mean, residual_stddev f4;
    pretrigger_delta f4 from version 0.3.0 on; coefs f4 (number_of_bases,).

    Small files that were opened last stay mapped, while they are what they were: their pages need not be found again.

    Raises:
        InputError: as `read_header`.
    """
    status = path.stat()
    opened = _opened if status.st_size <= KEPT_BYTES else _opened.__wrapped__
    return opened(path, status.st_size, status.st_mtime_ns, status.st_ino)


def open_records(path: Path) -> NDArray[np.void]:
    """The records of `open_file`."""
    return open_file(path)[1]


@lru_cache(maxsize=KEPT_OPEN)
def _opened(path: Path, *_: int) -> tuple[OffHeader, NDArray[np.void]]:
    header = read_header(path)
    return header, _map_records(path, header)


def _map_records(path: Path, header: OffHeader) -> NDArray[np.void]:
    """The whole records that the header counted: the file may have grown since."""
    if header.n_records == 0:
        return np.empty(0, header.record_dtype)
    size = header.data_offset + header.n_records * header.record_dtype.itemsize
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(
        mapped, header.record_dtype, header.n_records, header.data_offset
    )


def columns(records: NDArray[np.void]) -> PulseColumns:
    """Return read-only views of the records' columns."""
    plain = records.view()
    plain.flags.writeable = False
    return PulseColumns(
        time_ns=plain["unixnano"],
        pretrigger_mean=plain["pretrigger_mean"],
        residual=plain["residual_stddev"],
        coefs=plain["coefs"],
    )


def record_range(
    records: NDArray[np.void], start_ns: int, end_ns: int
) -> tuple[int, int]:
    """First record with start_ns <= unixnano, and first with end_ns <= unixnano: `records[first:last]`.

    By bisection, so the records must be in order of time, as the acquisition writes them; a few pages are read.
    """
    time = records["unixnano"]
    first = bisect_left(time, start_ns)
    return first, bisect_left(time, end_ns, lo=first)


def time_range(path: Path, header: OffHeader) -> tuple[int, int] | None:
    """Times of the first and the last record, ns since 1970, without mapping the file; None without records."""
    if header.n_records == 0:
        return None
    size = header.record_dtype.itemsize
    with path.open("rb") as file:
        file.seek(header.data_offset)
        first = file.read(size)
        file.seek(header.data_offset + (header.n_records - 1) * size)
        both = np.frombuffer(first + file.read(size), header.record_dtype)["unixnano"]
    return int(both[0]), int(both[1])


def dead_time_ns(records: NDArray[np.void], header: OffHeader) -> int:
    """How long a pixel is blind after a trigger: recordSamples x FramePeriodSeconds, in ns; 0 without records."""
    if len(records) == 0:
        return 0
    return round(int(records[0]["record_samples"]) * header.frame_period_s * 1e9)


def after_trigger_ns(records: NDArray[np.void], header: OffHeader) -> int:
    """The part of a record after its trigger: (recordSamples - recordPreSamples) x FramePeriodSeconds, in ns."""
    if len(records) == 0:
        return 0
    samples = int(records[0]["record_samples"]) - int(records[0]["record_presamples"])
    return round(samples * header.frame_period_s * 1e9)


def read_pulses(path: Path, start_ns: int, end_ns: int) -> Pulses:
    """The pulses of one pixel with start_ns <= time < end_ns, in order of time.

    Raises:
        InputError: as `read_header`, or no pixel number in the file's name.
    """
    header, everything = open_file(path)
    first, last = record_range(everything, start_ns, end_ns)
    before = everything["unixnano"][max(first - 1, 0) : first]
    records = np.array(everything[first:last])
    if np.any(np.diff(records["unixnano"]) < 0):
        records = records[np.argsort(records["unixnano"], kind="stable")]
    time = records["unixnano"].astype(np.int64)
    since_last = (
        np.maximum(np.diff(time, prepend=before[-1] if len(before) else time[:1]), 0)
        / 1e9
    )
    if not len(before):
        since_last[:1] = np.inf
    with np.errstate(invalid="ignore"):  # damaged records may hold signalling NaNs
        height, slope = (
            records["coefs"][:, k].astype(np.float64)
            for k in (FILT_VALUE, DERIVATIVE_LIKE)
        )
        base, residual = (
            records[name].astype(np.float64)
            for name in ("pretrigger_mean", "residual_stddev")
        )
    phase = np.full(len(records), np.nan)
    np.divide(
        slope,
        height,
        out=phase,
        where=(height != 0) & np.isfinite(height) & np.isfinite(slope),
    )
    return Pulses(
        time_ns=time,
        pulse_height=height,
        pretrigger_mean=base,
        phase=phase,
        residual=residual,
        since_last=since_last,
        dead_time_s=dead_time_ns(everything, header) / 1e9,
        after_trigger_s=after_trigger_ns(everything, header) / 1e9,
        pixel=pixel_number(path),
    )


def _header_text(file: BinaryIO, path: Path) -> bytes:
    """Everything up to and including the line that holds only `}`."""
    text = b""
    while len(text) < _LARGEST_HEADER:
        chunk = file.read(max(_FIRST_READ, len(text)))
        text += chunk
        if not text.lstrip().startswith(b"{") or not chunk:
            break
        end = text.find(b"\n}\n")
        if end >= 0:
            return text[: end + 3]
    raise InputError(
        f"{path}: no OFF header (a JSON object that ends with a line of only a brace); not an OFF file?"
    )


def _parse_header(
    header: dict[str, Any], text_bytes: int, file_bytes: int, path: Path
) -> OffHeader:
    """Some versions write numbers as strings: everything is converted."""
    version = str(header["FileFormatVersion"])
    if header["FileFormat"] != "OFF" or version not in VERSIONS:
        raise InputError(
            f"{path}: {header['FileFormat']} {version} cannot be read; known is OFF {', '.join(VERSIONS)}"
        )
    bases = int(header["NumberOfBases"])
    if bases <= FILT_VALUE:
        raise InputError(
            f"{path}: NumberOfBases is {bases}: without filtValue, the third, there is no pulse height"
        )
    projectors = header["ModelInfo"]["Projectors"]
    numbers = (
        0
        if version == "0.1.0"
        else 2 * int(projectors["Rows"]) * int(projectors["Cols"])
    )
    offset = text_bytes + 8 * numbers
    frame_period_s = float(header["FramePeriodSeconds"])
    if not frame_period_s > 0:
        raise ValueError(f"FramePeriodSeconds is {frame_period_s}")
    if not text_bytes <= offset <= file_bytes:
        raise ValueError(f"records would start at byte {offset} of {file_bytes}")
    dtype = record_dtype(version, bases)
    whole, rest = divmod(file_bytes - offset, dtype.itemsize)
    return OffHeader(version, bases, frame_period_s, dtype, offset, whole, rest)


def record_dtype(version: str, number_of_bases: int) -> np.dtype[np.void]:
    """The layout of a record, little endian, packed."""
    fields: list[Any] = [
        ("record_samples", "<i4"),
        ("record_presamples", "<i4"),
        ("framecount", "<i8"),
        ("unixnano", "<i8"),
        ("pretrigger_mean", "<f4"),
    ]
    if version == "0.3.0":
        fields.append(("pretrigger_delta", "<f4"))
    return np.dtype(
        [*fields, ("residual_stddev", "<f4"), ("coefs", "<f4", (number_of_bases,))]
    )
