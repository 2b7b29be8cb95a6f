import numpy as np
import pytest

from rixs_pipeline.core.maps.live_time import effective_live_time
from rixs_pipeline.stages.scan.rejected_pulses import rejection_warnings
from tests.stages import builders
from tests.stages.scan.counts import scan_counts

POINTS, PIXELS = 60, 8
AFTER_TRIGGER = 3.7e-3


def warnings_about(noise: np.ndarray, seed: int = 0, mean: float = 30.0) -> list[str]:
    """Of photons at rates that differ, and rejected pulses (point,) on average."""
    rng = np.random.default_rng(seed)
    photons = rng.poisson(mean * np.geomspace(0.5, 2, POINTS), (PIXELS, POINTS))
    spoiled = rng.binomial(photons, np.minimum(photons * 2e-3, 1))
    rejected = rng.poisson(noise, (PIXELS, POINTS))
    counts = scan_counts(
        photons + rejected, accepted=photons - spoiled, after_trigger=AFTER_TRIGGER
    )
    live = effective_live_time(counts, np.ones(PIXELS, bool))
    return rejection_warnings(builders.scan(at=builders.points(POINTS)), live)


@pytest.mark.parametrize("mean", [0.2, 3.0, 30.0])
@pytest.mark.parametrize("seed", range(5))
def test_photons_and_pile_up_give_no_warning(seed, mean):
    assert warnings_about(np.full(POINTS, 0.01 * mean), seed, mean) == []


def test_rejected_pulses_at_any_rate():
    [warning] = warnings_about(np.full(POINTS, 4.0))
    assert "reject 1" in warning and "% of the pulses at any rate" in warning


def test_a_burst_of_rejected_pulses_at_some_points():
    noise = np.zeros(POINTS)
    noise[[7, 8]] = 10.0
    [warning] = warnings_about(noise)
    assert "rejected in addition at 2 of 60 points" in warning


def test_more_rejected_pulses_at_high_rates_than_by_pile_up():
    noise = 3 * np.geomspace(0.5, 2, POINTS) ** 3
    assert any("longer than a record" in line for line in warnings_about(noise))
