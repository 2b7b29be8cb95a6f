"""Injectors of faults of pixels into a beamtime: baseline, gain and sign of pulses."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@contextmanager
def edit_pulses(beamtime: Path, pixel: int) -> Iterator[NDArray[Any]]:
    """Give the records of a pixel; their fields may be changed."""
    (path,) = beamtime.rglob(f"*_chan{pixel}.off")
    content = path.read_bytes()
    start = content.index(b"\n}\n") + 3
    header = json.loads(content[:start])
    shape = header["ModelInfo"]["Projectors"]
    start += 16 * int(shape["Rows"]) * int(shape["Cols"])
    fields: list[Any] = [("samples", "<i4", (2,)), ("frame", "<i8"), ("ns", "<i8")]
    fields += [("baseline", "<f4"), ("delta", "<f4"), ("residual", "<f4")]
    fields += [("coefs", "<f4", (int(header["NumberOfBases"]),))]
    records = np.frombuffer(content, np.dtype(fields), offset=start).copy()
    yield records
    path.write_bytes(content[:start] + records.tobytes())


def lose_pulses(
    beamtime: Path, pixels: tuple[int, ...], start: int, end: int, share: float
) -> None:
    """Take a share of the pulses of pixels between two times, ns since 1970."""
    rng = np.random.default_rng(1)
    for pixel in pixels:
        (path,) = beamtime.rglob(f"*_chan{pixel}.off")
        content = path.read_bytes()
        with edit_pulses(beamtime, pixel) as records:
            is_inside = (records["ns"] >= start) & (records["ns"] < end)
            is_lost = is_inside & (rng.random(len(records)) < share)
            first = len(content) - records.nbytes
            remaining = records[~is_lost].tobytes()
        path.write_bytes(content[:first] + remaining)


def window(beamtime: Path, run: str) -> tuple[int, int]:
    """Return start and end of a run such as `scan0002`, ns since 1970."""
    log = json.loads((beamtime / "logs" / f"{run}.json").read_text())
    return (
        int(log["epoch_time_start_s"][0] * 1e9),
        int(log["epoch_time_end_s"][-1] * 1e9),
    )


def points(beamtime: Path, run: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and ends of the points of a run, ns since 1970."""
    log = json.loads((beamtime / "logs" / f"{run}.json").read_text())
    start, end = (log[f"epoch_time_{name}_s"] for name in ("start", "end"))
    return (np.array(start) * 1e9).astype(int), (np.array(end) * 1e9).astype(int)


def place_in_run(records: NDArray[Any], beamtime: Path, run: str) -> FloatArray:
    """Return where records lie in a run: 0 at its start, 1 at its end."""
    start, end = window(beamtime, run)
    return np.asarray((records["ns"] - start) / (end - start))


def move_baseline(
    beamtime: Path, pixels: tuple[int, ...], run: str, size: Callable[..., FloatArray]
) -> None:
    """Add size(place in the run) to the baseline of pixels during a run."""
    for pixel in pixels:
        with edit_pulses(beamtime, pixel) as records:
            place = place_in_run(records, beamtime, run)
            is_inside = (place >= 0) & (place < 1)
            records["baseline"][is_inside] += size(place[is_inside])


def jump(first: float, last: float, height: float) -> Callable[..., FloatArray]:
    """Return a baseline that is `height` away in a part of a run."""
    return lambda place: height * ((place >= first) & (place < last))


def repeated_jumps(number: int, height: float) -> Callable[..., FloatArray]:
    """Return a baseline that jumps and returns so many times, away half of the time."""
    return lambda place: height * ((place * number) % 1 > 0.5)


def slow_jump(
    first: float, duration: float, height: float
) -> Callable[..., FloatArray]:
    """Return a baseline that takes its time to get away."""
    return lambda place: height * np.clip((place - first) / duration, 0, 1)


def stray_baselines(share: float) -> Callable[..., FloatArray]:
    """Return a baseline with which single pulses are away."""
    rng = np.random.default_rng(1)
    return lambda place: 500.0 * (rng.random(len(place)) < share)


def change_gain(
    beamtime: Path, pixel: int, factor: float, start_ns: int, end_ns: int
) -> None:
    """Multiply the pulse heights of a pixel during a time."""
    with edit_pulses(beamtime, pixel) as records:
        is_inside = (records["ns"] >= start_ns) & (records["ns"] < end_ns)
        records["coefs"][is_inside, 2] *= factor


def add_noise(beamtime: Path, pixel: int, relative: float, run: str) -> None:
    """Multiply the pulse heights of a pixel in a run by 1 + noise of this rms."""
    rng = np.random.default_rng(pixel)
    with edit_pulses(beamtime, pixel) as records:
        place = place_in_run(records, beamtime, run)
        is_inside = (place >= 0) & (place < 1)
        noise = rng.normal(1, relative, np.count_nonzero(is_inside))
        records["coefs"][is_inside, 2] *= noise


def repeat_pulses(
    beamtime: Path, pixel: int, share: float, delay_ms: float, height: float
) -> None:
    """Record a share of the pulses again after a delay, `height` times as high."""
    (path,) = beamtime.rglob(f"*_chan{pixel}.off")
    with edit_pulses(beamtime, pixel) as records:
        chosen = np.random.default_rng(pixel).random(len(records)) < share
        again = records[chosen].copy()
        header = path.read_bytes()[: -records.nbytes]
    again["ns"] += round(delay_ms * 1e6)
    again["coefs"][:, 1:3] *= height
    together = np.concatenate([records, again])
    in_order = together[np.argsort(together["ns"], kind="stable")]
    path.write_bytes(header + in_order.tobytes())


def negate_pulses(
    beamtime: Path, pixel: int, start_ns: int = 0, *, with_slope: bool = False
) -> None:
    """Change the sign of pulse heights, and of derivativeLike, from a time on."""
    with edit_pulses(beamtime, pixel) as records:
        is_late = records["ns"] >= start_ns
        records["coefs"][is_late, 2] *= -1
        if with_slope:
            records["coefs"][is_late, 1] *= -1


def forget_first_reference_run(beamtime: Path) -> None:
    """Remove the first reference run from the logs and the experiment states."""
    (beamtime / "logs" / "calibration0000.json").unlink()
    for path in beamtime.rglob("*_experiment_state.txt"):
        path.write_text(path.read_text().replace("CAL0", "IGNORE"))
