import pytest

from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses
from tests.stages.builders import points, scan, write_off


def test_only_pulses_within_the_run_are_read(tmp_path):
    at = points(1)
    start, end = at.start_ns[0], at.end_ns[0]
    times = [start - 1, start, end - 1, end]
    file = write_off(tmp_path / "x_chan7.off", times, [500, 501, 502, 503])
    pulses = read_reference_pulses(scan([file], at), file)
    assert (pulses.pixel, pulses.pulse_height.tolist()) == (7, [5010.0, 5020.0])
    assert pulses.time == pytest.approx([0.0, (end - 1 - start) / 1e9])
