from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineWindow,
    check_line,
    choose_line,
)
from rixs_pipeline.core.spectra.map_data import MapData
from rixs_pipeline.core.spectra.region_checks import find_unintended
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.self_absorption import (
    compare_with_inverse_yield,
    correct_self_absorption,
)
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import extract_spectrum
from rixs_pipeline.types import Edge
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
    return check_line(
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
    line = choose_line(sample(np.random.default_rng(3)), Edge.Co_L)
    assert line == LineWindow("O_Ka", (510, 540))
    with pytest.raises(ValueError, match="set `emission`"):
        choose_line(sample(np.random.default_rng(3), vanadium=1.0), Edge.Co_L)


def test_self_absorption_is_undone_and_agrees_with_the_inverse_yield() -> None:
    """Truth: MU, scaled to its own value after the edge; and chi-squared against iPFY that is uniform."""
    after = float(MU[INCIDENT >= 798].mean())
    clean = extract_spectrum(sample(), make_region(kind="pfy", emission=(762, 800)))
    exact = correct_self_absorption(clean, (798, 805), MU_B / after, G_MU_F / after)
    np.testing.assert_allclose(exact.values, MU / after, rtol=2e-3)
    rng, p, pulls = np.random.default_rng(4), [], []
    for _ in range(40):
        data = sample(rng)
        pfy = extract_spectrum(data, make_region(kind="pfy", emission=(762, 800)))
        found = correct_self_absorption(pfy, (798, 805), MU_B / after, G_MU_F / after)
        pulls.append((found.values - MU / after) / found.errors)
        inverse = extract_spectrum(data, make_region(kind="ipfy", emission=(510, 540)))
        held = compare_with_inverse_yield(
            found.values, found.errors, inverse.intensity, inverse.intensity_errors
        )
        p.append(held.p)
    assert 0.9 < np.nanstd(pulls) < 1.1
    assert kstest(p, "uniform").pvalue > 1e-3
    bright = sample(rng, 400.0)
    pfy, inverse = (
        extract_spectrum(bright, make_region(kind=k, emission=e))
        for k, e in (("pfy", (762, 800)), ("ipfy", (510, 540)))
    )
    raw = compare_with_inverse_yield(
        pfy.intensity, pfy.intensity_errors, inverse.intensity, inverse.intensity_errors
    )
    assert raw.p < 1e-6, "the squashed yield is no straight line in the inverse one"


def spectrum(intensity: np.ndarray, errors: np.ndarray) -> Spectrum:
    """Return a yield at the energies 0, 1, 2, ... eV."""
    return Spectrum(
        axis=SpectrumAxis.INCIDENT,
        energy=np.arange(float(len(intensity))),
        intensity=intensity,
        intensity_errors=errors,
        intensity_lower=intensity - 2 * errors,
        intensity_upper=intensity + 2 * errors,
        counts=intensity,
        exposure=np.ones(len(intensity)),
        units="counts/s",
    )


def test_where_it_diverges_it_is_refused() -> None:
    intensity = np.array([0.1, 0.1, 0.5, 1.0, 1.15, 1.3, 0.2, 1.0, 1.0, 1.0])
    found = correct_self_absorption(
        spectrum(intensity, np.full(10, 0.01)), (7, 10), 0.1, 0.1
    )
    np.testing.assert_array_equal(found.refused, intensity > 0.9 * 1.2)
    assert np.isnan(found.values[found.refused]).all()
    noisy = correct_self_absorption(
        spectrum(intensity, np.full(10, 0.2)), (7, 10), 0.1, 0.1
    )
    assert noisy.refused.sum() > found.refused.sum()
    with pytest.raises(ValueError, match="post_edge"):
        correct_self_absorption(spectrum(intensity, intensity), (20, 30), 1.0, 1.0)


LINES = {"O_Ka": 524.9, "Co_La": 776.0, "Co_Lb": 791.0, "V_La": 511.0}


def told(data: MapData, **region: object) -> list[str]:
    asked = make_region(**region)
    return find_unintended(
        asked, data, region_weights(asked, INCIDENT, EDGES), Edge.Co_L, LINES
    )


def test_what_a_region_was_not_meant_to_hold_is_said() -> None:
    data = sample(np.random.default_rng(6))
    assert told(data, kind="pfy", emission=[762, 769]) == []
    assert told(data, kind="pfy", emission=[762, 800], exclude_elastic=3) == []
    assert "elastic line at" in told(data, kind="pfy", emission=[762, 800])[0]
    assert told(data, kind="pfy", emission=[500, 700]) == [
        "includes emission of O_Ka (524.9 eV)"
    ]
    assert told(data, kind="ipfy", emission=[510, 540]) == []
    assert (
        told(data, kind="ipfy", emission=[762, 800])[-1]
        == "includes emission of Co_La (776.0 eV)"
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
        "includes emission of F_Ka (676.8 eV)"
    ]
