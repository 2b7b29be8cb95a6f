import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.config import Region
from rixs_pipeline.core.regions import weights
from rixs_pipeline.core.spectra import extract
from rixs_pipeline.core.statistics import garwood

EDGES = np.arange(510.0, 530.1, 0.5)
INCIDENT = np.arange(528.0, 534.0, 0.5)
RNG = np.random.default_rng(5)
COUNTS = RNG.poisson(4.0, (len(INCIDENT), len(EDGES) - 1))
EXPOSURE = RNG.uniform(50.0, 100.0, len(INCIDENT))


def spectrum(counts: np.ndarray = COUNTS, exposure: np.ndarray = EXPOSURE, **region: object):
    return extract(counts, exposure, EDGES, INCIDENT, Region.model_validate({"kind": "pfy", **region}))


@pytest.mark.parametrize("kind", ["pfy", "spfy"])
def test_pfy_is_a_ratio_of_sums(kind: str) -> None:
    found = spectrum(kind=kind, emission=[520, 522])
    total = COUNTS[:, 20:24].sum(axis=1)
    assert (found.axis, found.units, found.scale_factor) == ("incident_energy", "counts/s", 1.0)
    np.testing.assert_array_equal(found.energy, INCIDENT)
    np.testing.assert_array_equal(found.counts, total)
    np.testing.assert_array_equal(found.exposure, EXPOSURE)
    np.testing.assert_allclose(found.intensity, total / EXPOSURE)
    np.testing.assert_allclose(found.intensity_errors, np.sqrt(total) / EXPOSURE)
    np.testing.assert_allclose([found.intensity_lower, found.intensity_upper], np.array(garwood(total)) / EXPOSURE)


def test_cut_bins_enter_counts_and_variance_by_their_share() -> None:
    found = spectrum(emission=[520.25, 521.4])
    w = np.array([0.5, 1.0, 0.8])
    np.testing.assert_allclose(found.counts, COUNTS[:, 20:23] @ w)
    np.testing.assert_allclose(found.intensity_errors, np.sqrt(COUNTS[:, 20:23] @ w**2) / EXPOSURE)


def test_tfy_counts_all() -> None:
    np.testing.assert_array_equal(spectrum(kind="tfy").counts, COUNTS.sum(axis=1))


def test_elastic_counts_around_the_diagonal() -> None:
    found = spectrum(kind="elastic")
    assert found.axis == "incident_energy"
    assert found.counts[0] == COUNTS[0, (EDGES[:-1] >= 525) & (EDGES[1:] <= 531)].sum()


def test_points_that_the_region_leaves_are_not_in_the_spectrum() -> None:
    np.testing.assert_array_equal(spectrum(incident=[529, 530.5]).energy, [529.0, 529.5, 530.0])
    assert len(spectrum(emission=[700, 710]).intensity) == 0
    assert len(spectrum(kind="xes", incident=[700, 710]).intensity) == 0


def test_no_exposure_is_nan_and_moves_nothing_else() -> None:
    dark = EXPOSURE.copy()
    dark[[2, 3]] = 0.0, np.nan
    for kind in ("pfy", "ipfy"):
        found, whole = spectrum(kind=kind, exposure=dark), spectrum(kind=kind)
        for name in ("intensity", "intensity_errors", "intensity_lower", "intensity_upper"):
            values = getattr(found, name)
            np.testing.assert_array_equal(np.isnan(values), np.isin(np.arange(len(INCIDENT)), [2, 3]))
            np.testing.assert_array_equal(np.delete(values, [2, 3]), np.delete(getattr(whole, name), [2, 3]))
    others = np.delete(np.arange(len(INCIDENT)), [2, 3])
    cut = spectrum(kind="xes", exposure=dark)
    np.testing.assert_array_equal(cut.counts, COUNTS[others].sum(axis=0))
    np.testing.assert_allclose(cut.exposure, EXPOSURE[others].sum())
    assert np.isnan(spectrum(kind="xes", exposure=np.zeros(len(INCIDENT))).intensity).all()


@pytest.mark.parametrize("mean", [5.0, 10.0])
def test_ipfy_is_unbiased_and_its_error_is_its_scatter(mean: float) -> None:
    """X / (N + 1) is off by -exp(-N), where X / N would be off by +29 and +13 % at 5 and 10 counts."""
    toys = 40_000
    counts = np.random.default_rng(6).poisson(mean, (toys, 1))
    found = extract(counts, np.full(toys, 100.0), np.array([510.0, 530.0]), np.arange(toys) * 1.0, Region(kind="ipfy"))
    truth = 100.0 / mean
    error_of_mean = found.intensity.std() / np.sqrt(toys)
    assert found.intensity.mean() == pytest.approx(truth * (1 - np.exp(-mean)), abs=4 * error_of_mean)
    np.testing.assert_allclose(found.intensity_errors**2, (100 / (counts[:, 0] + 1)) ** 2 / (counts[:, 0] + 2))
    assert np.mean(found.intensity_errors**2) == pytest.approx(found.intensity.var(), rel=0.1)
    assert np.mean((found.intensity_lower <= truth) & (truth <= found.intensity_upper)) > 0.95
    assert found.units == "s/counts"


def test_ipfy_without_counts_has_no_upper_end() -> None:
    found = spectrum(kind="ipfy", counts=np.zeros_like(COUNTS))
    np.testing.assert_array_equal(found.intensity, EXPOSURE)
    assert np.isinf(found.intensity_upper).all()
    np.testing.assert_allclose(found.intensity_lower, EXPOSURE / 3.6889, rtol=1e-4)


def test_xes_is_per_ev_of_emission() -> None:
    found = spectrum(kind="xes", incident=[530.5, 531.5])
    total, seconds = COUNTS[5:7].sum(axis=0), EXPOSURE[5:7].sum()
    assert (found.axis, found.units) == ("emission_energy", "counts/(s eV)")
    np.testing.assert_array_equal(found.energy, (EDGES[1:] + EDGES[:-1]) / 2)
    np.testing.assert_allclose(found.intensity, total / seconds / 0.5)
    np.testing.assert_allclose(found.intensity_errors, np.sqrt(total) / seconds / 0.5)
    np.testing.assert_allclose(found.intensity_upper, garwood(total)[1] / seconds / 0.5)


@pytest.mark.parametrize(
    "limits", [{"emission": [512.2, 524.9]}, {"loss": [4.1, 9.9]}, {"polygon": [[527, 511], [535, 515], [530, 529]]}]
)
def test_xes_of_a_flat_map_is_flat_however_it_is_cut(limits: dict) -> None:
    """Counts that follow the exposure exactly: shares must cancel between counts and exposure."""
    flat = np.round(EXPOSURE * 1e6)[:, None] * np.ones(COUNTS.shape[1], np.int64)
    found = spectrum(kind="xes", counts=flat.astype(np.int64), **limits)
    np.testing.assert_allclose(found.intensity, 1e6 / 0.5, rtol=1e-6)
    assert 0 < len(found.energy) < COUNTS.shape[1]


@given(st.integers(0, 2**32 - 1), st.integers(1, len(INCIDENT) - 1))
def test_counts_add_over_runs_and_over_regions(seed: int, split: int) -> None:
    more = np.random.default_rng(seed).poisson(1.0, COUNTS.shape)
    both = spectrum(counts=COUNTS + more, emission=[515.3, 520])
    parts = [spectrum(counts=c, emission=[515.3, 520]) for c in (COUNTS, more)]
    np.testing.assert_allclose(both.counts, parts[0].counts + parts[1].counts)
    middle = float(EDGES[split]) + 0.2
    low, high = spectrum(emission=[510, middle]), spectrum(emission=[middle, 530])
    np.testing.assert_allclose(low.counts + high.counts, COUNTS.sum(axis=1))


def test_errors_are_the_scatter_of_toys() -> None:
    region = Region(kind="pfy", emission=(515.25, 518.4), loss=(11, 15.3))
    w = weights(region, INCIDENT, EDGES)
    toys = np.random.default_rng(7).poisson(4.0, (4000, *COUNTS.shape))
    scatter = ((toys * w).sum(axis=2) / EXPOSURE).std(axis=0)
    expected = np.sqrt(4.0 * (w**2).sum(axis=1)) / EXPOSURE
    taken = w.any(axis=1)
    np.testing.assert_allclose(scatter[taken], expected[taken], rtol=5 / np.sqrt(2 * 4000))
    errors = np.mean([extract(t, EXPOSURE, EDGES, INCIDENT, region).intensity_errors ** 2 for t in toys[:500]], axis=0)
    np.testing.assert_allclose(np.sqrt(errors), expected[taken], rtol=0.1)


@pytest.mark.parametrize("kind", ["pfy", "ipfy", "xes"])
@pytest.mark.parametrize("scale", ["max", "area", [515, 532]])
def test_scale_divides_all_alike(kind: str, scale: object) -> None:
    plain, scaled = spectrum(kind=kind), spectrum(kind=kind, scale=scale)
    for name in ("intensity", "intensity_errors", "intensity_lower", "intensity_upper"):
        np.testing.assert_allclose(getattr(scaled, name) * scaled.scale_factor, getattr(plain, name))
    np.testing.assert_array_equal(scaled.counts, plain.counts)
    x, y = scaled.energy, scaled.intensity
    if scale == "max":
        assert y.max() == 1.0
    elif scale == "area":
        assert np.trapezoid(y, x) == pytest.approx(1.0)
    else:
        assert y[(x >= 515) & (x < 532)].mean() == pytest.approx(1.0)


def test_scale_ignores_points_without_exposure_and_the_direction_of_the_scan() -> None:
    dark = EXPOSURE.copy()
    dark[3] = 0.0
    region = Region(kind="pfy", scale="area")
    forth = extract(COUNTS, dark, EDGES, INCIDENT, region)
    back = extract(COUNTS[::-1], dark[::-1], EDGES, INCIDENT[::-1], region)
    assert forth.scale_factor > 0
    assert forth.scale_factor == pytest.approx(back.scale_factor)


@pytest.mark.parametrize("scale", ["max", "area", [700, 710]])
def test_nothing_to_scale_by_is_nan(scale: object) -> None:
    found = spectrum(counts=np.zeros_like(COUNTS), scale=scale)
    assert np.isnan(found.scale_factor)
    assert np.isnan(found.intensity).all()
