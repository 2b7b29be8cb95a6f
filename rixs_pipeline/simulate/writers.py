"""The files of a beamtime in the formats of the acquisition systems: OFF, experiment state, scan logs."""

import base64
import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.detector import FRAME_PERIOD, RECORD_SAMPLES
from rixs_pipeline.simulate.schedule import PlannedRun, epoch_ns, seconds
from rixs_pipeline.simulate.settings import SimulationSettings

RUN_FOLDER = "20260101/0000"
PREFIX = "20260101_run0000"
FOREIGN_ROOT = "/home/tes/data"  # data_path in the logs: the acquisition machine's, not the reader's


def record_dtype(version: str, bases: int) -> np.dtype[np.void]:
    """A pulse record of an OFF file, packed, little endian."""
    delta = [("pretriggerDelta", "<f4")] if version >= "0.3.0" else []
    return np.dtype(
        [
            ("recordSamples", "<i4"),
            ("recordPreSamples", "<i4"),
            ("framecount", "<i8"),
            ("unixnano", "<i8"),
            ("pretriggerMean", "<f4"),
            *delta,
            ("residualStdDev", "<f4"),
            ("coefs", "<f4", (bases,)),
        ]
    )


def _model(bases: int, samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projectors (bases, samples) and basis (samples, bases): a constant, a pulse and its derivative, then powers."""
    time = np.linspace(0, RECORD_SAMPLES * FRAME_PERIOD, samples)
    pulse = np.exp(-time / 8e-4) - np.exp(-time / 5e-5)
    columns = [np.ones(samples), np.gradient(pulse), pulse / pulse.max()]
    columns += [(time / time[-1]) ** power for power in range(1, bases - 2)]
    basis = np.stack(columns, axis=1)
    return np.linalg.pinv(basis), basis


def _matrix(values: NDArray[np.float64], version: str) -> dict[str, Any]:
    shape = {"Rows": values.shape[0], "Cols": values.shape[1]}
    if version == "0.1.0":
        return shape | {
            "RowMajorFloat64ValuesBase64": base64.b64encode(
                values.astype("<f8").tobytes()
            ).decode()
        }
    return shape | {
        "SavedAs": "row-major float64 binary data after header and before records. projectors first"
    }


def off_header(settings: SimulationSettings, channel: int) -> bytes:
    """All that stands before the records of an OFF file."""
    projectors, basis = _model(settings.bases, settings.projector_samples)
    version = settings.off_version
    header = {
        "FileFormatVersion": version,
        "FramePeriodSeconds": FRAME_PERIOD,
        "NumberOfBases": settings.bases,
        "FileFormat": "OFF",
        "ModelInfo": {
            "Projectors": _matrix(projectors, version),
            "Basis": _matrix(basis, version),
            "ModelFile": "model.hdf5",
        },
        "ReadoutInfo": {
            "ColumnNum": channel // 60,
            "RowNum": channel % 60 // 2,
            "NumberOfColumns": 8,
            "NumberOfRows": 30,
        },
        "CreationInfo": {"SourceName": "Simulated"},
    }
    text = json.dumps(header, indent=4).encode() + b"\n"
    if version == "0.1.0":
        return text
    return text + projectors.astype("<f8").tobytes() + basis.astype("<f8").tobytes()


def off_path(beamtime: Path, channel: int) -> Path:
    """The OFF file of a pixel."""
    return beamtime / RUN_FOLDER / f"{PREFIX}_chan{channel}.off"


def truncate_last_record(file: BinaryIO, dtype: np.dtype[np.void]) -> None:
    """Cut the last record in two, as in a file that is being written."""
    file.truncate(file.tell() - dtype.itemsize // 2)


def write_state(beamtime: Path, runs: tuple[PlannedRun, ...]) -> None:
    """The experiment-state file: START, each run's label, PAUSE after it, STOP."""
    lines = ["# unixnano, state label", f"{epoch_ns(0.0)}, START"]
    for run in runs:
        lines += [
            f"{epoch_ns(run.start[0])}, {run.state}",
            f"{epoch_ns(run.end[-1])}, PAUSE",
        ]
    lines.append(f"{epoch_ns(runs[-1].end[-1] + 1.0)}, STOP")
    path = beamtime / RUN_FOLDER / f"{PREFIX}_experiment_state.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _log(run: PlannedRun, settings: SimulationSettings) -> dict[str, Any]:
    n = len(run.energy)
    columns = {
        name: np.round(values, 2).tolist() for name, values in run.readings.items()
    }
    extras = (
        {
            str(i): {name: values[i] for name, values in columns.items()}
            for i in range(n)
        }
        if columns
        else {}
    )
    ends = seconds(epoch_ns(run.end)).tolist()
    sample = run.sample.name if run.sample else "reference_mix"
    own = (
        {"cal_number": 0, "calibration": False}
        if run.sample
        else {"routine": "reference_mix", "calibration": True}
    )
    return {
        "var_name": "mono",
        "var_unit": "eV",
        "scan_num": run.number,
        "beamtime_id": "simulated",
        "sample_id": sample,
        "sample_desc": sample,
        "extra": {"edge": run.edge} if run.edge else {},
        "data_path": f"{FOREIGN_ROOT}/{RUN_FOLDER}/{PREFIX}_chan{settings.channels[0]}.off",
        "drift_correction_plan": "before_and_after_cals",
        "point_extras": extras,
        "var_values": run.energy.tolist(),
        "epoch_time_start_s": seconds(epoch_ns(run.start)).tolist(),
        # the last point of an aborted scan was started and never ended
        "epoch_time_end_s": ends if run.complete else ends[:-1],
        "roi": {},
        "_ended": run.complete,
        **own,
    }


def write_log(beamtime: Path, run: PlannedRun, settings: SimulationSettings) -> None:
    """The scan_server log of a run: `logs/scan0001.json`, `logs/calibration0000.json`."""
    path = beamtime / "logs" / f"{run.kind}{run.number:04d}.json"
    path.write_text(json.dumps(_log(run, settings), indent=2) + "\n", encoding="utf-8")
