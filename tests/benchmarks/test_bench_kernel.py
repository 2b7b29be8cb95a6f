"""From pulse records to counts, relative to the memory bandwidth.

One core, two cores, and common histogram libraries with as many values.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.core.maps import bin_kernel
from rixs_pipeline.core.maps.binning import emission_edges, uniform_bins
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
)
from rixs_pipeline.core.stats.robust import Range
from rixs_pipeline.io.formats import off
from rixs_pipeline.runner.execution.executor import Executor, available_cores
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.count_pulses import CountTask, count_block
from tests.stages.builders import CUTS, LIMITS, OK, Points, params

RECORD = off.record_dtype("0.3.0", 5)
PULSES, POINTS = 10_000_000, 240
EDGES = emission_edges((200.0, 1100.0), 0.5)
STEP_NS, START_NS = 10_000_000, 10**12


@njit(nogil=True, error_model="numpy", fastmath=True)
def read(values):
    """Their sum: every byte is read, and as little as can be is done with it."""
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


def records(n, first=0):
    """Clean pulses of 480 to 1050 eV, all corrections at work, 10 ms apart."""
    rng = np.random.default_rng(first)
    result = np.zeros(n, RECORD)
    result["record_samples"], result["unixnano"] = (
        1000,
        START_NS + (first + np.arange(n)) * STEP_NS,
    )
    result["pretrigger_mean"], result["residual_stddev"] = (
        7000 + rng.normal(0, 3, n),
        20 + rng.normal(0, 1, n),
    )
    result["coefs"][:, off.FILT_VALUE] = rng.uniform(4800, 10500, n)
    result["coefs"][:, off.DERIVATIVE_LIKE] = result["coefs"][:, off.FILT_VALUE] * (
        0.5 + rng.normal(0, 0.01, n)
    )
    return result


def corrected(shift=0.0):
    """Parameters with drift and arrival phase."""
    from rixs_pipeline.core.energy import layout

    result = params(shift)
    (
        result[layout.HEIGHT_REF],
        result[layout.PRETRIGGER_REF],
        result[layout.PHASE_HALF_WIDTH],
    ) = (8000.0, 7000.0, 0.5)
    result[layout.DRIFT], result[layout.PHASE], result[layout.PHASE_CENTRE] = (
        5e-6,
        1e-4,
        [0.5, 0.0, 0.0],
    )
    return result


@pytest.fixture(scope="module")
def pulses():
    return records(PULSES)


def count(pulses, points=slice(None)):
    limits = np.linspace(0, len(pulses), POINTS + 1).astype(np.int64)
    first, stop = limits[:-1][points], limits[1:][points]
    counts = np.zeros((len(first), len(EDGES)), np.int64)
    share = np.linspace(0, 1, POINTS)[points]
    batch = PointBatch(first, stop, np.arange(len(first)), share)
    pair = np.stack([corrected(), corrected(1.0)])
    options = BinOptions(LIMITS, pair, uniform_bins(EDGES))
    columns = off.columns(pulses)
    bin_kernel.bin_records(columns, batch, options, counts, NO_PHOTON_LIST)
    return counts[:, :-1]


def halves(function):
    """Both halves of the work at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, range(2)))


@pytest.fixture(scope="module")
def words():
    """As many bytes as the records have, and nothing that is slow to add."""
    return np.ones(
        PULSES * RECORD.itemsize // 8
    )  # zeros would be one page of the kernel, read again and again


READERS = {
    "read by one thread, compiled": lambda words: read(words),
    "read by one thread, numpy sum": lambda words: words.sum(),
    "read by two threads, compiled": lambda words: halves(
        lambda k: read(np.array_split(words, 2)[k])
    ),
}


@pytest.mark.parametrize("what", READERS)
def test_memory(timed, words, what):
    read(words[:1])
    timed("memory", what, lambda: READERS[what](words), words.nbytes, "B")


def test_kernel(timed, pulses):
    expected = count(pulses)
    assert expected.sum() > 0.99 * PULSES
    result = timed(
        "memory",
        "records into counts, one thread",
        lambda: count(pulses),
        pulses.nbytes,
        "B",
    )
    assert np.array_equal(result, expected)


def test_kernel_in_two_threads(timed, pulses):
    some = [slice(0, POINTS // 2), slice(POINTS // 2, POINTS)]
    run = lambda: halves(lambda k: count(pulses, some[k]))  # noqa: E731
    both = timed("memory", "records into counts, two threads", run, pulses.nbytes, "B")
    assert np.array_equal(np.concatenate(both), count(pulses))


def fill_numpy(point, energy):
    return np.histogram2d(point, energy, (np.arange(POINTS + 1) - 0.5, EDGES))[0]


def fill_uniform(point, energy):
    return np.histogram2d(
        point,
        energy,
        (POINTS, len(EDGES) - 1),
        [(-0.5, POINTS - 0.5), (EDGES[0], EDGES[-1])],
    )[0]


def fill_boost(point, energy):
    boost = pytest.importorskip("boost_histogram")
    axes = (
        boost.axis.Integer(0, POINTS),
        boost.axis.Regular(len(EDGES) - 1, EDGES[0], EDGES[-1]),
    )
    return (
        boost.Histogram(*axes, storage=boost.storage.Int64()).fill(point, energy).view()
    )


FILLS = {
    "np.histogram2d of energies, edges": fill_numpy,
    "np.histogram2d of energies, uniform": fill_uniform,
    "boost-histogram of energies": fill_boost,
}


@pytest.mark.parametrize("what", FILLS)
def test_histograms(timed, pulses, what):
    energy = pulses["coefs"][:, off.FILT_VALUE] * 0.1
    point = np.repeat(np.arange(POINTS), PULSES // POINTS + 1)[:PULSES]
    counts = timed(
        "histogram",
        what,
        lambda: FILLS[what](point, energy),
        PULSES,
        "pulses",
        rounds=5,
    )
    assert counts.sum() == PULSES


def test_kernel_and_histograms(timed, pulses):
    timed(
        "histogram",
        "records into counts, corrections and all",
        lambda: count(pulses),
        PULSES,
        "pulses",
    )


# ---- the stage, from files


def anonymous() -> int:
    """Memory of this process that is no file's, bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(
        int(line.split()[1]) for line in lines if line.startswith("RssAnon")
    )


def write(path: Path, n: int) -> Path:
    header = {
        "FileFormat": "OFF",
        "FileFormatVersion": "0.3.0",
        "NumberOfBases": 5,
        "FramePeriodSeconds": 5e-6,
        "ModelInfo": {"Projectors": {"Rows": 5, "Cols": 2}},
    }
    with path.open("wb") as file:
        file.write(json.dumps(header, indent=1).encode() + b"\n" + bytes(2 * 8 * 10))
        for first in range(0, n, 1_000_000):
            records(min(1_000_000, n - first), first).tofile(file)
    return path


def task(files, n) -> CountTask:
    limits = START_NS + np.linspace(0, n * STEP_NS, POINTS + 1).astype(np.int64)
    hold_off = Range(0.008, np.inf)  # longer than a record
    cuts = replace(CUTS, since_last=hold_off)
    function = PixelEnergy(
        OK, (corrected(), corrected(1.0)), cuts, (START_NS / 1e9, START_NS / 1e9 + 1e6)
    )
    points = Points(np.arange(float(POINTS)), limits[:-1], limits[1:])
    return CountTask(tuple(files), (function,) * len(files), points, EDGES, 6.0)


@pytest.mark.parametrize(
    "n",
    [10**6, 10**7, pytest.param(10**8, marks=pytest.mark.slow)],
    ids=["1e6", "1e7", "1e8"],
)
def test_one_file_of_any_length(timed, table, tmp_path, n):
    count_task = task([write(tmp_path / "x_chan1.off", n)], n)
    count_block(
        task([write(tmp_path / "y_chan1.off", 1000)], 1000)
    )  # compiled, and its modules loaded
    before, peak, done = anonymous(), [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], anonymous())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        binned = timed(
            "stage, one file",
            f"{n:.0e} pulses",
            lambda: count_block(count_task),
            n,
            "pulses",
            rounds=3,
        )
    finally:
        done.set()
        watcher.join()
    assert binned.map_counts.sum() > 0.99 * n
    table(
        "memory of the process that is no file's",
        {"pulses": n, "added at most, MB": (peak[0] - before) / 1e6},
    )
    assert peak[0] - before < 1e8  # at any length: the map and little else
    for path in tmp_path.glob("*.off"):
        path.unlink()


@pytest.mark.skipif(available_cores() < 2, reason="one core")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers(timed, tmp_path, workers):
    n, files = 200_000, 16
    paths = [write(tmp_path / f"x_chan{k}.off", n) for k in range(files)]
    tasks = [task(paths[k : k + 2], n) for k in range(0, files, 2)]
    count_block(tasks[0])
    with Executor(ExecutionConfig(scheduler="threads", workers=workers)) as executor:
        timed(
            "workers",
            f"binning by {workers}",
            lambda: [o.unwrap() for o in executor.outcomes(count_block, tasks)],
            n * files,
            "pulses",
        )
