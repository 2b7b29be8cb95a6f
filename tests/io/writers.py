"""Tiny input files, written by hand as the acquisition systems write them."""

import base64
import json
import zlib
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from rixs_pipeline.io.formats.off import record_dtype

T0 = 1_767_225_600_000_000_000  # 2026-01-01, ns
SECOND = 1_000_000_000
FRAME_S = 4.8e-6
SAMPLES = 1000


def off_records(
    times_ns: Sequence[int], version: str = "0.3.0", bases: int = 5
) -> np.ndarray:
    """One record a time, every field with a value of its own."""
    records = np.zeros(len(times_ns), record_dtype(version, bases))
    index = np.arange(len(times_ns))
    records["record_samples"], records["record_presamples"] = SAMPLES, 256
    records["framecount"], records["unixnano"] = index, times_ns
    records["pretrigger_mean"], records["residual_stddev"] = 6000 + index, 10 + index
    if version == "0.3.0":
        records["pretrigger_delta"] = 0.5
    records["coefs"][:, 0] = 1000 + index  # pulseMean
    records["coefs"][:, 1] = 50 + index  # derivativeLike
    records["coefs"][:, 2] = 8000 + index  # filtValue
    return records


def write_off(
    path: Path,
    times_ns: Sequence[int] = (),
    version: str = "0.3.0",
    bases: int = 5,
    tail: bytes = b"",
    records: np.ndarray | None = None,
    **changes: Any,
) -> Path:
    """An OFF file; `changes` replace keys of its header, `tail` is appended."""
    columns = 7
    matrix = np.linspace(0, 1, bases * columns).tobytes()
    shape: dict[str, Any] = {"Rows": str(bases), "Cols": str(columns)}
    if version == "0.1.0":
        shape["RowMajorFloat64ValuesBase64"] = base64.b64encode(matrix).decode()
    header = {
        "FileFormat": "OFF",
        "FileFormatVersion": version,
        "NumberOfBases": str(bases),
        "FramePeriodSeconds": FRAME_S,
        "ModelInfo": {"Projectors": shape, "Basis": shape},
        "ReadoutInfo": {"NumberOfRows": 30, "NumberOfColumns": 8},
    } | changes
    if records is None:
        records = off_records(times_ns, version, bases)
        if bases > 3:  # pixels never have the same records
            records["coefs"][:, 3] = zlib.crc32(path.name.encode()) % 1000
    matrices = b"" if version == "0.1.0" else 2 * matrix
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        json.dumps(header, indent=4).encode()
        + b"\n"
        + matrices
        + records.tobytes()
        + tail
    )
    return path


def json_log(
    number: int,
    start_ns: int,
    energies: Sequence[float],
    dwell_s: float = 1.0,
    **changes: Any,
) -> dict:
    """A scan_server log: points of `dwell_s`, a tenth of that between them."""
    starts = [start_ns / 1e9 + i * 1.1 * dwell_s for i in range(len(energies))]
    return {
        "var_name": "mono",
        "var_unit": "eV",
        "scan_num": number,
        "beamtime_id": "1",
        "sample_id": 1,
        "sample_desc": "LMR_RT",
        "extra": {},
        "data_path": "",
        "point_extras": {},
        "var_values": list(energies),
        "epoch_time_start_s": starts,
        "epoch_time_end_s": [start + dwell_s for start in starts],
        "drift_correction_plan": "none",
        "cal_number": 0,
        "calibration": False,
        "_ended": True,
    } | changes


def calibration_log(
    number: int, start_ns: int, duration_s: float, **changes: Any
) -> dict:
    """A reference run: the scanned variable is the time."""
    log = json_log(
        number,
        start_ns,
        [0.0],
        duration_s,
        var_name="time",
        var_unit="s",
        sample_desc="mix",
    )
    del log["cal_number"]
    return log | {"calibration": True, "routine": "ssrl_10_1_mix_cal"} | changes


def write_json(path: Path, log: dict) -> Path:
    """A log as a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(log, indent=2))
    return path


def write_yaml(path: Path, *documents: dict) -> Path:
    """An SSRL log, laid out as PyYAML dumps it."""
    path.write_text(dump_yaml(*documents))
    return path


def dump_yaml(*documents: dict) -> str:
    """Documents on one line each, keys sorted."""
    yaml = YAML(typ="safe", pure=True)
    yaml.explicit_start = True
    yaml.default_flow_style = True
    stream = StringIO()
    yaml.dump_all(documents, stream)
    return stream.getvalue()


def yaml_header(dtype: str, **changes: Any) -> dict:
    """The first document of an SSRL log."""
    return {
        "file_header": True,
        "dtype": dtype,
        "sample": "ad1",
        "load_id": 1,
        "pfolder": "20260101_002",
        "cfolder": "20260101_001" if dtype == "data" else None,
        "motor": "mono",
    } | changes


def yaml_pass(number: int, start_s: float, energies: Sequence[float]) -> dict:
    """One pass with points of 1 s, 0.5 s apart."""
    starts = [start_s + 1 + 1.5 * i for i in range(len(energies))]
    return {
        "header": {"htxs": number, "pass": 0, "start": start_s, "stop": starts[-1] + 2},
        "mono": {
            energy: [start, start + 1]
            for energy, start in zip(energies, starts, strict=True)
        },
    }


def write_ascii(
    path: Path,
    number: int,
    columns: dict[str, Sequence[float]],
    tail: str = "",
    date: str = "Thu Jan  1 12:00:00 2026",
    sample: str = "LMR charged",
) -> Path:
    """An SSRL ASCII scan."""
    rows = np.array(list(columns.values())).T
    ones = " ".join(["1.000"] * len(columns))
    lines = [
        "SSRL                                  ",
        date,
        f"PTS:{len(rows):11d} COLS: {len(columns):11d}",
        "scaler_file",
        "region_file",
        "",
        "4 2000 5 RST 2 1",
        f"Sample: {sample}   loadid: 102",
        "Command: scan mono",
        "Slits: 30.00 40.00",
        "Maniplator Position (XYZ): 1.00 2.00 3.00 4.00",
        f"Scan: {number}",
        "a comment",
        "",
        "Weights:",
        ones,
        "Offsets:",
        ones,
        "Data:",
        *columns,
        "",
        *("".join(f" {value:14.3f}" for value in row) for row in rows),
    ]
    path.write_text("\n".join(lines) + "\n" + tail)
    return path
