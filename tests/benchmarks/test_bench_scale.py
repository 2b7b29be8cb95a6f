"""Energy scale of simulated beamtimes with every defect, against the truth.

One row per beamtime; a row prints its measurements even where a limit is missed. The
rows of 240 pixels are marked `slow`; `-m "not slow"` deselects them.
"""

import numpy as np
import pytest

from tests.benchmarks import line_truth, scale

# seed, pixels, counts/s, FWHM (eV), counts per line (None: 15 minutes, at most 1000)
QUICK = [
    (31, 12, 10.0, 1.4, None),
    (32, 24, 5.0, 1.4, None),
    (33, 8, 50.0, 1.4, None),
    (34, 24, 2.0, 1.4, None),
    (35, 16, 10.0, 3.0, None),
    (36, 24, 5.0, 1.4, 200),
    (37, 16, 20.0, 3.0, 200),
]
LARGE = [(38, 240, 10.0, 1.4, None), (39, 240, 4.0, 1.4, 200)]
ROWS = [*QUICK, *(pytest.param(row, marks=pytest.mark.slow) for row in LARGE)]
PULLS, LOST = (
    0.1,
    0.01,
)  # of the pulls' standard deviation from 1; share of the healthy pixels

measured: list[
    dict
] = []  # what the rows of this session leave for the test over all of them


def name(row):
    seed, pixels, rate, fwhm, counts = row
    return f"{pixels} px, {rate:g}/s, {fwhm:g} eV, seed {seed}" + (
        f", {counts} a line" if counts else ""
    )


def measure(row, folder, command_line):
    """Measure the beamtime of a row: missed limits, and the numbers of the table."""
    reduced = scale.Reduced(scale.settings(*row), folder, command_line)
    places, widths = scale.places(reduced), scale.resolutions(reduced)
    pulls = np.concatenate(
        [
            line_truth.pulls(reduced.settings, calibration, number).ravel()
            for number, calibration in zip((0, -1), reduced.calibrations, strict=True)
        ]
    )
    pulls, lost = pulls[np.isfinite(pulls)], scale.lost(reduced)
    missed = scale.flaws(reduced) + [m for place in places for m in place.beyond()]
    missed += [
        m for width in widths for m in width.beyond(few_counts=row[-1] is not None)
    ]
    missed += beyond_pulls(pulls)
    at, between = ([p for p in places if p.at_line == which] for which in (True, False))
    return {
        "row": name(row),
        "counts a line": float(
            np.nanmedian([np.nanmedian(c["line_counts"]) for c in reduced.calibrations])
        ),
        "bias at lines": max((p.bias for p in at), key=abs),
        "bias between": max((p.bias for p in between), key=abs),
        "rms added": max(p.added for p in places if p.pixels > 1),
        "pulls": float(pulls.std()),
        "pulls' mean": float(pulls.mean()),
        "sum / median": max(w.total / w.median for w in widths),
        "sum / aligned": max(w.total / w.aligned for w in widths),
        "lost": len(lost),
        "healthy": len(reduced.healthy),
        "missed": missed,
        "_pulls": pulls,
        "_lost": sorted(lost),
    }


def beyond_pulls(pulls):
    """Is the standard deviation of pulls outside 0.9 to 1.1 by more than two errors?"""
    spread, error = pulls.std(), 1 / np.sqrt(2 * len(pulls))
    return (
        [f"pulls have sd {spread:.2f} +- {error:.2f}"]
        if abs(spread - 1) > PULLS + 2 * error
        else []
    )


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_energy_scale_of_a_beamtime(benchmark, table, tmp_path, command_line, row):
    result = benchmark.pedantic(measure, args=(row, tmp_path, command_line), rounds=1)
    measured.append(result)
    table("scale", result | {"seconds": benchmark.stats.stats.min})
    assert not result["missed"], "\n".join(result["missed"])


def test_energy_scale_of_all_beamtimes(benchmark, table):
    if not measured:
        pytest.skip("no beamtime was measured")
    pulls = benchmark.pedantic(
        np.concatenate, args=([m["_pulls"] for m in measured],), rounds=1
    )
    lost, healthy = (sum(m[what] for m in measured) for what in ("lost", "healthy"))
    table(
        "scale",
        {
            "row": "all together",
            "pulls": float(pulls.std()),
            "pulls' mean": float(pulls.mean()),
            "lost": lost,
            "healthy": healthy,
        },
    )
    assert not beyond_pulls(pulls)
    assert lost <= LOST * healthy, {
        m["row"]: m["_lost"] for m in measured if m["_lost"]
    }
