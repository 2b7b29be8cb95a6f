from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.spectra.yields import ExtractionInputs, extract_spectrum
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 520.1, 0.5)
INCIDENT = np.arange(770.0, 800.0, 0.25)
SIGNAL = 0.3 * (0.5 + np.arctan((INCIDENT - 782) / 0.4) / np.pi) * (INCIDENT > 778)


def pulls(
    region: dict,
    means: np.ndarray,
    truth: np.ndarray,
    setting: ExtractionInputs | None = None,
    toys: int = 40,
):
    """Pulls and coverage of many maps with these means; exposure 100 s per point."""
    rng, found_pulls, covered = np.random.default_rng(8), [], []
    for _ in range(toys):
        data = MapData(
            rng.poisson(means), np.full(len(INCIDENT), 100.0), EDGES, INCIDENT
        )
        found = extract_spectrum(data, make_region(**region), setting)
        found_pulls.append((found.intensity - truth) / found.intensity_errors)
        covered.append(
            (found.intensity_lower <= truth) & (truth <= found.intensity_upper)
        )
    return np.array(found_pulls), np.array(covered)


@pytest.mark.parametrize("kind", ["constant", "linear"])
def test_background_before_the_edge(kind: str) -> None:
    """Outside the fit window (3520 points), errors include the extrapolated error."""
    slope = 0.004 if kind == "linear" else 0.0
    below = 0.2 + slope * (INCIDENT - 770)
    means = (100 * (below + SIGNAL))[:, None] / 40 * np.ones(40)
    found, covered = pulls(
        {"background": {"kind": kind, "incident": [770, 778]}}, means, SIGNAL
    )
    beyond = found[:, INCIDENT >= 778]
    # points of one toy share the fitted line, so its spread is taken over all toys
    assert 0.93 < np.sqrt(np.mean(beyond**2)) < 1.1
    assert abs(beyond.mean()) < 0.2
    assert covered.mean() > 0.94


def test_no_counts_before_the_edge_is_no_background_with_an_error() -> None:
    counts = np.zeros((len(INCIDENT), 40), int)
    counts[60:] = 1
    data = MapData(counts, np.full(len(INCIDENT), 100.0), EDGES, INCIDENT)
    for kind in ("constant", "linear"):
        region = make_region(
            **{"kind": "pfy", "background": {"kind": kind, "incident": [770, 778]}}
        )
        found = extract_spectrum(data, region)
        np.testing.assert_allclose(found.background, 0)
        assert (found.background_errors > 0).all() and np.isfinite(
            found.intensity_upper
        ).all()


def test_sidebands_subtract_a_slope() -> None:
    """Two sidebands: subtract a straight line in emission and keep the emission line.

    There are 4800 points and 2.5 background counts per bin.
    """
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    slope = 1 + 0.15 * (centres - 500)
    line = 3.0 * ((centres > 508) & (centres < 511))
    means = np.tile(slope + line, (len(INCIDENT), 1))
    region = {
        "emission": [508, 511],
        "background": {"kind": "sideband", "emission": [[501, 505], [513, 519]]},
    }
    found, covered = pulls(region, means, np.full(len(INCIDENT), 6 * 3 / 100))
    assert 0.95 < found.std() < 1.05
    assert abs(found.mean()) < 0.2
    assert 0.94 < covered.mean() < 0.985


def test_blank_on_other_points_and_exposures() -> None:
    other = np.arange(769.0, 802.0, 0.6)
    rng = np.random.default_rng(4)
    means = 100 * (0.2 + SIGNAL)[:, None] / 40 * np.ones(40)
    blank = MapData(
        rng.poisson(0.2 * 5000 / 40, (len(other), 40)),
        np.full(len(other), 5000.0),
        EDGES,
        other,
    )
    region = {"background": {"kind": "blank", "sample": "bare"}}
    found, covered = pulls(
        region, means, SIGNAL, ExtractionInputs(blanks={"bare": blank})
    )
    assert 0.95 < found.std() < 1.05
    assert 0.94 < covered.mean() < 0.985
    short = MapData(blank.counts[5:-5], blank.exposure[5:-5], EDGES, other[5:-5])
    data = MapData(
        np.ones((len(INCIDENT), 40), int), np.full(len(INCIDENT), 1.0), EDGES, INCIDENT
    )
    ends = extract_spectrum(
        data, make_region(**region), ExtractionInputs(blanks={"bare": short})
    )
    np.testing.assert_array_equal(
        np.isnan(ends.intensity), ~((INCIDENT > 771.99) & (other[-6] >= INCIDENT))
    )


def test_leak_of_a_line_above_and_of_the_elastic_line() -> None:
    """Tails of lines outside the region are predicted and subtracted; noise is kept."""
    f, tau, centres = 0.16, 20.0, (EDGES[1:] + EDGES[:-1]) / 2
    emitted = 5.0 * (np.abs(centres - 504) < 1) + 60.0 * (np.abs(centres - 512) < 1)
    emitted = np.tile(emitted, (len(INCIDENT), 1)) * (1 + SIGNAL[:, None])
    below = centres[None, :] - centres[:, None]  # source in columns
    step = 0.5
    tail = np.where(
        below >= 0,
        np.exp(-np.abs(below) / tau)
        * (np.exp(step / 2 / tau) - np.exp(-step / 2 / tau)),
        0,
    )
    means = (1 - f) * emitted + f * emitted @ tail.T
    own = (np.abs(centres - 504) < 2) * 1.0
    truth = ((1 - f) * emitted + f * (emitted * own) @ tail.T) @ own / 100
    leak = {
        "kind": "leak",
        "tail_fraction": f,
        "tail_fraction_errors": 0.0,
        "tail_length": tau,
    }
    region = {"emission": [502, 506], "background": leak}
    found, covered = pulls(region, means, truth)
    assert 0.95 < found.std() < 1.05
    assert abs(found.mean()) < 0.25
    assert 0.94 < covered.mean() < 0.985
    naive, _ = pulls({"emission": [502, 506]}, means, truth)
    assert naive.mean() > 0.8, "without it the tail must show"


def test_leak_uses_the_tail_of_the_map_by_default() -> None:
    counts = np.zeros((len(INCIDENT), 40), int)
    counts[:, 30] = 400
    data = MapData(
        counts,
        np.full(len(INCIDENT), 1.0),
        EDGES,
        INCIDENT,
        tail=ResponseTail(0.15, 0.03, 12.0),
    )
    told = {"tail_fraction": 0.15, "tail_fraction_errors": 0.03, "tail_length": 12.0}

    def leak(data, **how):
        region = {
            "kind": "pfy",
            "emission": [502, 506],
            "background": {"kind": "leak"} | how,
        }
        return extract_spectrum(data, make_region(**region))

    known, given = leak(data), leak(replace(data, tail=None), **told)
    np.testing.assert_array_equal(known.intensity, given.intensity)
    np.testing.assert_array_equal(known.intensity_errors, given.intensity_errors)
    assert known.facts["tail"] == {
        "fraction": 0.15,
        "fraction_error": 0.03,
        "length": 12.0,
        "length_error": 0.0,
        "correlation": 0.0,
    }
    assert leak(data, tail_fraction=0.3).facts["tail"] == {
        "fraction": 0.3,
        "fraction_error": 0.0,
        "length": 12.0,
        "length_error": 0.0,
        "correlation": 0.0,
    }


@pytest.mark.parametrize(
    ("background", "words"),
    [
        ({"kind": "linear"}, "edge unknown; set `incident"),
        ({"kind": "linear", "incident": [1, 2]}, "fewer than 2 points"),
        ({"kind": "sideband", "emission": [[508, 512]]}, "overlaps the region"),
        ({"kind": "sideband", "emission": [[700, 712]]}, "outside the map"),
        ({"kind": "blank", "sample": "x"}, "no map of sample 'x'"),
        ({"kind": "leak", "tail_length": 20}, "low-energy tail of the lines unknown"),
    ],
)
def test_impossible_backgrounds_are_one_line(background: dict, words: str) -> None:
    data = MapData(
        np.ones((len(INCIDENT), 40), int), np.full(len(INCIDENT), 1.0), EDGES, INCIDENT
    )
    region = make_region(
        **{"kind": "pfy", "emission": [509, 511], "background": background}
    )
    with pytest.raises(ValueError, match=words):
        extract_spectrum(data, region)


def test_inverse_yield_without_its_background() -> None:
    """10 line counts on 5 of background: median within 10 %, coverage; no bias test."""
    n = 20_000
    rng = np.random.default_rng(9)
    counts = np.concatenate(
        [rng.poisson(15.0, (n, 1)), rng.poisson(5.0, (n, 1))], axis=1
    )
    data = MapData(
        counts,
        np.full(n, 100.0),
        np.array([520.0, 525.0, 530.0]),
        700 + 0.01 * np.arange(n),
    )
    region = {
        "kind": "ipfy",
        "emission": [520, 525],
        "background": {"kind": "sideband", "emission": [[525, 530]]},
    }
    found = extract_spectrum(data, make_region(**region))
    assert np.median(found.intensity) == pytest.approx(10, rel=0.1)
    covered = np.mean((found.intensity_lower <= 10) & (found.intensity_upper >= 10))
    assert 0.94 < covered < 0.985
    emission = make_region(**region | {"kind": "xes"})
    shared = extract_spectrum(data, emission)
    assert shared.intensity[0] == pytest.approx(10 / 100 / 5, rel=0.02)
