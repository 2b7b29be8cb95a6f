"""scan_server's JSON logs: `scan0001.json`, `calibration0000.json`, one run a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats.log import (
    LogRun,
    clean_points,
    number_or_nan,
    reference_window,
    windows_ns,
)
from rixs_pipeline.types import Edge

_KEYS = {"scan_num", "var_values", "epoch_time_start_s", "epoch_time_end_s"}
_EDGES = {edge.lower(): edge for edge in Edge}
_EV = {"ev": 1.0, "kev": 1000.0}


def read(path: Path) -> LogRun | None:
    """Read one log; a point is kept when it has both a start and an end.

    Returns:
        The run, with no point where none was completed; None for JSON that is not a scan log.

    Raises:
        InputError: the file is not JSON (the message has line and column), or a value is of the wrong type.
    """
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            "the run is not used until the file is repaired"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not a text file ({error.reason} at byte {error.start}); not read"
        ) from error
    if not isinstance(log, dict) or not log.keys() >= _KEYS:
        return None
    try:
        return _run(log, path)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: a value of the wrong type ({error}); the run is not used"
        ) from error


def _run(log: dict[str, Any], path: Path) -> LogRun:
    """The log's values as a run. A start without an end belongs to a point that was interrupted."""
    times = zip(log["epoch_time_start_s"], log["epoch_time_end_s"], strict=False)
    start, end = windows_ns(list(times)[: len(log["var_values"])])
    energy = _incident_energy(log)[: len(start)]
    points, position, problems = clean_points(energy, start, end, path)
    calibration = log.get("calibration", "routine" in log)
    if calibration:  # one window: what its points are does not matter
        points, problems = reference_window(_parked(energy), start, end), ()
        position = np.arange(len(points))
    logged = max(len(log["var_values"]), len(log["epoch_time_start_s"]))
    complete = log.get("_ended") is not False and len(start) == logged
    if not complete:
        problems += (
            f"{path}: aborted or still running: the {len(start)} complete of {logged} points are used",
        )
    edge, edge_problems = _edge(log.get("extra") or {}, path)
    return LogRun(
        kind="calibration" if calibration else "scan",
        number=int(log["scan_num"]),
        sample=_sample(log.get("sample_id"), log.get("sample_desc")),
        points=points,
        position=position,
        logged=logged,
        edge=edge,
        readings={}
        if calibration
        else _readings(log.get("point_extras") or {}, position),
        data_path=str(log["data_path"]) if log.get("data_path") else None,
        reference=None if log.get("cal_number", -1) == -1 else str(log["cal_number"]),
        routine=log.get("routine"),
        complete=complete,
        log=path,
        problems=problems + edge_problems,
    )


def _sample(identity: object, description: object) -> str:
    """The name that tells samples apart: the id where it is one, else, beside a mere number, the description."""
    named = isinstance(identity, str) and not identity.strip().isdecimal()
    order = (identity, description) if named else (description, identity)
    return next(
        (
            text
            for text in (str(value).strip() for value in order if value is not None)
            if text
        ),
        "unknown",
    )


def _incident_energy(log: dict[str, Any]) -> NDArray[np.float64]:
    """(value,) eV: the scanned variable where it is an energy, else where the monochromator is parked, or NaN."""
    unit, name = str(log.get("var_unit")).lower(), str(log.get("var_name")).lower()
    values = np.array([number_or_nan(value) for value in log["var_values"]])
    if unit in _EV or "mono" in name or "energy" in name:
        return values * _EV.get(unit, 1.0)
    return np.full(len(values), number_or_nan((log.get("extra") or {}).get("mono")))


def _parked(energy: NDArray[np.float64]) -> float:
    """The energy of a reference run, eV: NaN unless all its points agree."""
    return (
        float(energy[0])
        if len(energy) and np.all(energy == energy[0])
        else float("nan")
    )


def _edge(extra: dict[str, Any], path: Path) -> tuple[Edge | None, tuple[str, ...]]:
    """The edge that the log names; an unknown one is a problem."""
    told = extra.get("edge")
    if told in (None, ""):
        return None, ()
    edge = _EDGES.get(str(told).strip().replace(" ", "_").replace("-", "_").lower())
    if edge:
        return edge, ()
    return None, (
        f"{path}: edge '{told}' is not one of {', '.join(Edge)}: named by the incident range instead",
    )


def _readings(
    extras: Any, position: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Channel -> (point,), NaN where missing. `extras`: point index as text -> readings; older logs have a list."""
    by_index = (
        extras
        if isinstance(extras, dict)
        else {str(index): extra for index, extra in enumerate(extras)}
    )
    rows = [by_index.get(str(index)) or {} for index in position]
    channels = dict.fromkeys(name for row in rows for name in row)
    table = {
        name: np.array([number_or_nan(row.get(name)) for row in rows])
        for name in channels
    }
    return {
        name: values for name, values in table.items() if not np.all(np.isnan(values))
    }
