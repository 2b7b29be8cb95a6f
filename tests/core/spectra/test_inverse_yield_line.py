"""The line of an inverse yield: chosen, and tested for resonance."""

import numpy as np
import pytest
from scipy.stats import kstest

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineTest,
    LineWindow,
    check_line,
    choose_line,
)
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.types import Edge
from tests.core.spectra.builders import make_region
from tests.core.spectra.thick_sample import EDGES, INCIDENT, X, thick_sample


def check_window(data: MapData, window: tuple[float, float]) -> LineTest:
    return check_line(
        data, region_weights(make_region(kind="ipfy", emission=window), INCIDENT, EDGES)
    )


def test_a_line_that_only_dims_passes_with_uniform_p() -> None:
    rng = np.random.default_rng(1)
    found = [check_window(thick_sample(rng, 2.0), (510, 540)) for _ in range(60)]
    assert sum(f.passed for f in found) >= 59
    assert kstest([f.p for f in found], "uniform").pvalue > 1e-3


def test_lines_that_resonate_do_not_pass() -> None:
    rng = np.random.default_rng(2)
    mixed = check_window(thick_sample(rng, vanadium=0.3), (510, 540))
    assert not mixed.passed and mixed.p < 1e-6
    assert check_window(
        MapData(np.zeros((140, 640), int), np.full(140, X), EDGES, INCIDENT), (510, 540)
    ).passed


def test_the_brightest_line_that_passes_is_chosen() -> None:
    line = choose_line(thick_sample(np.random.default_rng(3)), Edge.Co_L)
    assert line == LineWindow("O_Ka", (510, 540))
    with pytest.raises(ValueError, match="set `emission`"):
        choose_line(thick_sample(np.random.default_rng(3), vanadium=1.0), Edge.Co_L)


def test_an_unknown_p_is_none_in_plain_values() -> None:
    test = LineTest(chi2=0.0, dof=0, p=float("nan"), correlation=0.0, rises=False)
    assert test.plain_values()["p"] is None
    assert test.plain_values()["passed"] is True
