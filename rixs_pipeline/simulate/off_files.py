"""OFF files: a header, then the pulse records of one pixel."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.detector import FRAME_PERIOD, RECORD_SAMPLES
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import FloatArray

RUN_FOLDER = "20260101/0000"
PREFIX = "20260101_run0000"
PULSE_DECAY, PULSE_RISE = 8e-4, 5e-5  # s, of the pulse in the model


@dataclass(frozen=True)
class PulseModel:
    """The linear model of a pulse.

    Attributes
    ----------
    projectors
        Record to coefficients, f8 (base, sample).
    basis
        Coefficients to record, f8 (sample, base): a constant, the derivative of a
        pulse, the pulse, then powers.
    """

    projectors: FloatArray
    basis: FloatArray


def off_path(beamtime: Path, channel: int) -> Path:
    """Return the OFF file of a pixel.

    Parameters
    ----------
    beamtime
        Directory of the beamtime.
    channel
        Channel number of the pixel.

    Returns
    -------
    Path
        The file, which need not exist.
    """
    return beamtime / RUN_FOLDER / f"{PREFIX}_chan{channel}.off"


def record_dtype(settings: SimulationSettings) -> np.dtype[np.void]:
    """Return the dtype of a pulse record, packed, little endian."""
    delta = []
    if settings.off_version >= "0.3.0":
        delta = [("pretriggerDelta", "<f4")]
    return np.dtype(
        [
            ("recordSamples", "<i4"),
            ("recordPreSamples", "<i4"),
            ("framecount", "<i8"),
            ("unixnano", "<i8"),
            ("pretriggerMean", "<f4"),
            *delta,
            ("residualStdDev", "<f4"),
            ("coefs", "<f4", (settings.bases,)),
        ]
    )


def pulse_model(bases: int, samples: int) -> PulseModel:
    """Return the linear model of a pulse.

    Parameters
    ----------
    bases
        Number of coefficients.
    samples
        Number of samples of a record.

    Returns
    -------
    PulseModel
        Projectors and basis.
    """
    time = np.linspace(0, RECORD_SAMPLES * FRAME_PERIOD, samples)
    pulse = np.exp(-time / PULSE_DECAY) - np.exp(-time / PULSE_RISE)
    columns = [np.ones(samples), np.gradient(pulse), pulse / pulse.max()]
    columns += [(time / time[-1]) ** power for power in range(1, bases - 2)]
    basis = np.stack(columns, axis=1)
    return PulseModel(projectors=np.linalg.pinv(basis), basis=basis)


def _matrix_header(values: FloatArray, version: str) -> dict[str, Any]:
    header: dict[str, Any] = {"Rows": values.shape[0], "Cols": values.shape[1]}
    if version == "0.1.0":
        encoded = base64.b64encode(values.astype("<f8").tobytes())
        header["RowMajorFloat64ValuesBase64"] = encoded.decode()
    else:
        header["SavedAs"] = (
            "row-major float64 binary data after header and before records. "
            "projectors first"
        )
    return header


def off_header(settings: SimulationSettings, channel: int) -> bytes:
    """Return all bytes of an OFF file before its records.

    Parameters
    ----------
    settings
        Settings of the beamtime.
    channel
        Channel number of the pixel.

    Returns
    -------
    bytes
        JSON, and projectors and basis in binary from version 0.2.0 on.
    """
    version = settings.off_version
    model = pulse_model(settings.bases, settings.projector_samples)
    header = {
        "FileFormatVersion": version,
        "FramePeriodSeconds": FRAME_PERIOD,
        "NumberOfBases": settings.bases,
        "FileFormat": "OFF",
        "ModelInfo": {
            "Projectors": _matrix_header(model.projectors, version),
            "Basis": _matrix_header(model.basis, version),
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
    projectors = model.projectors.astype("<f8").tobytes()
    basis = model.basis.astype("<f8").tobytes()
    return text + projectors + basis


def write_off_file(
    beamtime: Path,
    settings: SimulationSettings,
    channel: int,
    records: list[NDArray[np.void]],
) -> int:
    """Write the OFF file of a pixel; a truncated pixel's last record is cut in two.

    Parameters
    ----------
    beamtime
        Directory of the beamtime.
    settings
        Settings of the beamtime.
    channel
        Channel number of the pixel.
    records
        Records of each run, of `record_dtype`; empty: a dead pixel.

    Returns
    -------
    int
        Number of whole records in the file.
    """
    number = sum(len(part) for part in records)
    with off_path(beamtime, channel).open("wb") as file:
        file.write(off_header(settings, channel))
        for part in records:
            file.write(part.tobytes())
        # as in a file that is still being written
        if channel in settings.truncated_pixels and number > 0:
            record_size = record_dtype(settings).itemsize
            file.truncate(file.tell() - record_size // 2)
            number -= 1
    return number
