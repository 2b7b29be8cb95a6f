"""Spectra of simulated beamtimes against the truth: bias, pulls, coverage.

One row per kind of spectrum and rate, over the seeds, and rows over all. A limit is
missed beyond two standard errors; in rows of a single kind, of which there are more
than a hundred, beyond three.
"""

import numpy as np
import pytest

from tests.benchmarks import spectra_truth

SEEDS = {
    2.0: (301, 302, 303),
    10.0: (101, 102, 103),
    50.0: (201, 202, 203),
}  # counts/s on a mean pixel
ENOUGH = 10.0  # counts expected in a point whose pull counts
BIAS, BIAS_PULL, PULLS = (
    0.005,
    0.2,
    0.05,
)  # relative, or of a standard deviation; of the pulls' from 1
COVERED, COVERED_AT_MOST = (
    0.94,
    0.985,
)  # by the 95 % interval, from 0.3 counts; from 3 counts
FEW_COUNTS = range(
    401, 409
)  # seeds of beamtimes with few counts in their inverse yields
BIAS_INVERSE = 0.01  # from `ENOUGH` counts
THIRDS = ("lowest", "middle", "highest")

measured: list[spectra_truth.Points] = []  # of all beamtimes of this session


@pytest.mark.parametrize("rate", SEEDS)
def test_spectra_at_one_rate(benchmark, table, tmp_path, command_line, rate):
    beamtimes = [spectra_truth.settings(seed, rate) for seed in SEEDS[rate]]
    results = benchmark.pedantic(
        points_of, args=(beamtimes, tmp_path, command_line), rounds=1
    )
    measured.extend(results)
    rows = [
        row(f"{kind}, {rate:g}/s", [p for p in results if p.kind == kind], 3.0)
        for kind in spectra_truth.REGIONS
    ]
    rows.append(row(f"all, {rate:g}/s", results))
    for table_row in rows:
        table("spectra", table_row)
    assert not [m for table_row in rows for m in table_row["missed"]], rows


def points_of(beamtimes, folder, command_line):
    """All points of some beamtimes."""
    results = []
    for settings in beamtimes:
        place = folder / str(settings.seed)
        place.mkdir()
        out = spectra_truth.reduce(settings, place, command_line)
        results += spectra_truth.points(settings, place / "beamtime", out)
    return results


def test_inverse_yields_of_few_counts(benchmark, table, tmp_path, command_line):
    beamtimes = [spectra_truth.few_counts(seed) for seed in FEW_COUNTS]
    every = benchmark.pedantic(
        points_of, args=(beamtimes, tmp_path, command_line), rounds=1
    )
    results = [p for p in every if p.kind == "iPFY"]
    value, truth, expected, covered = (
        np.concatenate([getattr(p, n) for p in results])
        for n in ("value", "truth", "expected", "covered")
    )
    enough = expected >= ENOUGH
    off, n = (value / truth - 1)[enough], int(enough.sum())
    bias, error = float(off.mean()), float(off.std() / np.sqrt(n))
    table(
        "inverse yields",
        {
            "row": "few counts",
            "points": n,
            "median counts": float(np.median(expected[enough])),
            "% bias": 100 * bias,
            "% error": 100 * error,
            "covered": float(covered.mean()),
        },
    )
    assert n >= 3000
    assert abs(bias) < BIAS_INVERSE + 2 * error


def test_spectra_at_all_rates(benchmark, table):
    if not measured:
        pytest.skip("no beamtime was measured")
    table_row = benchmark.pedantic(row, args=("all", measured), rounds=1)
    table("spectra", table_row)
    assert table_row["points"] >= 3000
    assert not table_row["missed"]


def row(name, points, errors=2.0):
    """Numbers of a set of spectra, and the limits that they miss by `errors` errors."""
    pull, expected, covered = (
        np.concatenate([getattr(p, n) for p in points])
        for n in ("pull", "expected", "covered")
    )
    enough = expected >= ENOUGH
    n, pull = int(enough.sum()), pull[enough]
    result = {
        "row": name,
        "points": n,
        "median counts": float(np.median(expected[enough])),
        "pulls": float(pull.std()),
        "pulls' mean": float(pull.mean()),
    }
    missed = []
    if abs(pull.std() - 1) > PULLS + errors / np.sqrt(2 * n):
        missed.append(
            f"{name}: pulls have sd {pull.std():.3f} +- {1 / np.sqrt(2 * n):.3f}"
        )
    for third, (bias, error, sigma) in zip(THIRDS, biases(points), strict=True):
        result[f"% {third}"] = 100 * bias
        result[f"+- {third}"] = 100 * error
        if abs(bias) > max(BIAS, BIAS_PULL * sigma) + errors * error:
            missed.append(
                f"{name}: bias {bias:+.2%} +- {error:.2%} at the {third} third"
            )
    for least, limits in ((0.3, (COVERED, 1.0)), (3.0, (0.0, COVERED_AT_MOST))):
        here = covered[expected >= least]
        result[f"covered from {least:g}"] = float(here.mean())
        error = np.sqrt(0.05 * 0.95 / len(here))
        if not limits[0] - errors * error <= here.mean() <= limits[1] + errors * error:
            missed.append(
                f"{name}: the interval covers {here.mean():.1%} from {least:g} counts"
            )
    return result | {"missed": missed}


def biases(points):
    """Relative bias, its error and a point's median error in thirds of each spectrum.

    The thirds are the lowest, the middle and the highest points.

    A common factor is free, so an overall mean is meaningless; a deviation from
    proportionality appears as a trend over the thirds.
    """
    results = []
    for third in range(3):
        excess, weight, sigma = 0.0, 0.0, []
        for p in points:
            enough = p.expected >= ENOUGH
            if enough.sum() < 6:
                continue
            low, high = np.quantile(p.expected[enough], [third / 3, (third + 1) / 3])
            take = enough & (p.expected >= low) & (p.expected <= high)
            excess += float(
                ((p.value[take] / p.truth[take] - 1) * p.expected[take]).sum()
            )
            weight += float(p.expected[take].sum())
            sigma += (p.error[take] / p.truth[take]).tolist()
        results.append((excess / weight, weight**-0.5, float(np.median(sigma))))
    return results
