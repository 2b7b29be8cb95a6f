"""SSRL 10-1's YAML logs, `<date>_<nnn>_log`: a header, then one document a pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from rixs_pipeline.io.formats.log import (
    LogRun,
    clean_points,
    number_or_nan,
    reference_window,
    time_windows,
)

# PyYAML, which writes the logs, leaves text without quotes that other readers of YAML
# take for numbers: 2E1 and 1.5e3 (no point, no sign of the exponent), 089 and 0o12
_TEXT_LIKE_FLOAT = re.compile(r"[^.]*|.*[eE]\d.*")
_TEXT_LIKE_INT = re.compile(r"[-+]?0[o_\d].*")


class _LogConstructor(SafeConstructor):
    """Distinguishes numbers and text as PyYAML does."""

    def float_or_text(self, node: ScalarNode) -> float | str:
        """Return a number, or the text that looks like one."""
        text = str(node.value)
        is_text = _TEXT_LIKE_FLOAT.fullmatch(text)
        return text if is_text else float(self.construct_yaml_float(node))

    def int_or_text(self, node: ScalarNode) -> int | str:
        """Return a whole number, or the text that looks like one."""
        text = str(node.value)
        is_text = _TEXT_LIKE_INT.fullmatch(text)
        return text if is_text else int(self.construct_yaml_int(node))


_LogConstructor.add_constructor(
    "tag:yaml.org,2002:float", _LogConstructor.float_or_text
)
_LogConstructor.add_constructor("tag:yaml.org,2002:int", _LogConstructor.int_or_text)


@dataclass(frozen=True)
class SsrlLog:
    """The runs of one log in the order of the file, and a line for each bad pass."""

    runs: tuple[LogRun, ...]
    problems: tuple[str, ...]


def read(path: Path) -> SsrlLog:
    """Read all passes; of a truncated log those before the incomplete one."""
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
                    f"{path}: document {number} is not a pass of a scan ({error!r}); "
                    "pass not used"
                )
    except YAMLError as error:
        problems.append(
            f"{path}: {_line(error)}log is truncated or damaged; using the {len(runs)} "
            "passes before this line"
        )
    return SsrlLog(tuple(runs), tuple(problems))


def _documents(path: Path) -> Iterator[Any]:
    """Yield one document after the other, so that a damaged one does not cost the rest.

    The four logs of a real beamtime (147 kB) take 0.27 s with libyaml's parser, which
    ruamel.yaml uses where ruamel.yaml.clib is installed, and 0.9 s without.
    """
    yaml = YAML(typ="safe")
    yaml.allow_duplicate_keys = True
    yaml.Constructor = _LogConstructor
    yield from yaml.load_all(path.read_text(errors="replace"))


def _line(error: YAMLError) -> str:
    """Return `line 12: ` where the parser stopped, or nothing."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"line {mark.line + 1}: " if mark else ""


def _run(document: dict[str, Any], header: dict[str, Any], path: Path) -> LogRun:
    """Return one pass as a run."""
    is_reference_run = header.get("dtype") == "cal" or "loop" in document
    if is_reference_run:
        return _reference_run(document["header"], header, path)
    return _scan(document, header, path)


def _reference_run(
    pass_header: dict[str, Any], header: dict[str, Any], path: Path
) -> LogRun:
    """Return a reference run: it lasts from start to stop of the whole pass."""
    windows = time_windows([(pass_header["start"], pass_header["stop"])])
    points = reference_window(number_or_nan(pass_header.get("mono")), windows)
    return LogRun(
        kind="calibration",
        number=int(pass_header["htxs"]),
        sample=_text(header.get("sample")) or "unknown",
        points=points,
        position=np.arange(len(points)),
        n_logged=1,
        data_path=_text(header.get("pfolder")),
        log=path,
    )


def _scan(document: dict[str, Any], header: dict[str, Any], path: Path) -> LogRun:
    """Return a scan: its points are `mono`, {energy: [start, stop]}."""
    number = int(document["header"]["htxs"])
    source = f"{path}: scan {number}"
    limits = [[*window, None, None][:2] for window in document["mono"].values()]
    energy = np.array([number_or_nan(value) for value in document["mono"]])
    usable = clean_points(energy, time_windows(limits), source)
    points, problems = usable.points, usable.problems
    has_ended = document["header"].get("stop") is not None
    complete = has_ended and not any(None in window for window in limits)
    if not complete:
        problems += (
            f"{source}: aborted or still running; using the {len(points)} complete of "
            f"{len(limits)} points",
        )
    return LogRun(
        kind="scan",
        number=number,
        sample=_text(header.get("sample")) or "unknown",
        points=points,
        position=usable.position,
        n_logged=len(limits),
        data_path=_text(header.get("pfolder")),
        reference=_text(header.get("cfolder")),
        complete=complete,
        log=path,
        problems=problems,
    )


def _text(value: object) -> str | None:
    """Return a value of the header as text; None where it has none."""
    return None if value is None else str(value)
