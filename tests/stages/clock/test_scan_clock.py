from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.clock.scan_clock import ScanClock, label_range, place_by_label

SECOND = 10**9


def scan(label, points=20, first=100):
    start = (first + 2 * np.arange(points)) * SECOND
    energy = np.linspace(770.0, 800.0, points)
    return Run(
        kind="scan",
        number=1,
        name="scan0001",
        directory="",
        sample="LMR",
        edge=None,
        points=Points(energy, start, start + 2 * SECOND),
        pulse_files=(Path("a_chan1.off"),),
        label_ns=None if label is None else tuple(t * SECOND for t in label),
    )


def test_a_label_bounds_the_offset():
    limits = label_range(scan((97, 141)))
    assert (limits.low, limits.high) == (-1, 3)
    assert label_range(scan(None)) is None


def test_a_scan_of_one_point_is_placed_by_the_length_of_the_point():
    single = scan((90, 130), points=1)
    clock = ScanClock(single, None, [], ())
    assert clock.spacing == single.duration > 0
    assert clock.allowed.contains(0.0) and not clock.contradicts_label
    assert clock.pulses.counts.sum() == 0  # without pulse files


def test_a_label_as_long_as_the_scan_places_it():
    offset = place_by_label(scan((160, 200)), tolerance=1.0)
    assert offset.value == -60
    assert offset.error == pytest.approx(0.1)
    assert place_by_label(scan((157, 200)), tolerance=1.0) is None
    assert place_by_label(scan(None), tolerance=1.0) is None


@pytest.mark.parametrize(
    ("label", "contradicts"),
    [((97, 141), False), ((101, 141), False), ((102, 145), True), (None, False)],
)
def test_a_scan_contradicts_a_label_that_it_leaves_by_more_than_a_second(
    label, contradicts
):
    clock = ScanClock(scan(label), None, [], ())
    assert clock.contradicts_label is contradicts
    assert clock.curve(0.0) is None  # without readings
    assert clock.evidence is None


@pytest.mark.parametrize("label", [(97, 105), None])
def test_a_scan_of_a_single_point_has_a_clock(label):
    """Its duration takes the place of the spacing of points; the file is missing."""
    clock = ScanClock(scan(label, points=1), None, [], ())
    assert clock.pulses.width > 0
    assert not clock.is_empty  # no pulses elsewhere either
