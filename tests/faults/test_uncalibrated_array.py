"""A reference run by which no pixel can be calibrated loses its scans, no more."""

from tests.faults import pixels as faults


def test_scans_of_an_array_without_calibrated_pixels_are_lost(cli, small):
    for pixel in (1, 3, 5):
        faults.negate_pulses(small.beamtime, pixel)
    result = cli("bin", small.beamtime, "-o", small.out)
    assert result.code == 3
    assert "negative pulse heights" in result.out + result.err
