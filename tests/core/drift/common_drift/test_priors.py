import numpy as np
import pytest

from rixs_pipeline.core.drift.common_drift.equations import Unknowns
from rixs_pipeline.core.drift.common_drift.measurements import Interval, ReferenceDrift
from rixs_pipeline.core.drift.common_drift.priors import (
    TIME_SCALES,
    Assumption,
    drift_prior,
    hidden_process,
)

OWN = 0.07  # eV


def scale_variances(references: int, size: float, time_scale: float) -> np.ndarray:
    """Return prior variances of the scale of eight scans over two hours, eV^2."""
    middle = np.linspace(900.0, 6300.0, 8)
    runs = tuple(
        ReferenceDrift(time, np.zeros(2), np.zeros(2), np.eye(2) * 1e-10)
        for time in (0.0, 7200.0)[:references]
    )
    share = middle / 7200 if references > 1 else np.zeros(8)
    interval = Interval(middle, share, runs, None, OWN)
    pieces = tuple(np.array([time - 200, time + 200]) for time in middle)
    unknowns = Unknowns(pieces, (0,) * references, 0)
    process = hidden_process(interval, unknowns, time_scale)
    prior = drift_prior(interval, process, Assumption(size, time_scale, 0.0))
    return (prior.root[2:10] ** 2).sum(axis=1)


@pytest.mark.parametrize("time_scale", TIME_SCALES)
@pytest.mark.parametrize("references", [1, 2])
def test_own_drifts_move_the_scans_by_what_the_pixels_show(
    references: int, time_scale: float
) -> None:
    variances = scale_variances(references, 0.0, time_scale)
    assert np.sqrt(variances.mean()) == pytest.approx(OWN, rel=1e-3)


@pytest.mark.parametrize("references", [1, 2])
def test_hidden_drift_of_a_size_moves_the_scans_less_if_it_is_slow(
    references: int,
) -> None:
    moved = [
        scale_variances(references, 0.3, time_scale).mean() - OWN**2
        for time_scale in TIME_SCALES
    ]
    assert moved[0] > 2 * moved[1] > 4 * moved[2] > 0
