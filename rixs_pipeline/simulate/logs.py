"""The experiment-state file and the scan_server's logs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline.simulate.off_files import PREFIX, RUN_FOLDER
from rixs_pipeline.simulate.schedule import PlannedRun, epoch_ns, epoch_seconds
from rixs_pipeline.simulate.settings import SimulationSettings

LOG_FOLDER = "logs"
# data_path in the logs: a path of the acquisition machine
ACQUISITION_ROOT = "/home/tes/data"
REFERENCE_SAMPLE = "reference_mix"
READING_DECIMALS = 2
STOP_DELAY = 1.0  # s, from the end of the last run to STOP


def write_state_file(beamtime: Path, runs: tuple[PlannedRun, ...]) -> None:
    """Write the experiment-state file: START, each run's label and PAUSE, STOP."""
    lines = ["# unixnano, state label", f"{epoch_ns(0.0)}, START"]
    for run in runs:
        lines.append(f"{epoch_ns(run.label.start)}, {run.state}")
        lines.append(f"{epoch_ns(run.label.end)}, PAUSE")
    stop = runs[-1].label.end + STOP_DELAY
    lines.append(f"{epoch_ns(stop)}, STOP")
    path = beamtime / RUN_FOLDER / f"{PREFIX}_experiment_state.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _point_extras(run: PlannedRun) -> dict[str, dict[str, float]]:
    """Return the readings of each point of a run, as the log has them."""
    if not run.readings:
        return {}
    columns = {
        name: np.round(values, READING_DECIMALS).tolist()
        for name, values in run.readings.items()
    }
    return {
        str(point): {name: values[point] for name, values in columns.items()}
        for point in range(len(run.energy))
    }


def _log(run: PlannedRun, settings: SimulationSettings) -> dict[str, Any]:
    sample = run.sample.name if run.sample else REFERENCE_SAMPLE
    extra = {"edge": run.edge} if run.edge else {}
    file_name = f"{PREFIX}_chan{settings.channels[0]}.off"
    starts = epoch_seconds(epoch_ns(run.start + run.clock_offset)).tolist()
    ends = epoch_seconds(epoch_ns(run.end + run.clock_offset)).tolist()
    if not run.complete:  # the last point was started and did not end
        ends = ends[:-1]
    log: dict[str, Any] = {
        "var_name": "mono",
        "var_unit": "eV",
        "scan_num": run.number,
        "beamtime_id": "simulated",
        "sample_id": sample,
        "sample_desc": sample,
        "extra": extra,
        "data_path": f"{ACQUISITION_ROOT}/{RUN_FOLDER}/{file_name}",
        "drift_correction_plan": "before_and_after_cals",
        "point_extras": _point_extras(run),
        "var_values": run.energy.tolist(),
        "epoch_time_start_s": starts,
        "epoch_time_end_s": ends,
        "roi": {},
        "_ended": run.complete,
    }
    if run.sample:
        return log | {"cal_number": 0, "calibration": False}
    return log | {"routine": REFERENCE_SAMPLE, "calibration": True}


def write_log(beamtime: Path, run: PlannedRun, settings: SimulationSettings) -> None:
    """Write the log of a run: `logs/scan0001.json`, `logs/calibration0000.json`."""
    path = beamtime / LOG_FOLDER / f"{run.kind}{run.number:04d}.json"
    text = json.dumps(_log(run, settings), indent=2)
    path.write_text(text + "\n", encoding="utf-8")
