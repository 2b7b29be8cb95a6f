"""SSRL 10-1's YAML logs, `<date>_<nnn>_log`: a header, then one document a pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import FileKind, named_errors, read_text, reader
from rixs_pipeline.files.yaml_text import documents, parse_float, parse_int
from rixs_pipeline.io.formats.log import (
    LogRun,
    TimeWindows,
    clean_points,
    find_implausible,
    reference_points,
    refuse_unusable,
    time_windows,
)
from rixs_pipeline.io.formats.values import parse_number, run_number, sample_name
from rixs_pipeline.io.runs import MAX_RUN_NUMBER, RefusedRun, name_of

# PyYAML, which writes the logs, leaves text without quotes that other readers of YAML
# take for numbers: 2E1 and 1.5e3 (no point, no sign of the exponent), 089 and 0o12
_TEXT_LIKE_FLOAT = re.compile(r"[^.]*|.*[eE]\d.*")
_TEXT_LIKE_INT = re.compile(r"[-+]?0[o_\d].*")


def _float_or_text(text: str) -> float | str:
    """Return a number, or the text that looks like one."""
    return text if _TEXT_LIKE_FLOAT.fullmatch(text) else parse_float(text)


def _int_or_text(text: str) -> int | str:
    """Return a whole number, or the text that looks like one."""
    return text if _TEXT_LIKE_INT.fullmatch(text) else parse_int(text)


_LOG_SCALARS = {"float": _float_or_text, "int": _int_or_text}


@dataclass(frozen=True)
class SsrlLog:
    """The runs of one log in the order of the file, and a line for each bad pass."""

    runs: tuple[LogRun, ...]
    problems: tuple[str, ...]
    refusals: tuple[RefusedRun, ...] = ()  # bad passes, as far as their number is known


@reader()
def read(path: Path) -> SsrlLog:
    """Read all passes; of a truncated log those before the incomplete one."""
    header: dict[str, Any] = {}
    runs: list[LogRun] = []
    problems: list[str] = []
    refusals: list[RefusedRun] = []
    try:
        for number, document in enumerate(_documents(path)):
            if isinstance(document, dict) and document.get("file_header"):
                header = document
                continue
            try:
                with named_errors(
                    path, f"document {number} is not a pass of a scan", "pass not used"
                ):
                    runs.append(_run(document, header, path))
            except InputError as error:
                problem = str(error)
                if name := _name_of(document, header):
                    refusals.append(RefusedRun(name, problem))
                else:
                    problems.append(problem)
    except YAMLError as error:
        problems.append(
            f"{path}: {_line(error)}log is truncated or damaged; using the {len(runs)} "
            "passes before this line"
        )
    return SsrlLog(tuple(runs), tuple(problems), tuple(refusals))


def _name_of(document: object, header: dict[str, Any]) -> str:
    """Return the name of the run of a bad pass; nothing where it has no number."""
    if not isinstance(document, dict) or not isinstance(document.get("header"), dict):
        return ""
    number = document["header"].get("htxs")
    if not isinstance(number, int) or not 0 <= number < MAX_RUN_NUMBER:
        return ""
    if not document.keys() & {"mono", "loop"}:
        return ""
    kind = "calibration" if _is_reference_run(document, header) else "scan"
    return name_of(kind, number)


def _documents(path: Path) -> Iterator[Any]:
    """Yield one document after the other: a damaged one does not cost the rest."""
    text = read_text(path, FileKind.LOG)
    yield from documents(text, _LOG_SCALARS, may_repeat_keys=True)


def _line(error: YAMLError) -> str:
    """Return `line 12: ` where the parser stopped, or nothing."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"line {mark.line + 1}: " if mark else ""


def _run(document: dict[str, Any], header: dict[str, Any], path: Path) -> LogRun:
    """Return one pass as a run."""
    if _is_reference_run(document, header):
        return _reference_run(document, header, path)
    return _scan(document, header, path)


def _is_reference_run(document: dict[str, Any], header: dict[str, Any]) -> bool:
    """Return whether a pass is a reference run."""
    return header.get("dtype") == "cal" or "loop" in document


def _reference_run(
    document: dict[str, Any], header: dict[str, Any], path: Path
) -> LogRun:
    """Return a reference run: its pass, without the times when its loop stood still."""
    pass_header = document["header"]
    number = run_number(pass_header["htxs"], "htxs")
    windows = time_windows([(pass_header["start"], pass_header["stop"])])
    running = _without_gaps(windows, document.get("loop") or {})
    energy = parse_number(pass_header.get("mono"), "mono")
    problems: tuple[str, ...] = ()
    if len(running) > 1:
        problems = (
            f"{path}: reference run {number} was interrupted {len(running) - 1} times; "
            "pulses between its parts not used",
        )
    if implausible := find_implausible(np.array([energy])):
        problems += (
            f"{path}: reference run {number}: {implausible}; energy of the "
            "monochromator not used",
        )
        energy = float("nan")
    points = reference_points(energy, running)
    run = LogRun(
        kind="calibration",
        number=number,
        sample=sample_name(header.get("sample")),
        points=points,
        position=np.arange(len(points)),
        n_logged=len(points),
        data_path=_text(header.get("pfolder")),
        log=path,
        problems=problems,
        time_form=windows.form,
    )
    return refuse_unusable(run, windows, "")


def _without_gaps(windows: TimeWindows, loop: dict[Any, Any]) -> TimeWindows:
    """Return the parts of a pass during which its loop ran.

    The loop pauses shortly after each iteration, which is no gap: one begins where a
    further iteration would have had the time. An iteration is [start, stop] or [noise
    start, noise stop, start, stop].

    Parameters
    ----------
    windows
        The pass: one window.
    loop
        Its iterations by number.

    Returns
    -------
    TimeWindows
        The pass as a whole where it has no iteration.
    """
    limits = [list(times)[-2:] for times in loop.values() if len(times) in (2, 4)]
    iterations = time_windows(limits)
    used = iterations.has_length
    order = np.argsort(iterations.start_ns[used], kind="stable")
    start = iterations.start_ns[used][order]
    end = np.maximum.accumulate(iterations.end_ns[used][order])
    first, last = int(windows.start_ns[0]), int(windows.end_ns[0])
    is_inside = (end > first) & (start < last)
    if not is_inside.any():
        return windows
    start, end = start[is_inside], end[is_inside]
    iteration_ns = float(np.median(end - start))
    starts = np.append(start, last)
    ends = np.append(first, end)
    is_gap = starts - ends >= iteration_ns
    # a part begins at the pass's start or after a gap, and ends before the next gap
    part_starts = np.where(is_gap[:1], start[0], first).tolist()
    part_starts += start[1:][is_gap[1:-1]].tolist()
    part_ends = end[:-1][is_gap[1:-1]].tolist()
    part_ends += np.where(is_gap[-1:], end[-1], last).tolist()
    return TimeWindows(
        np.array(part_starts, np.int64), np.array(part_ends, np.int64), windows.form
    )


def _scan(document: dict[str, Any], header: dict[str, Any], path: Path) -> LogRun:
    """Return a scan: its points are `mono`, {energy: [start, stop]}."""
    number = run_number(document["header"]["htxs"], "htxs")
    source = f"{path}: scan {number}"
    limits = [[*window, None, None][:2] for window in document["mono"].values()]
    energy = np.array([parse_number(value, "mono") for value in document["mono"]])
    windows = time_windows(limits)
    usable = clean_points(energy, windows, source)
    points, problems = usable.points, usable.problems
    has_ended = document["header"].get("stop") is not None
    complete = has_ended and not any(None in window for window in limits)
    if not complete:
        problems += (
            f"{source}: aborted or still running; using the {len(points)} complete of "
            f"{len(limits)} points",
        )
    run = LogRun(
        kind="scan",
        number=number,
        sample=sample_name(header.get("sample")),
        points=points,
        position=usable.position,
        n_logged=len(limits),
        data_path=_text(header.get("pfolder")),
        reference=_text(header.get("cfolder")),
        complete=complete,
        log=path,
        problems=problems,
        time_form=windows.form,
    )
    implausible = find_implausible(energy)
    return refuse_unusable(run, windows, implausible and f"{implausible}; correct it")


def _text(value: object) -> str | None:
    """Return a value of the header as text; None where it has none."""
    return None if value is None else str(value)
