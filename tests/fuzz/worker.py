"""One process that reads changed files, with limits; a parent that watches it."""

import faulthandler
import mmap
import multiprocessing
import resource
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

import psutil

import rixs_pipeline
from rixs_pipeline.errors import RixsError
from tests.fuzz.mutations import mutate_bytes

TIME_LIMIT = 2.0  # s of CPU, for one input
MEMORY_LIMIT = 1 << 30  # bytes beyond what the process has at the start
POLL_INTERVAL = 0.2  # s
READ_ALL_STEP = 20  # of so many inputs one is read in all ways
# tracing takes longer than reading: after the first inputs only some are traced
FIRST_TRACED, TRACE_STEP = 2000, 5
TRACED = tuple(
    str(Path(rixs_pipeline.__file__).parent / folder)
    for folder in ("files", "io", "config", "runner")
)

_STATE = struct.Struct("<qqq")  # number of the input, its length, lines reached
_FAILURE = ".failure"  # file of an input that failed; beside it the reason
_MAX_INPUT = 1 << 21
_MAX_KEPT = 1 << 15  # bytes of an input that is changed further
_MAX_FAILURES = 100


@dataclass(frozen=True)
class Target:
    """A reader, and files to begin with."""

    name: str
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[Random, bytes, list[bytes]], bytes]
    read: Callable[[bytes, Path], None]  # raises errors of the package only
    # reads more, of a part of the inputs
    read_all: Callable[[bytes, Path], None] = lambda _data, _folder: None


@dataclass
class Report:
    """What came of a series."""

    inputs: int = 0
    lines: int = 0  # of the package that were reached
    unconfirmed: int = 0  # processes that ended, but not when reading alone
    failures: list[tuple[str, bytes]] = field(default_factory=list)
    seconds: float = 0.0


class _Coverage:
    """Lines of the package that were reached."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()
        self.has_new = False

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Trace what the block calls."""
        self.has_new = False
        sys.settrace(self.trace_call)
        try:
            yield
        finally:
            sys.settrace(None)

    def trace_call(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Trace the lines of functions of the package."""
        return self.trace_line if frame.f_code.co_filename.startswith(TRACED) else None

    def trace_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Keep a line."""
        line = (frame.f_code, frame.f_lineno)
        if line not in self.lines:
            self.lines.add(line)
            self.has_new = True
        return self.trace_line


def fuzz(target: Target, inputs: int, seed: int, folder: Path) -> Report:
    """Read `inputs` changed files in processes of their own.

    A process that ends, or takes too long, is replaced by another one, which goes on
    with the next input.
    """
    report = Report()
    start = time.monotonic()
    shared = mmap.mmap(-1, _STATE.size + _MAX_INPUT)
    context = multiprocessing.get_context("fork")
    first = 0
    while first < inputs and len(report.failures) < _MAX_FAILURES:
        shared[: _STATE.size] = _STATE.pack(first, 0, 0)
        process = context.Process(
            target=_work, args=(target, first, inputs, seed, folder, shared)
        )
        process.start()
        is_late = _is_late(process, shared)
        current, length, lines = _STATE.unpack(shared[: _STATE.size])
        report.lines = max(report.lines, lines)
        data = bytes(shared[_STATE.size : _STATE.size + length])
        has_ended = is_late or process.exitcode != 0
        if has_ended and (problem := _read_alone(target, data, folder)):
            report.failures.append((problem, data))
        elif has_ended:
            report.unconfirmed += 1
        first = current + 1 if has_ended else current
        for file in sorted(folder.glob(f"*{_FAILURE}")):
            problem = file.with_suffix(".txt").read_text(encoding="utf-8")
            report.failures.append((problem, file.read_bytes()))
            file.unlink()
    report.inputs = first
    report.seconds = time.monotonic() - start
    return report


def _is_late(process: Any, shared: mmap.mmap) -> bool:
    """Wait for a process; return whether it was stopped at an input that takes long."""
    watched = psutil.Process(process.pid)
    current, since = -1, 0.0
    while process.is_alive():
        process.join(POLL_INTERVAL)
        number = _STATE.unpack(shared[: _STATE.size])[0]
        try:
            times = watched.cpu_times()
        except psutil.Error:
            continue
        seconds = times.user + times.system
        if number != current:
            current, since = number, seconds
        elif seconds - since > TIME_LIMIT:
            process.kill()
            process.join()
            return True
    return False


def _read_alone(target: Target, data: bytes, folder: Path) -> str:
    """Read an input in a process that traces no lines; return what went wrong."""
    shared = mmap.mmap(-1, _STATE.size)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_read_one, args=(target, data, folder))
    process.start()
    if _is_late(process, shared):
        return f"more than {TIME_LIMIT} s"
    return f"exit code {process.exitcode}" if process.exitcode else ""


def _read_one(target: Target, data: bytes, folder: Path) -> None:
    _limit_memory()
    with suppress(RixsError):
        target.read(data, folder)
    with suppress(RixsError):
        target.read_all(data, folder)


def _limit_memory() -> None:
    """Limit the memory of this process; its end is reported by the parent."""
    faulthandler.disable()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _work(
    target: Target, first: int, stop: int, seed: int, folder: Path, shared: mmap.mmap
) -> None:
    """Read inputs one after the other; change those further that reach new lines."""
    _limit_memory()
    corpus = target.seeds()
    coverage = _Coverage()
    n_failures = 0
    for number in range(first, stop):
        random = Random(f"{seed} {number}")
        is_seed = number - first < len(corpus) and first == 0
        data = corpus[number] if is_seed else None
        if data is None:
            data = _changed(target, random, corpus)
        shared[_STATE.size : _STATE.size + len(data)] = data
        lines = len(coverage.lines)
        shared[: _STATE.size] = _STATE.pack(number, len(data), lines)
        is_traced = number - first < FIRST_TRACED or number % TRACE_STEP == 0
        with coverage.traced() if is_traced else nullcontext():
            problem = _problem(target.read, data, folder)
        is_new = is_traced and coverage.has_new
        if not problem and (is_new or number % READ_ALL_STEP == 0):
            problem = _problem(target.read_all, data, folder)
        if problem:
            n_failures += 1
            failure = folder / f"{number}{_FAILURE}"
            failure.write_bytes(data)
            failure.with_suffix(".txt").write_text(problem, encoding="utf-8")
            if n_failures >= _MAX_FAILURES:
                break
        elif is_new and not is_seed and len(data) < _MAX_KEPT:
            corpus.append(data)
    shared[: _STATE.size] = _STATE.pack(stop, 0, len(coverage.lines))


def _problem(read: Callable[[bytes, Path], None], data: bytes, folder: Path) -> str:
    """Return what went wrong: an exception that is no error of the package."""
    try:
        read(data, folder)
    except RixsError as error:
        return find_memory_error(error)
    except Exception:
        return traceback.format_exc()
    return ""


def _changed(target: Target, random: Random, corpus: list[bytes]) -> bytes:
    """Return a changed input; as bytes where its values are nested too deeply."""
    data = _choose(random, corpus)
    try:
        return target.mutate(random, data, corpus)[:_MAX_INPUT]
    except (RecursionError, MemoryError):
        return mutate_bytes(random, data, corpus)[:_MAX_INPUT]


def _choose(random: Random, corpus: list[bytes]) -> bytes:
    """Return an input to change; those that were found last more often."""
    if random.random() < 0.3:
        return random.choice(corpus[-10:])
    return random.choice(corpus)


def find_memory_error(error: BaseException | None) -> str:
    """Return a text if a lack of memory is the cause of an error."""
    while error is not None:
        if isinstance(error, MemoryError):
            return "more memory than the limit"
        error = error.__cause__
    return ""
