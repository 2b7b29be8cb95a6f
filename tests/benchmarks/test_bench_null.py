"""Tests between equal samples and passes; redox amplitude of unequal samples.

Small beamtimes through all stages, 300 in all; one row of the table per kind of test. A
sound test exceeds `ALARMS` false alarms in `SEEDS` beamtimes once in a hundred times.
"""

import numpy as np
import pytest
from scipy import stats

from tests.benchmarks.null_beamtimes import settings, simulate_and_test_all

SEEDS, FIRST = 200, 20_000
ALARMS, LEVEL = 17, 0.05
UNIFORM = 1e-3  # least p of a Kolmogorov-Smirnov test: there are 20 of them
STRONGER, GROWN = 100, 30_000  # beamtimes with a stronger feature
REDOX, BIAS = 1.4, 0.02


@pytest.mark.slow
def test_false_alarms(benchmark, table):
    beamtimes = [settings(seed) for seed in range(FIRST, FIRST + SEEDS)]
    results = [
        entry.chances
        for entry in benchmark.pedantic(
            simulate_and_test_all, args=(beamtimes,), rounds=1
        )
    ]
    rows = [
        row(name, np.array([entry[name] for entry in results])) for name in results[0]
    ]
    for entry in rows:
        table("equal samples", entry)
    assert not [
        entry
        for entry in rows
        if entry["alarms"] > ALARMS or entry["uniform"] < UNIFORM
    ]


def row(name, p):
    """Count false alarms of a test, and test whether its p values are uniform."""
    return {
        "test": name,
        "alarms": int((p < LEVEL).sum()),
        "of": len(p),
        "mean p": float(p.mean()),
        "uniform": float(stats.kstest(p, "uniform").pvalue),
    }


@pytest.mark.slow
def test_redox_amplitude(benchmark, table):
    beamtimes = [settings(seed, REDOX) for seed in range(GROWN, GROWN + STRONGER)]
    results = benchmark.pedantic(simulate_and_test_all, args=(beamtimes,), rounds=1)
    value, lower, upper, true = np.array(
        [(*entry.ratio, entry.endless) for entry in results]
    ).T
    off = value / true - 1
    error = float(off.std(ddof=1) / np.sqrt(len(off)))
    covered = float(np.mean((lower < true) & (true < upper)))
    means = {
        "beamtimes": str(len(off)),
        "ratio": float(value.mean()),
        "endless": float(true.mean()),
    }
    table(
        "redox amplitude",
        means
        | {
            "% off": 100 * float(off.mean()),
            "% error": 100 * error,
            "covered": covered,
        },
    )
    assert abs(off.mean()) < BIAS + 2 * error
    assert covered > stats.binom.ppf(0.01, len(off), 0.95) / len(off)
