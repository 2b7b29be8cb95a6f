from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from rixs_pipeline.core.spectra.inverse_yield_line import choose_line, line_test
from rixs_pipeline.core.spectra.region_checks import unintended
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.self_absorption import absorption, agreement
from rixs_pipeline.core.spectra.yields import MapData, extract
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 820.1, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
INCIDENT = np.arange(770.0, 805.0, 0.25)
MU = (
    0.5
    + np.arctan((INCIDENT - 782) / 0.4) / np.pi
    + 2 * np.exp(-0.5 * ((INCIDENT - 780.5) / 0.9) ** 2)
)
MU_B, G_MU_F = 3.0, 2.0
X = 100.0


def line(energy: float, sigma: float = 1.5) -> np.ndarray:
    shape = np.exp(-0.5 * ((CENTRES - energy) / sigma) ** 2)
    return shape / shape.sum()


def sample(
    rng: np.random.Generator | None = None, rate: float = 8.0, vanadium: float = 0.0
) -> MapData:
    """A thick sample: O Ka dims where Co absorbs, Co La shines there; a resonant line within O Ka's window if asked."""
    total = MU + MU_B + G_MU_F
    means = X * rate * (MU_B / total)[:, None] * line(524.9) + X * rate * (MU / total)[
        :, None
    ] * line(776.0)
    means = means + X * rate * vanadium * (MU / total)[:, None] * line(530.0)
    counts = np.round(means * 1e6).astype(int) if rng is None else rng.poisson(means)
    return MapData(
        counts,
        np.full(len(INCIDENT), X * (1e6 if rng is None else 1.0)),
        EDGES,
        INCIDENT,
    )


def judged(data: MapData, window: tuple[float, float]):
    return line_test(
        data, region_weights(make_region(kind="ipfy", emission=window), INCIDENT, EDGES)
    )


def test_a_line_that_only_dims_passes_with_uniform_p() -> None:
    rng = np.random.default_rng(1)
    found = [judged(sample(rng, 2.0), (510, 540)) for _ in range(60)]
    assert sum(f.passed for f in found) >= 59
    assert kstest([f.p for f in found], "uniform").pvalue > 1e-3


def test_lines_that_resonate_do_not_pass() -> None:
    rng = np.random.default_rng(2)
    mixed = judged(sample(rng, vanadium=0.3), (510, 540))
    assert not mixed.passed and mixed.p < 1e-6
    assert judged(
        MapData(np.zeros((140, 640), int), np.full(140, X), EDGES, INCIDENT), (510, 540)
    ).passed


def test_the_brightest_line_that_passes_is_chosen() -> None:
    assert choose_line(sample(np.random.default_rng(3)), "Co_L") == ("O_Ka", (510, 540))
    with pytest.raises(ValueError, match="name a window"):
        choose_line(sample(np.random.default_rng(3), vanadium=1.0), "Co_L")


def test_self_absorption_is_undone_and_agrees_with_the_inverse_yield() -> None:
    """Truth: MU, scaled to its own value after the edge; and chi-squared against iPFY that is uniform."""
    after = float(MU[INCIDENT >= 798].mean())
    clean = extract(sample(), make_region(kind="pfy", emission=(762, 800)))
    exact = absorption(
        INCIDENT,
        clean.intensity,
        clean.intensity_errors,
        (798, 805),
        MU_B / after,
        G_MU_F / after,
    )
    np.testing.assert_allclose(exact.values, MU / after, rtol=2e-3)
    rng, p, pulls = np.random.default_rng(4), [], []
    for _ in range(40):
        data = sample(rng)
        pfy = extract(data, make_region(kind="pfy", emission=(762, 800)))
        found = absorption(
            INCIDENT,
            pfy.intensity,
            pfy.intensity_errors,
            (798, 805),
            MU_B / after,
            G_MU_F / after,
        )
        pulls.append((found.values - MU / after) / found.errors)
        inverse = extract(data, make_region(kind="ipfy", emission=(510, 540)))
        held = agreement(
            found.values, found.errors, inverse.intensity, inverse.intensity_errors
        )
        p.append(held.p)
    assert 0.9 < np.nanstd(pulls) < 1.1
    assert kstest(p, "uniform").pvalue > 1e-3
    bright = sample(rng, 400.0)
    pfy, inverse = (
        extract(bright, make_region(kind=k, emission=e))
        for k, e in (("pfy", (762, 800)), ("ipfy", (510, 540)))
    )
    raw = agreement(
        pfy.intensity, pfy.intensity_errors, inverse.intensity, inverse.intensity_errors
    )
    assert raw.p < 1e-6, "the squashed yield is no straight line in the inverse one"


def test_where_it_diverges_it_is_refused() -> None:
    energy = np.arange(10.0)
    intensity = np.array([0.1, 0.1, 0.5, 1.0, 1.15, 1.3, 0.2, 1.0, 1.0, 1.0])
    found = absorption(energy, intensity, np.full(10, 0.01), (7, 10), 0.1, 0.1)
    np.testing.assert_array_equal(found.refused, intensity > 0.9 * 1.2)
    assert np.isnan(found.values[found.refused]).all()
    noisy = absorption(energy, intensity, np.full(10, 0.2), (7, 10), 0.1, 0.1)
    assert noisy.refused.sum() > found.refused.sum()
    with pytest.raises(ValueError, match="post_edge"):
        absorption(energy, intensity, intensity, (20, 30), 1.0, 1.0)


LINES = {"O_Ka": 524.9, "Co_La": 776.0, "Co_Lb": 791.0, "V_La": 511.0}


def told(data: MapData, **region: object) -> list[str]:
    asked = make_region(**region)
    return unintended(
        asked, data, region_weights(asked, INCIDENT, EDGES), "Co_L", LINES
    )


def test_what_a_region_was_not_meant_to_hold_is_said() -> None:
    data = sample(np.random.default_rng(6))
    assert told(data, kind="pfy", emission=[762, 769]) == []
    assert told(data, kind="pfy", emission=[762, 800], exclude_elastic=3) == []
    assert "elastic line at" in told(data, kind="pfy", emission=[762, 800])[0]
    assert told(data, kind="pfy", emission=[500, 700]) == [
        "holds emission of O_Ka (524.9 eV)"
    ]
    assert told(data, kind="ipfy", emission=[510, 540]) == []
    assert (
        told(data, kind="ipfy", emission=[762, 800])[-1]
        == "holds emission of Co_La (776.0 eV)"
    )
    assert told(data, kind="tfy") == []


def test_fluorine_is_known_though_no_reference_sample_shows_it() -> None:
    data = sample(np.random.default_rng(6))
    line = np.zeros_like(data.counts)
    line[:, np.abs(data.centres - 676.8) < 1] = 40
    asked: dict[str, object] = {
        "kind": "pfy",
        "emission": [660, 800],
        "exclude_elastic": 3,
    }
    assert told(data, **asked) == []
    assert told(replace(data, counts=data.counts + line), **asked) == [
        "holds emission of F_Ka (676.8 eV)"
    ]
