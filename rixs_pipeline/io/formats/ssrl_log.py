"""SSRL 10-1's YAML logs, `<date>_<nnn>_log`: a file header, then one document a pass, each pass a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rixs_pipeline.io.formats.log import (
    LogRun,
    clean_points,
    number_or_nan,
    reference_window,
    windows_ns,
)

# the logs are dumps of PyYAML itself; libyaml reads them ten times faster where it is compiled in
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> tuple[list[LogRun], list[str]]:
    """Read all passes; of a log that is cut short, or is being written, those before the broken one.

    Returns:
        The runs in the order of the file, and one line for each pass that cannot be used.
    """
    header: dict[str, Any] = {}
    runs: list[LogRun] = []
    problems: list[str] = []
    try:
        for number, document in enumerate(_documents(path)):
            if isinstance(document, dict) and document.get("file_header"):
                header = document
                continue
            try:
                runs.append(_run(document, header, path))
            except (
                AttributeError,
                KeyError,
                OverflowError,
                TypeError,
                ValueError,
            ) as error:
                problems.append(
                    f"{path}: document {number} is not a pass of a scan ({error!r}); left out"
                )
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problems.append(
            f"{path}: {where}the log is cut short or broken; the {len(runs)} passes before it are used"
        )
    return runs, problems


def _documents(path: Path) -> Iterator[Any]:
    """One document after the other, so that those before a broken one are not lost."""
    yield from yaml.load_all(path.read_text(errors="replace"), Loader=_Loader)


def _run(document: dict[str, Any], header: dict[str, Any], path: Path) -> LogRun:
    """One pass as a run: `mono` {energy: [start, stop]} of a scan, start and stop of the whole for a calibration."""
    about = document["header"]
    common: dict[str, Any] = {
        "number": int(about["htxs"]),
        "sample": "unknown" if header.get("sample") is None else str(header["sample"]),
        "data_path": None if header.get("pfolder") is None else str(header["pfolder"]),
        "log": path,
    }
    if header.get("dtype") == "cal" or "loop" in document:
        start, end = windows_ns([(about["start"], about["stop"])])
        points = reference_window(number_or_nan(about.get("mono")), start, end)
        return LogRun(
            kind="calibration",
            points=points,
            position=np.arange(len(points)),
            logged=1,
            **common,
        )
    where = f"{path}: scan {common['number']}"
    windows = [[*window, None, None][:2] for window in document["mono"].values()]
    start, end = windows_ns(windows)
    energy = np.array([number_or_nan(value) for value in document["mono"]])
    points, position, problems = clean_points(energy, start, end, where)
    complete = about.get("stop") is not None and not any(
        None in window for window in windows
    )
    if not complete:
        problems += (
            f"{where}: aborted or still running: the {len(points)} complete of {len(windows)} points are used",
        )
    return LogRun(
        kind="scan",
        points=points,
        position=position,
        logged=len(windows),
        reference=None if header.get("cfolder") is None else str(header["cfolder"]),
        complete=complete,
        problems=problems,
        **common,
    )
