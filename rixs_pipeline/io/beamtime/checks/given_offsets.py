"""Offsets of the clock of logs that the config gives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import ClockOffset, move_points

ClockSetting = Literal["auto"] | float | Mapping[int | str, float]


def given_offset(
    setting: ClockSetting, *, kind: str, number: int, name: str
) -> float | None:
    """Return the offset that the config gives for a run.

    Parameters
    ----------
    setting
        `beamtime.clock_offset`.
    kind, number, name
        Of the run; scans may be given by their number.

    Returns
    -------
    float or None
        s; None: to be found from the data.
    """
    if isinstance(setting, Mapping):
        by_number = setting.get(number) if kind == "scan" else None
        return setting.get(name, by_number)
    return None if isinstance(setting, str) else float(setting)


def remove_given_offsets(logs: Sequence[LogRun], setting: ClockSetting) -> list[LogRun]:
    """Return logs with the times of the detector's clock where the config gives it.

    Parameters
    ----------
    logs
        As they are written.
    setting
        `beamtime.clock_offset`.

    Returns
    -------
    list of LogRun
        Those that are moved have a `clock_offset` without an error.
    """
    moved = []
    for log in logs:
        seconds = given_offset(setting, kind=log.kind, number=log.number, name=log.name)
        if seconds is not None:
            points = move_points(log.points, -seconds) if seconds else log.points
            log = replace(log, points=points, clock_offset=ClockOffset(seconds, 0.0))
        moved.append(log)
    return moved
