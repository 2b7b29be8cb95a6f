"""Decisions on the clocks of the scans of an interval, from likelihoods given here."""

from dataclasses import dataclass

import numpy as np
import pytest

from rixs_pipeline.core.timing.shift_fits import ShiftCurve
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.clock.interval_clock import decide
from rixs_pipeline.stages.clock.scan_clock import OffsetRange
from tests.stages.contexts import numbered_scan

SPACING = 2.0
OFFSET = np.arange(-160, 161) * SPACING / 32
ALLOWED = OffsetRange(-6.0, 6.0)


@dataclass(eq=False)
class MeasuredClock:
    """A scan with a label that measures an offset with a Gaussian error."""

    scan: Run
    offset: float
    error: float
    spacing: float = SPACING
    allowed: OffsetRange = ALLOWED
    has_label: bool = True
    contradicts_label: bool = False
    is_empty: bool = False
    evidence: None = None
    logged: None = None

    has_beam: bool = False

    def has_beam_of_log(self, offset):
        return self.has_beam

    def curve(self, centre):
        row = -(((OFFSET - self.offset) / self.error) ** 2) / 2
        return ShiftCurve(OFFSET, np.stack([row, row, row]) - row.max(), SPACING)


def decide_on(*offsets, error=0.25):
    """Return the decisions on scans that measure offsets with an error."""
    clocks = [
        MeasuredClock(numbered_scan(n, 1000.0 + 100 * n), offset, error)
        for n, offset in enumerate(offsets, 1)
    ]
    return decide(clocks)


def test_a_clock_that_all_scans_share():
    for decision in decide_on(1.1, 1.0, 0.9):
        assert decision.offset is not None
        assert decision.offset.value == pytest.approx(1.0, abs=0.15)


def test_readings_that_are_off_where_the_beam_confirms_the_times():
    clocks = [
        MeasuredClock(numbered_scan(n, 1000.0 + 100 * n), 2.0, 0.25, has_beam=True)
        for n in (1, 2, 3)
    ]
    first, *others = decide(clocks)
    assert first.offset is None
    assert "readings are +2.00 +- 0.15 s (+1.0 points) off" in first.warning
    assert others == [type(first)()] * 2


def test_no_offset():
    assert [(d.offset, d.refusal, d.warning) for d in decide_on(0.1, -0.2, 0.0)] == [
        (None, "", "")
    ] * 3


def test_one_scan_off_needs_more_evidence_where_others_agree():
    """At 5.4 standard deviations a warning, at 8 a correction of this scan alone."""
    others = [0.05, -0.05] * 3
    decisions = decide_on(*others, -1.35, *others)
    assert all(decision.offset is None for decision in decisions)
    assert decisions[6].warning.startswith(
        "scan0007: clock of the log may be off by -1.35 +- 0.25 s, not corrected"
    )
    decisions = decide_on(*others, -2.0, *others)
    offsets = [decision.offset for decision in decisions]
    assert offsets[6].value == pytest.approx(-2.0, abs=0.05)
    assert offsets[:6] + offsets[7:] == [None] * 12


def test_a_scan_without_others_needs_less():
    (decision,) = decide_on(-1.25)
    assert decision.offset is not None
