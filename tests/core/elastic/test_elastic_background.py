"""The elastic line subtracted from maps whose fluorescence is known."""

import numpy as np
import pytest

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind, smooth_model
from rixs_pipeline.core.elastic.line_templates import (
    LineResponse,
    detected_line,
    uniform_spline,
)
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.regions import (
    ElasticBackground,
    Limits,
    Region,
    RegionKind,
)
from rixs_pipeline.core.spectra.yields import extract_spectrum
from rixs_pipeline.simulate.emission import LightPart
from rixs_pipeline.types import Edge
from tests.truth.elastic import Condition, Shape, extract


def net_region(**options: object) -> Region:
    background = (ElasticBackground(**options),)  # type: ignore[arg-type]
    return Region(kind=RegionKind.PFY, emission=Limits(762, 800), background=background)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_fluorescence_alone_is_left(offset: float) -> None:
    condition = Condition(Edge.Co_L, Shape.STEADY, 1.4, 300, offset=offset)
    outcome = extract(condition, net_region(), 2, 1, LightPart.FLUORESCENCE)
    assert 0.75 < np.sqrt((outcome.pulls**2).mean()) < 1.25
    bias = (outcome.intensity.mean(axis=0) - outcome.truth).sum()
    assert abs(bias) < 0.03 * outcome.truth.sum()


def test_the_error_covers_an_amplitude_that_doubles_at_the_white_line() -> None:
    condition = Condition(Edge.Co_L, Shape.BUMP, 1.4, 300, strength=4.0)
    outcome = extract(condition, net_region(), 2, 2, LightPart.FLUORESCENCE)
    bright = outcome.truth > 0.6 * outcome.truth.max()
    assert np.abs(outcome.pulls[:, bright].mean()) < 1
    assert np.sqrt((outcome.pulls**2).mean()) < 1.3


def test_a_map_without_elastic_light_keeps_its_yield() -> None:
    condition = Condition(Edge.Co_L, Shape.STEADY, 1.4, 300, strength=0.0)
    outcome = extract(condition, net_region(), 1, 3, LightPart.FLUORESCENCE)
    assert np.abs(outcome.pulls.mean()) < 0.7


def test_single_photons_do_not_move_the_line_where_counts_are_few() -> None:
    condition = Condition(Edge.Mn_L, Shape.STEADY, 1.4, 30)
    outcome = extract(condition, net_region(), 4, 31, LightPart.FLUORESCENCE)
    assert np.sqrt((outcome.offsets**2).mean()) < 0.4


def test_the_amplitude_is_stated_with_its_assumption() -> None:
    rng = np.random.default_rng(4)
    incident = np.arange(740.0, 760.0, 1.0)
    edges = np.arange(700.0, 800.5, 0.5)
    line = detected_line(LineResponse(1.5, 0.15, 20.0))
    rate = 100 * line.bins(edges - incident[:, None] - 0.3)
    data = MapData(rng.poisson(10 * rate), np.full(20, 10.0), edges, incident)
    region = Region(
        kind=RegionKind.PFY,
        emission=Limits(720, 770),
        background=(ElasticBackground(amplitude=AmplitudeKind.FREE),),
    )
    spectrum = extract_spectrum(data, region)
    facts = spectrum.facts["elastic_line"]
    assert facts["offset"] == pytest.approx(0.3, abs=0.1)
    assert facts["counts"] == pytest.approx(20 * 1000, rel=0.1)
    assert facts["assumption"] == "amplitude free at every point"
    assert spectrum.background_modes is not None
    covariance = spectrum.background_modes @ spectrum.background_modes.T
    assert spectrum.background_errors is not None
    assert np.sqrt(np.diag(covariance)) == pytest.approx(
        spectrum.background_errors, rel=1e-3
    )


def test_a_map_that_ends_below_the_elastic_line() -> None:
    edges = np.arange(500.0, 540.0, 0.5)
    counts = np.ones((5, len(edges) - 1), np.int64)
    data = MapData(counts, np.ones(5), edges, np.linspace(770, 800, 5))
    region = Region(
        kind=RegionKind.PFY,
        emission=Limits(510, 530),
        background=(ElasticBackground(),),
    )
    with pytest.raises(ValueError, match="does not include the elastic line"):
        extract_spectrum(data, region)


def test_shapes_have_area_1() -> None:
    response = LineResponse(1.4, 0.16, 20.0)
    assert detected_line(response).density.sum() == pytest.approx(1, abs=5e-3)
    assert uniform_spline(1.0).density.sum() == pytest.approx(1)


def test_smooth_amplitudes_include_a_constant() -> None:
    incident = np.linspace(770, 800, 40)
    model = smooth_model(incident, np.exp(-((incident - 780) ** 2)))
    assert model.basis[:, 0] == pytest.approx(np.ones(40))
    assert np.isinf(model.prior_width[0]) and np.isfinite(model.prior_width[1:]).all()
