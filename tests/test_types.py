"""Types that all layers share."""

import pytest

from rixs_pipeline.types import PixelState, PixelStatus, are_ok

STORED = {
    "ok": PixelStatus(PixelState.OK),
    "ok: cal0000 to cal0005": PixelStatus(PixelState.OK, "cal0000 to cal0005"),
    "dead: no pulses": PixelStatus(PixelState.DEAD, "no pulses"),
    "excluded by the config": PixelStatus(PixelState.EXCLUDED),
    "no pulses in this scan": PixelStatus(PixelState.SILENT),
    "no calibration": PixelStatus(PixelState.UNCALIBRATED, "no calibration"),
    "cal0000: noisy: 9 eV": PixelStatus(
        PixelState.UNCALIBRATED, "cal0000: noisy: 9 eV"
    ),
}


@pytest.mark.parametrize("text", STORED)
def test_a_pixel_status_survives_being_stored_as_text(text):
    assert PixelStatus.parse(text) == STORED[text]
    assert str(STORED[text]) == text


def test_pixels_are_ok_whatever_the_detail():
    assert are_ok(STORED).tolist() == [True, True, False, False, False, False, False]
    assert are_ok([]).tolist() == []
