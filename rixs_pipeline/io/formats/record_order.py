"""Records of an OFF file in order of time, each once, whatever the file repeats.

The acquisition writes records in order of time, which all readers rely on. Files that
were copied or joined by hand may repeat records, have them in another order, or be
shifted by the rest of a record that was not written completely.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import BoolArray, IntArray

_CHUNK = 1 << 14  # records compared at once: the temporaries stay in the cache
_NO_TIMES = np.empty(0, np.int64)


@dataclass(frozen=True)
class RecordDefects:
    """Times of the records that are not where or what they should be, ns, ascending."""

    repeated: IntArray = field(default_factory=lambda: _NO_TIMES)  # left out
    moved: IntArray = field(default_factory=lambda: _NO_TIMES)  # put in order
    damaged: int = 0  # left out; their times mean nothing

    @property
    def are_any(self) -> bool:
        """Whether the file has any defect."""
        return len(self.repeated) + len(self.moved) + self.damaged > 0


NO_DEFECTS = RecordDefects()


@dataclass(frozen=True)
class OrderedRecords:
    """Records in order of time, and what was wrong with them in the file."""

    records: NDArray[np.void]
    defects: RecordDefects


@dataclass(frozen=True)
class _Checked:
    """How much of a file is known to be in order."""

    inode: int
    mtime_ns: int
    n_records: int
    last_ns: int


_checked: dict[Path, _Checked] = {}  # of this process


def in_order(
    records: NDArray[np.void], path: Path, inode: int, mtime_ns: int
) -> OrderedRecords:
    """Return the records of a file in order of time, each once.

    One pass over the times of a file, once in a process; of a file that grows, only
    the new records are compared. Records that are in order are not copied.

    Parameters
    ----------
    records
        Complete records as they are in the file, (record,).
    path, inode, mtime_ns
        The file and its status, by which one that was compared already is known.

    Returns
    -------
    OrderedRecords
        Of records of one time and frame, the first one in the file. Records whose
        length differs from that of the first one are damaged, in a file that is not in
        order.
    """
    if len(records) == 0:
        return OrderedRecords(records, NO_DEFECTS)
    checked = _checked.get(path)
    first = 0
    if checked is not None and checked.inode == inode:
        is_same = checked.mtime_ns == mtime_ns and checked.n_records == len(records)
        if is_same:
            return OrderedRecords(records, NO_DEFECTS)
        has_grown = checked.n_records < len(records)
        if has_grown and records["unixnano"][checked.n_records - 1] == checked.last_ns:
            first = checked.n_records - 1
    if is_ascending(records, first):
        last_ns = int(records["unixnano"][-1])
        _checked[path] = _Checked(inode, mtime_ns, len(records), last_ns)
        return OrderedRecords(records, NO_DEFECTS)
    return repair(records)


def is_ascending(records: NDArray[np.void], first: int = 0) -> bool:
    """Return whether times ascend, and frames where times are equal.

    Parameters
    ----------
    records
        (record,)
    first
        The first record to look at.

    Returns
    -------
    bool
    """
    time, frame = records["unixnano"], records["framecount"]
    for begin in range(first, len(records) - 1, _CHUNK):
        end = begin + _CHUNK + 1
        times = np.ascontiguousarray(time[begin:end])
        later, earlier = times[1:], times[:-1]
        is_later = later > earlier  # the difference of damaged times may overflow
        if not is_later.all():
            is_equal = later == earlier
            frames = frame[begin:end]
            is_next = is_equal & (frames[1:] > frames[:-1])
            if not (is_later | is_next).all():
                return False
    return True


def repair(records: NDArray[np.void]) -> OrderedRecords:
    """Return a copy of records in order of time, each once.

    Parameters
    ----------
    records
        As they are in the file, (record,).

    Returns
    -------
    OrderedRecords
        As of `in_order`.
    """
    is_damaged = _are_damaged(records)
    sound = records[~is_damaged]
    time, frame = sound["unixnano"], sound["framecount"]
    order = np.lexsort((frame, time))  # stable: the first in the file stays the first
    is_repeated = np.zeros(len(sound), bool)
    is_same_time = np.diff(time[order]) == 0
    is_same_frame = np.diff(frame[order]) == 0
    is_repeated[1:] = is_same_time & is_same_frame
    kept = np.sort(order[~is_repeated])
    kept_time = time[kept]
    is_moved = _are_moved(kept_time)
    defects = RecordDefects(
        repeated=time[order[is_repeated]].astype(np.int64),
        moved=np.sort(kept_time[is_moved]).astype(np.int64),
        damaged=int(is_damaged.sum()),
    )
    return OrderedRecords(sound[order[~is_repeated]], defects)


def _are_moved(time: IntArray) -> BoolArray:
    """Return which records are out of order, (record,); the fewer by either reading.

    After one that is too late all others are too early, and the other way round.
    """
    is_early = time < np.maximum.accumulate(time)
    is_late = time > np.minimum.accumulate(time[::-1])[::-1]
    return is_late if is_late.sum() < is_early.sum() else is_early


def _are_damaged(records: NDArray[np.void]) -> BoolArray:
    """Return which records have another length than the first one, (record,)."""
    samples, presamples = records["record_samples"], records["record_presamples"]
    return np.asarray((samples != samples[0]) | (presamples != presamples[0]))


def count_between(times: IntArray, start_ns: IntArray, end_ns: IntArray) -> int:
    """Return how many times lie in any window.

    Parameters
    ----------
    times
        Ascending, (time,), ns.
    start_ns, end_ns
        Disjoint windows, start <= time < end, (window,), ns.

    Returns
    -------
    int
    """
    return int(
        np.sum(np.searchsorted(times, end_ns) - np.searchsorted(times, start_ns))
    )
