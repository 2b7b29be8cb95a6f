import numpy as np
import pytest

from rixs_pipeline.core.timing.wide_search import search_offsets
from tests.core.timing.examples import POINTS, SPACING, logged_scan, pulses


@pytest.mark.parametrize("offset", [0.0, 30.0, -200.0])
def test_evidence_is_largest_where_the_scan_took_place(offset):
    evidence = search_offsets(
        pulses(offset, margin=400.0), logged_scan(), -300.0, 300.0
    )
    best = np.argmax(evidence.gain)
    assert evidence.offset[best] == pytest.approx(offset, abs=SPACING)
    far = np.abs(evidence.offset - offset) > 5 * SPACING
    assert evidence.gain[best] > 10 + 2 * evidence.gain[far].max()


def test_there_is_no_evidence_where_many_points_have_no_pulses():
    evidence = search_offsets(pulses(0.0, margin=200.0), logged_scan(), -100.0, 100.0)
    half_outside = np.abs(evidence.offset) > POINTS * SPACING / 2
    assert half_outside.any()
    assert evidence.gain[half_outside].max() == 0
    assert evidence.at(np.array([500.0]))[0] == 0
    assert evidence.pulses.max() == evidence.pulses[np.argmax(evidence.gain)]
