"""scan_server's JSON logs, `scan0001.json`, `calibration0000.json`: one run a file."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline.files.json_text import read_json
from rixs_pipeline.files.opening import FileKind, named_errors, one_line
from rixs_pipeline.io.formats.log import (
    CleanPoints,
    LogRun,
    TimeWindows,
    clean_points,
    find_implausible,
    reference_points,
    refuse_unusable,
    time_windows,
)
from rixs_pipeline.io.formats.values import (
    number_or_nan,
    parse_number,
    run_number,
    sample_name,
)
from rixs_pipeline.io.runs import RUN_DIGITS, name_of
from rixs_pipeline.types import Edge, FloatArray, IntArray

_REQUIRED_KEYS = {"scan_num", "var_values", "epoch_time_start_s", "epoch_time_end_s"}
_POINT_KEYS = ("var_values", "epoch_time_start_s", "epoch_time_end_s")
_FILE_NAME = re.compile(rf"(scan|calibration)({RUN_DIGITS})\.json")
_LONGEST_BEAMTIME_NUMBER = 100  # characters
_EDGES = {edge.lower(): edge for edge in Edge}
_EV_PER_UNIT = {"ev": 1.0, "kev": 1000.0}
_WAVELENGTHS = ("nm", "nanometer", "nanometre", "a", "å", "angstrom", "ångström")


def read(path: Path) -> LogRun | None:
    """Read one log; a point is used when it has both a start and an end.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    LogRun or None
        The run, without a point where none is complete; None: JSON, but not a log.

    Raises
    ------
    InputError
        Not JSON (the message has line and column), or a value has the wrong type.
    """
    log = read_json(path, FileKind.LOG)
    if not isinstance(log, dict) or not log.keys() >= _REQUIRED_KEYS:
        return None
    with named_errors(path, "a value has the wrong type", "run not used"):
        return _run(log, path)


def run_of_file_name(path: Path) -> str:
    """Return the run that a log has in its file name; nothing where it has none."""
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        return ""
    return name_of(match[1], int(match[2]))


def _run(log: dict[str, Any], path: Path) -> LogRun:
    """Return a log as a run; a start without an end is of an interrupted point."""
    values, starts, ends = (_list(log, key) for key in _POINT_KEYS)
    n_complete = len(ends)
    if n_complete > min(len(starts), len(values)):
        raise ValueError(
            f"{len(values)} values, {len(starts)} starts and {n_complete} ends of "
            "points; which belong together is not known"
        )
    limits = list(zip(starts, ends, strict=False))
    windows = time_windows(limits, _POINT_KEYS[1:])
    energy = _incident_energy(log)[:n_complete]
    is_reference_run = _is_true(log.get("calibration", "routine" in log))
    if is_reference_run:
        usable = _reference_points(energy, windows, path)
    else:
        usable = clean_points(energy, windows, str(path))
    problems = usable.problems
    n_logged = max(len(values), len(starts))
    complete = _is_true(log.get("_ended", True)) and n_complete == n_logged
    if not complete:
        problems += (
            f"{path}: aborted or still running; using the {n_complete} complete of "
            f"{n_logged} points",
        )
    extra = log.get("extra") or {}
    edge_name = str(extra.get("edge") or "")
    edge = _find_edge(edge_name)
    if edge_name and edge is None:
        problems += (
            f"{path}: unknown edge '{edge_name}'; using the edge of the incident "
            f"range; known edges: {', '.join(Edge)}",
        )
    readings = {}
    if not is_reference_run:
        extras = _extras_of_points(log.get("point_extras") or {}, n_complete, n_logged)
        problems += tuple(f"{path}: {problem}" for problem in extras.problems)
        readings = _readings(extras.by_point, usable.position)
    has_reference = log.get("cal_number", -1) not in (-1, "-1")
    run = LogRun(
        kind="calibration" if is_reference_run else "scan",
        number=run_number(log["scan_num"], "scan_num"),
        sample=_sample_name(log.get("sample_id"), log.get("sample_desc")),
        points=usable.points,
        position=usable.position,
        n_logged=n_logged,
        edge=edge,
        readings=readings,
        data_path=str(log["data_path"]) if log.get("data_path") else None,
        reference=str(log["cal_number"]) if has_reference else None,
        routine=log.get("routine"),
        complete=complete,
        beamtime=_beamtime_number(log.get("beamtime_id")),
        log=path,
        problems=problems,
        time_form=windows.form,
    )
    implausible = "" if is_reference_run else _find_implausible(energy, log)
    return refuse_unusable(run, windows, implausible)


def _beamtime_number(value: object) -> str:
    """Return the number of the beamtime; empty where it is none, or very long."""
    number = one_line(str(value)) if isinstance(value, str | int) else ""
    return number if len(number) <= _LONGEST_BEAMTIME_NUMBER else ""


def _find_implausible(energy: FloatArray, log: dict[str, Any]) -> str:
    """Return what is wrong with the incident energies of a scan, and what to do."""
    unit = str(log.get("var_unit")).strip()
    if unit.lower().rstrip("s") in _WAVELENGTHS:
        return (
            f"`var_unit` {unit} is a wavelength; convert `var_values` to eV and set "
            "`var_unit: eV`"
        )
    implausible = find_implausible(energy)
    return implausible and f"{implausible}; correct `var_values` or `var_unit`"


def _list(log: dict[str, Any], key: str) -> list[Any]:
    """Return a list of the log.

    Raises
    ------
    TypeError
        It is something else.
    """
    values = log[key]
    if not isinstance(values, list):
        raise TypeError(f"`{key}` is not a list")
    return values


def _is_true(value: object) -> bool:
    """Return a truth value, also one in text."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "none", "null")
    return bool(value)


def _reference_points(
    energy: FloatArray, windows: TimeWindows, path: Path
) -> CleanPoints:
    """Return the points of a reference run; their energy is NaN if it changes."""
    problems: tuple[str, ...] = ()
    is_parked = len(energy) > 0 and np.all(energy == energy[0])
    parked_energy = float(energy[0]) if is_parked else float("nan")
    if implausible := find_implausible(np.array([parked_energy])):
        problems = (f"{path}: {implausible}; energy of the monochromator not used",)
        parked_energy = float("nan")
    points = reference_points(parked_energy, windows)
    return CleanPoints(points, position=np.arange(len(points)), problems=problems)


def _sample_name(identity: object, description: object) -> str:
    """Return the sample's id, or its description where the id is a mere number."""
    is_name = isinstance(identity, str) and not identity.strip().isdecimal()
    candidates = (identity, description) if is_name else (description, identity)
    texts = [str(value).strip() for value in candidates if value is not None]
    return sample_name(next((text for text in texts if text), None))


def _incident_energy(log: dict[str, Any]) -> FloatArray:
    """Return the incident energy of every value, (value,), eV.

    The scanned variable where it is an energy, else where the monochromator is parked,
    or NaN.
    """
    unit = str(log.get("var_unit")).strip().lower()
    name = str(log.get("var_name")).lower()
    values = [parse_number(value, "var_values") for value in log["var_values"]]
    is_energy_name = "mono" in name or "energy" in name
    if unit in _EV_PER_UNIT or is_energy_name:
        return np.array(values) * _EV_PER_UNIT.get(unit, 1.0)
    extra = log.get("extra") or {}
    parked_energy = number_or_nan(extra.get("mono"))
    return np.full(len(values), parked_energy)


def _find_edge(name: str) -> Edge | None:
    """Return the edge of a name such as `Co L`, `co_l` or `CO-L`."""
    spelling = name.strip().replace(" ", "_").replace("-", "_").lower()
    return _EDGES.get(spelling)


@dataclass(frozen=True)
class _Extras:
    """Further readings of points by their index, as text; a line for each problem."""

    by_point: dict[str, Any]
    problems: tuple[str, ...] = ()


def _extras_of_points(extras: Any, n_points: int, n_logged: int) -> _Extras:
    """Return which readings belong to which point.

    Parameters
    ----------
    extras
        Point index (as text) -> {channel: reading}, in older logs a list.
    n_points, n_logged
        Complete points of the log, and all.

    Returns
    -------
    _Extras
        Indices from 1 to the number of points count from 1. A list that is too short
        does not tell which point is missing: it is not used.
    """
    if not isinstance(extras, dict):
        if len(extras) < n_points:
            return _Extras(
                {},
                (
                    f"`point_extras` has {len(extras)} entries for {n_points} points; "
                    "readings not used",
                ),
            )
        return _Extras({str(index): extra for index, extra in enumerate(extras)})
    counted_from_one = {str(index) for index in range(1, n_logged + 1)}
    if n_logged and "0" not in extras and extras.keys() >= counted_from_one:
        shifted = {str(int(key) - 1): extras[key] for key in counted_from_one}
        return _Extras(
            shifted, ("`point_extras` counts the points from 1; read as such",)
        )
    return _Extras(extras)


def _readings(extras: dict[str, Any], position: IntArray) -> dict[str, FloatArray]:
    """Return channel -> readings (point,), NaN where missing."""
    rows = [extras.get(str(index)) or {} for index in position]
    channels = dict.fromkeys(channel for row in rows for channel in row)
    readings = {}
    for channel in channels:
        values = [number_or_nan(row.get(channel)) for row in rows]
        reading = np.array(values)
        if not np.isnan(reading).all():
            readings[channel] = reading
    return readings
