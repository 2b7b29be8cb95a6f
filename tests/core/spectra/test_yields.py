import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.yields import (
    EnergyUncertainty,
    ExtractionInputs,
    extract_spectrum,
)
from rixs_pipeline.core.stats.intervals import count_interval
from rixs_pipeline.types import Edge
from tests.core.spectra.builders import make_region

EDGES = np.arange(510.0, 530.1, 0.5)
INCIDENT = np.arange(528.0, 534.0, 0.5)
RNG = np.random.default_rng(5)
COUNTS = RNG.poisson(4.0, (len(INCIDENT), len(EDGES) - 1))
EXPOSURE = RNG.uniform(50.0, 100.0, len(INCIDENT))


def spectrum(
    counts: np.ndarray = COUNTS, exposure: np.ndarray = EXPOSURE, **region: object
):
    return extract_spectrum(
        MapData(counts, exposure, EDGES, INCIDENT), make_region(**region)
    )


@pytest.mark.parametrize("kind", ["pfy", "spfy"])
def test_pfy_is_a_ratio_of_sums(kind: str) -> None:
    found = spectrum(kind=kind, emission=[520, 522])
    total = COUNTS[:, 20:24].sum(axis=1)
    assert (found.axis, found.units, found.scale_factor) == (
        "incident_energy",
        "counts/s",
        1.0,
    )
    np.testing.assert_array_equal(found.energy, INCIDENT)
    np.testing.assert_array_equal(found.counts, total)
    np.testing.assert_array_equal(found.exposure, EXPOSURE)
    np.testing.assert_allclose(found.intensity, total / EXPOSURE)
    np.testing.assert_allclose(found.intensity_errors, np.sqrt(total + 1) / EXPOSURE)
    ends = np.array(count_interval(total, total, np.ones(len(total))))
    np.testing.assert_allclose(
        [found.intensity_lower, found.intensity_upper], ends / EXPOSURE
    )


def test_cut_bins_enter_counts_and_variance_by_their_share() -> None:
    found = spectrum(emission=[520.25, 521.4])
    w = np.array([0.5, 1.0, 0.8])
    np.testing.assert_allclose(found.counts, COUNTS[:, 20:23] @ w)
    np.testing.assert_allclose(
        found.intensity_errors, np.sqrt(COUNTS[:, 20:23] @ w**2 + 1) / EXPOSURE
    )


def test_tfy_counts_all() -> None:
    np.testing.assert_array_equal(spectrum(kind="tfy").counts, COUNTS.sum(axis=1))


def test_elastic_counts_around_the_diagonal() -> None:
    found = spectrum(kind="elastic")
    assert found.axis == "incident_energy"
    assert found.counts[0] == COUNTS[0, (EDGES[:-1] >= 525) & (EDGES[1:] <= 531)].sum()


def test_points_that_the_region_leaves_are_not_in_the_spectrum() -> None:
    np.testing.assert_array_equal(
        spectrum(incident=[529, 530.5]).energy, [529.0, 529.5, 530.0]
    )
    assert len(spectrum(emission=[700, 710]).intensity) == 0
    assert len(spectrum(kind="xes", incident=[700, 710]).intensity) == 0


def test_points_without_exposure_are_nan_and_affect_no_others() -> None:
    dark = EXPOSURE.copy()
    dark[[2, 3]] = 0.0, np.nan
    for kind in ("pfy", "ipfy"):
        found, whole = spectrum(kind=kind, exposure=dark), spectrum(kind=kind)
        for name in (
            "intensity",
            "intensity_errors",
            "intensity_lower",
            "intensity_upper",
        ):
            values = getattr(found, name)
            np.testing.assert_array_equal(
                np.isnan(values), np.isin(np.arange(len(INCIDENT)), [2, 3])
            )
            np.testing.assert_array_equal(
                np.delete(values, [2, 3]), np.delete(getattr(whole, name), [2, 3])
            )
    others = np.delete(np.arange(len(INCIDENT)), [2, 3])
    cut = spectrum(kind="xes", exposure=dark)
    np.testing.assert_array_equal(cut.counts, COUNTS[others].sum(axis=0))
    np.testing.assert_allclose(cut.exposure, EXPOSURE[others].sum())
    assert np.isnan(
        spectrum(kind="xes", exposure=np.zeros(len(INCIDENT))).intensity
    ).all()


@pytest.mark.parametrize("mean", [5.0, 10.0])
def test_ipfy_is_unbiased(mean: float) -> None:
    """X / (N + 1) has a bias of -exp(-N); X / N: +29 and +13 % at 5 and 10 counts."""
    found, truth = toys("ipfy", mean, 40_000)
    error_of_mean = found.intensity.std() / np.sqrt(40_000)
    assert found.intensity.mean() == pytest.approx(
        truth * (1 - np.exp(-mean)), abs=4 * error_of_mean
    )
    assert found.units == "s/counts"


def test_ipfy_without_counts_has_no_upper_end() -> None:
    found = spectrum(kind="ipfy", counts=np.zeros_like(COUNTS))
    np.testing.assert_array_equal(found.intensity, EXPOSURE)
    assert np.isinf(found.intensity_upper).all()
    np.testing.assert_allclose(found.intensity_lower, EXPOSURE / 3.549, rtol=1e-3)


def toys(kind: str, mean: float, n: int):
    """`n` points of `mean` counts with different exposures, and the true intensity."""
    rng = np.random.default_rng(int(10 * mean))
    if kind == "xes":
        data = MapData(
            rng.poisson(mean / 3, (3, n)),
            np.full(3, 100.0),
            np.arange(n + 1) / 2,
            np.arange(3) + n,
        )
        return extract_spectrum(data, make_region(kind="xes")), np.full(n, mean / 150)
    exposure = rng.uniform(80.0, 120.0, n)
    counts = rng.poisson(mean / 100 * exposure[:, None] / 10 * np.ones(10))
    data = MapData(
        counts, exposure, np.arange(510.0, 515.1, 0.5), 600 + 0.01 * np.arange(n)
    )
    if kind == "ipfy":
        return extract_spectrum(
            data, make_region(kind="ipfy", emission=(510, 515))
        ), 100 / mean
    return extract_spectrum(
        data, make_region(kind=kind, emission=(510.2, 515))
    ), mean / 100 * 4.8 / 5


@pytest.mark.parametrize("kind", ["pfy", "spfy", "ipfy", "xes"])
@pytest.mark.parametrize(
    "mean", [0.3, 1.0, 3.0, 3.4, 5.0, 10.0, 12.0, 30.0, 100.0, 1000.0]
)
def test_pulls_and_coverage_against_truth(kind: str, mean: float) -> None:
    """4000 points: coverage; from 10 counts, standard deviation of pulls 0.95 to 1.05.

    The limits are widened by two standard errors.
    """
    n = 4000
    found, truth = toys(kind, mean, n)
    covered = np.mean(
        (found.intensity_lower <= truth) & (truth <= found.intensity_upper)
    )
    assert covered > 0.94
    assert mean < 3 or covered <= 0.985
    if mean >= 10:
        pull = (found.intensity - truth) / found.intensity_errors
        assert 0.95 < pull.std() < 1.05 + 2 / np.sqrt(2 * n)
        error = np.std(found.intensity / truth) / np.sqrt(n)
        assert abs(np.mean(found.intensity / truth) - 1) < 0.005 + 2 * error


def test_xes_is_per_ev_of_emission() -> None:
    found = spectrum(kind="xes", incident=[530.5, 531.5])
    total, seconds = COUNTS[5:7].sum(axis=0), EXPOSURE[5:7].sum()
    assert (found.axis, found.units) == ("emission_energy", "counts/(s eV)")
    np.testing.assert_array_equal(found.energy, (EDGES[1:] + EDGES[:-1]) / 2)
    np.testing.assert_allclose(found.intensity, total / seconds / 0.5)
    np.testing.assert_allclose(
        found.intensity_errors, np.sqrt(total + 1) / seconds / 0.5
    )
    upper = count_interval(total, total, np.ones(len(total)))[1]
    np.testing.assert_allclose(found.intensity_upper, upper / seconds / 0.5)


@pytest.mark.parametrize(
    "limits",
    [
        {"emission": [512.2, 524.9]},
        {"loss": [4.1, 9.9]},
        {"polygon": [[527, 511], [535, 515], [530, 529]]},
    ],
)
def test_xes_of_a_flat_map_is_flat_however_it_is_cut(limits: dict) -> None:
    """Counts proportional to exposure: shares cancel between counts and exposure."""
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
    region = make_region(kind="pfy", emission=(515.25, 518.4), loss=(11, 15.3))
    w = region_weights(region, INCIDENT, EDGES)
    toys = np.random.default_rng(7).poisson(4.0, (4000, *COUNTS.shape))
    scatter = ((toys * w).sum(axis=2) / EXPOSURE).std(axis=0)
    expected = np.sqrt(4.0 * (w**2).sum(axis=1)) / EXPOSURE
    taken = w.any(axis=1)
    np.testing.assert_allclose(
        scatter[taken], expected[taken], rtol=5 / np.sqrt(2 * 4000)
    )
    one_count = w.max(axis=1)[taken] / EXPOSURE[taken]
    data = [MapData(t, EXPOSURE, EDGES, INCIDENT) for t in toys[:500]]
    errors = (
        np.mean(
            [extract_spectrum(d, region).intensity_errors ** 2 for d in data], axis=0
        )
        - one_count**2
    )
    np.testing.assert_allclose(np.sqrt(errors), expected[taken], rtol=0.1)


@pytest.mark.parametrize("kind", ["pfy", "ipfy", "xes"])
@pytest.mark.parametrize("scale", ["max", "area", [515, 532]])
def test_scale_divides_all_alike(kind: str, scale: object) -> None:
    plain, scaled = spectrum(kind=kind), spectrum(kind=kind, scale=scale)
    np.testing.assert_allclose(scaled.intensity * scaled.scale_factor, plain.intensity)
    np.testing.assert_array_equal(scaled.counts, plain.counts)
    x, y = scaled.energy, scaled.intensity
    if scale == "max":
        assert y.max() == pytest.approx(1.0, abs=3 * scaled.intensity_errors.max())
    elif scale == "area":
        assert np.trapezoid(y, x) == pytest.approx(1.0)
    else:
        assert y[(x >= 515) & (x < 532)].mean() == pytest.approx(1.0)


def test_scale_ignores_points_without_exposure_and_the_direction_of_the_scan() -> None:
    dark = EXPOSURE.copy()
    dark[3] = 0.0
    region = make_region(kind="pfy", scale="area")
    forth = extract_spectrum(MapData(COUNTS, dark, EDGES, INCIDENT), region)
    back = extract_spectrum(
        MapData(COUNTS[::-1], dark[::-1], EDGES, INCIDENT[::-1]), region
    )
    assert forth.scale_factor > 0
    assert forth.scale_factor == pytest.approx(back.scale_factor)


@pytest.mark.parametrize("scale", ["max", "area", [700, 710]])
def test_nothing_to_scale_by_is_nan(scale: object) -> None:
    found = spectrum(counts=np.zeros_like(COUNTS), scale=scale)
    assert np.isnan(found.scale_factor)
    assert np.isnan(found.intensity).all()


EDGE_E = np.arange(770.0, 805.0, 0.25)
STEP = 0.5 + np.arctan((EDGE_E - 780) / 0.5) / np.pi
LINES = {"pre_edge": [770, 776], "post_edge": [790, 805]}


def edge_data(
    rng: np.random.Generator, i0_noise: float = 0.0
) -> tuple[MapData, np.ndarray]:
    """An edge on a slope, 30 to 130 counts per point, and the true yield in counts/s.

    `i0_noise`: relative error of I0.
    """
    rate = 0.3 + 0.002 * (EDGE_E - 770) + STEP
    truly = 100 * (1 + i0_noise * rng.standard_normal(len(EDGE_E)))
    counts = rng.poisson((rate * truly)[:, None] / 4 * np.ones(4))
    errors = np.full(len(EDGE_E), 100 * i0_noise) if i0_noise else None
    return MapData(
        counts,
        np.full(len(EDGE_E), 100.0),
        np.arange(510.0, 512.1, 0.5),
        EDGE_E,
        errors,
    ), rate


@pytest.mark.parametrize("scale", ["edge", "area", [790, 805]])
@pytest.mark.parametrize("i0_noise", [0.0, 0.1])
def test_scaled_spectra_have_pulls_of_one(scale: object, i0_noise: float) -> None:
    """Errors of scaled spectra include those of the scale factor and of I0."""
    rng, pulls, covered = np.random.default_rng(3), [], []
    region = make_region(**{"kind": "pfy", "scale": scale, **LINES})
    _, rate = edge_data(rng)
    true_data = MapData(
        np.round(rate[:, None] * np.full(4, 2.5e9)).astype(int),
        np.full(len(rate), 1e10),
        *([np.arange(510.0, 512.1, 0.5), EDGE_E]),
    )
    truth = extract_spectrum(true_data, region, ExtractionInputs(Edge.Co_L)).intensity
    for _ in range(60):
        found = extract_spectrum(
            edge_data(rng, i0_noise)[0], region, ExtractionInputs(Edge.Co_L)
        )
        pulls.append((found.intensity - truth) / found.intensity_errors)
        covered.append(
            (found.intensity_lower <= truth) & (truth <= found.intensity_upper)
        )
    assert 0.95 < np.std(pulls) < 1.05  # 8400 points
    assert 0.94 < np.mean(covered) < 0.985


def test_edge_scale_subtracts_the_line_before_and_divides_by_the_jump() -> None:
    before, after = 0.2 + 0.001 * (EDGE_E - 783), 1.5 + 0.002 * (EDGE_E - 783)
    rate = np.where(EDGE_E < 783, before, after)
    counts = np.round(rate * 1e9).astype(int)[:, None]
    data = MapData(counts, np.full(len(rate), 1e9), np.array([510.0, 512.0]), EDGE_E)
    found = extract_spectrum(
        data, make_region(**{"kind": "pfy", "scale": "edge", **LINES})
    )
    assert found.scale_factor == pytest.approx(1.3)  # halfway between the windows
    np.testing.assert_allclose(found.intensity, (rate - before) / 1.3, atol=1e-7)
    assert found.facts["scale_windows"]["pre_edge"] == (770, 776)
    with pytest.raises(ValueError, match="edge unknown; set `pre_edge`"):
        extract_spectrum(data, make_region(kind="pfy", scale="edge"))
    with pytest.raises(ValueError, match="fewer than 2 points in `post_edge`"):
        extract_spectrum(
            data,
            make_region(
                **{"kind": "pfy", "scale": "edge", **LINES, "post_edge": [900, 950]}
            ),
        )


def test_points_far_after_the_edge_tell_no_slope() -> None:
    """Noise in the last 6 eV, drawn on over 18 eV, would make half of the edge jump."""
    rate = np.where(EDGE_E < 780, 1.0, 3.0)
    region = make_region(
        **{
            "kind": "pfy",
            "scale": "edge",
            "pre_edge": [770, 776],
            "post_edge": [799, 805],
        }
    )
    rng, factors, told = np.random.default_rng(4), [], []
    for _ in range(200):
        counts = rng.poisson(rate * 30)[:, None]
        data = MapData(
            counts, np.full(len(rate), 30.0), np.array([510.0, 512.0]), EDGE_E
        )
        found = extract_spectrum(data, region, ExtractionInputs(Edge.Co_L))
        factors.append(found.scale_factor)
        told.append(found.scale_factor_errors)
    before = np.hypot(1, 7.5 / np.sqrt(3)) * np.sqrt(
        1 / 30 / 24
    )  # the line before the edge, drawn on by 7.5 eV
    assert np.std(factors) == pytest.approx(
        np.hypot(before, np.sqrt(3 / 30 / 24)), rel=0.15
    )
    assert np.mean(told) == pytest.approx(np.std(factors), rel=0.15)
    assert np.mean(factors) == pytest.approx(
        2.0, abs=4 * np.std(factors) / np.sqrt(200)
    )


def test_i0_noise_is_independent_along_incident_and_common_along_emission_energy() -> (
    None
):
    noisy = MapData(COUNTS * 100, EXPOSURE, EDGES, INCIDENT, EXPOSURE * 0.02)
    pfy, xes = (
        extract_spectrum(noisy, make_region(kind=kind)) for kind in ("pfy", "xes")
    )
    np.testing.assert_allclose(pfy.i0_errors, 0.02 * pfy.intensity)
    share = (
        np.sqrt((EXPOSURE**2).sum()) / EXPOSURE.sum()
    )  # twelve points, each with its own I0
    np.testing.assert_allclose(xes.i0_errors, 0.02 * share * xes.intensity)
    clean = extract_spectrum(
        MapData(COUNTS * 100, EXPOSURE, EDGES, INCIDENT), make_region(kind="pfy")
    )
    np.testing.assert_allclose(
        pfy.intensity_errors, np.hypot(clean.intensity_errors, pfy.i0_errors)
    )
    assert clean.i0_errors is None
    assert (
        extract_spectrum(noisy, make_region(kind="xes", scale="area")).i0_errors == 0
    ).all()  # one factor: scaled away


def test_energy_scale_is_a_shared_signed_term() -> None:
    """A downward shift of the energy scale adds counts if the density increases."""
    density = np.tile(np.arange(1, len(EDGES)) * 100, (len(INCIDENT), 1))
    data = MapData(density, np.full(len(INCIDENT), 10.0), EDGES, INCIDENT)
    setting = ExtractionInputs(
        energy_uncertainty=EnergyUncertainty(
            np.array([500.0, 600.0]), np.array([0.2, 0.2])
        )
    )
    pfy = extract_spectrum(data, make_region(kind="pfy", emission=(515, 520)), setting)
    np.testing.assert_allclose(
        pfy.energy_errors, -0.2 * 10 * 10 / 0.5 * 10 / 10
    )  # 10 bins, 10 counts/s per bin step
    xes = extract_spectrum(data, make_region(kind="xes"), setting)
    np.testing.assert_allclose(xes.energy_errors[4:-4], -0.2 * 20 / 0.5)
    assert extract_spectrum(data, make_region(kind="pfy")).energy_errors is None


def test_efficiency_divides_counts_not_exposure() -> None:
    efficiency = np.linspace(0.5, 1.0, COUNTS.shape[1])
    data = MapData(COUNTS, EXPOSURE, EDGES, INCIDENT, efficiency=efficiency)
    plain = MapData(COUNTS, EXPOSURE, EDGES, INCIDENT)
    np.testing.assert_allclose(
        extract_spectrum(data, make_region(kind="tfy")).intensity,
        (COUNTS / efficiency).sum(1) / EXPOSURE,
    )
    ratio = (
        extract_spectrum(data, make_region(kind="xes")).intensity
        / extract_spectrum(plain, make_region(kind="xes")).intensity
    )
    np.testing.assert_allclose(ratio, 1 / efficiency)


def test_loss_axis_keeps_the_counts_and_puts_elastic_light_at_zero() -> None:
    incident = np.array([521.1, 522.4, 523.3])
    counts = np.zeros((3, len(EDGES) - 1), int)
    for row, energy in zip(counts, incident, strict=True):
        row[np.searchsorted(EDGES, energy, side="right") - 1] = 1000
    data = MapData(counts, np.full(3, 10.0), EDGES, incident)
    found = extract_spectrum(data, make_region(kind="xes", axis="loss"))
    assert found.axis == "energy_loss"
    assert np.nansum(found.counts) == pytest.approx(3000)
    assert np.nansum(found.counts * found.energy) / 3000 == pytest.approx(0, abs=0.25)
    inner = np.isfinite(found.intensity)
    assert inner.sum() > 30
    flat = MapData(np.full((3, len(EDGES) - 1), 100), np.full(3, 10.0), EDGES, incident)
    level = extract_spectrum(flat, make_region(kind="xes", axis="loss")).intensity
    np.testing.assert_allclose(level[np.isfinite(level)], 100 / 10 / 0.5)
